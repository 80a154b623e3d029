// SPDX-License-Identifier: GPL-2.0-or-later
// Descriptors of this process, from the outside: which there are, and a time without a free one.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "vncauthproxy/base/handle.h"

namespace vncauthproxy::testing {

// How many are open whose target begins with `kind`: "pipe:", "socket:", "" for all.
inline unsigned count_descriptors(const std::string& kind = "") {
  unsigned count = 0;
  const base::Handle<DIR> folder(::opendir("/proc/self/fd"));
  if (!folder) return 0;
  while (const dirent* entry = ::readdir(folder.get())) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == ::dirfd(folder.get())) continue;
    char target[256] = "";
    if (::readlinkat(::dirfd(folder.get()), entry->d_name, target, sizeof target - 1) > 0 &&
        std::string(target).starts_with(kind))
      ++count;
  }
  return count;
}

// While one of these lives, opening, accepting and the like fail with EMFILE.
class NoMoreDescriptors {
 public:
  explicit NoMoreDescriptors(rlim_t but = 0) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
    ::close(lowest_free);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest_free) + but;
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace vncauthproxy::testing
