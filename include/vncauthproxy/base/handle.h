// SPDX-License-Identifier: GPL-2.0-or-later
// Owners of what C libraries allocate. A layer that knows a library has the table of its types, in its
// handles.h; no other file calls a free function.
#pragma once

#include <dirent.h>
#include <netdb.h>

#include <cstdio>
#include <memory>

namespace vncauthproxy::base {

template <typename T>
struct Release;  // one for each type, in a table as below
template <typename T, auto kFree>
struct ReleaseBy {
  void operator()(T* p) const { kFree(p); }
};
template <typename T>
using Handle = std::unique_ptr<T, Release<T>>;

template <>
struct Release<std::FILE> : ReleaseBy<std::FILE, std::fclose> {};
template <>
struct Release<DIR> : ReleaseBy<DIR, ::closedir> {};
template <>
struct Release<addrinfo> : ReleaseBy<addrinfo, ::freeaddrinfo> {};

}  // namespace vncauthproxy::base
