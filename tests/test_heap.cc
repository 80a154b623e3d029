// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/heap.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::base {
namespace {

using testing::in_child;
using testing::NoFixture;

constexpr size_t kSpace = 64 * 1024;
constexpr size_t kLargest = 16 * 1024;

void* page_of(const void* address) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) & ~uintptr_t{4095});
}

bool has_a_page(const void* address) {
  unsigned char resident = 0;
  return ::mincore(page_of(address), 1, &resident) == 0 && (resident & 1) != 0;
}

// Each test in a child: a process begins its heaps once, and the tests' own is to stay what it was. False:
// there are none.
bool begin() {
  return VNCAUTHPROXY_OWN_HEAPS && begin_heaps({kSpace, kLargest}, {kSpace, kLargest});
}

void blocks_are_used_again(NoFixture&) {
  const int failed = in_child([] {
    if (!begin()) return 0;
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
    if (!begin()) return 0;
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

void what_is_too_large_is_mallocs(NoFixture&) {
  const int failed = in_child([] {
    if (!begin()) return 0;
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
    begin();
    *old += std::string(200, 'y');  // the old text goes, the new one is of the new heap
    const bool fine = old->size() == 300;
    old.reset();
    return fine ? 0 : 1;
  });
  assert_int_equal(failed, 0);
}

void beyond_its_space_there_is_malloc(NoFixture&) {
  const int failed = in_child([] {
    begin();
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
    begin();
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
    begin();
    for (size_t size = 0; size < 2048; ++size)
      if (reinterpret_cast<uintptr_t>(::operator new(size)) % alignof(std::max_align_t) != 0) return 1;
    return 0;
  });
  assert_int_equal(failed, 0);
}

constexpr char kText[] = "a text that is too long for the string itself";

void a_child_gets_nothing_of_its_parents(NoFixture&) {
  const int failed = in_child([] {
    if (!begin()) return 0;
    auto text = std::make_unique<std::string>(kText);
    const int child_failed = in_child([&text] {
      keep_heap_for_child();
      if (has_a_page(text.get())) return 1;
      ::operator delete(text.release());  // there is nothing to free, and nothing happens
      return *std::make_unique<std::string>(kText) == kText ? 0 : 2;
    });
    if (child_failed != 0) return child_failed;
    return *text == kText ? 0 : 3;
  });
  assert_int_equal(failed, 0);
}

// Else a block that malloc() maps there would be taken for one of the parent's, and never freed.
void nothing_of_a_child_takes_the_place_of_its_parents(NoFixture&) {
  const int failed = in_child([] {
    if (!begin()) return 0;
    const auto text = std::make_unique<std::string>(kText);
    return in_child([&text] {
      keep_heap_for_child();
      constexpr int kThere = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
      return ::mmap(page_of(text.get()), 4096, PROT_READ, kThere, -1, 0) == MAP_FAILED ? 0 : 1;
    });
  });
  assert_int_equal(failed, 0);
}

void what_is_made_for_a_child_goes_with_it(NoFixture&) {
  const int failed = in_child([] {
    if (!begin()) return 0;
    auto before = std::make_unique<std::string>(kText);
    int child_failed = 0;
    {
      const HeapForChild heap;
      auto text = std::make_unique<std::string>(kText);
      *before += kText;  // the old text goes where it came from
      child_failed = in_child([&text] {
        keep_heap_for_child();
        *text += std::string(kLargest / 2, 'x');
        const bool fine = text->starts_with(kText) && has_a_page(text->data());
        text.reset();
        return fine ? 0 : 1;
      });
      before->clear();
      before->shrink_to_fit();
    }
    if (child_failed != 0) return child_failed;
    *before = std::string(kText) + kText;
    const auto after = std::make_unique<std::string>(kText);
    return in_child([&after] {
      keep_heap_for_child();
      return has_a_page(after.get()) ? 2 : 0;
    });
  });
  assert_int_equal(failed, 0);
}

void a_child_finds_nothing_of_the_one_before(NoFixture&) {
  const int failed = in_child([] {
    if (!begin()) return 0;
    char* text = nullptr;
    {
      const HeapForChild heap;
      text = static_cast<char*>(heap_allocate(sizeof kText));
      std::memcpy(text, kText, sizeof kText);
      heap_free(text);
    }
    const HeapForChild heap;
    return in_child([text] {
      keep_heap_for_child();
      // The start of a free block is the heap's own.
      constexpr size_t kOwn = sizeof(void*);
      return std::memcmp(text + kOwn, kText + kOwn, sizeof kText - kOwn) == 0 ? 1 : 0;
    });
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
      TEST(NoFixture, a_child_gets_nothing_of_its_parents),
      TEST(NoFixture, nothing_of_a_child_takes_the_place_of_its_parents),
      TEST(NoFixture, what_is_made_for_a_child_goes_with_it),
      TEST(NoFixture, a_child_finds_nothing_of_the_one_before),
  };
  return vncauthproxy::testing::run_group("heap", tests);
}
