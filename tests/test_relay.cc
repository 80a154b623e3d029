// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes both ways between a backend and a viewer: whole, in order, bounded, and delivered to the end however
// one of the two leaves.
#include "worker/relay.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/descriptors.h"
#include "tests/support/loop_until.h"
#include "tests/support/pattern.h"
#include "tests/support/peer.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::count_descriptors;
using testing::Deadline;
using testing::NoMoreDescriptors;
using testing::Pattern;
using testing::Peer;
using testing::run_for;
using testing::run_until;

constexpr size_t kMiB = 1024 * 1024;
// The relay's longest wait for a peer that has nothing more to say, with room for a busy machine.
constexpr seconds kEndAndRoom{15};
constexpr milliseconds kVanished{1000};

std::vector<uint8_t> bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

// In bytes, of those made here: what the program was started with may be of any size. 0: there is none.
int largest_pipe() {
  int largest = 0;
  for (int fd = STDERR_FILENO + 1; fd < 256; ++fd) largest = std::max(largest, ::fcntl(fd, F_GETPIPE_SZ));
  return largest;
}

// One direction of bulk: an endless pattern sent by one peer and checked at the other.
struct Flow {
  Flow(Peer& source, Peer& sink, uint64_t seed) : from(source), to(sink), sent(seed), expected(seed) {}

  // Sends and checks what goes now, up to `total` bytes in all.
  void move(uint64_t total) {
    send(total);
    take();
  }
  void send(uint64_t total) {
    if (unsent.empty() && sent.position() < total) {
      unsent.resize(std::min<uint64_t>(65536, total - sent.position()));
      sent.fill({reinterpret_cast<uint8_t*>(unsent.data()), unsent.size()});
    }
    unsent.erase(0, from.send(unsent));
  }
  void take() {
    to.pull();
    expected.check({reinterpret_cast<const uint8_t*>(to.got.data()), to.got.size()});
    to.got.clear();
  }
  bool done(uint64_t total) const { return expected.position() == total && expected.intact(); }

  Peer& from;
  Peer& to;
  Pattern sent, expected;
  std::string unsent;
};

struct Fixture {
  void make(std::string_view from_backend = {}, std::string_view from_viewer = {}, int buffers = 0,
            const RelayTimes& times = {}) {
    auto backend_pair = testing::tcp_pair(buffers), viewer_pair = testing::tcp_pair(buffers);
    backend = Peer(std::move(backend_pair.second));
    viewer = Peer(std::move(viewer_pair.second));
    Link backend_link(net::Stream(std::move(backend_pair.first)));
    Link viewer_link(net::Stream(std::move(viewer_pair.first)));
    backend_link.unread(bytes(from_backend));
    viewer_link.unread(bytes(from_viewer));
    relay_over({std::move(backend_link), std::move(viewer_link)}, times);
    flow_down = std::make_unique<Flow>(backend, viewer, 7);
    flow_up = std::make_unique<Flow>(viewer, backend, 8);
  }

  void relay_over(Relay::Ends ends, const RelayTimes& times, Relay::Filter filter = {}) {
    relay = std::make_unique<Relay>(
        loop, std::move(ends), times,
        [this](std::string why) {
          ++over;
          reason = std::move(why);
        },
        std::move(filter));
  }

  bool viewer_gets(std::string_view text) {
    return run_until(loop, [&] { return viewer.has(text); });
  }
  bool backend_gets(std::string_view text) {
    return run_until(loop, [&] { return backend.has(text); });
  }
  bool ends(Deadline deadline = kEndAndRoom) {
    return run_until(
        loop, [this] { return over > 0; }, deadline);
  }
  bool ended_with(std::string_view why) const { return over == 1 && reason == why; }
  // Bulk toward the viewer.
  bool move_down(uint64_t total) {
    return run_until(loop, [&] {
      flow_down->move(total);
      return flow_down->done(total);
    });
  }
  // Sends toward a viewer that does not read until nothing moves any more. Returns how much went.
  uint64_t fill_up() {
    unsigned quiet = 0;
    uint64_t gone = 0;
    std::string chunk(65536, '\0');
    std::string unsent;
    Pattern pattern(7);
    const bool stuck = run_until(loop, [&] {
      if (unsent.empty()) {
        pattern.fill({reinterpret_cast<uint8_t*>(chunk.data()), chunk.size()});
        unsent = chunk;
      }
      const size_t sent = backend.send(unsent);
      unsent.erase(0, sent);
      gone += sent;
      quiet = sent == 0 ? quiet + 1 : 0;
      return quiet > 20;
    });
    return stuck ? gone : 0;
  }
  // All that fill_up() has sent.
  bool viewer_drains(uint64_t count) {
    return run_until(loop, [&] {
      flow_down->take();
      return flow_down->done(count);
    });
  }

