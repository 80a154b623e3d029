// SPDX-License-Identifier: GPL-2.0-or-later
// Which name viewers are told when the operator names none: never a loopback's while there is another.
#include "master/own_name.h"

#include <string>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

struct Fixture {
  void choose(const char* canonical, const char* host, const char* address) {
    OwnNames names{canonical, host, {}};
    if (*address != '\0') names.addresses.emplace_back(address);
    found = name_for_viewers(names);
  }
  NameForViewers found;
};

void no_loopback_name_is_taken(Fixture& f) {
  struct {
    const char *canonical, *host, *address, *name;
    bool warns;
  } const rows[] = {
      {"node1.example.com", "node1", "192.0.2.5", "node1.example.com", false},
      {"localhost", "node1", "192.0.2.5", "node1", false},
      {"localhost.localdomain", "node1", "", "node1", false},
      {"LOCALHOST.", "node1", "", "node1", false},
      {"ip6-localhost", "node1.example.com", "", "node1.example.com", false},
      {"node1.localhost", "node1", "", "node1", false},
      {"127.0.1.1", "node1", "", "node1", false},
      {"", "node1", "192.0.2.5", "node1", false},
      {"localhostess.example.com", "localhostess", "", "localhostess.example.com", false},
      {"localhost", "localhost", "192.0.2.5", "192.0.2.5", true},
      {"", "(none)", "2001:db8::5", "2001:db8::5", true},
      {"localhost", "localhost", "", "localhost", true},
      {"", "", "", "localhost", true},
  };
  for (const auto& row : rows) {
    f.choose(row.canonical, row.host, row.address);
    const bool right = f.found.name == row.name && f.found.warning.empty() != row.warns &&
                       (!row.warns || f.found.warning.find("proxy-address") != std::string::npos);
    if (!right) print_message("  %s, %s: %s\n", row.canonical, row.host, f.found.name.c_str());
    assert_true(right);
  }
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {TEST(Fixture, no_loopback_name_is_taken)};
  return vncauthproxy::testing::run_group("own_name", tests);
}
