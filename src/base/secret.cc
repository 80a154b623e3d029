// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace vncauthproxy::base {

Secret::Secret(std::string_view text) : text_(std::make_unique<char[]>(text.size() + 1)), size_(text.size()) {
  if (size_ != 0) std::memcpy(text_.get(), text.data(), size_);
}

Secret::Secret(Secret&& other) noexcept
    : text_(std::move(other.text_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    text_ = std::move(other.text_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Secret::wipe() {
  if (text_) ::explicit_bzero(text_.get(), size_);
  text_.reset();
  size_ = 0;
}

void wipe(std::span<uint8_t> bytes) {
  ::explicit_bzero(bytes.data(), bytes.size());
}
void wipe(std::span<char> text) {
  ::explicit_bzero(text.data(), text.size());
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return equal_secrets(as_bytes(a), as_bytes(b));
}

bool equal_secrets(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void random_bytes(std::span<uint8_t> into) {
  while (!into.empty()) {
    const ssize_t got = ::getrandom(into.data(), into.size(), 0);
    if (got > 0)
      into = into.subspan(static_cast<size_t>(got));
    else if (errno != EINTR)
      std::abort();
  }
}

uint32_t random_below(uint32_t bound) {
  // Values above the largest multiple of bound would favour the small results: draw again.
  const uint32_t limit = UINT32_MAX - UINT32_MAX % bound;
  uint32_t value;
  do {
    uint8_t bytes[sizeof value];
    random_bytes(bytes);
    std::memcpy(&value, bytes, sizeof value);
  } while (value >= limit);
  return value % bound;
}

SecretPages::SecretPages(size_t size) : size_(size) {
  if (size == 0) return;
  void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  start_ = static_cast<char*>(pages);
  // Both are kept on a best effort: a kernel without them costs a precaution, not a function.
  ::madvise(pages, size, MADV_DONTDUMP);
  ::madvise(pages, size, MADV_DONTFORK);
}

SecretPages::SecretPages(SecretPages&& other) noexcept
    : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretPages& SecretPages::operator=(SecretPages&& other) noexcept {
  std::swap(start_, other.start_);
  std::swap(size_, other.size_);
  return *this;
}

SecretPages::~SecretPages() {
  if (start_ != nullptr) ::munmap(start_, size_);  // the kernel zeroes pages before it gives them to anyone
}

}  // namespace vncauthproxy::base
