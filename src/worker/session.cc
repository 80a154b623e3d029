// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/session.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process_title.h"

namespace vncauthproxy::worker {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using proto::FailureCode;

// What a backend sends before ClientInit is kept up to this; TCP holds the rest.
constexpr size_t kMaxEarly = 64 * 1024;
// A backend that leaves again and again within so short a time has no room for us: forwardings that push each
// other out of it would go on for ever.
constexpr std::chrono::seconds kShortStay{1};
constexpr unsigned kMostShortStays = 8;

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

}  // namespace

Session::Session(net::Loop& loop, ipc::Handover handover, base::Fd channel, net::TlsServer tls)
    : loop_(loop),
      handover_(std::move(handover)),
      tls_(std::move(tls)),
      channel_(
          loop, std::move(channel), [this](const ipc::Message& message) { master_says(message); },
          [this](const Error&) { master_lost(); }) {}

void Session::start() {
  enter(Phase::reaching_backend);
}

void Session::enter(Phase phase) {
  static constexpr const char* kNames[] = {"reaching the backend", "awaiting a viewer", "reconnecting",
                                           "relaying", "over"};
  phase_ = phase;
  static constexpr const char* kStates[] = {"starting", "waiting", "live", "live", "ending"};
  base::set_process_title("vncauthproxy: F" + std::to_string(handover_.id) + " " +
                          kStates[static_cast<size_t>(phase)]);
  base::log_debug("now %s", kNames[static_cast<size_t>(phase)]);
  switch (phase) {
    case Phase::reaching_backend:
      reach_backend();
      break;
    case Phase::awaiting_viewer:
      if (!take_tls_key()) return;
      viewer_side_ = std::make_unique<ViewerSide>(
          loop_, handover_, tls_, [this](VerifiedViewer viewer) { viewer_verified(std::move(viewer)); },
          [this](std::string reason) { end(std::move(reason)); });
      break;
    case Phase::reconnecting:
      break;
    case Phase::relaying:
      relay();
      break;
    case Phase::over:
      loop_.stop();
      break;
  }
}

void Session::reach_backend() {
  backend_side_ = std::make_unique<BackendSide>(
      loop_, handover_, [this](Result<Backend> result) { backend_reached(std::move(result)); }, identity_);
}

void Session::backend_reached(Result<Backend> result) {
  backend_side_.reset();
  if (phase_ == Phase::reaching_backend) {
    if (!result) return refuse({failure_code(result.error().code), std::move(result.error().detail)});
    hold_backend(std::move(*result));
    channel_.send(ipc::Ready{});
    return enter(Phase::awaiting_viewer);
  }
  if (!result) return backend_lost(result.error().detail);
  hold_backend(std::move(*result));
  if (phase_ == Phase::reconnecting) enter(Phase::relaying);
}

// The answer to the control client.
void Session::refuse(ipc::Refused refused) {
  handover_.listeners.clear();  // with this message the port is free for the next one
  channel_.send(std::move(refused));
  enter(Phase::over);
}

// While a viewer is awaited.
void Session::hold_backend(Backend backend) {
  backend_ = std::move(backend);
  identity_ = backend_->identity;
  backend_since_ = base::Clock::now();
  backend_watch_ = std::make_unique<net::Watch>(loop_, backend_->socket.get(), net::Watch::For::reading,
                                                [this] { backend_readable(); });
  backend_watch_->arm();
}

void Session::backend_readable() {
  std::array<uint8_t, 4096> room;
  const ssize_t count = ::recv(backend_->socket.get(), room.data(), room.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return backend_left();
  backend_->early.insert(backend_->early.end(), room.begin(), room.begin() + count);
  if (backend_->early.size() >= kMaxEarly) backend_watch_->arm(false);
}

// Some servers cut a client that does not go on to ClientInit soon, and listen on: QEMU the oldest of many,
// libvncserver after 20 s. Where one has ended, hypervisors give its port to another machine within moments.
// So the backend is reached again at once or never: the port's password is for the screen of this one.
void Session::backend_left() {
  backend_watch_.reset();
  backend_.reset();
  short_stays_ = base::Clock::now() - backend_since_ < kShortStay ? short_stays_ + 1 : 0;
  if (short_stays_ > kMostShortStays) return backend_lost("it leaves each time at once");
  base::log_info("the backend left while a viewer was awaited; reconnecting");
  reach_backend();
}

void Session::backend_lost(const std::string& why) {
  constexpr const char* kForViewers = "The server cannot be reached any more";
  if (viewer_side_) viewer_side_->stop(kForViewers);
  if (viewer_) viewer_->refuse(kForViewers);
  end("Server connection lost: " + why);
}

// False: the session has ended.
bool Session::take_tls_key() {
  if (handover_.tls_key.empty()) {
    unused_tls_ = std::move(tls_);
    return true;
  }
  auto set = net::set_key(tls_, handover_.tls_key);
  handover_.tls_key.wipe();
  if (!set) end(std::move(set.error().detail));
  return static_cast<bool>(set);
}

void Session::viewer_verified(VerifiedViewer viewer) {
  viewer_.emplace(std::move(viewer));
  if (!viewer_side_->has_losers()) viewer_side_.reset();
  handover_.password.wipe();
  tls_ = {};
  viewer_->link.forget_key();
  viewer_name_ = viewer_->peer.to_string();
  if (orphaned_) base::log_info("viewer %s authenticated", viewer_name_.c_str());
  channel_.send(ipc::Authenticated{viewer_name_});
  if (backend_) backend_readable();  // or its end would show after the viewer is let through
  if (phase_ != Phase::over) enter(backend_ ? Phase::relaying : Phase::reconnecting);
}

void Session::relay() {
  backend_watch_.reset();
  handover_.server_password.wipe();
  viewer_->grant();  // a viewer that is gone shows itself at the relay's first read
  relay_since_ = base::Clock::now();
  Link backend(net::Stream(std::move(backend_->socket)));
  backend.unread(backend_->early);
  relay_ = std::make_unique<Relay>(loop_, Relay::Ends{std::move(backend), std::move(viewer_->link)},
                                   RelayTimes{handover_.ws_ping_interval, handover_.ws_timeout},
                                   [this](std::string reason) { end(std::move(reason)); });
  backend_.reset();
  viewer_.reset();
}

void Session::master_says(const ipc::Message& message) {
  if (const auto* order = std::get_if<ipc::Stop>(&message)) stop("stopped by the master", order->grace);
}

void Session::stop(std::string reason, std::chrono::milliseconds grace) {
  if (relay_) return relay_->stop(std::move(reason), grace);
  constexpr const char* kForViewers = "The proxy is going down";
  if (viewer_side_) viewer_side_->stop(kForViewers);
  if (viewer_) viewer_->refuse(kForViewers);
  end(std::move(reason));
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
  if (phase_ == Phase::reaching_backend && !orphaned_) return refuse({FailureCode::busy, std::move(reason)});
  ipc::Ended ended{std::move(reason), 0, 0, {}};
  if (relay_) {
    ended.to_viewer = relay_->to_viewer();
    ended.from_viewer = relay_->from_viewer();
    ended.relayed = std::chrono::duration_cast<std::chrono::milliseconds>(base::Clock::now() - relay_since_);
  }
  if (relay_ && viewer_side_) viewer_side_->stop(ViewerSide::kTooLate);
  if (orphaned_) base::log_info("%s", ipc::summary(ended, viewer_name_).c_str());
  channel_.send(ended);
  enter(Phase::over);
}

}  // namespace vncauthproxy::worker
