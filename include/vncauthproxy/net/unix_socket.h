// SPDX-License-Identifier: GPL-2.0-or-later
// Listening at a path, and its file: who may open it, when one that lies there may be replaced, and its
// removal. Who a local peer is.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::net {

// The file of a listening socket. Going, it stays: only remove() takes it away, so that a forked child does
// not.
class SocketFile {
 public:
  SocketFile(std::string path, dev_t device, ino_t inode)
      : path_(std::move(path)), device_(device), inode_(inode) {}

  const std::string& path() const { return path_; }
  // If it is still ours; once. A file that is gone already is no error.
  base::Result<void> remove();

 private:
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

struct PathListener {
  base::Fd fd;
  SocketFile file;
};

// Whom the file belongs to; what is not given stays as the process makes it.
struct SocketOwner {
  std::optional<uid_t> user;
  std::optional<gid_t> group;
};

// Bound and listening, mode 0660. A socket that nobody answers on is replaced; one that somebody does, or any
// other kind of file, is left alone. Errors: in_use, invalid (the path is too long), denied, system.
base::Result<PathListener> listen_at_path(const std::string& path, const SocketOwner& owner);
// What can be said about a path before, without touching it. A socket that the process `ours` listens at is
// fine here: it is the daemon's that runs. 0: none does.
base::Result<void> check_socket_path(const std::string& path, pid_t ours);

// "192.0.2.7:5900"; of a local peer "uid 33, pid 812".
std::string name_of_peer(int fd, const base::Endpoint& peer);

}  // namespace vncauthproxy::net
