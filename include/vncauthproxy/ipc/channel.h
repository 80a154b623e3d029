// SPDX-License-Identifier: GPL-2.0-or-later
// One end of the socketpair (SOCK_SEQPACKET) between the master and a worker: whole messages in and out, and
// the end of the peer, which counts as a message too.
#pragma once

#include <functional>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/ipc/message.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::ipc {

class Channel {
 public:
  using Received = std::function<void(Message)>;
  // The peer is gone, or sent what is no message (then the error says so, code invalid). Called once; nothing
  // follows.
  using Lost = std::function<void(const base::Error&)>;
  Channel(net::Loop& loop, base::Fd end, Received received, Lost lost);

  // False when the peer is gone or does not read. A log line may get lost so; the messages of a session's
  // life are few and always find room in the socket's buffer.
  bool send(const Message& message);

 private:
  void receive_one();

  base::Fd end_;
  Received received_;
  Lost lost_;
  net::Watch readable_;
};

}  // namespace vncauthproxy::ipc
