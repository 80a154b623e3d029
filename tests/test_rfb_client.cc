// SPDX-License-Identifier: GPL-2.0-or-later
// The handshake toward backends: every version, choice of security, refusal and lie, cut in every way.
#include "vncauthproxy/proto/rfb_client.h"

#include <string>

#include "tests/support/handshakes.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::kKnownResponse;

#define V33 "RFB 003.003\n"
#define V37 "RFB 003.007\n"
#define V38 "RFB 003.008\n"
#define CHALLENGE "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"
#define RESPONSE "\xb8\x66\x92\x41\x25\xc8\xee\xbb\x9d\xeb\xc1\xdb\x61\xc5\x38\xe2"
#define OK "\0\0\0\0"
#define BAD "\0\0\0\1"

struct Fixture {
  Fixture() { (void)static_cast<bool>(prepare_vnc_auth()); }

  base::Secret none;
  base::Secret password{"password"};
  std::string transcript;
  std::string seen;
  std::string expected;
};

struct Row {
  const char* name;
  std::string_view backend;  // all it says before it closes
  std::string_view sent;     // all we said
  std::string_view end;
};

template <size_t count>
void check(Fixture& f, const base::Secret& password, const Row (&rows)[count]) {
  for (const Row& row : rows) {
    print_message("  %s\n", row.name);
    f.expected = testing::outcome(row.sent, std::string(row.end));
    f.seen = testing::feed_every_way(row.backend, [&](const testing::Pieces& pieces) {
      return testing::talk_to_backend(password, pieces);
    });
    assert_string_equal(f.seen.c_str(), f.expected.c_str());
  }
}

void answers_with_one_of_three_versions(Fixture& f) {
  constexpr std::string_view kNoTypes =
      "ended closed: the backend closed the connection before its security types";
  const Row rows[] = {
      {"3.3", V33, V33, kNoTypes},
      {"3.4", "RFB 003.004\n", V33, kNoTypes},
      {"3.5", "RFB 003.005\n", V33, kNoTypes},
      {"3.6, UltraVNC", "RFB 003.006\n", V33, kNoTypes},
      {"3.7", V37, V37, kNoTypes},
      {"3.8", V38, V38, kNoTypes},
      {"3.14", "RFB 003.014\n", V38, kNoTypes},
      {"3.889, Apple", "RFB 003.889\n", V38, kNoTypes},
      {"4.0, Intel AMT", "RFB 004.000\n", V38, kNoTypes},
      {"4.1", "RFB 004.001\n", V38, kNoTypes},
      {"5.0, RealVNC", "RFB 005.000\n", V38, kNoTypes},
      {"a repeater", "RFB 000.000\n", "", "invalid: the backend is a repeater (RFB 000.000)"},
      {"3.2", "RFB 003.002\n", "", "invalid: the backend speaks RFB 3.2, which is below 3.3"},
      {"2.9", "RFB 002.009\n", "", "invalid: the backend speaks RFB 2.9, which is below 3.3"},
      {"0.8", "RFB 000.008\n", "", "invalid: the backend speaks RFB 0.8, which is below 3.3"},
      {"another protocol", "SSH-2.0-OpenSSH\r\n", "", "invalid: the backend does not speak RFB"},
      {"almost RFB", "RFB 003.008\r\n", "", "invalid: the backend does not speak RFB"},
      {"a name full of traps", "%n%s\"\n", "", "invalid: the backend does not speak RFB"},
      {"silence", "", "", "ended closed: the backend closed the connection before its RFB version"},
      {"half a version", "RFB 003", "",
       "ended closed: the backend closed the connection before its RFB version"},
  };
  check(f, f.none, rows);
}

void needs_no_password_where_none_is_asked(Fixture& f) {
  const Row rows[] = {
      {"3.3", V33 "\0\0\0\1"sv, V33, "done, rest "},
      {"3.3, then more", V33 "\0\0\0\1early"sv, V33, "done, rest early"},
      {"3.7 sends no result for None", V37 "\1\1early"sv, V37 "\1", "done, rest early"},
      {"3.8", V38 "\1\1" OK ""sv, V38 "\1", "done, rest "},
      {"3.8, then more", V38 "\1\1" OK "early"sv, V38 "\1", "done, rest early"},
      {"Apple's 3.889", "RFB 003.889\n\1\1" OK ""sv, V38 "\1", "done, rest "},
      {"None last of many", V38 "\4\23\36\2\1" OK ""sv, V38 "\1", "done, rest "},
      {"zeros and repeats", V38 "\5\0\0\1\1\1" OK ""sv, V38 "\1", "done, rest "},
      {"closed before the result", V38 "\1\1\0\0"sv, V38 "\1",
       "ended closed: the backend closed the connection before its security result"},
      {"closed within the list", V38 "\3\1\2"sv, V38,
       "ended closed: the backend closed the connection before its security types"},
  };
  check(f, f.none, rows);
  const Row with_password[] = {
      {"None is preferred, password or not", V38 "\2\2\1" OK ""sv, V38 "\1", "done, rest "},
      {"3.3 decides alone", V33 "\0\0\0\1"sv, V33, "done, rest "},
  };
  check(f, f.password, with_password);
}

