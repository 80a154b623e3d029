// SPDX-License-Identifier: GPL-2.0-or-later
// std::chrono::steady_clock for processes that live briefly: asking it does not map the C++ library's text
// for that alone. And seconds as people write them.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>

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

// "30 seconds", "0.25 seconds".
inline std::string seconds_text(std::chrono::milliseconds time) {
  std::string text = std::to_string(time.count() / 1000);
  if (const auto rest = time.count() % 1000; rest != 0) {
    text += '.' + std::to_string(1000 + rest).substr(1);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + " seconds";
}

}  // namespace vncauthproxy::base
