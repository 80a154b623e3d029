// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace vncauthproxy::net {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fd;
using base::Result;

constexpr int kBacklog = 65535;  // the kernel cuts it to net.core.somaxconn

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{ErrorCode::invalid, path + ": the path of a socket has at most " +
                                         std::to_string(sizeof address.sun_path - 1) + " bytes"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Error occupied(const std::string& path, const char* by) {
  return {ErrorCode::in_use, "cannot listen at " + path + ": " + by};
}

// Held from the look at an old file until the new one is listened on, so that of two daemons that start at
// once neither takes the other's socket for a stale one. A precaution: somebody else's lock on the folder
// must not keep the daemon from starting.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path)
      : folder_(
            ::open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    constexpr useconds_t kPause = 10000;
    for (int tries = 100; folder_ && tries > 0 && ::flock(folder_.get(), LOCK_EX | LOCK_NB) != 0; --tries)
      ::usleep(kPause);
  }

 private:
  Fd folder_;
};

enum class Found { nothing, stale, alive };

// `listener` becomes the process that listens, where one does and that can be told.
Result<Found> examine(const std::string& path, const sockaddr_un& address, pid_t* listener = nullptr) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return Found::nothing;
    return base::system_error(errno, {"cannot listen at ", path});
  }
  if (!S_ISSOCK(status.st_mode)) return occupied(path, "there is a file that is no socket");
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return base::system_error(errno, {"socket"});
  if (::connect(probe.get(), generic(address), sizeof address) == 0) {
    ucred who{};
    socklen_t size = sizeof who;
    if (listener != nullptr && ::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
      *listener = who.pid;
    return Found::alive;
  }
  if (errno == ECONNREFUSED) return Found::stale;
  if (errno == ENOENT) return Found::nothing;
  if (errno == EAGAIN || errno == EPROTOTYPE) return Found::alive;  // its queue is full; its kind is another
  return base::system_error(errno, {"cannot tell whether somebody answers at ", path});
}

Result<void> make_way(const std::string& path, const sockaddr_un& address) {
  const auto found = examine(path, address);
  if (!found) return found.error();
  if (*found == Found::alive) return occupied(path, "somebody answers there");
  if (*found == Found::stale && ::unlink(path.c_str()) != 0 && errno != ENOENT)
    return base::system_error(errno, {"cannot remove the stale socket ", path});
  return {};
}

Result<void> bind_at(int fd, const sockaddr_un& address) {
  const mode_t before = ::umask(0117);  // never open to more than it will be
  const int bound = ::bind(fd, generic(address), sizeof address);
  const int code = errno;
  ::umask(before);
  if (bound == 0) return {};
  return base::system_error(code, {"cannot listen at ", address.sun_path});
}

Result<void> hand_to(const SocketOwner& owner, const std::string& path) {
  if (!owner.user && !owner.group) return {};
  constexpr auto kSame = static_cast<uid_t>(-1);
  if (::lchown(path.c_str(), owner.user.value_or(kSame), owner.group.value_or(kSame)) == 0) return {};
  return base::system_error(errno, {"cannot give ", path, " to its user and group"});
}

}  // namespace

Result<void> SocketFile::remove() {
  const std::string path = std::exchange(path_, "");
  struct stat status;
  if (path.empty() || ::lstat(path.c_str(), &status) != 0) return {};
  if (status.st_dev != device_ || status.st_ino != inode_) return {};
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return base::system_error(errno, {"cannot remove the socket ", path});
}

Result<PathListener> listen_at_path(const std::string& path, const SocketOwner& owner) {
  const auto address = address_of(path);
  if (!address) return address.error();
  const FolderLock lock(path);
  if (auto clear = make_way(path, *address); !clear) return clear.error();
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::system_error(errno, {"socket"});
  if (auto bound = bind_at(fd.get(), *address); !bound) return bound.error();
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return base::system_error(errno, {path});
  SocketFile file(path, status.st_dev, status.st_ino);
  if (auto handed = hand_to(owner, path); !handed) {
    (void)file.remove();
    return handed.error();
  }
  if (::listen(fd.get(), kBacklog) != 0) {
    Error error = base::system_error(errno, {"cannot listen at ", path});
    (void)file.remove();
    return error;
  }
  return PathListener{std::move(fd), std::move(file)};
}

Result<void> check_socket_path(const std::string& path, pid_t ours) {
  const auto address = address_of(path);
  if (!address) return address.error();
  const std::string folder = std::filesystem::path(path).parent_path();
  struct stat status;
  if (::stat(folder.c_str(), &status) != 0)
    return base::system_error(errno, {"the folder of the socket ", path});
  pid_t listener = 0;
  const auto found = examine(path, *address, &listener);
  if (!found) return found.error();
  // A full queue does not tell whose it is: then that of the daemon that runs, if one does.
  const bool is_ours = ours != 0 && (listener == 0 || listener == ours);
  if (*found == Found::alive && !is_ours) return occupied(path, "somebody answers there");
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    return base::system_error(errno, {"cannot make a socket in ", folder});
  return {};
}

std::string name_of_peer(int fd, const base::Endpoint& peer) {
  if (peer.family() != AF_UNIX) return peer.to_string();
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return peer.to_string();
  return "uid " + std::to_string(who.uid) + ", pid " + std::to_string(who.pid);
}

}  // namespace vncauthproxy::net
