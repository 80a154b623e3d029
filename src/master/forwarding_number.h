// SPDX-License-Identifier: GPL-2.0-or-later
// The number that a forwarding has in the log, F<number>.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace vncauthproxy::master {

// The first one of a daemon that starts at `now`: the seconds since the year 2026 began. So a number stands
// for one forwarding in the logs of all the daemon's lives, unless one of these made more than one forwarding
// a second from its start to its end.
inline uint32_t first_forwarding_number(std::time_t now) {
  constexpr std::time_t kYear2026 = 1767225600;
  return static_cast<uint32_t>(std::max<std::time_t>(now - kYear2026, 1));
}

}  // namespace vncauthproxy::master
