// SPDX-License-Identifier: GPL-2.0-or-later
// The grammar of the configuration file: lines with a name and perhaps a value. What a name means is the
// business of the option table.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vncauthproxy/base/result.h"

namespace vncauthproxy::config {

struct ConfigLine {
  size_t number = 0;  // from 1
  std::string name;
  std::string value;       // without quotes and without a comment
  bool has_value = false;  // an empty one in quotes is one
  std::string fault;       // what is wrong with the line; empty: nothing
};

// All lines of a file but empty ones and comments. Errors: those of open_for_reading(), invalid (neither a
// regular file nor a device such as /dev/null), too_large.
base::Result<std::vector<ConfigLine>> read_config_lines(const std::string& path);

}  // namespace vncauthproxy::config
