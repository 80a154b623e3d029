// SPDX-License-Identifier: GPL-2.0-or-later
// Whether this system can serve the configured range of ports: each forwarding is a process and a descriptor
// of the master.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vncauthproxy/base/options.h"

namespace vncauthproxy::master {

struct Limits {
  rlim_t descriptors = RLIM_INFINITY;
  rlim_t processes = RLIM_INFINITY;  // of the user
  // What the kernel takes for outgoing connections; 0 and 0: unknown.
  uint16_t first_ephemeral = 0, last_ephemeral = 0;
};

// The soft limits to the hard ones, which are whoever's who starts the daemon.
void raise_limits();
Limits read_limits();
// What falls short of the range, as sentences for the operator. Not an error: fewer sessions do work.
std::vector<std::string> shortfalls(const base::Options& options, const Limits& limits);

}  // namespace vncauthproxy::master
