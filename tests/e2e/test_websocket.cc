// SPDX-License-Identifier: GPL-2.0-or-later
// Viewers behind WebSocket and TLS, through the real daemon: bytes, frames, goodbyes, and every breach of
// RFC 6455 that a peer can commit.
#include <atomic>
#include <string>
#include <vector>

#include "tests/support/pattern.h"
#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

using namespace opcode;

struct Fixture : WsStage {};

std::string pattern(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  Pattern(seed).fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

const UpgradeRequest kBase64{.protocols = "base64"};

// ---- bytes

void every_wrapping_echoes(Fixture& f) {
  for (const Kind& kind : kKinds) {
    WsViewer viewer = f.session(kind);
    f.check_kind(viewer.echoes("hello"), kind, "a word");
    f.check_kind(viewer.echoes(std::string(1, '\0')), kind, "a zero byte");
    f.check_kind(viewer.echoes(pattern(70000, 1)), kind, "a long message");
    f.check_kind(viewer.wire.silent_for(milliseconds(20)), kind, "nothing more");
  }
}

void each_byte_alone(Fixture& f) {
  for (const Kind& kind : kKinds) {
    WsViewer viewer = f.viewer(kind, f.forwarding(kind));
    f.check_kind(viewer.log_in(kViewerSecret, true) == Verdict::admitted, kind, "the handshake");
    f.check_kind(viewer.wire.send_each_byte(viewer.wrapped("slowly")) && viewer.read(6) == "slowly", kind,
                 "a message");
  }
}

void the_upgrade_byte_by_byte(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer(f.connect(kind, f.forwarding(kind)));
    viewer.in_frames = true;
    f.check_kind(viewer.wire.send_each_byte(UpgradeRequest().text()), kind, "sent");
    f.check_kind(read_answer(viewer.wire, false).status == 101, kind, "answered");
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted, kind, "admitted");
  }
}

// What follows the request in the same segment are frames already.
void frames_right_behind_the_request(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer(f.connect(kind, f.forwarding(kind)));
    const std::string early = make_frame(kPing, "early") + make_frame(kBinary, "RFB 003.008\n\2");
    f.check_kind(viewer.upgrade({}, early), kind, "upgraded");
    viewer.read(12 + 2);
    viewer.challenge = viewer.read(16).value_or("");
    f.check_kind(viewer.pongs == std::vector<std::string>{"early"}, kind, "the early ping");
    // And what follows the response goes to the backend.
    viewer.send(viewer.response(kViewerSecret) + "init");
    f.check_kind(viewer.read_result() == Verdict::admitted, kind, "admitted");
    f.check_kind(viewer.read(4) == "init", kind, "bytes behind the response");
  }
}

void a_lot_both_ways_at_once(Fixture& f) {
  const std::string bytes = pattern(8 << 20, 42);
  for (const Kind& kind : kKinds)
    for (const size_t message : {size_t{1000}, size_t{1} << 20}) {
      WsViewer viewer = f.session(kind);
      f.check_kind(viewer.exchange(bytes, message, bytes.size(), seconds(60)) == bytes, kind,
                   "8 MiB in messages of " + std::to_string(message));
    }
  WsViewer viewer = f.session(kWs, f.echo_backend, kBase64);
  f.check(viewer.exchange(bytes, 3001, bytes.size(), seconds(60)) == bytes, "8 MiB as base64");
}

// The way without copying, and the gathered one: bulk toward a viewer that reads it all, and input meanwhile.
void bulk_toward_the_viewer(Fixture& f) {
  constexpr uint64_t kBulk = 64 << 20;
  for (const Kind& kind : kKinds) {
    std::atomic<int64_t> received_intact{0};
    FakeBackend backend(flood(kBulk, 7, &received_intact));
    WsViewer viewer = f.session(kind, backend);
    Pattern expected(7), input(8);
    std::array<uint8_t, 1000> some;
    const auto received_all = [&] { return received_intact == static_cast<int64_t>(input.position()); };
    while (expected.position() < kBulk) {
      const auto piece = viewer.read(1 << 20);
      if (!piece) break;
      expected.check({reinterpret_cast<const uint8_t*>(piece->data()), piece->size()});
      if (expected.position() > kBulk / 2) continue;
      input.fill(some);
      viewer.send({reinterpret_cast<const char*>(some.data()), some.size()});
      if (expected.position() == kBulk / 2)
        f.check_kind(wait_until(received_all), kind, "toward the backend");
    }
    f.check_kind(expected.intact() && expected.position() == kBulk, kind, "toward the viewer");
    const Ending end = viewer.read_ending();
    f.check_kind(end.code == (kind.websocket ? 1000 : 0) && end.stream == Got::end, kind, "the end");
  }
}

