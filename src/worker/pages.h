// SPDX-License-Identifier: GPL-2.0-or-later
// The files below --web DIR, as a browser may ask for them. No spelling of a path leads out of the folder:
// the kernel resolves it beneath (openat2(2), RESOLVE_BENEATH), links included.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::worker {

class Pages {
 public:
  struct Page {
    base::Fd file;  // none: not found
    uint64_t size = 0;
    std::string path;
  };
  explicit Pages(base::Fd folder) : folder_(std::move(folder)) {}  // none: there are no pages

  bool any() const { return static_cast<bool>(folder_); }
  // The first of the relative paths that is a regular file.
  Page open(const std::vector<std::string>& candidates) const;

 private:
  base::Fd folder_;
};

}  // namespace vncauthproxy::worker
