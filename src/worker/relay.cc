// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/relay.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "vncauthproxy/base/clock.h"

namespace vncauthproxy::worker {
namespace {

using net::Io;
using net::IoStatus;
using net::Watch;

// A message of a screen at rest fits the small buffer; what fills it is bulk.
constexpr size_t kSmallBuffer = 16 * 1024;
constexpr size_t kBulkBuffer = 256 * 1024;
// The fewer the turns, the less TLS costs (a quarter less than with 256 KiB). Copying alone is dearer with
// it, when many do it.
constexpr size_t kSecureBulkBuffer = 1024 * 1024;
// Its pages are of the user's share, 16384 of them, which is soon used up where each session takes 256. But a
// page of it holds a piece of what a socket has, however long, so that this one often carries a megabyte.
constexpr int kPipeSize = 128 * 1024;
constexpr int kFastPipeSize = 1024 * 1024;
constexpr int kLeastPipeSize = 64 * 1024;  // below it a copying buffer is cheaper
constexpr size_t kMove = 1024 * 1024;
constexpr uint64_t kFastPerSecond = 512UL << 20;
// Before the loop looks at the other direction again, which is a millisecond or two.
constexpr int kMovesAtOnce = 8;
constexpr std::chrono::milliseconds kFirstLook{20};
constexpr std::chrono::seconds kBulkQuiet{1};
constexpr std::chrono::seconds kStallCheck{1};
constexpr int kVanishedChecks = 5;  // in the time after which a peer that acknowledges nothing is given up
constexpr std::chrono::seconds kEndTime{5};

// Where the callbacks read to; they never nest. On the stack each of its pages would be probed, and stay.
std::array<uint8_t, kSmallBuffer> scratch;

Io moved(ssize_t count) {
  if (count > 0) return {IoStatus::ok, static_cast<size_t>(count)};
  if (count == 0) return {IoStatus::end};
  return {errno == EAGAIN || errno == EINTR ? IoStatus::again : IoStatus::error};
}

bool has_left(int fd) {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

bool Pipe::open() {
  auto ends = base::make_pipe();
  if (!ends) return false;
  ends_ = std::move(*ends);
  resize(kPipeSize);
  if (capacity_ < kLeastPipeSize) close();
  return is_open();
}

// Beyond the user's share the kernel refuses to enlarge a pipe and hands out small ones: ask what this one
// is.
void Pipe::resize(int wanted) {
  ::fcntl(ends_.second.get(), F_SETPIPE_SZ, wanted);
  capacity_ = static_cast<size_t>(::fcntl(ends_.second.get(), F_GETPIPE_SZ));
}

void Pipe::enlarge() {
  if (is_open() && capacity_ < kFastPipeSize) resize(kFastPipeSize);
}

void Pipe::close() {
  ends_ = {};
  filled_ = 0;
}

Io Pipe::fill(int from) {
  const Io io =
      moved(::splice(from, nullptr, ends_.second.get(), nullptr, kMove, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  filled_ += io.count;
  return io;
}

Io Pipe::drain(int to) {
  const Io io =
      moved(::splice(ends_.first.get(), nullptr, to, nullptr, filled_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  filled_ -= io.count;
  return io;
}

Relay::Relay(net::Loop& loop, Backend backend, Link viewer, const std::vector<uint8_t>& early_input,
             const RelayTimes& times, Over over)
    : backend_(std::move(backend.socket)),
      viewer_(std::move(viewer)),
      over_(std::move(over)),
      backend_read_(loop, backend_.get(), Watch::For::reading, [this] { backend_readable(); }),
      backend_write_(loop, backend_.get(), Watch::For::writing, [this] { backend_writable(); }),
      viewer_read_(loop, viewer_.fd(), Watch::For::reading, [this] { viewer_readable(); }),
      viewer_write_(loop, viewer_.fd(), Watch::For::writing, [this] { viewer_writable(); }),
      bulk_timer_(loop, [this] { bulk_tick(); }),
      stall_timer_(loop, [this] { stall_tick(); }),
      times_(times),
      life_timer_(loop, [this] { life_tick(); }),
      vanished_timer_(loop, [this] { vanished_tick(); }),
      end_timer_(loop, [this] { out_of_time(); }) {
  // A peer that is gone already shows itself at the first read.
  to_viewer_ = backend.early.size();
  if (!backend.early.empty()) viewer_.send(backend.early);
  settle_viewer();
  if (early_input.empty())
    settle_backend();
  else
    send_to_backend(early_input);
  if (times_.ping_interval.count() > 0 && viewer_.has_signs_of_life())
    life_timer_.start(times_.ping_interval);
}

// ---- toward the viewer

void Relay::backend_readable() {
  if (pipe_.is_open()) return move_bulk();
  take_from_backend(buffer_.bytes().empty() ? std::span<uint8_t>(scratch) : buffer_.bytes());
}

// A pipe that came full and went empty is filled again at once: there is more. Smaller pieces are not
// pursued, they would only become smaller still.
void Relay::move_bulk() {
  for (int moves = 0; moves < kMovesAtOnce; ++moves) {
    const Io io = pipe_.fill(backend_.get());
    if (io.status == IoStatus::again) break;
    if (io.status != IoStatus::ok) return backend_ended(io.status);
    to_viewer_ += io.count;
    if (io.count >= kSmallBuffer) saw_bulk();
    if (!viewer_.announce(io.count) || !push_to_viewer()) return viewer_lost("Client connection lost");
    if (io.count < pipe_.capacity() || viewer_is_owed()) break;
  }
  settle_viewer();
}

void Relay::take_from_backend(std::span<uint8_t> room) {
  const Io io = moved(::recv(backend_.get(), room.data(), room.size(), 0));
  if (io.status == IoStatus::again) return;
  if (io.status != IoStatus::ok) return backend_ended(io.status);
  to_viewer_ += io.count;
  if (!viewer_.send(room.first(io.count))) return viewer_lost("Client connection lost");
  if (io.count >= kSmallBuffer) saw_bulk();
  settle_viewer();
}

bool Relay::push_to_viewer() {
  if (!viewer_.flush()) return false;
  if (viewer_.owes() || pipe_.empty()) return true;
  const Io io = pipe_.drain(viewer_.fd());
  return io.status != IoStatus::error && viewer_.delivered(io.count);
}

void Relay::viewer_writable() {
  if (!push_to_viewer()) return viewer_lost("Client connection lost");
  if (!reason_.empty()) more_time();  // it still takes: its time starts anew
  settle_viewer();
}

void Relay::settle_viewer() {
  watch_input();
  if (viewer_settled_) return;
  const bool owed = viewer_is_owed();
  viewer_write_.arm(owed);
  backend_read_.arm(backend_open_ && !owed);
  if (owed) watch_stall();
  watch_for_vanished();
  if (backend_open_ || owed) return;
  viewer_.finish(goodbye_, reason_);
  viewer_settled_ = true;
  end_if_settled();
}

void Relay::saw_bulk() {
  if (std::exchange(bulk_seen_, true) || pipe_.is_open() || !buffer_.bytes().empty()) return;
  if (!viewer_.spliceable() || !pipe_.open())
    buffer_ = base::SecretPages(viewer_.secure() ? kSecureBulkBuffer : kBulkBuffer);
  look_again_in(kFirstLook);
}

void Relay::look_again_in(std::chrono::milliseconds time) {
  fast_from_ = to_viewer_ + kFastPerSecond * static_cast<uint64_t>(time.count()) / 1000;
  bulk_timer_.start(time);
}

void Relay::bulk_tick() {
  if (!std::exchange(bulk_seen_, false) && pipe_.empty()) {
    pipe_.close();
    buffer_ = {};
    return viewer_.relax();
  }
  if (to_viewer_ >= fast_from_) pipe_.enlarge();
  look_again_in(kBulkQuiet);
}

// Bytes that are there and are not read, since the backend takes nothing, cannot be its answer.
void Relay::life_tick() {
  if (!viewer_read_.armed()) viewer_.excuse();
  const auto patience = times_.ping_patience;
  const auto unanswered = viewer_.unanswered();
  if (patience.count() > 0 && unanswered >= patience)
    return viewer_vanished("Client went quiet: no answer to a ping for " + base::seconds_text(patience));
  if (!viewer_.ask_for_life()) return viewer_vanished("Client connection lost");
  settle_viewer();
  const bool waits = patience.count() > 0 && unanswered.count() > 0;
  life_timer_.start(waits ? std::min(times_.ping_interval, patience - unanswered) : times_.ping_interval);
}

// ---- toward the backend: a person's input, small and rare

void Relay::viewer_readable() {
  const Io io = viewer_.receive(scratch);
  settle_viewer();  // it may be owed a pong
  if (io.status == IoStatus::again) return;
  if (io.status != IoStatus::ok) return viewer_ended(io.status);
  send_to_backend(base::Bytes(scratch).first(io.count));
}

void Relay::send_to_backend(base::Bytes bytes) {
  from_viewer_ += bytes.size();
  const Io io = moved(::send(backend_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  if (io.status == IoStatus::error) return backend_lost("Server connection lost");
  bytes = bytes.subspan(io.count);
  owed_to_backend_.assign(bytes.begin(), bytes.end());
  settle_backend();
}

void Relay::backend_writable() {
  const Io io = moved(::send(backend_.get(), owed_to_backend_.data(), owed_to_backend_.size(), MSG_NOSIGNAL));
  if (io.status == IoStatus::error) return backend_lost("Server connection lost");
  owed_to_backend_.erase(owed_to_backend_.begin(), owed_to_backend_.begin() + static_cast<long>(io.count));
  if (!reason_.empty()) more_time();
  settle_backend();
}

void Relay::settle_backend() {
  const bool owed = !owed_to_backend_.empty();
  if (!owed) owed_to_backend_ = {};
  backend_write_.arm(owed);
  watch_input();
  if (owed) watch_stall();
  watch_for_vanished();
  if (viewer_.pending()) viewer_read_.wake();
  if (viewer_open_ || owed || backend_settled_) return;
  ::shutdown(backend_.get(), SHUT_WR);
  backend_settled_ = true;
  end_if_settled();
}

void Relay::watch_input() {
  viewer_read_.arm(viewer_open_ && owed_to_backend_.empty() && !viewer_.clogged());
}

// ---- the end

void Relay::backend_ended(IoStatus how) {
  backend_open_ = false;
  if (how == IoStatus::error) goodbye_ = Goodbye::failed;
  end_within(how == IoStatus::end ? "Server connection closed" : "Server connection lost", kEndTime);
  settle_viewer();
}

void Relay::viewer_ended(IoStatus how) {
  const std::string trouble = viewer_.trouble();
  viewer_open_ = false;
  end_within(how == IoStatus::end ? "Client connection closed"
             : trouble.empty()    ? "Client connection lost"
                                  : "Client connection lost: " + trouble,
             kEndTime);
  settle_backend();
  if (!viewer_.closing()) return;
  backend_open_ = false;  // the viewer takes no more, but a frame under way becomes whole, and then the close
  settle_viewer();
}

// It takes no more; what it sent before may still be there to be read.
void Relay::backend_lost(std::string reason) {
  owed_to_backend_.clear();
  viewer_open_ = false;
  end_within(std::move(reason), kEndTime);
  settle_backend();
}

// Nothing more can be sent to it; what it sent before may still be there to be read.
void Relay::viewer_lost(std::string reason) {
  pipe_.close();
  life_timer_.stop();
  backend_open_ = false;
  viewer_settled_ = true;
  backend_read_.arm(false);
  viewer_write_.arm(false);
  end_within(std::move(reason), kEndTime);
  end_if_settled();
}

// Nothing is on its way from it either.
void Relay::viewer_vanished(std::string reason) {
  viewer_lost(std::move(reason));
  viewer_open_ = false;
  settle_backend();
}

// Nor from this one.
void Relay::backend_vanished(std::string reason) {
  backend_lost(std::move(reason));
  backend_open_ = false;
  settle_viewer();
}

void Relay::watch_for_vanished() {
  if (!std::exchange(vanished_watched_, true)) vanished_timer_.start(times_.vanished / kVanishedChecks);
}

void Relay::vanished_tick() {
  vanished_watched_ = false;
  const auto viewer = viewer_silence_.age(viewer_.fd()), backend = backend_silence_.age(backend_.get());
  const std::string why = " connection lost: nothing acknowledged for " + base::seconds_text(times_.vanished);
  if (viewer >= times_.vanished) return viewer_vanished("Client" + why);
  if (backend >= times_.vanished) return backend_vanished("Server" + why);
  if (viewer_silence_.waits() || backend_silence_.waits()) watch_for_vanished();
}

void Relay::watch_stall() {
  if (!std::exchange(stall_watched_, true)) stall_timer_.start(kStallCheck);
}

void Relay::stall_tick() {
  stall_watched_ = false;
  const bool viewer_stalls = backend_open_ && viewer_is_owed();
  const bool backend_stalls = viewer_open_ && !owed_to_backend_.empty();
  if (viewer_stalls && has_left(backend_.get())) end_within("Server connection closed", kEndTime);
  if (backend_stalls && has_left(viewer_.fd())) end_within("Client connection closed", kEndTime);
  if (viewer_stalls || backend_stalls) watch_stall();
}

void Relay::stop(std::string reason, std::chrono::milliseconds grace) {
  goodbye_ = Goodbye::going_away;
  backend_open_ = viewer_open_ = false;
  end_within(std::move(reason), grace);
  end_timer_.start(grace);  // also when it was ending already
  stopped_ = true;
  settle_viewer();
  settle_backend();
}

void Relay::end_within(std::string reason, std::chrono::milliseconds time) {
  if (!reason_.empty()) return;
  reason_ = std::move(reason);
  end_timer_.start(time);
}

// The master's grace is no peer's to extend: it kills what outlives it.
void Relay::more_time() {
  if (!stopped_) end_timer_.start(kEndTime);
}

void Relay::end_if_settled() {
  if (viewer_settled_ && backend_settled_) end();
}

void Relay::end() {
  if (over_) std::exchange(over_, nullptr)(reason_);
}

void Relay::out_of_time() {
  // Closing now would cut off a slow viewer that still takes what the kernel holds for it.
  int unsent = 0;
  if (!stopped_ && ::ioctl(viewer_.fd(), SIOCOUTQ, &unsent) == 0 && unsent > 0 &&
      (unsent_ == 0 || unsent < unsent_)) {
    unsent_ = unsent;
    return more_time();
  }
  end();
}

}  // namespace vncauthproxy::worker