void subprotocols(Fixture& f) {
  struct Row {
    const char *offered, *chosen;
  };
  static constexpr Row kGood[] = {{"", ""},
                                  {"binary", "binary"},
                                  {"binary, base64", "binary"},
                                  {"base64,binary", "binary"},
                                  {"chat, \tbase64 ,x", "base64"},
                                  {"base64", "base64"}};
  for (const Kind& kind : kWebSockets) {
    for (const Row& row : kGood) {
      WsViewer viewer = f.session(kind, f.echo_backend, {.protocols = row.offered});
      f.check_kind(viewer.answer.field("Sec-WebSocket-Protocol") == row.chosen, kind, row.offered);
      f.check_kind(viewer.answer.count("Sec-WebSocket-Protocol") == (*row.chosen != 0), kind, row.offered);
      f.check_kind(viewer.echoes("hello") && viewer.echoes(pattern(100, 3)), kind, row.offered);
    }
    const uint16_t port = f.forwarding(kind);
    for (const char* offered : {"chat", "Binary", "BASE64, v1.kvm.vnc", "binaryx"}) {
      WsViewer viewer(f.connect(kind, port));
      viewer.upgrade({.protocols = offered});
      f.check_kind(viewer.answer.status == 400, kind, offered);
    }
    WsViewer viewer =
        f.viewer(kind, port,
                 {.more = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat, binary\r\n"});
    f.check_kind(viewer.answer.field("Sec-WebSocket-Protocol") == "binary", kind, "offered in two lines");
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted, kind, "after refused ones");
  }
}

// Ganeti Web Manager's copy: offers base64 alone, comes from the panel's origin, sends text frames of whole,
// padded base64, gives up when the socket is not open after two seconds, and closes without a code.
void novnc_0_4(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    const Deadline patience(seconds(2));
    WsViewer viewer(f.connect(kind, port));
    f.check_kind(viewer.upgrade({.target = "/", .protocols = "base64"}), kind, "upgraded");
    f.check_kind(!patience.passed(), kind, "within two seconds");
    const auto greeting = viewer.read_frame();
    f.check_kind(greeting && greeting->opcode == kText && greeting->payload == "UkZCIDAwMy4wMDgK", kind,
                 "the greeting, one padded text");
    viewer.send("RFB 003.008\n");
    const auto types = viewer.read_frame();
    f.check_kind(types && types->opcode == kText && types->payload == "AQI=", kind, "the types");
    viewer.send("\2");
    viewer.challenge = viewer.read(16).value_or("");
    viewer.send(viewer.response(kViewerSecret));
    f.check_kind(viewer.read_result() == Verdict::admitted, kind, "admitted");
    f.check_kind(viewer.echoes("\1") && viewer.echoes("ab") && viewer.echoes("abc"), kind, "every padding");
    const std::string text = base64("in two fragments");
    viewer.wire.send(make_frame(kText, text.substr(0, 5), {.final = false}) +
                     make_frame(kContinuation, text.substr(5)));
    f.check_kind(viewer.read(16) == "in two fragments", kind, "a text cut within four characters");
    viewer.wire.send(make_frame(kClose, ""));
    f.check_kind(viewer.read_ending().code == 1005, kind, "closed");
  }
}

// ---- RFC 6455, case by case, as the Autobahn suite does it (what applies: there is no text here)

std::string fragments(std::string_view bytes, size_t size, const std::string& between = "") {
  std::string frames;
  for (size_t at = 0; at < bytes.size(); at += size) {
    const bool last = at + size >= bytes.size();
    frames += make_frame(at == 0 ? kBinary : kContinuation, bytes.substr(at, size), {.final = last});
    if (!last) frames += between;
  }
  return frames;
}

