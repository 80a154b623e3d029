// SPDX-License-Identifier: GPL-2.0-or-later
// From a request to its answer, with the test as nursery, as worker and as control client.
#include "master/broker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
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

using proto::FailureCode;
using std::chrono::milliseconds;
using testing::run_until;

struct Fixture {
  Fixture()
      : options(config::default_options()),
        ports(loopback(), 42000, 42099),
        room(ipc::kMaxLongBytes),
        workers(loop,
                [this](const base::Fd& channel) -> base::Result<pid_t> {
                  nursery = base::Fd(::fcntl(channel.get(), F_DUPFD_CLOEXEC, 0));
                  return started.emplace_back(testing::idle_child());
                },
                0,
                {[this] { broker.spare_ready(); }, [this](int error) { broker.not_born(error); },
                 [this](pid_t pid, int status) { forwardings.worker_ended(pid, status); }}),
        forwardings(loop, {[this](Forwarding& forwarding, const std::optional<proto::Failure>& failure) {
                             return broker.answer(forwarding, failure);
                           },
                           [this](uint16_t port) { ports.give_back(port); },
                           [this](pid_t pid, uint32_t number) { workers.kill(pid, number); }, [] {}}),
        broker(options, certificates, proxy_address, web, ports, forwardings, workers,
               [this](uint64_t conn, const proto::Reply& reply) {
                 ++answers[conn];
                 if (reply) {
                   granted[conn] = reply->source_port;
                   passwords[conn] = reply->made_password;
                 } else {
                   failures[conn] = reply.error();
                 }
                 return client_is_there;
               }) {
    base::set_log_sink([](base::LogLevel, std::string_view) {});
    (void)workers.use({});
  }
  ~Fixture() {
    base::set_log_sink({});
    for (const pid_t pid : started) ::kill(pid, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  static std::vector<base::Endpoint> loopback() {
    auto endpoints = base::resolve("127.0.0.1", "0", base::ResolveFor::listen);
    return std::move(*endpoints);
  }

  void ask(uint64_t conn, const std::string& password = "secret") {
    proto::Request request;
    request.destination_address = "node1";
    request.destination_port = 5900;
    request.password = base::Secret(password);
    broker.requested(conn, "panel at 192.0.2.7:1", std::move(request));
  }
  // How many forks the nursery was asked for since the last call.
  uint32_t forks() {
    uint32_t count = 0;
    while (auto packet = ipc::receive_packet(nursery.get(), room))
      if (auto message = ipc::decode(base::Bytes(room).first(packet->size)))
        if (const auto* fork = std::get_if<ipc::Fork>(&*message)) count += fork->count;
    return count;
  }
  // A spare that the test plays. Its number is nobody's.
  base::Fd bear() {
    auto pair = base::socket_pair(SOCK_SEQPACKET);
    const int end = pair->first.get();
    const ipc::Packet packet = ipc::encode(ipc::Born{1000000 + ++born, 1});
    (void)ipc::send_packet(nursery.get(), packet.content(), {&end, 1});
    return std::move(pair->second);
  }
  bool gets_handover(const base::Fd& spare) {
    return run_until(loop, [&] {
      auto packet = ipc::receive_packet(spare.get(), room);
      if (!packet) return false;
      auto got = ipc::decode_handover(base::Bytes(room).first(packet->size), std::move(packet->descriptors));
      if (got) handover = std::move(*got);
      return static_cast<bool>(got);
    });
  }
  void say(const base::Fd& spare, const ipc::Message& message) {
    const ipc::Packet packet = ipc::encode(message);
    (void)ipc::send_packet(spare.get(), packet.content());
  }
  bool answered(uint64_t conn) {
    return run_until(loop, [this, conn] { return answers[conn] > 0; });
  }
  // -1: with success, or not at all
  int failed_with(uint64_t conn) const {
    const auto at = failures.find(conn);
    return at == failures.end() ? -1 : static_cast<int>(at->second.code);
  }

  net::Loop loop;
  config::Options options;
  Certificates certificates;
  std::string proxy_address = "proxy.example.org";
  base::Fd web;
  PortPool ports;
  std::vector<uint8_t> room;
  base::Fd nursery, worker, second;
  std::vector<pid_t> started;
  int born = 0;
  std::map<uint64_t, unsigned> answers;
  std::map<uint64_t, proto::Failure> failures;
  std::map<uint64_t, uint16_t> granted;
  std::map<uint64_t, std::string> passwords;
  bool client_is_there = true;
  ipc::Handover handover;
  WorkerSupply workers;
  Forwardings forwardings;
  Broker broker;
};

void from_a_request_to_its_answer(Fixture& f) {
  f.ask(7);
  assert_int_equal(f.forks(), 1);
  assert_int_equal(f.answers[7], 0);
  f.worker = f.bear();
  const bool got = f.gets_handover(f.worker);
  assert_true(got);
  const bool fields = f.handover.destination_address == "node1" && f.handover.password.reveal() == "secret" &&
                      f.handover.listeners.size() == 1 && f.handover.auth_attempts == f.options.auth_attempts;
  assert_true(fields);
  f.say(f.worker, ipc::Ready{});
  const bool answered = f.answered(7);
  assert_true(answered);
  assert_int_equal(f.failed_with(7), -1);
  assert_in_range(f.granted[7], 42000, 42099);
}

void the_password_it_makes_is_told_once(Fixture& f) {
  f.ask(7, "");
  f.worker = f.bear();
  f.gets_handover(f.worker);
  f.say(f.worker, ipc::Ready{});
  f.answered(7);
  const bool same = f.passwords[7].size() == 8 && f.handover.password.reveal() == f.passwords[7];
  assert_true(same);
}

void requests_wait_for_spares_in_their_order(Fixture& f) {
  f.ask(1);
  f.ask(2);
  assert_int_equal(f.forks(), 2);
  f.worker = f.bear();
  f.gets_handover(f.worker);
  f.say(f.worker, ipc::Refused{FailureCode::backend_refused, "no"});
  const bool one = f.answered(1);
  assert_true(one);
  assert_int_equal(f.answers[2], 0);
  f.second = f.bear();
  f.gets_handover(f.second);
  f.say(f.second, ipc::Refused{FailureCode::backend_auth, "no"});
  const bool two = f.answered(2);
  assert_true(two);
  assert_int_equal(f.failed_with(1), FailureCode::backend_refused);
  assert_int_equal(f.failed_with(2), FailureCode::backend_auth);
}

void a_dead_spare_costs_no_request(Fixture& f) {
  f.ask(1);
  f.second = f.bear();
  f.second.reset();
  run_until(f.loop, [&f] { return f.forks() > 1; });
  f.worker = f.bear();
  const bool got = f.gets_handover(f.worker);
  f.say(f.worker, ipc::Ready{});
  const bool answered = f.answered(1);
  assert_true(got);
  assert_int_equal(f.handover.listeners.size(), 1);
  assert_true(answered);
  assert_int_equal(f.failed_with(1), -1);
}

void a_fork_that_fails_is_busy(Fixture& f) {
  f.ask(1);
  f.ask(2);
  const ipc::Packet packet = ipc::encode(ipc::NotBorn{EAGAIN});
  (void)ipc::send_packet(f.nursery.get(), packet.content());
  const bool answered = f.answered(1);
  assert_true(answered);
  assert_int_equal(f.failed_with(1), FailureCode::busy);
  assert_int_equal(f.answers[2], 0);
}

void a_nursery_that_dies_costs_no_request(Fixture& f) {
  f.ask(1);
  f.nursery.reset();
  const bool again = run_until(f.loop, [&f] { return f.started.size() == 2; });
  assert_true(again);
  const bool asked = run_until(f.loop, [&f] { return f.forks() > 0; });
  assert_true(asked);
  f.worker = f.bear();
  const bool got = f.gets_handover(f.worker);
  assert_true(got);
}

void a_request_without_a_port_fails_at_once(Fixture& f) {
  f.ask(1);
  for (uint64_t conn = 2; conn <= 101; ++conn) f.ask(conn);
  assert_int_equal(f.failed_with(101), FailureCode::no_port);
  assert_int_equal(f.answers[1], 0);
}

void no_certificate_no_tls(Fixture& f) {
  proto::Request request;
  request.type = proto::ViewerType::vnc_wss;
  f.broker.requested(1, "panel", std::move(request));
  assert_int_equal(f.failed_with(1), FailureCode::unsupported_type);
}

void those_who_wait_at_the_end_are_told(Fixture& f) {
  f.ask(1);
  f.broker.stop();
  assert_int_equal(f.failed_with(1), FailureCode::busy);
  assert_int_equal(f.forwardings.size(), 0);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, from_a_request_to_its_answer),
      TEST(Fixture, the_password_it_makes_is_told_once),
      TEST(Fixture, requests_wait_for_spares_in_their_order),
      TEST(Fixture, a_dead_spare_costs_no_request),
      TEST(Fixture, a_fork_that_fails_is_busy),
      TEST(Fixture, a_nursery_that_dies_costs_no_request),
      TEST(Fixture, a_request_without_a_port_fails_at_once),
      TEST(Fixture, no_certificate_no_tls),
      TEST(Fixture, those_who_wait_at_the_end_are_told),
  };
  return vncauthproxy::testing::run_group("broker", tests);
}
