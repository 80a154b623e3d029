// SPDX-License-Identifier: GPL-2.0-or-later
// WebSocket frames: RFC 6455's own examples, a table after the cases of the Autobahn suite that apply here,
// each fed whole, byte by byte and cut at every point, and what must not grow memory.
#include "vncauthproxy/proto/ws_codec.h"

#include <malloc.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::NoFixture;
using Mode = WsCodec::Mode;

// ---- what a client sends

enum : unsigned { kCont = 0, kText = 1, kBin = 2, kClose = 8, kPing = 9, kPong = 10, kFin = 0x80 };
enum Mask { masked, unmasked };

std::string number(uint64_t value, size_t width) {
  std::string bytes;
  while (width-- > 0) bytes.push_back(static_cast<char>(value >> (8 * width)));
  return bytes;
}

std::string with_mask(std::string_view payload) {
  constexpr std::string_view key = "\x37\xFA\x21\x3D";
  std::string bytes(key);
  for (size_t i = 0; i < payload.size(); ++i) bytes.push_back(static_cast<char>(payload[i] ^ key[i % 4]));
  return bytes;
}

// `head` is the whole first byte but for FIN, which is set unless kMore is given.
constexpr unsigned kMore = 0x100;
std::string frame(unsigned head, std::string_view payload, Mask mask = masked) {
  const uint8_t mask_bit = mask == masked ? 0x80 : 0;
  std::string bytes(1, static_cast<char>((head & kMore) != 0 ? head : head | kFin));
  const size_t size = payload.size();
  if (size < 126) {
    bytes += number(mask_bit | size, 1);
  } else if (size <= 0xFFFF) {
    bytes += number(mask_bit | 126, 1) + number(size, 2);
  } else {
    bytes += number(mask_bit | 127, 1) + number(size, 8);
  }
  return bytes + (mask == masked ? with_mask(payload) : std::string(payload));
}

// A frame whose length is written in `width` bytes, whatever the shortest form is; a few bytes of payload.
std::string lying_frame(unsigned head, uint64_t length, size_t width) {
  return number(head | kFin, 1) + number(width == 2 ? 0xFE : 0xFF, 1) + number(length, width) +
         with_mask("some");
}

std::string close_frame(unsigned code, std::string_view reason = "") {
  return frame(kClose, number(code, 2) + std::string(reason));
}

