// SPDX-License-Identifier: GPL-2.0-or-later
// Big-endian reading from and writing to memory that somebody else owns (RFC 6143 section 7: multi-byte
// integers are big-endian). A handshake tests size() first and takes a whole message or nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace vncauthproxy::base {

using Bytes = std::span<const uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A position in a span. Taking more than size() is a bug of the caller and yields zeroes, never foreign
// memory.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : rest_(bytes) {}

  size_t size() const { return rest_.size(); }
  Bytes rest() const { return rest_; }
  Bytes take(size_t count) {
    const Bytes taken = rest_.first(count < rest_.size() ? count : rest_.size());
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  uint8_t u8() { return static_cast<uint8_t>(integer(1)); }
  uint16_t u16() { return static_cast<uint16_t>(integer(2)); }
  uint32_t u32() { return static_cast<uint32_t>(integer(4)); }
  uint64_t u64() { return integer(8); }

 private:
  uint64_t integer(size_t width) {
    uint64_t value = 0;
    for (const uint8_t byte : take(width)) value = value << 8 | byte;
    return value;
  }

  Bytes rest_;
};

// Writes into a fixed span. What does not fit is not written at all and ok() turns false for good.
class ByteWriter {
 public:
  explicit ByteWriter(std::span<uint8_t> room) : room_(room) {}

  bool ok() const { return ok_; }
  size_t size() const { return used_; }
  Bytes written() const { return room_.first(used_); }

  void put(Bytes bytes) {
    if (!ok_ || bytes.size() > room_.size() - used_) {
      ok_ = false;
      return;
    }
    if (!bytes.empty()) std::memcpy(room_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  void put(std::string_view text) { put(as_bytes(text)); }
  void u8(uint8_t value) { integer(value, 1); }
  void u16(uint16_t value) { integer(value, 2); }
  void u32(uint32_t value) { integer(value, 4); }
  void u64(uint64_t value) { integer(value, 8); }

 private:
  void integer(uint64_t value, size_t width) {
    uint8_t bytes[8];
    for (size_t i = 0; i < width; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * (width - 1 - i)));
    put(Bytes(bytes, width));
  }

  std::span<uint8_t> room_;
  size_t used_ = 0;
  bool ok_ = true;
};

}  // namespace vncauthproxy::base
