// SPDX-License-Identifier: GPL-2.0-or-later
// Turns an event loop until something has happened or a deadline has passed: how the tests of everything that
// lives on a Loop wait.
#pragma once

#include <event2/event.h>

#include "tests/support/deadline.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::testing {

// One turn: the callbacks of what is ready now or within `patience`.
inline void turn(net::Loop& loop, milliseconds patience = milliseconds(5)) {
  net::Timer tick(loop, [] {});
  tick.start(patience);
  ::event_base_loop(loop.base(), EVLOOP_ONCE);
}

// True once `done()` is. It is asked after each turn, and at least every 5 ms, so it may look at what the
// loop knows nothing of.
template <typename Done>
bool run_until(net::Loop& loop, Done done, Deadline deadline = {}) {
  while (!done()) {
    if (deadline.passed()) return done();
    turn(loop);
  }
  return true;
}

// For what must not happen: lets the loop turn for that long. Returns how often it did, which shows one that
// spins.
inline unsigned run_for(net::Loop& loop, milliseconds time) {
  unsigned turns = 0;
  for (const Deadline deadline(time); !deadline.passed(); ++turns) turn(loop);
  return turns;
}

}  // namespace vncauthproxy::testing
