// SPDX-License-Identifier: GPL-2.0-or-later
// The event loop (libevent) and the three things that wake it: readiness of a descriptor, time, a signal. A
// callback may destroy the object that called it. Everything made on a Loop must go before it.
#pragma once

#include <signal.h>

#include <chrono>
#include <cstdint>
#include <functional>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::net {

using Callback = std::function<void()>;

class Loop {
 public:
  Loop();       // throws std::bad_alloc
  void run();   // until stop(), or until nothing is left to wait for
  void stop();  // run() returns after the callback that is under way
  event_base* base() const { return base_.get(); }

 private:
  base::Handle<event_base> base_;
};

// What Watch, Timer and Signal share: one libevent event and the function it calls.
class Event {
 public:
  Event(Event&&) = delete;

 protected:
  Event(Loop& loop, int fd, short what, Callback callback);
  ~Event() = default;
  event* get() const { return event_.get(); }

 private:
  static void trampoline(int fd, short what, void* self) noexcept;

  Callback callback_;
  base::Handle<event> event_;
};

// Persistent, level-triggered readiness of one descriptor. Made unarmed. The descriptor is a loan and must
// stay open for as long as the watch lives.
class Watch : public Event {
 public:
  enum class For : short { reading = EV_READ, writing = EV_WRITE };
  Watch(Loop& loop, int fd, For what, Callback callback);
  void arm(bool on = true);
  bool armed() const { return armed_; }
  void wake();  // calls back in the next turn, ready or not, if it is still armed then

 private:
  bool armed_ = false;
};

class Timer : public Event {
 public:
  Timer(Loop& loop, Callback callback);
  void start(std::chrono::milliseconds delay);  // once; a running timer starts anew
  // The same for one of very many timers with few different delays: they queue up behind each other. In the
  // loop's heap each start would write to a dozen others, and with it copy as many pages that a forked worker
  // still shares.
  void start_among_many(std::chrono::milliseconds delay);
  void stop();
};

// A signal taken like input: it is blocked for as long as this lives, and no handler ever runs. A forked
// child starts with it blocked.
class Signal {
 public:
  Signal(Loop& loop, int signal, Callback callback);  // throws std::bad_alloc
  ~Signal();                                          // what was in force before is again
  Signal(Signal&&) = delete;

 private:
  int signal_;
  sigset_t mask_before_;
  struct sigaction action_before_;
  base::Fd fd_;
  Watch arrived_;
};

}  // namespace vncauthproxy::net
