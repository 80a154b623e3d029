// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/secret.h"

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::base {
namespace {

using testing::NoFixture;

struct Fixture {
  Secret a{"correct horse"};
  Secret b;
  SecretPages pages{8192};
};

void moves_and_leaves_nothing_behind(Fixture& f) {
  f.b = std::move(f.a);
  const bool moved = f.b.reveal() == "correct horse" && f.a.empty() && f.a.c_str()[0] == '\0';
  assert_true(moved);
  f.b.wipe();
  assert_true(f.b.empty());
}

void compares_by_content_and_size(NoFixture&) {
  struct {
    std::string_view a, b;
    bool equal;
  } const rows[] = {{"", "", true},       {"a", "a", true},
                    {"a", "b", false},    {"a", "", false},
                    {"abc", "ab", false}, {std::string_view("a\0b", 3), std::string_view("a\0c", 3), false}};
  for (const auto& row : rows) assert_int_equal(equal_secrets(row.a, row.b), row.equal);
}

void a_forked_child_does_not_get_them(Fixture& f) {
  std::memcpy(f.pages.room().data() + 5000, "marker", 6);
  const int failed = testing::in_child([&f] {
    std::array<unsigned char, 2> resident;
    return ::mincore(f.pages.room().data(), f.pages.room().size(), resident.data()) != 0 && errno == ENOMEM
               ? 0
               : 1;
  });
  assert_int_equal(failed, 0);
  assert_memory_equal(f.pages.room().data() + 5000, "marker", 6);
}

void random_numbers_stay_below_their_bound(NoFixture&) {
  std::array<unsigned, 7> seen{};
  for (int i = 0; i < 7000; ++i) {
    const uint32_t value = random_below(7);
    assert_true(value < 7);
    ++seen[value];
  }
  for (const unsigned count : seen) assert_in_range(count, 800, 1200);
  assert_int_equal(random_below(1), 0);
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(Fixture, moves_and_leaves_nothing_behind),
      TEST(NoFixture, compares_by_content_and_size),
      TEST(Fixture, a_forked_child_does_not_get_them),
      TEST(NoFixture, random_numbers_stay_below_their_bound),
  };
  return vncauthproxy::testing::run_group("secret", tests);
}
