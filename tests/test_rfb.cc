// SPDX-License-Identifier: GPL-2.0-or-later
// The version message: its grammar, and that the first byte that breaks it decides.
#include "vncauthproxy/proto/rfb.h"

#include <string>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::NoFixture;

enum class Kind { more, version, error };
struct Seen {
  Kind kind;
  unsigned major, minor;
};

Seen parse(std::string_view text) {
  const auto result = parse_version(base::as_bytes(text));
  if (!result) return {Kind::error, 0, 0};
  if (!*result) return {Kind::more, 0, 0};
  return {Kind::version, (*result)->major, (*result)->minor};
}

void reads_versions(NoFixture&) {
  struct {
    std::string_view text;
    unsigned major, minor;
  } const rows[] = {
      {"RFB 003.003\n", 3, 3},     {"RFB 003.007\n", 3, 7},     {"RFB 003.008\n", 3, 8},
      {"RFB 003.889\n", 3, 889},   {"RFB 000.000\n", 0, 0},     {"RFB 005.000\n", 5, 0},
      {"RFB 999.999\n", 999, 999}, {"RFB 003.008\nmore", 3, 8},
  };
  for (const auto& row : rows) {
    const Seen seen = parse(row.text);
    assert_int_equal(seen.kind, Kind::version);
    assert_int_equal(seen.major, row.major);
    assert_int_equal(seen.minor, row.minor);
    for (size_t size = 0; size < kVersionSize; ++size)
      assert_int_equal(parse(row.text.substr(0, size)).kind, Kind::more);
  }
}

void the_first_bad_byte_decides(NoFixture&) {
  constexpr std::string_view good = "RFB 003.008\n";
  for (size_t at = 0; at < good.size(); ++at) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      char text[kVersionSize];
      std::memcpy(text, good.data(), good.size());
      text[at] = static_cast<char>(byte);
      const bool digit_place = (at >= 4 && at <= 6) || (at >= 8 && at <= 10);
      const bool fits = digit_place ? byte >= '0' && byte <= '9' : text[at] == good[at];
      assert_int_equal(parse({text, sizeof text}).kind, fits ? Kind::version : Kind::error);
      assert_int_equal(parse({text, at + 1}).kind, !fits                    ? Kind::error
                                                   : at + 1 == kVersionSize ? Kind::version
                                                                            : Kind::more);
    }
  }
}

void what_sscanf_would_take_is_refused(NoFixture&) {
  const std::string_view rows[] = {"RFB +03.008\n",   "RFB   3.008\n", "RFB -03.008\n", "RFB 3.8\n",
                                   "RFB 003.008\r\n", "rfb 003.008\n", "SSH-2.0-x\r\n", "\0"sv};
  for (const auto& row : rows) assert_int_equal(parse(row).kind, Kind::error);
}

void minor_versions_become_one_of_three(NoFixture&) {
  for (unsigned minor = 0; minor < 1000; ++minor)
    assert_int_equal(spoken_version(minor), minor < 7    ? RfbVersion::v3_3
                                            : minor == 7 ? RfbVersion::v3_7
                                                         : RfbVersion::v3_8);
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(NoFixture, reads_versions),
      TEST(NoFixture, the_first_bad_byte_decides),
      TEST(NoFixture, what_sscanf_would_take_is_refused),
      TEST(NoFixture, minor_versions_become_one_of_three),
  };
  return vncauthproxy::testing::run_group("rfb", tests);
}
