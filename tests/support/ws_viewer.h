// SPDX-License-Identifier: GPL-2.0-or-later
// A VNC viewer behind any wrapping: {plain, TLS} x {RFB, RFB in WebSocket}, the latter in binary frames or as
// base64 in text ones. And the single frame, right or wrong in every respect. The client's half of RFC 6455
// is written here anew and not taken from the daemon, so that both cannot be wrong in the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fake_viewer.h"
#include "tests/support/wire.h"

namespace vncauthproxy::testing {

// ---- frames

namespace opcode {
inline constexpr uint8_t kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10;
}

struct FrameForm {
  bool final = true;
  uint8_t reserved = 0;  // the three bits, 0 to 7
  bool masked = true;
  // What the header says instead of the truth, and in how many bytes (1, 2 or 8; 0: the shortest form).
  std::optional<uint64_t> length = {};
  int length_bytes = 0;
};
std::string make_frame(uint8_t opcode, std::string_view payload, const FrameForm& form = {});
std::string close_payload(uint16_t code, std::string_view reason = "");

struct Frame {  // as it came
  bool final = false, masked = false;
  uint8_t reserved = 0, opcode = 0;
  std::string payload;
};

std::string base64(std::string_view bytes);
std::string base64_decoded(std::string_view text);

// ---- HTTP

struct HttpAnswer {
  unsigned status = 0;  // 0: none came
  std::string head, body;
  // The value of a field, blanks trimmed; "" when there is none. The name in any case.
  std::string field(std::string_view name) const;
  size_t count(std::string_view name) const;
};
// One answer; the body by Content-Length, unless it answers HEAD.
HttpAnswer read_answer(Wire& wire, bool has_body = true, Deadline deadline = {});

struct UpgradeRequest {
  std::string target = "/websockify";
  std::string protocols = {};  // the value of Sec-WebSocket-Protocol; empty: none
  std::string more = {};       // further lines, each with its CRLF
  std::string text() const;
};

// ---- the viewer

// How a conversation ended: the code and the reason of the close frame (0: none came, 1005: it had no code),
// and what came of the stream behind it.
struct Ending {
  uint16_t code = 0;
  std::string reason;
  Got stream = Got::nothing;
};

class WsViewer {
 public:
  WsViewer() = default;
  explicit WsViewer(Wire connected) : wire(std::move(connected)) {}

  // Sends the request, with `early` in the same segment, and reads the answer: true when it is a right 101.
  bool upgrade(const UpgradeRequest& request = {}, std::string_view early = {});
  // The whole handshake of RFB 3.8, over whatever wrapping there is. `by_byte`: each byte in a frame and a
  // segment of its own.
  Verdict log_in(std::string_view password = "VwMk7f3a", bool by_byte = false);
  // Its first half: all before the response.
  bool to_challenge();
  std::string response(std::string_view password) const;
  Verdict read_result();

  // RFB bytes in one message; bytes as they are when there are no frames.
  bool send(std::string_view rfb);
  std::string wrapped(std::string_view rfb) const;
  std::optional<std::string> read(size_t count, Deadline deadline = {});
  bool echoes(std::string_view text, Deadline deadline = {});
  // Sends `out` in messages of `message` bytes and reads `expected` bytes meanwhile. What came.
  std::string exchange(std::string_view out, size_t message, size_t expected, Deadline deadline = {});

  // The next frame; pings are not answered. nullopt: no whole one came (see `last`).
  std::optional<Frame> read_frame(Deadline deadline = {});
  // Reads on until the conversation is over; payload that still comes is added to *rest.
  Ending read_ending(std::string* rest = nullptr, Deadline deadline = {});
  bool send_close(uint16_t code, std::string_view reason = "");

  Wire wire;
  HttpAnswer answer;      // to the upgrade
  std::string challenge;  // of RFB
  std::string reason;     // of a refusal by RFB
  bool in_frames = false, in_base64 = false;
  bool answers_pings = true;
  size_t pings = 0, data_frames = 0;  // received
  std::vector<std::string> pongs;     // received payloads

 private:
  bool take_frame(Frame* frame);
  bool fill(Deadline deadline);
  bool take_in(const Frame& frame);  // false: it was a close
  bool put(std::string_view rfb);

  std::string in_;       // raw bytes not yet parsed
  std::string payload_;  // RFB not yet read
  Got last_ = Got::data;
  bool by_byte_ = false;
  std::optional<Ending> closed_;
};

}  // namespace vncauthproxy::testing
