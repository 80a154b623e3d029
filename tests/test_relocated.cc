// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/relocated.h"

#include <sys/resource.h>

#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <string>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"
#include "vncauthproxy/base/handles.h"

namespace vncauthproxy::base {
namespace {

using testing::in_child;
using testing::NoFixture;

int one() {
  return 1;
}
int two() {
  return 2;
}

// As large as a page and more, so that one of its pages is nobody else's.
using Function = int (*)();
struct Table {
  Function functions[2048];
};
constexpr Table make_table() {
  Table table{};
  for (size_t i = 0; i < std::size(table.functions); ++i) table.functions[i] = i % 2 == 0 ? one : two;
  return table;
}
const Table table = make_table();
const Function* const middle = &table.functions[1024];

// The line of /proc/self/maps about an address.
std::string mapping_of(const void* address) {
  const Handle<std::FILE> maps(std::fopen("/proc/self/maps", "re"));
  char line[512];
  std::string found;
  while (maps && found.empty() && std::fgets(line, sizeof line, maps.get()) != nullptr) {
    uintptr_t begin = 0, end = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2 &&
        reinterpret_cast<uintptr_t>(address) >= begin && reinterpret_cast<uintptr_t>(address) < end)
      found = line;
  }
  return found;
}

void addresses_are_shared_and_still_right(NoFixture&) {
  const int failed = in_child([] {
    const size_t shared = share_relocated();
    if (shared < sizeof table - 4096) return 1;
    const std::string mapping = mapping_of(middle);
    if (mapping.find("r--p") == std::string::npos || mapping.find("relocated") == std::string::npos) return 2;
    int sum = 0;
    for (const Function function : table.functions) sum += function();
    return sum == 3 * 1024 ? 0 : 3;
  });
  assert_int_equal(failed, 0);
}

void once_more_changes_nothing(NoFixture&) {
  const int failed = in_child([] {
    const size_t shared = share_relocated();
    return share_relocated() == shared && (*middle)() == 1 ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

void children_have_them_too(NoFixture&) {
  const int failed = in_child([] {
    share_relocated();
    return in_child([] { return middle[0]() + middle[1](); }) == 3 ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

// `ulimit -f` of who starts the daemon: a file beyond it would end the process.
void a_limit_of_file_sizes_is_respected(NoFixture&) {
  const int failed = in_child([] {
    const rlimit small{4096, 4096};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return 1;
    return share_relocated() == 0 && middle[0]() == 1 ? 0 : 2;
  });
  assert_int_equal(failed, 0);
}

void nobody_writes_to_them(NoFixture&) {
  const int ended = in_child([] {
    share_relocated();
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer's would tell at length
    const_cast<volatile Function*>(middle)[0] = two;
    return 0;
  });
  assert_int_equal(ended, 256 + SIGSEGV);
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  const CMUnitTest tests[] = {
      TEST(NoFixture, addresses_are_shared_and_still_right),
      TEST(NoFixture, once_more_changes_nothing),
      TEST(NoFixture, children_have_them_too),
      TEST(NoFixture, a_limit_of_file_sizes_is_respected),
      TEST(NoFixture, nobody_writes_to_them),
  };
  return vncauthproxy::testing::run_group("relocated", tests);
}
