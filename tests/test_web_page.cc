// SPDX-License-Identifier: GPL-2.0-or-later
// Targets of requests to names of files: what is served, and that no spelling names anything outside.
#include "vncauthproxy/proto/web_page.h"

#include <string>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using testing::NoFixture;

struct Fixture {
  std::string text;
};

// The candidates joined by '|', or the status of the refusal.
std::string candidates(std::string_view target) {
  const auto result = page_candidates(target);
  if (!result) return std::to_string(result.error().status);
  std::string joined;
  for (const auto& path : *result) joined += (joined.empty() ? "" : "|") + path;
  return joined;
}

void maps_targets_to_files(Fixture& f) {
  struct {
    std::string_view target, expected;
  } const rows[] = {
      {"/", "index.html|vnc.html"},
      {"/vnc.html", "vnc.html"},
      {"/vnc.html?autoconnect=true&password=%zz#x", "vnc.html"},
      {"/?/../x", "index.html|vnc.html"},
      {"/app/ui.js", "app/ui.js"},
      {"/app/", "app/index.html|app/vnc.html"},
      {"//app///ui.js", "app/ui.js"},
      {"//etc/passwd", "etc/passwd"},
      {"/a%20b%2Fc", "a b/c"},
      {"/%2Fetc/passwd", "etc/passwd"},
      {"/caf%C3%A9.txt", "caf\xC3\xA9.txt"},
      {"/%252e%252e/x", "%2e%2e/x"},
      {"/a..b/c.", "a..b/c."},
      {"/a?", "a"},
      {"http://proxy.example:1/vnc.html?x", "vnc.html"},
      {"HTTPS://proxy.example", "index.html|vnc.html"},
      {"/a://b", "a:/b"},

      {"/..", "404"},
      {"/../etc/passwd", "404"},
      {"/a/../b", "404"},
      {"/a/..", "404"},
      {"/%2e%2e/etc/passwd", "404"},
      {"/%2E./etc/passwd", "404"},
      {"/..%2fetc%2fpasswd", "404"},
      {"/a%2f..%2f..%2fetc", "404"},
      {"/./a", "404"},
      {"/.git/config", "404"},
      {"/a/.htpasswd", "404"},
      {"/...", "404"},
      {"http://proxy.example/../x", "404"},

      {"", "400"},
      {"*", "400"},
      {"vnc.html", "400"},
      {"file:///etc/passwd", "400"},
      {"proxy.example:80", "400"},
      {"/a\\b", "400"},
      {"/..%5c..%5cx", "400"},
      {"/%00", "400"},
      {"/vnc.html%00.png", "400"},
      {"/a%0d%0ab", "400"},
      {"/%7f", "400"},
      {"/%", "400"},
      {"/%4", "400"},
      {"/%4g", "400"},
      {"/%-1", "400"},
      {"/%u002e", "400"},
  };
  for (const auto& row : rows) {
    f.text = candidates(row.target);
    if (f.text != row.expected) fail_msg("%s: %s", row.target.data(), f.text.c_str());
  }
}

// Every segment of two percent-encoded bytes.
void no_spelling_names_anything_outside(Fixture& f) {
  constexpr char kHex[] = "0123456789abcdef";
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      f.text = "/x/";
      for (const unsigned byte : {first, second}) f.text.append({'%', kHex[byte >> 4], kHex[byte & 15]});
      f.text += "/y";
      f.text = candidates(f.text);
      const bool outside = f.text.starts_with('/') || f.text.find("/../") != f.text.npos;
      const bool odd = f.text.find('\\') != f.text.npos || f.text.find('\0') != f.text.npos;
      if (outside || odd) fail_msg("%02x %02x", first, second);
    }
  }
}

void knows_media_types(NoFixture&) {
  struct {
    std::string_view path, type;
  } const rows[] = {
      {"vnc.html", "text/html; charset=utf-8"},
      {"a/b.HTML", "text/html; charset=utf-8"},
      {"ui.js", "text/javascript; charset=utf-8"},
      {"x.mjs", "text/javascript; charset=utf-8"},
      {"x.css", "text/css; charset=utf-8"},
      {"x.txt", "text/plain; charset=utf-8"},
      {"locale/de.json", "application/json"},
      {"x.svg", "image/svg+xml"},
      {"x.png", "image/png"},
      {"x.ico", "image/vnd.microsoft.icon"},
      {"x.gif", "image/gif"},
      {"x.jpg", "image/jpeg"},
      {"x.woff", "font/woff"},
      {"x.woff2", "font/woff2"},
      {"x.ttf", "font/ttf"},
      {"x.mp3", "audio/mpeg"},
      {"x.oga", "audio/ogg"},
      {"x.wasm", "application/wasm"},
      {"pako.min.js", "text/javascript; charset=utf-8"},
      {"x.html.exe", "application/octet-stream"},
      {"html", "application/octet-stream"},
      {"a.js/LICENSE", "application/octet-stream"},
      {"x.", "application/octet-stream"},
      {"", "application/octet-stream"},
  };
  for (const auto& row : rows) {
    const bool same = media_type(row.path) == row.type;
    if (!same) fail_msg("%s", row.path.data());
  }
}

void knows_what_is_text(NoFixture&) {
  for (const std::string_view path :
       {"a.html", "a.js", "a.css", "a.json", "a.svg", "a.txt", "a.wasm", "a.ttf"})
    assert_true(is_text(media_type(path)));
  for (const std::string_view path :
       {"a.png", "a.jpg", "a.woff2", "a.woff", "a.oga", "a.mp3", "a.gif", "a", "a.gz"})
    assert_false(is_text(media_type(path)));
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(Fixture, maps_targets_to_files),
      TEST(Fixture, no_spelling_names_anything_outside),
      TEST(NoFixture, knows_media_types),
      TEST(NoFixture, knows_what_is_text),
  };
  return vncauthproxy::testing::run_group("web_page", tests);
}
