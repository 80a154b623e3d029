// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "vncauthproxy/base/handle.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::base {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

Error not_regular(const std::string& path, mode_t mode) {
  return {ErrorCode::invalid, escape(path) + ": is " + kind_of(mode) + ", not a regular file"};
}

// The open descriptors as /proc lists them; the list's own may be among them. None where it cannot be read.
std::vector<int> listed_descriptors() {
  std::vector<int> open;
  const Handle<DIR> list(::opendir("/proc/self/fd"));
  if (!list) return open;
  while (const dirent* entry = ::readdir(list.get()))
    if (entry->d_name[0] != '.') open.push_back(std::atoi(entry->d_name));
  return open;
}

// Linux before 5.9 has no close_range(2), and containers may forbid it.
void close_one_by_one(const std::vector<int>& kept) {
  std::vector<int> open = listed_descriptors();
  if (open.empty()) {
    open.resize(static_cast<size_t>(std::max(::sysconf(_SC_OPEN_MAX), 0L)));
    std::iota(open.begin(), open.end(), 0);
  }
  for (const int fd : open)
    if (fd > STDERR_FILENO && !std::binary_search(kept.begin(), kept.end(), fd)) ::close(fd);
}

}  // namespace

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<FdPair> socket_pair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return system_error(errno, {"socketpair"});
  return FdPair{Fd(ends[0]), Fd(ends[1])};
}

Result<FdPair> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return system_error(errno, {"pipe"});
  return FdPair{Fd(ends[0]), Fd(ends[1])};
}

bool set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void close_all_but(std::vector<int> kept) {
  std::erase_if(kept, [](int fd) { return fd <= STDERR_FILENO; });
  kept.push_back(STDERR_FILENO);  // and the two before it
  std::sort(kept.begin(), kept.end());
  bool closed = true;
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto first = static_cast<unsigned>(kept[i]) + 1;
    const unsigned last = i + 1 < kept.size() ? static_cast<unsigned>(kept[i + 1]) - 1 : ~0U;
    if (first <= last && ::close_range(first, last, 0) != 0) closed = false;
  }
  if (!closed) close_one_by_one(kept);
}

Result<OpenedFile> open_for_reading(const std::string& path) {
  OpenedFile file{Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC))};
  if (file.fd && ::fstat(file.fd.get(), &file.status) == 0) return file;
  const int code = errno;
  // A socket cannot be opened: "No such device or address" would not say so.
  struct stat status {};
  if (code == ENXIO && ::stat(path.c_str(), &status) == 0) return not_regular(path, status.st_mode);
  const std::string name = escape(path);
  Error error = system_error(code, {name});
  if (code == ENOENT) error.code = ErrorCode::missing;
  if (code == EACCES || code == EPERM) error.code = ErrorCode::denied;
  return error;
}

Result<OpenedFile> open_regular_file(const std::string& path) {
  Result<OpenedFile> file = open_for_reading(path);
  if (!file) return file;
  if (Result<void> checked = check_regular(*file, path); !checked) return checked.error();
  return file;
}

Result<void> check_regular(const OpenedFile& file, const std::string& path) {
  if (!S_ISREG(file.status.st_mode)) return not_regular(path, file.status.st_mode);
  return {};
}

Result<size_t> read_to_end(int fd, std::span<char> room, const std::string& path) {
  size_t used = 0;
  while (used < room.size()) {
    const ssize_t got = ::read(fd, room.data() + used, room.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int code = errno;
      const std::string name = escape(path);
      return system_error(code, {name});
    }
    if (got == 0) return used;
    used += static_cast<size_t>(got);
  }
  return Error{ErrorCode::too_large, escape(path) + ": is larger than 1 MiB"};
}

}  // namespace vncauthproxy::base
