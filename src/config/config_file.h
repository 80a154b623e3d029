// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the configuration file into Options.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/table.h"

namespace vncauthproxy::config {

// The file that options.config names; the default one may be missing. What the command line has given,
// `overruled`, is checked all the same. Returns all faults, each with file and line.
std::vector<std::string> read_config_file(const std::set<const Row*>& overruled, Options& options);

}  // namespace vncauthproxy::config
