// SPDX-License-Identifier: GPL-2.0-or-later
// For end-to-end tests without a Stage: a body may hold any objects, for it never asserts, it checks. What
// failed is printed and counted, and the one assertion stands behind the body.
//
//   struct Fixture : Checks { ... };
//   void says_no(Fixture& f) { f.check(run({"false"}).status == 1, "status"); }
//   ... CHECKED(Fixture, says_no) in main's table
#pragma once

#include <cstdio>
#include <string_view>

namespace vncauthproxy::testing {

class Checks {
 public:
  // Returns `good`, so that a body can leave when the rest makes no sense.
  bool check(bool good, std::string_view what = "", const char* file = __builtin_FILE(),
             int line = __builtin_LINE()) {
    if (!good) {
      ++failures_;
      std::fprintf(stderr, "%s:%d: %.*s\n", file, line, static_cast<int>(what.size()), what.data());
    }
    return good;
  }
  unsigned failures() const { return failures_; }

 private:
  unsigned failures_ = 0;
};

}  // namespace vncauthproxy::testing

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::testing {

template <typename Fixture, void (*body)(Fixture&)>
void checked(Fixture& fixture) {
  body(fixture);
  const unsigned failures = fixture.failures();
  assert_int_equal(failures, 0);
}

}  // namespace vncauthproxy::testing

#define CHECKED(Fixture, body)                                                                               \
  CMUnitTest {                                                                                               \
#body, ::vncauthproxy::testing::call_body < Fixture, ::vncauthproxy::testing::checked < Fixture, body>>, \
        ::vncauthproxy::testing::make_fixture < Fixture>,                                                    \
        ::vncauthproxy::testing::delete_fixture < Fixture>, nullptr                                          \
  }
