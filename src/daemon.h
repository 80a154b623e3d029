// SPDX-License-Identifier: GPL-2.0-or-later
// From options to a running daemon: detach, pid file, sockets, privileges, then the one place that forks
// workers.
#pragma once

#include "vncauthproxy/config/options.h"

namespace vncauthproxy {

// Returns the exit status. Start-up errors are printed on stderr, and logged.
int run_daemon(const config::Options& options);
// --check: reads all that a start would read, says what is wrong on stderr. 0 or 1.
int check_configuration(const config::Options& options);

}  // namespace vncauthproxy
