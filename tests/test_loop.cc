// SPDX-License-Identifier: GPL-2.0-or-later
// What wakes a loop: readiness, time, signals; and that a callback may destroy the very object that called
// it.
#include "vncauthproxy/net/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/loop_until.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::net {
namespace {

using std::chrono::milliseconds;
using testing::Deadline;
using testing::run_for;
using testing::run_until;
using testing::turn;

struct Fixture {
  Loop loop;
  base::FdPair pair = std::move(*base::socket_pair(SOCK_STREAM));
  std::unique_ptr<Watch> watch, other;
  std::unique_ptr<Timer> timer, later;
  std::vector<std::unique_ptr<Timer>> timers;
  std::unique_ptr<Signal> signal;
  unsigned calls = 0, other_calls = 0;
  std::string order;

  void say(char c) { (void)!::write(pair.second.get(), &c, 1); }
  void take() {
    char c = 0;
    (void)!::read(pair.first.get(), &c, 1);
  }
  void watch_reading() {
    watch = std::make_unique<Watch>(loop, pair.first.get(), Watch::For::reading, [this] { ++calls; });
  }
};

void a_watch_is_silent_until_it_is_armed(Fixture& f) {
  f.watch_reading();
  f.say('x');
  turn(f.loop);
  assert_false(f.watch->armed());
  assert_int_equal(f.calls, 0);
  f.watch->arm();
  assert_true(f.watch->armed());
  turn(f.loop);
  assert_int_equal(f.calls, 1);
}

void a_watch_goes_on_while_there_is_something(Fixture& f) {
  f.watch_reading();
  f.watch->arm();
  f.watch->arm();  // as often as one likes
  f.say('x');
  for (int i = 0; i < 3; ++i) turn(f.loop);
  assert_int_equal(f.calls, 3);
  f.take();
  turn(f.loop);
  assert_int_equal(f.calls, 3);
  f.say('y');
  f.watch->arm(false);
  f.watch->arm(false);
  turn(f.loop);
  assert_int_equal(f.calls, 3);
}

void a_watch_tells_the_end_of_the_peer(Fixture& f) {
  f.watch_reading();
  f.watch->arm();
  f.pair.second.reset();
  turn(f.loop);
  assert_int_equal(f.calls, 1);
}

void reading_and_writing_are_watched_apart(Fixture& f) {
  f.watch_reading();
  f.watch->arm();
  f.other =
      std::make_unique<Watch>(f.loop, f.pair.first.get(), Watch::For::writing, [&f] { ++f.other_calls; });
  f.other->arm();
  turn(f.loop);
  assert_int_equal(f.calls, 0);
  assert_int_equal(f.other_calls, 1);
  f.other->arm(false);
  f.say('x');
  turn(f.loop);
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.other_calls, 1);
}

void a_watch_may_end_itself(Fixture& f) {
  f.watch = std::make_unique<Watch>(f.loop, f.pair.first.get(), Watch::For::reading, [&f] {
    // What the function holds must live as long as it runs.
    const std::string kept = "still here";
    f.watch.reset();
    f.pair.first.reset();
    f.order += kept;
  });
  f.watch->arm();
  f.say('x');
  turn(f.loop);
  turn(f.loop);
  const bool once = f.order == "still here";
  assert_true(once);
}

// The kernel hands out the number of a closed descriptor at once, in the same callback even.
void a_new_descriptor_of_an_old_number_is_watched(Fixture& f) {
  f.watch = std::make_unique<Watch>(f.loop, f.pair.first.get(), Watch::For::reading, [&f] {
    const int number = f.pair.first.get();
    f.watch.reset();
    f.pair = {};
    f.pair = std::move(*base::socket_pair(SOCK_STREAM));
    f.calls = f.pair.first.get() == number || f.pair.second.get() == number ? 1 : 100;
    f.watch_reading();
    f.watch->arm();
    f.say('y');
  });
  f.watch->arm();
  f.say('x');
  const bool woken = run_until(f.loop, [&f] { return f.calls >= 2; });
  assert_true(woken);
  assert_true(f.calls < 100);
}

// One that wakes itself for as long as a peer feeds it must not keep others from their turn.
void what_is_woken_waits_for_the_next_turn(Fixture& f) {
  constexpr unsigned kMost = 1000;
  static unsigned at_timer;
  f.timer = std::make_unique<Timer>(f.loop, [&f] { at_timer = f.calls; });
  f.watch = std::make_unique<Watch>(f.loop, f.pair.first.get(), Watch::For::reading, [&f] {
    if (++f.calls == 1) {
      (void)!::write(f.pair.first.get(), "y", 1);
      f.timer->start(milliseconds(0));
    }
    if (f.calls < kMost) f.watch->wake();
  });
  f.other = std::make_unique<Watch>(f.loop, f.pair.second.get(), Watch::For::reading, [&f] {
    f.other_calls = f.calls;
    f.other->arm(false);
  });
  f.watch->arm();
  f.other->arm();
  f.watch->wake();
  const bool done = run_until(f.loop, [&f] { return f.calls >= kMost; });
  assert_true(done);
  assert_in_range(f.other_calls, 1, 10);
  assert_in_range(at_timer, 1, 10);
}

