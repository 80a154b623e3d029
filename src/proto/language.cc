// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/language.h"

#include <algorithm>

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;

// One begins with the other.
bool agree(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  return a.substr(0, size) == b.substr(0, size);
}

std::string_view name_of(Language language) {
  switch (language) {
    case Language::tls:
      return "TLS";
    case Language::http:
      return "HTTP";
    case Language::rfb:
      return "RFB";
    case Language::unknown:
      break;
  }
  return "";
}

}  // namespace

Language language_of(base::Bytes first) {
  const std::string_view text = base::as_text(first);
  if (text.empty()) return Language::unknown;
  if (agree(text, "\x16\x03"sv)) return Language::tls;  // a record of the handshake, version 3.x
  if (agree(text, "RFB "sv)) return Language::rfb;
  for (const std::string_view method : {"GET "sv, "HEAD "sv, "POST "sv, "PUT "sv, "OPTIONS "sv, "CONNECT "sv})
    if (agree(text, method)) return Language::http;
  return Language::unknown;
}

std::string_view language_for(ViewerType type) {
  switch (type) {
    case ViewerType::vnc:
      return "RFB";
    case ViewerType::vnc_ws:
      return "HTTP";
    case ViewerType::vnc_wss:
      return "HTTPS";
    case ViewerType::vnc_tls:
      return "RFB over TLS";
  }
  return "";
}

std::string wrong_language(Language spoken, ViewerType type) {
  if (spoken == Language::unknown) return "";
  return "it speaks " + std::string(name_of(spoken)) + ", but a port of type " +
         std::string(to_string(type)) + " takes " + std::string(language_for(type));
}

}  // namespace vncauthproxy::proto
