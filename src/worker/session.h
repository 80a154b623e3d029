// SPDX-License-Identifier: GPL-2.0-or-later
// The phases of one forwarding, from its Handover to its end, with one deadline each.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/ipc/channel.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/net/loop.h"
#include "worker/backend_side.h"
#include "worker/relay.h"
#include "worker/viewer_side.h"

namespace vncauthproxy::worker {

class Session {
 public:
  // Stops the loop when the forwarding is over.
  // `tls` has all but the key, which is in the Handover where it is needed.
  Session(net::Loop& loop, ipc::Handover handover, base::Fd channel, net::TlsServer tls);
  void start();
  // Ends the forwarding, for a viewer within `grace`.
  void stop(std::string reason, std::chrono::milliseconds grace);

 private:
  enum class Phase {
    reaching_backend,  // until its SecurityResult, or --server-timeout
    awaiting_viewer,   // until one is verified; the port has its own deadline, each viewer too
    reconnecting,      // a viewer is in, while the backend, which left before, is being reached again
    relaying,          // until an end of stream, a failure, or Stop
    over
  };
  void enter(Phase phase);

  void backend_reached(base::Result<Backend> result);
  void reach_backend();
  void refuse(ipc::Refused refused);
  void hold_backend(Backend backend);
  void backend_readable();
  void backend_left();
  void backend_lost(const std::string& why);
  bool take_tls_key();
  void viewer_verified(VerifiedViewer viewer);
  void relay();
  void master_says(const ipc::Message& message);
  void master_lost();
  void end(std::string reason);

  net::Loop& loop_;
  ipc::Handover handover_;
  net::TlsServer tls_;
  // All workers share the context's memory: freeing it for a viewer without TLS would copy 100 KiB.
  net::TlsServer unused_tls_;
  ipc::Channel channel_;
  Phase phase_ = Phase::over;
  bool orphaned_ = false;  // the master is gone
  std::string viewer_name_ = ipc::kNoViewer;
  std::unique_ptr<BackendSide> backend_side_;  // while it is being reached
  std::optional<Backend> backend_;
  std::optional<BackendIdentity> identity_;  // once reached
  base::Clock::time_point backend_since_;
  unsigned short_stays_ = 0;  // one after the other, until the backend left
  std::unique_ptr<net::Watch> backend_watch_;
  std::unique_ptr<ViewerSide> viewer_side_;
  std::optional<VerifiedViewer> viewer_;
  std::unique_ptr<Relay> relay_;
  base::Clock::time_point relay_since_;
};

}  // namespace vncauthproxy::worker
