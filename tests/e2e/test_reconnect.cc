// SPDX-License-Identifier: GPL-2.0-or-later
// A backend that leaves while a viewer is awaited. One that listens on is reached again at that moment; one
// that does not is gone for good, for whoever takes its address next may be another machine.
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : Stage {
  explicit Fixture(DaemonSetup setup = {}) : Stage(std::move(setup)) {}

  // The witness's forwarding is the first.
  bool has_ended() {
    return check(daemon.wait_workers(1), "the forwarding ends") &&
           check(daemon.wait_log(daemon.forwarding(2) + "ended: Server connection lost: "), "and says why");
  }
  void check_closed(uint16_t port) {
    FakeViewer late(port);
    check(late.log_in(kViewerSecret) != Verdict::admitted, "nobody is let in any more");
  }
};

struct TwoAddresses : Fixture {
  TwoAddresses() : Fixture({.names = {.hosts = works ? "127.0.0.1 vm.test\n127.0.0.2 vm.test\n" : ""}}) {}
  inline static const bool works = own_names_work();
};

// After the handshake: says who it is, when asked.
FakeBackend::Session machine(const std::string& name, const BackendHandshake& handshake = {}) {
  return [=](Socket& socket) {
    if (shake_hands(socket, handshake) && socket.read(1)) socket.send(name);
  };
}

void the_next_machine_at_the_address_is_never_shown(Fixture& f) {
  auto first = std::make_unique<FakeBackend>(machine("first"));
  const uint16_t address = first->port();
  const uint16_t port = f.daemon.forwarding_to(address);
  FakeViewer early(port);
  f.check(early.to_challenge(), "a viewer is at its password");
  first.reset();
  f.has_ended();
  FakeBackend second(machine("second"), "127.0.0.1", address);
  f.check(second.port() == address, "another machine has the address");
  early.send_response(kViewerSecret);
  f.check(early.read_result() != Verdict::admitted, "the viewer is refused");
  f.check_closed(port);
  f.check(second.connections() == 0, "and the other machine hears nothing");
}

void one_that_listens_on_is_reached_again_at_once(Fixture& f) {
  std::atomic<unsigned> shaken{0};
  FakeBackend backend([&](Socket& socket) {
    if (!shake_hands(socket)) return;
    ++shaken;
    if (socket.read(1)) socket.send("first");
  });
  const uint16_t port = f.daemon.forwarding_to(backend.port());
  for (unsigned i = 2; i <= 4; ++i) {
    backend.end_all();
    f.check(wait_until([&] { return shaken >= i; }), "before any viewer comes");
  }
  FakeViewer viewer(port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.socket.send("?") &&
              viewer.socket.read(5) == "first",
          "the viewer sees it");
}

void a_viewer_may_come_in_between(Fixture& f) {
  std::atomic<unsigned> connections{0};
  std::atomic<bool> go{false};
  FakeBackend backend([&](Socket& socket) {
    if (++connections == 2) wait_until([&] { return go.load(); });
    machine("first")(socket);
  });
  const uint16_t port = f.daemon.forwarding_to(backend.port());
  backend.end_all();
  f.check(backend.wait_connections(2));
  FakeViewer viewer(port);
  f.check(viewer.to_challenge() && viewer.send_response(kViewerSecret));
  f.check(f.daemon.wait_log(f.daemon.forwarding(2) + "viewer 127.0.0.1:"), "it has given its password");
  go = true;
  f.check(viewer.read_result() == Verdict::admitted && viewer.socket.send("?") &&
              viewer.socket.read(5) == "first",
          "and sees the screen once it is there");
}

// A balancer, say, that listens for many.
void one_that_greets_in_another_way_is_another(Fixture& f) {
  const BackendHandshake rows[] = {
      {.version = "RFB 003.007\n"}, {.version = "RFB 003.003\n"}, {.types = {1, 16}}, {.types = {16, 1}}};
  for (const BackendHandshake& other : rows) {
    std::atomic<unsigned> connections{0};
    FakeBackend backend([&](Socket& socket) {
      ++connections == 1 ? machine("first")(socket) : machine("second", other)(socket);
    });
    const uint16_t port = f.daemon.forwarding_to(backend.port());
    const size_t from = f.daemon.log_size();
    backend.end_all();
    f.check(f.daemon.wait_log("lost: another server answers at 127.0.0.1:", {}, from), other.version);
    f.check(f.daemon.wait_workers(1), "the forwarding ends");
    f.check_closed(port);
  }
}

void only_the_address_that_was_reached_counts(TwoAddresses& f) {
  if (!f.works) return;
  auto first = std::make_unique<FakeBackend>(machine("first"));
  const Reply reply =
      f.daemon.request(Request{.destination_port = first->port(), .destination_address = "vm.test"});
  f.check(reply.ok(), reply.text);
  FakeBackend second(machine("second"), "127.0.0.2", first->port());
  if (!f.check(second.port() == first->port(), "another machine of the same name")) return;
  first.reset();
  f.has_ended();
  f.check_closed(reply.port);
  f.check(second.connections() == 0, "and the other machine hears nothing");
}

// A listener whose queue is full drops the SYN, as a machine that is going down does.
void no_second_syn_is_sent(Fixture& f) {
  const base::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!f.check(::bind(fd.get(), generic, size) == 0 && ::listen(fd.get(), 0) == 0 &&
               ::getsockname(fd.get(), generic, &size) == 0))
    return;
  const uint16_t own_port = ntohs(address.sin_port);
  Socket first;
  std::thread server([&] {
    if (!wait_fd(fd.get(), POLLIN, {})) return;
    first = Socket(base::Fd(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
    shake_hands(first);
  });
  const uint16_t port = f.daemon.forwarding_to(own_port);
  server.join();
  std::list<Socket> queued;
  while (queued.size() < 10 && (queued.empty() || queued.back()))
    queued.push_back(Socket::connect("127.0.0.1", own_port, milliseconds(200)));
  if (!f.check(!queued.back(), "the queue is full")) return;
  const auto begin = std::chrono::steady_clock::now();
  first.close();
  f.has_ended();
  f.check(std::chrono::steady_clock::now() - begin < seconds(5), "long before --server-timeout");
  f.check_closed(port);
}

void one_that_leaves_each_time_is_given_up(Fixture& f) {
  FakeBackend backend([](Socket& socket) { shake_hands(socket); });
  const uint16_t port = f.daemon.forwarding_to(backend.port());
  f.has_ended();
  f.check(backend.connections() >= 3 && backend.connections() < 20, std::to_string(backend.connections()));
  f.check_closed(port);
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, the_next_machine_at_the_address_is_never_shown),
      STAGED(Fixture, one_that_listens_on_is_reached_again_at_once),
      STAGED(Fixture, a_viewer_may_come_in_between),
      STAGED(Fixture, one_that_greets_in_another_way_is_another),
      STAGED(TwoAddresses, only_the_address_that_was_reached_counts),
      STAGED(Fixture, no_second_syn_is_sent),
      STAGED(Fixture, one_that_leaves_each_time_is_given_up),
  };
  return run_group("reconnect", tests);
}
