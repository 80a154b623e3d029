// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/message.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace vncauthproxy::ipc {
namespace {

using base::ByteReader;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;
using base::Result;

constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderSize = 4;  // version, type, U16 length of what follows

// A text is always the last field and runs to the end of its packet.
void put_text(ByteWriter& out, std::string_view text) {
  out.put(text.substr(0, kMaxMessageText));
}
std::string get_text(ByteReader& in) {
  return std::string(base::as_text(in.take(in.size())));
}

void put(ByteWriter&, const Ready&) {}
void put(ByteWriter& out, const Refused& message) {
  out.u8(static_cast<uint8_t>(message.code));
  put_text(out, message.reason);
}
void put(ByteWriter& out, const Authenticated& message) {
  put_text(out, message.viewer);
}
void put(ByteWriter& out, const Ended& message) {
  out.u64(message.to_viewer);
  out.u64(message.from_viewer);
  out.u64(static_cast<uint64_t>(message.relayed.count()));
  // The counts take 24 bytes of the room.
  out.put(std::string_view(message.reason).substr(0, kMaxMessageText - 24));
}
void put(ByteWriter& out, const Log& message) {
  out.u8(static_cast<uint8_t>(message.level));
  put_text(out, message.text);
}
void put(ByteWriter& out, const Stop& message) {
  out.u32(static_cast<uint32_t>(message.grace.count()));
}

constexpr size_t kNoText = 0;
struct Shape {
  size_t fixed;     // bytes before the text
  size_t max_text;  // kNoText: the length is exact
};
constexpr Shape kShapes[] = {
    {0, kNoText},                // Ready
    {1, kMaxMessageText},        // Refused
    {0, kMaxMessageText},        // Authenticated
    {24, kMaxMessageText - 24},  // Ended
    {1, kMaxMessageText},        // Log
    {4, kNoText},                // Stop
};
static_assert(std::size(kShapes) == std::variant_size_v<Message>);

Error broken(const char* what) {
  return {ErrorCode::invalid, std::string("bad message: ") + what};
}

Result<Message> take(ByteReader& in, size_t type) {
  switch (type) {
    case 0:
      return Message(Ready{});
    case 1: {
      const uint8_t code = in.u8();
      if (code > static_cast<uint8_t>(proto::kLastFailureCode)) return broken("failure code");
      return Message(Refused{static_cast<proto::FailureCode>(code), get_text(in)});
    }
    case 2:
      return Message(Authenticated{get_text(in)});
    case 3: {
      Ended ended;
      ended.to_viewer = in.u64();
      ended.from_viewer = in.u64();
      ended.relayed = std::chrono::milliseconds(static_cast<int64_t>(in.u64() & INT64_MAX));
      ended.reason = get_text(in);
      return Message(std::move(ended));
    }
    case 4: {
      const uint8_t level = in.u8();
      if (level > static_cast<uint8_t>(base::LogLevel::debug)) return broken("log level");
      return Message(Log{static_cast<base::LogLevel>(level), get_text(in)});
    }
    default:
      return Message(Stop{std::chrono::milliseconds(in.u32())});
  }
}

}  // namespace

std::string summary(const Ended& ended, const std::string& viewer) {
  std::array<char, 128> counts;
  std::snprintf(counts.data(), counts.size(), ", %llu bytes to the viewer, %llu from it, %.1f s",
                static_cast<unsigned long long>(ended.to_viewer),
                static_cast<unsigned long long>(ended.from_viewer),
                static_cast<double>(ended.relayed.count()) / 1000);
  return "ended: " + ended.reason + "; " + viewer + counts.data();
}

Packet encode(const Message& message) {
  Packet packet;
  ByteWriter body(std::span<uint8_t>(packet.bytes).subspan(kHeaderSize));
  std::visit([&body](const auto& content) { put(body, content); }, message);
  ByteWriter header(std::span<uint8_t>(packet.bytes).first(kHeaderSize));
  header.u8(kVersion);
  header.u8(static_cast<uint8_t>(message.index()));
  header.u16(static_cast<uint16_t>(body.size()));
  packet.size = kHeaderSize + body.size();
  return packet;
}

Result<Message> decode(base::Bytes packet) {
  ByteReader in(packet);
  if (in.size() < kHeaderSize) return broken("too short");
  if (in.u8() != kVersion) return broken("version");
  const size_t type = in.u8();
  if (type >= std::size(kShapes)) return broken("type");
  const size_t length = in.u16();
  const Shape shape = kShapes[type];
  if (length != in.size() || length < shape.fixed || length > shape.fixed + shape.max_text)
    return broken("length");
  return take(in, type);
}

}  // namespace vncauthproxy::ipc
