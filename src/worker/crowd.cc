// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/crowd.h"

#include <algorithm>

namespace vncauthproxy::worker {
namespace {

size_t count_of(const std::vector<Standing>& there, const base::Endpoint& source) {
  return static_cast<size_t>(std::count_if(there.begin(), there.end(), [&source](const Standing& one) {
    return base::same_source(*one.peer, source);
  }));
}

// Does `b`, who came later, go rather than `a`?
bool goes_first(Progress b, Progress a) {
  return b < a || (b == a && b == Progress::at_the_password);
}

}  // namespace

std::optional<size_t> who_goes(const std::vector<Standing>& there, const base::Endpoint& newcomer,
                               size_t per_address, size_t all) {
  const bool own_only = count_of(there, newcomer) >= per_address;
  if (!own_only && there.size() < all) return std::nullopt;
  std::optional<size_t> leaving;
  size_t most = 0;
  for (size_t i = 0; i < there.size(); ++i) {
    if (own_only && !base::same_source(*there[i].peer, newcomer)) continue;
    const size_t count = own_only ? 0 : count_of(there, *there[i].peer);
    if (leaving && count < most) continue;
    if (!leaving || count > most || goes_first(there[i].progress, there[*leaving].progress)) leaving = i;
    most = count;
  }
  return leaving;
}

}  // namespace vncauthproxy::worker
