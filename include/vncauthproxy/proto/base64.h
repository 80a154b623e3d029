// SPDX-License-Identifier: GPL-2.0-or-later
// Base64 with the standard alphabet and padding (RFC 4648 section 4), no line breaks, no blanks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vncauthproxy/base/bytes.h"

namespace vncauthproxy::proto {

constexpr size_t base64_size(size_t bytes) {
  return (bytes + 2) / 3 * 4;
}
void put_base64(base::Bytes bytes, base::ByteWriter& out);  // writes base64_size(bytes.size())
std::string to_base64(base::Bytes bytes);

// Reads one text that comes in any pieces; keeps at most three characters of it. Unused bits of the last
// character may be anything, as browsers and libraries have it too.
class Base64Decoder {
 public:
  // A call writes at most text.size() + kSlack bytes. False: this is no base64, and stays none.
  static constexpr size_t kSlack = 2;
  bool feed(base::Bytes text, base::ByteWriter& out);
  // The text ends here: true when it was whole. Ready for the next one.
  bool finish();

 private:
  bool take(uint8_t character, base::ByteWriter& out);

  uint32_t bits_ = 0;
  uint8_t characters_ = 0;  // of the group of four in work, padding included
  uint8_t padding_ = 0;
  bool ended_ = false;  // a padded group was complete: nothing may follow
  bool bad_ = false;
};

// The number of bytes a whole text stands for, or -1 when it is not base64.
int base64_decoded_size(std::string_view text);

}  // namespace vncauthproxy::proto
