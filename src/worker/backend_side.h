// SPDX-License-Identifier: GPL-2.0-or-later
// Reaches the backend: resolves its name, tries every address in rounds, shakes hands to the end of
// SecurityResult, all within one deadline. An address that has no VNC server, or not yet, is no reason to
// give up: it may refuse the connection, hang up, stay silent or speak something else. Once a server has sent
// its RFB version, its word is final: to ask it again might lock the proxy out. Reports once.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/proto/rfb_client.h"

namespace vncauthproxy::worker {

// What tells one backend from another before ClientInit: the address that was reached, and what was said
// there.
struct BackendIdentity {
  base::Endpoint endpoint;
  std::string offer;  // its version and security types
};

// A backend that waits for ClientInit.
struct Backend {
  base::Fd socket;
  std::vector<uint8_t> early;  // what it sent beyond its handshake; goes to the viewer first
  BackendIdentity identity;
};

class BackendSide {
 public:
  using Reached = std::function<void(base::Result<Backend>)>;
  // The handover is a loan. `reached` is called from the loop, never from here, and may destroy this object.
  // The resolver blocks: within it the master's deadline is the only one.
  // With `again` only that backend will do, and only if it listens now: its address is tried once, without a
  // look at its name, and given up before the kernel would send a second SYN.
  BackendSide(net::Loop& loop, const ipc::Handover& handover, Reached reached,
              std::optional<BackendIdentity> again = {});

 private:
  using Clock = base::Clock;

  void resolve();
  void next_round();
  void next_address();
  void cannot_connect(const std::string& why);
  void attempt_failed(base::Error error);
  void give_up_attempt(base::Error error);
  void share_time(size_t shares);
  void connected();
  void readable();
  void advance(bool at_end);
  void out_of_time();
  void done(base::Bytes early);
  void report(base::Result<Backend> result);
  std::chrono::milliseconds time_left() const;
  std::string_view step() const;
  base::Error timed_out() const;

  net::Loop& loop_;
  const ipc::Handover& handover_;
  Reached reached_;
  std::optional<BackendIdentity> again_;
  Clock::time_point deadline_;
  net::Timer deadline_timer_;
  net::Timer pause_;          // resolve, and the wait between two rounds
  net::Timer attempt_timer_;  // this address's share of the time that is left, until it has greeted

  std::vector<base::Endpoint> endpoints_;
  size_t next_endpoint_ = 0;
  unsigned rounds_left_;
  std::optional<base::Error> failure_;  // of the attempt that got furthest, the last of these
  bool failed_connected_ = false;       // so far: there was a connection

  base::Fd socket_;
  std::unique_ptr<net::Watch> watch_;
  std::optional<proto::RfbClient> handshake_;  // once connected
  bool awaiting_reason_ = false;
  std::array<uint8_t, 1024> input_;
  size_t filled_ = 0;
};

}  // namespace vncauthproxy::worker
