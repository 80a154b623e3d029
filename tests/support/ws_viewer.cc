// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/ws_viewer.h"

#include <openssl/evp.h>
#include <strings.h>

#include <algorithm>
#include <array>

#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::testing {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kMask = "\x37\xfa\x21\x3d";

std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

uint64_t number_of(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string expected_accept() {
  const std::string text = std::string(kKey) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return base64({reinterpret_cast<const char*>(digest.data()), size});
}

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

// ---- frames

std::string make_frame(uint8_t opcode, std::string_view payload, const FrameForm& form) {
  const uint64_t length = form.length.value_or(payload.size());
  const int bytes = form.length_bytes != 0 ? form.length_bytes : length < 126 ? 1 : length < 65536 ? 2 : 8;
  const unsigned mark = bytes == 1 ? static_cast<unsigned>(length) : bytes == 2 ? 126u : 127u;
  std::string frame;
  frame += static_cast<char>((form.final ? 0x80u : 0u) | unsigned{form.reserved} << 4 | opcode);
  frame += static_cast<char>((form.masked ? 0x80u : 0u) | mark);
  if (bytes > 1) frame += big_endian(length, bytes);
  if (!form.masked) return frame.append(payload);
  frame += kMask;
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return frame;
}

std::string close_payload(uint16_t code, std::string_view reason) {
  return big_endian(code, 2).append(reason);
}

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  text.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                  octets(bytes), static_cast<int>(bytes.size()))));
  return text;
}

std::string base64_decoded(std::string_view text) {
  std::string bytes(3 * (text.size() / 4) + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), octets(text),
                                   static_cast<int>(text.size()));
  const auto padding = std::count(text.begin(), text.end(), '=');
  bytes.resize(static_cast<size_t>(std::max<long>(0, size - padding)));
  return bytes;
}

// ---- HTTP

std::string HttpAnswer::field(std::string_view name) const {
  for (size_t at = head.find("\r\n"); at != std::string::npos && at + 2 < head.size();
       at = head.find("\r\n", at + 2)) {
    const std::string_view line = std::string_view(head).substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const size_t colon = line.find(':');
    if (colon == line.npos || !same_word(line.substr(0, colon), name)) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == line.npos ? "" : std::string(line.substr(start));
  }
  return "";
}

size_t HttpAnswer::count(std::string_view name) const {
  size_t found = 0;
  for (size_t at = 0; (at = head.find("\r\n", at)) != std::string::npos; at += 2)
    found += same_word(std::string_view(head).substr(at + 2, name.size() + 1), std::string(name) + ":");
  return found;
}

HttpAnswer read_answer(Wire& wire, bool has_body, Deadline deadline) {
  HttpAnswer answer;
  while (!answer.head.ends_with("\r\n\r\n")) {
    const auto byte = wire.read(1, deadline);
    if (!byte) return answer;
    answer.head += *byte;
  }
  if (answer.head.starts_with("HTTP/1.1 "))
    answer.status = static_cast<unsigned>(std::strtoul(answer.head.c_str() + 9, nullptr, 10));
  const std::string length = answer.field("Content-Length");
  if (has_body && !length.empty())
    answer.body = wire.read(std::strtoul(length.c_str(), nullptr, 10), deadline).value_or("");
  return answer;
}

std::string UpgradeRequest::text() const {
  std::string request = "GET " + target +
                        " HTTP/1.1\r\n"
                        "Host: proxy.example:25123\r\n"
                        "Upgrade: websocket\r\n"
                        "Connection: keep-alive, Upgrade\r\n"  // as Firefox says it
                        "Origin: https://panel.example\r\n"
                        "Sec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                        "Sec-WebSocket-Key: ";
  request.append(kKey).append("\r\n").append(more);
  if (!protocols.empty()) request += "Sec-WebSocket-Protocol: " + protocols + "\r\n";
  return request + "\r\n";
}

// ---- the viewer

bool WsViewer::upgrade(const UpgradeRequest& request, std::string_view early) {
  if (!wire.established() || !wire.send(request.text().append(early))) return false;
  answer = read_answer(wire, false);
  in_frames = true;
  in_base64 = answer.field("Sec-WebSocket-Protocol") == "base64";
  return answer.status == 101 && same_word(answer.field("Upgrade"), "websocket") &&
         same_word(answer.field("Connection"), "Upgrade") && answer.count("Sec-WebSocket-Extensions") == 0 &&
         answer.field("Sec-WebSocket-Accept") == expected_accept();
}

std::string WsViewer::wrapped(std::string_view rfb) const {
  if (!in_frames) return std::string(rfb);
  return in_base64 ? make_frame(opcode::kText, base64(rfb)) : make_frame(opcode::kBinary, rfb);
}

bool WsViewer::send(std::string_view rfb) {
  return wire.send(wrapped(rfb));
}

bool WsViewer::put(std::string_view rfb) {
  if (!by_byte_) return send(rfb);
  for (size_t i = 0; i < rfb.size(); ++i)
    if (!wire.send_each_byte(wrapped(rfb.substr(i, 1)))) return false;
  return true;
}

bool WsViewer::fill(Deadline deadline) {
  std::array<uint8_t, 65536> room;
  size_t got = 0;
  last_ = wire.read_some(room, &got, deadline);
  in_.append(reinterpret_cast<const char*>(room.data()), got);
  return last_ == Got::data;
}

