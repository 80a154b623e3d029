// SPDX-License-Identifier: GPL-2.0-or-later
// Starts the nursery's process: fork and exec of this same program.
#pragma once

#include <sys/types.h>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::nursery {

// This program's own file, for start(): opened at the daemon's start, it stays the same program when the file
// on disk is replaced.
base::Result<base::Fd> open_own_program();
// Its process number. `channel`: the nursery's end of its socket to the master; a loan.
base::Result<pid_t> start(const base::Fd& program, const base::Fd& channel);

}  // namespace vncauthproxy::nursery
