// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/capacity.h"

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::master {
namespace {

using testing::NoFixture;

base::Options with_range(uint16_t first, uint16_t last) {
  base::Options options;
  options.min_port = first;
  options.max_port = last;
  options.max_pending = 256;
  return options;
}

std::string said(const base::Options& options, const Limits& limits) {
  std::string all;
  for (const std::string& line : shortfalls(options, limits)) all += line + "\n";
  return all;
}

void nothing_falls_short_of_a_small_range(NoFixture&) {
  const std::string got = said(with_range(25000, 25099), {1024, 1024, 32768, 60999});
  assert_string_equal(got.c_str(), "");
}

void each_limit_is_named(NoFixture&) {
  const auto options = with_range(25000, 29999);
  const std::string descriptors = said(options, {4096, RLIM_INFINITY});
  const std::string processes = said(options, {RLIM_INFINITY, 1000});
  const std::string tiny = said(options, {32, RLIM_INFINITY});
  assert_string_equal(
      descriptors.c_str(),
      "the limit of 4096 descriptors serves 3744 forwardings at once, the port range has room "
      "for 5000\n");
  assert_string_equal(
      processes.c_str(),
      "the limit of 1000 processes of this user serves 992 forwardings at once, the port range "
      "has room for 5000\n");
  assert_string_equal(tiny.c_str(),
                      "the limit of 32 descriptors serves 0 forwardings at once, the port range has room for "
                      "5000\n");
}

void an_overlap_with_the_ephemeral_ports_is_named(NoFixture&) {
  struct {
    uint16_t first, last;
    bool overlaps;
  } const rows[] = {{25000, 30000, false}, {25000, 32767, false}, {25000, 32768, true}, {40000, 40000, true},
                    {60999, 61010, true},  {61000, 61010, false}, {1024, 65535, true}};
  for (const auto& row : rows) {
    const std::string got =
        said(with_range(row.first, row.last), {RLIM_INFINITY, RLIM_INFINITY, 32768, 60999});
    assert_int_equal(got.find("32768 to 60999") != got.npos, row.overlaps);
  }
}

void the_limits_are_raised_and_read(NoFixture&) {
  const int failed = testing::in_child([] {
    const rlimit low{64, 128};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return 1;
    raise_limits();
    const Limits limits = read_limits();
    return limits.descriptors == 128 && limits.first_ephemeral < limits.last_ephemeral ? 0 : 2;
  });
  assert_int_equal(failed, 0);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(NoFixture, nothing_falls_short_of_a_small_range),
      TEST(NoFixture, each_limit_is_named),
      TEST(NoFixture, an_overlap_with_the_ephemeral_ports_is_named),
      TEST(NoFixture, the_limits_are_raised_and_read),
  };
  return vncauthproxy::testing::run_group("capacity", tests);
}
