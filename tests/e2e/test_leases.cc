// SPDX-License-Identifier: GPL-2.0-or-later
// Leases of the built daemon: who gets which port, and that every one of them comes back, however its worker
// ended. And many sessions, in a row and at once.
#include <algorithm>
#include <csignal>
#include <functional>
#include <list>
#include <set>
#include <string>
#include <vector>

#include "tests/support/pattern.h"

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : Stage {
  explicit Fixture(uint16_t ports = 3, std::vector<std::string> options = {}, unsigned descriptors = 0)
      : Stage({.options = std::move(options), .ports = ports, .descriptors = descriptors}) {}

  Reply ask(uint16_t source_port = 0) const {
    return daemon.request(Request{.destination_port = echo_backend.port(), .source_port = source_port});
  }
  // Until a port is granted: a process is gone a moment before the master knows.
  Reply ask_for_a_second() const {
    Reply reply;
    wait_until([&] { return (reply = ask()).ok(); }, Deadline(seconds(1)));
    return reply;
  }
  // Takes a forwarding and leaves at once, which gives the port back.
  bool use_up(uint16_t port) const {
    FakeViewer viewer(port);
    return viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("used");
  }
  pid_t newest_worker() const {
    const std::vector<pid_t> all = daemon.workers();
    return all.empty() ? -1 : all.back();
  }
  // The least number within a moment: a connection just ended may still be on its way out. 0: not allowed to
  // look.
  size_t settled_descriptors() const {
    size_t least = daemon.open_descriptors().value_or(0);
    wait_until(
        [&] {
          least = std::min(least, daemon.open_descriptors().value_or(0));
          return false;
        },
        milliseconds(300));
    return least;
  }
  // Every free lease, by taking all of them.
  size_t count_leases() const {
    std::vector<uint16_t> taken;
    for (Reply reply = ask(); reply.ok(); reply = ask()) taken.push_back(reply.port);
    for (const uint16_t port : taken) use_up(port);
    return taken.size();
  }
};

// Reaped or not.
bool has_ended(pid_t pid) {
  const std::string state = status_field(pid, "State");
  return state.empty() || state[0] == 'Z';
}

struct OnePort : Fixture {
  OnePort() : Fixture(1) {}
};
struct OneHastyPort : Fixture {
  OneHastyPort()
      : Fixture(1, {"--server-timeout", "1", "--connect-timeout", "1", "--auth-timeout", "1",
                    "--auth-attempts", "1"}) {}
};
struct DozenPorts : Fixture {
  DozenPorts() : Fixture(12) {}
};
struct FewDescriptors : Fixture {
  // One descriptor lost per session would be seen long before the last of them.
  FewDescriptors() : Fixture(40, {}, 256) {}
};
struct ManyPorts : Fixture {
  ManyPorts() : Fixture(200) {}
};

void ports_run_out_and_come_back(Fixture& f) {
  std::set<uint16_t> ports;
  for (int i = 0; i < 3; ++i) ports.insert(f.ask().port);
  f.check(ports.size() == 3 && !ports.contains(0), "three ports, each once");
  const Reply fourth = f.ask();
  f.check(fourth.failed("no_port"), fourth.text);
  f.check(f.use_up(*ports.begin()), "one viewer comes");
  // Its port is free from authentication on, though TCP may still hold the session.
  const Reply again = f.ask();
  f.check(again.ok() && again.port == *ports.begin(), again.text);
  ports.insert(again.port);
  for (const uint16_t port : ports) f.check(f.use_up(port), "each of them works");
}

void a_taken_port_is_said_to_be(DozenPorts& f) {
  const uint16_t wanted = f.daemon.min_port();
  const Reply first = f.ask(wanted);
  f.check(first.port == wanted, first.text);
  const Reply second = f.ask(wanted);
  f.check(second.failed("port_in_use"), second.text);
  // A random pick never meets it either.
  for (int i = 0; i < 11; ++i) {
    const Reply reply = f.ask();
    f.check(reply.ok() && reply.port != wanted, reply.text);
    f.use_up(reply.port);
  }
  f.check(f.use_up(first.port), "the first is untouched");
  const Listener foreign("127.0.0.1", find_free_range(1));
  const Reply taken = f.ask(foreign.port());
  f.check(taken.failed("port_in_use"), taken.text);
}

