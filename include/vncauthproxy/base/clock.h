// SPDX-License-Identifier: GPL-2.0-or-later
// std::chrono::steady_clock for processes that live briefly: asking it does not map the C++ library's text
// for that alone.
#pragma once

#include <chrono>
#include <ctime>

namespace vncauthproxy::base {

struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    std::timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

}  // namespace vncauthproxy::base