struct Case {
  std::string name;
  std::string sends;
  std::string echoed = {};  // payload that must come back
  std::string pong = {};    // the last one
  uint16_t close = 0;       // the code that ends it; 0: the session goes on
};

std::vector<Case> framing_cases() {
  std::vector<Case> cases;
  for (const size_t size : {0u, 1u, 124u, 125u, 126u, 127u, 128u, 65535u, 65536u})
    cases.push_back(
        {"1 payload of " + std::to_string(size), make_frame(kBinary, pattern(size, 1)), pattern(size, 1)});
  const std::string big = pattern(1 << 20, 2);
  cases.push_back({"1 payload of 1 MiB", make_frame(kBinary, big), big});
  cases.push_back({"9 1 MiB in fragments of 64", fragments(big, 64), big});
  cases.push_back({"9 1 MiB in fragments of 64 KiB", fragments(big, 65536), big});
  return cases;
}

std::vector<Case> ping_cases() {
  const std::string most = pattern(125, 3);
  return {
      {"2.1 empty", make_frame(kPing, ""), "", ""},
      {"2.2 text", make_frame(kPing, "Hello, world!"), "", "Hello, world!"},
      {"2.3 binary", make_frame(kPing, std::string("\0\xff\xfe\xfd\xfc\xfb\0\xff", 8)), "",
       std::string("\0\xff\xfe\xfd\xfc\xfb\0\xff", 8)},
      {"2.4 of 125 bytes", make_frame(kPing, most), "", most},
      {"2.5 of 126 bytes", make_frame(kPing, pattern(126, 3)), "", "", 1002},
      {"2.7 unsolicited pong", make_frame(kPong, ""), "", ""},
      {"2.8 unsolicited pong with payload", make_frame(kPong, "unsolicited"), "", ""},
      {"2.9 pong, then ping", make_frame(kPong, "unsolicited") + make_frame(kPing, "asked"), "", "asked"},
      {"5.1 fragmented ping", make_frame(kPing, "frag", {.final = false}) + make_frame(kContinuation, "ment"),
       "", "", 1002},
      {"5.2 fragmented pong", make_frame(kPong, "frag", {.final = false}) + make_frame(kContinuation, "ment"),
       "", "", 1002},
      {"5.7 ping between fragments", fragments("fragment", 4, make_frame(kPing, "in between")), "fragment",
       "in between"},
      {"5.19 pings between five fragments", fragments("fragments!", 2, make_frame(kPing, "pongme")),
       "fragments!", "pongme"},
  };
}

std::vector<Case> reserved_cases() {
  std::vector<Case> cases;
  for (uint8_t bits = 1; bits <= 7; ++bits)
    for (const uint8_t op : {kBinary, kPing, kClose})
      cases.push_back({"3 reserved bits " + std::to_string(bits) + " at opcode " + std::to_string(op),
                       make_frame(op, op == kClose ? close_payload(1000) : "x", {.reserved = bits}), "", "",
                       1002});
  for (const unsigned op : {3u, 4u, 5u, 6u, 7u, 11u, 12u, 13u, 14u, 15u})
    cases.push_back(
        {"4 reserved opcode " + std::to_string(op), make_frame(static_cast<uint8_t>(op), "x"), "", "", 1002});
  cases.push_back({"4 reserved opcode, empty, behind a good message",
                   make_frame(kBinary, "good") + make_frame(11, ""), "", "", 1002});
  return cases;
}

std::vector<Case> fragment_cases() {
  const FrameForm more{.final = false};
  return {
      {"5.3 two fragments", fragments("fragment", 4), "fragment"},
      {"5.6 each byte a fragment", fragments("fragment", 1), "fragment"},
      {"5 an empty fragment first", make_frame(kBinary, "", more) + make_frame(kContinuation, "x"), "x"},
      {"5 all fragments empty",
       make_frame(kBinary, "", more) + make_frame(kContinuation, "", more) + make_frame(kContinuation, "")},
      {"5.9 continuation of nothing", make_frame(kContinuation, "x"), "", "", 1002},
      {"5.10 continuation of nothing, more to come", make_frame(kContinuation, "x", more), "", "", 1002},
      {"5.15 continuation behind a whole message", fragments("ab", 1) + make_frame(kContinuation, "x"), "",
       "", 1002},
      {"5.18 a new message inside one", make_frame(kBinary, "a", more) + make_frame(kBinary, "b"), "", "",
       1002},
      {"5 a text inside a message", make_frame(kBinary, "a", more) + make_frame(kText, "b"), "", "", 1002},
  };
}

