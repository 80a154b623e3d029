// SPDX-License-Identifier: GPL-2.0-or-later
// Who may ask for forwardings: what is remembered of a login, what is not, and the brake on guessing.
#include "master/login.h"

#include <crypt.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/peer.h"
#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using base::Secret;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::endpoint_of;

constexpr const char* kCostly = "$6$rounds=40000$saltsaltsaltsalt$";  // tens of milliseconds
constexpr const char* kCheap = "$5$rounds=1000$saltsaltsaltsalt$";

std::string line(const std::string& user, const char* setting, const char* password) {
  static crypt_data data;
  const char* const hash = ::crypt_rn(password, setting, &data, sizeof data);
  return user + ":" + (hash != nullptr ? hash : "") + "\n";
}

users::Users users_of(const std::string& text) {
  char name[] = "/tmp/test_login.XXXXXX";
  const base::Fd file(::mkstemp(name));
  std::ofstream(name) << text;
  auto users = users::Users::load(name);
  ::unlink(name);
  return std::move(*users);
}

struct Fixture {
  Fixture() {
    base::set_log_sink([](base::LogLevel, std::string_view) {});  // an empty table is worth a warning
  }
  ~Fixture() { base::set_log_sink({}); }
  void set_users(const std::string& text) { login = std::make_unique<Login>(users_of(text)); }
  bool verify(const char* user, const char* password) { return login->verify(user, Secret(password)); }
  // Processor time: others on this machine do not count.
  double cost_of(const char* user, const char* password) {
    timespec before{}, after{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    outcome = verify(user, password);
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
           static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
  }
  milliseconds note_failure(const char* host, seconds at) {
    return login->failed(endpoint_of(host, 1234), start + at);
  }
  bool suspect(const char* host, seconds at) { return login->suspect(endpoint_of(host, 4321), start + at); }

  std::unique_ptr<Login> login;
  Login::Clock::time_point start = Login::Clock::now();
  bool outcome = false;
};

// ---- what is remembered

void a_login_is_paid_once(Fixture& f) {
  f.set_users(line("user", kCostly, "secret"));
  const double first = f.cost_of("user", "secret");
  const bool first_ok = f.outcome;
  double best = 1e9;
  bool all_ok = true;
  for (int i = 0; i < 5; ++i) {
    best = std::min(best, f.cost_of("user", "secret"));
    all_ok &= f.outcome;
  }
  assert_true(first_ok && all_ok);
  assert_true(first > 5);
  assert_true(best * 10 < first);
}

void a_wrong_password_is_paid_each_time(Fixture& f) {
  f.set_users(line("user", kCostly, "secret"));
  const double right = f.cost_of("user", "secret");
  double best = 1e9;
  bool any_ok = false;
  for (int i = 0; i < 3; ++i) {
    best = std::min(best, f.cost_of("user", "Secret"));
    any_ok |= f.outcome;
  }
  const double still_remembered = f.cost_of("user", "secret");
  assert_false(any_ok);
  assert_true(best * 4 > right);
  assert_true(f.outcome);
  assert_true(still_remembered * 10 < right);
}

void an_unknown_user_is_paid_each_time(Fixture& f) {
  f.set_users(line("user", kCostly, "secret"));
  const double right = f.cost_of("user", "secret");
  double best = 1e9;
  bool any_ok = false;
  for (int i = 0; i < 3; ++i) {
    best = std::min(best, f.cost_of("resu", "secret"));
    any_ok |= f.outcome;
  }
  assert_false(any_ok);
  assert_true(best * 4 > right);
}

void what_was_verified_is_forgotten_with_its_users(Fixture& f) {
  f.set_users(line("user", kCostly, "secret"));
  const double first = f.cost_of("user", "secret");
  f.login->replace(users_of(line("user", kCostly, "secret")));
  const double second = f.cost_of("user", "secret");
  const bool second_ok = f.outcome;
  f.login->replace(users_of(line("user", kCheap, "changed")));
  const bool old_password = f.verify("user", "secret");
  const bool new_password = f.verify("user", "changed");
  f.login->replace(users_of(""));
  const bool nobody = f.verify("user", "changed");
  assert_true(second_ok);
  assert_true(second * 4 > first);
  assert_false(old_password);
  assert_true(new_password);
  assert_false(nobody);
  assert_int_equal(f.login->user_count(), 0);
}

// "ab" with "c" is not "a" with "bc", even when one of them is remembered.
void user_and_password_are_kept_apart(Fixture& f) {
  f.set_users(line("ab", kCheap, "c") + line("a", kCheap, "x"));
  const bool right = f.verify("ab", "c");
  const bool shifted = f.verify("a", "bc");
  const bool joined = f.verify("abc", "");
  const bool other_user = f.verify("a", "c");
  assert_true(right);
  assert_false(shifted);
  assert_false(joined);
  assert_false(other_user);
}

void many_logins_push_each_other_out(Fixture& f) {
  std::string text = line("first", kCostly, "secret");
  for (int i = 0; i < 64; ++i) text += line("u" + std::to_string(i), kCheap, "pw");
  f.set_users(text);
  const double first = f.cost_of("first", "secret");
  unsigned wrong = 0;
  for (int i = 0; i < 63; ++i) wrong += f.verify(("u" + std::to_string(i)).c_str(), "pw") ? 0 : 1;
  const double remembered = f.cost_of("first", "secret");
  wrong += f.verify("u63", "pw") ? 0 : 1;
  const double forgotten = f.cost_of("first", "secret");
  assert_true(f.outcome);
  assert_int_equal(wrong, 0);
  assert_true(remembered * 10 < first);
  assert_true(forgotten * 4 > first);
}

void odd_credentials_are_refused(Fixture& f) {
  f.set_users(line("user", kCheap, "secret"));
  const std::string long_text(100000, 'x');
  const bool any = f.verify("", "") || f.verify("user", "") || f.verify("", "secret") ||
                   f.verify("user", long_text.c_str()) || f.verify(long_text.c_str(), "secret") ||
                   f.login->verify("user", Secret(std::string_view("secret\0", 7))) ||
                   f.login->verify(std::string_view("user\0", 5), Secret("secret"));
  assert_false(any);
  assert_true(f.verify("user", "secret"));
}

// ---- the brake

void five_failures_are_free_within_a_minute(Fixture& f) {
  f.set_users("");
  for (int i = 0; i < 5; ++i) {
    const long long wait = f.note_failure("192.0.2.7", seconds(i)).count();
    assert_int_equal(wait, 0);
    assert_false(f.suspect("192.0.2.7", seconds(i)));
  }
  for (int i = 5; i < 60; ++i) {
    const long long wait = f.note_failure("192.0.2.7", seconds(i)).count();
    assert_int_equal(wait, Login::kPenalty.count());
    assert_true(f.suspect("192.0.2.7", seconds(i)));
  }
}

void a_minute_later_it_is_forgiven(Fixture& f) {
  f.set_users("");
  for (int i = 0; i < 6; ++i) f.note_failure("192.0.2.7", seconds(0));
  assert_true(f.suspect("192.0.2.7", seconds(60)));
  assert_false(f.suspect("192.0.2.7", seconds(61)));
  const long long wait = f.note_failure("192.0.2.7", seconds(61)).count();
  assert_int_equal(wait, 0);
  assert_false(f.suspect("192.0.2.7", seconds(61)));
}

void each_address_has_its_own_account(Fixture& f) {
  f.set_users("");
  for (int i = 0; i < 6; ++i) f.note_failure("2001:db8::7", seconds(0));
  assert_true(f.suspect("2001:db8::7", seconds(1)));
  assert_false(f.suspect("2001:db8::8", seconds(1)));
  assert_false(f.suspect("192.0.2.7", seconds(1)));
  const long long other = f.note_failure("2001:db8::8", seconds(1)).count();
  assert_int_equal(other, 0);
}

void a_mapped_address_is_the_same_address(Fixture& f) {
  f.set_users("");
  for (int i = 0; i < 3; ++i) {
    f.note_failure("192.0.2.7", seconds(0));
    f.note_failure("::ffff:192.0.2.7", seconds(0));
  }
  assert_true(f.suspect("192.0.2.7", seconds(1)));
  assert_true(f.suspect("::ffff:192.0.2.7", seconds(1)));
}

void loopback_is_exempt(Fixture& f) {
  f.set_users("");
  for (const char* host : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"}) {
    long long longest = 0;
    for (int i = 0; i < 50; ++i)
      longest = std::max<long long>(longest, f.note_failure(host, seconds(0)).count());
    assert_int_equal(longest, 0);
    assert_false(f.suspect(host, seconds(0)));
  }
}

void networks_can_be_exempt_too(Fixture& f) {
  f.login = std::make_unique<Login>(users_of(""), std::vector{*base::parse_network("192.0.2.0/24")});
  for (int i = 0; i < 10; ++i) {
    const long long exempt = f.note_failure("192.0.2.7", seconds(0)).count();
    assert_int_equal(exempt, 0);
    f.note_failure("192.0.3.7", seconds(0));
  }
  assert_false(f.suspect("192.0.2.7", seconds(0)));
  assert_true(f.suspect("192.0.3.7", seconds(0)));
  assert_int_equal(f.note_failure("127.0.0.1", seconds(0)).count(), 0);
}

std::string host_number(unsigned number) {
  return "10." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255) + "." +
         std::to_string(number & 255);
}

