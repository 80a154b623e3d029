// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/backend_side.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/stream.h"

namespace vncauthproxy::worker {

using base::Endpoint;
using base::Error;
using base::ErrorCode;
using net::Io;
using net::IoStatus;
using net::Watch;
using std::chrono::milliseconds;

namespace {

// How long a backend that has refused may take to say why: the length of a reason is only its word.
constexpr milliseconds kReasonTime{1000};
// The kernel repeats a SYN after a second. By then another machine may have the address.
constexpr milliseconds kOneSyn{900};

}  // namespace

BackendSide::BackendSide(net::Loop& loop, const ipc::Handover& handover, Reached reached,
                         std::optional<BackendIdentity> again)
    : loop_(loop),
      handover_(handover),
      reached_(std::move(reached)),
      again_(std::move(again)),
      deadline_(Clock::now() + handover.server_timeout),
      deadline_timer_(loop, [this] { out_of_time(); }),
      pause_(loop, [this] { endpoints_.empty() ? resolve() : next_round(); }),
      attempt_timer_(loop, [this] { attempt_failed(timed_out()); }),
      rounds_left_(again_ ? 1 : handover.connect_retries) {
  if (again_) endpoints_ = {again_->endpoint};
  deadline_timer_.start(handover.server_timeout);
  pause_.start(milliseconds(0));
}

milliseconds BackendSide::time_left() const {
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now()));
}

std::string_view BackendSide::step() const {
  if (endpoints_.empty()) return "resolving";
  return handshake_ ? handshake_->step() : "connecting";
}

Error BackendSide::timed_out() const {
  return {ErrorCode::timeout, handover_.destination_address + ":" +
                                  std::to_string(handover_.destination_port) +
                                  " did not answer in time (step: " + std::string(step()) + ")"};
}

void BackendSide::resolve() {
  auto endpoints = base::resolve(handover_.destination_address, std::to_string(handover_.destination_port),
                                 base::ResolveFor::connect);
  if (time_left().count() == 0) return report(timed_out());
  if (!endpoints) return report(std::move(endpoints.error()));
  endpoints_ = std::move(*endpoints);
  next_round();
}

void BackendSide::next_round() {
  --rounds_left_;
  next_endpoint_ = 0;
  next_address();
}

void BackendSide::next_address() {
  if (next_endpoint_ == endpoints_.size()) {
    if (rounds_left_ == 0) return report(std::move(*failure_));
    return pause_.start(handover_.retry_wait);
  }
  const Endpoint& endpoint = endpoints_[next_endpoint_++];
  // An address that swallows packets must not eat the time of those after it.
  const size_t attempts_left = 1 + endpoints_.size() - next_endpoint_ + rounds_left_ * endpoints_.size();
  share_time(attempts_left);
  if (again_) attempt_timer_.start(kOneSyn);

  socket_ = base::Fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return cannot_connect(std::strerror(errno));
  net::tune_socket(socket_.get());
  base::log_debug("connecting to %s", endpoint.to_string().c_str());
  if (::connect(socket_.get(), endpoint.get(), endpoint.length) == 0) return connected();
  if (errno != EINPROGRESS) return cannot_connect(std::strerror(errno));
  watch_ = std::make_unique<Watch>(loop_, socket_.get(), Watch::For::writing, [this] {
    int code = 0;
    socklen_t length = sizeof code;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &length);
    code == 0 ? connected() : cannot_connect(std::strerror(code));
  });
  watch_->arm();
}

// One of `shares` that are left of the time. The last one ends with the deadline of all.
void BackendSide::share_time(size_t shares) {
  attempt_timer_.stop();
  if (shares > 1) attempt_timer_.start(time_left() / static_cast<int64_t>(shares));
}

void BackendSide::cannot_connect(const std::string& why) {
  attempt_failed({ErrorCode::unreachable,
                  "cannot connect to " + endpoints_[next_endpoint_ - 1].to_string() + ": " + why});
}

void BackendSide::attempt_failed(Error error) {
  base::log_debug("%s: %s", endpoints_[next_endpoint_ - 1].to_string().c_str(), error.detail.c_str());
  const bool connected = handshake_.has_value();
  if (!failure_ || connected >= failed_connected_) failure_ = std::move(error);
  failed_connected_ = failed_connected_ || connected;
  attempt_timer_.stop();
  watch_.reset();
  socket_.reset();
  handshake_.reset();
  filled_ = 0;
  next_address();
}

void BackendSide::connected() {
  handshake_.emplace(handover_.server_password);
  // A greeting takes longer than a connection, and short shares would miss a slow one in every round: the
  // rounds that follow count as one more address.
  share_time(1 + endpoints_.size() - next_endpoint_ + (rounds_left_ > 0 ? 1 : 0));
  watch_ = std::make_unique<Watch>(loop_, socket_.get(), Watch::For::reading, [this] { readable(); });
  watch_->arm();
}

void BackendSide::readable() {
  const ssize_t count = ::recv(socket_.get(), input_.data() + filled_, input_.size() - filled_, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) filled_ += static_cast<size_t>(count);
  advance(count <= 0);
}

void BackendSide::advance(bool at_end) {
  std::array<uint8_t, 64> room;
  base::ByteReader in(base::Bytes(input_).first(filled_));
  base::ByteWriter out(room);
  const auto progress = handshake_->advance(in, out);
  if (handshake_->greeted()) attempt_timer_.stop();
  if (!progress) return give_up_attempt(progress.error());
  // A handshake message is smaller than any socket buffer: it leaves whole or the connection is broken.
  if (out.size() > 0 &&
      ::send(socket_.get(), room.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size()))
    return give_up_attempt(handshake_->ended(in));
  const base::Bytes rest = in.rest();
  if (*progress == proto::RfbClient::Progress::done) return done(rest);
  if (at_end) return give_up_attempt(handshake_->ended(in));
  std::memmove(input_.data(), rest.data(), rest.size());
  filled_ = rest.size();
  if (handshake_->refused() && !std::exchange(awaiting_reason_, true))
    deadline_timer_.start(std::min(time_left(), kReasonTime));
}

void BackendSide::give_up_attempt(Error error) {
  handshake_->greeted() ? report(std::move(error)) : attempt_failed(std::move(error));
}

void BackendSide::out_of_time() {
  // A backend that stalled within its reason has said enough.
  if (handshake_ && handshake_->refused()) {
    base::ByteReader in(base::Bytes(input_).first(filled_));
    return report(handshake_->ended(in));
  }
  Error error = timed_out();
  if (failure_ && failure_->code != ErrorCode::timeout) error.detail += ", before that: " + failure_->detail;
  report(std::move(error));
}

void BackendSide::done(base::Bytes early) {
  BackendIdentity identity{endpoints_[next_endpoint_ - 1], handshake_->offer()};
  if (again_ && again_->offer != identity.offer)
    return report(Error{ErrorCode::refused, "another server answers at " + identity.endpoint.to_string()});
  report(Backend{std::move(socket_), {early.begin(), early.end()}, std::move(identity)});
}

void BackendSide::report(base::Result<Backend> result) {
  watch_.reset();
  deadline_timer_.stop();
  attempt_timer_.stop();
  pause_.stop();
  const Reached reached = std::move(reached_);
  reached(std::move(result));
}

}  // namespace vncauthproxy::worker
