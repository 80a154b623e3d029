// SPDX-License-Identifier: GPL-2.0-or-later
// The handshake toward viewers: only the right response to the challenge of this very connection gets in, and
// everybody else is told so in the form of their version.
#include "vncauthproxy/proto/rfb_server.h"

#include <algorithm>
#include <string>

#include "tests/support/handshakes.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::kKnownChallenge;
using testing::kKnownResponse;

#define V33 "RFB 003.003\n"
#define V37 "RFB 003.007\n"
#define V38 "RFB 003.008\n"
#define CHALLENGE "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"
#define RESPONSE "\xb8\x66\x92\x41\x25\xc8\xee\xbb\x9d\xeb\xc1\xdb\x61\xc5\x38\xe2"
#define HALF_RIGHT "\xb8\x66\x92\x41\x25\xc8\xee\xbb\x9d\xeb\xc1\xdb\x61\xc5\x38\xe3"
#define ZEROES "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define OK "\0\0\0\0"
#define BAD "\0\0\0\1"
#define WRONG     \
  BAD "\0\0\0\25" \
      "Authentication failed"
#define NOT_OFFERED \
  BAD "\0\0\0\31"   \
      "Security type not offered"

struct Fixture {
  Fixture() { (void)static_cast<bool>(prepare_vnc_auth()); }

  base::Secret password{"password"};
  std::string transcript;
  std::string seen;
  std::string expected;
};

struct Row {
  const char* name;
  std::string_view viewer;
  std::string_view sent;  // all we said
  std::string_view end;
};

template <size_t count>
void check(Fixture& f, const Row (&rows)[count]) {
  for (const Row& row : rows) {
    print_message("  %s\n", row.name);
    f.expected = testing::outcome(row.sent, std::string(row.end));
    f.seen = testing::feed_every_way(row.viewer, [&](const testing::Pieces& pieces) {
      return testing::talk_to_viewer(f.password, pieces);
    });
    assert_string_equal(f.seen.c_str(), f.expected.c_str());
  }
}

void treats_versions_as_one_of_three(Fixture& f) {
  constexpr std::string_view kAs33 = V38 "\0\0\0\2" CHALLENGE ""sv;
  constexpr std::string_view kWithTypes = V38 "\1\2";
  constexpr std::string_view kTooHigh = V38 "\0\0\0\0\31RFB version not supported"sv;
  constexpr std::string_view kHigh = "unsupported: an RFB version above the one offered";
  const Row rows[] = {
      {"3.0", "RFB 003.000\n", kAs33, "waiting for response"},
      {"3.3", V33, kAs33, "waiting for response"},
      {"3.4", "RFB 003.004\n", kAs33, "waiting for response"},
      {"3.5", "RFB 003.005\n", kAs33, "waiting for response"},
      {"3.6", "RFB 003.006\n", kAs33, "waiting for response"},
      {"3.7", V37, kWithTypes, "waiting for type"},
      {"3.8", V38, kWithTypes, "waiting for type"},
      {"3.16, UltraVNC", "RFB 003.016\n", kWithTypes, "waiting for type"},
      {"3.889, Apple", "RFB 003.889\n", kWithTypes, "waiting for type"},
      {"4.0", "RFB 004.000\n", kTooHigh, kHigh},
      {"5.0", "RFB 005.000\n", kTooHigh, kHigh},
      {"2.9", "RFB 002.009\n", V38, "invalid: an RFB version below 3"},
      {"a repeater", "RFB 000.000\n", V38, "invalid: an RFB version below 3"},
      {"a browser", "GET / HTTP/1.1\r\n", V38, "invalid: no RFB version"},
      {"TLS", "\x16\3\1"sv, V38, "invalid: no RFB version"},
      {"the last byte wrong", "RFB 003.008\r", V38, "invalid: no RFB version"},
      {"gtk-vnc's first half", "RFB ", V38, "waiting for version"},
  };
  check(f, rows);
}

void the_right_response_gets_in(Fixture& f) {
  const Row rows[] = {
      {"3.3", V33 RESPONSE, V38 "\0\0\0\2" CHALLENGE OK ""sv, "verified, rest "},
      {"3.7", V37 "\2" RESPONSE, V38 "\1\2" CHALLENGE OK ""sv, "verified, rest "},
      {"3.8", V38 "\2" RESPONSE, V38 "\1\2" CHALLENGE OK ""sv, "verified, rest "},
      {"Apple's 3.889", "RFB 003.889\n\2" RESPONSE, V38 "\1\2" CHALLENGE OK ""sv, "verified, rest "},
      {"3.3 with ClientInit behind it", V33 RESPONSE "\1more", V38 "\0\0\0\2" CHALLENGE OK ""sv,
       "verified, rest \\x01more"},
      {"3.8 with ClientInit behind it", V38 "\2" RESPONSE "\1more", V38 "\1\2" CHALLENGE OK ""sv,
       "verified, rest \\x01more"},
  };
  check(f, rows);
}

