// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/heap.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::base {
namespace {

using testing::NoFixture;

constexpr size_t kSpace = 64 * 1024;
constexpr size_t kLargest = 16 * 1024;

bool mapped(const void* address) {
  const auto page = reinterpret_cast<uintptr_t>(address) & ~uintptr_t{4095};
  unsigned char resident = 0;
  return ::mincore(reinterpret_cast<void*>(page), 1, &resident) == 0;
}

// Each test in a child: a process has one heap at a time, and the tests' own is to stay what it was.
template <typename Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void blocks_are_used_again(NoFixture&) {
  const int failed = in_child([] {
    if (!begin_heap(kSpace, kLargest)) return 0;
    void* first = ::operator new(100);
    ::operator delete(first);
    void* second = ::operator new(97);  // the same size, rounded
    void* third = ::operator new(100);
    const bool fine = second == first && third != first && heap_usable_size(second) >= 97;
    ::operator delete(second);
    ::operator delete(third);
    return fine ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

// Of all that a table was while it doubled and doubled, each size waits for the next table.
void large_blocks_are_used_again_by_powers_of_two(NoFixture&) {
  const int failed = in_child([] {
    if (!begin_heap(kSpace, kLargest)) return 0;
    for (const size_t size : {5000u, 8192u, 9000u, 16384u}) {
      void* first = ::operator new(size);
      std::memset(first, 1, size);
      ::operator delete(first);
      void* second = ::operator new(size - 100);
      const bool fine = second == first && heap_usable_size(second) >= size;
      ::operator delete(second);
      if (!fine) return 1;
    }
    return 0;
  });
  assert_int_equal(failed, 0);
}

// A child that drops this heap keeps what is larger than it takes.
void what_is_too_large_is_mallocs(NoFixture&) {
  const int failed = in_child([] {
    if (!begin_heap(kSpace, kLargest)) return 0;
    char* const own = new char[kLargest];
    char* const mallocs = new char[kLargest + 1];
    const auto distance = own > mallocs ? own - mallocs : mallocs - own;
    delete[] own;
    delete[] mallocs;
    return static_cast<size_t>(distance) > kSpace ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

void what_was_there_before_is_deleted_as_ever(NoFixture&) {
  auto old = std::make_unique<std::string>(100, 'x');
  const int failed = in_child([&old] {
    begin_heap(kSpace, kLargest);
    *old += std::string(200, 'y');  // the old text goes, the new one is of the new heap
    const bool fine = old->size() == 300;
    old.reset();
    return fine ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

void beyond_its_space_there_is_malloc(NoFixture&) {
  const int failed = in_child([] {
    begin_heap(kSpace, kLargest);
    std::vector<std::unique_ptr<std::string>> texts;
    for (size_t i = 0; i < 2000; ++i) texts.push_back(std::make_unique<std::string>(i, static_cast<char>(i)));
    for (size_t i = 0; i < texts.size(); ++i)
      if (*texts[i] != std::string(i, static_cast<char>(i))) return 1;
    return 0;
  });
  assert_int_equal(failed, 0);
}

void reallocation_keeps_what_fits(NoFixture&) {
  const int failed = in_child([] {
    begin_heap(kSpace, kLargest);
    auto* text = static_cast<char*>(heap_reallocate(nullptr, 6));
    std::memcpy(text, "bytes", 6);
    for (const size_t size : {40u, 4000u, 400000u, 50u}) {
      text = static_cast<char*>(heap_reallocate(text, size));
      if (text == nullptr || std::strcmp(text, "bytes") != 0 || heap_usable_size(text) < size) return 1;
    }
    heap_free(text);
    heap_free(nullptr);
    heap_free(heap_allocate(0));
    return 0;
  });
  assert_int_equal(failed, 0);
}

void every_block_is_aligned(NoFixture&) {
  const int failed = in_child([] {
    begin_heap(kSpace, kLargest);
    for (size_t size = 0; size < 2048; ++size)
      if (reinterpret_cast<uintptr_t>(::operator new(size)) % alignof(std::max_align_t) != 0) return 1;
    return 0;
  });
  assert_int_equal(failed, 0);
}

// A child keeps nothing of what its parent made, and the parent all of it.
void a_child_drops_its_parents_heap(NoFixture&) {
  const int failed = in_child([] {
    if (!begin_heap(kSpace, kLargest)) return 0;
    auto secret = std::make_unique<std::string>("a parent's text, too long for the string itself");
    const int child_failed = in_child([&secret] {
      if (!mapped(secret.get())) return 1;
      begin_heap(kSpace, kLargest);
      const std::string copy = *secret;
      drop_former_heap();
      return mapped(secret.get()) || !mapped(copy.data()) || copy.size() != 47 ? 2 : 0;
    });
    return child_failed != 0                                              ? child_failed
           : *secret == "a parent's text, too long for the string itself" ? 0
                                                                          : 3;
  });
  assert_int_equal(failed, 0);
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  const CMUnitTest tests[] = {
      TEST(NoFixture, blocks_are_used_again),
      TEST(NoFixture, large_blocks_are_used_again_by_powers_of_two),
      TEST(NoFixture, what_is_too_large_is_mallocs),
      TEST(NoFixture, what_was_there_before_is_deleted_as_ever),
      TEST(NoFixture, beyond_its_space_there_is_malloc),
      TEST(NoFixture, reallocation_keeps_what_fits),
      TEST(NoFixture, every_block_is_aligned),
      TEST(NoFixture, a_child_drops_its_parents_heap),
  };
  return vncauthproxy::testing::run_group("heap", tests);
}