void foreign_listeners_are_stepped_around(Fixture& f) {
  // One of another address family than the other: any of them makes a port useless.
  const auto first = f.daemon.min_port(), second = static_cast<uint16_t>(first + 1),
             third = static_cast<uint16_t>(first + 2);
  std::list<Listener> foreign;
  foreign.emplace_back("127.0.0.1", first);
  foreign.emplace_back(ipv6_works() ? "::" : "0.0.0.0", second);
  f.check(foreign.front().port() == first && foreign.back().port() == second, "taken");
  const Reply only = f.ask();
  f.check(only.port == third, only.text);
  const Reply none = f.ask();
  f.check(none.failed("no_port") || none.failed("port_in_use"), none.text);
  foreign.clear();
  const Reply again = f.ask();
  f.check(again.ok(), again.text);
  f.check(f.use_up(only.port) && f.use_up(again.port));
}

void ports_rest_while_others_are_free(DozenPorts& f) {
  std::set<uint16_t> ports;
  for (int i = 0; i < 10; ++i) {  // the witness had one of the twelve
    const uint16_t port = f.ask().port;
    ports.insert(port);
    f.check(f.use_up(port));
  }
  f.check(ports.size() == 10, "each port once");
}

void failed_requests_cost_no_lease(OnePort& f) {
  FakeBackend rude([](Socket& socket) { socket.send("no"); });
  for (int i = 0; i < 10; ++i) {
    const Reply reply = f.daemon.request(Request{.destination_port = rude.port()});
    f.check(!reply.ok() && reply.code.starts_with("backend_"), reply.text);
  }
  f.check(f.daemon.request(Request{.destination_port = f.echo_backend.port(), .auth_user = "x"})
              .failed("auth_failed"));
}

// A worker of a forwarding on the only port there is, brought to a phase; `hold` keeps it there.
struct Phase {
  const char* name;
  std::function<bool(OnePort&, std::list<Socket>& hold)> enter;
};

std::vector<Phase> phases(FakeBackend& mute) {
  const auto waiting_viewer = [](OnePort& f, std::list<Socket>& hold, auto go_on) {
    FakeViewer viewer(f.ask().port);
    const bool there = go_on(viewer);
    hold.push_back(std::move(viewer.socket));
    return there;
  };
  return {{"reaching the backend",
           [&mute](OnePort& f, std::list<Socket>& hold) {
             const size_t before = mute.connections();
             hold.push_back(f.daemon.connect());
             return hold.back().send(Request{.destination_port = mute.port()}.json()) &&
                    mute.wait_connections(before + 1);
           }},
          {"awaiting a viewer", [](OnePort& f, std::list<Socket>&) { return f.ask().ok(); }},
          {"authenticating",
           [=](OnePort& f, std::list<Socket>& hold) {
             return waiting_viewer(f, hold, [](FakeViewer& viewer) { return viewer.to_challenge(); });
           }},
          {"relaying", [=](OnePort& f, std::list<Socket>& hold) {
             return waiting_viewer(f, hold, [](FakeViewer& viewer) {
               return viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("up");
             });
           }}};
}

void killed_workers_give_everything_back(OnePort& f) {
  FakeBackend mute(silent());
  for (const int signal : {SIGKILL, SIGSEGV, SIGTERM, SIGABRT}) {
    for (const Phase& phase : phases(mute)) {
      std::list<Socket> hold;
      f.check(phase.enter(f, hold), phase.name);
      const bool replies = std::string_view(phase.name) == "reaching the backend";
      f.check(f.daemon.wait_workers(2), phase.name);
      const pid_t worker = f.newest_worker();
      send_signal(worker, signal);
      // A sanitizer writes its report first, and may take longer for it than the master for all the rest.
      f.check(wait_until([&] { return has_ended(worker); }), phase.name);
      const Deadline within_a_second(seconds(1));
      f.check(wait_until([&] { return f.daemon.workers().size() == 1; }, within_a_second), phase.name);
      // The connections of a session that was killed end with it.
      if (replies) {
        const Reply reply = parse_reply(hold.front().read_to_end());
        f.check(!reply.ok() && reply.is_json, reply.text);
      }
      const Reply next = f.ask_for_a_second();
      f.check(next.ok() && f.use_up(next.port), std::string(phase.name) + ": " + next.text);
      f.check(f.daemon.wait_workers(1));
    }
  }
}