void one_watch_may_end_another_that_is_due(Fixture& f) {
  f.watch = std::make_unique<Watch>(f.loop, f.pair.first.get(), Watch::For::reading, [&f] {
    ++f.calls;
    f.other.reset();
  });
  f.other = std::make_unique<Watch>(f.loop, f.pair.second.get(), Watch::For::reading, [&f] {
    ++f.calls;
    f.watch.reset();
  });
  f.watch->arm();
  f.other->arm();
  f.say('x');
  (void)!::write(f.pair.first.get(), "y", 1);
  turn(f.loop);
  assert_int_equal(f.calls, 1);
}

void a_timer_fires_once(Fixture& f) {
  f.timer = std::make_unique<Timer>(f.loop, [&f] { ++f.calls; });
  run_for(f.loop, milliseconds(10));
  assert_int_equal(f.calls, 0);
  f.timer->start(milliseconds(1));
  const bool fired = run_until(f.loop, [&f] { return f.calls > 0; });
  assert_true(fired);
  run_for(f.loop, milliseconds(10));
  assert_int_equal(f.calls, 1);
  f.timer->start(milliseconds(0));
  const bool again = run_until(f.loop, [&f] { return f.calls == 2; });
  assert_true(again);
}

void a_timer_waits_its_time_and_starts_anew(Fixture& f) {
  const auto before = std::chrono::steady_clock::now();
  f.timer = std::make_unique<Timer>(f.loop, [&f] { ++f.calls; });
  f.timer->start(milliseconds(1));
  f.timer->start(milliseconds(1200));  // above a second: both parts of a timeval count
  const bool fired = run_until(f.loop, [&f] { return f.calls > 0; });
  const auto took = std::chrono::steady_clock::now() - before;
  assert_true(fired);
  // libevent's clock is a coarse one.
  assert_true(took >= milliseconds(1180));
}

void a_stopped_timer_is_silent(Fixture& f) {
  f.timer = std::make_unique<Timer>(f.loop, [&f] { ++f.calls; });
  f.timer->start(milliseconds(1));
  f.timer->stop();
  run_for(f.loop, milliseconds(20));
  assert_int_equal(f.calls, 0);
}

void a_timer_may_end_or_start_itself(Fixture& f) {
  f.timer = std::make_unique<Timer>(f.loop, [&f] {
    ++f.calls;
    if (f.calls < 3)
      f.timer->start(milliseconds(0));
    else
      f.timer.reset();
  });
  f.timer->start(milliseconds(0));
  const bool done = run_until(f.loop, [&f] { return f.timer == nullptr; });
  assert_true(done);
  assert_int_equal(f.calls, 3);
}

void timers_fire_in_order(Fixture& f) {
  f.later = std::make_unique<Timer>(f.loop, [&f] { f.order += "b"; });
  f.timer = std::make_unique<Timer>(f.loop, [&f] { f.order += "a"; });
  f.later->start(milliseconds(30));
  f.timer->start(milliseconds(5));
  const bool both = run_until(f.loop, [&f] { return f.order.size() == 2; });
  const bool in_order = f.order == "ab";
  assert_true(both);
  assert_true(in_order);
}

void timers_among_many_do_what_timers_do(Fixture& f) {
  f.timer = std::make_unique<Timer>(f.loop, [&f] { f.order += "a"; });
  f.later = std::make_unique<Timer>(f.loop, [&f] { f.order += "b"; });
  f.timer->start_among_many(milliseconds(60000));
  f.timer->start_among_many(milliseconds(20));  // starts anew, in another queue
  f.later->start_among_many(milliseconds(20));
  const bool both = run_until(f.loop, [&f] { return f.order.size() == 2; });
  const bool in_order = f.order == "ab";
  assert_true(both);
  assert_true(in_order);
  f.timer->start_among_many(milliseconds(20));
  f.later->start_among_many(milliseconds(20));
  f.timer.reset();  // the head of its queue
  const bool other = run_until(f.loop, [&f] { return f.order.size() == 3; });
  assert_true(other);
  f.later->start_among_many(milliseconds(5));
  f.later->stop();
  run_for(f.loop, milliseconds(30));
  assert_int_equal(f.order.size(), 3);
}