  net::Loop loop;
  Peer backend, viewer;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<Flow> flow_down, flow_up;
  unsigned over = 0;
  std::string reason;
  std::optional<NoMoreDescriptors> shortage;
};

// ---- bytes

void small_messages_go_both_ways(Fixture& f) {
  f.make();
  f.viewer.send_all("\x01");
  const bool up = f.backend_gets("\x01");
  f.backend.send_all("geometry");
  const bool down = f.viewer_gets("geometry");
  assert_true(up && down);
  for (int i = 0; i < 100; ++i) {
    f.viewer.got.clear();
    f.backend.got.clear();
    f.viewer.send_all("ping");
    const bool asked = f.backend_gets("ping");
    f.backend.send_all("pong");
    const bool answered = f.viewer_gets("pong");
    assert_true(asked && answered);
  }
  assert_int_equal(f.relay->from_viewer(), 401);
  assert_int_equal(f.relay->to_viewer(), 408);
  assert_int_equal(f.over, 0);
}

// Thousands of them would cost a machine something for nothing.
void a_plain_session_at_rest_waits_for_its_peers_alone(Fixture& f) {
  f.make({}, {}, 0, {milliseconds(1), milliseconds(1), kVanished});
  const bool one = (f.backend.send_all("one"), f.viewer_gets("one"));
  // Something to read, from either. Shortly after something was sent it is also seen to that it arrived.
  const bool rests = run_until(
      f.loop, [&f] { return ::event_base_get_num_events(f.loop.base(), EVENT_BASE_COUNT_ADDED) == 2; });
  assert_true(one);
  assert_true(rests);
}

// ---- peers that vanish, as a machine that lost its power does

void a_viewer_that_vanishes_with_a_byte_on_its_way_is_given_up(Fixture& f) {
  f.make({}, {}, 0, {.vanished = kVanished});
  const bool before = (f.backend.send_all("one"), f.viewer_gets("one"));
  f.viewer.deafen();
  f.backend.send_all("2");
  const bool ended = f.ends();
  const bool told = f.ended_with("Client connection lost: nothing acknowledged for 1 seconds");
  const bool backend_knows = run_until(f.loop, [&f] { return f.backend.pull().over(); });
  assert_true(before);
  assert_true(ended);
  assert_true(told);
  assert_true(backend_knows);
}

void a_backend_that_vanishes_with_a_byte_on_its_way_is_given_up(Fixture& f) {
  f.make({}, {}, 0, {.vanished = kVanished});
  const bool before = (f.viewer.send_all("one"), f.backend_gets("one"));
  f.backend.deafen();
  f.viewer.send_all("2");
  const bool ended = f.ends();
  const bool told = f.ended_with("Server connection lost: nothing acknowledged for 1 seconds");
  assert_true(before);
  assert_true(ended);
  assert_true(told);
}

// Its system acknowledges the probes of ours, here 0.2, 0.6, 1.4, 3 and 6.2 seconds after it is full.
void a_viewer_that_only_does_not_read_is_there(Fixture& f) {
  f.make({}, {}, 8192, {.vanished = 3 * kVanished});
  const uint64_t sent = f.fill_up();
  const bool ended = f.ends(Deadline(4 * kVanished));
  const bool reads_again = f.viewer_drains(sent);
  assert_true(sent > 0);
  assert_false(ended);
  assert_true(reads_again);
}