void of_too_many_addresses_the_oldest_is_dropped(Fixture& f) {
  f.set_users("");
  for (int i = 0; i < 6; ++i) f.note_failure("192.0.2.7", seconds(0));
  for (int i = 0; i < 6; ++i) f.note_failure("192.0.2.8", seconds(1));
  // With the two above that makes one more than is remembered.
  for (unsigned i = 0; i < Login::kMaxAddresses - 1; ++i) f.note_failure(host_number(i).c_str(), seconds(2));
  assert_false(f.suspect("192.0.2.7", seconds(3)));
  assert_true(f.suspect("192.0.2.8", seconds(3)));
}

// Whoever is known needs no room: nobody is dropped for him, least of all himself.
void a_full_table_still_counts(Fixture& f) {
  f.set_users("");
  for (int i = 0; i < 5; ++i) f.note_failure("192.0.2.7", seconds(0));
  for (unsigned i = 0; i < Login::kMaxAddresses - 1; ++i) f.note_failure(host_number(i).c_str(), seconds(1));
  for (int i = 0; i < 10; ++i) {
    const long long wait = f.note_failure("192.0.2.7", seconds(2)).count();
    assert_int_equal(wait, Login::kPenalty.count());
  }
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_login_is_paid_once),
      TEST(Fixture, a_wrong_password_is_paid_each_time),
      TEST(Fixture, an_unknown_user_is_paid_each_time),
      TEST(Fixture, what_was_verified_is_forgotten_with_its_users),
      TEST(Fixture, user_and_password_are_kept_apart),
      TEST(Fixture, many_logins_push_each_other_out),
      TEST(Fixture, odd_credentials_are_refused),
      TEST(Fixture, five_failures_are_free_within_a_minute),
      TEST(Fixture, a_minute_later_it_is_forgiven),
      TEST(Fixture, each_address_has_its_own_account),
      TEST(Fixture, a_mapped_address_is_the_same_address),
      TEST(Fixture, loopback_is_exempt),
      TEST(Fixture, networks_can_be_exempt_too),
      TEST(Fixture, of_too_many_addresses_the_oldest_is_dropped),
      TEST(Fixture, a_full_table_still_counts),
  };
  return vncauthproxy::testing::run_group("login", tests);
}
