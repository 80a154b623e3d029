// SPDX-License-Identifier: GPL-2.0-or-later
// What a viewer seems to speak, by its first bytes, for those who meant another port: in words for the log.
// Nothing is decided by it but the words.
#pragma once

#include <cstdint>
#include <string>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::proto {

enum class Language : uint8_t { unknown, tls, http, rfb };

// As far as the bytes go; one is enough.
Language language_of(base::Bytes first);
// What a port of that type takes: "HTTPS".
std::string_view language_for(ViewerType type);
// "it speaks HTTP, but a port of type vnc-wss takes HTTPS"; "" for an unknown language.
std::string wrong_language(Language spoken, ViewerType type);

}  // namespace vncauthproxy::proto
