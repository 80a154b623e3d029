// SPDX-License-Identifier: GPL-2.0-or-later
// UTF-8, character by character.
#pragma once

#include <string_view>

namespace vncauthproxy::base {

// Takes the first character of `text`, which is not empty; U+FFFD for each byte that is not part of one.
char32_t take_character(std::string_view& text);

}  // namespace vncauthproxy::base