std::vector<Case> close_cases() {
  std::vector<Case> cases = {
      {"7.1.1 message, then close", make_frame(kBinary, "x") + make_frame(kClose, close_payload(1000)), "",
       "", 1000},
      {"7.1.2 two closes", make_frame(kClose, close_payload(1000)) + make_frame(kClose, close_payload(1001)),
       "", "", 1000},
      {"7.1.3 ping behind the close", make_frame(kClose, close_payload(1000)) + make_frame(kPing, "x"), "",
       "", 1000},
      {"7.1.4 message behind the close", make_frame(kClose, close_payload(1000)) + make_frame(kBinary, "x"),
       "", "", 1000},
      {"7.1.5 close inside a message",
       make_frame(kBinary, "x", {.final = false}) + make_frame(kClose, close_payload(1000)), "", "", 1000},
      {"7.3.1 no code", make_frame(kClose, ""), "", "", 1005},
      {"7.3.2 half a code", make_frame(kClose, "\3"), "", "", 1002},
      {"7.3.5 the longest reason", make_frame(kClose, close_payload(1000, std::string(123, 'x'))), "", "",
       1000},
      {"7.3.6 a reason too long", make_frame(kClose, close_payload(1000, std::string(124, 'x'))), "", "",
       1002},
      {"7.5.1 a reason that is no UTF-8", make_frame(kClose, close_payload(1000, "\xce\xba\xed\xa0\x80")), "",
       "", 1007},
      {"7 a fragmented close", make_frame(kClose, close_payload(1000), {.final = false}), "", "", 1002},
  };
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999})
    cases.push_back({"7.7 code " + std::to_string(code),
                     make_frame(kClose, close_payload(static_cast<uint16_t>(code))), "", "",
                     static_cast<uint16_t>(code)});
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
    cases.push_back({"7.9 code " + std::to_string(code),
                     make_frame(kClose, close_payload(static_cast<uint16_t>(code))), "", "", 1002});
  return cases;
}

bool behaves(WsViewer& viewer, const Case& row) {
  if (row.close != 0) {
    const Ending end = viewer.read_ending();
    return end.code == row.close && end.stream == Got::end;
  }
  if (viewer.read(row.echoed.size()) != row.echoed) return false;
  const std::string_view pong = viewer.pongs.empty() ? "" : std::string_view(viewer.pongs.back());
  if (!row.pong.empty() && pong != row.pong) {
    const auto frame = viewer.read_frame();
    if (!frame || frame->opcode != kPong || frame->payload != row.pong) return false;
  }
  if (!viewer.echoes("and on")) return false;
  viewer.send_close(1000);
  const Ending end = viewer.read_ending();
  return end.code == 1000 && end.stream == Got::end;
}

void perform_cases(Fixture& f, const std::vector<Case>& cases) {
  for (const Kind& kind : kWebSockets)
    for (const Case& row : cases) {
      WsViewer viewer = f.session(kind);
      viewer.wire.send(row.sends);  // it may end in the middle of it
      f.check_kind(behaves(viewer, row), kind, row.name);
      if (kind.tls || row.sends.size() > 300) continue;
      WsViewer slow = f.session(kind);
      slow.wire.send_each_byte(row.sends);
      f.check_kind(behaves(slow, row), kind, row.name + ", byte by byte");
    }
}

void case_by_case_framing(Fixture& f) {
  perform_cases(f, framing_cases());
}
void case_by_case_pings(Fixture& f) {
  perform_cases(f, ping_cases());
}
void case_by_case_reserved(Fixture& f) {
  perform_cases(f, reserved_cases());
}
void case_by_case_fragments(Fixture& f) {
  perform_cases(f, fragment_cases());
}
void case_by_case_closes(Fixture& f) {
  perform_cases(f, close_cases());
}

