// SPDX-License-Identifier: GPL-2.0-or-later
// Tables of addresses (vtables, method tables, error texts: half a megabyte in OpenSSL alone) are written
// once, by the dynamic linker, which makes them read-only then (RELRO). For the kernel these pages are
// private to the process ever after: each fork copies their entries one by one, each exit takes them down
// again, whether the child looked at them or not.
#pragma once

#include <cstddef>

namespace vncauthproxy::base {

// Puts them into memory that children look up like a file's, at the same place and with the same content, and
// as read-only as before. For a process with one thread, before it forks; once is enough. What cannot be
// shared stays as it is. Returns how many bytes are.
size_t share_relocated();

}  // namespace vncauthproxy::base
