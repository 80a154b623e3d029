// SPDX-License-Identifier: GPL-2.0-or-later
// Whether files that are read as root at the start can be read again at SIGHUP, by the user that the daemon
// has become. A renewed certificate or a new user would else be lost in silence.
#pragma once

#include <optional>
#include <string>

#include "vncauthproxy/base/identity.h"

namespace vncauthproxy::master {

// Empty when `identity` can read `path`, or when there is no such file. Else who cannot read it, and a
// command that mends it. As root it is tried in a child that becomes `identity`; by anybody else as the user
// that this process is.
std::string unreadable_for(const base::Identity& identity, const std::string& path);

}  // namespace vncauthproxy::master
