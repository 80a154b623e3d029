// SPDX-License-Identifier: GPL-2.0-or-later
// The control port: its listeners, its connections, and the limits on those that have not logged in.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "master/control_conn.h"
#include "master/listeners.h"
#include "master/login.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/config/options.h"
#include "vncauthproxy/net/listener.h"

namespace vncauthproxy::master {

// Of the connections that have not logged in.
struct PendingLimits {
  size_t all;                         // at most this many; further ones wait in the listen queue
  size_t per_address;                 // at most this many of one address; further ones are told to come again
  std::vector<base::Network> exempt;  // where there is no limit per address
};
PendingLimits limits_of(const config::Options& options);

class ControlServer final : public ControlHost {
 public:
  // Connections that are told to come again, which takes a moment; of more the oldest is closed.
  static constexpr size_t kMaxTurnedAway = 32;
  // A connection older than this gives way to a new one when a limit is reached.
  static constexpr std::chrono::milliseconds kPatience{1000};

  // A request that has logged in, where it has to, and from whom: "panel at 192.0.2.7:4711", "uid 33, pid
  // 812". Answer it with reply(), now or later.
  using Requested = std::function<void(uint64_t conn, const std::string& who, proto::Request request)>;
  // `login` and `tls` are loans; a null `tls` means plain connections.
  ControlServer(net::Loop& loop, std::vector<ControlListener> listeners, Login& login,
                const net::TlsServer* tls, PendingLimits limits, Requested requested);

  // False: the control client is gone.
  bool reply(uint64_t conn, const proto::Reply& reply);
  void stop_listening() { acceptors_.clear(); }

 private:
  bool login_ok(const proto::Request& request) override;
  std::chrono::milliseconds login_failed(const base::Endpoint& peer) override;
  void requested(ControlConn& conn, proto::Request request) override;
  void request_over(ControlConn& conn) override;
  void closed(ControlConn& conn) override;

  void admit(base::Fd socket, const base::Endpoint& peer, proto::Speech speech, bool tls);
  bool make_room(const base::Endpoint& peer);
  size_t allowed_for(const base::Endpoint& peer) const;
  ControlConn& keep_for_goodbye(ControlConn& conn);
  void pause_or_go_on();

  net::Loop& loop_;
  Login& login_;
  const net::TlsServer* tls_;
  Requested requested_;
  PendingLimits limits_;
  base::SecretPages rooms_;  // limits_.all of them: requests hold passwords, and a forked child must see none
  std::vector<char*> free_rooms_;
  std::list<net::Acceptor> acceptors_;
  std::unordered_map<uint64_t, std::unique_ptr<ControlConn>> conns_;
  std::list<ControlConn*> waiting_;      // those that have not logged in, oldest first
  std::list<ControlConn*> turned_away_;  // oldest first
  net::Timer oldest_had_its_chance_;
  uint64_t next_id_ = 1;
};

}  // namespace vncauthproxy::master
