// SPDX-License-Identifier: GPL-2.0-or-later
// What a killed master or a killed nursery leaves behind, with each target of the log: live sessions, waiting
// ports and viewers at their password go on, and what they log is theirs.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/pattern.h"
#include "vncauthproxy/proto/vnc_auth.h"

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

template <LogTo to>
struct Orphans : Stage {
  Orphans() : Stage({.log = to}) {}

  // By then the kernel has closed all that the master had.
  void kill_master() {
    daemon.signal(SIGKILL);
    check(daemon.wait() == 128 + SIGKILL);
    expect_no_daemon();
  }
  // Of one forwarding, after the master's end. Where the daemon's log is a file, they are in the real system
  // logger's hands, which no test may read.
  void check_line(const std::string& text) {
    if (to != LogTo::file) check(daemon.wait_log(text), "logged: " + text);
  }
};

template <LogTo to>
void all_forwardings_go_on(Orphans<to>& f) {
  const uint16_t waiting = f.daemon.forwarding_to(f.echo_backend.port());
  const uint16_t busy = f.daemon.forwarding_to(f.echo_backend.port());
  FakeViewer at_password(busy);
  f.check(at_password.to_challenge(), "the third one's viewer is at its password");

  f.kill_master();
  for (const char* word : {"without", "a", "master"}) f.check(f.witness.echoes(word), word);
  f.check(connection_refused("127.0.0.1", f.daemon.port()), "no worker holds the control port");
  f.check(at_password.send_response(kViewerSecret) && at_password.read_result() == Verdict::admitted &&
              at_password.echoes("typed"),
          "the third one's viewer is let in");
  FakeViewer late(waiting);
  f.check(late.log_in(kViewerSecret) == Verdict::admitted && late.echoes("late"),
          "the second one's viewer is let in");

  {
    const Daemon next({.log = to});
    f.check(next.forwarding_to(f.echo_backend.port()) != 0, "a new master serves beside them");
    f.check(f.witness.echoes("beside the next one"));
  }
  for (FakeViewer* viewer : {&f.witness, &at_password, &late}) viewer->socket.close();
  f.check(f.echo_backend.wait_all_ended(), "and all end with their viewers");
  for (const unsigned nth : {1u, 2u, 3u}) {
    f.check_line(": " + f.daemon.forwarding(nth) + "the master is gone");
    f.check_line(": " + f.daemon.forwarding(nth) + "ended: ");
  }
  f.check_line(": " + f.daemon.forwarding(2) + "viewer 127.0.0.1:");
}

// Wide enough that the sockets' buffers do not hold the rest of it.
template <LogTo to>
void bulk_goes_on(Orphans<to>& f) {
  static constexpr uint64_t kMuch = uint64_t{100} * 1024 * 1024;
  std::atomic<int64_t> received{0};
  FakeBackend backend(flood(kMuch, 1, &received));
  FakeViewer viewer = f.session_to(backend);
  Pattern expected(1);
  std::vector<uint8_t> room(65536);
  size_t got = 0;
  Got how = Got::nothing;
  bool killed = false;
  while ((how = viewer.socket.read_some(room, &got, seconds(60))) == Got::data) {
    if (!expected.check({room.data(), got})) break;
    if (killed || expected.position() < kMuch / 3) continue;
    f.kill_master();
    killed = true;
  }
  f.check(expected.intact() && expected.position() == kMuch && how == Got::end,
          std::to_string(expected.position()) + " bytes");
  viewer.socket.close();
  f.check(backend.wait_all_ended());
  f.check_line(": " + f.daemon.forwarding(2) + "ended: ");
  f.check_line(" 104857600 bytes to the viewer, 0 from it,");
}

// Requests are under way when it dies. One that died young would be started again a second later, so that a
// nursery that cannot live costs little.
template <LogTo to>
void a_killed_nursery_costs_no_forwarding(Orphans<to>& f) {
  const uint16_t waiting = f.daemon.forwarding_to(f.echo_backend.port());
  const Request request{.destination_port = f.echo_backend.port()};
  const Deadline grown_up(milliseconds(1500));
  wait_until([&] { return grown_up.passed(); });
  const pid_t nursery = nursery_of(f.daemon.pid());
  std::vector<Socket> under_way;
  for (int i = 0; i < 8; ++i) {
    under_way.push_back(f.daemon.connect());
    under_way.back().send(request.json());
  }
  send_signal(nursery, SIGKILL);
  Reply reply;
  const bool soon =
      wait_until([&] { return (reply = f.daemon.request(request)).ok(); }, Deadline(seconds(1)));
  f.check(nursery > 0 && soon, "requests are answered within a second: " + reply.text);
  f.check(f.witness.echoes("goes on"), "the live session");
  for (Socket& control : under_way)
    f.check(parse_reply(control.read_to_end()).is_json, "each request has its answer");
  FakeViewer late(waiting), next(reply.port);
  f.check(late.log_in(kViewerSecret) == Verdict::admitted && late.echoes("late"), "the port that waited");
  f.check(next.log_in(kViewerSecret) == Verdict::admitted && next.echoes("next"), "the port of afterwards");
  const pid_t other = nursery_of(f.daemon.pid());
  f.check(other > 0 && other != nursery, "there is another nursery");
  f.check(f.daemon.wait_log("the nursery ended"), "which is logged");
  late.socket.close();
  f.check(f.daemon.wait_log(": " + f.daemon.forwarding(2) + "ended: Client connection closed"),
          "the end of a session that outlived its nursery");
}

// A worker may not write to files, and a stderr that is one must not cost it its life.
void a_line_on_stderr_kills_no_worker(Stage& f) {
  const std::vector<pid_t> workers = f.daemon.workers();
  if (!f.check(workers.size() == 1)) return;
  const uint64_t ignored = std::strtoull(status_field(workers[0], "SigIgn").c_str(), nullptr, 16);
  for (const int signal : {SIGXFSZ, SIGPIPE}) f.check((ignored >> (signal - 1) & 1) != 0, strsignal(signal));
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;
  const CMUnitTest tests[] = {
      STAGED(Orphans<LogTo::file>, all_forwardings_go_on<LogTo::file>),
      STAGED(Orphans<LogTo::syslog>, all_forwardings_go_on<LogTo::syslog>),
      STAGED(Orphans<LogTo::standard_error>, all_forwardings_go_on<LogTo::standard_error>),
      STAGED(Orphans<LogTo::file>, bulk_goes_on<LogTo::file>),
      STAGED(Orphans<LogTo::syslog>, bulk_goes_on<LogTo::syslog>),
      STAGED(Orphans<LogTo::standard_error>, bulk_goes_on<LogTo::standard_error>),
      STAGED(Orphans<LogTo::file>, a_killed_nursery_costs_no_forwarding<LogTo::file>),
      STAGED(Orphans<LogTo::syslog>, a_killed_nursery_costs_no_forwarding<LogTo::syslog>),
      STAGED(Orphans<LogTo::standard_error>, a_killed_nursery_costs_no_forwarding<LogTo::standard_error>),
      STAGED(Stage, a_line_on_stderr_kills_no_worker),
  };
  return run_group("orphans", tests);
}
