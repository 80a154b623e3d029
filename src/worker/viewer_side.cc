// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/viewer_side.h"

#include <algorithm>
#include <utility>

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::worker {
namespace {

using net::Io;
using net::IoStatus;
using proto::RfbServer;
using Stage = RfbServer::Stage;

// For what programs send by themselves; a person may be typing the password, which has --auth-timeout.
constexpr std::chrono::seconds kStepTimeout{10};

// Goodbyes are best effort: what does not fit an empty socket buffer is not worth waiting for.
void say(Link& link, const base::ByteWriter& words) {
  if (words.size() > 0) link.send(words.written());
}

}  // namespace

bool VerifiedViewer::grant() {
  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteWriter out(room);
  handshake.grant(out);
  return link.send(out.written());
}

void VerifiedViewer::refuse(std::string_view reason) {
  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteWriter out(room);
  handshake.refuse(reason, out);
  say(link, out);
  link.dismiss();
}

struct ViewerSide::Candidate {
  Candidate(ViewerSide& side, base::Fd socket, const base::Endpoint& from)
      : link(net::Stream(std::move(socket))),
        handshake(side.handover_.password),
        peer(from),
        watch(side.loop_, link.fd(), net::Watch::For::reading, [&side, this] { side.readable(*this); }),
        deadline(side.loop_, [&side, this] {
          side.fail(*this, {base::ErrorCode::timeout, "took too long"});
        }) {}

  Link link;
  RfbServer handshake;
  base::Endpoint peer;
  std::array<uint8_t, 256> input;
  size_t filled = 0;
  Stage timed = Stage::over;  // the stage its deadline was set for
  net::Watch watch;
  net::Timer deadline;
};

ViewerSide::ViewerSide(net::Loop& loop, ipc::Handover& handover, Verified verified, GaveUp gave_up)
    : loop_(loop),
      handover_(handover),
      verified_(std::move(verified)),
      gave_up_(std::move(gave_up)),
      attempts_left_(handover.auth_attempts),
      port_deadline_(loop, [this] {
        close_port();
        give_up_if_alone();
      }) {
  for (base::Fd& listener : std::exchange(handover.listeners, {}))
    acceptors_.emplace_back(loop, std::move(listener), [this](base::Fd socket, const base::Endpoint& peer) {
      admit(std::move(socket), peer);
    });
  port_deadline_.start(handover.connect_timeout);
}

ViewerSide::~ViewerSide() = default;

void ViewerSide::admit(base::Fd socket, const base::Endpoint& peer) {
  base::log_info("Connection from %s", peer.to_string().c_str());
  make_room();
  Candidate& candidate = candidates_.emplace_back(*this, std::move(socket), peer);
  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteWriter out(room);
  candidate.handshake.greet(out);
  candidate.link.send(out.written());
  candidate.watch.arm();
  arm_deadline(candidate);
}

// Full: the one that got least far goes, the oldest of them, so that honest viewers who come late still get
// in.
void ViewerSide::make_room() {
  if (candidates_.size() < kMaxCandidates) return;
  const auto least = std::min_element(
      candidates_.begin(), candidates_.end(),
      [](const auto& a, const auto& b) { return a.handshake.stage() < b.handshake.stage(); });
  base::log_warning("viewer %s dropped: too many at once", least->peer.to_string().c_str());
  candidates_.erase(least);
}

void ViewerSide::arm_deadline(Candidate& candidate) {
  const Stage stage = candidate.handshake.stage();
  if (stage == candidate.timed) return;
  candidate.timed = stage;
  candidate.deadline.start(stage == Stage::response ? handover_.auth_timeout
                                                    : std::chrono::milliseconds(kStepTimeout));
}

void ViewerSide::readable(Candidate& candidate) {
  const Io io = candidate.link.receive(std::span(candidate.input).subspan(candidate.filled));
  if (io.status == IoStatus::again) return;
  if (io.status != IoStatus::ok) {
    base::log_info("viewer %s left before it authenticated", candidate.peer.to_string().c_str());
    return drop(candidate);
  }
  candidate.filled += io.count;

  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteReader in(base::Bytes(candidate.input).first(candidate.filled));
  base::ByteWriter out(room);
  const auto proof = candidate.handshake.advance(in, out);
  if (out.size() > 0 && !candidate.link.send(out.written())) return drop(candidate);
  const base::Bytes rest = in.rest();
  std::copy(rest.begin(), rest.end(), candidate.input.begin());
  candidate.filled = rest.size();
  if (!proof) return fail(candidate, proof.error());
  if (*proof) return let_in(candidate, **proof);
  arm_deadline(candidate);
}

void ViewerSide::fail(Candidate& candidate, const base::Error& error) {
  base::log_warning("viewer %s refused: %s", candidate.peer.to_string().c_str(), error.detail.c_str());
  if (error.code == base::ErrorCode::timeout) {
    std::array<uint8_t, RfbServer::kMaxOutput> room;
    base::ByteWriter out(room);
    candidate.handshake.refuse("Timed out", out);
    say(candidate.link, out);
  }
  candidate.link.dismiss();
  if (error.code == base::ErrorCode::denied && --attempts_left_ == 0) {
    remove(candidate);
    stop("Too many authentication failures");
    return give_up("Authentication failed too often");
  }
  drop(candidate);
}

void ViewerSide::drop(const Candidate& candidate) {
  remove(candidate);
  give_up_if_alone();
}

void ViewerSide::let_in(Candidate& candidate, proto::Verified proof) {
  VerifiedViewer viewer(
      proof, std::move(candidate.link), std::move(candidate.handshake),
      {candidate.input.begin(), candidate.input.begin() + static_cast<long>(candidate.filled)},
      candidate.peer);
  remove(candidate);
  stop("Another viewer was first");
  const Verified verified = std::move(verified_);
  verified(std::move(viewer));
}

void ViewerSide::stop(std::string_view reason) {
  close_port();
  for (Candidate& candidate : candidates_) {
    std::array<uint8_t, RfbServer::kMaxOutput> room;
    base::ByteWriter out(room);
    candidate.handshake.refuse(reason, out);
    say(candidate.link, out);
    candidate.link.dismiss();
  }
  candidates_.clear();
}

void ViewerSide::remove(const Candidate& candidate) {
  candidates_.remove_if([&candidate](const Candidate& other) { return &other == &candidate; });
}

void ViewerSide::close_port() {
  port_deadline_.stop();
  acceptors_.clear();
}

void ViewerSide::give_up_if_alone() {
  if (!acceptors_.empty() || !candidates_.empty()) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(handover_.connect_timeout).count();
  give_up("Timed out, no connection after " + std::to_string(seconds) + " sec");
}

void ViewerSide::give_up(std::string reason) {
  const GaveUp gave_up = std::move(gave_up_);
  gave_up(std::move(reason));
}

}  // namespace vncauthproxy::worker
