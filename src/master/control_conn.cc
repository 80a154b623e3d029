// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/control_conn.h"

#include <array>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/net/unix_socket.h"
#include "vncauthproxy/users/users.h"

namespace vncauthproxy::master {
namespace {

using net::Io;
using net::IoStatus;
using net::Watch;
using proto::Failure;
using proto::FailureCode;

constexpr size_t kMaxLinger = 4 * 1024 * 1024;

// The name of a failed login, for the log. People type passwords into the wrong field, so only what may be a
// name is shown.
std::string shown_user(const std::string& user) {
  return users::valid_user_name(user) ? "user \"" + user + "\"" : "the user is not shown: no valid name";
}

}  // namespace

ControlConn::ControlConn(net::Loop& loop, ControlHost& host, uint64_t id, net::Stream stream,
                         const base::Endpoint& peer, std::span<char> room, proto::Speech speech,
                         const ControlTimes& times)
    : host_(host),
      id_(id),
      stream_(std::move(stream)),
      peer_(peer),
      room_(room),
      times_(times),
      since_(base::Clock::now()),
      speech_(speech),
      reader_(speech),
      read_(loop, stream_.fd(), Watch::For::reading, [this] { ready(); }),
      write_(loop, stream_.fd(), Watch::For::writing, [this] { write_reply(); }),
      deadline_(loop, [this] { out_of_time(); }) {
  read_.arm();
  deadline_.start_among_many(times_.request);
}

ControlConn::~ControlConn() {
  base::wipe(std::span<char>(reply_));
}

std::string ControlConn::peer_name() const {
  return net::name_of_peer(stream_.fd(), peer_);
}

void ControlConn::ready() {
  if (phase_ == Phase::lingering) return linger();
  phase_ == Phase::turned_away ? say_goodbye() : readable();
}

void ControlConn::readable() {
  const std::span<char> free = room_.subspan(filled_);
  const Io io = stream_.read({reinterpret_cast<uint8_t*>(free.data()), free.size()});
  if (io.status == IoStatus::again && !stream_.clogged()) return;
  if (io.status != IoStatus::ok) {
    // A peer that said nothing has nothing to be told; one whose request has no end is told so.
    if (filled_ == 0 || io.status != IoStatus::end) return host_.closed(*this);
    return refuse({FailureCode::bad_request, "the request is not complete"});
  }
  filled_ += io.count;
  auto parsed = reader_.advance({room_.data(), filled_});
  if (!parsed) return;
  consumed_ = reader_.end() == filled_;
  if (!*parsed) return refuse(parsed->error());
  requested(std::move(**parsed));
}

void ControlConn::requested(proto::Request request) {
  if (speech_.login && !host_.login_ok(request))
    return refuse({FailureCode::auth_failed, "vncauthproxy authentication failure: wrong user or password"},
                  host_.login_failed(peer_), " (" + shown_user(request.auth_user) + ")");
  phase_ = Phase::pending;
  read_.arm(false);
  deadline_.stop();  // from here on the worker's counts
  host_.request_over(*this);
  room_ = {};
  host_.requested(*this, std::move(request));
}

void ControlConn::refuse(const Failure& failure, std::chrono::milliseconds delay, const std::string& note) {
  base::log_warning("control client %s refused: %s%s", peer_name().c_str(), failure.reason.c_str(),
                    note.c_str());
  if (!stream_.established()) return host_.closed(*this);  // it could not read an answer
  host_.request_over(*this);
  room_ = {};
  reply_ = proto::to_text(reader_.dialect(), failure);
  read_.arm(false);
  phase_ = Phase::delayed;
  if (delay.count() > 0)
    deadline_.start_among_many(delay);
  else
    write_reply();
}

void ControlConn::turn_away(Failure failure) {
  goodbye_ = std::move(failure);
  phase_ = Phase::turned_away;
  host_.request_over(*this);
  room_ = {};
  say_goodbye();
}

void ControlConn::say_goodbye() {
  const Io io = stream_.handshake();
  if (io.status == IoStatus::again) return;
  io.status == IoStatus::ok ? refuse(goodbye_) : host_.closed(*this);
}

bool ControlConn::reply(const proto::Reply& reply) {
  reply_ = proto::to_text(reader_.dialect(), reply);
  const Io io = stream_.write(base::as_bytes(unsent()));
  if (io.status == IoStatus::error) {
    host_.closed(*this);
    return false;
  }
  sent_ += io.count;
  wind_up();
  return true;
}

void ControlConn::write_reply() {
  const Io io = unsent().empty() ? stream_.flush() : stream_.write(base::as_bytes(unsent()));
  if (io.status == IoStatus::error) return host_.closed(*this);
  sent_ += io.count;
  wind_up();
}

void ControlConn::wind_up() {
  if (!unsent().empty() || stream_.owes()) {
    if (phase_ != Phase::replying) deadline_.start_among_many(times_.reply);
    phase_ = Phase::replying;
    return write_.arm();
  }
  stream_.finish();
  // Closing a socket with unread input resets it and may take the reply along; reading first is cheap but
  // seldom needed.
  if (consumed_ && !stream_.owes()) return host_.closed(*this);
  phase_ = Phase::lingering;
  write_.arm(false);
  read_.arm();
  deadline_.start_among_many(times_.linger);
}

void ControlConn::linger() {
  std::array<uint8_t, 4096> waste;
  const Io io = stream_.read(waste);
  lingered_ += io.count;
  base::wipe(std::span<uint8_t>(waste));
  if (io.status == IoStatus::again && !stream_.clogged()) return;
  if (io.status == IoStatus::ok && lingered_ < kMaxLinger) return;
  host_.closed(*this);
}

void ControlConn::out_of_time() {
  if (phase_ == Phase::delayed) return write_reply();
  if (phase_ == Phase::reading && filled_ > 0)
    return refuse({FailureCode::bad_request, "the request did not arrive in time"});
  if (phase_ == Phase::reading) base::log_info("closed idle control connection from %s", peer_name().c_str());
  host_.closed(*this);
}

}  // namespace vncauthproxy::master