void early_bytes_go_first_and_once(Fixture& f) {
  f.make("server first,", "client first,");
  f.backend.send_all(" server second");
  f.viewer.send_all(" client second");
  const bool down = f.viewer_gets("server first, server second");
  const bool up = f.backend_gets("client first, client second");
  assert_true(down);
  assert_true(up);
  assert_int_equal(f.relay->to_viewer(), 27);
  assert_int_equal(f.relay->from_viewer(), 27);
}

// More of them than the viewer's socket takes at once.
void many_early_bytes_wait_for_a_slow_viewer(Fixture& f) {
  static std::string early(64 * 1024, '\0');
  Pattern(7).fill({reinterpret_cast<uint8_t*>(early.data()), early.size()});
  f.make(early, {}, 8192);
  run_for(f.loop, milliseconds(20));
  const bool all = f.viewer_drains(early.size());
  assert_true(all);
  f.backend.send_all("and then");
  const bool then = f.viewer_gets("and then");
  assert_true(then);
}

void early_input_waits_for_a_slow_backend(Fixture& f) {
  static std::string early(256 * 1024, '\0');
  Pattern(8).fill({reinterpret_cast<uint8_t*>(early.data()), early.size()});
  f.make({}, early, 8192);
  run_for(f.loop, milliseconds(20));
  const bool all = run_until(f.loop, [&f] {
    f.flow_up->take();
    return f.flow_up->done(early.size());
  });
  assert_true(all);
}

void bulk_goes_both_ways_at_once(Fixture& f) {
  f.make();
  const bool intact = run_until(
      f.loop,
      [&f] {
        f.flow_down->move(16 * kMiB);
        f.flow_up->move(16 * kMiB);
        return f.flow_down->done(16 * kMiB) && f.flow_up->done(16 * kMiB);
      },
      seconds(60));
  assert_true(intact);
  assert_int_equal(f.relay->to_viewer(), 16 * kMiB);
  assert_int_equal(f.relay->from_viewer(), 16 * kMiB);
}

void bulk_borrows_a_pipe_and_gives_it_back(Fixture& f) {
  f.make();
  const unsigned before = count_descriptors("pipe:");
  const bool started = f.move_down(4 * kMiB);
  const unsigned during = count_descriptors("pipe:");
  assert_true(started);
  assert_int_equal(during, before + 2);
  const bool returned = run_until(f.loop, [before] { return count_descriptors("pipe:") == before; });
  assert_true(returned);
  const bool again = f.move_down(8 * kMiB);
  const unsigned during_again = count_descriptors("pipe:");
  assert_true(again);
  assert_int_equal(during_again, before + 2);
}

// Of pages for pipes an unprivileged user has 64 MiB.
void a_large_pipe_is_for_who_is_fast(Fixture& f) {
  f.make();
  const bool slow = f.move_down(4 * kMiB);
  const int small = largest_pipe();
  assert_true(slow);
  assert_int_equal(small, 128 * 1024);
  const std::string chunk(kMiB, 'x');
  const bool enlarged = run_until(
      f.loop,
      [&] {
        f.backend.send(chunk);
        while (::recv(f.viewer.get(), nullptr, kMiB, MSG_DONTWAIT | MSG_TRUNC) > 0) continue;
        return largest_pipe() == kMiB;
      },
      seconds(30));
  assert_true(enlarged);
}

void a_screen_at_rest_needs_no_pipe(Fixture& f) {
  f.make();
  const unsigned before = count_descriptors("pipe:");
  for (int i = 0; i < 50; ++i) {
    f.viewer.got.clear();
    f.backend.send_all("a small update of the screen");
    const bool got = f.viewer_gets("a small update of the screen");
    assert_true(got);
  }
  const unsigned after = count_descriptors("pipe:");
  assert_int_equal(after, before);
}

