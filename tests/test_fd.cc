// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/fd.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <utility>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::base {
namespace {

struct Fixture {
  Result<FdPair> pair = socket_pair(SOCK_STREAM);
  Fd other;
};

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

void closes_what_it_owns(Fixture& f) {
  assert_true(static_cast<bool>(f.pair));
  const int first = f.pair->first.get();
  const int second = f.pair->second.get();
  f.other = std::move(f.pair->first);
  assert_int_equal(f.other.get(), first);
  assert_false(static_cast<bool>(f.pair->first));
  f.other = std::move(f.pair->second);
  assert_false(is_open(first));
  assert_true(is_open(second));
  f.other.reset();
  assert_false(is_open(second));
}

void makes_descriptors_that_close_on_exec_and_never_block(Fixture& f) {
  for (const int fd : {f.pair->first.get(), f.pair->second.get()}) {
    assert_int_equal(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(::fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  }
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  const CMUnitTest tests[] = {
      TEST(Fixture, closes_what_it_owns),
      TEST(Fixture, makes_descriptors_that_close_on_exec_and_never_block),
  };
  return vncauthproxy::testing::run_group("fd", tests);
}