void stopped_workers_are_ended_at_their_deadline(OneHastyPort& f) {
  FakeBackend mute(silent());
  Socket control = f.daemon.connect();
  control.send(Request{.destination_port = mute.port()}.json());
  f.check(mute.wait_connections(1) && f.daemon.wait_workers(2));
  send_signal(f.newest_worker(), SIGSTOP);
  const Reply reply = parse_reply(control.read_to_end());
  f.check(reply.failed("backend_timeout") || reply.failed("internal"), reply.text);
  f.check(f.daemon.wait_workers(1), "it is gone");

  f.check(f.ask_for_a_second().ok() && f.daemon.wait_workers(2), "the port is back");
  send_signal(f.newest_worker(), SIGSTOP);
  // Its deadline holds room for the steps of a viewer besides the two time-outs.
  f.check(f.daemon.wait_workers(1, seconds(60)), "a stopped worker that awaits its viewer is ended too");
  const Reply next = f.ask_for_a_second();
  f.check(next.ok() && f.use_up(next.port), next.text);
}

void many_in_a_row_leave_nothing(FewDescriptors& f) {
  const size_t leases = f.count_leases();
  f.check(leases == 40, std::to_string(leases));
  f.check(f.daemon.wait_workers(1));
  const size_t descriptors = f.settled_descriptors();
  unsigned failed = 0;
  FakeBackend rude([](Socket& socket) { socket.send("RFB 003.008\n"); });
  for (int i = 0; i < 1000; ++i) {
    switch (i % 10) {
      case 3:
        failed += f.daemon.request(Request{.destination_port = rude.port()}).ok() ? 1 : 0;
        break;
      case 5:
        failed += f.daemon.request("nonsense").failed("bad_request") ? 0 : 1;
        break;
      case 7: {  // used up by wrong passwords
        const uint16_t port = f.ask().port;
        for (int attempt = 0; attempt < 3; ++attempt) {
          FakeViewer viewer(port);
          failed += viewer.log_in("wrong") == Verdict::refused ? 0 : 1;
        }
        break;
      }
      default:
        failed += f.use_up(f.ask().port) ? 0 : 1;
    }
  }
  f.check(failed == 0, std::to_string(failed) + " of 1000");
  f.check(f.daemon.wait_workers(1), "one child: the witness's");
  const size_t descriptors_after = f.settled_descriptors();
  f.check(descriptors_after == descriptors,
          std::to_string(descriptors) + " descriptors, then " + std::to_string(descriptors_after));
  f.check(f.count_leases() == leases, "leases");
  f.check(f.daemon.wait_workers(1));
}

void many_at_once_all_echo(ManyPorts& f) {
  std::list<FakeViewer> viewers;
  for (int i = 0; i < 150; ++i) {
    viewers.push_back(f.session_to(f.echo_backend));
    if (!f.check(static_cast<bool>(viewers.back().socket), "session " + std::to_string(i))) return;
  }
  f.check(f.daemon.workers().size() == 151);
  for (int round = 0; round < 3; ++round) {
    uint64_t seed = 0;
    std::string text(8000, '\0');
    const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(text.data()), text.size());
    for (FakeViewer& viewer : viewers) {
      Pattern(++seed).fill(bytes);
      f.check(viewer.socket.send(text), "sent");
    }
    seed = 0;
    for (FakeViewer& viewer : viewers) {
      Pattern(++seed).fill(bytes);
      f.check(viewer.socket.read(text.size()) == text, "its own bytes came back");
    }
  }
  viewers.clear();
  f.check(f.daemon.wait_workers(1), "all workers are gone");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, ports_run_out_and_come_back),
      STAGED(DozenPorts, a_taken_port_is_said_to_be),
      STAGED(Fixture, foreign_listeners_are_stepped_around),
      STAGED(DozenPorts, ports_rest_while_others_are_free),
      STAGED(OnePort, failed_requests_cost_no_lease),
      STAGED(OnePort, killed_workers_give_everything_back),
      STAGED(OneHastyPort, stopped_workers_are_ended_at_their_deadline),
      STAGED(FewDescriptors, many_in_a_row_leave_nothing),
      STAGED(ManyPorts, many_at_once_all_echo),
  };
  return run_group("leases", tests);
}
