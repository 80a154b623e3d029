// SPDX-License-Identifier: GPL-2.0-or-later
// CMocka for C++. A failed assertion leaves by longjmp, so at any assertion every live automatic object,
// temporaries included, must be trivially destructible; what is not lives in a Fixture. Include this header
// last: cmocka.h defines fail, skip and mock as macros.
//
//   struct Fixture { std::string text; };
//   void says_hello(Fixture& f) { f.text = hello(); const bool same = f.text == "hello"; assert_true(same); }
//   int main() { const CMUnitTest tests[] = {TEST(Fixture, says_hello)}; return run_group("greeting", tests);
//   }
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>

#include <csetjmp>
extern "C" {
#include <cmocka.h>
}

namespace vncauthproxy::testing {

struct NoFixture {};

// Room for the text of an exception, copied before its object goes.
struct EscapedText {
  bool escaped = false;
  char text[256] = "";
};

template <typename Fixture, void (*body)(Fixture&)>
void call_body(void** state) {
  EscapedText trouble;
  try {
    body(*static_cast<Fixture*>(*state));
  } catch (const std::exception& e) {
    trouble.escaped = true;
    std::snprintf(trouble.text, sizeof trouble.text, "%s", e.what());
  } catch (...) {
    trouble.escaped = true;
  }
  if (trouble.escaped) fail_msg("an exception escaped: %s", trouble.text);
}

template <typename Fixture>
int make_fixture(void** state) {
  try {
    // Released last: when setup fails, teardown is not run.
    auto fixture = std::make_unique<Fixture>();
    *state = fixture.release();
    return 0;
  } catch (const std::exception& e) {
    print_error("setup failed: %s\n", e.what());
  } catch (...) {
    print_error("setup failed\n");
  }
  return -1;
}

template <typename Fixture>
int delete_fixture(void** state) {
  delete static_cast<Fixture*>(*state);
  return 0;
}

template <size_t count>
int run_group(const char* group, const CMUnitTest (&tests)[count]) {
  return _cmocka_run_group_tests(group, tests, count, nullptr, nullptr);
}

}  // namespace vncauthproxy::testing

#define TEST(Fixture, body)                                         \
  CMUnitTest {                                                      \
#body, ::vncauthproxy::testing::call_body < Fixture, body>,     \
        ::vncauthproxy::testing::make_fixture < Fixture>,           \
        ::vncauthproxy::testing::delete_fixture < Fixture>, nullptr \
  }
