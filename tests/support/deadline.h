// SPDX-License-Identifier: GPL-2.0-or-later
// A point in time that a wait must not pass. Computed once and handed down, so that a sequence of waits has
// one limit.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>

namespace vncauthproxy::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How long a test waits for what must happen. Only a failing test waits that long; the sanitizers on a busy
// machine need room.
inline constexpr seconds kPatience{20};

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  Deadline() : Deadline(kPatience) {}
  template <typename Rep, typename Period>
  Deadline(std::chrono::duration<Rep, Period> from_now) : at_(Clock::now() + from_now) {}

  Clock::time_point at() const { return at_; }
  bool passed() const { return Clock::now() >= at_; }
  int left_ms() const {  // as poll(2) takes it
    const auto left = std::chrono::ceil<milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 1'000'000));
  }

 private:
  Clock::time_point at_;
};

// True once one of `events` (or an error) is there.
inline bool wait_fd(int fd, short events, Deadline deadline) {
  pollfd entry{fd, events, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, deadline.left_ms());
    if (ready > 0) return true;
    if (ready == 0 && deadline.passed()) return false;
  }
}

// For states nobody announces (a process gone from /proc): asks again every few milliseconds.
template <typename Condition>
bool wait_until(Condition condition, Deadline deadline = {}) {
  while (!condition()) {
    if (deadline.passed()) return condition();
    ::poll(nullptr, 0, 5);
  }
  return true;
}

}  // namespace vncauthproxy::testing
