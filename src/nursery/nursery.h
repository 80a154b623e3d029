// SPDX-License-Identifier: GPL-2.0-or-later
// The small process that forks workers. The master starts it by fork and exec of this program, so it has
// never seen a user, a key, a request or a control socket, and neither has any worker. It prepares once what
// all workers need and then writes to few of its pages, so that they stay shared.
#pragma once

namespace vncauthproxy::nursery {

// The argument that makes the program a nursery, and the number of the descriptor of its socket to the
// master.
inline constexpr char kArgument[] = "--nursery";
inline constexpr int kChannel = 3;

// Runs until the master is gone. Returns the exit status: 2 when it was not started by a master.
int run();

}  // namespace vncauthproxy::nursery
