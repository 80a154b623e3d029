// SPDX-License-Identifier: GPL-2.0-or-later
// The messages between the master and a worker, after the fork: one packet each, named for facts. The channel
// they come through says who speaks, so none carries an id it could forge. Pure: structs <-> bytes.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::ipc {

inline constexpr size_t kMaxMessageBytes = 512;
inline constexpr size_t kMaxMessageText = 480;  // longer texts are cut when encoded

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
struct Log {
  base::LogLevel level;
  std::string text;
};
struct Stop {  // master to worker: drain and end
  std::chrono::milliseconds grace{};
};

using Message = std::variant<Ready, Refused, Authenticated, Ended, Log, Stop>;

struct Packet {
  std::array<uint8_t, kMaxMessageBytes> bytes;
  size_t size = 0;
  base::Bytes content() const { return base::Bytes(bytes).first(size); }
};
Packet encode(const Message& message);
// Error invalid: not a message of ours: an unknown type or version, a wrong length, a value out of range.
base::Result<Message> decode(base::Bytes packet);

}  // namespace vncauthproxy::ipc
