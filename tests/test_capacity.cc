// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/capacity.h"

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::master {
namespace {

using testing::NoFixture;

config::Options with_range(uint16_t first, uint16_t last) {
  config::Options options;
  options.min_port = first;
  options.max_port = last;
  options.max_pending = 256;
  return options;
}

std::string found(const config::Options& options, const Limits& limits, bool unprivileged = true) {
  Findings findings;
  find_shortfalls(options, limits, unprivileged, findings);
  constexpr const char* kNames[] = {"fatal ", "error ", "warning ", "note "};
  std::string all;
  for (const Finding& each : findings.all())
    all += kNames[static_cast<int>(each.severity)] + each.text + "\n";
  return all;
}

Limits with_descriptors(rlim_t count) {
  Limits limits;
  limits.descriptors = count;
  return limits;
}

Limits with_processes(rlim_t count) {
  Limits limits;
  limits.processes = count;
  return limits;
}

void nothing_falls_short_of_a_small_range(NoFixture&) {
  const std::string got = found(with_range(25000, 25099), {1024, 1024, 32768, 60999, 1024, 16384});
  assert_string_equal(got.c_str(), "");
}

void each_limit_is_named(NoFixture&) {
  const auto options = with_range(25000, 29999);
  const std::string descriptors = found(options, with_descriptors(4096));
  const std::string processes = found(options, with_processes(1000));
  assert_string_equal(descriptors.c_str(),
                      "warning the limit of 4096 descriptors serves 3744 forwardings at once, the port range "
                      "has room for 5000\n");
  assert_string_equal(processes.c_str(),
                      "warning the limit of 1000 processes of this user serves 992 forwardings at once, the "
                      "port range has room for 5000\n");
}

// Waiting control clients and forwardings share what there is.
void few_descriptors_serve_some(NoFixture&) {
  const std::string few = found(with_range(25000, 29999), with_descriptors(100));
  const std::string one = found(with_range(25000, 29999), with_descriptors(65));
  assert_string_equal(
      few.c_str(),
      "warning the limit of 100 descriptors serves 18 forwardings at once, the port range has room for "
      "5000\n");
  assert_string_equal(
      one.c_str(),
      "warning the limit of 65 descriptors serves 1 forwardings at once, the port range has room for 5000\n");
}

void what_serves_nobody_is_fatal(NoFixture&) {
  const std::string descriptors = found(with_range(25000, 29999), with_descriptors(64));
  const std::string processes = found(with_range(25000, 29999), with_processes(3));
  assert_string_equal(
      descriptors.c_str(),
      "fatal the limit of 64 descriptors does not do for a single forwarding: raise it (ulimit "
      "-n)\n");
  assert_string_equal(
      processes.c_str(),
      "fatal the limit of 3 processes of this user does not do for a single forwarding: raise "
      "it (ulimit -u)\n");
}

void an_overlap_with_the_ephemeral_ports_is_named(NoFixture&) {
  struct {
    uint16_t first, last;
    bool overlaps;
  } const rows[] = {{25000, 30000, false}, {25000, 32767, false}, {25000, 32768, true}, {40000, 40000, true},
                    {60999, 61010, true},  {61000, 61010, false}, {1024, 65535, true}};
  for (const auto& row : rows) {
    const std::string got =
        found(with_range(row.first, row.last), {RLIM_INFINITY, RLIM_INFINITY, 32768, 60999});
    assert_int_equal(got.find("32768 to 60999") != got.npos, row.overlaps);
  }
}

void ports_of_root_alone_are_told(NoFixture&) {
  Limits limits;
  limits.first_unprivileged = 1024;
  const std::string some = found(with_range(1000, 2000), limits);
  const std::string all = found(with_range(900, 1000), limits);
  const std::string none = found(with_range(1024, 2000), limits);
  const std::string root = found(with_range(900, 1000), limits, false);
  assert_string_equal(some.c_str(),
                      "warning min-port: of the ports 1000 to 2000 only root may listen on those below 1024: "
                      "see net.ipv4.ip_unprivileged_port_start\n");
  assert_int_equal(all.compare(0, 6, "fatal "), 0);
  assert_string_equal(none.c_str(), "");
  assert_string_equal(root.c_str(), "");
}

void few_pipes_are_noted(NoFixture&) {
  Limits limits;
  limits.pipe_pages = 16384;
  const std::string many = found(with_range(25000, 30000), limits);
  const std::string few = found(with_range(25000, 25511), limits);
  const std::string root = found(with_range(25000, 30000), limits, false);
  assert_string_equal(many.c_str(),
                      "note fs.pipe-user-pages-soft (16384) has pipes for 512 of 5001 sessions: those beyond "
                      "copy, at about twice the CPU time, while they carry much\n");
  assert_string_equal(few.c_str(), "");
  assert_string_equal(root.c_str(), "");
}

void the_limits_are_raised_and_read(NoFixture&) {
  const int failed = testing::in_child([] {
    const rlimit low{64, 128};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return 1;
    raise_limits();
    const Limits limits = read_limits();
    return limits.descriptors == 128 && limits.first_ephemeral < limits.last_ephemeral &&
                   limits.first_unprivileged < limits.first_ephemeral
               ? 0
               : 2;
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
      TEST(NoFixture, few_descriptors_serve_some),
      TEST(NoFixture, what_serves_nobody_is_fatal),
      TEST(NoFixture, an_overlap_with_the_ephemeral_ports_is_named),
      TEST(NoFixture, ports_of_root_alone_are_told),
      TEST(NoFixture, few_pipes_are_noted),
      TEST(NoFixture, the_limits_are_raised_and_read),
  };
  return vncauthproxy::testing::run_group("capacity", tests);
}
