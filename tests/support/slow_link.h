// SPDX-License-Identifier: GPL-2.0-or-later
// A slow network in front of a port: connections to its own port are passed on, and what comes back arrives
// at so many bytes a second, all connections together.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <thread>

#include "tests/support/socket.h"

namespace vncauthproxy::testing {

class SlowLink {
 public:
  SlowLink(uint16_t to, size_t bytes_per_second);
  ~SlowLink();
  SlowLink(const SlowLink&) = delete;
  uint16_t port() const { return listener_.port(); }

 private:
  struct Pair {
    Socket near, far;  // the browser, the daemon
    bool over = false;
  };
  void run();
  void accept_all();
  void pass_on(Pair& pair);
  size_t pass_back(Pair& pair, size_t budget);

  Listener listener_;
  uint16_t to_;
  size_t bytes_per_second_;
  std::list<Pair> pairs_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace vncauthproxy::testing
