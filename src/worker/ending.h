// SPDX-License-Identifier: GPL-2.0-or-later
// Why and how a session ends, once it does, and the time it has for that: what is owed to a peer is still
// delivered, for as long as the peer takes it.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "vncauthproxy/net/loop.h"
#include "worker/peer_link.h"

namespace vncauthproxy::worker {

class Ending {
 public:
  using Over = std::function<void(std::string reason)>;
  // `viewer_fd` is asked, when the time is up, whether the viewer still takes what the kernel holds for it.
  // `over` is called once.
  Ending(net::Loop& loop, std::function<int()> viewer_fd, Over over);

  // Begins the end. The first reason stays, and so does its time.
  void begin(std::string reason, Goodbye goodbye = Goodbye::normal);
  // The master's order: this reason, if there is none yet, and this time in any case. No peer can extend it:
  // the master kills what outlives it.
  void stop(std::string reason, std::chrono::milliseconds grace);
  // A peer takes what it is owed: once the end has begun, its time starts anew.
  void more_time();
  void now();     // calls `over`, if it was not called before
  void forget();  // never calls `over`

  const std::string& reason() const { return reason_; }  // "": the end has not begun
  Goodbye goodbye() const { return goodbye_; }

 private:
  void out_of_time();

  std::function<int()> viewer_fd_;
  Over over_;
  std::string reason_;
  Goodbye goodbye_ = Goodbye::normal;
  bool stopped_ = false;  // by the master
  int unsent_ = 0;        // what the kernel held for the viewer when the time was last up
  net::Timer timer_;
};

}  // namespace vncauthproxy::worker
