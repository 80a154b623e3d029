// SPDX-License-Identifier: GPL-2.0-or-later
// The arithmetic of VNC Authentication against vectors that were computed with other implementations.
#include "vncauthproxy/proto/vnc_auth.h"

#include <algorithm>
#include <string_view>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::NoFixture;

constexpr Challenge kCounting = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr Challenge kElevens = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

constexpr uint8_t nibble(char digit) {
  return static_cast<uint8_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}
Response from_hex(std::string_view hex) {
  Response bytes{};
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
  return bytes;
}

bool passes(std::string_view password, const Challenge& challenge, base::Bytes response) {
  return make_trial(base::Secret(password), challenge).passed_by(response);
}

struct Fixture {
  Fixture() { prepared = static_cast<bool>(prepare_vnc_auth()); }
  bool prepared = false;
};

void answers_as_other_implementations_do(Fixture& f) {
  struct {
    const char* name;
    std::string_view password;
    const Challenge& challenge;
    std::string_view response;
  } const rows[] = {
      {"six characters", "passwd"sv, kCounting, "e8399b58571e87ed8445c8716b6dd945"},
      {"eight characters", "password"sv, kCounting, "b866924125c8eebb9debc1db61c538e2"},
      {"eleven count as eight", "password123"sv, kCounting, "b866924125c8eebb9debc1db61c538e2"},
      {"the weak key", ""sv, kCounting, "491e890de9ace932838a49792f2213f3"},
      {"one character", "a"sv, kCounting, "449407fb6f71bd517aca76866568a4e2"},
      {"bit 7 is parity", "\xe1"sv, kCounting, "449407fb6f71bd517aca76866568a4e2"},
      {"padded with NUL", "a\0\0"sv, kCounting, "449407fb6f71bd517aca76866568a4e2"},
      {"not ASCII", "\xff\x80\x61\x62\x63"sv, kCounting, "768b4a3e452aaf6d43d3ef289dae3440"},
      {"another challenge", "COW-CAT"sv, kElevens, "afc78d58d623e1b4a556c86118cdf604"},
  };
  assert_true(f.prepared);
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    const Response expected = from_hex(row.response);
    const Response actual = vnc_response(base::Secret(row.password), row.challenge);
    assert_memory_equal(actual.data(), expected.data(), expected.size());
    const bool right = passes(row.password, row.challenge, expected);
    assert_true(right);
  }
}

// Responses of noVNC 1.3 in Node, whose key is made of the characters' codes.
void takes_a_password_beyond_ascii_in_either_form(Fixture& f) {
  struct {
    const char* name;
    std::string_view password, as_codes, by_novnc;
  } const rows[] = {
      {"one form", "password", "password", "b866924125c8eebb9debc1db61c538e2"},
      {"Western", "p\xc3\xa4sswort", "p\xe4sswort", "0653434db83208f6a3610fe77601799a"},
      {"above Latin-1", "\xe2\x82\xac", "\xac", "78c744d417ec22f3de368f022b6cf49d"},
      {"two codes", "\xf0\x9f\x98\x80x", "\x3d\0x"sv, "ea20ce2ee6609aaeacd846febdfc29db"},
  };
  assert_true(f.prepared);
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    const Response from_codes = from_hex(row.by_novnc);
    const Response same = vnc_response(base::Secret(row.as_codes), kCounting);
    assert_memory_equal(same.data(), from_codes.data(), same.size());
    const Response from_utf8 = vnc_response(base::Secret(row.password), kCounting);
    Response mixed = from_utf8;
    std::copy_n(from_codes.begin(), 8, mixed.begin());
    const bool two = from_codes != from_utf8;
    const bool taken =
        passes(row.password, kCounting, from_codes) && passes(row.password, kCounting, from_utf8);
    const bool mixture = passes(row.password, kCounting, mixed);
    const bool told = has_two_forms(base::Secret(row.password)) == two;
    assert_true(taken);
    assert_int_equal(mixture, !two);
    assert_true(told);
  }
}

