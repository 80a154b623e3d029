// SPDX-License-Identifier: GPL-2.0-or-later
// Who has to go when too many viewers are on their way in: pictures of crowds, in order of arrival.
#include "worker/crowd.h"

#include <map>
#include <string>
#include <utility>

#include "tests/support/peer.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::worker {
namespace {

constexpr size_t kAll = 6, kPerAddress = 3;

struct Fixture {
  std::map<std::string, base::Endpoint> hosts;
  std::vector<Standing> there;

  const base::Endpoint& host(const std::string& name) {
    const auto [at, is_new] = hosts.try_emplace(name);
    if (is_new) at->second = testing::endpoints_of({name.c_str()}).at(0);
    return at->second;
  }
  // "a5 b1": of host 192.0.2.<letter> one with that Progress, and so on.
  void crowd(std::string_view picture) {
    there.clear();
    for (size_t i = 0; i + 1 < picture.size(); i += 3)
      there.push_back({&letter(picture[i]), static_cast<Progress>(picture[i + 1] - '0')});
  }
  const base::Endpoint& letter(char name) { return host("192.0.2." + std::to_string(name - 'a' + 1)); }
  // -1: nobody.
  int leaving(std::string_view picture, char newcomer) {
    crowd(picture);
    const auto one = who_goes(there, letter(newcomer), kPerAddress, kAll);
    return one ? static_cast<int>(*one) : -1;
  }
};

void takes_the_right_one(Fixture& f) {
  static_assert(static_cast<int>(Progress::at_the_password) == 6);
  struct {
    const char *name, *picture;
    char newcomer;
    int leaving;
  } const rows[] = {
      {"nobody is there", "", 'a', -1},
      {"there is room", "a6 a6 b1 b1 c1", 'a', -1},
      {"three of its address", "a1 b1 a1 a1", 'a', 0},
      {"another address has three", "a1 a1 a1", 'b', -1},
      {"the one that got least far", "a4 a3 a5", 'a', 1},
      {"TLS counts", "a2 a1 a2", 'a', 1},
      {"pages count", "a3 a2 a3", 'a', 1},
      {"a browser that has its pages goes first", "a1 a0 a1", 'a', 1},
      {"of equals the oldest", "a5 a4 a4", 'a', 1},
      {"of those at the password the newest", "a6 a6 a6", 'a', 2},
      {"never the others for its own", "b0 a6 b1 a6 a6", 'a', 4},
      {"all are there: of the address with most", "b1 a6 a6 c1 c1 c1", 'd', 3},
      {"though others got less far", "b0 b0 a6 c5 c6 c6", 'd', 3},
      {"a person is not pushed out", "p6 a6 a6 b6 b6 b6", 'd', 5},
      {"nor by an address of many", "p6 a6 a6 a6 b6 b6", 'b', 3},
      {"two addresses with as many", "a6 a6 a6 b6 b5 b6", 'c', 4},
      {"one of each: least far", "a6 b6 c5 d6 e5 g6", 'h', 2},
      {"one of each, all at the password", "a6 b6 c6 d6 e6 g6", 'h', 5},
  };
  for (const auto& row : rows) {
    const int leaving = f.leaving(row.picture, row.newcomer);
    if (leaving != row.leaving) fail_msg("%s: %d", row.name, leaving);
  }
}

// Who has one address of an IPv6 network has them all.
void a_network_of_ipv6_is_one_address(Fixture& f) {
  for (const char* name : {"2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::3"})
    f.there.push_back({&f.host(name), Progress::none});
  const bool same = who_goes(f.there, f.host("2001:db8:0:1:2:3:4:5"), kPerAddress, kAll).has_value();
  const bool other = who_goes(f.there, f.host("2001:db8:0:2::1"), kPerAddress, kAll).has_value();
  assert_true(same);
  assert_false(other);
}

// An attacker's many, whoever comes in what order, cost a person nothing.
void a_person_outlives_any_number(Fixture& f) {
  f.there.push_back({&f.letter('p'), Progress::at_the_password});
  bool pushed_out = false;
  for (int i = 0; i < 1000; ++i) {
    const base::Endpoint& newcomer = f.letter(static_cast<char>('a' + i % 7));
    if (const auto one = who_goes(f.there, newcomer, kPerAddress, kAll)) {
      pushed_out |= *one == 0;
      f.there.erase(f.there.begin() + static_cast<long>(*one));
    }
    f.there.push_back({&newcomer, Progress::at_the_password});
  }
  assert_false(pushed_out);
  assert_int_equal(f.there.size(), kAll);
}

}  // namespace
}  // namespace vncauthproxy::worker

int main() {
  using namespace vncauthproxy::worker;
  const CMUnitTest tests[] = {
      TEST(Fixture, takes_the_right_one),
      TEST(Fixture, a_network_of_ipv6_is_one_address),
      TEST(Fixture, a_person_outlives_any_number),
  };
  return vncauthproxy::testing::run_group("crowd", tests);
}