// A control frame is answered when it comes, not when the message around it is whole.
void a_ping_inside_an_open_message(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    viewer.wire.send(make_frame(kBinary, "half", {.final = false}) + make_frame(kPing, "now"));
    f.check_kind(viewer.read(4) == "half", kind, "payload goes on before the message is whole");
    const auto frame = viewer.pongs.empty() ? viewer.read_frame() : Frame{.opcode = kPong, .payload = "now"};
    f.check_kind(frame && frame->opcode == kPong && frame->payload == "now", kind, "the pong");
    viewer.wire.send(make_frame(kContinuation, "way"));
    f.check_kind(viewer.read(3) == "way", kind, "the rest");
  }
}

// A flood of pings by a viewer that does not read: the newest is answered, memory stays.
void a_flood_of_pings(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    const long before = f.memory_kib();
    std::string pings;
    for (int i = 0; i < 600'000; ++i) pings += make_frame(kPing, "");
    const std::string last = make_frame(kPing, "the last one");
    // Pushed as far as it goes; the daemon may stop reading, but need not.
    const bool sent = viewer.wire.send(pings, seconds(10)) && viewer.wire.send(last);
    f.check_kind(sent, kind, "the flood was taken");
    f.check_kind(f.memory_kib() < before + kMemorySlackKib, kind, "memory");
    f.check_kind(viewer.echoes("still there"), kind, "echo");
    f.check_kind(!viewer.pongs.empty() && viewer.pongs.back() == "the last one", kind, "the last pong");
  }
}

// ---- violations: the right code, nothing else harmed

struct Breach {
  const char* name;
  std::string sends;
  uint16_t code;
  bool base64 = false;
};

std::vector<Breach> breaches() {
  const std::string some(1000, 'x');
  return {
      {"no mask", make_frame(kBinary, "x", {.masked = false}), 1002},
      {"no mask on a ping", make_frame(kPing, "", {.masked = false}), 1002},
      {"no mask on a close", make_frame(kClose, close_payload(1000), {.masked = false}), 1002},
      {"reserved bit", make_frame(kBinary, "x", {.reserved = 4}), 1002},
      {"reserved opcode", make_frame(3, "x"), 1002},
      {"reserved control opcode", make_frame(15, "x"), 1002},
      {"oversized control frame", make_frame(kPing, some), 1002},
      {"fragmented control frame", make_frame(kPing, "x", {.final = false}), 1002},
      {"stray continuation", make_frame(kContinuation, "x"), 1002},
      {"2^63", make_frame(kBinary, some, {.length = 1ull << 63}), 1002},
      {"2^64 - 1", make_frame(kBinary, some, {.length = ~0ull}), 1002},
      {"2^63 - 1", make_frame(kBinary, some, {.length = (1ull << 63) - 1}), 1009},
      {"1 GiB", make_frame(kBinary, some, {.length = 1u << 30}), 1009},
      {"not the shortest form, 2", make_frame(kBinary, "x", {.length_bytes = 2}), 1002},
      {"not the shortest form, 8", make_frame(kBinary, some, {.length_bytes = 8}), 1002},
      {"text in binary mode", make_frame(kText, "hello"), 1003},
      {"empty text in binary mode", make_frame(kText, ""), 1003},
      {"binary in base64 mode", make_frame(kBinary, "hello"), 1003, true},
      {"no base64", make_frame(kText, "!!!!"), 1007, true},
      {"base64 without padding", make_frame(kText, "UkY"), 1007, true},
      {"base64 of another alphabet", make_frame(kText, "_-__"), 1007, true},
      {"base64 behind its padding", make_frame(kText, "AQI=AQI="), 1007, true},
      {"base64 with line breaks", make_frame(kText, "AQ\r\nI="), 1007, true},
      {"1 GiB of base64", make_frame(kText, some, {.length = 1u << 30}), 1009, true},
  };
}

void a_breach_ends_its_session_only(Fixture& f) {
  for (const Kind& kind : kWebSockets)
    for (const Breach& row : breaches()) {
      WsViewer viewer = f.session(kind, f.echo_backend, row.base64 ? kBase64 : UpgradeRequest{});
      f.check_kind(viewer.echoes("before"), kind, row.name);
      const long memory = f.memory_kib();
      viewer.wire.send(row.sends);
      const Ending end = viewer.read_ending();
      f.check_kind(end.code == row.code, kind, std::string(row.name) + ": " + std::to_string(end.code));
      f.check_kind(end.stream == Got::end, kind, row.name);
      f.check_kind(!end.reason.empty(), kind, row.name);  // it is told in words
      f.check_kind(f.memory_kib() < memory + kMemorySlackKib, kind, row.name);
      f.check_kind(f.daemon.wait_workers(1), kind, row.name);
      f.check_kind(f.witness.echoes("alive"), kind, row.name);
    }
}

