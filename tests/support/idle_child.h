// SPDX-License-Identifier: GPL-2.0-or-later
// A child that waits to be killed and holds none of the test's descriptors. Another program, since a forked
// copy would inherit CMocka's handlers and go on with the tests at the first SIGSEGV.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <stdexcept>

namespace vncauthproxy::testing {

inline pid_t idle_child() {
  char name[] = "sleep", time[] = "600";
  char* const arguments[] = {name, time, nullptr};
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t all;
  ::sigfillset(&all);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, name, nullptr, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) throw std::runtime_error("cannot start sleep(1)");
  return pid;
}

}  // namespace vncauthproxy::testing
