// SPDX-License-Identifier: GPL-2.0-or-later
// The words for viewers that meant another port, and that they fit however few bytes there are.
#include "vncauthproxy/proto/language.h"

#include <string>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;

struct Fixture {
  std::string text;
};

void knows_languages_by_any_beginning(Fixture&) {
  struct {
    std::string_view text;
    Language language;
  } const rows[] = {
      {"\x16\x03\x01\x02\x00"sv, Language::tls},
      {"RFB 003.008\n", Language::rfb},
      {"GET / HTTP/1.1\r\n", Language::http},
      {"HEAD /", Language::http},
      {"POST /", Language::http},
      {"CONNECT a:1", Language::http},
  };
  for (const auto& row : rows)
    for (size_t size = 1; size <= row.text.size(); ++size)
      if (language_of(base::as_bytes(row.text.substr(0, size))) != row.language)
        fail_msg("%zu bytes of %s", size, row.text.data());
}

void knows_what_it_does_not_know(Fixture&) {
  for (const std::string_view text : {""sv, "SSH-2.0-x\r\n"sv, "\x16\x02"sv, "\0"sv, "RFB\n"sv,
                                      "get / HTTP/1.1"sv, "GETS"sv, "\x03\0\0\x13"sv})
    if (language_of(base::as_bytes(text)) != Language::unknown) fail_msg("%s", text.data());
}

void says_it_in_words(Fixture& f) {
  f.text = wrong_language(Language::tls, ViewerType::vnc_ws);
  const bool tls = f.text == "it speaks TLS, but a port of type vnc-ws takes HTTP";
  f.text = wrong_language(Language::http, ViewerType::vnc_wss);
  const bool http = f.text == "it speaks HTTP, but a port of type vnc-wss takes HTTPS";
  f.text = wrong_language(Language::rfb, ViewerType::vnc_tls);
  const bool rfb = f.text == "it speaks RFB, but a port of type vnc-tls takes RFB over TLS";
  f.text = wrong_language(Language::unknown, ViewerType::vnc);
  const bool nothing = f.text.empty();
  assert_true(tls && http && rfb && nothing);
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  const CMUnitTest tests[] = {
      TEST(Fixture, knows_languages_by_any_beginning),
      TEST(Fixture, knows_what_it_does_not_know),
      TEST(Fixture, says_it_in_words),
  };
  return vncauthproxy::testing::run_group("language", tests);
}
