// SPDX-License-Identifier: GPL-2.0-or-later
// The master's side of the nursery, with the test as the nursery: how many spares it asks for, what it does
// with bad words and deaths, and that it never kills a process that is not its own.
#include "master/worker_supply.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/idle_child.h"
#include "tests/support/loop_until.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/ipc/packet.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using std::chrono::milliseconds;
using testing::idle_child;
using testing::run_for;
using testing::run_until;

struct Fixture {
  Fixture() {
    base::set_log_sink([this](base::LogLevel, std::string_view line) { log += std::string(line) + "\n"; });
  }
  ~Fixture() {
    base::set_log_sink({});
    for (const pid_t pid : started) ::kill(pid, SIGKILL);
    supply.reset();
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  void make(unsigned spares) {
    supply = std::make_unique<WorkerSupply>(
        loop,
        [this](const base::Fd& channel) -> base::Result<pid_t> {
          if (cannot_start) return base::Error{base::ErrorCode::exhausted, "no process left"};
          nursery = base::Fd(::fcntl(channel.get(), F_DUPFD_CLOEXEC, 0));
          started.push_back(idle_child());
          return started.back();
        },
        spares,
        WorkerSupply::Events{[this] { ++ready; }, [this](int) { ++not_born; },
                             [this](pid_t pid, int) { ended.push_back(pid); }});
  }
  bool use() { return static_cast<bool>(supply->use(settings)); }

  // What the master has said so far: the number of spares it asked for, the pids it wants dead, its settings.
  void hear() {
    std::vector<uint8_t> room(ipc::kMaxLongBytes);
    while (auto packet = ipc::receive_packet(nursery.get(), room)) {
      const base::Bytes bytes = base::Bytes(room).first(packet->size);
      if (auto got = ipc::decode_settings(bytes)) number = got->number;
      if (auto message = ipc::decode(bytes)) {
        if (const auto* fork = std::get_if<ipc::Fork>(&*message)) asked += fork->count;
        if (const auto* one = std::get_if<ipc::Kill>(&*message)) kills.push_back(one->pid);
      }
    }
  }
  void tell(const ipc::Message& message) {
    const ipc::Packet packet = ipc::encode(message);
    (void)ipc::send_packet(nursery.get(), packet.content());
  }
  void bear(pid_t pid, uint32_t settings_number) {
    auto pair = base::socket_pair(SOCK_SEQPACKET);
    const int end = pair->first.get();
    const ipc::Packet packet = ipc::encode(ipc::Born{pid, settings_number});
    (void)ipc::send_packet(nursery.get(), packet.content(), {&end, 1});
    spare_ends.push_back(std::move(pair->second));
  }
  bool spares_reach(size_t count) {
    return run_until(loop, [this, count] { return supply->spares() == count; });
  }
  // The master's end of that spare's channel is gone.
  bool dismissed(size_t index) {
    char byte;
    return run_until(loop, [&] { return ::recv(spare_ends[index].get(), &byte, 1, MSG_DONTWAIT) == 0; });
  }

  net::Loop loop;
  ipc::Settings settings;
  bool cannot_start = false;
  base::Fd nursery;
  std::vector<pid_t> started;
  std::vector<base::Fd> spare_ends;
  unsigned ready = 0, not_born = 0;
  std::vector<pid_t> ended, kills;
  size_t asked = 0;
  uint32_t number = 0;
  std::string log;
  std::unique_ptr<WorkerSupply> supply;
};

void keeps_the_spares_it_is_told_to(Fixture& f) {
  f.make(3);
  const bool started = f.use();
  f.hear();
  assert_true(started);
  assert_int_equal(f.number, 1);
  assert_int_equal(f.asked, 3);
  for (pid_t pid = 1000; pid < 1003; ++pid) f.bear(pid, 1);
  assert_true(f.spares_reach(3));
  assert_int_equal(f.ready, 3);
  const bool taken = f.supply->take().has_value();
  f.supply->set_waiting(0);
  f.hear();
  assert_true(taken);
  assert_int_equal(f.asked, 4);
}

void forks_on_demand_with_no_spares(Fixture& f) {
  f.make(0);
  f.use();
  f.hear();
  assert_int_equal(f.asked, 0);
  f.supply->set_waiting(2);
  f.hear();
  assert_int_equal(f.asked, 2);
  f.supply->set_waiting(5);
  f.hear();
  assert_int_equal(f.asked, 5);
}

void a_fork_that_fails_is_told_to_who_waits(Fixture& f) {
  f.make(1);
  f.use();
  f.supply->set_waiting(1);
  f.tell(ipc::NotBorn{EAGAIN});
  const bool told = run_until(f.loop, [&f] { return f.not_born == 1; });
  assert_true(told);
}

void a_spare_that_dies_is_replaced(Fixture& f) {
  f.make(1);
  f.use();
  f.bear(1000, 1);
  f.spares_reach(1);
  f.hear();
  assert_int_equal(f.asked, 1);
  f.tell(ipc::Died{1000, SIGKILL});
  assert_true(f.spares_reach(0));
  f.hear();
  assert_int_equal(f.asked, 2);
  assert_int_equal(f.ended.size(), 1);
}

void new_settings_dismiss_old_spares(Fixture& f) {
  f.make(1);
  f.use();
  f.bear(1000, 1);
  f.spares_reach(1);
  f.use();
  f.hear();
  assert_int_equal(f.number, 2);
  assert_true(f.dismissed(0));
  f.bear(1001, 1);  // was under way with the old ones
  assert_true(f.dismissed(1));
  f.bear(1002, 2);
  assert_true(f.spares_reach(1));
}

void a_dead_nursery_is_started_again(Fixture& f) {
  f.make(2);
  f.use();
  f.bear(1000, 1);
  f.spares_reach(1);
  f.nursery.reset();
  const bool again = run_until(f.loop, [&f] { return f.started.size() == 2; });
  assert_true(again);
  assert_true(f.dismissed(0));
  f.hear();
  assert_int_equal(f.number, 1);
  assert_true(f.log.find("nursery") != std::string::npos);
}

void one_that_cannot_start_is_tried_again(Fixture& f) {
  f.make(1);
  f.use();
  f.cannot_start = true;
  f.nursery.reset();
  run_for(f.loop, milliseconds(50));
  f.cannot_start = false;
  const bool again = run_until(f.loop, [&f] { return f.started.size() == 2; });
  assert_true(again);
}

void nonsense_ends_the_nursery(Fixture& f) {
  struct {
    const char* name;
    ipc::Message message;
  } const rows[] = {{"a worker's message", ipc::Ready{}}, {"its own orders", ipc::Fork{1}}};
  f.make(0);
  f.use();
  size_t starts = 1;
  for (const auto& row : rows) {
    f.tell(row.message);
    const bool again = run_until(f.loop, [&] { return f.started.size() > starts; });
    if (!again) fail_msg("%s: the nursery lives", row.name);
    ++starts;
  }
}

void kills_through_the_nursery_that_forked(Fixture& f) {
  f.make(0);
  f.use();
  f.supply->kill(4711, 1);
  f.hear();
  assert_int_equal(f.kills.size(), 1);
  assert_int_equal(f.kills[0], 4711);
}

// After the nursery's death its workers are the master's children. A number that is nobody's child of ours
// belongs to a stranger by now.
void never_kills_a_stranger(Fixture& f) {
  f.make(0);
  f.use();
  f.nursery.reset();
  run_until(f.loop, [&f] { return f.started.size() == 2; });
  const pid_t own = idle_child();
  f.supply->kill(own, 1);
  int status = 0;
  const bool killed = ::waitpid(own, &status, 0) == own && WIFSIGNALED(status);
  assert_true(killed);
  // A grandchild is a process of somebody else's: here, its parent is another child of the test.
  int ends[2];
  assert_int_equal(::pipe(ends), 0);
  const pid_t middle = ::fork();
  if (middle == 0) {
    const pid_t stranger = ::fork();
    if (stranger == 0) {
      ::pause();
      ::_exit(0);
    }
    (void)!::write(ends[1], &stranger, sizeof stranger);
    ::pause();
    ::_exit(0);
  }
  pid_t stranger = 0;
  const bool told = ::read(ends[0], &stranger, sizeof stranger) == sizeof stranger;
  f.supply->kill(stranger, 1);
  const bool alive = told && ::kill(stranger, 0) == 0;
  if (told) ::kill(stranger, SIGKILL);
  ::kill(middle, SIGKILL);
  ::close(ends[0]);
  ::close(ends[1]);
  assert_true(alive);
}

// The nursery may die before it has read what it was told.
void a_kill_outlives_the_nursery(Fixture& f) {
  f.make(0);
  f.use();
  const pid_t worker = idle_child();
  f.supply->kill(worker, 1);
  ::kill(f.started[0], SIGKILL);
  f.nursery.reset();
  run_until(f.loop, [&f] { return f.started.size() == 2; });
  const bool ended = run_until(f.loop, [&] {
    f.supply->reap();
    return std::find(f.ended.begin(), f.ended.end(), worker) != f.ended.end();
  });
  if (!ended) ::kill(worker, SIGKILL);
  assert_true(ended);
}

// A nursery that does not read must not make the master wait, and gets everything in the end.
void a_slow_nursery_loses_nothing(Fixture& f) {
  f.make(0);
  f.use();
  constexpr size_t kMany = 5000;
  for (size_t i = 1; i <= kMany; ++i) f.supply->kill(static_cast<pid_t>(i), 1);
  const bool all = run_until(f.loop, [&f] {
    f.hear();
    return f.kills.size() == kMany;
  });
  assert_true(all);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, keeps_the_spares_it_is_told_to),
      TEST(Fixture, forks_on_demand_with_no_spares),
      TEST(Fixture, a_fork_that_fails_is_told_to_who_waits),
      TEST(Fixture, a_spare_that_dies_is_replaced),
      TEST(Fixture, new_settings_dismiss_old_spares),
      TEST(Fixture, a_dead_nursery_is_started_again),
      TEST(Fixture, one_that_cannot_start_is_tried_again),
      TEST(Fixture, nonsense_ends_the_nursery),
      TEST(Fixture, kills_through_the_nursery_that_forked),
      TEST(Fixture, never_kills_a_stranger),
      TEST(Fixture, a_kill_outlives_the_nursery),
      TEST(Fixture, a_slow_nursery_loses_nothing),
  };
  return vncauthproxy::testing::run_group("worker_supply", tests);
}