void without_a_pipe_bulk_is_copied(Fixture& f) {
  f.make();
  const unsigned before = count_descriptors("pipe:");
  f.shortage.emplace();
  const bool intact = run_until(
      f.loop,
      [&f] {
        f.flow_down->move(16 * kMiB);
        f.flow_up->move(4 * kMiB);
        return f.flow_down->done(16 * kMiB) && f.flow_up->done(4 * kMiB);
      },
      seconds(60));
  f.shortage.reset();
  const unsigned after = count_descriptors("pipe:");
  assert_true(intact);
  assert_int_equal(after, before);
  assert_int_equal(f.relay->to_viewer(), 16 * kMiB);
}

// ---- back-pressure

void a_viewer_that_does_not_read_stops_the_backend(Fixture& f) {
  f.make({}, {}, 65536);
  const uint64_t went = f.fill_up();
  // A move of 1 MiB and the sockets' buffers; the backend would have sent without end.
  assert_in_range(went, 65536, 4 * kMiB);
  const uint64_t taken = f.relay->to_viewer();
  const unsigned turns = run_for(f.loop, milliseconds(200));
  assert_int_equal(f.relay->to_viewer(), taken);
  assert_true(turns < 200);  // it waits, it does not spin
  // The other direction does not suffer.
  f.viewer.send_all("key");
  const bool key = f.backend_gets("key");
  assert_true(key);
  const bool rest = f.viewer_drains(went);
  assert_true(rest);
  assert_int_equal(f.over, 0);
}

void nor_without_a_pipe(Fixture& f) {
  f.make({}, {}, 65536);
  f.shortage.emplace();
  const uint64_t went = f.fill_up();
  f.shortage.reset();
  assert_in_range(went, 65536, 2 * kMiB);
  const bool rest = f.viewer_drains(went);
  assert_true(rest);
}

void a_backend_that_does_not_read_stops_the_viewer(Fixture& f) {
  f.make({}, {}, 65536);
  unsigned quiet = 0;
  const bool stuck = run_until(f.loop, [&] {
    const size_t before = f.flow_up->unsent.size();
    const uint64_t position = f.flow_up->sent.position();
    if (f.flow_up->unsent.empty()) {
      f.flow_up->unsent.resize(65536);
      f.flow_up->sent.fill({reinterpret_cast<uint8_t*>(f.flow_up->unsent.data()), 65536});
    }
    f.flow_up->unsent.erase(0, f.viewer.send(f.flow_up->unsent));
    const bool moved = f.flow_up->unsent.size() != before || f.flow_up->sent.position() != position;
    quiet = moved ? 0 : quiet + 1;
    return quiet > 20;
  });
  const uint64_t went = f.flow_up->sent.position() - f.flow_up->unsent.size();
  assert_true(stuck);
  assert_in_range(went, 65536, 2 * kMiB);
  f.backend.send_all("the other way is open");
  const bool other = f.viewer_gets("the other way is open");
  assert_true(other);
  const bool rest = run_until(f.loop, [&] {
    f.flow_up->take();
    return f.flow_up->done(went);
  });
  assert_true(rest);
}

// ---- ends

void what_the_backend_said_last_is_delivered(Fixture& f) {
  f.make();
  f.backend.send_all("bell");
  f.backend.finish();
  const bool got = run_until(f.loop, [&f] { return f.viewer.pull().ended; });
  const bool all = f.viewer.got == "bell";
  assert_true(got && all);
  assert_int_equal(f.over, 0);  // a viewer's last words still go the other way
  f.viewer.send_all("thanks");
  const bool heard = f.backend_gets("thanks");
  f.viewer.finish();
  const bool over = f.ends();
  const bool backend_knows = f.backend.pull().ended;
  const bool why = f.ended_with("Server connection closed");
  assert_true(heard);
  assert_true(over && backend_knows);
  assert_true(why);
}

void what_the_viewer_said_last_is_delivered(Fixture& f) {
  f.make();
  f.viewer.send_all("key up");
  f.viewer.finish();
  const bool got = run_until(f.loop, [&f] { return f.backend.pull().ended; });
  const bool all = f.backend.got == "key up";
  assert_true(got && all);
  assert_int_equal(f.over, 0);
  f.backend.send_all("one more update");
  const bool heard = f.viewer_gets("one more update");
  f.backend.finish();
  const bool over = f.ends();
  const bool viewer_knows = f.viewer.pull().ended;
  const bool why = f.ended_with("Client connection closed");
  assert_true(heard);
  assert_true(over && viewer_knows);
  assert_true(why);
}

