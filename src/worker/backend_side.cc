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

}  // namespace

BackendSide::BackendSide(net::Loop& loop, const ipc::Handover& handover, Reached reached)
    : loop_(loop),
      handover_(handover),
      reached_(std::move(reached)),
      deadline_(Clock::now() + handover.server_timeout),
      deadline_timer_(loop, [this] { out_of_time(); }),
      pause_(loop, [this] { endpoints_.empty() ? resolve() : next_round(); }),
      attempt_timer_(loop, [this] { attempt_failed("no answer"); }),
      rounds_left_(handover.connect_retries),
      handshake_(handover.server_password) {
  deadline_timer_.start(handover.server_timeout);
  pause_.start(milliseconds(0));
}

std::string BackendSide::name() const {
  return handover_.destination_address + ":" + std::to_string(handover_.destination_port);
}

milliseconds BackendSide::time_left() const {
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now()));
}

void BackendSide::resolve() {
  auto endpoints = base::resolve(handover_.destination_address, std::to_string(handover_.destination_port),
                                 base::ResolveFor::connect);
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
    if (rounds_left_ == 0) return report(Error{ErrorCode::unreachable, last_failure_});
    return pause_.start(handover_.retry_wait);
  }
  const Endpoint& endpoint = endpoints_[next_endpoint_++];
  // An address that swallows packets must not eat the time of those after it.
  const size_t attempts_left = 1 + endpoints_.size() - next_endpoint_ + rounds_left_ * endpoints_.size();
  attempt_timer_.start(time_left() / static_cast<int64_t>(attempts_left));

  socket_ = base::Fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return attempt_failed(std::strerror(errno));
  net::tune_socket(socket_.get());
  base::log_debug("connecting to %s", endpoint.to_string().c_str());
  if (::connect(socket_.get(), endpoint.get(), endpoint.length) == 0) return connected();
  if (errno != EINPROGRESS) return attempt_failed(std::strerror(errno));
  watch_ = std::make_unique<Watch>(loop_, socket_.get(), Watch::For::writing, [this] {
    int code = 0;
    socklen_t length = sizeof code;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &length);
    code == 0 ? connected() : attempt_failed(std::strerror(code));
  });
  watch_->arm();
}

void BackendSide::attempt_failed(std::string why) {
  attempt_timer_.stop();
  watch_.reset();
  socket_.reset();
  last_failure_ = "cannot connect to " + endpoints_[next_endpoint_ - 1].to_string() + ": " + why;
  base::log_debug("%s", last_failure_.c_str());
  next_address();
}

void BackendSide::connected() {
  attempt_timer_.stop();
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
  const auto progress = handshake_.advance(in, out);
  if (!progress) return report(progress.error());
  // A handshake message is smaller than any socket buffer: it leaves whole or the connection is broken.
  if (out.size() > 0 &&
      ::send(socket_.get(), room.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size()))
    return report(handshake_.ended(in));
  const base::Bytes rest = in.rest();
  if (*progress == proto::RfbClient::Progress::done)
    return report(Backend{std::move(socket_), {rest.begin(), rest.end()}});
  if (at_end) return report(handshake_.ended(in));
  std::memmove(input_.data(), rest.data(), rest.size());
  filled_ = rest.size();
  if (handshake_.refused() && !std::exchange(awaiting_reason_, true))
    deadline_timer_.start(std::min(time_left(), kReasonTime));
}

void BackendSide::out_of_time() {
  // A backend that stalled within its reason has said enough.
  base::ByteReader in(base::Bytes(input_).first(filled_));
  if (Error error = handshake_.ended(in); error.code != ErrorCode::closed) return report(std::move(error));
  std::string reason = name() + " did not answer in time";
  if (!last_failure_.empty()) reason += " (" + last_failure_ + ")";
  report(Error{ErrorCode::timeout, std::move(reason)});
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
