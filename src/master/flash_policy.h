// SPDX-License-Identifier: GPL-2.0-or-later
// Tells Flash players, as of Twisted VNC AuthProxy's callers, that they may connect to the ports of viewers:
// one fixed request, one fixed answer. Silent clients cost little and never keep others out.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/net/listener.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::master {

class FlashPolicy {
 public:
  // At this many the oldest goes: an honest client asks at once.
  static constexpr size_t kMaxClients = 256;
  static constexpr std::chrono::seconds kPatience{5};

  FlashPolicy(net::Loop& loop, std::vector<base::Fd> listeners, uint16_t min_port, uint16_t max_port);
  ~FlashPolicy();

  size_t clients() const { return clients_.size(); }
  void stop_listening() { acceptors_.clear(); }

 private:
  struct Client;

  void admit(base::Fd socket);
  void read(Client& client);
  void remove(const Client& client);

  net::Loop& loop_;
  std::string policy_;  // with its NUL
  std::list<net::Acceptor> acceptors_;
  std::list<Client> clients_;  // oldest first
};

}  // namespace vncauthproxy::master
