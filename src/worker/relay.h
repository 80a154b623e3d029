// SPDX-License-Identifier: GPL-2.0-or-later
// Moves bytes both ways between the two links of a session, with back-pressure, counts them, and does nothing
// else. This is the one place that exists for speed: it watches plain descriptors, level-triggered, and makes
// one move in a turn, or a few full ones. To read until EAGAIN takes the bytes in smaller pieces and costs
// almost twice as much (measured in the design).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/net/unacknowledged.h"
#include "worker/bulk.h"
#include "worker/ending.h"
#include "worker/peer_link.h"

namespace vncauthproxy::worker {

struct RelayTimes {
  std::chrono::milliseconds ping_interval{};  // 0: a quiet viewer is never asked for a sign of life
  std::chrono::milliseconds ping_patience{};  // how long it may leave that unanswered; 0: for ever
  // How long a peer may acknowledge nothing although something is on its way to it: net/unacknowledged.h.
  std::chrono::milliseconds vanished{150000};
};

class Relay {
 public:
  struct Ends {
    Link backend, viewer;
  };
  using Over = Ending::Over;
  // Gets the bytes that came from the viewer and returns those that the backend is to get, which it keeps
  // until the next call.
  using Filter = std::function<base::Bytes(base::Bytes from_viewer)>;
  // `over` is called once and must not destroy this. Without a filter the backend gets all.
  Relay(net::Loop& loop, Ends ends, const RelayTimes& times, Over over, Filter filter = {});

  uint64_t to_viewer() const { return to_viewer_; }
  uint64_t from_viewer() const { return from_viewer_; }
  // Delivers what is owed and ends, within `grace`.
  void stop(std::string reason, std::chrono::milliseconds grace);
  // Gives both ends back, for another relay, before `over` was called; this one does nothing more. Bytes that
  // were received and not yet sent are owed by the link they were to leave through, so none is lost.
  Ends release();

 private:
  // One end, and what may still happen at it.
  struct Side {
    Side(net::Loop& loop, Link its_link, net::Callback readable, net::Callback writable);

    Link link;
    net::Watch read, write;
    bool open = true;       // more may come from it
    bool finished = false;  // it has got all there is, and knows that no more comes
    net::Unacknowledged silence;
  };

  // Toward the viewer.
  void backend_readable();
  void splice_from_backend();
  void copy_from_backend();
  void viewer_writable();
  bool push_to_viewer();
  bool viewer_is_owed() const { return !bulk_.pipe().empty() || viewer_.link.owes(); }
  void update_viewer();
  void life_tick();

  // Toward the backend: a person's input, small and rare.
  void viewer_readable();
  void backend_writable();
  void update_backend();
  void watch_input();

  // An end of stream or a failure of one peer: what the other is owed is still delivered.
  void backend_ended(net::IoStatus how);
  void viewer_ended(net::IoStatus how);
  void backend_lost(std::string reason);
  void viewer_lost(std::string reason);
  void viewer_vanished(std::string reason);
  void backend_vanished(std::string reason);
  void end_if_finished();
  // Not while nothing moves: sessions at rest have no timer.
  void watch_for_vanished();
  void vanished_tick();
  // A peer that is not read, because the other one takes nothing, cannot show its end by itself.
  void watch_stall();
  void stall_tick();

  Side backend_, viewer_;
  Filter filter_;
  Bulk bulk_;
  Ending ending_;
  uint64_t to_viewer_ = 0, from_viewer_ = 0;
  RelayTimes times_;
  net::Timer life_timer_;
  net::Timer stall_timer_;
  bool stall_watched_ = false;
  net::Timer vanished_timer_;
  bool vanished_watched_ = false;
};

}  // namespace vncauthproxy::worker
