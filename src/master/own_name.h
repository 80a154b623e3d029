// SPDX-License-Identifier: GPL-2.0-or-later
// The name that viewers are told to connect to when the operator names none.
#pragma once

#include <string>
#include <vector>

namespace vncauthproxy::master {

// What this machine knows of itself; each may be empty.
struct OwnNames {
  std::string canonical;               // what the resolver calls the host name in full
  std::string host;                    // the host name
  std::vector<std::string> addresses;  // from which it reaches others
};
OwnNames look_up_own_names();

struct NameForViewers {
  std::string name;
  std::string warning;  // for the operator; empty: the name is fine
};
// The first of these that is no loopback's. Viewers on other machines would connect to themselves: some hosts
// files list localhost before the host's name, which makes it the canonical one.
NameForViewers name_for_viewers(const OwnNames& names);

}  // namespace vncauthproxy::master
