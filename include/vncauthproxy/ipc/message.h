// SPDX-License-Identifier: GPL-2.0-or-later
// The messages between master, nursery and workers: one packet each, named for facts. A worker's channel says
// who speaks, so its messages carry no number it could forge. Pure: structs <-> bytes.
//
// A packet: U8 version, U8 number of the message, U32 length of what follows; all big-endian. One table
// (message_table()) has the number, the name, the layout and where each message may arrive. The two long
// messages, Handover and Settings, have their own headers; the table counts them too.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::ipc {

inline constexpr size_t kHeaderSize = 6;
inline constexpr size_t kMaxMessageBytes = 512;  // of all but Handover and Settings
inline constexpr size_t kMaxMessageText = 480;   // longer texts are cut when encoded
inline constexpr size_t kMaxLongBytes =
    128 * 1024;  // of Handover and Settings; the send buffer of a socket has room

// ---- worker -> master

struct Ready {};  // the backend waits behind its handshake
struct Refused {  // it cannot be had; the worker ends
  proto::FailureCode code;
  std::string reason;
};
struct Authenticated {  // a viewer is in, the port is closed
  std::string viewer;   // its endpoint
};
struct Ended {  // the session is over, the worker ends
  std::string reason;
  uint64_t to_viewer = 0, from_viewer = 0;  // bytes of RFB
  std::chrono::milliseconds relayed{};
};
inline constexpr const char* kNoViewer = "no viewer";
// The last line of a forwarding in the log: "ended: REASON; VIEWER, 12 bytes to the viewer, ...".
std::string summary(const Ended& ended, const std::string& viewer);
struct Log {  // the nursery sends these too
  base::LogLevel level;
  std::string text;
};

// ---- master -> worker

struct Stop {  // drain and end
  std::chrono::milliseconds grace{};
};

// ---- master -> nursery

struct Fork {  // that many more spares
  uint32_t count = 1;
};
struct Kill {     // one child, if it still is one
  pid_t pid = 0;  // 0: all of them
};

// ---- nursery -> master

struct Born {  // a spare; the master's end of its channel comes along
  pid_t pid = 0;
  uint32_t settings = 0;  // the number of the Settings it was born with
};
struct NotBorn {
  int error = 0;  // an errno
};
struct Died {
  pid_t pid = 0;
  int status = 0;  // as waitpid() gives it
};

using Message =
    std::variant<Ready, Refused, Authenticated, Ended, Log, Stop, Fork, Kill, Born, NotBorn, Died>;

// The number of a message in its packet. Those of `Message` are its indexes.
enum class Number : uint8_t {
  ready,
  refused,
  authenticated,
  ended,
  log,
  stop,
  fork,
  kill,
  born,
  not_born,
  died,
  handover,
  settings
};

// Who receives, and in which state. A set of these is a sum of them.
enum Receiver : unsigned {
  kMasterOfStarting = 1,  // the master, from the worker of a forwarding in this state
  kMasterOfWaiting = 2,
  kMasterOfLive = 4,
  kMasterOfEnding = 8,
  kMasterOfNursery = 16,
  kWorker = 32,  // has its Handover
  kSpare = 64,
  kNursery = 128
};

struct MessageRow {
  std::string_view name;
  size_t fixed;     // bytes in front of the text
  size_t max_text;  // 0: the length is exact
  unsigned receivers;
  size_t max_descriptors;
};
std::span<const MessageRow> message_table();

struct Packet {
  std::array<uint8_t, kMaxMessageBytes> bytes;
  size_t size = 0;
  base::Bytes content() const { return base::Bytes(bytes).first(size); }
};
Packet encode(const Message& message);
// Error invalid: not a message of ours: an unknown number or version, a wrong length, a value out of range,
// or a long message.
base::Result<Message> decode(base::Bytes packet);

std::string_view name_of(const Message& message);
bool may_arrive(const Message& message, Receiver receiver);

// For the long messages: writes a header, whose length counts what `body` has; reads one and returns the
// body.
void put_header(base::ByteWriter& out, Number number, size_t body_size);
base::Result<base::Bytes> body_of(base::Bytes packet, Number number);
// What a packet claims to be; for a receiver of long and short ones.
bool is_numbered(base::Bytes packet, Number number);

base::Error bad_message(std::string_view what);

}  // namespace vncauthproxy::ipc
