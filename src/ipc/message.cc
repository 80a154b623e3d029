// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/message.h"

#include <cstdio>
#include <iterator>

namespace vncauthproxy::ipc {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;
using base::Result;

constexpr uint8_t kVersion = 2;
constexpr size_t kCounts = 24;  // of Ended
constexpr unsigned kMasterOfWorker = kMasterOfStarting | kMasterOfWaiting | kMasterOfLive | kMasterOfEnding;

constexpr MessageRow kTable[] = {
    // name            fixed    text                       who receives it, and when descriptors
    {"Ready", 0, 0, kMasterOfStarting, 0},
    {"Refused", 1, kMaxMessageText, kMasterOfStarting, 0},
    {"Authenticated", 0, kMaxMessageText, kMasterOfWaiting, 0},
    {"Ended", kCounts, kMaxMessageText - kCounts, kMasterOfWaiting | kMasterOfLive, 0},
    {"Log", 1, kMaxMessageText, kMasterOfWorker | kMasterOfNursery, 0},
    {"Stop", 4, 0, kWorker, 0},
    {"Fork", 4, 0, kNursery, 0},
    {"Kill", 4, 0, kNursery, 0},
    {"Born", 8, 0, kMasterOfNursery, 1},
    {"NotBorn", 4, 0, kMasterOfNursery, 0},
    {"Died", 8, 0, kMasterOfNursery, 0},
    {"Handover", 0, kMaxLongBytes, kSpare, 8},
    {"Settings", 0, kMaxLongBytes, kNursery, 0},
};
static_assert(std::size(kTable) == static_cast<size_t>(Number::settings) + 1);
static_assert(std::variant_size_v<Message> == static_cast<size_t>(Number::handover));

// A text is always the last field and runs to the end of its packet. What does not fit is cut.
void put_text(ByteWriter& out, std::string_view text, Number number) {
  out.put(text.substr(0, kTable[static_cast<size_t>(number)].max_text));
}
std::string get_text(ByteReader& in) {
  return std::string(base::as_text(in.take(in.size())));
}

void put(ByteWriter&, const Ready&) {}
void put(ByteWriter& out, const Refused& message) {
  out.u8(static_cast<uint8_t>(message.code));
  put_text(out, message.reason, Number::refused);
}
void put(ByteWriter& out, const Authenticated& message) {
  put_text(out, message.viewer, Number::authenticated);
}
void put(ByteWriter& out, const Ended& message) {
  out.u64(message.to_viewer);
  out.u64(message.from_viewer);
  out.u64(static_cast<uint64_t>(message.relayed.count()));
  put_text(out, message.reason, Number::ended);
}
void put(ByteWriter& out, const Log& message) {
  out.u8(static_cast<uint8_t>(message.level));
  put_text(out, message.text, Number::log);
}
void put(ByteWriter& out, const Stop& message) {
  out.u32(static_cast<uint32_t>(message.grace.count()));
}
void put(ByteWriter& out, const Fork& message) {
  out.u32(message.count);
}
void put(ByteWriter& out, const Kill& message) {
  out.u32(static_cast<uint32_t>(message.pid));
}
void put(ByteWriter& out, const Born& message) {
  out.u32(static_cast<uint32_t>(message.pid));
  out.u32(message.settings);
}
void put(ByteWriter& out, const NotBorn& message) {
  out.u32(static_cast<uint32_t>(message.error));
}
void put(ByteWriter& out, const Died& message) {
  out.u32(static_cast<uint32_t>(message.pid));
  out.u32(static_cast<uint32_t>(message.status));
}

Result<Message> get_refused(ByteReader& in) {
  const uint8_t code = in.u8();
  if (code > static_cast<uint8_t>(proto::kLastFailureCode)) return bad_message("failure code");
  return Message(Refused{static_cast<proto::FailureCode>(code), get_text(in)});
}

Result<Message> get_ended(ByteReader& in) {
  Ended ended;
  ended.to_viewer = in.u64();
  ended.from_viewer = in.u64();
  ended.relayed = std::chrono::milliseconds(static_cast<int64_t>(in.u64() & INT64_MAX));
  ended.reason = get_text(in);
  return Message(std::move(ended));
}

Result<Message> get_log(ByteReader& in) {
  const uint8_t level = in.u8();
  if (level > static_cast<uint8_t>(base::LogLevel::debug)) return bad_message("log level");
  return Message(Log{static_cast<base::LogLevel>(level), get_text(in)});
}

// A process number of somebody else; 0 and negative ones would mean groups of processes to kill(2).
Result<pid_t> get_pid(ByteReader& in, pid_t least) {
  const auto pid = static_cast<pid_t>(in.u32());
  if (pid < least) return bad_message("process number");
  return pid;
}

Result<Message> get_kill(ByteReader& in) {
  auto pid = get_pid(in, 0);
  if (!pid) return pid.error();
  return Message(Kill{*pid});
}

Result<Message> get_born(ByteReader& in) {
  auto pid = get_pid(in, 1);
  if (!pid) return pid.error();
  return Message(Born{*pid, in.u32()});
}

Result<Message> get_died(ByteReader& in) {
  auto pid = get_pid(in, 1);
  if (!pid) return pid.error();
  return Message(Died{*pid, static_cast<int>(in.u32())});
}

Result<Message> get(ByteReader& in, Number number) {
  switch (number) {
    case Number::ready:
      return Message(Ready{});
    case Number::refused:
      return get_refused(in);
    case Number::authenticated:
      return Message(Authenticated{get_text(in)});
    case Number::ended:
      return get_ended(in);
    case Number::log:
      return get_log(in);
    case Number::stop:
      return Message(Stop{std::chrono::milliseconds(in.u32())});
    case Number::fork:
      return Message(Fork{in.u32()});
    case Number::kill:
      return get_kill(in);
    case Number::born:
      return get_born(in);
    case Number::not_born:
      return Message(NotBorn{static_cast<int>(in.u32())});
    case Number::died:
      return get_died(in);
    default:
      return bad_message("number");
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

Error bad_message(std::string_view what) {
  return {ErrorCode::invalid, "bad message: " + std::string(what)};
}

std::span<const MessageRow> message_table() {
  return kTable;
}

std::string_view name_of(const Message& message) {
  return kTable[message.index()].name;
}

bool may_arrive(const Message& message, Receiver receiver) {
  return (kTable[message.index()].receivers & receiver) != 0;
}

void put_header(ByteWriter& out, Number number, size_t body_size) {
  out.u8(kVersion);
  out.u8(static_cast<uint8_t>(number));
  out.u32(static_cast<uint32_t>(body_size));
}

bool is_numbered(Bytes packet, Number number) {
  return packet.size() >= kHeaderSize && packet[1] == static_cast<uint8_t>(number);
}

Result<Bytes> body_of(Bytes packet, Number number) {
  ByteReader in(packet);
  if (in.size() < kHeaderSize) return bad_message("too short");
  if (in.u8() != kVersion) return bad_message("version");
  if (in.u8() != static_cast<uint8_t>(number)) return bad_message("number");
  const size_t length = in.u32();
  const MessageRow& row = kTable[static_cast<size_t>(number)];
  if (length != in.size() || length < row.fixed || length > row.fixed + row.max_text)
    return bad_message("length");
  return in.rest();
}

Packet encode(const Message& message) {
  Packet packet;
  ByteWriter body(std::span<uint8_t>(packet.bytes).subspan(kHeaderSize));
  std::visit([&body](const auto& content) { put(body, content); }, message);
  ByteWriter header(std::span<uint8_t>(packet.bytes).first(kHeaderSize));
  put_header(header, static_cast<Number>(message.index()), body.size());
  packet.size = kHeaderSize + body.size();
  return packet;
}

Result<Message> decode(Bytes packet) {
  if (packet.size() < kHeaderSize) return bad_message("too short");
  if (packet[1] >= std::variant_size_v<Message>) return bad_message("number");
  const auto number = static_cast<Number>(packet[1]);
  auto body = body_of(packet, number);
  if (!body) return body.error();
  ByteReader in(*body);
  return get(in, number);
}

}  // namespace vncauthproxy::ipc
