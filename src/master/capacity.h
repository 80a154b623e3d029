// SPDX-License-Identifier: GPL-2.0-or-later
// Whether this system can serve the configured range of ports: each forwarding is a process and a descriptor
// of the master.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include "master/findings.h"
#include "vncauthproxy/config/options.h"

namespace vncauthproxy::master {

struct Limits {
  rlim_t descriptors = RLIM_INFINITY;
  rlim_t processes = RLIM_INFINITY;  // of the user
  // What the kernel takes for outgoing connections; 0 and 0: unknown.
  uint16_t first_ephemeral = 0, last_ephemeral = 0;
  uint16_t first_unprivileged = 0;  // the first port that others than root may listen on
  unsigned long pipe_pages = 0;     // of a user who is not root, before pipes become small; 0: no limit
};

// The soft limits to the hard ones, which are whoever's who starts the daemon.
void raise_limits();
Limits read_limits();
// What falls short of the range. Fatal is what does not do for a single forwarding. `unprivileged`: the
// daemon will not be root.
void find_shortfalls(const config::Options& options, const Limits& limits, bool unprivileged,
                     Findings& findings);

}  // namespace vncauthproxy::master
