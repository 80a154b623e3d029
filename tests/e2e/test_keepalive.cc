// SPDX-License-Identifier: GPL-2.0-or-later
// --ws-ping-interval: a quiet line is asked for a sign of life, a busy one is not, and one that owes two
// answers is given up.
#include <string>

#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

constexpr milliseconds kInterval{300};

struct Asking : WsStage {
  Asking() : WsStage({"--ws-ping-interval", "0.3"}) {}
};
struct Silent : WsStage {
  Silent() : WsStage({"--ws-ping-interval", "0"}) {}
};

void a_quiet_line_is_asked(Asking& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    for (int i = 0; i < 5; ++i) {
      const auto frame = viewer.read_frame();
      f.check_kind(frame && frame->opcode == opcode::kPing && frame->payload.empty(), kind, "a ping");
      viewer.wire.send(make_frame(opcode::kPong, ""));
    }
    f.check_kind(viewer.echoes("still here"), kind, "it answered, so it lives on");
  }
}

// One attempt: how long the longest silence of the viewer was, and how often it was asked meanwhile.
struct Busy {
  milliseconds longest{0};
  size_t pings = 0;
};
Busy be_busy(WsViewer& viewer) {
  using Clock = Deadline::Clock;
  Busy busy;
  const size_t before = viewer.pings;
  auto last = Clock::now();
  for (const Deadline end(5 * kInterval); !end.passed() && viewer.echoes("busy");) {
    const auto now = Clock::now();
    busy.longest = std::max(busy.longest, std::chrono::duration_cast<milliseconds>(now - last));
    last = now;
  }
  busy.pings = viewer.pings - before;
  return busy;
}

void a_busy_line_is_not_asked(Asking& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    // On a crowded machine this process itself may be quiet for too long; then it has to try again.
    Busy busy = be_busy(viewer);
    for (int i = 0; i < 10 && busy.longest > kInterval / 3; ++i) busy = be_busy(viewer);
    if (busy.longest <= kInterval / 3) f.check_kind(busy.pings == 0, kind, "no ping");
    f.check_kind(viewer.echoes("still here"), kind, "alive");
  }
}

void two_unanswered_pings_end_it(Asking& f) {
  for (const Kind& kind : kWebSockets) {
    Recorder recorder;
    FakeBackend backend(record(&recorder));
    WsViewer viewer = f.session(kind, backend);
    const size_t log_before = f.daemon.log_size();
    for (int i = 0; i < 2; ++i) f.check_kind(viewer.read_frame().has_value(), kind, "a ping");
    const Ending end = viewer.read_ending(nullptr, seconds(4));  // without the time that other ends are given
    f.check_kind(end.stream != Got::nothing, kind, "the end");
    f.check_kind(viewer.pings == 0, kind, "no third ping");
    f.check_kind(recorder.wait_end(), kind, "the backend is told");
    f.check_kind(f.daemon.wait_log("Client went quiet, two pings are unanswered", {}, log_before), kind,
                 "the log says which side");
  }
}

// Any frame is a sign of life, not pongs alone.
void data_answers_too(Asking& f) {
  WsViewer viewer = f.session(kWs);
  viewer.answers_pings = false;
  for (const Deadline end(8 * kInterval); !end.passed();) {
    f.check(viewer.echoes("alive"), "echo");
    wait_fd(viewer.wire.socket.get(), 0, kInterval / 2);  // a pause
  }
}

// There are no pings in RFB.
void other_types_are_left_alone(Asking& f) {
  WsViewer viewer = f.session(kTls);
  f.check(viewer.wire.silent_for(5 * kInterval), "not a byte");
  f.check(viewer.echoes("still here"), "alive");
}

void zero_is_off(Silent& f) {
  WsViewer viewer = f.session(kWs);
  f.check(viewer.wire.silent_for(5 * kInterval), "not a byte");
  f.check(viewer.echoes("still here"), "alive");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Asking, a_quiet_line_is_asked),       STAGED(Asking, a_busy_line_is_not_asked),
      STAGED(Asking, two_unanswered_pings_end_it), STAGED(Asking, data_answers_too),
      STAGED(Asking, other_types_are_left_alone),  STAGED(Silent, zero_is_off),
  };
  return run_group("keepalive", tests);
}
