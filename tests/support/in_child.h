// SPDX-License-Identifier: GPL-2.0-or-later
// For what changes a process for good: it is done in a forked child, whose status is the result.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace vncauthproxy::testing {

// What body() returns there, 0 to 255; -1: it did not come so far. No assertion may be in it.
template <typename Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace vncauthproxy::testing
