// SPDX-License-Identifier: GPL-2.0-or-later
// One control connection: one request within one deadline, a login, one reply, close.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/net/stream.h"
#include "vncauthproxy/proto/control.h"
#include "vncauthproxy/proto/request_reader.h"

namespace vncauthproxy::master {

class ControlConn;

// What a connection needs of the server it belongs to. closed() destroys the connection.
class ControlHost {
 public:
  virtual bool login_ok(const proto::Request& request) = 0;
  virtual std::chrono::milliseconds login_failed(const base::Endpoint& peer) = 0;
  virtual void requested(ControlConn& conn, proto::Request request) = 0;
  virtual void request_over(ControlConn& conn) = 0;  // its room is not needed any more
  virtual void closed(ControlConn& conn) = 0;

 protected:
  ~ControlHost() = default;
};

struct ControlTimes {
  std::chrono::milliseconds request{10000};  // for all of it, the TLS handshake included
  std::chrono::milliseconds reply{10000};
  std::chrono::milliseconds linger{2000};
};

class ControlConn {
 public:
  // `room` is where the request is read to, kMaxRequestBytes of it: a loan until request_over().
  ControlConn(net::Loop& loop, ControlHost& host, uint64_t id, net::Stream stream, const base::Endpoint& peer,
              std::span<char> room, proto::Speech speech, const ControlTimes& times = {});
  ~ControlConn();

  uint64_t id() const { return id_; }
  const base::Endpoint& peer() const { return peer_; }
  std::string peer_name() const;                             // for the log
  bool waiting() const { return phase_ == Phase::reading; }  // for the end of its request
  bool answered() const { return phase_ == Phase::replying || phase_ == Phase::lingering; }
  base::Clock::time_point since() const { return since_; }
  std::span<char> room() const { return room_; }
  size_t filled() const { return filled_; }

  // The one reply, then the end. False: the peer cannot be reached any more. May destroy this.
  bool reply(const proto::Reply& reply);
  // A request that fails before it became one; says so in the log, with the note, which is not for the peer.
  void refuse(const proto::Failure& failure, std::chrono::milliseconds delay = {},
              const std::string& note = {});
  // The end without a request: the peer is told why, with TLS after its handshake. May destroy this.
  void turn_away(proto::Failure failure);

 private:
  std::string_view unsent() const { return std::string_view(reply_).substr(sent_); }
  enum class Phase { reading, pending, delayed, turned_away, replying, lingering };

  void ready();
  void readable();
  void say_goodbye();
  void requested(proto::Request request);
  void out_of_time();
  void write_reply();
  void wind_up();
  void linger();

  ControlHost& host_;
  uint64_t id_;
  net::Stream stream_;
  base::Endpoint peer_;
  std::span<char> room_;
  ControlTimes times_;
  base::Clock::time_point since_;
  Phase phase_ = Phase::reading;
  size_t filled_ = 0;
  bool consumed_ = false;  // the whole request was read, nothing of it is left in the socket
  proto::Speech speech_;
  proto::RequestReader reader_;
  proto::Failure goodbye_;  // when turned away
  std::string reply_;       // may hold a password
  size_t sent_ = 0;         // of it
  size_t lingered_ = 0;
  net::Watch read_, write_;
  net::Timer deadline_;
};

}  // namespace vncauthproxy::master