void eight_bytes_of_each_form_count(Fixture&) {
  struct {
    std::string_view password;
    bool two_forms;
  } const rows[] = {{"1234567", false}, {"12345678\xc3\xa4", false}, {"1234567\xc3\xa4", true},
                    {"", false},        {"\xc3\xa4", true},          {"\xc4\x80", true}};
  for (const auto& row : rows) {
    const bool two_forms = has_two_forms(base::Secret(row.password));
    assert_int_equal(two_forms, row.two_forms);
  }
  const Response cut = vnc_response(base::Secret("1234567\xe4"), kCounting);
  const bool right = passes("1234567\xc3\xa4 and more", kCounting, cut);
  assert_true(right);
}

// The codes of U+0100 and U+0200 end in zero bytes.
void no_form_is_an_empty_password(Fixture&) {
  const Response to_empty = vnc_response(base::Secret(""), kCounting);
  const bool empty =
      passes("\xc4\x80\xc8\x80", kCounting, to_empty) || passes("\xc2\x80", kCounting, to_empty);
  const bool itself = passes("\xc4\x80", kCounting, vnc_response(base::Secret("\xc4\x80"), kCounting));
  assert_false(empty);
  assert_true(itself);
}

void refuses_all_but_the_right_response(Fixture&) {
  const Response right = from_hex("b866924125c8eebb9debc1db61c538e2");
  const auto accepted = [](base::Bytes response) { return passes("password", kCounting, response); };
  assert_true(accepted(right));
  for (size_t bit = 0; bit < 8 * right.size(); ++bit) {
    Response wrong = right;
    wrong[bit / 8] = static_cast<uint8_t>(wrong[bit / 8] ^ 1U << bit % 8);
    assert_false(accepted(wrong));
  }
  for (size_t size = 0; size < right.size(); ++size) assert_false(accepted(base::Bytes(right).first(size)));
  uint8_t longer[kChallengeSize + 1] = {};
  std::memcpy(longer, right.data(), right.size());
  assert_false(accepted(longer));
  assert_false(accepted(Response{}));
  assert_false(accepted(kCounting));  // the challenge sent back
}

// A response takes a trial: the empty one is no password that nobody set.
void without_a_trial_nothing_passes(NoFixture&) {
  const bool by_nothing = Trial().passed_by({});
  const bool by_zeroes = Trial().passed_by(Response{});
  assert_false(by_nothing);
  assert_false(by_zeroes);
}

// The one that was made before comes first, and once.
bool draws_first_what_was_made_before() {
  const base::Secret password("password");
  Trials trials(password, make_trial(password, kCounting));
  const bool first = trials.draw().challenge == kCounting;
  const Trial second = trials.draw();
  const Trial third = trials.draw();
  return first && second.challenge != kCounting && third.challenge != second.challenge &&
         second.passed_by(vnc_response(password, second.challenge)) &&
         !second.passed_by(vnc_response(password, third.challenge));
}

void each_draw_is_another_trial(Fixture& f) {
  const bool right = draws_first_what_was_made_before();
  assert_true(f.prepared && right);
}

void each_challenge_is_new(NoFixture&) {
  const Challenge first = new_challenge();
  const Challenge second = new_challenge();
  assert_memory_not_equal(first.data(), second.data(), first.size());
}

void preparing_twice_is_harmless(Fixture& f) {
  const bool again = static_cast<bool>(prepare_vnc_auth());
  assert_true(f.prepared && again);
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  const CMUnitTest tests[] = {
      TEST(Fixture, answers_as_other_implementations_do),
      TEST(Fixture, takes_a_password_beyond_ascii_in_either_form),
      TEST(Fixture, eight_bytes_of_each_form_count),
      TEST(Fixture, no_form_is_an_empty_password),
      TEST(Fixture, refuses_all_but_the_right_response),
      TEST(NoFixture, without_a_trial_nothing_passes),
      TEST(Fixture, each_draw_is_another_trial),
      TEST(NoFixture, each_challenge_is_new),
      TEST(Fixture, preparing_twice_is_harmless),
  };
  return vncauthproxy::testing::run_group("vnc_auth", tests);
}
