// SPDX-License-Identifier: GPL-2.0-or-later
// --ws-ping-interval and --ws-timeout: a quiet line is asked for a sign of life each interval, a busy one is
// not, and one from which nothing comes for long enough is given up.
#include <atomic>
#include <string>

#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

constexpr milliseconds kInterval{300};

constexpr milliseconds kTimeout{1500};

struct Asking : WsStage {
  Asking() : WsStage({"--ws-ping-interval", "0.3", "--ws-timeout", "1.5"}) {}
};
struct Patient : WsStage {
  Patient() : WsStage({"--ws-ping-interval", "0.1"}) {}
};
struct Endless : WsStage {
  Endless() : WsStage({"--ws-ping-interval", "0.1", "--ws-timeout", "0"}) {}
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

// Its answers are signs of life, but no reason not to ask again.
void it_is_asked_each_interval(Asking& f) {
  constexpr int kPings = 10;
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    const auto before = Deadline::Clock::now();
    for (int i = 0; i < kPings && viewer.read_frame(); ++i) viewer.wire.send(make_frame(opcode::kPong, ""));
    const auto took = Deadline::Clock::now() - before;
    f.check_kind(took < kPings * kInterval * 3 / 2, kind, "not each second one");
    f.check_kind(took > kPings * kInterval * 3 / 4, kind, "no more often");
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

void one_that_does_not_answer_in_time_is_given_up(Asking& f) {
  for (const Kind& kind : kWebSockets) {
    Recorder recorder;
    FakeBackend backend(record(&recorder));
    WsViewer viewer = f.session(kind, backend);
    const size_t log_before = f.daemon.log_size();
    f.check_kind(viewer.read_frame().has_value(), kind, "a ping");
    const auto first_ping = Deadline::Clock::now();
    viewer.answers_pings = false;
    const Ending end = viewer.read_ending(nullptr, seconds(5));  // without the time that other ends are given
    f.check_kind(end.stream != Got::nothing, kind, "the end");
    f.check_kind(Deadline::Clock::now() - first_ping > kTimeout * 9 / 10, kind, "no sooner");
    f.check_kind(viewer.pings >= 3, kind, "asked again and again");
    f.check_kind(recorder.wait_end(), kind, "the backend is told");
    f.check_kind(f.daemon.wait_log("Client went quiet: no answer to a ping for 1.5 seconds", {}, log_before),
                 kind, "the log says which side");
  }
}

// Any frame is a sign of life, not pongs alone.
void data_answers_too(Asking& f) {
  WsViewer viewer = f.session(kWs);
  viewer.answers_pings = false;
  for (const Deadline end(3 * kTimeout); !end.passed();) {
    f.check(viewer.echoes("alive"), "echo");
    wait_fd(viewer.wire.socket.get(), 0, kTimeout / 2);  // a pause
  }
}

// And so is any byte: on a slow line a large frame is under way for long.
void each_byte_answers(Asking& f) {
  WsViewer viewer = f.session(kWs);
  viewer.answers_pings = false;
  const std::string frame = make_frame(opcode::kBinary, std::string(200, 'x'));
  size_t sent = 0;
  for (const Deadline end(3 * kTimeout); !end.passed() && sent < frame.size(); ++sent) {
    f.check(viewer.wire.send(frame.substr(sent, 1)), "a byte");
    wait_fd(viewer.wire.socket.get(), 0, kTimeout / 5);  // a pause
  }
  f.check(viewer.wire.send(frame.substr(sent)) && viewer.read(200).has_value(), "all of it");
}

// A browser that sleeps for a minute, or whose script is busy with what the kernel holds for it.
void patience_is_the_default(Patient& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    viewer.answers_pings = false;
    for (int i = 0; i < 25; ++i) f.check_kind(viewer.read_frame().has_value(), kind, "a ping");
    f.check_kind(viewer.echoes("still here"), kind, "alive");
  }
}

void without_a_timeout_there_is_no_end(Endless& f) {
  WsViewer viewer = f.session(kWs);
  viewer.answers_pings = false;
  for (int i = 0; i < 25; ++i) f.check(viewer.read_frame().has_value(), "a ping");
  f.check(viewer.echoes("still here"), "alive");
}

// What a viewer sends is not read while the server takes nothing; that is not the viewer's fault.
void a_server_that_does_not_read_is_no_quiet_viewer(Asking& f) {
  constexpr size_t kSize = 15 << 20;
  std::atomic<bool> go_on{false};
  std::atomic<size_t> received{0};
  FakeBackend backend([&](Socket& socket) {
    if (!shake_hands(socket) || !wait_until([&] { return go_on.load(); }, seconds(60))) return;
    received = socket.read_to_end().size();
  });
  WsViewer viewer = f.session(kWs, backend);
  const std::string frame = make_frame(opcode::kBinary, std::string(kSize, 'x'));
  const std::string both = frame + frame;
  size_t sent = 0;
  while (sent < both.size() && wait_fd(viewer.wire.socket.get(), POLLOUT, milliseconds(500)))
    sent += viewer.wire.socket.send_some(std::string_view(both).substr(sent));
  f.check(sent < both.size(), "nothing is taken any more");
  wait_fd(viewer.wire.socket.get(), 0, 2 * kTimeout);
  go_on = true;
  f.check(viewer.wire.send(std::string_view(both).substr(sent)), "it goes on");
  f.check(viewer.send_close(1000) && backend.wait_all_ended() && received == 2 * kSize, "all of it");
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
      STAGED(Asking, a_quiet_line_is_asked),
      STAGED(Asking, it_is_asked_each_interval),
      STAGED(Asking, each_byte_answers),
      STAGED(Patient, patience_is_the_default),
      STAGED(Endless, without_a_timeout_there_is_no_end),
      STAGED(Asking, a_server_that_does_not_read_is_no_quiet_viewer),
      STAGED(Asking, a_busy_line_is_not_asked),
      STAGED(Asking, one_that_does_not_answer_in_time_is_given_up),
      STAGED(Asking, data_answers_too),
      STAGED(Asking, other_types_are_left_alone),
      STAGED(Silent, zero_is_off),
  };
  return run_group("keepalive", tests);
}
