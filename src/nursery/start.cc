// SPDX-License-Identifier: GPL-2.0-or-later
#include "nursery/start.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "nursery/nursery.h"

namespace vncauthproxy::nursery {
namespace {

// In the child. All other descriptors are close-on-exec, as everything in base/fd.h is.
[[noreturn]] void become_nursery(int program, int channel) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (channel == kChannel ? ::fcntl(channel, F_SETFD, 0) != 0 : ::dup2(channel, kChannel) != kChannel)
    ::_exit(1);
  char name[] = "vncauthproxy";
  char argument[sizeof kArgument];
  __builtin_memcpy(argument, kArgument, sizeof kArgument);
  char room[] = "                                ";  // for the titles of its children
  char* const arguments[] = {name, argument, room, nullptr};
  ::fexecve(program, arguments, environ);
  ::_exit(127);
}

}  // namespace

base::Result<base::Fd> open_own_program() {
  const base::Fd opened(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  // Above the number that the channel gets in the nursery.
  base::Fd program(opened ? ::fcntl(opened.get(), F_DUPFD_CLOEXEC, kChannel + 1) : -1);
  if (!program) return base::system_error(errno, {"cannot open this program (/proc/self/exe)"});
  return program;
}

base::Result<pid_t> start(const base::Fd& program, const base::Fd& channel) {
  const pid_t pid = ::fork();
  if (pid < 0) return base::system_error(errno, {"cannot fork the nursery"});
  if (pid == 0) become_nursery(program.get(), channel.get());
  return pid;
}

}  // namespace vncauthproxy::nursery
