// SPDX-License-Identifier: GPL-2.0-or-later
// Two ends of a session, bytes both ways, back-pressure, counts; nothing else. The one place that exists for
// speed, so it works on plain descriptors, level-triggered, one move a turn or a few full ones: pumping until
// EAGAIN takes the bytes in smaller pieces and costs almost twice as much (measured in the design).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/net/unacknowledged.h"
#include "worker/backend_side.h"
#include "worker/link.h"

namespace vncauthproxy::worker {

// Moves bulk from the backend's socket to the viewer's through a pipe, without copying (splice(2)). Pipes are
// scarce: one is lent by the kernel only while bulk flows, and a large one only to who is fast.
class Pipe {
 public:
  bool open();     // false: none of a useful size is to be had
  void enlarge();  // if the kernel lets us
  void close();
  bool is_open() const { return static_cast<bool>(ends_.first); }
  bool empty() const { return filled_ == 0; }
  size_t capacity() const { return capacity_; }  // what its pages hold; longer pieces are more
  net::Io fill(int from);
  net::Io drain(int to);

 private:
  void resize(int wanted);

  base::FdPair ends_;
  size_t capacity_ = 0;
  size_t filled_ = 0;
};

struct RelayTimes {
  std::chrono::milliseconds ping_interval{};  // 0: a quiet viewer is never asked for a sign of life
  std::chrono::milliseconds ping_patience{};  // how long it may leave that unanswered; 0: for ever
  std::chrono::milliseconds vanished{
      150000};  // how long a peer may acknowledge nothing: net/unacknowledged.h
};

class Relay {
 public:
  using Over = std::function<void(std::string reason)>;
  // `early_input` is what the viewer has sent already. `over` is called once and must not destroy this.
  Relay(net::Loop& loop, Backend backend, Link viewer, const std::vector<uint8_t>& early_input,
        const RelayTimes& times, Over over);

  uint64_t to_viewer() const { return to_viewer_; }
  uint64_t from_viewer() const { return from_viewer_; }
  // Delivers what is owed and ends, within `grace`.
  void stop(std::string reason, std::chrono::milliseconds grace);

 private:
  // Toward the viewer.
  void backend_readable();
  void move_bulk();
  void take_from_backend(std::span<uint8_t> room);
  void viewer_writable();
  bool push_to_viewer();
  bool viewer_is_owed() const { return !pipe_.empty() || viewer_.owes(); }
  void settle_viewer();
  void saw_bulk();
  void look_again_in(std::chrono::milliseconds time);
  void bulk_tick();
  void life_tick();

  // Toward the backend.
  void viewer_readable();
  void send_to_backend(base::Bytes bytes);
  void backend_writable();
  void settle_backend();
  void watch_input();

  // An end of stream or a failure of one peer: what the other is owed is still delivered.
  void backend_ended(net::IoStatus how);
  void viewer_ended(net::IoStatus how);
  void backend_lost(std::string reason);
  void viewer_lost(std::string reason);
  void viewer_vanished(std::string reason);
  void backend_vanished(std::string reason);
  // Not while nothing moves: sessions at rest have no timer.
  void watch_for_vanished();
  void vanished_tick();
  // A peer that is not read, because the other one takes nothing, cannot show its end by itself.
  void watch_stall();
  void stall_tick();
  void end_within(std::string reason, std::chrono::milliseconds time);
  void more_time();
  void end_if_settled();
  void end();
  void out_of_time();

  base::Fd backend_;
  Link viewer_;
  Over over_;

  uint64_t to_viewer_ = 0;
  bool backend_open_ = true;     // more may come from it
  bool viewer_settled_ = false;  // it has got all there is, and knows
  Pipe pipe_;
  base::SecretPages buffer_;  // for bulk, when there is no pipe
  bool bulk_seen_ = false;    // since the last tick
  uint64_t fast_from_ = 0;    // to_viewer_ from which on it is fast at the next tick

  uint64_t from_viewer_ = 0;
  bool viewer_open_ = true;
  bool backend_settled_ = false;
  std::vector<uint8_t> owed_to_backend_;

  std::string reason_;  // why it ends, once it does
  Goodbye goodbye_ = Goodbye::normal;
  bool stopped_ = false;  // by the master, whose time is final
  int unsent_ = 0;        // what the kernel still held for the viewer when the time was last up
  net::Watch backend_read_, backend_write_, viewer_read_, viewer_write_;
  net::Timer bulk_timer_;
  net::Timer stall_timer_;
  bool stall_watched_ = false;
  RelayTimes times_;
  net::Timer life_timer_;
  net::Unacknowledged viewer_silence_, backend_silence_;
  net::Timer vanished_timer_;
  bool vanished_watched_ = false;
  net::Timer end_timer_;
};

}  // namespace vncauthproxy::worker
