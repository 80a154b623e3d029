// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/rfb.h"

#include <algorithm>

namespace vncauthproxy::proto {
namespace {

constexpr std::string_view kGrammar = "RFB ddd.ddd\n";  // d stands for any digit
static_assert(kGrammar.size() == kVersionSize);

bool fits(uint8_t byte, char rule) {
  return rule == 'd' ? byte >= '0' && byte <= '9' : byte == static_cast<uint8_t>(rule);
}

unsigned number(base::Bytes digits) {
  unsigned value = 0;
  for (const uint8_t digit : digits) value = value * 10 + (digit - unsigned{'0'});
  return value;
}

}  // namespace

base::Result<std::optional<VersionMessage>> parse_version(base::Bytes bytes) {
  for (size_t i = 0; i < std::min(bytes.size(), kVersionSize); ++i)
    if (!fits(bytes[i], kGrammar[i])) return base::Error{base::ErrorCode::invalid, "no RFB version"};
  if (bytes.size() < kVersionSize) return std::optional<VersionMessage>();
  return std::optional(VersionMessage{number(bytes.subspan(4, 3)), number(bytes.subspan(8, 3))});
}

RfbVersion spoken_version(unsigned minor) {
  if (minor < 7) return RfbVersion::v3_3;
  return minor == 7 ? RfbVersion::v3_7 : RfbVersion::v3_8;
}

}  // namespace vncauthproxy::proto
