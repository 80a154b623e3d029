// SPDX-License-Identifier: GPL-2.0-or-later
// The files below --web DIR, as a browser may ask for them. No spelling of a path leads out of the folder:
// the kernel resolves it beneath (openat2(2), RESOLVE_BENEATH), links included. Texts are compressed for
// browsers that take it: each once for a forwarding, so that asking again and again costs no more.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::worker {

class Pages {
 public:
  struct Page {
    base::Fd file;      // none: not found, or there is `gzip` to send in its place
    base::Bytes gzip;   // a loan for as long as these Pages live
    uint64_t size = 0;  // of what is to be sent
    std::string path, tag;
    bool found() const { return !path.empty(); }
  };
  explicit Pages(base::Fd folder) : folder_(std::move(folder)) {}  // none: there are no pages
  ~Pages();
  Pages(const Pages&) = delete;

  bool any() const { return static_cast<bool>(folder_); }
  // The first of the relative paths that is a regular file; compressed, if the browser takes it and it pays.
  Page open(const std::vector<std::string>& candidates, bool takes_gzip);

 private:
  base::Bytes compressed(const Page& page);

  base::Fd folder_;
  std::vector<uint8_t> kept_;                // compressed pages, one behind the other; never moves
  std::map<std::string, base::Bytes> gzip_;  // by tag; empty: it does not pay
};

}  // namespace vncauthproxy::worker
