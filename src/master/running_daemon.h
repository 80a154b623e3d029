// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon that runs already, seen by a --check: what it holds is no fault of a configuration that is to
// replace it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

namespace vncauthproxy::master {

class RunningDaemon {
 public:
  // The holder of that pid file, if there is one.
  explicit RunningDaemon(const std::string& pid_file);

  pid_t pid() const { return pid_; }  // 0: none runs
  // False also where this process may not look: only root sees the sockets of others.
  bool listens_on(uint16_t port) const { return ports_.count(port) != 0; }
  bool may_look() const { return may_look_; }

 private:
  pid_t pid_ = 0;
  bool may_look_ = true;
  std::set<uint16_t> ports_;
};

}  // namespace vncauthproxy::master
