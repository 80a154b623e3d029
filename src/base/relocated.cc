// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/relocated.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <vector>

#include "vncauthproxy/base/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

namespace vncauthproxy::base {
namespace {

struct Pages {
  void* begin;
  size_t size;
};

// The whole pages of an object's RELRO segment: so much of it the dynamic linker makes read-only.
int collect(dl_phdr_info* object, size_t, void* found) {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (const ElfW(Phdr) & segment : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
    if (segment.p_type != PT_GNU_RELRO) continue;
    const uintptr_t address = object->dlpi_addr + segment.p_vaddr;
    const uintptr_t begin = address / page * page, end = (address + segment.p_memsz) / page * page;
    if (begin < end)
      static_cast<std::vector<Pages>*>(found)->push_back({reinterpret_cast<void*>(begin), end - begin});
  }
  return 0;
}

// Linux 6.3 and later want to be told that nothing in it will be executed, earlier ones do not know the word.
Fd make_memory_file() {
  constexpr const char* kName = "relocated";
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

size_t share_relocated() {
  std::vector<Pages> all;
  ::dl_iterate_phdr(collect, &all);
  size_t size = 0;
  for (const Pages& pages : all) size += pages.size;
  const Fd copy = make_memory_file();
  if (!copy || !fits_a_file(size)) return 0;
  for (const Pages& pages : all)
    if (!write_whole(copy.get(), pages)) return 0;
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) return 0;
  size_t shared = 0;
  for (const Pages& pages : all) {
    if (::mmap(pages.begin, pages.size, PROT_READ, MAP_PRIVATE | MAP_FIXED, copy.get(),
               static_cast<off_t>(shared)) == MAP_FAILED)
      break;
    shared += pages.size;
  }
  return shared;
}

}  // namespace vncauthproxy::base
