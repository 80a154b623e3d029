// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/heap.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "vncauthproxy/base/fd.h"

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

enum class Turn : uint8_t { parents, childs, childs_for_good };

// One list of free blocks for each size. Objects come in few sizes, and come again: nothing is merged. It
// lies at the start of its own space.
class alignas(kUnit) Heap {
 public:
  explicit Heap(HeapSize size) : space_(size.space), largest_(std::min(size.largest, kMostUnits * kUnit)) {}

  void* allocate(size_t size) {
    if (size > largest_) return nullptr;
    const size_t units = units_for(size);
    Free*& first = free_[list_of(units)];
    if (first != nullptr) return std::exchange(first, first->next);
    const size_t bytes = sizeof(Header) + units * kUnit;
    if (bytes > space_ - used_) return nullptr;
    return new (start() + std::exchange(used_, used_ + bytes)) Header{units} + 1;
  }
  void release(void* block) {
    Free*& first = free_[list_of(header_of(block)->units)];
    first = new (block) Free{first};
  }
  // All that was given out is back: as if nothing had been.
  void clear() {
    ::explicit_bzero(start() + sizeof(Heap), used_ - sizeof(Heap));
    used_ = sizeof(Heap);
    free_ = {};
  }

  static size_t usable_size(void* block) { return header_of(block)->units * kUnit; }

  Turn turn = Turn::parents;  // kept in the child's heap

 private:
  struct Free {
    Free* next;
  };
  static Header* header_of(void* block) { return static_cast<Header*>(block) - 1; }
  char* start() { return reinterpret_cast<char*>(this); }

  size_t space_;
  size_t largest_;
  size_t used_ = sizeof(Heap);  // all before it was given out once
  std::array<Free*, kLists> free_{};
};

struct Place {
  Heap* heap = nullptr;
  size_t size = 0;

  bool has(const void* block) const {
    return heap != nullptr && reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(heap) < size;
  }
};
// Written once: what changes is in the heaps, or its page would be copied with each fork.
Place parents, childs;

Result<Place> make_heap(HeapSize size, int advice) {
  void* pages =
      ::mmap(nullptr, size.space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return system_error("cannot map a heap");
  if (::madvise(pages, size.space, advice) != 0) return system_error("cannot set up a heap");
  ::madvise(pages, size.space, MADV_NOHUGEPAGE);  // a first byte would cost two megabytes
  return Place{new (pages) Heap(size), size.space};
}

void give_turn(Turn turn) {
  if (childs.heap != nullptr) childs.heap->turn = turn;
}

// Null: there is malloc() alone.
Heap* in_use() {
  return childs.heap == nullptr || childs.heap->turn == Turn::parents ? parents.heap : childs.heap;
}

}  // namespace

void* heap_allocate(size_t size) {
  Heap* const heap = in_use();
  void* block = heap != nullptr ? heap->allocate(size) : nullptr;
  return block != nullptr ? block : std::malloc(std::max<size_t>(size, 1));
}

void heap_free(void* block) {
  if (childs.has(block)) return childs.heap->release(block);
  if (!parents.has(block)) return std::free(block);
  // In a child there is nothing behind the pointer, and nothing to do.
  if (childs.heap->turn != Turn::childs_for_good) parents.heap->release(block);
}

size_t heap_usable_size(void* block) {
  return childs.has(block) || parents.has(block) ? Heap::usable_size(block) : ::malloc_usable_size(block);
}

void* heap_reallocate(void* block, size_t size) {
  if (block == nullptr) return heap_allocate(size);
  void* larger = heap_allocate(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, std::min(size, heap_usable_size(block)));
  heap_free(block);
  return larger;
}

Result<void> begin_heaps(HeapSize own, HeapSize of_child) {
  if (!VNCAUTHPROXY_OWN_HEAPS) return {};
  // Empty in a child, but its place is kept: what malloc() mapped there would be taken for the parent's.
  auto made = make_heap(own, MADV_WIPEONFORK);
  if (!made) return std::move(made.error());
  auto made_for_child = make_heap(of_child, MADV_NORMAL);
  if (!made_for_child) return std::move(made_for_child.error());
  parents = *made;
  childs = *made_for_child;
  return {};
}

HeapForChild::HeapForChild() {
  give_turn(Turn::childs);
}
HeapForChild::~HeapForChild() {
  if (childs.heap != nullptr) childs.heap->clear();
  give_turn(Turn::parents);
}
void keep_heap_for_child() {
  give_turn(Turn::childs_for_good);
}

}  // namespace vncauthproxy::base

#if VNCAUTHPROXY_OWN_HEAPS
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
// The C++ library's would only pass on to those above; a process that runs briefly need not map it for that.
void* operator new[](size_t size) {
  return ::operator new(size);
}
void operator delete[](void* block) noexcept {
  vncauthproxy::base::heap_free(block);
}
void operator delete[](void* block, size_t) noexcept {
  vncauthproxy::base::heap_free(block);
}
#endif
