// SPDX-License-Identifier: GPL-2.0-or-later
// Fd owns one descriptor and closes it. Everything made here is close-on-exec from its creation on.
#pragma once

#include <utility>

#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1);
  int release() { return std::exchange(fd_, -1); }  // the caller owns it from here on

 private:
  int fd_ = -1;
};

struct FdPair {
  Fd first, second;
};

// Two ends of a local socket of `type` (SOCK_STREAM, SOCK_SEQPACKET), both non-blocking.
Result<FdPair> socket_pair(int type);
// A pipe: first reads, second writes; both non-blocking.
Result<FdPair> make_pipe();
bool set_nonblocking(int fd);
// An Error of code `system` (or `exhausted`, for EMFILE and its kind): "what: strerror(errno)".
Error system_error(const char* what);

}  // namespace vncauthproxy::base
