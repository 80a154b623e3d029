// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/utf8.h"

#include <cstddef>

namespace vncauthproxy::base {

char32_t take_character(std::string_view& text) {
  constexpr char32_t kReplacement = 0xFFFD;
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t size = lead < 0x80         ? 1
                      : lead >> 5 == 0x6  ? 2
                      : lead >> 4 == 0xE  ? 3
                      : lead >> 3 == 0x1E ? 4
                                          : 0;
  char32_t character = size < 2 ? lead : lead & (0x7FU >> size);
  bool valid = size != 0 && size <= text.size();
  for (size_t i = 1; valid && i < size; ++i) {
    valid = byte(i) >> 6 == 0x2;
    character = character << 6 | (byte(i) & 0x3FU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // else the form is longer than it need be
  valid = valid && character >= kSmallest[size] && character <= 0x10FFFF &&
          (character < 0xD800 || character > 0xDFFF);
  text.remove_prefix(valid ? size : 1);
  return valid ? character : kReplacement;
}

}  // namespace vncauthproxy::base
