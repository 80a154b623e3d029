// SPDX-License-Identifier: GPL-2.0-or-later
// Fake VNC servers: RFB 3.8 with security None, thousands of connections in one loop. What a connection does
// after ServerInit is up to its viewer's next byte: kFlood and it sends as fast as it is taken, kEcho and it
// sends back what comes, nothing and it stays idle. So one listening port serves every mode at once, also
// behind proxies whose configuration knows one backend only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "loop.h"
#include "vncauthproxy/base/bytes.h"

namespace vncauthproxy::bench {

inline constexpr char kFlood = 'F';
inline constexpr char kEcho = 'E';
inline constexpr size_t kServerInitSize = 24 + 5;

// The byte at a position of the endless flood: what a viewer can verify it against. It has this period.
inline constexpr size_t kFloodPeriod = 256 * 1024;
base::Bytes flood_from(uint64_t position);  // at least kFloodPeriod bytes

class Backend : public Handler {
 public:
  // Takes over a listening socket.
  Backend(Loop& loop, base::Fd listener);
  ~Backend() override;
  void accept_no_more();
  size_t connections() const { return connections_.size(); }
  void ready(uint32_t events) override;

 private:
  class Connection;
  void end(int fd);

  Loop& loop_;
  base::Fd listener_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
};

// A listening TCP socket on a free port of 127.0.0.1.
base::Fd listen_on_loopback();
uint16_t port_of(int fd);
void no_delay(int fd);

}  // namespace vncauthproxy::bench
