// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/result.h"

#include <cerrno>
#include <memory>
#include <string>
#include <type_traits>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::base {
namespace {

struct Fixture {
  Error error;
};

struct Refusal {
  int status = 0;
};

Result<std::unique_ptr<int>, Refusal> make(int status) {
  if (status != 0) return Refusal{status};
  return std::make_unique<int>(7);
}
Result<void, Refusal> handed_on(int status) {
  const auto made = make(status);
  if (!made) return made.error();
  return {};
}

void holds_a_value_or_an_error_of_any_type(Fixture&) {
  const int value = **make(0);
  const int status = make(404).error().status;
  const bool good = static_cast<bool>(make(0)), bad = static_cast<bool>(make(404));
  assert_int_equal(value, 7);
  assert_int_equal(status, 404);
  assert_true(good);
  assert_false(bad);
}

void hands_an_error_on(Fixture&) {
  const bool good = static_cast<bool>(handed_on(0));
  const int status = handed_on(405).error().status;
  assert_true(good);
  assert_int_equal(status, 405);
}

// What runs between a failure and the text about it, building a string say, may set errno.
void the_code_is_the_one_given_whatever_errno_is_now(Fixture& f) {
  const std::string path = "/a/path";
  errno = EMFILE;
  f.error = system_error(ENOENT, {"cannot open ", path, " again"});
  const bool text = f.error.detail == "cannot open /a/path again: No such file or directory";
  assert_true(text);
  assert_int_equal(f.error.code, ErrorCode::system);
}

void scarce_things_are_told_apart(Fixture& f) {
  for (const int code : {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN}) {
    f.error = system_error(code, {"socket"});
    assert_int_equal(f.error.code, ErrorCode::exhausted);
  }
}

// A text that is built in the call of system_error() may be built before errno is read there.
static_assert(std::is_constructible_v<Piece, const std::string&>);
static_assert(std::is_constructible_v<Piece, const char*>);
static_assert(!std::is_constructible_v<Piece, std::string>);

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  const CMUnitTest tests[] = {
      TEST(Fixture, holds_a_value_or_an_error_of_any_type),
      TEST(Fixture, hands_an_error_on),
      TEST(Fixture, the_code_is_the_one_given_whatever_errno_is_now),
      TEST(Fixture, scarce_things_are_told_apart),
  };
  return vncauthproxy::testing::run_group("result", tests);
}
