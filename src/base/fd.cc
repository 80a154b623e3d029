// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/fd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vncauthproxy::base {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<FdPair> socket_pair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return system_error("socketpair");
  return FdPair{Fd(ends[0]), Fd(ends[1])};
}

Result<FdPair> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return system_error("pipe");
  return FdPair{Fd(ends[0]), Fd(ends[1])};
}

bool set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

Error system_error(const char* what) {
  const int code = errno;
  const bool scarce = code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS || code == EAGAIN;
  return {scarce ? ErrorCode::exhausted : ErrorCode::system, std::string(what) + ": " + std::strerror(code)};
}

}  // namespace vncauthproxy::base
