// SPDX-License-Identifier: GPL-2.0-or-later
// Text that must not outlive its use: it cannot be copied or printed by accident, and its memory is wiped
// when it goes. SecretPages is a larger stretch of such memory that a forked child does not get.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "vncauthproxy/base/bytes.h"

namespace vncauthproxy::base {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { wipe(); }

  std::string_view reveal() const { return {text_.get(), size_}; }  // a loan, for as long as this lives
  const char* c_str() const { return text_ ? text_.get() : ""; }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  void wipe();

 private:
  std::unique_ptr<char[]> text_;  // size_ bytes and a NUL
  size_t size_ = 0;
};

void wipe(std::span<uint8_t> bytes);
void wipe(std::span<char> text);
// In time that depends on the sizes alone.
bool equal_secrets(std::string_view a, std::string_view b);
bool equal_secrets(Bytes a, Bytes b);
// Bytes of the kernel's generator. Ends the process when the kernel has none to give: there is no second
// best.
void random_bytes(std::span<uint8_t> into);
// Uniform in [0, bound), bound > 0.
uint32_t random_below(uint32_t bound);

// Anonymous pages: left out of core dumps, not there in a forked child, wiped when released. `size` may be 0.
class SecretPages {
 public:
  SecretPages() = default;
  explicit SecretPages(size_t size);  // throws std::bad_alloc
  SecretPages(SecretPages&& other) noexcept;
  SecretPages& operator=(SecretPages&& other) noexcept;
  ~SecretPages();

  std::span<char> room() const { return {start_, size_}; }
  std::span<uint8_t> bytes() const { return {reinterpret_cast<uint8_t*>(start_), size_}; }

 private:
  char* start_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vncauthproxy::base
