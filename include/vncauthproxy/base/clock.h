// SPDX-License-Identifier: GPL-2.0-or-later
// std::chrono::steady_clock for processes that live briefly: asking it does not map the C++ library's text
// for that alone. And seconds as people write them.
#pragma once

#include <algorithm>
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

// Rounded, but more than nothing never to nothing. Of no more seconds than milliseconds can count.
inline std::chrono::milliseconds to_milliseconds(double seconds) {
  const auto rounded = std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
  return seconds > 0 ? std::max(rounded, std::chrono::milliseconds(1)) : rounded;
}

}  // namespace vncauthproxy::base
