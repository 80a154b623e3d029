// SPDX-License-Identifier: GPL-2.0-or-later
// Text that people edit or send: what editors and languages leave around it and nobody means.
#pragma once

#include <string_view>

namespace vncauthproxy::base {

// Before the first character of UTF-8.
inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

inline std::string_view without_byte_order_mark(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

// The line without blanks around it, and without its end.
inline std::string_view without_blanks(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = line.find_first_not_of(kBlanks);
  if (first == line.npos) return line.substr(line.size());
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace vncauthproxy::base
