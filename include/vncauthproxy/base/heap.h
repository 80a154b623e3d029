// SPDX-License-Identifier: GPL-2.0-or-later
// Where the small objects of a process live that forks a child for each piece of its work. What such a parent
// makes and frees all day is scattered over its heap, and each page of that would be write-protected by the
// fork and copied with the next write. So it has a heap that is its own: no child gets it, and with it
// nothing that the parent knows. What a child is to have is made in a second heap, which it goes on using.
//
// Linking this file replaces operator new and delete. Under AddressSanitizer, which has its own, all of this
// does nothing.
#pragma once

#include <cstddef>

#include "vncauthproxy/base/result.h"

#if defined(__SANITIZE_ADDRESS__)
#define VNCAUTHPROXY_OWN_HEAPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VNCAUTHPROXY_OWN_HEAPS 0
#endif
#endif
#ifndef VNCAUTHPROXY_OWN_HEAPS
#define VNCAUTHPROXY_OWN_HEAPS 1
#endif

namespace vncauthproxy::base {

// Objects of up to `largest` bytes (a megabyte at most) are in a heap's own pages, up to `space` bytes of
// address space; what is larger, or beyond, comes from malloc(). A block that is freed is used again, but
// the kernel does not get it back.
struct HeapSize {
  size_t space;
  size_t largest;
};

// From now on operator new works in the parent's heap. What there is already stays where it is, is inherited
// and deleted as ever. Once in a process.
Result<void> begin_heaps(HeapSize own, HeapSize of_child);

// While it lives, operator new works in the child's heap, for the child that is forked meanwhile. In the
// parent all that was made there has to go before this does.
class HeapForChild {
 public:
  HeapForChild();
  ~HeapForChild();
  HeapForChild(const HeapForChild&) = delete;
  HeapForChild& operator=(const HeapForChild&) = delete;
};
// In the child: from now on it has that heap and no other. The parent's is empty there; to free its objects'
// memory all the same does nothing.
void keep_heap_for_child();

// For C libraries that take an allocator. Like malloc(), realloc() and free(), in the heap in use.
void* heap_allocate(size_t size);
void* heap_reallocate(void* block, size_t size);
void heap_free(void* block);
// How many bytes of a block of operator new or heap_allocate() may be used.
size_t heap_usable_size(void* block);

}  // namespace vncauthproxy::base
