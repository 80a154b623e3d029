// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/written_once.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/handles.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

namespace vncauthproxy::base {
namespace {

struct Pages {
  void* begin;
  size_t size;
  int rights;
};

uintptr_t page_size() {
  return static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
}

// The whole pages between two addresses.
void add(std::vector<Pages>& all, uintptr_t from, uintptr_t to, int rights) {
  const uintptr_t begin = (from + page_size() - 1) / page_size() * page_size();
  const uintptr_t end = to / page_size() * page_size();
  if (begin < end) all.push_back({reinterpret_cast<void*>(begin), end - begin, rights});
}

// So much of an object's RELRO segment the dynamic linker makes read-only.
int add_relocated(dl_phdr_info* object, size_t, void* found) {
  for (const ElfW(Phdr) & segment : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
    if (segment.p_type != PT_GNU_RELRO) continue;
    const uintptr_t address = object->dlpi_addr + segment.p_vaddr;
    add(*static_cast<std::vector<Pages>*>(found), address / page_size() * page_size(),
        address + segment.p_memsz, PROT_READ);
  }
  return 0;
}

// What malloc() has at the end of the data segment now. The last page is where it goes on.
uintptr_t end_of_heap() {
  return reinterpret_cast<uintptr_t>(::sbrk(0)) - page_size();
}

void add_heap(std::vector<Pages>& all) {
  const Handle<std::FILE> maps(std::fopen("/proc/self/maps", "re"));
  char line[512];
  while (maps && std::fgets(line, sizeof line, maps.get()) != nullptr) {
    uintptr_t begin = 0;
    if (std::strstr(line, "[heap]") != nullptr && std::sscanf(line, "%" SCNxPTR, &begin) == 1)
      return add(all, begin, end_of_heap(), PROT_READ | PROT_WRITE);
  }
}

// What is allocated later would go into the holes between what is there, and each such page would be copied:
// so they are given away for good, and nothing of what they held with them.
void fill_holes_in_heap() {
  constexpr size_t kLargest = 120 * 1024;          // what is larger is mapped by itself
  constexpr size_t kMostGiven = 16 * 1024 * 1024;  // an allocator of other habits must not be asked for ever
  ::malloc_trim(0);
  const uintptr_t end = end_of_heap();
  const auto in_hole = [end](const void* block) {
    return block != nullptr && reinterpret_cast<uintptr_t>(block) < end;
  };
  size_t given = 0;
  for (size_t size = kLargest; size >= 16; size -= 16) {
    void* block = std::malloc(size);
    for (; in_hole(block) && given < kMostGiven; given += size) {
      ::explicit_bzero(block, size);
      block = std::malloc(size);
    }
    std::free(block);
  }
}

// Linux 6.3 and later want to be told that nothing in it will be executed, earlier ones do not know the word.
Fd make_memory_file() {
  constexpr const char* kName = "written-once";
  Fd file(::memfd_create(kName, MFD_CLOEXEC | MFD_NOEXEC_SEAL));
  if (!file && errno == EINVAL) file = Fd(::memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return file;
}

// The limit of file sizes holds there too, and who exceeds it gets a signal.
bool fits_a_file(size_t size) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && size <= limit.rlim_cur;
}

// Not write(): pages have AddressSanitizer's marks between their objects, and it would take them for an
// overrun.
bool write_whole(int fd, const Pages& pages) {
  return ::syscall(SYS_write, fd, pages.begin, pages.size) == static_cast<long>(pages.size);
}

}  // namespace

size_t share_written_once() {
  fill_holes_in_heap();
  std::vector<Pages> all;
  ::dl_iterate_phdr(add_relocated, &all);
  add_heap(all);
  size_t size = 0;
  for (const Pages& pages : all) size += pages.size;
  const Fd copy = make_memory_file();
  if (!copy || !fits_a_file(size)) return 0;
  // From here to the end nothing is allocated: the heap is among what is copied.
  for (const Pages& pages : all)
    if (!write_whole(copy.get(), pages)) return 0;
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) return 0;
  size_t shared = 0;
  for (const Pages& pages : all) {
    if (::mmap(pages.begin, pages.size, pages.rights, MAP_PRIVATE | MAP_FIXED, copy.get(),
               static_cast<off_t>(shared)) == MAP_FAILED)
      break;
    shared += pages.size;
  }
  return shared;
}

}  // namespace vncauthproxy::base
