// SPDX-License-Identifier: GPL-2.0-or-later
// WebSocket frames <-> payload, for a server (RFC 6455 sections 5 and 7). Pure: bytes in, bytes out.
//
// wslay's frame API finds the frames and takes the mask off, fed from memory; everything else is decided
// here. Its event API is not used: it allocates a pong for each ping, hides the opcode of a payload, accepts
// text and one-byte closes, and tells the peer nothing about a malformed frame. Nothing is allocated after
// the constructor, whatever the peer sends. A breach in a header is noticed with the first byte of the
// payload at the latest.
#pragma once

#include <wslay/wslay.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/proto/base64.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::proto {

// Nothing of a frame is kept, so this guards no memory: it ends peers that lie about lengths, and is large
// enough for any clipboard a viewer sends.
inline constexpr uint64_t kMaxFramePayload = 16 * 1024 * 1024;
inline constexpr size_t kMaxControlPayload = 125;
inline constexpr size_t kMaxCloseReason = kMaxControlPayload - 2;

// Codes of section 7.4.1, as this program sends them.
inline constexpr uint16_t kCloseNormal = 1000;
inline constexpr uint16_t kCloseGoingAway = 1001;
inline constexpr uint16_t kCloseProtocolError = 1002;
inline constexpr uint16_t kCloseUnsupportedData = 1003;
inline constexpr uint16_t kCloseNoCode = 1005;  // never on the wire: a close frame without a code
inline constexpr uint16_t kCloseInvalidData = 1007;
inline constexpr uint16_t kClosePolicy = 1008;
inline constexpr uint16_t kCloseTooBig = 1009;
inline constexpr uint16_t kCloseInternalError = 1011;

// May a peer send this code in a close frame? (RFC 6455 section 7.4 and the registry it founded)
bool legal_close_code(uint16_t code);

// ---- outgoing data

enum class WsOpcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// The header of one whole, unmasked frame, in its shortest form. The payload goes right behind it.
struct FrameHeader {
  std::array<uint8_t, 10> bytes{};
  size_t size = 0;
  base::Bytes view() const { return base::Bytes(bytes).first(size); }
};
FrameHeader frame_header(uint64_t payload_size, WsOpcode opcode);

// A message of the subprotocol base64: one text frame. Writes base64_frame_size(payload.size()) bytes.
size_t base64_frame_size(size_t payload_size);
void put_base64_frame(base::Bytes payload, base::ByteWriter& out);

// ---- one connection

class WsCodec {
 public:
  enum class Mode : uint8_t {
    binary,  // payload as it is, in binary frames
    base64   // each message one padded base64 text, in text frames
  };
  // What is the most that take_control() writes: a pong, a ping and a close.
  static constexpr size_t kMaxControlOutput = 3 * (2 + kMaxControlPayload);
  // `out` of decode() must hold that much more than `raw` has.
  static constexpr size_t kDecodeSlack = Base64Decoder::kSlack;

  struct Close {
    uint16_t code = 0;  // 0: there is none
    std::string_view reason;
  };

  explicit WsCodec(Mode mode);  // throws std::bad_alloc
  WsCodec(const WsCodec&) = delete;
  WsCodec& operator=(const WsCodec&) = delete;

  // Consumes all of `raw`; returns how many bytes of payload it wrote to `out`. A breach of the protocol
  // queues the close frame it deserves (see failure()); the payload before it is still returned. Nothing is
  // decoded after a breach or after a close in either direction, except that after our own close the peer's
  // is still recognised.
  size_t decode(base::Bytes raw, std::span<uint8_t> out);

  // Queues a ping, unless one is queued or a close is.
  void ping();
  // Queues a close, unless one was queued before. The reason is UTF-8 and cut to kMaxCloseReason bytes, at a
  // character. kCloseNoCode: without code and reason.
  void close(uint16_t code, std::string_view reason);

  // Frames to send before the next data frame. Only the newest ping is answered: a peer that floods us while
  // it does not read gets one pong. With close_sent() the caller sends nothing more.
  bool has_control() const { return pong_.queued || ping_queued_ || close_.queued; }
  size_t take_control(std::span<uint8_t, kMaxControlOutput> room);

  // The peer's close: its code (kCloseNoCode when it gave none) and reason (valid UTF-8, foreign).
  Close peer_close() const;
  // The first breach of the peer, in the code and the words it is told.
  Close failure() const { return failure_; }
  bool close_queued() const { return closing_; }
  bool close_sent() const { return closing_ && !close_.queued; }
  // Nothing that arrives from now on means anything.
  bool input_over() const { return failure_.code != 0 || peer_close_code_ != 0; }

  // Counts that only grow, for limits and for the keepalive.
  uint64_t frames() const { return frames_; }
  uint64_t pongs() const { return pongs_; }

 private:
  // The payload of a control frame: on its way in, or waiting to go out.
  struct ControlFrame {
    std::array<uint8_t, kMaxControlPayload> payload{};
    uint8_t size = 0;
    bool queued = false;
    base::Bytes view() const { return base::Bytes(payload).first(size); }
    void append(base::Bytes bytes);
  };

  static ssize_t feed(uint8_t* room, size_t size, int flags, void* self) noexcept;
  bool begin_frame(const wslay_frame_iocb& frame);
  bool begin_data_frame();
  bool take_chunk(const wslay_frame_iocb& frame, base::ByteWriter& out);
  bool end_frame();
  void take_close();
  bool fail(uint16_t code, std::string_view words);

  base::Handle<wslay_frame_context> context_;
  base::Bytes input_;  // what decode() has not yet given to wslay
  const Mode mode_;

  bool in_frame_ = false;
  bool message_open_ = false;  // a fragment came that was not the last
  bool final_ = false;         // of the frame in work
  WsOpcode opcode_ = WsOpcode::continuation;
  uint64_t frame_left_ = 0;
  Base64Decoder base64_;
  ControlFrame incoming_;

  ControlFrame pong_, close_;
  bool ping_queued_ = false;
  bool closing_ = false;
  Close failure_;
  uint16_t peer_close_code_ = 0;
  uint64_t frames_ = 0, pongs_ = 0;
};

}  // namespace vncauthproxy::proto
