// SPDX-License-Identifier: GPL-2.0-or-later
// What the master believes of its workers: real children that do nothing, whose messages the test sends. A
// wrong one costs that worker its life; its port comes back once and its control client gets one answer,
// whatever happens.
#include "master/forwardings.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/idle_child.h"
#include "tests/support/loop_until.h"
#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using base::LogLevel;
using ipc::Message;
using proto::Failure;
using proto::FailureCode;
using std::chrono::milliseconds;
using testing::idle_child;
using testing::run_for;
using testing::run_until;

constexpr milliseconds kLong{60000};

// Only to a child of ours: 0 and -1 would reach many more.
void send_signal(pid_t pid, int number) {
  if (pid > 0) ::kill(pid, number);
}

struct Worker {
  uint32_t id = 0;
  pid_t pid = 0;
  base::Fd end;

  // Until it is killed and reaped; then the pid means nothing any more.
  bool alive() const { return pid > 0 && ::kill(pid, 0) == 0; }
  bool put(base::Bytes packet) {
    return ::send(end.get(), packet.data(), packet.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(packet.size());
  }
  bool put(const Message& message) {
    const ipc::Packet packet = ipc::encode(message);
    return put(packet.content());
  }
};

struct Fixture {
  Fixture()
      : table(loop, {[this](Forwarding& forwarding, const std::optional<Failure>& failure) {
                       ++answers[forwarding.id];
                       if (failure) failures[forwarding.id] = *failure;
                       return client_is_there;
                     },
                     [this](uint16_t port) { ++ports_back[port]; },
                     [](pid_t pid, uint32_t) { send_signal(pid, SIGKILL); }, [this] { ++empty; }}),
        child(loop, SIGCHLD, [this] { reap(); }) {
    base::set_log_sink(
        [this](LogLevel level, std::string_view line) { log.emplace_back(level, std::string(line)); });
  }
  ~Fixture() {
    base::set_log_sink({});
    for (const Worker& worker : workers)
      if (worker.alive()) send_signal(worker.pid, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  static uint16_t port_of(uint32_t id) { return static_cast<uint16_t>(20000 + id); }

  void reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
      table.worker_ended(pid, status);
  }
  // A forwarding that has no worker yet. `waiting`: how long its viewer has.
  Forwarding& open(milliseconds start = kLong, milliseconds waiting = kLong) {
    Forwarding& forwarding = table.add(next_id++, start);
    forwarding.port = port_of(forwarding.id);
    forwarding.has_port = true;
    forwarding.viewer_time = waiting;
    return forwarding;
  }
  Worker& start(milliseconds start_deadline = kLong, milliseconds viewer_time = kLong) {
    Forwarding& forwarding = open(start_deadline, viewer_time);
    auto pair = base::socket_pair(SOCK_SEQPACKET);
    const pid_t pid = idle_child();
    table.hand_over(forwarding, Spare{pid, std::move(pair->first), 1}, base::as_bytes("a handover"), {});
    uint8_t handover[64];
    (void)!::recv(pair->second.get(), handover, sizeof handover, 0);
    return workers.emplace_back(Worker{forwarding.id, pid, std::move(pair->second)});
  }
  // Brings a new worker into a state.
  Worker& start_in(const std::string& state) {
    Worker& worker = start();
    if (state == "starting") return worker;
    if (state == "refused") {
      worker.put(ipc::Refused{FailureCode::backend_refused, "no"});
    } else {
      worker.put(ipc::Ready{});
      if (state == "live" || state == "ended live") worker.put(ipc::Authenticated{"127.0.0.1:5"});
      if (state.starts_with("ended")) worker.put(ipc::Ended{"done", 1, 2, milliseconds(3)});
    }
    settle(worker);
    return worker;
  }
  // Until the table has taken in all that the worker has said.
  bool settle(Worker& worker) {
    const std::string marker = "marker " + std::to_string(++markers);
    worker.put(ipc::Log{LogLevel::info, marker});
    return run_until(loop, [&] { return logged(marker) > 0; });
  }
  bool killed(const Worker& worker) {
    return run_until(loop, [&worker] { return !worker.alive(); });
  }
  // The end of a worker: the kernel closes what it held. True once no more than `left` records are there.
  bool ends(Worker& worker, size_t left = 0) {
    worker.end.reset();
    return run_until(loop, [this, left] { return table.size() <= left; });
  }
  long logged(std::string_view text, int level = -1) const {
    return std::count_if(log.begin(), log.end(), [&](const auto& line) {
      return line.second.find(text) != std::string::npos &&
             (level < 0 || static_cast<int>(line.first) == level);
    });
  }
  unsigned answered(uint32_t id) { return answers[id]; }
  unsigned port_back(uint32_t id) { return ports_back[port_of(id)]; }
  // -1: not answered, or with success
  int failed_with(uint32_t id) const {
    const auto at = failures.find(id);
    return at == failures.end() ? -1 : static_cast<int>(at->second.code);
  }

  net::Loop loop;
  std::map<uint32_t, unsigned> answers;
  std::map<uint32_t, Failure> failures;
  std::map<uint16_t, unsigned> ports_back;
  unsigned empty = 0, markers = 0;
  bool client_is_there = true;
  std::vector<std::pair<LogLevel, std::string>> log;
  std::vector<Worker> workers = [] {
    std::vector<Worker> room;
    room.reserve(512);  // references stay good
    return room;
  }();
  uint32_t next_id = 1;
  Forwardings table;
  net::Signal child;
};

// ---- a good life

void a_forwarding_from_start_to_end(Fixture& f) {
  Worker& worker = f.start();
  const uint32_t id = worker.id;
  assert_int_equal(f.table.size(), 1);
  worker.put(ipc::Ready{});
  f.settle(worker);
  assert_int_equal(f.answered(id), 1);
  assert_int_equal(f.failed_with(id), -1);
  assert_int_equal(f.port_back(id), 0);
  worker.put(ipc::Authenticated{"192.0.2.7:5123"});
  f.settle(worker);
  assert_int_equal(f.port_back(id), 1);
  assert_int_equal(f.logged("F1 viewer 192.0.2.7:5123 authenticated"), 1);
  worker.put(ipc::Ended{"Client connection closed", 1000, 20, milliseconds(1500)});
  f.settle(worker);
  assert_true(worker.alive());
  assert_int_equal(
      f.logged("F1 ended: Client connection closed; 192.0.2.7:5123, 1000 bytes to the viewer, 20 "
               "from it, 1.5 s"),
      1);
  send_signal(worker.pid, SIGTERM);  // as if it had left
  f.killed(worker);
  assert_int_equal(f.table.size(), 1);
  assert_int_equal(f.empty, 0);
  const bool gone = f.ends(worker);
  assert_true(gone);
  assert_int_equal(f.empty, 1);
  assert_int_equal(f.answered(id), 1);
  assert_int_equal(f.port_back(id), 1);
  const long errors = f.logged("", static_cast<int>(LogLevel::error));
  assert_int_equal(errors, 0);
}

void a_refusal_is_the_answer(Fixture& f) {
  Worker& worker = f.start();
  worker.put(ipc::Refused{FailureCode::backend_auth, "wrong\npassword\x1b[2J"});
  f.settle(worker);
  assert_int_equal(f.failed_with(worker.id), FailureCode::backend_auth);
  const bool one_line = f.failures[worker.id].reason == "wrong?password?[2J";
  assert_true(one_line);
  assert_int_equal(f.port_back(worker.id), 1);
  assert_true(worker.alive());  // it ends by itself
  const bool slow_one_is_killed = f.killed(worker);
  assert_true(slow_one_is_killed);
  f.ends(worker);
  assert_int_equal(f.answered(worker.id), 1);
  assert_int_equal(f.port_back(worker.id), 1);
}

void a_client_that_left_gets_no_forwarding(Fixture& f) {
  f.client_is_there = false;
  Worker& worker = f.start();
  worker.put(ipc::Ready{});
  const bool killed = f.killed(worker);
  assert_true(killed);
  f.ends(worker);
  assert_int_equal(f.port_back(worker.id), 1);
  assert_int_equal(f.answered(worker.id), 1);
}

void log_lines_keep_their_level_and_stay_one_line(Fixture& f) {
  Worker& worker = f.start();
  worker.put(ipc::Log{LogLevel::warning, "a\nb\x7f c"});
  worker.put(ipc::Log{LogLevel::debug, "d"});
  f.settle(worker);
  const long warnings = f.logged("a?b? c", static_cast<int>(LogLevel::warning));
  assert_int_equal(warnings, 1);
}

// ---- every message in every state

struct Expected {
  const char* state;
  bool legal[6];  // by the index of the message: Ready Refused Authenticated Ended Log Stop
};
constexpr Expected kTable[] = {
    {"starting", {true, true, false, false, true, false}},
    {"waiting", {false, false, true, true, true, false}},
    {"live", {false, false, false, true, true, false}},
    {"refused", {false, false, false, false, true, false}},
    {"ended waiting", {false, false, false, false, true, false}},
    {"ended live", {false, false, false, false, true, false}},
};

Message message_of(size_t index) {
  switch (index) {
    case 0:
      return ipc::Ready{};
    case 1:
      return ipc::Refused{FailureCode::busy, "x"};
    case 2:
      return ipc::Authenticated{"v"};
    case 3:
      return ipc::Ended{"e", 1, 2, milliseconds(3)};
    case 4:
      return ipc::Log{LogLevel::info, "l"};
    default:
      return ipc::Stop{milliseconds(1)};
  }
}

void a_message_out_of_order_costs_the_worker_its_life(Fixture& f) {
  for (const Expected& row : kTable) {
    for (size_t index = 0; index < std::size(row.legal); ++index) {
      Worker& worker = f.start_in(row.state);
      worker.put(message_of(index));
      f.settle(worker);
      const bool broke_order = f.logged("F" + std::to_string(worker.id) + " unexpected message") > 0;
      if (broke_order) f.killed(worker);
      const bool alive = worker.alive();
      f.ends(worker);
      if (broke_order == row.legal[index] || alive != row.legal[index] || f.answered(worker.id) != 1 ||
          f.port_back(worker.id) != 1 || f.table.size() != 0)
        fail_msg("message %zu when %s: a violation %d, alive %d, answers %u, port back %u times, records %zu",
                 index, row.state, broke_order, alive, f.answered(worker.id), f.port_back(worker.id),
                 f.table.size());
    }
  }
}

void every_message_twice(Fixture& f) {
  struct {
    const char* before;
    size_t index;
  } const rows[] = {{"starting", 0}, {"starting", 1}, {"waiting", 2}, {"waiting", 3}, {"live", 3}};
  for (const auto& row : rows) {
    Worker& worker = f.start_in(row.before);
    worker.put(message_of(row.index));
    worker.put(message_of(row.index));
    const bool killed = f.killed(worker);
    f.ends(worker);
    if (!killed || f.answered(worker.id) != 1 || f.port_back(worker.id) != 1 || f.table.size() != 0)
      fail_msg("message %zu twice when %s: killed %d, answers %u, port back %u times", row.index, row.before,
               killed, f.answered(worker.id), f.port_back(worker.id));
  }
}

void what_is_no_message_costs_the_worker_its_life(Fixture& f) {
  static ipc::Packet packet;
  for (const char* state : {"starting", "waiting", "live"}) {
    for (size_t index = 0; index < 6; ++index) {
      packet = ipc::encode(message_of(index));
      for (const size_t size : {size_t{1}, packet.size - 1, packet.size + 1, packet.bytes.size()}) {
        Worker& worker = f.start_in(state);
        const bool answered_before = f.answered(worker.id) == 1;
        worker.put(base::Bytes(packet.bytes).first(size));
        const bool killed = f.killed(worker);
        f.ends(worker);
        const int code = f.failed_with(worker.id);
        const bool right_answer =
            answered_before ? code == -1 : code == static_cast<int>(FailureCode::internal);
        if (!killed || !right_answer || f.answered(worker.id) != 1 || f.port_back(worker.id) != 1 ||
            f.table.size() != 0)
          fail_msg("message %zu, %zu bytes, when %s: killed %d, failure %d, answers %u, port back %u times",
                   index, size, state, killed, code, f.answered(worker.id), f.port_back(worker.id));
      }
    }
  }
}

void one_bad_worker_does_not_hurt_the_others(Fixture& f) {
  Worker& good = f.start_in("live");
  Worker& bad = f.start_in("waiting");
  bad.put(ipc::Stop{milliseconds(0)});
  const bool killed = f.killed(bad) && f.ends(bad, 1);
  assert_true(killed);
  assert_true(good.alive());
  assert_int_equal(f.table.size(), 1);
  good.put(ipc::Ended{"done", 0, 0, milliseconds(0)});
  const bool works = f.settle(good);
  assert_true(works);
}

// ---- how workers end

void the_end_of_the_process_suffices(Fixture& f) {
  for (const char* state : {"waiting", "live"}) {
    Worker& worker = f.start_in(state);
    send_signal(worker.pid, SIGSEGV);
    const bool reaped = f.killed(worker);
    assert_true(reaped);
    assert_int_equal(f.port_back(worker.id), 1);
    const long told = f.logged("died of signal 11", static_cast<int>(LogLevel::error));
    assert_int_equal(told, 1);
    f.log.clear();
    assert_int_equal(f.table.size(), 1);  // its last words may still be in the channel
    const bool gone = f.ends(worker);
    assert_true(gone);
    assert_int_equal(f.port_back(worker.id), 1);
    assert_int_equal(f.answered(worker.id), 1);
  }
}

void the_last_words_of_a_dead_worker_count(Fixture& f) {
  Worker& worker = f.start();
  worker.put(ipc::Refused{FailureCode::backend_unreachable, "nobody there"});
  worker.end.reset();
  send_signal(worker.pid, SIGKILL);
  const bool gone = run_until(f.loop, [&f] { return f.table.size() == 0; });
  assert_true(gone);
  assert_int_equal(f.failed_with(worker.id), FailureCode::backend_unreachable);
  assert_int_equal(f.answered(worker.id), 1);
  assert_int_equal(f.port_back(worker.id), 1);
}

void the_end_of_the_channel_suffices(Fixture& f) {
  for (const char* state : {"starting", "waiting", "live", "refused", "ended live"}) {
    Worker& worker = f.start_in(state);
    worker.end.reset();
    const bool back = run_until(f.loop, [&] { return f.port_back(worker.id) == 1; });
    const bool killed = f.killed(worker);  // one without a channel is out of control
    const bool gone = run_until(f.loop, [&f] { return f.table.size() == 0; });
    if (!back || !killed || !gone || f.answered(worker.id) != 1 || f.port_back(worker.id) != 1)
      fail_msg("%s: back %d, killed %d, gone %d", state, back, killed, gone);
  }
}

void a_worker_that_crashes_at_its_start_is_an_internal_failure(Fixture& f) {
  Worker& worker = f.start();
  send_signal(worker.pid, SIGABRT);
  const bool gone = f.killed(worker) && f.ends(worker);
  assert_true(gone);
  assert_int_equal(f.failed_with(worker.id), FailureCode::internal);
  assert_int_equal(f.port_back(worker.id), 1);
}

void many_that_end_at_once_are_all_reaped(Fixture& f) {
  constexpr unsigned kMany = 60;
  for (unsigned i = 0; i < kMany; ++i) f.start_in("waiting");
  for (Worker& worker : f.workers) {
    send_signal(worker.pid, SIGKILL);
    worker.end.reset();
  }
  const bool gone = run_until(f.loop, [&f] { return f.table.size() == 0; });
  assert_true(gone);
  assert_int_equal(f.ports_back.size(), kMany);
  const bool once = std::all_of(f.ports_back.begin(), f.ports_back.end(),
                                [](const auto& port) { return port.second == 1; });
  assert_true(once);
  assert_int_equal(f.empty, 1);
}

void a_child_of_somebody_else_is_nobodys_business(Fixture& f) {
  Worker& worker = f.start_in("waiting");
  const pid_t other = idle_child();
  send_signal(other, SIGKILL);
  const bool reaped = run_until(f.loop, [other] { return ::kill(other, 0) != 0; });
  assert_true(reaped);
  assert_true(worker.alive());
  assert_int_equal(f.port_back(worker.id), 0);
}

void one_without_a_worker_can_fail(Fixture& f) {
  Forwarding& forwarding = f.open();
  const uint32_t id = forwarding.id;
  f.table.refuse(forwarding, FailureCode::busy, "cannot start a worker: too many");
  assert_int_equal(f.failed_with(id), FailureCode::busy);
  assert_int_equal(f.answered(id), 1);
  assert_int_equal(f.port_back(id), 1);
  assert_int_equal(f.table.size(), 0);
  assert_int_equal(f.empty, 1);
  run_for(f.loop, milliseconds(10));
  assert_int_equal(f.answered(id), 1);
}

void one_without_a_worker_has_its_deadline(Fixture& f) {
  const uint32_t id = f.open(milliseconds(50)).id;
  const bool gone = run_until(f.loop, [&f] { return f.table.size() == 0; });
  assert_true(gone);
  assert_int_equal(f.failed_with(id), FailureCode::backend_timeout);
  assert_int_equal(f.port_back(id), 1);
}

// The spare may have died since it was born: the forwarding keeps its place and takes the next one.
void a_spare_that_is_gone_takes_nothing_along(Fixture& f) {
  Forwarding& forwarding = f.open();
  auto pair = base::socket_pair(SOCK_SEQPACKET);
  pair->second.reset();
  const bool taken =
      f.table.hand_over(forwarding, Spare{1, std::move(pair->first), 1}, base::as_bytes("a handover"), {});
  assert_false(taken);
  assert_int_equal(f.table.size(), 1);
  assert_int_equal(f.answered(forwarding.id), 0);
}

// ---- time

void a_silent_start_is_a_timeout(Fixture& f) {
  Worker& worker = f.start(milliseconds(50));
  const bool killed = f.killed(worker);
  assert_true(killed);
  assert_int_equal(f.failed_with(worker.id), FailureCode::backend_timeout);
  f.ends(worker);
  assert_int_equal(f.answered(worker.id), 1);
  assert_int_equal(f.port_back(worker.id), 1);
}

// Not even SIGSTOP keeps a port.
void a_stopped_worker_is_killed_at_its_deadline(Fixture& f) {
  Worker& worker = f.start(kLong, milliseconds(50));
  worker.put(ipc::Ready{});
  send_signal(worker.pid, SIGSTOP);
  const bool killed = f.killed(worker);
  assert_true(killed);
  assert_int_equal(f.port_back(worker.id), 1);
  assert_int_equal(f.failed_with(worker.id), -1);
  const long told = f.logged("exceeded its deadline", static_cast<int>(LogLevel::error));
  assert_int_equal(told, 1);
}

void a_live_session_has_no_deadline(Fixture& f) {
  Worker& worker = f.start(milliseconds(100), milliseconds(100));
  worker.put(ipc::Ready{});
  worker.put(ipc::Authenticated{"v"});
  run_for(f.loop, milliseconds(250));
  assert_true(worker.alive());
}

void a_worker_that_does_not_end_is_killed(Fixture& f) {
  Worker& worker = f.start_in("ended live");
  const bool killed = f.killed(worker);
  assert_true(killed);
}

// ---- the end of the master

void all_are_told_to_stop(Fixture& f) {
  f.start_in("starting");
  f.start_in("live");
  f.table.stop_all(milliseconds(1500));
  for (Worker& worker : f.workers) {
    uint8_t room[64];
    const ssize_t count = ::recv(worker.end.get(), room, sizeof room, 0);
    long long grace = -1;
    if (count > 0) {
      if (auto message = ipc::decode(base::Bytes(room, static_cast<size_t>(count))))
        if (const auto* stop = std::get_if<ipc::Stop>(&*message)) grace = stop->grace.count();
    }
    assert_int_equal(grace, 1500);
    assert_true(worker.alive());
  }
}

void all_can_be_killed(Fixture& f) {
  for (const char* state : {"starting", "waiting", "live", "ended live"}) f.start_in(state);
  f.table.kill_all();
  size_t left = f.table.size();
  for (Worker& worker : f.workers) {
    const bool killed = f.killed(worker) && f.ends(worker, --left);
    assert_true(killed);
  }
  assert_int_equal(f.table.size(), 0);
  assert_int_equal(f.ports_back.size(), 4);
  assert_int_equal(f.empty, 1);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_forwarding_from_start_to_end),
      TEST(Fixture, a_refusal_is_the_answer),
      TEST(Fixture, a_client_that_left_gets_no_forwarding),
      TEST(Fixture, log_lines_keep_their_level_and_stay_one_line),
      TEST(Fixture, a_message_out_of_order_costs_the_worker_its_life),
      TEST(Fixture, every_message_twice),
      TEST(Fixture, what_is_no_message_costs_the_worker_its_life),
      TEST(Fixture, one_bad_worker_does_not_hurt_the_others),
      TEST(Fixture, the_end_of_the_process_suffices),
      TEST(Fixture, the_last_words_of_a_dead_worker_count),
      TEST(Fixture, the_end_of_the_channel_suffices),
      TEST(Fixture, a_worker_that_crashes_at_its_start_is_an_internal_failure),
      TEST(Fixture, many_that_end_at_once_are_all_reaped),
      TEST(Fixture, a_child_of_somebody_else_is_nobodys_business),
      TEST(Fixture, one_without_a_worker_can_fail),
      TEST(Fixture, one_without_a_worker_has_its_deadline),
      TEST(Fixture, a_spare_that_is_gone_takes_nothing_along),
      TEST(Fixture, a_silent_start_is_a_timeout),
      TEST(Fixture, a_stopped_worker_is_killed_at_its_deadline),
      TEST(Fixture, a_live_session_has_no_deadline),
      TEST(Fixture, a_worker_that_does_not_end_is_killed),
      TEST(Fixture, all_are_told_to_stop),
      TEST(Fixture, all_can_be_killed),
  };
  return vncauthproxy::testing::run_group("forwardings", tests);
}
