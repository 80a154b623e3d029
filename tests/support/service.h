// SPDX-License-Identifier: GPL-2.0-or-later
// The built daemon started as a service is, in the background, with a command line of the test's own.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/stage.h"

namespace vncauthproxy::testing {

struct Service : Checks {
  Service() : control_port(find_free_range(1)), first_port(find_free_range(10)) {
    // A daemon that left its starter behind is still reaped, and counted, by this process.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~Service() {
    if (pid > 0) {
      send_signal(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }

  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = daemon_command(folder, first_port, {.ports = 10});
    argv.insert(argv.end(), {"--log", folder.file("log"), "--listen-port", std::to_string(control_port)});
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  // Starts in the background as a service does; the starting command's outcome.
  Outcome start(std::vector<std::string> more = {}) {
    const Outcome outcome = run(command(std::move(more)));
    if (outcome.status == 0) pid = pid_in_file();
    return outcome;
  }
  pid_t pid_in_file() const {
    return static_cast<pid_t>(std::strtol(read_file(folder.file("pid")).c_str(), nullptr, 10));
  }
  bool answers() const {
    Socket control = Socket::connect("127.0.0.1", control_port);
    return control.send("{}") && parse_reply(control.read_to_end()).failed("bad_request");
  }
  // The daemon's exit status, waited for as its (foster) parent.
  int wait_end() {
    int status = 0;
    if (pid <= 0) return -1;
    const bool ended = wait_until([&] { return ::waitpid(pid, &status, WNOHANG) == pid; });
    if (ended) pid = -1;
    return ended ? (WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)) : -1;
  }
  std::string log() const { return read_file(folder.file("log")); }

  void check_invariants() { check(log_is_clean(log()), "the log holds a secret or a control byte"); }

  Folder folder;
  uint16_t control_port, first_port;
  pid_t pid = -1;
};

}  // namespace vncauthproxy::testing