void a_backend_that_leaves_a_full_pipe_is_delivered_whole(Fixture& f) {
  f.make({}, {}, 65536);
  const uint64_t went = f.fill_up();
  f.backend.finish();
  run_for(f.loop, milliseconds(50));
  assert_int_equal(f.over, 0);
  const bool rest = f.viewer_drains(went);
  const bool ended = run_until(f.loop, [&f] { return f.viewer.pull().ended; });
  assert_true(rest);
  assert_true(ended);
  f.viewer.close();
  const bool over = f.ends();
  assert_true(over);
}

// A peer that keeps its end open after the other one left gets its few seconds and no more.
void a_silent_viewer_does_not_hold_the_session(Fixture& f) {
  f.make();
  f.backend.close();
  const bool over = f.ends();
  const bool why = f.ended_with("Server connection closed");
  assert_true(over);
  assert_true(why);
  const bool viewer_knows = f.viewer.pull().ended;
  assert_true(viewer_knows);
}

void a_reset_by_the_viewer_ends_the_session(Fixture& f) {
  f.make();
  f.viewer.reset();
  const bool backend_knows = run_until(f.loop, [&f] { return f.backend.pull().over(); });
  assert_true(backend_knows);
  f.backend.send_all("to nobody");
  f.backend.close();
  const bool over = f.ends();
  const bool why = f.ended_with("Client connection lost");
  assert_true(over);
  assert_true(why);
}

void a_reset_by_the_viewer_in_bulk_ends_the_session(Fixture& f) {
  f.make();
  f.move_down(2 * kMiB);
  f.viewer.reset();
  const bool over = run_until(f.loop, [&f] {
    f.backend.send("more and more");
    if (f.backend.pull().over()) f.backend.close();
    return f.over > 0;
  });
  const bool why = f.ended_with("Client connection lost");
  assert_true(over);
  assert_true(why);
}

void a_reset_by_the_backend_ends_the_session(Fixture& f) {
  f.make();
  f.backend.send_all("last words");
  const bool heard = f.viewer_gets("last words");
  f.backend.reset();
  const bool viewer_knows = run_until(f.loop, [&f] { return f.viewer.pull().ended; });
  f.viewer.send_all("to nobody");
  const bool over = f.ends();
  const bool why = f.ended_with("Server connection lost");
  assert_true(heard && viewer_knows);
  assert_true(over);
  assert_true(why);
}

void peers_that_are_gone_already_end_it(Fixture& f) {
  for (const bool reset : {false, true}) {
    f.over = 0;
    f.make("early", "early");
    if (reset) {
      f.backend.reset();
      f.viewer.reset();
    } else {
      f.backend.close();
      f.viewer.close();
    }
    const bool over = f.ends();
    assert_true(over);
    const unsigned turns = run_for(f.loop, milliseconds(50));
    assert_int_equal(f.over, 1);
    assert_true(turns < 100);
  }
}

// ---- the ends go on elsewhere

// Both peers send all the time and the viewer reads slowly, so that bytes are owed both ways and in the pipe
// whenever the ends change hands.
void ends_that_change_hands_lose_no_byte(Fixture& f) {
  f.make("early ", "early ", 65536);
  const bool early = f.viewer_gets("early ") && f.backend_gets("early ");
  f.viewer.got.clear();
  f.backend.got.clear();
  uint64_t to_viewer = 0, from_viewer = 0;
  for (int i = 1; i <= 20; ++i) {
    const uint64_t goal = static_cast<uint64_t>(i) * 256 * 1024;
    run_until(f.loop, [&] {
      f.flow_down->move(8 * kMiB);
      f.flow_up->move(8 * kMiB);
      return f.flow_down->expected.position() >= goal && f.flow_up->expected.position() >= goal;
    });
    // The peers send on and read nothing.
    for (int turns = 0; turns < 3; ++turns) {
      f.flow_down->send(8 * kMiB);
      f.flow_up->send(8 * kMiB);
      testing::turn(f.loop);
    }
    to_viewer += f.relay->to_viewer();
    from_viewer += f.relay->from_viewer();
    Relay::Ends ends = f.relay->release();
    f.relay_over(std::move(ends), {});
  }
  const bool rest = run_until(
      f.loop,
      [&] {
        f.flow_down->move(8 * kMiB);
        f.flow_up->move(8 * kMiB);
        return f.flow_down->done(8 * kMiB) && f.flow_up->done(8 * kMiB);
      },
      seconds(60));
  to_viewer += f.relay->to_viewer();
  from_viewer += f.relay->from_viewer();
  assert_true(early);
  assert_true(rest);
  assert_int_equal(to_viewer, 8 * kMiB + 6);
  assert_int_equal(from_viewer, 8 * kMiB + 6);
  assert_int_equal(f.over, 0);
}

