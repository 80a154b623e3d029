// SPDX-License-Identifier: GPL-2.0-or-later
// Tells a peer that is gone from one that only does not read. TCP itself takes a quarter of an hour for that
// when something is on its way, since keepalive (net/stream.h) rests then; and TCP_USER_TIMEOUT also ends the
// connection of a peer that is there and does not read.
#pragma once

#include <chrono>
#include <optional>

#include "vncauthproxy/base/clock.h"

namespace vncauthproxy::net {

class Unacknowledged {
 public:
  // For a timer: for how long, at least, the peer of this socket has acknowledged nothing at all, although
  // something is on its way to it. Counted from the first call that finds it so. 0: nothing is on its way, or
  // the socket is not a TCP socket. A peer with a full window acknowledges each probe, which are at most two
  // minutes apart: less than that tells nothing.
  std::chrono::milliseconds age(int fd);
  bool waits() const { return since_.has_value(); }  // something was on its way at the last call

 private:
  std::optional<base::Clock::time_point> since_;
};

}  // namespace vncauthproxy::net
