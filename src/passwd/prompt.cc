// SPDX-License-Identifier: GPL-2.0-or-later
// The signals that could end the program while echo is off are held back but for the moment of waiting
// (ppoll), so that none can slip in between a look at the flag and the wait.
#include "prompt.h"

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/secret_input.h"

namespace vncauthproxy::passwd {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::Secret;

volatile std::sig_atomic_t caught = 0;

void remember(int number) {
  caught = number;
}

// While this lives, ending signals only set `caught`, and only within wait_readable(). Stopping by Ctrl-Z is
// off: the shell would take over a terminal without echo.
class HeldSignals {
 public:
  HeldSignals() {
    sigset_t held;
    sigemptyset(&held);
    for (const int number : kEnding) sigaddset(&held, number);
    ::sigprocmask(SIG_BLOCK, &held, &before_);
    struct sigaction action {};
    action.sa_handler = remember;
    for (size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &action, &actions_[i]);
    action.sa_handler = SIG_IGN;
    ::sigaction(SIGTSTP, &action, &stop_action_);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals() {
    ::sigaction(SIGTSTP, &stop_action_, nullptr);
    for (size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &actions_[i], nullptr);
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }

  // False: a signal came.
  bool wait_readable(int fd) const {
    pollfd entry{fd, POLLIN, 0};
    while (caught == 0 && ::ppoll(&entry, 1, nullptr, &before_) < 0 && errno == EINTR) {
    }
    return caught == 0;
  }

 private:
  static constexpr std::array<int, 4> kEnding{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  sigset_t before_;
  std::array<struct sigaction, kEnding.size()> actions_;
  struct sigaction stop_action_;
};

void say(int fd, std::string_view text) {
  // A terminal that takes no text will not be read from either: the read tells.
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
}

Result<Secret> ask_on(int terminal, const HeldSignals& signals, const char* question, size_t max_bytes) {
  termios before;
  if (::tcgetattr(terminal, &before) != 0) return base::system_error(errno, {"terminal"});
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
  silent.c_lflag |= ICANON | ISIG;
  if (::tcsetattr(terminal, TCSAFLUSH, &silent) != 0) return base::system_error(errno, {"terminal"});
  say(terminal, question);
  // A line arrives whole, so once there is something, reading it to its end does not wait.
  Result<Secret> answer = Error{ErrorCode::closed, "interrupted"};
  if (signals.wait_readable(terminal)) answer = base::read_secret_line(terminal, max_bytes);
  say(terminal, "\n");
  ::tcsetattr(terminal, TCSAFLUSH, &before);
  return answer;
}

}  // namespace

Result<Secret> ask_password(const char* question, size_t max_bytes) {
  const base::Fd own(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  const int terminal = own ? own.get() : STDIN_FILENO;
  if (::isatty(terminal) == 0)
    return Error{ErrorCode::unsupported, "there is no terminal to ask on; use --stdin"};
  Result<Secret> answer = [&] {
    const HeldSignals signals;
    return ask_on(terminal, signals, question, max_bytes);
  }();
  if (caught != 0 && caught != SIGINT) ::raise(caught);
  return answer;
}

}  // namespace vncauthproxy::passwd
