// SPDX-License-Identifier: GPL-2.0-or-later
// The ports of forwardings: which are free, and the sockets that make one of them ours. Only listening
// reserves a port, so a lease comes with its listeners.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::master {

struct Lease {
  uint16_t port = 0;
  std::vector<base::Fd> listeners;
};

// A browser refuses to connect to these: "bad ports" of https://fetch.spec.whatwg.org/#port-blocking
bool is_bad_for_browsers(uint16_t port);

class PortPool {
 public:
  enum class For : uint8_t { viewers, browsers };
  using Clock = base::Clock;
  // A port given back rests for so long while others are free: a viewer that comes late must not meet a
  // stranger.
  static constexpr std::chrono::seconds kRest{60};

  PortPool(std::vector<base::Endpoint> endpoints, uint16_t min_port, uint16_t max_port);

  // `wanted` 0: a free port at random. Any other: that one, which need not be of the pool. Failures: no_port,
  // port_in_use, bad_request (browsers refuse it), busy (out of descriptors), internal (an address that
  // cannot be listened on).
  base::Result<Lease, proto::Failure> grant(uint16_t wanted, For whom = For::viewers);
  // `wished` is no more than that: if it is of the pool and free, that one, else any.
  base::Result<Lease, proto::Failure> grant_if_free(uint16_t wished, For whom = For::viewers);
  void give_back(uint16_t port);

  size_t leased() const { return leased_; }

 private:
  struct Resting {
    uint16_t port;
    Clock::time_point since;
  };
  bool in_pool(uint16_t port) const { return port >= min_port_ && port <= max_port_; }
  base::Result<Lease, proto::Failure> grant_wanted(uint16_t port);
  base::Result<Lease, proto::Failure> grant_any(For whom);
  uint16_t draw(For whom);
  void wake_rested(Clock::time_point now);
  bool take(uint16_t port);

  std::vector<base::Endpoint> endpoints_;
  uint16_t min_port_, max_port_;
  std::vector<uint16_t> free_;
  std::deque<Resting> resting_;  // longest first
  size_t leased_ = 0;
};

}  // namespace vncauthproxy::master