void nothing_else_gets_in(Fixture& f) {
  constexpr std::string_view kDenied = "denied: Authentication failed";
  const Row rows[] = {
      {"3.3, zeroes", V33 ZEROES ""sv, V38 "\0\0\0\2" CHALLENGE BAD ""sv, kDenied},
      {"3.7, zeroes", V37 "\2" ZEROES ""sv, V38 "\1\2" CHALLENGE BAD ""sv, kDenied},
      {"3.8, zeroes", V38 "\2" ZEROES ""sv, V38 "\1\2" CHALLENGE WRONG ""sv, kDenied},
      {"3.3, second block wrong", V33 HALF_RIGHT, V38 "\0\0\0\2" CHALLENGE BAD ""sv, kDenied},
      {"3.7, second block wrong", V37 "\2" HALF_RIGHT, V38 "\1\2" CHALLENGE BAD ""sv, kDenied},
      {"3.8, second block wrong", V38 "\2" HALF_RIGHT, V38 "\1\2" CHALLENGE WRONG ""sv, kDenied},
      {"3.8, the challenge sent back", V38 "\2" CHALLENGE ""sv, V38 "\1\2" CHALLENGE WRONG ""sv, kDenied},
      {"3.8, the right one a byte late", V38 "\2\2" RESPONSE, V38 "\1\2" CHALLENGE WRONG ""sv, kDenied},
      {"3.8, ClientInit behind a wrong one", V38 "\2" ZEROES "\1more"sv, V38 "\1\2" CHALLENGE WRONG ""sv,
       kDenied},
      {"3.8, an empty one", V38 "\2", V38 "\1\2" CHALLENGE ""sv, "waiting for response"},
      {"3.8, 15 bytes of it", V38 "\2\xb8\x66\x92\x41\x25\xc8\xee\xbb\x9d\xeb\xc1\xdb\x61\xc5\x38",
       V38 "\1\2" CHALLENGE ""sv, "waiting for response"},
      {"3.8, ClientInit in place of a type", V38 "\1", V38 "\1\2" NOT_OFFERED ""sv,
       "unsupported: Security type not offered"},
  };
  check(f, rows);
}

// Each type, with the right response behind it: only 2 leads anywhere, and in 3.3 there is no type to pick.
void no_type_but_ours_leads_in(Fixture& f) {
  struct {
    std::string_view version;
    std::string_view refused;
  } const rows[] = {{V37, V38 "\1\2" BAD ""sv}, {V38, V38 "\1\2" NOT_OFFERED ""sv}};
  for (const auto& row : rows) {
    for (unsigned type = 0; type < 256; ++type) {
      f.transcript.assign(row.version).append(1, static_cast<char>(type)).append(kKnownResponse);
      f.seen = testing::talk_to_viewer(f.password, {base::as_bytes(f.transcript)});
      f.expected = type == kSecurityVncAuth
                       ? testing::outcome(V38 "\1\2" CHALLENGE OK ""sv, "verified, rest ")
                       : testing::outcome(row.refused, "unsupported: Security type not offered");
      assert_string_equal(f.seen.c_str(), f.expected.c_str());
    }
  }
  for (unsigned type = 0; type < 256; ++type) {
    f.transcript.assign(V33).append(1, static_cast<char>(type)).append(kKnownResponse);
    f.seen = testing::talk_to_viewer(f.password, {base::as_bytes(f.transcript)});
    f.expected = testing::outcome(V38 "\0\0\0\2" CHALLENGE BAD ""sv, "denied: Authentication failed");
    assert_string_equal(f.seen.c_str(), f.expected.c_str());
  }
}

// Two connections of one forwarding, with the challenges they drew themselves.
void another_connections_response_is_worth_nothing(Fixture& f) {
  Trials trials(f.password);
  RfbServer first(trials);
  RfbServer second(trials);
  uint8_t room[2][RfbServer::kMaxOutput];
  base::ByteWriter first_out(room[0]);
  base::ByteWriter second_out(room[1]);
  base::ByteReader version(base::as_bytes(V33));
  base::ByteReader same_version(base::as_bytes(V33));
  const bool first_waits = first.advance(version, first_out) && first.stage() == RfbServer::Stage::response;
  const bool second_waits =
      second.advance(same_version, second_out) && second.stage() == RfbServer::Stage::response;
  Challenge challenge;
  std::copy_n(first_out.written().begin() + 4, challenge.size(), challenge.begin());
  const Response response = vnc_response(f.password, challenge);

  base::ByteReader replayed{base::Bytes(response)};
  const auto refused = second.advance(replayed, second_out);
  const bool is_denied = !refused && refused.error().code == base::ErrorCode::denied;
  base::ByteReader own{base::Bytes(response)};
  const auto accepted = first.advance(own, first_out);
  const bool is_verified = accepted && accepted->has_value();

  f.seen = std::string(first_waits && second_waits ? "" : "no challenge ") +
           (is_denied ? "" : "replay taken ") + (is_verified ? "" : "own response refused");
}

void another_connections_response_is_worth_nothing_checked(Fixture& f) {
  another_connections_response_is_worth_nothing(f);
  assert_string_equal(f.seen.c_str(), "");
}

