// SPDX-License-Identifier: GPL-2.0-or-later
// Where the small objects of a process live that forks a child for each piece of its work. What a parent
// makes and frees all day is scattered over its heap, and each page of that becomes a private copy of some
// child with the parent's next write to it. So parent and child keep their objects in a heap of their own,
// and a child gives its parent's back as a whole: to the kernel, with all that was in it.
//
// Linking this file replaces operator new and delete. Under AddressSanitizer, which has its own, begin_heap()
// and drop_former_heap() do nothing.
#pragma once

#include <cstddef>

namespace vncauthproxy::base {

// From now on operator new takes objects of up to `largest` bytes (a megabyte at most) from pages of their
// own, up to `space` bytes of address space; what is larger, or beyond, comes from malloc(). What there is
// already stays where it is and is deleted as ever. A block that is freed is used again, but the kernel does
// not get it back. False: there are no such pages, and all is as before.
bool begin_heap(size_t space, size_t largest);
// Of a heap begun before the one in use: every object in it is gone, without a destructor.
void drop_former_heap();

// For C libraries that take an allocator. Like malloc(), realloc() and free(), in the heap in use.
void* heap_allocate(size_t size);
void* heap_reallocate(void* block, size_t size);
void heap_free(void* block);
// How many bytes of a block of operator new or heap_allocate() may be used.
size_t heap_usable_size(void* block);

}  // namespace vncauthproxy::base
