// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/bulk.h"

#include <utility>

namespace vncauthproxy::worker {
namespace {

constexpr size_t kLargeBuffer = 256 * 1024;
// TLS costs a quarter less with this than with 256 KiB, since it takes fewer turns. Copying without TLS costs
// more with it, when many sessions do it.
constexpr size_t kLargeSecureBuffer = 1024 * 1024;
constexpr uint64_t kFastPerSecond = 512UL << 20;
constexpr std::chrono::milliseconds kFirstLook{20};
constexpr std::chrono::seconds kQuiet{1};

}  // namespace

Bulk::Bulk(net::Loop& loop, const Link& from, Link& to)
    : from_(from), to_(to), timer_(loop, [this] { look(); }) {}

void Bulk::moved(size_t count) {
  since_look_ += count;
  if (count < kSmallBuffer) return;
  if (std::exchange(seen_, true) || pipe_.is_open() || !buffer().empty()) return;
  if (!from_.can_splice_from() || !to_.can_splice_to() || !pipe_.open())
    buffer_ = base::SecretPages(from_.secure() || to_.secure() ? kLargeSecureBuffer : kLargeBuffer);
  look_again_in(kFirstLook);
}

void Bulk::stop() {
  timer_.stop();
}

void Bulk::look_again_in(std::chrono::milliseconds time) {
  since_look_ = 0;
  fast_from_ = kFastPerSecond * static_cast<uint64_t>(time.count()) / 1000;
  timer_.start(time);
}

void Bulk::look() {
  if (!std::exchange(seen_, false) && pipe_.empty()) {
    pipe_.close();
    buffer_ = {};
    return to_.relax();
  }
  // Large pipes are scarce: a session gets one only when it is fast.
  if (since_look_ >= fast_from_) pipe_.enlarge();
  look_again_in(kQuiet);
}

}  // namespace vncauthproxy::worker