// After a refusal nothing gets in any more, not even the right response.
std::string try_again_after(const base::Secret& password, std::string_view first) {
  Trials trials = testing::known_trials(password);
  RfbServer server(trials);
  uint8_t room[RfbServer::kMaxOutput];
  base::ByteWriter out(room);
  server.greet(out);
  base::ByteReader in(base::as_bytes(first));
  const auto refused = server.advance(in, out);
  const size_t said = out.size();
  base::ByteReader again(base::as_bytes(kKnownResponse));
  const auto second = server.advance(again, out);
  return std::string(refused ? "taken " : "refused ") + (second ? "taken" : "refused") +
         (out.size() == said ? "" : ", and said more");
}

void a_refused_viewer_gets_no_second_try(Fixture& f) {
  const std::string_view rows[] = {"GET ",   "RFB 000.000\n",      "RFB 004.000\n",
                                   V38 "\1", V38 "\2" ZEROES ""sv, V33 ZEROES ""sv};
  for (const std::string_view row : rows) {
    f.seen = try_again_after(f.password, row);
    assert_string_equal(f.seen.c_str(), "refused refused");
  }
}

// What Synnefo's self-test sends and asserts, each message the whole of one read.
void speaks_byte_for_byte_as_synnefo_expects(Fixture& f) {
  Trials trials = testing::known_trials(f.password);
  RfbServer server(trials);
  struct Turn {
    std::string_view viewer, answer;
  };
  const Turn turns[] = {{"", V38}, {V38, "\1\2"}, {"\2", CHALLENGE ""sv}, {RESPONSE, OK ""sv}};
  for (const Turn& turn : turns) {
    uint8_t room[RfbServer::kMaxOutput];
    base::ByteWriter out(room);
    base::ByteReader in(base::as_bytes(turn.viewer));
    if (turn.viewer.empty()) server.greet(out);
    const auto verified = server.advance(in, out);
    if (verified && *verified) server.grant(out);
    const bool same = base::as_text(out.written()) == turn.answer;
    f.seen += same ? "=" : "!";
  }
}

void speaks_byte_for_byte_as_synnefo_expects_checked(Fixture& f) {
  speaks_byte_for_byte_as_synnefo_expects(f);
  assert_string_equal(f.seen.c_str(), "====");
}

// What a viewer is told that is not let through for a reason of ours, by how far it got.
std::string refuse_after(const base::Secret& password, bool greeted, std::string_view viewer,
                         std::string_view reason) {
  Trials trials = testing::known_trials(password);
  RfbServer server(trials);
  uint8_t room[RfbServer::kMaxOutput];
  base::ByteWriter before(room);
  base::ByteReader in(base::as_bytes(viewer));
  if (greeted) server.greet(before);
  if (greeted && !server.advance(in, before)) return "refused already";
  base::ByteWriter out(room);
  server.refuse(reason, out);
  if (server.stage() != RfbServer::Stage::over) return "not over";
  return out.ok() ? testing::visible(out.written()) : "too much output";
}

void a_refusal_has_the_form_of_its_stage(Fixture& f) {
  struct {
    const char* name;
    bool greeted;
    std::string_view viewer;
    std::string_view told;
  } const rows[] = {
      {"in the place of a greeting", false, "", V33 "\0\0\0\0\0\0\0\4busy"sv},
      {"before the version", true, "", ""},
      {"within the version", true, "RFB ", ""},
      {"3.7, before the type", true, V37, BAD ""sv},
      {"3.8, before the type", true, V38, BAD "\0\0\0\4busy"sv},
      {"3.3, before the response", true, V33, BAD ""sv},
      {"3.7, before the response", true, V37 "\2", BAD ""sv},
      {"3.8, before the response", true, V38 "\2", BAD "\0\0\0\4busy"sv},
      {"3.3, verified", true, V33 RESPONSE, BAD ""sv},
      {"3.7, verified", true, V37 "\2" RESPONSE, BAD ""sv},
      {"3.8, verified", true, V38 "\2" RESPONSE, BAD "\0\0\0\4busy"sv},
  };
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    f.seen = refuse_after(f.password, row.greeted, row.viewer, "busy");
    f.expected = testing::visible(row.told);
    assert_string_equal(f.seen.c_str(), f.expected.c_str());
  }
  f.transcript.assign(100000, 'x');
  f.seen = refuse_after(f.password, true, V38 "\2", f.transcript);
  f.expected = testing::visible(BAD "\0\0\1\0"sv) + std::string(256, 'x');
  assert_string_equal(f.seen.c_str(), f.expected.c_str());
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  const CMUnitTest tests[] = {
      TEST(Fixture, treats_versions_as_one_of_three),
      TEST(Fixture, the_right_response_gets_in),
      TEST(Fixture, nothing_else_gets_in),
      TEST(Fixture, no_type_but_ours_leads_in),
      TEST(Fixture, another_connections_response_is_worth_nothing_checked),
      TEST(Fixture, a_refused_viewer_gets_no_second_try),
      TEST(Fixture, speaks_byte_for_byte_as_synnefo_expects_checked),
      TEST(Fixture, a_refusal_has_the_form_of_its_stage),
  };
  return vncauthproxy::testing::run_group("rfb_server", tests);
}
