// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/pages.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

#include "vncauthproxy/proto/web_page.h"

namespace vncauthproxy::worker {
namespace {

// Below it a page fits a packet or two anyway; above it compressing would hold up the other viewers.
constexpr uint64_t kLeastCompressed = 1024;
constexpr uint64_t kMostCompressed = 512 * 1024;
// Of all compressed pages: noVNC takes a fifth of it. What does not fit is sent as it is.
constexpr size_t kMostKept = 1024 * 1024;

// Each file has its own, whatever path led to it, and another one when it changes.
std::string tag_of(const struct stat& status) {
  char text[100];
  std::snprintf(
      text, sizeof text, "\"%llx-%llx-%llx-%llx.%lx\"", static_cast<unsigned long long>(status.st_dev),
      static_cast<unsigned long long>(status.st_ino), static_cast<unsigned long long>(status.st_size),
      static_cast<unsigned long long>(status.st_mtim.tv_sec),
      static_cast<unsigned long>(status.st_mtim.tv_nsec));
  return text;
}

// Compresses a file; how long it became. 0: it does not fit into `into`, or cannot be read.
size_t compress(int file, uint64_t size, std::span<uint8_t> into) {
  constexpr int kGzip = 16 + MAX_WBITS;
  constexpr int kMemLevel = 8;
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemLevel, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    return 0;
  stream.next_out = into.data();
  stream.avail_out = static_cast<uInt>(into.size());
  std::array<uint8_t, 16 * 1024> room;
  int result = Z_OK;
  for (uint64_t at = 0; result == Z_OK && at < size && stream.avail_out > 0;) {
    const ssize_t count = ::pread(file, room.data(), room.size(), static_cast<off_t>(at));
    if (count <= 0) break;
    at += static_cast<uint64_t>(count);
    stream.next_in = room.data();
    stream.avail_in = static_cast<uInt>(count);
    result = ::deflate(&stream, at < size ? Z_NO_FLUSH : Z_FINISH);
  }
  ::deflateEnd(&stream);
  return result == Z_STREAM_END ? stream.total_out : 0;
}

}  // namespace

// A session that may last for days need not keep what its browser's pages took.
Pages::~Pages() {
  if (kept_.capacity() == 0) return;
  std::vector<uint8_t>().swap(kept_);
  gzip_.clear();
  ::malloc_trim(0);
}

Pages::Page Pages::open(const std::vector<std::string>& candidates, bool takes_gzip) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;  // neither a FIFO nor a terminal may hold us up
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (const std::string& path : candidates) {
    // glibc has no wrapper for it.
    base::Fd file(static_cast<int>(::syscall(SYS_openat2, folder_.get(), path.c_str(), &how, sizeof how)));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    Page page{std::move(file), {}, static_cast<uint64_t>(status.st_size), path, tag_of(status)};
    if (takes_gzip) page.gzip = compressed(page);
    if (page.gzip.empty()) return page;
    page.file.reset();
    page.size = page.gzip.size();
    page.tag.insert(page.tag.size() - 1, ".gz");
    return page;
  }
  return {};
}

// Empty: it does not pay.
base::Bytes Pages::compressed(const Page& page) {
  if (page.size < kLeastCompressed || page.size > kMostCompressed) return {};
  if (!proto::is_text(proto::media_type(page.path))) return {};
  const auto [at, is_new] = gzip_.try_emplace(page.tag);
  if (!is_new) return at->second;
  kept_.reserve(kMostKept);
  const size_t used = kept_.size();
  kept_.resize(used + std::min<size_t>(page.size - 1, kMostKept - used));
  const size_t size = compress(page.file.get(), page.size, std::span(kept_).subspan(used));
  kept_.resize(used + size);
  return at->second = base::Bytes(kept_).subspan(used, size);
}

}  // namespace vncauthproxy::worker