// What is in the pipe and in nobody's socket.
void a_full_pipe_changes_hands(Fixture& f) {
  f.make({}, {}, 65536);
  const uint64_t sent = f.fill_up();
  const unsigned pipes = count_descriptors("pipe:");
  Relay::Ends ends = f.relay->release();
  const bool owed = ends.viewer.owes();
  f.relay.reset();
  const unsigned pipes_after = count_descriptors("pipe:");
  f.relay_over(std::move(ends), {});
  const bool all = f.viewer_drains(sent);
  assert_true(owed);
  assert_int_equal(pipes_after, pipes - 2);
  assert_true(all);
}

void another_viewer_goes_on_with_the_backend(Fixture& f) {
  f.make();
  f.backend.send_all("for the first");
  const bool first = f.viewer_gets("for the first");
  Relay::Ends ends = f.relay->release();
  f.relay.reset();
  auto pair = testing::tcp_pair();
  f.viewer = Peer(std::move(pair.second));
  f.relay_over({std::move(ends.backend), Link(net::Stream(std::move(pair.first)))}, {});
  f.backend.send_all("for the second");
  const bool second = f.viewer_gets("for the second");
  f.viewer.send_all("thanks");
  const bool thanked = f.backend_gets("thanks");
  assert_true(first);
  assert_true(second);
  assert_true(thanked);
}

// ---- a filter

void a_filter_changes_what_the_backend_gets(Fixture& f) {
  auto backend_pair = testing::tcp_pair(), viewer_pair = testing::tcp_pair();
  f.backend = Peer(std::move(backend_pair.second));
  f.viewer = Peer(std::move(viewer_pair.second));
  static std::vector<uint8_t> kept;
  f.relay_over(
      {Link(net::Stream(std::move(backend_pair.first))), Link(net::Stream(std::move(viewer_pair.first)))}, {},
      [](base::Bytes from_viewer) {
        kept.clear();
        for (const uint8_t byte : from_viewer)
          if (byte != 'x') kept.push_back(byte);
        return base::Bytes(kept);
      });
  f.viewer.send_all("xxxx");  // nothing is left of these
  f.viewer.send_all("axbxc");
  const bool filtered = f.backend_gets("abc");
  f.backend.send_all("axbxc");
  const bool other_way = f.viewer_gets("axbxc");
  assert_true(filtered);
  assert_true(other_way);
  assert_int_equal(f.relay->from_viewer(), 9);
}

// ---- stop

void stop_delivers_and_ends(Fixture& f) {
  f.make();
  f.backend.send_all("before");
  const bool before = f.viewer_gets("before");
  f.relay->stop("stopped by the master", seconds(2));
  const bool over = f.ends(milliseconds(1500));
  const bool both_know = f.viewer.pull().ended && f.backend.pull().ended;
  const bool why = f.ended_with("stopped by the master");
  assert_true(before);
  assert_true(over);
  assert_true(both_know);
  assert_true(why);
}

void stop_delivers_what_a_slow_viewer_is_owed(Fixture& f) {
  f.make({}, {}, 65536);
  f.fill_up();
  const uint64_t taken = f.relay->to_viewer();
  f.relay->stop("stopped by the master", seconds(20));
  const bool all = f.viewer_drains(taken);
  const bool over = f.ends();
  assert_true(all);
  assert_true(over);
}

