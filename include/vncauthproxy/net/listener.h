// SPDX-License-Identifier: GPL-2.0-or-later
// Listening sockets: all addresses of an endpoint or none, and the accepting side of one of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::net {

// Bound and listening on every one of `endpoints` at `port` (0: one the kernel chooses, the same for all),
// non-blocking, tuned (tune_socket); at a loopback address connections are not paced, whatever the system's
// congestion control does. An address family this machine does not have is left out when another remains.
// Errors: in_use, denied (a port below 1024), exhausted, system.
base::Result<std::vector<base::Fd>> listen_on_all(const std::vector<base::Endpoint>& endpoints,
                                                  uint16_t port);

// Whether listen_on_all() would succeed now, without listening: each address is bound for a moment. With port
// 0 it says only whether this machine has the addresses.
base::Result<void> check_listen(const std::vector<base::Endpoint>& endpoints, uint16_t port);

// Accepts one connection each turn of the loop, so that what is accepted is served before more comes in. Out
// of descriptors it rests for 100 ms and says so once in the log.
class Acceptor {
 public:
  using Accepted = std::function<void(base::Fd, const base::Endpoint& peer)>;
  Acceptor(Loop& loop, base::Fd listener, Accepted accepted);

  int fd() const { return listener_.get(); }
  void pause(bool on);  // what comes meanwhile waits in the listen queue
  // Connections are refused from here on, those that wait too, but the port stays bound; a port that the
  // kernel chose does not.
  void shut();
  // Listens again. False: somebody else does meanwhile.
  bool reopen();

 private:
  void accept_one();

  base::Fd listener_;
  Accepted accepted_;
  Watch readable_;
  Timer rest_over_;
  bool paused_ = false;
  bool complained_ = false;
};

}  // namespace vncauthproxy::net
