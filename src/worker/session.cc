// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/session.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::worker {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using proto::FailureCode;

// What a backend sends before ClientInit is kept up to this; TCP holds the rest.
constexpr size_t kMaxEarly = 64 * 1024;

FailureCode failure_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::unreachable:
      return FailureCode::backend_unreachable;
    case ErrorCode::timeout:
      return FailureCode::backend_timeout;
    case ErrorCode::denied:
      return FailureCode::backend_auth;
    case ErrorCode::refused:
    case ErrorCode::unsupported:
    case ErrorCode::invalid:
    case ErrorCode::closed:
      return FailureCode::backend_refused;
    default:
      return FailureCode::internal;
  }
}

// A session may last for days, beside thousands more, all children of one master.
void settle() {
  proto::own_vnc_cipher();
  base::drop_dead_stack();
}

}  // namespace

Session::Session(net::Loop& loop, ipc::Handover handover)
    : loop_(loop),
      handover_(std::move(handover)),
      channel_(
          loop, std::move(handover_.channel), [this](const ipc::Message& message) { master_says(message); },
          [this](const Error&) { master_lost(); }) {}

void Session::start() {
  enter(Phase::reaching_backend);
}

void Session::enter(Phase phase) {
  static constexpr const char* kNames[] = {"reaching the backend", "awaiting a viewer",
                                           "reaching the backend again", "relaying", "over"};
  phase_ = phase;
  base::log_debug("now %s", kNames[static_cast<size_t>(phase)]);
  switch (phase) {
    case Phase::reaching_backend:
    case Phase::reaching_again:
      backend_side_ = std::make_unique<BackendSide>(
          loop_, handover_, [this](Result<Backend> result) { backend_reached(std::move(result)); });
      break;
    case Phase::awaiting_viewer:
      if (handover_.tls) net::unlock(handover_.tls);
      viewer_side_ = std::make_unique<ViewerSide>(
          loop_, handover_, [this](VerifiedViewer viewer) { viewer_verified(std::move(viewer)); },
          [this](std::string reason) { end(std::move(reason)); });
      break;
    case Phase::relaying:
      relay();
      break;
    case Phase::over:
      loop_.stop();
      break;
  }
}

void Session::backend_reached(Result<Backend> result) {
  backend_side_.reset();
  if (phase_ == Phase::reaching_backend) {
    if (!result) {
      handover_.listeners.clear();  // with this message the port is free for the next one
      channel_.send(ipc::Refused{failure_code(result.error().code), std::move(result.error().detail)});
      return enter(Phase::over);
    }
    backend_ = std::move(*result);
    watch_backend();
    channel_.send(ipc::Ready{});
    return enter(Phase::awaiting_viewer);
  }
  if (!result) {
    viewer_->refuse("The server cannot be reached any more");
    return end("Server connection lost: " + result.error().detail);
  }
  backend_ = std::move(*result);
  enter(Phase::relaying);
}

void Session::watch_backend() {
  backend_watch_ = std::make_unique<net::Watch>(loop_, backend_->socket.get(), net::Watch::For::reading,
                                                [this] { backend_readable(); });
  backend_watch_->arm();
}

// While a viewer is awaited. Some servers cut a client that does not go on to ClientInit soon: QEMU the
// oldest of many, libvncserver after 20 s. The port stays open, and the backend is reached again when a
// viewer is in.
void Session::backend_readable() {
  std::array<uint8_t, 4096> room;
  const ssize_t count = ::recv(backend_->socket.get(), room.data(), room.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    base::log_warning("the backend left while a viewer was awaited");
    backend_watch_.reset();
    backend_.reset();
    return;
  }
  backend_->early.insert(backend_->early.end(), room.begin(), room.begin() + count);
  if (backend_->early.size() >= kMaxEarly) backend_watch_->arm(false);
}

void Session::viewer_verified(VerifiedViewer viewer) {
  viewer_.emplace(std::move(viewer));
  viewer_side_.reset();
  handover_.password.wipe();
  handover_.tls = {};
  viewer_->link.forget_key();
  viewer_name_ = viewer_->peer.to_string();
  if (orphaned_) base::log_info("viewer %s authenticated", viewer_name_.c_str());
  channel_.send(ipc::Authenticated{viewer_name_});
  enter(backend_ ? Phase::relaying : Phase::reaching_again);
}

void Session::relay() {
  backend_watch_.reset();
  handover_.server_password.wipe();
  viewer_->grant();  // a viewer that is gone shows itself at the relay's first read
  relay_since_ = base::Clock::now();
  relay_ = std::make_unique<Relay>(loop_, std::move(*backend_), std::move(viewer_->link), viewer_->early,
                                   handover_.ws_ping_interval,
                                   [this](std::string reason) { end(std::move(reason)); });
  backend_.reset();
  viewer_.reset();
  settle();
}

void Session::master_says(const ipc::Message& message) {
  const auto* stop = std::get_if<ipc::Stop>(&message);
  if (stop == nullptr) return;
  constexpr const char* kReason = "stopped by the master";
  if (relay_) return relay_->stop(kReason, stop->grace);
  if (viewer_side_) viewer_side_->stop("The proxy is going down");
  if (viewer_) viewer_->refuse("The proxy is going down");
  end(kReason);
}

// The console outlives a crash or an upgrade of the master, a waiting port too, until its deadline. The
// process writes its own log from here on.
void Session::master_lost() {
  orphaned_ = true;
  base::set_log_sink({});
  base::log_warning("the master is gone");
  if (phase_ == Phase::reaching_backend) end("the master is gone");  // there is nobody to tell the port to
}

void Session::end(std::string reason) {
  if (phase_ == Phase::over) return;
  ipc::Ended ended{std::move(reason), 0, 0, {}};
  if (relay_) {
    ended.to_viewer = relay_->to_viewer();
    ended.from_viewer = relay_->from_viewer();
    ended.relayed = std::chrono::duration_cast<std::chrono::milliseconds>(base::Clock::now() - relay_since_);
  }
  if (orphaned_) base::log_info("%s", ipc::summary(ended, viewer_name_).c_str());
  channel_.send(ended);
  enter(Phase::over);
}

}  // namespace vncauthproxy::worker