// The master kills what has not ended soon after its grace.
void stop_keeps_its_time(Fixture& f) {
  f.make({}, {}, 65536);
  f.fill_up();
  f.relay->stop("stopped by the master", milliseconds(200));
  const bool over = f.ends(seconds(3));
  const bool why = f.ended_with("stopped by the master");
  assert_true(over);
  assert_true(why);
}

void stop_keeps_its_time_with_a_viewer_that_dawdles(Fixture& f) {
  f.make({}, {}, 65536);
  f.fill_up();
  f.relay->stop("stopped by the master", milliseconds(200));
  const bool over = run_until(
      f.loop,
      [&f] {
        char sip[16];
        (void)!::recv(f.viewer.get(), sip, sizeof sip, MSG_DONTWAIT);
        return f.over > 0;
      },
      seconds(3));
  assert_true(over);
  assert_int_equal(f.over, 1);
}

void stop_hurries_a_session_that_was_ending(Fixture& f) {
  f.make({}, {}, 65536);
  f.fill_up();
  f.backend.close();
  run_for(f.loop, milliseconds(20));
  f.relay->stop("stopped by the master", milliseconds(200));
  const bool over = f.ends(seconds(3));
  assert_true(over);
  assert_int_equal(f.over, 1);
}

}  // namespace
}  // namespace vncauthproxy::worker

int main() {
  using namespace vncauthproxy::worker;
  const CMUnitTest tests[] = {
      TEST(Fixture, small_messages_go_both_ways),
      TEST(Fixture, a_plain_session_at_rest_waits_for_its_peers_alone),
      TEST(Fixture, a_viewer_that_vanishes_with_a_byte_on_its_way_is_given_up),
      TEST(Fixture, a_backend_that_vanishes_with_a_byte_on_its_way_is_given_up),
      TEST(Fixture, a_viewer_that_only_does_not_read_is_there),
      TEST(Fixture, early_bytes_go_first_and_once),
      TEST(Fixture, many_early_bytes_wait_for_a_slow_viewer),
      TEST(Fixture, early_input_waits_for_a_slow_backend),
      TEST(Fixture, bulk_goes_both_ways_at_once),
      TEST(Fixture, bulk_borrows_a_pipe_and_gives_it_back),
      TEST(Fixture, a_large_pipe_is_for_who_is_fast),
      TEST(Fixture, a_screen_at_rest_needs_no_pipe),
      TEST(Fixture, without_a_pipe_bulk_is_copied),
      TEST(Fixture, a_viewer_that_does_not_read_stops_the_backend),
      TEST(Fixture, nor_without_a_pipe),
      TEST(Fixture, a_backend_that_does_not_read_stops_the_viewer),
      TEST(Fixture, what_the_backend_said_last_is_delivered),
      TEST(Fixture, what_the_viewer_said_last_is_delivered),
      TEST(Fixture, a_backend_that_leaves_a_full_pipe_is_delivered_whole),
      TEST(Fixture, a_silent_viewer_does_not_hold_the_session),
      TEST(Fixture, a_reset_by_the_viewer_ends_the_session),
      TEST(Fixture, a_reset_by_the_viewer_in_bulk_ends_the_session),
      TEST(Fixture, a_reset_by_the_backend_ends_the_session),
      TEST(Fixture, peers_that_are_gone_already_end_it),
      TEST(Fixture, ends_that_change_hands_lose_no_byte),
      TEST(Fixture, a_full_pipe_changes_hands),
      TEST(Fixture, another_viewer_goes_on_with_the_backend),
      TEST(Fixture, a_filter_changes_what_the_backend_gets),
      TEST(Fixture, stop_delivers_and_ends),
      TEST(Fixture, stop_delivers_what_a_slow_viewer_is_owed),
      TEST(Fixture, stop_keeps_its_time),
      TEST(Fixture, stop_keeps_its_time_with_a_viewer_that_dawdles),
      TEST(Fixture, stop_hurries_a_session_that_was_ending),
  };
  return vncauthproxy::testing::run_group("relay", tests);
}