void a_breach_before_the_password_costs_nothing(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    f.check_kind(f.viewer(kind, port).to_challenge(), kind, "a first one, for what each first one costs");
    const long memory = f.memory_kib();
    for (const Breach& row : breaches()) {
      WsViewer viewer = f.viewer(kind, port, row.base64 ? kBase64 : UpgradeRequest{});
      viewer.wire.send(row.sends);
      const Ending end = viewer.read_ending();
      f.check_kind(end.code == row.code, kind, std::string(row.name) + ": " + std::to_string(end.code));
      f.check_kind(end.stream == Got::end && !end.reason.empty(), kind, row.name);
    }
    f.check_kind(f.memory_kib() < memory + kMemorySlackKib, kind, "memory");
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted, kind, "and then the viewer");
    f.check_kind(viewer.echoes("hello"), kind, "and then the viewer");
  }
}

// One that announces a huge frame and really sends it: the close must not drown in what it still sends.
void a_huge_frame_that_is_really_sent(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    WsViewer viewer = f.session(kind);
    const long memory = f.memory_kib();
    viewer.wire.send(make_frame(kBinary, std::string(4 << 20, 'x'), {.length = 1u << 30}), seconds(5));
    const Ending end = viewer.read_ending();
    f.check_kind(end.code == 1009, kind, std::to_string(end.code));
    f.check_kind(f.memory_kib() < memory + kMemorySlackKib, kind, "memory");
  }
}

// The close of a viewer that breaks the protocol under a flood of data comes behind whole frames.
void a_breach_under_load(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    std::atomic<int64_t> ignored{0};
    FakeBackend backend(flood(uint64_t{1} << 30, 7, &ignored));
    WsViewer viewer = f.session(kind, backend);
    Pattern expected(7);
    const auto first = viewer.read(8 << 20);
    f.check_kind(first.has_value(), kind, "the flood");
    viewer.wire.send(make_frame(kText, "no"));
    const Ending end = viewer.read_ending();
    f.check_kind(end.code == 1003, kind, std::to_string(end.code));
  }
}

// Before success a handshake takes a few frames; whoever needs hundreds of them is up to something.
void too_many_frames_before_the_password(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    WsViewer viewer = f.viewer(kind, port);
    std::string pings;
    for (int i = 0; i < 400; ++i) pings += make_frame(kPing, "x");
    viewer.wire.send(pings);
    const Ending end = viewer.read_ending();
    f.check_kind(end.code == 1008 && end.stream != Got::nothing, kind, std::to_string(end.code));
    WsViewer next = f.viewer(kind, port);
    f.check_kind(next.log_in(kViewerSecret) == Verdict::admitted, kind, "and then the viewer");
  }
}

// ---- memory

// Whoever carried bulk once is as small again afterwards, also the third time.
void what_bulk_needed_goes_back(Fixture& f) {
  const std::string bulk = pattern(16'000'000, 6);
  for (const Kind& kind : kKinds) {
    FakeBackend backend([&bulk](Socket& socket) {
      if (!shake_hands(socket)) return;
      while (socket.read(1)) socket.send(bulk);
    });
    WsViewer viewer = f.session(kind, backend);
    const long before = f.memory_kib();
    for (int i = 0; i < 3; ++i) {
      viewer.send("!");
      f.check_kind(viewer.read(bulk.size()) == bulk, kind, "all of it");
      f.check_kind(wait_until([&] { return f.memory_kib() < before + kLeftOverKib; }), kind,
                   std::to_string(before) + " KiB before, then " + std::to_string(f.memory_kib()));
    }
  }
}

// ---- goodbyes

