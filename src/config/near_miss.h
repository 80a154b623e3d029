// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the option that somebody meant who wrote another word.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vncauthproxy::config {

// The one of `names` that `word` is a slip of: dashes in front of it, underscores, capitals, a value behind
// an equals sign or a colon, a beginning that only one name has, one or two letters that are wrong. Empty:
// none.
std::string near_miss(std::string_view word, const std::vector<std::string>& names);

}  // namespace vncauthproxy::config
