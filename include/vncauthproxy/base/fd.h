// SPDX-License-Identifier: GPL-2.0-or-later
// Fd owns one descriptor and closes it. Everything made here is close-on-exec from its creation on.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

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
// Closes all descriptors of the process but stdin, stdout, stderr and `kept` (-1 is none), whatever the
// kernel offers for that. Nobody may own one that is closed here.
void close_all_but(std::vector<int> kept);

struct OpenedFile {
  Fd fd;
  struct stat status {};  // of the file that was opened, whatever the name has become since
};
// Opens `path` for reading and follows links. Never waits: neither for the writer of a FIFO nor for a
// terminal. Errors: missing (links that lead nowhere too), denied, exhausted, system; the text begins with
// the escaped path.
Result<OpenedFile> open_for_reading(const std::string& path);
// Errors: invalid (the text says what is there instead).
Result<void> check_regular(const OpenedFile& file, const std::string& path);
// Both together.
Result<OpenedFile> open_regular_file(const std::string& path);
// No file that is read as a whole may be larger: users, certificates, configuration.
inline constexpr size_t kMaxFileBytes = 1024 * 1024;
// Reads from `fd` to the end of the file into `room`, which has kMaxFileBytes + 1. Returns how much that was.
// Errors: too_large, system; the text begins with the escaped path.
Result<size_t> read_to_end(int fd, std::span<char> room, const std::string& path);

}  // namespace vncauthproxy::base
