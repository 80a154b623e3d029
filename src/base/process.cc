// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace vncauthproxy::base {
namespace {

// Waits for the daemon's word and leaves with the exit status it stands for.
[[noreturn]] void wait_for_daemon(const Fd& daemon, pid_t middle) {
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  char word = 0;
  for (;;) {
    const ssize_t size = ::recv(daemon.get(), &word, 1, 0);
    if (size >= 0) ::_exit(size == 1 ? 0 : 1);  // the end instead of a word: the daemon is gone
    if (errno != EAGAIN && errno != EINTR) ::_exit(1);
    pollfd event{daemon.get(), POLLIN, 0};
    (void)::poll(&event, 1, -1);
  }
}

Result<void> leave_terminal() {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return system_error(errno, {"cannot open /dev/null"});
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(null.get(), fd) < 0) return system_error(errno, {"dup2"});
  return {};
}

}  // namespace

Result<void> fill_standard_descriptors() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);  // takes the lowest free number
  if (fd < 0) return system_error(errno, {"cannot open /dev/null"});
  ::close(fd);
  return {};
}

Result<void> forbid_inspection() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return system_error(errno, {"PR_SET_DUMPABLE"});
  return lower_limit(RLIMIT_CORE, 0);
}

Result<void> forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error(errno, {"PR_SET_NO_NEW_PRIVS"});
  return {};
}

Result<void> lower_limit(int resource, rlim_t most) {
  const auto which = static_cast<__rlimit_resource>(resource);
  rlimit limit{};
  const bool known = ::getrlimit(which, &limit) == 0;
  limit.rlim_max = std::min(limit.rlim_max, most);
  limit.rlim_cur = limit.rlim_max;
  if (known && ::setrlimit(which, &limit) == 0) return {};
  const int code = errno;
  const std::string number = std::to_string(resource);
  return system_error(code, {"cannot lower the resource limit ", number});
}

Result<Readiness> Readiness::detach() {
  Result<FdPair> pair = socket_pair(SOCK_STREAM);
  if (!pair) return pair.error();
  std::fflush(nullptr);  // or both would print what is still buffered
  const pid_t middle = ::fork();
  if (middle < 0) return system_error(errno, {"fork"});
  if (middle > 0) {
    pair->second.reset();
    wait_for_daemon(pair->first, middle);
  }

  // The middle one leads the new session and goes, so that the daemon never gets a controlling terminal.
  pair->first.reset();
  if (::setsid() < 0) return system_error(errno, {"setsid"});
  const pid_t daemon = ::fork();
  if (daemon < 0) std::fprintf(stderr, "vncauthproxy: fork: %s\n", std::strerror(errno));
  if (daemon != 0) ::_exit(0);
  if (::chdir("/") != 0) return system_error(errno, {"chdir to /"});
  Readiness readiness;
  readiness.parent_ = std::move(pair->second);
  return readiness;
}

Result<void> Readiness::ready() {
  if (!parent_) return {};
  Result<void> left = leave_terminal();
  // The parent may have been killed meanwhile; the daemon is up all the same.
  (void)::send(parent_.get(), "", 1, MSG_NOSIGNAL);
  parent_.reset();
  return left;
}

}  // namespace vncauthproxy::base
