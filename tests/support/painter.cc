// SPDX-License-Identifier: GPL-2.0-or-later
// A VNC server that shows one picture, for `make demo` on a machine without a real one:
//   painter          prints the port it listens on (127.0.0.1), serves until its stdin ends
#include <unistd.h>

#include <cstdio>

#include "tests/support/fake_backend.h"

int main() {
  using namespace vncauthproxy::testing;
  FakeBackend backend(paint({.width = 640, .height = 480}));
  if (backend.port() == 0) return 1;
  std::printf("%u\n", static_cast<unsigned>(backend.port()));
  std::fflush(stdout);
  char byte;
  while (::read(0, &byte, 1) > 0) {
  }
  return 0;
}
