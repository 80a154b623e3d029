// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/web_page.h"

#include <algorithm>
#include <optional>

#include "vncauthproxy/proto/http_head.h"

namespace vncauthproxy::proto {
namespace {

constexpr HttpRefusal kBadTarget{400, "The address of this page is malformed.", ""};
constexpr HttpRefusal kNoSuchPage{404, "There is no such page.", ""};

struct MediaType {
  std::string_view extension, type;
};
constexpr MediaType kMediaTypes[] = {
    {"css", "text/css; charset=utf-8"},
    {"gif", "image/gif"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mp3", "audio/mpeg"},
    {"oga", "audio/ogg"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
};

// The path of a target: `/path?query`, or what follows the authority in `http://host:port/path` (RFC 9112
// section 3.2.2 has servers accept that too).
std::optional<std::string_view> path_of(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (const size_t scheme = target.find("://"); scheme != target.npos && !target.starts_with('/')) {
    const std::string_view name = target.substr(0, scheme);
    if (!same_word(name, "http") && !same_word(name, "https")) return std::nullopt;
    const size_t slash = target.find('/', scheme + 3);
    return slash == target.npos ? std::string_view("/") : target.substr(slash);
  }
  if (!target.starts_with('/')) return std::nullopt;
  return target;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Once, and never again: a second pass would turn %252e into a dot that no check has seen.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '\\') return std::nullopt;
    plain.push_back(c);
  }
  return plain;
}

// The segments joined again without the empty ones; nullopt when one begins with a dot.
std::optional<std::string> relative_path(std::string_view path) {
  std::string joined;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    if (segment.starts_with('.')) return std::nullopt;
    if (segment.empty()) continue;
    if (!joined.empty()) joined.push_back('/');
    joined.append(segment);
  }
  return joined;
}

}  // namespace

base::Result<std::vector<std::string>, HttpRefusal> page_candidates(std::string_view target) {
  const auto encoded = path_of(target);
  if (!encoded) return kBadTarget;
  const auto path = percent_decoded(*encoded);
  if (!path) return kBadTarget;
  const auto relative = relative_path(*path);
  if (!relative) return kNoSuchPage;
  if (!path->ends_with('/')) return std::vector<std::string>{*relative};
  const std::string folder = relative->empty() ? "" : *relative + "/";
  return std::vector<std::string>{folder + "index.html", folder + "vnc.html"};
}

std::string_view media_type(std::string_view path) {
  const std::string_view file = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  const size_t dot = file.rfind('.');
  if (dot != file.npos)
    for (const MediaType& row : kMediaTypes)
      if (same_word(file.substr(dot + 1), row.extension)) return row.type;
  return "application/octet-stream";
}

bool is_text(std::string_view media_type) {
  for (const std::string_view type : {"application/json", "application/wasm", "image/svg+xml", "font/ttf"})
    if (media_type == type) return true;
  return media_type.starts_with("text/");
}

}  // namespace vncauthproxy::proto
