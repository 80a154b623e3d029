// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/written_once.h"

#include <sys/resource.h>

#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"
#include "vncauthproxy/base/handles.h"
#include "vncauthproxy/base/heap.h"

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
    const size_t shared = share_written_once();
    if (shared < sizeof table - 4096) return 1;
    const std::string mapping = mapping_of(middle);
    if (mapping.find("r--p") == std::string::npos || mapping.find("written-once") == std::string::npos)
      return 2;
    int sum = 0;
    for (const Function function : table.functions) sum += function();
    return sum == 3 * 1024 ? 0 : 3;
  });
  assert_int_equal(failed, 0);
}

void once_more_changes_nothing(NoFixture&) {
  const int failed = in_child([] {
    const size_t shared = share_written_once();
    return share_written_once() <= shared && (*middle)() == 1 ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

void children_have_them_too(NoFixture&) {
  const int failed = in_child([] {
    share_written_once();
    return in_child([] { return middle[0]() + middle[1](); }) == 3 ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

void the_heap_is_shared(NoFixture&) {
  if (!VNCAUTHPROXY_OWN_HEAPS) skip();  // nor has AddressSanitizer's allocator this one
  const int failed = in_child([] {
    constexpr size_t kSize = 64 * 1024;
    char* const early = static_cast<char*>(std::malloc(kSize));
    char* const between = static_cast<char*>(std::malloc(kSize));
    char* const last = static_cast<char*>(std::malloc(kSize));
    std::memset(early, 'e', kSize);
    std::memset(between, 'b', kSize);
    std::memset(last, 'l', kSize);
    const volatile uintptr_t hole = reinterpret_cast<uintptr_t>(between) + kSize / 2;
    std::free(between);
    share_written_once();
    const std::string mapping = mapping_of(early + kSize / 2);
    if (mapping.find("rw-p") == std::string::npos || mapping.find("written-once") == std::string::npos)
      return 1;
    if (early[0] != 'e' || early[kSize - 1] != 'e' || last[kSize - 1] != 'l') return 2;
    if (*reinterpret_cast<const char*>(hole) != '\0') return 3;  // nobody's any more, and empty
    early[1] = 'E';
    const auto look = [early] { return early[1] == 'E' ? std::exchange(early[1], 'c') - 'E' : 1; };
    if (in_child(look) != 0 || early[1] != 'E') return 4;
    const char* const late = static_cast<char*>(std::malloc(1000));  // goes with this process
    return late >= early && late < last + kSize ? 5 : 0;
  });
  assert_int_equal(failed, 0);
}

// `ulimit -f` of who starts the daemon: a file beyond it would end the process.
void a_limit_of_file_sizes_is_respected(NoFixture&) {
  const int failed = in_child([] {
    const rlimit small{4096, 4096};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return 1;
    return share_written_once() == 0 && middle[0]() == 1 ? 0 : 2;
  });
  assert_int_equal(failed, 0);
}

void nobody_writes_to_them(NoFixture&) {
  const int ended = in_child([] {
    share_written_once();
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
      TEST(NoFixture, the_heap_is_shared),
      TEST(NoFixture, a_limit_of_file_sizes_is_respected),
      TEST(NoFixture, nobody_writes_to_them),
  };
  return vncauthproxy::testing::run_group("written_once", tests);
}
