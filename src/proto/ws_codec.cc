// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/ws_codec.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

namespace vncauthproxy::proto {
namespace {

bool is_control(WsOpcode opcode) {
  return static_cast<uint8_t>(opcode) >= 8;
}

// The size of the UTF-8 character at the start of `text`, or 0 when there is none (RFC 3629: shortest forms
// only, no surrogates, nothing above U+10FFFF).
size_t character_size(base::Bytes text) {
  const uint8_t lead = text[0];
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xC2 && lead < 0xE0   ? 2
                      : lead >= 0xE0 && lead < 0xF0 ? 3
                      : lead >= 0xF0 && lead < 0xF5 ? 4
                                                    : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((text[i] & 0xC0) != 0x80) return 0;
  const uint8_t second = text[1];
  const bool wrong = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
                     (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
  return wrong ? 0 : size;
}

// How much of `text`, at most `limit` bytes, is whole valid characters.
size_t valid_prefix(base::Bytes text, size_t limit) {
  size_t valid = 0;
  while (valid < text.size()) {
    const size_t size = character_size(text.subspan(valid));
    if (size == 0 || valid + size > limit) break;
    valid += size;
  }
  return valid;
}

}  // namespace

bool legal_close_code(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

FrameHeader frame_header(uint64_t payload_size, WsOpcode opcode) {
  FrameHeader header;
  base::ByteWriter out(header.bytes);
  out.u8(static_cast<uint8_t>(0x80 | static_cast<uint8_t>(opcode)));
  if (payload_size < 126) {
    out.u8(static_cast<uint8_t>(payload_size));
  } else if (payload_size <= 0xFFFF) {
    out.u8(126);
    out.u16(static_cast<uint16_t>(payload_size));
  } else {
    out.u8(127);
    out.u64(payload_size);
  }
  header.size = out.size();
  return header;
}

size_t base64_frame_size(size_t payload_size) {
  const size_t text = base64_size(payload_size);
  return frame_header(text, WsOpcode::text).size + text;
}

void put_base64_frame(base::Bytes payload, base::ByteWriter& out) {
  out.put(frame_header(base64_size(payload.size()), WsOpcode::text).view());
  put_base64(payload, out);
}

void WsCodec::ControlFrame::append(base::Bytes bytes) {
  const size_t fits = std::min(bytes.size(), payload.size() - size);
  if (fits != 0) std::memcpy(payload.data() + size, bytes.data(), fits);
  size = static_cast<uint8_t>(size + fits);
}

WsCodec::WsCodec(Mode mode) : mode_(mode) {
  wslay_frame_callbacks callbacks{};
  callbacks.recv_callback = &WsCodec::feed;
  wslay_frame_context* context = nullptr;
  if (::wslay_frame_context_init(&context, &callbacks, this) != 0) throw std::bad_alloc();
  context_.reset(context);
}

ssize_t WsCodec::feed(uint8_t* room, size_t size, int, void* self) noexcept {
  base::Bytes& input = static_cast<WsCodec*>(self)->input_;
  const size_t given = std::min(size, input.size());
  if (given == 0) return -1;  // reads as "wants more"
  std::memcpy(room, input.data(), given);
  input = input.subspan(given);
  return static_cast<ssize_t>(given);
}

size_t WsCodec::decode(base::Bytes raw, std::span<uint8_t> out) {
  assert(out.size() >= raw.size() + kDecodeSlack);
  base::ByteWriter payload(out);
  input_ = raw;
  while (!input_over()) {
    wslay_frame_iocb frame{};
    const ssize_t taken = ::wslay_frame_recv(context_.get(), &frame);
    if (taken == WSLAY_ERR_WANT_READ) break;
    if (taken < 0) {
      fail(kCloseProtocolError, "malformed frame");
      break;
    }
    if (!in_frame_ && !begin_frame(frame)) break;
    if (!take_chunk(frame, payload)) break;
    if (frame_left_ == 0 && !end_frame()) break;
  }
  input_ = {};
  return payload.size();
}

bool WsCodec::fail(uint16_t code, std::string_view words) {
  failure_ = {code, words};
  close(code, words);
  return false;
}

bool WsCodec::begin_frame(const wslay_frame_iocb& frame) {
  in_frame_ = true;
  ++frames_;
  if (!frame.mask) return fail(kCloseProtocolError, "frame without a mask");
  if (frame.rsv != 0) return fail(kCloseProtocolError, "reserved bit set");
  const uint8_t opcode = frame.opcode;
  if ((opcode > 2 && opcode < 8) || opcode > 10) return fail(kCloseProtocolError, "unknown opcode");
  opcode_ = static_cast<WsOpcode>(opcode);
  final_ = frame.fin != 0;
  frame_left_ = frame.payload_length;
  if (is_control(opcode_)) {  // wslay has seen to it that it is whole and short
    incoming_.size = 0;
    return true;
  }
  return begin_data_frame();
}

bool WsCodec::begin_data_frame() {
  const bool continues = opcode_ == WsOpcode::continuation;
  if (continues && !message_open_) return fail(kCloseProtocolError, "continuation of nothing");
  if (!continues && message_open_) return fail(kCloseProtocolError, "new message inside a fragmented one");
  if (opcode_ == WsOpcode::text && mode_ == Mode::binary)
    return fail(kCloseUnsupportedData, "text frame, only binary ones are accepted");
  if (opcode_ == WsOpcode::binary && mode_ == Mode::base64)
    return fail(kCloseUnsupportedData, "binary frame, only base64 in text ones is accepted");
  if (frame_left_ > kMaxFramePayload) return fail(kCloseTooBig, "frame too big");
  message_open_ = true;
  return true;
}

bool WsCodec::take_chunk(const wslay_frame_iocb& frame, base::ByteWriter& out) {
  const base::Bytes chunk(frame.data, frame.data_length);
  frame_left_ -= chunk.size();
  if (is_control(opcode_)) {
    incoming_.append(chunk);
    return true;
  }
  if (closing_) return true;  // nobody is left to receive it
  if (mode_ == Mode::binary) {
    out.put(chunk);
    return true;
  }
  return base64_.feed(chunk, out) || fail(kCloseInvalidData, "bad base64");
}

bool WsCodec::end_frame() {
  in_frame_ = false;
  switch (opcode_) {
    case WsOpcode::ping:
      if (closing_) break;
      pong_ = incoming_;
      pong_.queued = true;
      break;
    case WsOpcode::pong:
      ++pongs_;
      break;
    case WsOpcode::close:
      take_close();
      break;
    default:
      if (!final_) break;
      message_open_ = false;
      if (mode_ == Mode::base64 && !base64_.finish() && !closing_)
        return fail(kCloseInvalidData, "message that is no whole base64 text");
  }
  return true;
}

void WsCodec::take_close() {
  base::ByteReader body(incoming_.view());
  if (body.size() == 0) {
    peer_close_code_ = kCloseNoCode;
    close(kCloseNoCode, "");
    return;
  }
  if (body.size() == 1) {
    fail(kCloseProtocolError, "close with half a code");
    return;
  }
  const uint16_t code = body.u16();
  if (!legal_close_code(code)) {
    fail(kCloseProtocolError, "close with an illegal code");
  } else if (valid_prefix(body.rest(), kMaxCloseReason) != body.size()) {
    fail(kCloseInvalidData, "close with a reason that is not UTF-8");
  } else {
    peer_close_code_ = code;
    close(code, "");
  }
}

WsCodec::Close WsCodec::peer_close() const {
  // Nothing is decoded after a close, so it is still the last control frame that came in.
  if (peer_close_code_ == 0 || incoming_.size < 2) return {peer_close_code_, {}};
  return {peer_close_code_, base::as_text(incoming_.view().subspan(2))};
}

void WsCodec::ping() {
  if (!closing_) ping_queued_ = true;
}

void WsCodec::close(uint16_t code, std::string_view reason) {
  if (closing_) return;
  closing_ = true;
  close_.queued = true;
  if (code == kCloseNoCode) return;
  const uint8_t code_bytes[] = {static_cast<uint8_t>(code >> 8), static_cast<uint8_t>(code)};
  const base::Bytes words = base::as_bytes(reason);
  close_.append(code_bytes);
  close_.append(words.first(valid_prefix(words, kMaxCloseReason)));
}

size_t WsCodec::take_control(std::span<uint8_t, kMaxControlOutput> room) {
  base::ByteWriter out(room);
  const auto put = [&out](WsOpcode opcode, base::Bytes payload) {
    out.put(frame_header(payload.size(), opcode).view());
    out.put(payload);
  };
  if (pong_.queued) put(WsOpcode::pong, pong_.view());
  if (ping_queued_) put(WsOpcode::ping, {});
  if (close_.queued) put(WsOpcode::close, close_.view());
  pong_.queued = ping_queued_ = close_.queued = false;
  return out.size();
}

}  // namespace vncauthproxy::proto
