// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/pages.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vncauthproxy::worker {

Pages::Page Pages::open(const std::vector<std::string>& candidates) const {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;  // neither a FIFO nor a terminal may hold us up
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (const std::string& path : candidates) {
    // glibc has no wrapper for it.
    base::Fd file(static_cast<int>(::syscall(SYS_openat2, folder_.get(), path.c_str(), &how, sizeof how)));
    struct stat status {};
    if (file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode))
      return {std::move(file), static_cast<uint64_t>(status.st_size), path};
  }
  return {};
}

}  // namespace vncauthproxy::worker
