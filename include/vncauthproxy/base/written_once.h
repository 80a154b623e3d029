// SPDX-License-Identifier: GPL-2.0-or-later
// Much of a daemon's memory is written once, at its start: what reading files and starting libraries put into
// the heap of malloc(), and tables of addresses (vtables, method tables, error texts: half a megabyte in
// OpenSSL alone), which the dynamic linker fills in and makes read-only (RELRO). For the kernel these pages
// are private to the process ever after: each fork copies their entries one by one, each exit takes them down
// again, and whatever the kernel does with such a page it does once for each child, whether the child looked
// at it or not.
#pragma once

#include <cstddef>

namespace vncauthproxy::base {

// Puts them into memory that children look up like a file's, at the same place, with the same content and
// rights; who writes to a page of it gets his own. It keeps the content of now for as long as any child lives
// and lets none wipe it: secrets are made later or elsewhere (SecretPages). For a process with one thread,
// before it forks; once is enough. What cannot be shared stays as it is. Returns how many bytes are.
size_t share_written_once();

}  // namespace vncauthproxy::base
