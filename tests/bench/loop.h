// SPDX-License-Identifier: GPL-2.0-or-later
// The bench's own small epoll loop, and the few helpers that all its parts need. It does not use the
// daemon's: a load generator built on the code it measures would hide that code's faults.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::bench {

using Clock = std::chrono::steady_clock;

// Ends the program with one line on stderr and exit status 1: a measurement that failed has no result.
[[noreturn, gnu::format(printf, 1, 2)]] void die(const char* format, ...);

class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;
  virtual void ready(uint32_t events) = 0;
};

// Level-triggered. A handler may be released from within any callback through bury(): events of the same
// turn may still name it, so it is destroyed only after them.
class Loop {
 public:
  Loop();
  void watch(int fd, uint32_t events, Handler& handler);
  void change(int fd, uint32_t events, Handler& handler);
  void forget(int fd);
  void bury(std::unique_ptr<Handler> handler);

  void run_for(std::chrono::milliseconds time);
  // Runs until `done`, or dies with `waiting_for()` in its message when `limit` has passed.
  void run_until(const std::function<bool()>& done, std::chrono::milliseconds limit,
                 const std::function<std::string()>& waiting_for);

 private:
  void turn(int timeout_ms);

  base::Fd epoll_;
  std::vector<std::unique_ptr<Handler>> buried_;
};

}  // namespace vncauthproxy::bench
