// SPDX-License-Identifier: GPL-2.0-or-later
#include "ws_frames.h"

#include <array>
#include <random>

namespace vncauthproxy::bench {

std::string masked_frame(Opcode opcode, std::string_view payload) {
  static std::minstd_rand random(
      1);  // a mask protects intermediaries, not a bench: any changing value will do
  std::array<char, 4> mask;
  for (char& byte : mask) byte = static_cast<char>(random());
  std::string frame;
  frame += static_cast<char>(0x80 | static_cast<uint8_t>(opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    frame += '\xfe';
    frame += static_cast<char>(payload.size() >> 8);  // what a viewer of this bench sends is below 64 KiB
    frame += static_cast<char>(payload.size());
  }
  frame.append(mask.data(), mask.size());
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ mask[i % mask.size()]);
  return frame;
}

bool FrameReader::header_complete() {
  if (header_.size() < 2) return false;
  const base::Bytes bytes = base::as_bytes(header_);
  const uint8_t length = bytes[1] & 0x7f;
  const size_t needed = length < 126 ? 2 : length == 126 ? 4 : kMaxServerHeader;
  if (header_.size() < needed) return false;
  base::ByteReader in(bytes.subspan(2));
  left_ = length < 126 ? length : length == 126 ? in.u16() : in.u64();
  opcode_ = static_cast<Opcode>(bytes[0] & 0x0f);
  in_control_ = (bytes[0] & 0x08) != 0;
  header_.clear();
  return true;
}

}  // namespace vncauthproxy::bench
