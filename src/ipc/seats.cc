// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/seats.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vncauthproxy::ipc {
namespace {

// With fewer descriptors they are better used otherwise, and copied in no time.
constexpr rlim_t kWorthwhile = 1024;

}  // namespace

Seats::Seats() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < kWorthwhile) return;
  // An old kernel has neither; containers often forbid clone3() (it would say EINVAL to no arguments).
  if (::close_range(~0U, ~0U, 0) != 0) return;
  if (::syscall(SYS_clone3, nullptr, 0) != -1 || errno != EINVAL) return;
  empty_ = base::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (size_t i = 0; i < kCount; ++i) {
    base::Fd seat(::fcntl(empty_.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!seat) break;
    end_ = std::max(end_, static_cast<unsigned>(seat.get()) + 1);
    free_.push_back(seat.get());
    all_.push_back(std::move(seat));
  }
  // A whole word of the kernel's bitmap: cut within one, kernels before 6.11 leave numbers marked as in use.
  constexpr unsigned kWord = 64;
  end_ = (end_ + kWord - 1) / kWord * kWord;
}

Seats::Taken Seats::take(Handover& handover) {
  const std::vector<base::Fd*> wanted = descriptors(handover);
  Taken taken;
  if (wanted.size() > kMostOfOne || wanted.size() > free_.size()) return taken;
  taken.seats_ = this;
  for (const base::Fd* fd : wanted) {
    const int seat = free_.back();
    if (::dup3(fd->get(), seat, O_CLOEXEC) < 0) return {};
    free_.pop_back();
    taken.taken_[taken.count_++] = seat;
  }
  return taken;
}

Seats::Taken::Taken(Taken&& other) noexcept
    : seats_(other.seats_), taken_(other.taken_), count_(std::exchange(other.count_, 0)) {}

Seats::Taken& Seats::Taken::operator=(Taken&& other) noexcept {
  if (this != &other) {
    give_back();
    seats_ = other.seats_;
    taken_ = other.taken_;
    count_ = std::exchange(other.count_, 0);
  }
  return *this;
}

void Seats::Taken::give_back() {
  for (; count_ > 0; --count_) {
    const int seat = taken_[count_ - 1];
    ::dup3(seats_->empty_.get(), seat, O_CLOEXEC);
    seats_->free_.push_back(seat);
  }
}

bool Seats::Taken::settle(Handover& handover) const {
  if (::close_range(seats_->end_, ~0U, CLOSE_RANGE_UNSHARE) != 0) return false;
  const std::vector<base::Fd*> wanted = descriptors(handover);
  for (size_t i = 0; i < count_; ++i) {
    wanted[i]->release();  // its number means nothing here
    *wanted[i] = base::Fd(taken_[i]);
  }
  return true;
}

pid_t fork_sharing_descriptors() {
  clone_args how{};
  how.flags = CLONE_FILES;
  how.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &how, sizeof how);  // glibc has no wrapper for it
  return static_cast<pid_t>(pid < 0 ? -errno : pid);
}

}  // namespace vncauthproxy::ipc