void answers_a_challenge(Fixture& f) {
  const Row rows[] = {
      {"3.3", V33 "\0\0\0\2" CHALLENGE OK "early"sv, V33 RESPONSE, "done, rest early"},
      {"3.7", V37 "\1\2" CHALLENGE OK "early"sv, V37 "\2" RESPONSE, "done, rest early"},
      {"3.8", V38 "\1\2" CHALLENGE OK "early"sv, V38 "\2" RESPONSE, "done, rest early"},
      {"Apple's list", "RFB 003.889\n\4\36\41\2\43" CHALLENGE OK ""sv, V38 "\2" RESPONSE, "done, rest "},
      {"RealVNC's list", "RFB 005.000\n\4\5\6\201\2" CHALLENGE OK ""sv, V38 "\2" RESPONSE, "done, rest "},
      {"3.3, wrong", V33 "\0\0\0\2" CHALLENGE BAD ""sv, V33 RESPONSE,
       "denied: the backend does not accept server_password, without a reason"},
      {"3.7, wrong", V37 "\1\2" CHALLENGE BAD ""sv, V37 "\2" RESPONSE,
       "denied: the backend does not accept server_password, without a reason"},
      {"3.8, wrong", V38 "\1\2" CHALLENGE BAD "\0\0\0\26Authentication failure"sv, V38 "\2" RESPONSE,
       "denied: the backend does not accept server_password: Authentication failure"},
      {"3.8, too many tries", V38 "\1\2" CHALLENGE "\0\0\0\2\0\0\0\4wait"sv, V38 "\2" RESPONSE,
       "denied: the backend does not accept server_password: wait"},
      {"3.8, closed before the reason", V38 "\1\2" CHALLENGE BAD ""sv, V38 "\2" RESPONSE,
       "ended denied: the backend does not accept server_password, without a reason"},
      {"closed within the challenge",
       V38 "\1\2"
           "\0\1\2"sv,
       V38 "\2", "ended closed: the backend closed the connection before its challenge"},
      {"closed in place of a result", V38 "\1\2" CHALLENGE ""sv, V38 "\2" RESPONSE,
       "ended closed: the backend closed the connection before its security result"},
  };
  check(f, f.password, rows);
}

void names_what_it_cannot_do(Fixture& f) {
  constexpr std::string_view kAsks = "denied: the backend asks for a password (server_password)";
  const Row rows[] = {
      {"3.3 asks for a password", V33 "\0\0\0\2" CHALLENGE ""sv, V33, kAsks},
      {"3.7 asks for a password", V37 "\1\2"sv, V37, kAsks},
      {"3.8 asks for a password", V38 "\2\23\2"sv, V38, kAsks},
      {"3.3 with a type of the other byte order", V33 "\1\0\0\0"sv, V33,
       "unsupported: the backend offers only security types 16777216"},
      {"3.3 with Tight", V33 "\0\0\0\20"sv, V33, "unsupported: the backend offers only security types 16"},
      {"VeNCrypt alone", V38 "\1\23"sv, V38, "unsupported: the backend offers only security types 19"},
      {"several, each named once", V38 "\4\23\36\23\0"sv, V38,
       "unsupported: the backend offers only security types 19, 30, 0"},
  };
  check(f, f.none, rows);
}

void every_type_alone(Fixture& f) {
  for (unsigned type = 0; type < 256; ++type) {
    f.transcript = V38 "\1";
    f.transcript += static_cast<char>(type);
    const testing::Pieces pieces = {base::as_bytes(f.transcript)};
    const std::string seen = testing::talk_to_backend(f.none, pieces);
    const std::string number = "types " + std::to_string(type);
    const bool right = type == kSecurityNone      ? seen.find("before its security result") != seen.npos
                       : type == kSecurityVncAuth ? seen.find("denied: ") != seen.npos
                                                  : seen.ends_with(number);
    f.seen = right ? "" : seen;
    if (!right) break;
  }
  assert_string_equal(f.seen.c_str(), "");
}

