// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/ending.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <utility>

namespace vncauthproxy::worker {
namespace {

constexpr std::chrono::seconds kTime{5};

}  // namespace

Ending::Ending(net::Loop& loop, std::function<int()> viewer_fd, Over over)
    : viewer_fd_(std::move(viewer_fd)), over_(std::move(over)), timer_(loop, [this] { out_of_time(); }) {}

void Ending::begin(std::string reason, Goodbye goodbye) {
  if (goodbye != Goodbye::normal) goodbye_ = goodbye;
  if (!reason_.empty()) return;
  reason_ = std::move(reason);
  timer_.start(kTime);
}

void Ending::stop(std::string reason, std::chrono::milliseconds grace) {
  begin(std::move(reason), Goodbye::going_away);
  timer_.start(grace);
  stopped_ = true;
}

void Ending::more_time() {
  if (!reason_.empty() && !stopped_) timer_.start(kTime);
}

void Ending::now() {
  if (over_) std::exchange(over_, nullptr)(reason_);
}

void Ending::forget() {
  timer_.stop();
  over_ = nullptr;
}

// To close now would cut off a slow viewer that still takes what the kernel holds for it.
void Ending::out_of_time() {
  int unsent = 0;
  if (!stopped_ && ::ioctl(viewer_fd_(), SIOCOUTQ, &unsent) == 0 && unsent > 0 &&
      (unsent_ == 0 || unsent < unsent_)) {
    unsent_ = unsent;
    return more_time();
  }
  now();
}

}  // namespace vncauthproxy::worker
