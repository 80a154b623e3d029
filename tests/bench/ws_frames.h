// SPDX-License-Identifier: GPL-2.0-or-later
// The client's half of RFC 6455 section 5, as little of it as a load generator needs: masked frames out,
// unmasked frames in, payload handed on as it comes. Written here and not taken from the daemon, so that
// both cannot be wrong in the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "vncauthproxy/base/bytes.h"

namespace vncauthproxy::bench {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

inline constexpr size_t kMaxServerHeader = 10;

std::string masked_frame(Opcode opcode, std::string_view payload);

class FrameReader {
 public:
  // Takes all of `bytes`; payload of data frames goes to `payload(Bytes)`, whole control frames to
  // `control(Opcode, string)`. False: no server may send this.
  template <typename Payload, typename Control>
  bool feed(base::Bytes bytes, Payload payload, Control control);

 private:
  bool header_complete();

  std::string header_, control_;
  Opcode opcode_ = Opcode::binary;
  uint64_t left_ = 0;
  bool in_control_ = false;
};

template <typename Payload, typename Control>
bool FrameReader::feed(base::Bytes bytes, Payload payload, Control control) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      header_ += static_cast<char>(bytes.front());
      bytes = bytes.subspan(1);
      if (header_.size() >= 2 && (header_[1] & 0x80) != 0) return false;  // a server's frame is never masked
      if (!header_complete()) continue;
      if (in_control_ && left_ == 0) control(opcode_, std::string());
      continue;
    }
    const base::Bytes part = bytes.first(left_ < bytes.size() ? static_cast<size_t>(left_) : bytes.size());
    bytes = bytes.subspan(part.size());
    left_ -= part.size();
    if (!in_control_) {
      payload(part);
      continue;
    }
    control_ += base::as_text(part);
    if (left_ == 0) control(opcode_, std::exchange(control_, {}));
  }
  return true;
}

}  // namespace vncauthproxy::bench