void a_list_of_255_is_read_to_its_end(Fixture& f) {
  f.transcript = V38 "\xff";
  f.transcript.append(254, '\x13');
  f.transcript += "\1" OK "early"sv;
  const Row found[] = {{"None as the last of 255", f.transcript, V38 "\1", "done, rest early"}};
  check(f, f.none, found);

  f.transcript = V38 "\xff";
  for (unsigned type = 255; type > 0; --type) f.transcript += static_cast<char>(type < 3 ? 0 : type);
  const Row not_found[] = {
      {"255 that we do not speak", f.transcript, V38,
       "unsupported: the backend offers only security types 255, 254, 253, 252, 251, 250, "
       "249, 248, 247, 246, 245, 244, 243, 242, 241, 240, 239, 238, 237, 236, 235, 234, "
       "233, 232, ..."}};
  check(f, f.none, not_found);
}

void hands_on_why_it_was_refused(Fixture& f) {
  const Row rows[] = {
      {"TigerVNC's greeting for the unwelcome", V33 "\0\0\0\0\0\0\0\31Too many security failure"sv, V33,
       "refused: the backend refuses: Too many security failure"},
      {"3.7, no types", V37 "\0\0\0\0\2no"sv, V37, "refused: the backend refuses: no"},
      {"3.8, no types", V38 "\0\0\0\0\2no"sv, V38, "refused: the backend refuses: no"},
      {"None refused at 3.8", V38 "\1\1" BAD "\0\0\0\2no"sv, V38 "\1", "refused: the backend refuses: no"},
      {"QEMU's NUL", V38 "\0\0\0\0\3no\0"sv, V38, "refused: the backend refuses: no"},
      {"no reason", V38 "\0\0\0\0\0"sv, V38, "refused: the backend refuses, without a reason"},
      {"only NULs", V38 "\0\0\0\0\2\0\0"sv, V38, "refused: the backend refuses, without a reason"},
      {"QEMU's bare zero, closed within the length", V38 "\0\0\0\0"sv, V38,
       "ended refused: the backend refuses, without a reason"},
      {"3.3, closed before the length", V33 "\0\0\0\0"sv, V33,
       "ended refused: the backend refuses, without a reason"},
      {"a length that lies upward", V38 "\0\xff\xff\xff\xffshort"sv, V38,
       "ended refused: the backend refuses: short"},
      {"a length that lies downward", V38 "\0\0\0\0\2nothing"sv, V38, "refused: the backend refuses: no"},
      {"%n%s, quotes and line ends", V38 "\0\0\0\0\12%n%s\"\n\r\\\x1b!"sv, V38,
       "refused: the backend refuses: %n%s\\\"\\n\\x0d\\\\\\x1b!"},
      {"UTF-8 and what is none", V38 "\0\0\0\0\4\xc3\xa9\xff."sv, V38,
       "refused: the backend refuses: \xc3\xa9\\xff."},
  };
  check(f, f.none, rows);
}

// A megabyte announced and sent: 256 bytes of it are kept, 4 KiB are read, and then it is enough.
void long_reasons_are_cut(Fixture& f) {
  f.transcript = V38 "\0\0\x10\0\0"sv;
  f.transcript.append(1 << 20, 'x');
  const base::Bytes all = base::as_bytes(f.transcript);
  const size_t head = kVersionSize + 1 + 4;
  f.seen = testing::talk_to_backend(f.none, {all.first(head + 4096)});
  assert_non_null(std::strstr(f.seen.c_str(), "; refused: the backend refuses: xxx"));
  assert_in_range(f.seen.size(), 250, 340);
  f.expected = testing::talk_to_backend(f.none, {all});
  assert_string_equal(f.seen.c_str(), f.expected.c_str());
  f.seen = testing::talk_to_backend(f.none, {all.first(head + 4095)});
  assert_non_null(std::strstr(f.seen.c_str(), "; ended refused: the backend refuses: xxx"));

  // The cut falls between characters, never within one.
  f.transcript = V38 "\0\0\0\x04\0x"sv;
  for (int i = 0; i < 511; ++i) f.transcript += "\xc3\xa9";
  f.transcript += '.';
  f.seen = testing::feed_every_way(
      f.transcript, [&](const testing::Pieces& pieces) { return testing::talk_to_backend(f.none, pieces); });
  assert_null(std::strstr(f.seen.c_str(), "\\xc3"));
  assert_null(std::strstr(f.seen.c_str(), "\\xa9"));
  assert_non_null(std::strstr(f.seen.c_str(), "; refused: the backend refuses: x\xc3\xa9\xc3\xa9"));
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  const CMUnitTest tests[] = {
      TEST(Fixture, answers_with_one_of_three_versions),
      TEST(Fixture, needs_no_password_where_none_is_asked),
      TEST(Fixture, answers_a_challenge),
      TEST(Fixture, names_what_it_cannot_do),
      TEST(Fixture, every_type_alone),
      TEST(Fixture, a_list_of_255_is_read_to_its_end),
      TEST(Fixture, hands_on_why_it_was_refused),
      TEST(Fixture, long_reasons_are_cut),
  };
  return vncauthproxy::testing::run_group("rfb_client", tests);
}