void the_viewer_closes(Fixture& f) {
  for (const Kind& kind : kKinds) {
    Recorder recorder;
    FakeBackend backend(record(&recorder));
    WsViewer viewer = f.session(kind, backend);
    viewer.send("last words");
    if (kind.websocket)
      viewer.send_close(1001, "tab closed");
    else
      viewer.wire.say_goodbye(), viewer.wire.socket.finish_sending();
    const Ending end = viewer.read_ending();
    f.check_kind(end.code == (kind.websocket ? 1001 : 0) && end.stream == Got::end, kind, "answered");
    f.check_kind(!kind.tls || viewer.wire.goodbye_came(), kind, "close_notify");
    f.check_kind(recorder.wait_end() && recorder.bytes() == "last words", kind, "the backend got it all");
    f.check_kind(f.daemon.wait_log("Client connection closed"), kind, "log");
  }
}

// A tab that crashed, a cable that was pulled: the end of the stream without a word.
void the_viewer_vanishes(Fixture& f) {
  for (const Kind& kind : kKinds)
    for (const bool by_reset : {false, true}) {
      Recorder recorder;
      FakeBackend backend(record(&recorder));
      WsViewer viewer = f.session(kind, backend);
      viewer.send("last words");
      f.check_kind(recorder.wait_size(10), kind, "sent");
      if (by_reset)
        viewer.wire.socket.reset();
      else
        viewer.wire.socket.close();
      f.check_kind(recorder.wait_end() && recorder.bytes() == "last words", kind, "the backend is told");
      f.check_kind(f.daemon.wait_workers(1), kind, "the worker is gone");
    }
}

void the_backend_closes(Fixture& f) {
  const std::string bytes = pattern(300'000, 5);
  for (const Kind& kind : kKinds) {
    FakeBackend backend(say_and_close(bytes));
    WsViewer viewer = f.session(kind, backend);
    std::string rest;
    const Ending end = viewer.read_ending(&rest);
    f.check_kind(rest == bytes, kind, "all of it, before the goodbye");
    f.check_kind(end.code == (kind.websocket ? 1000 : 0) && end.stream == Got::end, kind, "1000");
    f.check_kind(!kind.tls || viewer.wire.goodbye_came(), kind, "close_notify");
  }
}

void the_backend_resets(Fixture& f) {
  for (const Kind& kind : kKinds) {
    FakeBackend backend([](Socket& socket) {
      if (!shake_hands(socket)) return;
      socket.read(1);
      socket.reset();
    });
    WsViewer viewer = f.session(kind, backend);
    viewer.send("x");
    const Ending end = viewer.read_ending();
    f.check_kind(end.code == (kind.websocket ? 1011 : 0) && end.stream == Got::end, kind, "1011");
  }
}

void the_daemon_stops(Fixture& f) {
  WsViewer live[] = {f.session(kWs), f.session(kWss), f.session(kTls)};
  WsViewer waiting[] = {f.viewer(kWs, f.forwarding(kWs)), f.viewer(kWss, f.forwarding(kWss))};
  for (WsViewer& viewer : waiting) f.check(viewer.to_challenge(), "a viewer at its challenge");
  f.expect_no_daemon();
  f.check(f.daemon.stop() == 0, "exit status");
  for (WsViewer& viewer : live) {
    const Ending end = viewer.read_ending();
    f.check(end.code == (viewer.in_frames ? 1001 : 0) && end.stream == Got::end, "1001");
  }
  for (WsViewer& viewer : waiting) {
    f.check(viewer.read_result() == Verdict::refused && !viewer.reason.empty(), "told in RFB");
    const Ending end = viewer.read_ending();
    f.check(end.code == 1008 || end.code == 1001, "told in WebSocket");
  }
}

void a_wrong_password_is_told_twice(Fixture& f) {
  for (const Kind& kind : kKinds) {
    const uint16_t port = f.forwarding(kind);
    for (int attempt = 0; attempt < 3; ++attempt) {
      WsViewer viewer = f.viewer(kind, port);
      f.check_kind(viewer.log_in("wrong") == Verdict::refused, kind, "refused");
      f.check_kind(viewer.reason == "Authentication failed", kind, viewer.reason);
      const Ending end = viewer.read_ending();
      f.check_kind(end.code == (kind.websocket ? 1008 : 0) && end.stream == Got::end, kind, "1008");
      f.check_kind(!kind.websocket || end.reason == "Authentication failed", kind, end.reason);
    }
    f.check_kind(wait_until([&] { return connection_refused("127.0.0.1", port); }), kind,
                 "three tries, then it is over");
  }
}

void the_first_one_wins(Fixture& f) {
  for (const Kind& kind : kKinds) {
    const uint16_t port = f.forwarding(kind);
    WsViewer slow = f.viewer(kind, port);
    f.check_kind(slow.to_challenge(), kind, "the slow one");
    WsViewer fast = f.viewer(kind, port);
    f.check_kind(fast.log_in(kViewerSecret) == Verdict::admitted, kind, "the fast one");
    f.check_kind(slow.wire.silent_for(milliseconds(100)), kind, "browsers would not show it yet");
    slow.send(slow.response(kViewerSecret));
    f.check_kind(slow.read_result() == Verdict::refused && slow.reason == "Another viewer was first", kind,
                 slow.reason);
    const Ending end = slow.read_ending();
    f.check_kind(end.code == (kind.websocket ? 1008 : 0) && end.stream == Got::end, kind, "1008");
    f.check_kind(fast.echoes("hello"), kind, "the fast one has it");
  }
}

// The 101 goes out while the backend has gone: a browser's page waits two seconds for it, no more.
void the_101_waits_for_nobody(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    std::atomic<bool> left{false};
    FakeBackend backend([&left](Socket& socket) {
      if (left.exchange(true)) {
        socket.read(1);  // reached again, it says nothing
      } else if (shake_hands(socket)) {
        socket.reset();
      }
    });
    const uint16_t port = f.forwarding(kind, backend);
    f.check_kind(backend.wait_connections(2), kind, "reached again");
    const Deadline patience(seconds(2));
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.wire.established() && !patience.passed(), kind, "101");
    f.check_kind(viewer.read(12) == "RFB 003.008\n", kind, "and the greeting");
  }
}