// libevent has 256 such queues; a delay that finds none is served all the same.
void timers_of_very_many_delays_all_fire(Fixture& f) {
  std::vector<std::unique_ptr<Timer>>& timers = f.timers;
  for (int i = 0; i < 400; ++i) {
    timers.push_back(std::make_unique<Timer>(f.loop, [&f] { ++f.calls; }));
    timers.back()->start_among_many(milliseconds(1 + i % 300));
  }
  const bool all = run_until(f.loop, [&f] { return f.calls == 400; });
  assert_true(all);
}

void a_signal_is_told_from_the_loop(Fixture& f) {
  f.signal = std::make_unique<Signal>(f.loop, SIGUSR1, [&f] { ++f.calls; });
  ::raise(SIGUSR1);
  assert_int_equal(f.calls, 0);  // never from inside the handler
  const bool told = run_until(f.loop, [&f] { return f.calls == 1; });
  assert_true(told);
  ::raise(SIGUSR1);
  const bool again = run_until(f.loop, [&f] { return f.calls == 2; });
  assert_true(again);
}

void a_signal_may_end_itself(Fixture& f) {
  ::signal(SIGUSR1, SIG_IGN);  // what is in force once nobody listens
  f.signal = std::make_unique<Signal>(f.loop, SIGUSR1, [&f] {
    ++f.calls;
    f.signal.reset();
  });
  ::raise(SIGUSR1);
  const bool told = run_until(f.loop, [&f] { return f.calls == 1; });
  ::raise(SIGUSR1);
  turn(f.loop);
  ::signal(SIGUSR1, SIG_DFL);
  assert_true(told);
  assert_int_equal(f.calls, 1);
}

void run_ends_when_nothing_is_left(Fixture& f) {
  f.timer = std::make_unique<Timer>(f.loop, [&f] { ++f.calls; });
  f.timer->start(milliseconds(1));
  f.loop.run();
  assert_int_equal(f.calls, 1);
}

void stop_lets_the_callback_under_way_finish(Fixture& f) {
  f.watch = std::make_unique<Watch>(f.loop, f.pair.first.get(), Watch::For::reading, [&f] {
    f.loop.stop();
    ++f.calls;
  });
  f.other = std::make_unique<Watch>(f.loop, f.pair.second.get(), Watch::For::reading, [&f] {
    f.loop.stop();
    ++f.calls;
  });
  f.watch->arm();
  f.other->arm();
  f.say('x');
  (void)!::write(f.pair.first.get(), "y", 1);
  f.loop.run();
  assert_int_equal(f.calls, 1);  // the other is due and waits for the next run
  f.loop.run();
  assert_int_equal(f.calls, 2);
}

void libevents_complaints_go_to_the_log(Fixture& f) {
  base::set_log_sink([&f](base::LogLevel, std::string_view line) { f.order.append(line).append("\n"); });
  f.watch_reading();
  const int gone = f.pair.first.get();
  f.pair.first.reset();
  f.watch->arm();
  turn(f.loop);
  base::set_log_sink({});
  const bool told = f.order.starts_with("libevent: Epoll ADD") &&
                    f.order.find("fd " + std::to_string(gone) + " failed") != std::string::npos;
  assert_true(told);
}

}  // namespace
}  // namespace vncauthproxy::net

int main() {
  using namespace vncauthproxy::net;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_watch_is_silent_until_it_is_armed),
      TEST(Fixture, a_watch_goes_on_while_there_is_something),
      TEST(Fixture, a_watch_tells_the_end_of_the_peer),
      TEST(Fixture, reading_and_writing_are_watched_apart),
      TEST(Fixture, a_watch_may_end_itself),
      TEST(Fixture, a_new_descriptor_of_an_old_number_is_watched),
      TEST(Fixture, what_is_woken_waits_for_the_next_turn),
      TEST(Fixture, one_watch_may_end_another_that_is_due),
      TEST(Fixture, a_timer_fires_once),
      TEST(Fixture, a_timer_waits_its_time_and_starts_anew),
      TEST(Fixture, a_stopped_timer_is_silent),
      TEST(Fixture, a_timer_may_end_or_start_itself),
      TEST(Fixture, timers_fire_in_order),
      TEST(Fixture, timers_among_many_do_what_timers_do),
      TEST(Fixture, timers_of_very_many_delays_all_fire),
      TEST(Fixture, a_signal_is_told_from_the_loop),
      TEST(Fixture, a_signal_may_end_itself),
      TEST(Fixture, run_ends_when_nothing_is_left),
      TEST(Fixture, libevents_complaints_go_to_the_log),
      TEST(Fixture, stop_lets_the_callback_under_way_finish),
  };
  return vncauthproxy::testing::run_group("loop", tests);
}
