// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/relay.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "vncauthproxy/base/clock.h"

namespace vncauthproxy::worker {
namespace {

using net::Io;
using net::IoStatus;
using net::Watch;

// The loop looks at the other direction again after so many, which is a millisecond or two.
constexpr int kMovesAtOnce = 8;
constexpr std::chrono::seconds kStallCheck{1};
constexpr int kVanishedChecks = 5;  // in the time after which a peer that acknowledges nothing is given up

// Where the callbacks read to; they never nest. On the stack each of its pages would be probed, and stay.
std::array<uint8_t, kSmallBuffer> scratch;

bool has_left(int fd) {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

Relay::Side::Side(net::Loop& loop, Link its_link, net::Callback readable, net::Callback writable)
    : link(std::move(its_link)),
      read(loop, link.fd(), Watch::For::reading, std::move(readable)),
      write(loop, link.fd(), Watch::For::writing, std::move(writable)) {}

Relay::Relay(net::Loop& loop, Ends ends, const RelayTimes& times, Over over, Filter filter)
    : backend_(
          loop, std::move(ends.backend), [this] { backend_readable(); }, [this] { backend_writable(); }),
      viewer_(
          loop, std::move(ends.viewer), [this] { viewer_readable(); }, [this] { viewer_writable(); }),
      filter_(std::move(filter)),
      bulk_(loop, backend_.link, viewer_.link),
      ending_(
          loop, [this] { return viewer_.link.fd(); }, std::move(over)),
      times_(times),
      life_timer_(loop, [this] { life_tick(); }),
      stall_timer_(loop, [this] { stall_tick(); }),
      vanished_timer_(loop, [this] { vanished_tick(); }) {
  // A peer that is gone already shows itself at the first read.
  update_viewer();
  update_backend();
  if (times_.ping_interval.count() > 0 && viewer_.link.has_signs_of_life())
    life_timer_.start(times_.ping_interval);
}

// ---- toward the viewer

void Relay::backend_readable() {
  bulk_.pipe().is_open() && !backend_.link.pending() ? splice_from_backend() : copy_from_backend();
}

// A pipe that came full and went empty is filled again at once, since there is more. Do not loop on smaller
// pieces: they get smaller each time.
void Relay::splice_from_backend() {
  Pipe& pipe = bulk_.pipe();
  for (int moves = 0; moves < kMovesAtOnce; ++moves) {
    const Io io = pipe.fill(backend_.link.fd());
    if (io.status == IoStatus::again) break;
    if (io.status != IoStatus::ok) return backend_ended(io.status);
    to_viewer_ += io.count;
    bulk_.moved(io.count);
    if (!push_to_viewer()) return viewer_lost("Client connection lost");
    if (io.count < pipe.capacity() || viewer_is_owed() || !pipe.is_open()) break;
  }
  update_viewer();
}

void Relay::copy_from_backend() {
  const std::span<uint8_t> buffer = bulk_.buffer().empty() ? std::span<uint8_t>(scratch) : bulk_.buffer();
  const Io io = backend_.link.receive(buffer);
  if (io.status == IoStatus::again) return;
  if (io.status != IoStatus::ok) return backend_ended(io.status);
  to_viewer_ += io.count;
  if (!viewer_.link.send(buffer.first(io.count))) return viewer_lost("Client connection lost");
  bulk_.moved(io.count);
  update_viewer();
}

// False: the connection is of no more use.
bool Relay::push_to_viewer() {
  Link& link = viewer_.link;
  if (!link.flush()) return false;
  Pipe& pipe = bulk_.pipe();
  while (!pipe.empty() && !link.owes()) {
    if (link.closing() && !link.in_frame()) {
      pipe.close();  // the viewer takes no more
      return true;
    }
    const auto size = link.announce(pipe.size());
    if (!size) return false;
    if (*size == 0) return true;
    const Io io = pipe.drain(link.fd(), *size);
    if (io.status == IoStatus::error || !link.delivered(io.count)) return false;
    if (io.count < *size) return true;
  }
  return true;
}

void Relay::viewer_writable() {
  if (!push_to_viewer()) return viewer_lost("Client connection lost");
  ending_.more_time();  // it still takes
  update_viewer();
}

void Relay::update_viewer() {
  watch_input();
  if (viewer_.finished) return;
  const bool owed = viewer_is_owed();
  viewer_.write.arm(owed);
  backend_.read.arm(backend_.open && !owed);
  if (backend_.link.pending()) backend_.read.wake();
  if (owed) watch_stall();
  watch_for_vanished();
  if (backend_.open || owed) return;
  viewer_.link.finish(ending_.goodbye(), ending_.reason());
  viewer_.finished = true;
  end_if_finished();
}

// Bytes that are there and are not read, since the backend takes nothing, cannot be its answer.
void Relay::life_tick() {
  Link& link = viewer_.link;
  if (!viewer_.read.armed()) link.excuse();
  const auto patience = times_.ping_patience;
  const auto unanswered = link.unanswered();
  if (patience.count() > 0 && unanswered >= patience)
    return viewer_vanished("Client went quiet: no answer to a ping for " + base::seconds_text(patience));
  if (!link.ask_for_life()) return viewer_vanished("Client connection lost");
  update_viewer();
  const bool waits = patience.count() > 0 && unanswered.count() > 0;
  life_timer_.start(waits ? std::min(times_.ping_interval, patience - unanswered) : times_.ping_interval);
}

// ---- toward the backend

void Relay::viewer_readable() {
  const Io io = viewer_.link.receive(scratch);
  update_viewer();  // it may be owed a pong
  if (io.status == IoStatus::again) return;
  if (io.status != IoStatus::ok) return viewer_ended(io.status);
  from_viewer_ += io.count;
  base::Bytes bytes = base::Bytes(scratch).first(io.count);
  if (filter_) bytes = filter_(bytes);
  if (!backend_.link.send(bytes)) return backend_lost("Server connection lost");
  update_backend();
}

void Relay::backend_writable() {
  if (!backend_.link.flush()) return backend_lost("Server connection lost");
  ending_.more_time();
  update_backend();
}

void Relay::update_backend() {
  const bool owed = backend_.link.owes();
  backend_.write.arm(owed);
  watch_input();
  if (owed) watch_stall();
  watch_for_vanished();
  if (viewer_.link.pending()) viewer_.read.wake();
  if (viewer_.open || owed || backend_.finished) return;
  backend_.link.finish(ending_.goodbye(), ending_.reason());
  backend_.finished = true;
  end_if_finished();
}

void Relay::watch_input() {
  viewer_.read.arm(viewer_.open && !backend_.link.owes() && !viewer_.link.clogged());
}

// ---- the end

void Relay::backend_ended(IoStatus how) {
  backend_.open = false;
  if (how == IoStatus::end)
    ending_.begin("Server connection closed");
  else
    ending_.begin("Server connection lost", Goodbye::failed);
  update_viewer();
}

void Relay::viewer_ended(IoStatus how) {
  const std::string trouble = viewer_.link.trouble();
  viewer_.open = false;
  ending_.begin(how == IoStatus::end ? "Client connection closed"
                : trouble.empty()    ? "Client connection lost"
                                     : "Client connection lost: " + trouble);
  update_backend();
  if (!viewer_.link.closing()) return;
  backend_.open = false;  // the viewer takes no more, but a frame under way becomes whole, and then the close
  update_viewer();
}

// It takes no more; what it sent before may still be there to be read.
void Relay::backend_lost(std::string reason) {
  backend_.link.drop_owed();
  viewer_.open = false;
  ending_.begin(std::move(reason));
  update_backend();
}

// Nothing more can be sent to it; what it sent before may still be there to be read.
void Relay::viewer_lost(std::string reason) {
  bulk_.pipe().close();
  life_timer_.stop();
  backend_.open = false;
  viewer_.finished = true;
  backend_.read.arm(false);
  viewer_.write.arm(false);
  ending_.begin(std::move(reason));
  end_if_finished();
}

// Nothing is on its way from it either.
void Relay::viewer_vanished(std::string reason) {
  viewer_lost(std::move(reason));
  viewer_.open = false;
  update_backend();
}

// Nothing is on its way from this one either.
void Relay::backend_vanished(std::string reason) {
  backend_lost(std::move(reason));
  backend_.open = false;
  update_viewer();
}

void Relay::watch_for_vanished() {
  if (!std::exchange(vanished_watched_, true)) vanished_timer_.start(times_.vanished / kVanishedChecks);
}

void Relay::vanished_tick() {
  vanished_watched_ = false;
  const auto viewer = viewer_.silence.age(viewer_.link.fd()),
             backend = backend_.silence.age(backend_.link.fd());
  const std::string why = " connection lost: nothing acknowledged for " + base::seconds_text(times_.vanished);
  if (viewer >= times_.vanished) return viewer_vanished("Client" + why);
  if (backend >= times_.vanished) return backend_vanished("Server" + why);
  if (viewer_.silence.waits() || backend_.silence.waits()) watch_for_vanished();
}

void Relay::watch_stall() {
  if (!std::exchange(stall_watched_, true)) stall_timer_.start(kStallCheck);
}

void Relay::stall_tick() {
  stall_watched_ = false;
  const bool viewer_stalls = backend_.open && viewer_is_owed();
  const bool backend_stalls = viewer_.open && backend_.link.owes();
  if (viewer_stalls && has_left(backend_.link.fd())) ending_.begin("Server connection closed");
  if (backend_stalls && has_left(viewer_.link.fd())) ending_.begin("Client connection closed");
  if (viewer_stalls || backend_stalls) watch_stall();
}

void Relay::stop(std::string reason, std::chrono::milliseconds grace) {
  backend_.open = viewer_.open = false;
  ending_.stop(std::move(reason), grace);
  update_viewer();
  update_backend();
}

void Relay::end_if_finished() {
  if (viewer_.finished && backend_.finished) ending_.now();
}

Relay::Ends Relay::release() {
  for (Watch* watch : {&backend_.read, &backend_.write, &viewer_.read, &viewer_.write}) watch->arm(false);
  for (net::Timer* timer : {&life_timer_, &stall_timer_, &vanished_timer_}) timer->stop();
  bulk_.stop();
  ending_.forget();
  std::vector<uint8_t> rest;
  bulk_.pipe().drain_into(rest);
  viewer_.link.send(rest);  // a viewer that takes no more shows itself again at the next read
  return {std::move(backend_.link), std::move(viewer_.link)};
}

}  // namespace vncauthproxy::worker
