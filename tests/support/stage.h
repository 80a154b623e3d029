// SPDX-License-Identifier: GPL-2.0-or-later
// The ground of the end-to-end tests: a daemon, an echoing backend, and a witness session that must live
// through whatever the test does.
//
// A body may hold any objects: it never asserts, it checks. What failed is collected and printed, and the
// one assertion stands behind the body, with nothing left to destroy:
//
//   struct Fixture : Stage {};
//   void says_no(Fixture& f) { f.check(f.daemon.request("[]").failed("bad_request"), "a list"); }
//   ... STAGED(Fixture, says_no) in main's table
//
// After every body the invariants are checked too: same master, the witness still echoes, a fresh request
// works, no secret and no control byte in the log.
#pragma once

#include <string>
#include <string_view>

#include "tests/support/daemon.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_viewer.h"

namespace vncauthproxy::testing {

// What a body finds wrong, printed as it is found.
class Checks {
 public:
  // Returns `good`, so that a body can leave when the rest makes no sense.
  bool check(bool good, std::string_view what = "", const char* file = __builtin_FILE(),
             int line = __builtin_LINE());
  unsigned failures() const { return failures_; }

 private:
  unsigned failures_ = 0;
};

class Stage : public Checks {
 public:
  explicit Stage(DaemonSetup setup = {});
  ~Stage();

  // A forwarding to `backend` with its viewer logged in, ready for bytes. Its socket is empty when it failed.
  FakeViewer session_to(const FakeBackend& backend);
  void check_invariants();
  // For a test that ends or reloads the daemon on purpose.
  void expect_no_daemon() { daemon_expected_ = false; }

  FakeBackend echo_backend;
  Daemon daemon;
  FakeViewer witness;
  pid_t first_pid;

 private:
  bool daemon_expected_ = true;
};

// One of kSecrets is in there.
bool holds_a_secret(std::string_view text);
// Neither a secret nor a control byte.
bool log_is_clean(std::string_view log);

// What STAGED runs: the body, then the invariants. The number of failed checks.
template <typename Fixture, void (*body)(Fixture&)>
unsigned perform(Fixture& fixture) {
  body(fixture);
  fixture.check_invariants();
  return fixture.failures();
}

}  // namespace vncauthproxy::testing

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::testing {

template <typename Fixture, void (*body)(Fixture&)>
void staged(Fixture& fixture) {
  const unsigned failures = perform<Fixture, body>(fixture);
  assert_int_equal(failures, 0);
}

}  // namespace vncauthproxy::testing

#define STAGED(Fixture, body)                                                                               \
  CMUnitTest {                                                                                              \
#body, ::vncauthproxy::testing::call_body < Fixture, ::vncauthproxy::testing::staged < Fixture, body>>, \
        ::vncauthproxy::testing::make_fixture < Fixture>,                                                   \
        ::vncauthproxy::testing::delete_fixture < Fixture>, nullptr                                         \
  }
