// SPDX-License-Identifier: GPL-2.0-or-later
// What both halves of the RFB handshake share (RFC 6143 section 7.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::proto {

inline constexpr size_t kVersionSize = 12;
inline constexpr std::string_view kVersion33 = "RFB 003.003\n";
inline constexpr std::string_view kVersion37 = "RFB 003.007\n";
inline constexpr std::string_view kVersion38 = "RFB 003.008\n";

inline constexpr uint8_t kSecurityInvalid = 0;
inline constexpr uint8_t kSecurityNone = 1;
inline constexpr uint8_t kSecurityVncAuth = 2;

inline constexpr uint32_t kSecurityResultOk = 0;
inline constexpr uint32_t kSecurityResultFailed = 1;

enum class RfbVersion : uint8_t { v3_3, v3_7, v3_8 };

struct VersionMessage {
  unsigned major, minor;
};
// `RFB ddd.ddd\n`, exactly. Nullopt: more bytes are needed. Error invalid: already the bytes present break
// the grammar.
base::Result<std::optional<VersionMessage>> parse_version(base::Bytes bytes);
// What both sides speak when a peer of major version 3 names this minor one: 3.8 for all above it too.
RfbVersion spoken_version(unsigned minor);

}  // namespace vncauthproxy::proto