// From in_, when a whole one is there.
bool WsViewer::take_frame(Frame* frame) {
  if (in_.size() < 2) return false;
  const auto first = static_cast<uint8_t>(in_[0]), second = static_cast<uint8_t>(in_[1]);
  const size_t more = (second & 127) == 126 ? 2 : (second & 127) == 127 ? 8 : 0;
  if (in_.size() < 2 + more) return false;
  const std::string_view bytes(in_);
  const uint64_t length = more == 0 ? second & 127u : number_of(bytes.substr(2, more));
  if (in_.size() - 2 - more < length) return false;
  frame->final = (first & 0x80) != 0;
  frame->reserved = first >> 4 & 7;
  frame->opcode = first & 15;
  frame->masked = (second & 0x80) != 0;
  frame->payload = in_.substr(2 + more, length);
  in_.erase(0, 2 + more + length);
  return true;
}

std::optional<Frame> WsViewer::read_frame(Deadline deadline) {
  Frame frame;
  while (!take_frame(&frame))
    if (!fill(deadline)) return std::nullopt;
  return frame;
}

bool WsViewer::take_in(const Frame& frame) {
  const uint8_t data = in_base64 ? opcode::kText : opcode::kBinary;
  // What a server may send, and what this one says it sends: whole messages in unmasked frames.
  if (frame.masked || frame.reserved != 0 || !frame.final) {
    closed_ = Ending{1, "the server broke the protocol", Got::data};
    return false;
  }
  if (frame.opcode == data) {
    ++data_frames;
    payload_ += in_base64 ? base64_decoded(frame.payload) : frame.payload;
  } else if (frame.opcode == opcode::kPing) {
    ++pings;
    if (answers_pings) wire.send(make_frame(opcode::kPong, frame.payload));
  } else if (frame.opcode == opcode::kPong) {
    pongs.push_back(frame.payload);
  } else if (frame.opcode == opcode::kClose) {
    closed_ = Ending{};
    closed_->code =
        frame.payload.empty() ? uint16_t{1005} : static_cast<uint16_t>(number_of(frame.payload.substr(0, 2)));
    if (frame.payload.size() > 2) closed_->reason = frame.payload.substr(2);
    return false;
  } else {
    closed_ = Ending{2, "the server sent an opcode it should not", Got::data};
    return false;
  }
  return true;
}

std::optional<std::string> WsViewer::read(size_t count, Deadline deadline) {
  while (payload_.size() < count) {
    if (!in_frames) {
      if (!fill(deadline)) return std::nullopt;
      payload_ += std::exchange(in_, {});
      continue;
    }
    const auto frame = closed_ ? std::nullopt : read_frame(deadline);
    if (!frame || !take_in(*frame)) return std::nullopt;
  }
  std::string bytes = payload_.substr(0, count);
  payload_.erase(0, count);
  return bytes;
}

bool WsViewer::echoes(std::string_view text, Deadline deadline) {
  return send(text) && read(text.size(), deadline) == text;
}

std::string WsViewer::exchange(std::string_view out, size_t message, size_t expected, Deadline deadline) {
  std::string came, going;
  came.reserve(expected);
  while (came.size() < expected && !deadline.passed()) {
    while (going.size() < 65536 && !out.empty()) {
      going += wrapped(out.substr(0, message));
      out.remove_prefix(std::min(out.size(), message));
    }
    going.erase(0, wire.send_some(going));
    std::array<uint8_t, 65536> room;
    size_t got = 0;
    last_ = wire.read_some(room, &got, milliseconds(0));
    if (last_ == Got::end || last_ == Got::reset) break;
    in_.append(reinterpret_cast<const char*>(room.data()), got);
    if (!in_frames) payload_ += std::exchange(in_, {});
    Frame frame;
    while (in_frames && take_frame(&frame))
      if (!take_in(frame)) return came;
    came += std::exchange(payload_, {});
    const bool sends = !going.empty() || !out.empty();
    if (last_ == Got::nothing) wait_fd(wire.socket.get(), sends ? POLLIN | POLLOUT : POLLIN, deadline);
  }
  return came;
}

Ending WsViewer::read_ending(std::string* rest, Deadline deadline) {
  while (!closed_) {
    if (!in_frames) {
      if (!fill(deadline)) break;
      payload_ += std::exchange(in_, {});
      continue;
    }
    const auto frame = read_frame(deadline);
    if (!frame || !take_in(*frame)) break;
  }
  Ending ending = closed_.value_or(Ending{});
  if (rest != nullptr) *rest += std::exchange(payload_, {});
  const std::string after = wire.read_to_end(&ending.stream, deadline);
  if (!after.empty() || !in_.empty()) ending.reason += " (and more bytes behind the close)";
  return ending;
}

bool WsViewer::send_close(uint16_t code, std::string_view reason_text) {
  return wire.send(make_frame(opcode::kClose, close_payload(code, reason_text)));
}

bool WsViewer::to_challenge() {
  if (read(12) != "RFB 003.008\n" || !put("RFB 003.008\n")) return false;
  if (read(2) != "\1\2" || !put("\2")) return false;
  challenge = read(proto::kChallengeSize).value_or("");
  return challenge.size() == proto::kChallengeSize;
}

std::string WsViewer::response(std::string_view password) const {
  proto::Challenge bytes{};
  std::copy_n(challenge.begin(), std::min(challenge.size(), bytes.size()), bytes.begin());
  const auto cipher = proto::vnc_response(base::Secret(password), bytes);
  return {cipher.begin(), cipher.end()};
}

Verdict WsViewer::read_result() {
  const auto result = read(4);
  if (!result) return Verdict::broken;
  if (number_of(*result) == 0) return Verdict::admitted;
  const auto size = read(4);
  if (size && number_of(*size) < 4096) reason = read(number_of(*size)).value_or("");
  return Verdict::refused;
}

Verdict WsViewer::log_in(std::string_view password, bool by_byte) {
  by_byte_ = by_byte;
  if (!to_challenge() || !put(response(password))) return Verdict::broken;
  return read_result();
}

}  // namespace vncauthproxy::testing