// A viewer that does not read what a fast backend sends costs no memory (promise 23).
void a_viewer_that_does_not_read(Fixture& f) {
  for (const Kind& kind : kKinds) {
    std::atomic<int64_t> ignored{0};
    FakeBackend backend(flood(uint64_t{1} << 30, 7, &ignored));
    WsViewer viewer = f.session(kind, backend, {}, 64 * 1024);
    const long before = f.memory_kib();
    // What comes through here shows that the daemon was at it, and had time to take in all it wants.
    f.check_kind(viewer.read(1 << 20).has_value(), kind, "the flood");
    f.check_kind(f.memory_kib() < before + 8 * 1024 + kMemorySlackKib, kind, "memory");
    f.check_kind(f.witness.echoes("alive"), kind, "witness");
  }
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, every_wrapping_echoes),
      STAGED(Fixture, each_byte_alone),
      STAGED(Fixture, the_upgrade_byte_by_byte),
      STAGED(Fixture, frames_right_behind_the_request),
      STAGED(Fixture, a_lot_both_ways_at_once),
      STAGED(Fixture, bulk_toward_the_viewer),
      STAGED(Fixture, subprotocols),
      STAGED(Fixture, novnc_0_4),
      STAGED(Fixture, case_by_case_framing),
      STAGED(Fixture, case_by_case_pings),
      STAGED(Fixture, case_by_case_reserved),
      STAGED(Fixture, case_by_case_fragments),
      STAGED(Fixture, case_by_case_closes),
      STAGED(Fixture, a_ping_inside_an_open_message),
      STAGED(Fixture, a_flood_of_pings),
      STAGED(Fixture, a_breach_ends_its_session_only),
      STAGED(Fixture, a_breach_before_the_password_costs_nothing),
      STAGED(Fixture, a_huge_frame_that_is_really_sent),
      STAGED(Fixture, a_breach_under_load),
      STAGED(Fixture, too_many_frames_before_the_password),
      STAGED(Fixture, what_bulk_needed_goes_back),
      STAGED(Fixture, the_viewer_closes),
      STAGED(Fixture, the_viewer_vanishes),
      STAGED(Fixture, the_backend_closes),
      STAGED(Fixture, the_backend_resets),
      STAGED(Fixture, the_daemon_stops),
      STAGED(Fixture, a_wrong_password_is_told_twice),
      STAGED(Fixture, the_first_one_wins),
      STAGED(Fixture, the_101_waits_for_nobody),
      STAGED(Fixture, a_viewer_that_does_not_read),
  };
  return run_group("websocket", tests);
}