std::string noise(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

std::string base64(std::string_view plain) {
  return to_base64(base::as_bytes(plain));
}

// ---- what comes of it

struct Outcome {
  std::string payload, sent, close_reason;
  unsigned failure = 0, peer_close = 0;
  uint64_t frames = 0, pongs = 0;
  bool operator==(const Outcome&) const = default;
};

std::string take(WsCodec& codec) {
  std::array<uint8_t, WsCodec::kMaxControlOutput> room{};
  const size_t size = codec.take_control(room);
  return std::string(base::as_text(base::Bytes(room).first(size)));
}

// `out` is exactly as large as decode() asks for: a sanitizer sees a byte too many.
std::string decode(WsCodec& codec, std::string_view raw) {
  std::vector<uint8_t> out(raw.size() + WsCodec::kDecodeSlack);
  const size_t size = codec.decode(base::as_bytes(raw), out);
  return std::string(base::as_text(base::Bytes(out).first(size)));
}

// Pieces of `step` bytes after a first one of `first`; control frames are taken at the end only, so the
// outcome must not depend on the pieces.
Outcome run(Mode mode, std::string_view wire, size_t first, size_t step) {
  WsCodec codec(mode);
  Outcome outcome;
  for (size_t piece = first; !wire.empty(); piece = step) {
    piece = std::min(piece, wire.size());
    outcome.payload += decode(codec, wire.substr(0, piece));
    wire.remove_prefix(piece);
  }
  outcome.sent = take(codec);
  outcome.failure = codec.failure().code;
  outcome.peer_close = codec.peer_close().code;
  outcome.close_reason = outcome.failure != 0 ? codec.failure().reason : codec.peer_close().reason;
  outcome.frames = codec.frames();
  outcome.pongs = codec.pongs();
  return outcome;
}

struct Fixture {
  std::string wire, payload, expected, got;
  Outcome outcome, other;
  std::optional<WsCodec> codec;
};

// Leaves the outcome in f.outcome; false when some way to cut f.wire has another.
bool run_all_ways(Fixture& f, Mode mode) {
  const size_t size = f.wire.size();
  f.outcome = run(mode, f.wire, size, size);
  if ((f.other = run(mode, f.wire, 1, 1)) != f.outcome) return false;
  if ((f.other = run(mode, f.wire, 3, 4096)) != f.outcome) return false;
  const size_t stride = size < 600 ? 1 : size / 50;
  for (size_t cut = 1; cut < size; cut += stride)
    if ((f.other = run(mode, f.wire, cut, size)) != f.outcome) return false;
  return true;
}

// ---- the table

// What a server sends at the end: a pong, and the close that the outcome calls for.
std::string expected_answer(const Outcome& outcome, const char* pong) {
  std::string sent;
  if (pong) sent += frame(kPong, pong, unmasked);
  if (outcome.failure != 0)
    return sent + frame(kClose, number(outcome.failure, 2) + outcome.close_reason, unmasked);
  if (outcome.peer_close == kCloseNoCode) return sent + frame(kClose, "", unmasked);
  if (outcome.peer_close != 0) return sent + frame(kClose, number(outcome.peer_close, 2), unmasked);
  return sent;
}

struct Row {
  const char* name;
  std::string (*wire)();
  std::string (*payload)();  // nullptr: none
  unsigned failure = 0;
  unsigned peer_close = 0;
  const char* pong = nullptr;  // the payload of the one that is sent; nullptr: none is
};

void check_rows(Fixture& f, Mode mode, std::span<const Row> rows) {
  for (const Row& row : rows) {
    f.wire = row.wire();
    f.payload = row.payload ? row.payload() : "";
    if (!run_all_ways(f, mode)) fail_msg("%s: the outcome depends on how the bytes come", row.name);
    if (f.outcome.failure != row.failure || f.outcome.peer_close != row.peer_close)
      fail_msg("%s: failure %u, close %u", row.name, f.outcome.failure, f.outcome.peer_close);
    const bool same_payload = f.outcome.payload == f.payload;
    if (!same_payload) fail_msg("%s: %zu bytes of payload", row.name, f.outcome.payload.size());
    f.expected = expected_answer(f.outcome, row.pong);
    const bool same_answer = f.outcome.sent == f.expected;
    if (!same_answer) fail_msg("%s: other control frames are sent", row.name);
  }
}

constexpr unsigned kBad = kCloseProtocolError;

#define WIRE(...) [] { return std::string(__VA_ARGS__); }

void frames_of_every_size(Fixture& f) {
  const Row rows[] = {
      {"empty", WIRE(frame(kBin, "")), nullptr},
      {"1", WIRE(frame(kBin, "x")), WIRE("x")},
      {"125", WIRE(frame(kBin, noise(125))), WIRE(noise(125))},
      {"126", WIRE(frame(kBin, noise(126))), WIRE(noise(126))},
      {"127", WIRE(frame(kBin, noise(127))), WIRE(noise(127))},
      {"128", WIRE(frame(kBin, noise(128))), WIRE(noise(128))},
      {"65535", WIRE(frame(kBin, noise(65535))), WIRE(noise(65535))},
      {"65536", WIRE(frame(kBin, noise(65536))), WIRE(noise(65536))},
      {"several", WIRE(frame(kBin, "ab") + frame(kBin, "") + frame(kBin, "cd")), WIRE("abcd")},
      {"begun", WIRE(frame(kBin, "abcdef").substr(0, 9)), WIRE("abc")},
      {"length not in its shortest form, 16 bits", WIRE(lying_frame(kBin, 125, 2)), nullptr, kBad},
      {"length not in its shortest form, 64 bits", WIRE(lying_frame(kBin, 65535, 8)), nullptr, kBad},
      {"length 0 in 64 bits", WIRE(lying_frame(kBin, 0, 8)), nullptr, kBad},
      {"top bit of the length", WIRE(lying_frame(kBin, uint64_t{1} << 63, 8)), nullptr, kBad},
      {"top bit, header only", WIRE(lying_frame(kBin, uint64_t{1} << 63, 8).substr(0, 10)), nullptr, kBad},
      {"the largest", WIRE(lying_frame(kBin, kMaxFramePayload, 8)), WIRE("some")},
      {"larger than that", WIRE(lying_frame(kBin, kMaxFramePayload + 1, 8)), nullptr, kCloseTooBig},
      {"2^30", WIRE(lying_frame(kBin, uint64_t{1} << 30, 8)), nullptr, kCloseTooBig},
      {"2^63 - 1", WIRE(lying_frame(kBin, (uint64_t{1} << 63) - 1, 8)), nullptr, kCloseTooBig},
      {"no mask", WIRE(frame(kBin, "abc", unmasked)), nullptr, kBad},
      {"no mask, empty", WIRE(frame(kBin, "", unmasked)), nullptr, kBad},
      {"no mask on a ping", WIRE(frame(kPing, "abc", unmasked)), nullptr, kBad},
      {"no mask on a close", WIRE(frame(kClose, "", unmasked)), nullptr, kBad},
      {"no mask after a good frame", WIRE(frame(kBin, "abc") + frame(kBin, "def", unmasked)), WIRE("abc"),
       kBad},
      {"text", WIRE(frame(kText, "abc")), nullptr, kCloseUnsupportedData},
      {"empty text", WIRE(frame(kText, "")), nullptr, kCloseUnsupportedData},
      {"text after binary", WIRE(frame(kBin, "a") + frame(kText, "b") + frame(kBin, "c")), WIRE("a"),
       kCloseUnsupportedData},
  };
  check_rows(f, Mode::binary, rows);
}

void pings_and_pongs(Fixture& f) {
  const Row rows[] = {
      {"ping without payload", WIRE(frame(kPing, "")), nullptr, 0, 0, ""},
      {"ping", WIRE(frame(kPing, "Hello")), nullptr, 0, 0, "Hello"},
      {"ping of bytes", WIRE(frame(kPing, "\xFE\xFF\x01")), nullptr, 0, 0, "\xFE\xFF\x01"},
      {"ping of 126 bytes", WIRE(frame(kPing, noise(126))), nullptr, kBad},
      {"ping of 65536 bytes", WIRE(frame(kPing, noise(65536))), nullptr, kBad},
      {"ping with a 16-bit length", WIRE(lying_frame(kPing, 4, 2)), nullptr, kBad},
      {"fragmented ping", WIRE(frame(kPing | kMore, "He") + frame(kCont, "llo")), nullptr, kBad},
      {"fragmented pong", WIRE(frame(kPong | kMore, "He") + frame(kCont, "llo")), nullptr, kBad},
      {"fragmented close", WIRE(frame(kClose | kMore, "") + frame(kCont, "")), nullptr, kBad},
      {"ten pings, the newest is answered",
       WIRE(frame(kPing, "1") + frame(kPing, "2") + frame(kPing, "3") + frame(kPing, "4") +
            frame(kPing, "5") + frame(kPing, "6") + frame(kPing, "7") + frame(kPing, "8") +
            frame(kPing, "9") + frame(kPing, "ten")),
       nullptr, 0, 0, "ten"},
      {"half a ping after a ping", WIRE(frame(kPing, "one") + frame(kPing, "other").substr(0, 8)), nullptr, 0,
       0, "one"},
      {"pong nobody asked for", WIRE(frame(kPong, "")), nullptr},
      {"such a pong with payload, then a ping", WIRE(frame(kPong, "x") + frame(kPing, "y")), nullptr, 0, 0,
       "y"},
      {"pong of 126 bytes", WIRE(frame(kPong, noise(126))), nullptr, kBad},
      {"ping between data", WIRE(frame(kBin, "a") + frame(kPing, "p") + frame(kBin, "b")), WIRE("ab"), 0, 0,
       "p"},
      {"ping, then a breach", WIRE(frame(kPing, "p") + frame(kText, "")), nullptr, kCloseUnsupportedData, 0,
       "p"},
  };
  check_rows(f, Mode::binary, rows);

  for (size_t size = 0; size <= kMaxControlPayload; ++size) {
    f.payload = noise(size);
    f.wire = frame(kPing, f.payload);
    f.expected = frame(kPong, f.payload, unmasked);
    const bool same =
        run_all_ways(f, Mode::binary) && f.outcome.sent == f.expected && f.outcome.payload.empty();
    if (!same) fail_msg("ping of %zu bytes", size);
  }
}

void reserved_bits_and_opcodes(Fixture& f) {
  for (unsigned head = 0; head < 0x80; ++head) {
    const unsigned opcode = head & 15;
    const bool good = head == kBin || head == kPing || head == kPong || head == kClose;
    if (good || head == kText) continue;
    for (const bool alone : {true, false}) {
      f.wire = (alone ? "" : frame(kBin, "good")) + frame(head, alone ? "" : "bad");
      f.payload = alone ? "" : "good";
      const bool same = run_all_ways(f, Mode::binary) && f.outcome.failure == kBad &&
                        f.outcome.payload == f.payload &&
                        f.outcome.sent == expected_answer(f.outcome, nullptr);
      if (!same) fail_msg("bits %u, opcode %u: %u", head >> 4, opcode, f.outcome.failure);
    }
  }
}

void fragments(Fixture& f) {
  const Row rows[] = {
      {"two", WIRE(frame(kBin | kMore, "Hel") + frame(kCont, "lo")), WIRE("Hello")},
      {"empty ones", WIRE(frame(kBin | kMore, "") + frame(kCont | kMore, "") + frame(kCont, "")), nullptr},
      {"empty but the middle one",
       WIRE(frame(kBin | kMore, "") + frame(kCont | kMore, "a") + frame(kCont, "")), WIRE("a")},
      {"ping between", WIRE(frame(kBin | kMore, "a") + frame(kPing, "p") + frame(kCont, "b")), WIRE("ab"), 0,
       0, "p"},
      {"pings and pongs between",
       WIRE(frame(kBin | kMore, "a") + frame(kPing, "p") + frame(kCont | kMore, "b") + frame(kPong, "q") +
            frame(kPing, "r") + frame(kCont, "c") + frame(kBin, "d")),
       WIRE("abcd"), 0, 0, "r"},
      {"close between", WIRE(frame(kBin | kMore, "a") + close_frame(1000) + frame(kCont, "b")), WIRE("a"), 0,
       1000},
      {"endless", WIRE(frame(kBin | kMore, "a") + frame(kCont | kMore, "b") + frame(kCont | kMore, "c")),
       WIRE("abc")},
      {"continuation of nothing", WIRE(frame(kCont, "a") + frame(kBin, "b")), nullptr, kBad},
      {"unfinished continuation of nothing", WIRE(frame(kCont | kMore, "a") + frame(kBin, "b")), nullptr,
       kBad},
      {"continuation after a whole message", WIRE(frame(kBin, "a") + frame(kCont, "b")), WIRE("a"), kBad},
      {"continuation after a finished one",
       WIRE(frame(kBin | kMore, "a") + frame(kCont, "b") + frame(kCont, "c")), WIRE("ab"), kBad},
      {"new message inside", WIRE(frame(kBin | kMore, "a") + frame(kBin, "b")), WIRE("a"), kBad},
      {"new fragmented message inside", WIRE(frame(kBin | kMore, "a") + frame(kBin | kMore, "b")), WIRE("a"),
       kBad},
      {"text inside", WIRE(frame(kBin | kMore, "a") + frame(kText, "b")), WIRE("a"), kBad},
      {"large ones", WIRE(frame(kBin | kMore, noise(70000)) + frame(kPing, "p") + frame(kCont, noise(66000))),
       WIRE(noise(70000) + noise(66000)), 0, 0, "p"},
  };
  check_rows(f, Mode::binary, rows);
}

void closes(Fixture& f) {
  const Row rows[] = {
      {"normal", WIRE(close_frame(1000)), nullptr, 0, 1000},
      {"with a reason", WIRE(close_frame(1001, "bye")), nullptr, 0, 1001},
      {"without a code", WIRE(frame(kClose, "")), nullptr, 0, kCloseNoCode},
      {"half a code", WIRE(frame(kClose, "a")), nullptr, kBad},
      {"the longest reason", WIRE(close_frame(1000, std::string(123, 'x'))), nullptr, 0, 1000},
      {"a reason too long", WIRE(close_frame(1000, std::string(124, 'x'))), nullptr, kBad},
      {"reason in UTF-8", WIRE(close_frame(1000, "\xC2\xA2 \xE2\x82\xAC \xF0\x90\x8D\x88 \xF4\x8F\xBF\xBF")),
       nullptr, 0, 1000},
      {"reason cut inside a character", WIRE(close_frame(1000, "ab\xE2\x82")), nullptr, kCloseInvalidData},
      {"reason with a stray byte", WIRE(close_frame(1000, "a\x80")), nullptr, kCloseInvalidData},
      {"reason in Latin-1", WIRE(close_frame(1000, "\xE9t\xE9")), nullptr, kCloseInvalidData},
      {"reason with a surrogate", WIRE(close_frame(1000, "\xED\xA0\x80")), nullptr, kCloseInvalidData},
      {"reason with an overlong slash", WIRE(close_frame(1000, "\xC0\xAF")), nullptr, kCloseInvalidData},
      {"reason with an overlong form, three bytes", WIRE(close_frame(1000, "\xE0\x9F\xBF")), nullptr,
       kCloseInvalidData},
      {"reason with an overlong form, four bytes", WIRE(close_frame(1000, "\xF0\x8F\xBF\xBF")), nullptr,
       kCloseInvalidData},
      {"reason above U+10FFFF", WIRE(close_frame(1000, "\xF4\x90\x80\x80")), nullptr, kCloseInvalidData},
      {"reason with byte FF", WIRE(close_frame(1000, "\xFF")), nullptr, kCloseInvalidData},
      {"two of them", WIRE(close_frame(1000) + close_frame(1001)), nullptr, 0, 1000},
      {"then a ping", WIRE(close_frame(1000) + frame(kPing, "p")), nullptr, 0, 1000},
      {"then data", WIRE(frame(kBin, "a") + close_frame(1000) + frame(kBin, "b")), WIRE("a"), 0, 1000},
      {"then a breach", WIRE(close_frame(1000) + frame(kText, "x", unmasked)), nullptr, 0, 1000},
      {"a breach, then a close", WIRE(frame(kText, "x") + close_frame(1000)), nullptr, kCloseUnsupportedData},
      {"after a ping", WIRE(frame(kPing, "p") + close_frame(1000)), nullptr, 0, 1000, "p"},
      {"after much data", WIRE(frame(kBin, noise(100000)) + close_frame(1000) + frame(kPing, "p")),
       WIRE(noise(100000)), 0, 1000},
  };
  check_rows(f, Mode::binary, rows);

  f.wire = close_frame(4000, "gone \xE2\x82\xAC");
  const bool reason = run_all_ways(f, Mode::binary) && f.outcome.close_reason == "gone \xE2\x82\xAC";
  assert_true(reason);
}

void every_close_code(Fixture& f) {
  unsigned legal = 0;
  for (unsigned code = 0; code < 0x10000; ++code) {
    const bool listed =
        (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
    legal += listed;
    f.wire = close_frame(code, "why");
    f.outcome = run(Mode::binary, f.wire, f.wire.size(), f.wire.size());
    const bool right = listed ? f.outcome.peer_close == code && f.outcome.failure == 0
                              : f.outcome.peer_close == 0 && f.outcome.failure == kBad;
    if (!right) fail_msg("close code %u: failure %u", code, f.outcome.failure);
  }
  assert_int_equal(legal, 2012);
}

void messages_in_base64(Fixture& f) {
  const Row rows[] = {
      {"whole", WIRE(frame(kText, "SGVsbG8=")), WIRE("Hello")},
      {"empty", WIRE(frame(kText, "")), nullptr},
      {"two messages", WIRE(frame(kText, "SGVsbG8=") + frame(kText, "IQ==")), WIRE("Hello!")},
      {"every byte", WIRE(frame(kText, base64(noise(256)))), WIRE(noise(256))},
      {"fragments that cut a group of four",
       WIRE(frame(kText | kMore, "S") + frame(kCont | kMore, "GVsbG") + frame(kCont, "8=")), WIRE("Hello")},
      {"control frames between",
       WIRE(frame(kText | kMore, "SGV") + frame(kPing, "p!") + frame(kPong, "=") + frame(kCont, "sbG8=")),
       WIRE("Hello"), 0, 0, "p!"},
      {"a large one", WIRE(frame(kText, base64(noise(100000)))), WIRE(noise(100000))},
      {"binary frame", WIRE(frame(kBin, "SGVsbG8=")), nullptr, kCloseUnsupportedData},
      {"no padding", WIRE(frame(kText, "SGVsbG8")), WIRE("Hel"), kCloseInvalidData},
      {"blank", WIRE(frame(kText, "SGVs bG8=")), WIRE("Hel"), kCloseInvalidData},
      {"line end", WIRE(frame(kText, "SGVsbG8=\n")), WIRE("Hello"), kCloseInvalidData},
      {"the alphabet of URLs", WIRE(frame(kText, "-_-_")), nullptr, kCloseInvalidData},
      {"no base64 at all", WIRE(frame(kText, "\xFF\xFE")), nullptr, kCloseInvalidData},
      {"two texts in one message", WIRE(frame(kText | kMore, "IQ==") + frame(kCont, "IQ==")), WIRE("!"),
       kCloseInvalidData},
      {"a text over two messages", WIRE(frame(kText, "SGV") + frame(kText, "sbG8=")), nullptr,
       kCloseInvalidData},
      {"bad, then good", WIRE(frame(kText, "!") + frame(kText, "IQ==")), nullptr, kCloseInvalidData},
      {"too big", WIRE(lying_frame(kText, kMaxFramePayload + 1, 8)), nullptr, kCloseTooBig},
      {"close", WIRE(frame(kText, "IQ==") + close_frame(1000)), WIRE("!"), 0, 1000},
  };
  check_rows(f, Mode::base64, rows);
}

// ---- examples of RFC 6455 section 5.7

void the_examples_of_the_rfc(Fixture& f) {
  f.wire = "\x8A\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";  // a masked pong
  bool good = run_all_ways(f, Mode::binary) && f.outcome.pongs == 1 && f.outcome.sent.empty();
  assert_true(good);
  f.wire[0] = '\x82';  // the masked Hello, in a binary frame
  good = run_all_ways(f, Mode::binary) && f.outcome.payload == "Hello";
  assert_true(good);
  f.wire[0] = '\x89';  // a masked ping, and the pong the RFC shows without its mask
  good = run_all_ways(f, Mode::binary) && f.outcome.sent == "\x8A\x05Hello";
  assert_true(good);
  f.wire[0] = '\x81';  // its text frame as it stands
  good = run_all_ways(f, Mode::binary) && f.outcome.failure == kCloseUnsupportedData;
  assert_true(good);
}

void headers_of_frames_sent(NoFixture&) {
  struct {
    uint64_t size;
    WsOpcode opcode;
    std::string_view bytes;
  } const rows[] = {
      {5, WsOpcode::text, "\x81\x05"},
      {5, WsOpcode::ping, "\x89\x05"},
      {0, WsOpcode::binary, "\x82\x00"sv},
      {125, WsOpcode::binary, "\x82\x7D"},
      {126, WsOpcode::binary, "\x82\x7E\x00\x7E"sv},
      {256, WsOpcode::binary, "\x82\x7E\x01\x00"sv},
      {65535, WsOpcode::binary, "\x82\x7E\xFF\xFF"},
      {65536, WsOpcode::binary, "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"sv},
      {uint64_t{1} << 40, WsOpcode::binary, "\x82\x7F\x00\x00\x01\x00\x00\x00\x00\x00"sv},
  };
  for (const auto& row : rows) {
    const FrameHeader header = frame_header(row.size, row.opcode);
    assert_int_equal(header.size, row.bytes.size());
    assert_memory_equal(header.bytes.data(), row.bytes.data(), header.size);
  }
}

void base64_messages_sent(NoFixture&) {
  uint8_t room[300];
  for (size_t size = 0; size < 200; ++size) {
    uint8_t plain[200], back[200 + Base64Decoder::kSlack];
    for (size_t i = 0; i < size; ++i) plain[i] = static_cast<uint8_t>(i * 37 + size);
    base::ByteWriter out({room, base64_frame_size(size)});
    put_base64_frame(base::Bytes(plain, size), out);
    assert_true(out.ok());
    assert_int_equal(out.size(), base64_frame_size(size));
    const FrameHeader header = frame_header(base64_size(size), WsOpcode::text);
    assert_memory_equal(room, header.bytes.data(), header.size);
    base::ByteWriter decoded(back);
    Base64Decoder decoder;
    assert_true(decoder.feed(out.written().subspan(header.size), decoded));
    assert_true(decoder.finish());
    assert_int_equal(decoded.size(), size);
    assert_memory_equal(back, plain, size);
  }
}

// ---- one side after the other

void pings_are_answered_as_they_come(Fixture& f) {
  WsCodec& codec = f.codec.emplace(Mode::binary);
  for (const std::string_view word : {"a"sv, "b"sv, ""sv}) {
    f.got = decode(codec, frame(kPing, word));
    f.got += take(codec);
    f.expected = frame(kPong, word, unmasked);
    const bool same = f.got == f.expected && !codec.has_control();
    assert_true(same);
  }
  f.got = take(codec);
  assert_int_equal(f.got.size(), 0);
}

void sends_one_ping_at_a_time(Fixture& f) {
  WsCodec& codec = f.codec.emplace(Mode::binary);
  codec.ping();
  codec.ping();
  decode(codec, frame(kPing, "theirs"));
  f.got = take(codec);
  f.expected = frame(kPong, "theirs", unmasked) + frame(kPing, "", unmasked);
  bool same = f.got == f.expected && codec.pongs() == 0;
  assert_true(same);
  f.payload = decode(codec, frame(kPong, "") + frame(kBin, "x"));
  same = codec.pongs() == 1 && f.payload == "x";
  assert_true(same);
}

void after_our_close_only_the_peers_counts(Fixture& f) {
  WsCodec& codec = f.codec.emplace(Mode::base64);
  decode(codec, frame(kPing, "before") + frame(kText | kMore, "SG"));
  codec.close(1001, "the daemon stops");
  codec.close(1011, "too late");
  codec.ping();
  f.payload = decode(codec, frame(kPing, "after") + frame(kCont, "***") + frame(kText, "SGVs"));
  const bool queued =
      codec.close_queued() && !codec.close_sent() && codec.has_control() && !codec.input_over();
  f.got = take(codec);
  f.expected =
      frame(kPong, "before", unmasked) + frame(kClose, number(1001, 2) + "the daemon stops", unmasked);
  const bool same = f.got == f.expected && f.payload.empty();
  const bool sent = codec.close_sent() && codec.failure().code == 0;
  assert_true(queued && same && sent);

  decode(codec, close_frame(1001, "ok"));
  f.got = take(codec);
  const bool over = codec.input_over() && codec.peer_close().code == 1001 &&
                    codec.peer_close().reason == "ok" && f.got.empty();
  assert_true(over);
}

void a_breach_after_our_close_is_noted_only(Fixture& f) {
  WsCodec& codec = f.codec.emplace(Mode::binary);
  codec.close(1000, "");
  f.got = take(codec);
  decode(codec, frame(kText, "x"));
  const bool noted =
      codec.failure().code == kCloseUnsupportedData && !codec.has_control() && codec.close_sent();
  assert_true(noted);
}

void close_reasons_are_cut_at_a_character(Fixture& f) {
  struct {
    const char* name;
    std::string (*reason)();
    std::string (*sent)();
  } const rows[] = {
      {"fits", WIRE(std::string(123, 'x')), WIRE(std::string(123, 'x'))},
      {"too long", WIRE(std::string(500, 'x')), WIRE(std::string(123, 'x'))},
      {"two bytes at the end", WIRE(std::string(122, 'x') + "\xC3\xA9"), WIRE(std::string(122, 'x'))},
      {"they fit", WIRE(std::string(121, 'x') + "\xC3\xA9z"), WIRE(std::string(121, 'x') + "\xC3\xA9")},
      {"four bytes", WIRE(std::string(120, 'x') + "\xF0\x9F\x98\x80"), WIRE(std::string(120, 'x'))},
      {"not UTF-8", WIRE("ab\xFFxy"), WIRE("ab")},
  };
  for (const auto& row : rows) {
    f.codec.emplace(Mode::binary).close(1008, row.reason());
    f.got = take(*f.codec);
    f.expected = frame(kClose, number(1008, 2) + row.sent(), unmasked);
    const bool same = f.got == f.expected;
    if (!same) fail_msg("%s", row.name);
  }
  f.codec.emplace(Mode::binary).close(kCloseNoCode, "");
  f.got = take(*f.codec);
  const bool empty = f.got == std::string_view("\x88\x00", 2);
  assert_true(empty);
}

void counts_frames(Fixture& f) {
  f.wire = frame(kBin | kMore, "") + frame(kPing, "") + frame(kCont, "abc") + frame(kPong, "").substr(0, 5);
  const bool same = run_all_ways(f, Mode::binary);
  assert_true(same);
  assert_int_equal(f.outcome.frames, 3);
}

// ---- memory

void floods_do_not_grow_memory(Fixture& f) {
  const size_t at_first = ::mallinfo2().uordblks;
  WsCodec& codec = f.codec.emplace(Mode::binary);
  const size_t with_codec = ::mallinfo2().uordblks;
  assert_true(with_codec - at_first <= 8 * 1024);
  assert_true(sizeof(WsCodec) <= 1024);

  // 16 KiB at a time, never taking what is to be sent: pings, then empty fragments, then a huge message.
  f.wire.clear();
  for (unsigned i = 0; i < 100'000; ++i) f.wire += frame(kPing, number(i, 4));
  for (unsigned i = 0; i < 100'000; ++i) f.wire += frame(i == 0 ? kBin | kMore : kCont | kMore, "");
  f.wire += lying_frame(kCont, kMaxFramePayload, 8);
  static uint8_t out[16 * 1024 + WsCodec::kDecodeSlack];
  const size_t before = ::mallinfo2().uordblks;
  size_t payload = 0, most = before;
  for (std::string_view rest = f.wire; !rest.empty();
       rest.remove_prefix(std::min<size_t>(rest.size(), 16 * 1024))) {
    payload += codec.decode(base::as_bytes(rest.substr(0, 16 * 1024)), out);
    most = std::max<size_t>(most, ::mallinfo2().uordblks);
  }
  assert_int_equal(most, before);
  assert_int_equal(payload, 4);
  assert_int_equal(codec.frames(), 200'001);
  assert_int_equal(codec.failure().code, 0);
  f.got = take(codec);
  f.expected = frame(kPong, number(99'999, 4), unmasked);
  const bool newest = f.got == f.expected;
  assert_true(newest);
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(Fixture, frames_of_every_size),
      TEST(Fixture, pings_and_pongs),
      TEST(Fixture, reserved_bits_and_opcodes),
      TEST(Fixture, fragments),
      TEST(Fixture, closes),
      TEST(Fixture, every_close_code),
      TEST(Fixture, messages_in_base64),
      TEST(Fixture, the_examples_of_the_rfc),
      TEST(NoFixture, headers_of_frames_sent),
      TEST(NoFixture, base64_messages_sent),
      TEST(Fixture, pings_are_answered_as_they_come),
      TEST(Fixture, sends_one_ping_at_a_time),
      TEST(Fixture, after_our_close_only_the_peers_counts),
      TEST(Fixture, a_breach_after_our_close_is_noted_only),
      TEST(Fixture, close_reasons_are_cut_at_a_character),
      TEST(Fixture, counts_frames),
      TEST(Fixture, floods_do_not_grow_memory),
  };
  return vncauthproxy::testing::run_group("ws_codec", tests);
}
