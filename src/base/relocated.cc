// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/relocated.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <span>
#include <vector>

#include "vncauthproxy/base/fd.h"

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

}  // namespace

size_t share_relocated() {
  std::vector<Pages> all;
  ::dl_iterate_phdr(collect, &all);
  const Fd copy(::memfd_create("relocated", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy) return 0;
  for (const Pages& pages : all)
    if (::write(copy.get(), pages.begin, pages.size) != static_cast<ssize_t>(pages.size)) return 0;
  if (::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return 0;
  size_t shared = 0;
  for (const Pages& pages : all) {
    if (::mmap(pages.begin, pages.size, PROT_READ, MAP_PRIVATE | MAP_FIXED, copy.get(),
               static_cast<off_t>(shared)) != pages.begin)
      break;
    shared += pages.size;
  }
  return shared;
}

}  // namespace vncauthproxy::base
