// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace vncauthproxy::worker {
namespace {

using net::Io;
using net::IoStatus;

// The pages of pipes count against fs.pipe-user-pages-soft, 16384 for each user, which is soon used up when
// each session takes 256. 128 KiB are enough for most: a page of a pipe refers to a piece of what a socket
// holds, whatever its length, so that this pipe often carries 1 MiB.
constexpr int kSize = 128 * 1024;
constexpr int kLargeSize = 1024 * 1024;
constexpr size_t kLeastSize = 64 * 1024;  // copying through a buffer is cheaper than a smaller pipe
constexpr size_t kMove = 1024 * 1024;

Io moved(ssize_t count) {
  if (count > 0) return {IoStatus::ok, static_cast<size_t>(count)};
  if (count == 0) return {IoStatus::end};
  return {errno == EAGAIN || errno == EINTR ? IoStatus::again : IoStatus::error};
}

}  // namespace

bool Pipe::open() {
  auto ends = base::make_pipe();
  if (!ends) return false;
  ends_ = std::move(*ends);
  resize(kSize);
  if (capacity_ < kLeastSize) close();
  return is_open();
}

// A user who has used up the share gets small pipes, which cannot be enlarged: so the real size is asked.
void Pipe::resize(int wanted) {
  ::fcntl(ends_.second.get(), F_SETPIPE_SZ, wanted);
  capacity_ = static_cast<size_t>(::fcntl(ends_.second.get(), F_GETPIPE_SZ));
}

void Pipe::enlarge() {
  if (is_open() && capacity_ < kLargeSize) resize(kLargeSize);
}

void Pipe::close() {
  ends_ = {};
  filled_ = 0;
}

Io Pipe::fill(int from) {
  const Io io =
      moved(::splice(from, nullptr, ends_.second.get(), nullptr, kMove, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  filled_ += io.count;
  return io;
}

Io Pipe::drain(int to, size_t most) {
  const Io io =
      moved(::splice(ends_.first.get(), nullptr, to, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  filled_ -= io.count;
  return io;
}

bool Pipe::drain_into(std::vector<uint8_t>& to) {
  while (filled_ > 0) {
    const size_t before = to.size();
    to.resize(before + filled_);
    const Io io = moved(::read(ends_.first.get(), to.data() + before, filled_));
    to.resize(before + io.count);
    if (io.status != IoStatus::ok) return false;
    filled_ -= io.count;
  }
  return true;
}

}  // namespace vncauthproxy::worker
