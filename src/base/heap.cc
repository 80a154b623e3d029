// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/heap.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace vncauthproxy::base {
namespace {

constexpr size_t kUnit = alignof(std::max_align_t);
constexpr size_t kExactUnits = 256;  // up to here each size has blocks of its own, beyond a power of two does
constexpr size_t kMostUnits = 1U << 16;  // a megabyte

// In front of each block, since not every delete knows the size.
struct alignas(kUnit) Header {
  size_t units;
};

constexpr size_t units_for(size_t size) {
  const size_t units = std::max<size_t>((size + kUnit - 1) / kUnit, 1);
  return units <= kExactUnits ? units : std::bit_ceil(units);
}

constexpr size_t list_of(size_t units) {
  return units <= kExactUnits ? units - 1 : kExactUnits + std::bit_width(units / kExactUnits) - 2;
}
constexpr size_t kLists = list_of(kMostUnits) + 1;
static_assert(list_of(kExactUnits) + 1 == list_of(2 * kExactUnits));

// One list of free blocks for each size. Objects come in few sizes, and come again: nothing is merged.
class alignas(kUnit) Heap {
 public:
  Heap(std::span<char> space, size_t largest)
      : space_(space), next_(space.data() + sizeof(Heap)), largest_(std::min(largest, kMostUnits * kUnit)) {}

  bool has(const void* block) const {
    const auto* byte = static_cast<const char*>(block);
    return byte >= space_.data() && byte < space_.data() + space_.size();
  }
  void* allocate(size_t size) {
    if (size > largest_) return nullptr;
    const size_t units = units_for(size);
    Free*& first = free_[list_of(units)];
    if (first != nullptr) return std::exchange(first, first->next);
    const size_t bytes = sizeof(Header) + units * kUnit;
    if (bytes > static_cast<size_t>(space_.data() + space_.size() - next_)) return nullptr;
    return new (std::exchange(next_, next_ + bytes)) Header{units} + 1;
  }
  void release(void* block) {
    Free*& first = free_[list_of(header_of(block)->units)];
    first = new (block) Free{first};
  }
  void drop() { ::munmap(space_.data(), space_.size()); }

  static size_t usable_size(void* block) { return header_of(block)->units * kUnit; }

 private:
  struct Free {
    Free* next;
  };
  static Header* header_of(void* block) { return static_cast<Header*>(block) - 1; }

  std::span<char> space_;
  char* next_;  // all before it was given out once
  size_t largest_;
  std::array<Free*, kLists> free_{};
};

// Each lies at the start of its own space.
Heap* in_use = nullptr;
Heap* former = nullptr;

bool in_former(const void* block) {
  return former != nullptr && former->has(block);
}

}  // namespace

void* heap_allocate(size_t size) {
  void* block = in_use != nullptr ? in_use->allocate(size) : nullptr;
  return block != nullptr ? block : std::malloc(std::max<size_t>(size, 1));
}

void heap_free(void* block) {
  if (in_use != nullptr && in_use->has(block)) return in_use->release(block);
  if (!in_former(block)) std::free(block);  // else it goes with its heap
}

size_t heap_usable_size(void* block) {
  const bool ours = (in_use != nullptr && in_use->has(block)) || in_former(block);
  return ours ? Heap::usable_size(block) : ::malloc_usable_size(block);
}

void* heap_reallocate(void* block, size_t size) {
  if (block == nullptr) return heap_allocate(size);
  void* larger = heap_allocate(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, std::min(size, heap_usable_size(block)));
  heap_free(block);
  return larger;
}

#if defined(__SANITIZE_ADDRESS__)
#define VNCAUTHPROXY_OWN_HEAP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VNCAUTHPROXY_OWN_HEAP 0
#endif
#endif
#ifndef VNCAUTHPROXY_OWN_HEAP
#define VNCAUTHPROXY_OWN_HEAP 1
#endif

bool begin_heap(size_t space, size_t largest) {
  if (!VNCAUTHPROXY_OWN_HEAP) return false;
  void* pages =
      ::mmap(nullptr, space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return false;
  ::madvise(pages, space, MADV_NOHUGEPAGE);  // a first byte would cost two megabytes
  former = std::exchange(in_use, new (pages) Heap({static_cast<char*>(pages), space}, largest));
  return true;
}

void drop_former_heap() {
  if (former != nullptr) std::exchange(former, nullptr)->drop();
}

}  // namespace vncauthproxy::base

#if VNCAUTHPROXY_OWN_HEAP
void* operator new(size_t size) {
  void* block = vncauthproxy::base::heap_allocate(size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept {
  vncauthproxy::base::heap_free(block);
}
void operator delete(void* block, size_t) noexcept {
  vncauthproxy::base::heap_free(block);
}
#endif
