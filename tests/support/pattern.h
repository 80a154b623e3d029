// SPDX-License-Identifier: GPL-2.0-or-later
// An endless pseudo-random byte stream of a seed. The receiver makes the same stream and compares byte by
// byte, which shows a lost, doubled or changed byte and where; nothing has to be kept.
#pragma once

#include <cstdint>
#include <span>

namespace vncauthproxy::testing {

class Pattern {
 public:
  explicit Pattern(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}

  void fill(std::span<uint8_t> room) {
    for (uint8_t& byte : room) byte = next();
  }
  // Whether these are the stream's next bytes. Once false it stays false.
  bool check(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) intact_ = next() == byte && intact_;
    return intact_;
  }
  bool intact() const { return intact_; }
  uint64_t position() const { return position_; }

 private:
  uint8_t next() {
    if (position_++ % 8 == 0) {  // xorshift64
      state_ ^= state_ << 13;
      state_ ^= state_ >> 7;
      state_ ^= state_ << 17;
      word_ = state_;
    }
    const auto byte = static_cast<uint8_t>(word_);
    word_ >>= 8;
    return byte;
  }

  uint64_t state_;
  uint64_t word_ = 0;
  uint64_t position_ = 0;
  bool intact_ = true;
};

}  // namespace vncauthproxy::testing
