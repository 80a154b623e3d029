// SPDX-License-Identifier: GPL-2.0-or-later
// Who has to go when too many viewers are on their way in. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vncauthproxy/base/address.h"

namespace vncauthproxy::worker {

// How far a viewer got; more is worth more.
enum class Progress : uint8_t {
  had_its_pages,  // a browser's connection that nothing is under way on; it makes another one when it needs
                  // it
  none,
  in_tls,
  asks_for_pages,
  rfb_version,
  rfb_type,
  at_the_password
};

struct Standing {
  const base::Endpoint* peer;
  Progress progress;
};

// Whose place the newcomer takes, as an index into `there`, which is ordered by arrival; nullopt: there is
// room. It is one of the newcomer's own address when that has `per_address` already, else, when `all` are
// there, one of the address that has most. The one that got least far goes, and among equals the oldest:
// programs get on at once. But at the password people are typing, so there the newest goes, and who has begun
// may end.
std::optional<size_t> who_goes(const std::vector<Standing>& there, const base::Endpoint& newcomer,
                               size_t per_address, size_t all);

}  // namespace vncauthproxy::worker
