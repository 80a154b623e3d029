// SPDX-License-Identifier: GPL-2.0-or-later
// For what changes a process for good: it is done in a forked child, whose status is the result.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace vncauthproxy::testing {

// What body() returns there, up to 98; 99: it threw; 256 and more: a signal ended it; -1: there was no child.
// No assertion may be in it.
template <typename Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = -1;
  if (::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

}  // namespace vncauthproxy::testing
