// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/viewer_side.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/proto/language.h"
#include "worker/crowd.h"

namespace vncauthproxy::worker {
namespace {

using net::Io;
using net::IoStatus;
using proto::RfbServer;
using Clock = base::Clock;
using Stage = RfbServer::Stage;
using std::chrono::milliseconds;

// For what programs send by themselves; a person may be typing the password, which has --auth-timeout.
constexpr std::chrono::seconds kStepTimeout{10};
// A handshake takes three; the rest is for viewers that send single bytes, and for pings.
constexpr uint64_t kMaxFrames = 256;
// For each address that connects to this port.
constexpr unsigned kLinesPerMinute = 40;
// A browser on a slow network loads pages for longer than a viewer may take to come.
constexpr int kTimesForPages = 3;

milliseconds until(Clock::time_point time, Clock::time_point now) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(time - now));
}

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
  link.dismiss(reason);
}

struct ViewerSide::Candidate {
  Candidate(ViewerSide& side, net::Stream stream, const base::Endpoint& from)
      : transport(std::in_place, std::move(stream), side.handover_.type, side.pages_),
        handshake(side.trials_),
        peer(from),
        read(side.loop_, transport->fd(), net::Watch::For::reading, [&side, this] { side.ready(*this); }),
        write(side.loop_, transport->fd(), net::Watch::For::writing, [&side, this] { side.ready(*this); }),
        deadline(side.loop_, [&side, this] { side.out_of_time(*this); }) {}

  // Each change is progress, and renews the time allowed.
  unsigned steps() const {
    return transport ? transport->milestones() : kTransportReady + static_cast<unsigned>(handshake.stage());
  }
  // For who has to go when it gets crowded.
  Progress progress() const {
    if (!transport)
      return static_cast<Progress>(static_cast<int>(Progress::rfb_version) +
                                   static_cast<int>(handshake.stage()));
    if (browses()) return transport->idle() ? Progress::had_its_pages : Progress::asks_for_pages;
    return transport->secured() ? Progress::in_tls : Progress::none;
  }
  bool at_the_password() const { return !transport && handshake.stage() == Stage::response; }
  bool browses() const { return transport && transport->browses(); }
  void lose() {
    has_lost = true;
    handshake.forget_trial();
    link->forget_key();
  }
  // Has the peer taken some of what is on its way since `seen`, which is what was on its way then? What the
  // kernel holds may take a slow network long.
  bool takes_more(size_t& seen) const {
    const size_t before = std::exchange(seen, transport->unacknowledged());
    return seen > 0 && seen < before;
  }

  static constexpr unsigned kTransportReady = 1U << 30;

  std::optional<ViewerTransport> transport;  // until it is open
  std::optional<Link> link;                  // from then on
  RfbServer handshake;
  base::Endpoint peer;
  std::array<uint8_t, 256> input;
  size_t filled = 0;
  unsigned timed = UINT_MAX;  // the steps its deadline was set for
  bool has_lost = false;      // another one was first
  size_t seen_by_deadline = SIZE_MAX, seen_by_port = SIZE_MAX;
  net::Watch read, write;
  net::Timer deadline;
};

ViewerSide::ViewerSide(net::Loop& loop, ipc::Handover& handover, const net::TlsServer& tls, Verified verified,
                       GaveUp gave_up)
    : loop_(loop),
      handover_(handover),
      tls_(tls),
      trials_(handover.password),
      verified_(std::move(verified)),
      gave_up_(std::move(gave_up)),
      attempts_left_(handover.auth_attempts),
      lines_(kLinesPerMinute, std::chrono::minutes(1)),
      pages_(std::move(handover.web)),
      port_deadline_(loop, [this] { port_is_due(); }),
      opened_(Clock::now()),
      last_page_(opened_ - kStepTimeout),
      expected_until_(opened_) {
  for (base::Fd& listener : std::exchange(handover.listeners, {}))
    acceptors_.push_back(std::make_unique<net::Acceptor>(
        loop, std::move(listener),
        [this](base::Fd socket, const base::Endpoint& peer) { admit(std::move(socket), peer); }));
  port_deadline_.start(handover.connect_timeout);
}

ViewerSide::~ViewerSide() = default;

void ViewerSide::admit(base::Fd socket, const base::Endpoint& peer) {
  note(base::LogLevel::info, peer, "Connection from " + peer.to_string());
  const auto turn_away = [&](const char* why) {
    note(base::LogLevel::warning, peer, "viewer " + peer.to_string() + " refused: " + why);
  };
  if (handover_.client_address && !handover_.client_address->contains(peer))
    return turn_away("address not allowed by client_address");
  if (port_ == Port::open_again && !is_expected(peer))
    return turn_away("the port is open for another try of somebody else");
  make_room(peer);
  Candidate& candidate = *candidates_.emplace_back(std::make_unique<Candidate>(
      *this, tls_ ? net::Stream(std::move(socket), tls_) : net::Stream(std::move(socket)), peer));
  candidate.read.arm();
  advance_transport(candidate);  // a plain viewer passes at once
}

void ViewerSide::make_room(const base::Endpoint& newcomer) {
  std::vector<Standing> there;
  there.reserve(candidates_.size());
  for (const auto& candidate : candidates_) there.push_back({&candidate->peer, candidate->progress()});
  const auto leaving = who_goes(there, newcomer, handover_.viewers_per_address, kMaxCandidates);
  if (!leaving) return;
  Candidate& candidate = *candidates_[*leaving];
  note(base::LogLevel::warning, candidate.peer,
       "viewer " + candidate.peer.to_string() + " dropped: too many at once");
  refuse(candidate, "Too many viewers at once");
  remove(candidate);
}

void ViewerSide::arm_deadline(Candidate& candidate) {
  if (std::exchange(candidate.timed, candidate.steps()) == candidate.steps()) return;
  candidate.deadline.start(candidate.at_the_password() ? handover_.auth_timeout : milliseconds(kStepTimeout));
}

void ViewerSide::out_of_time(Candidate& candidate) {
  if (candidate.has_lost) return tell_loser(candidate);
  if (candidate.browses()) {
    if (candidate.takes_more(candidate.seen_by_deadline)) return candidate.deadline.start(kStepTimeout);
    return drop(candidate);  // as a rule a connection that a browser kept for later
  }
  fail(candidate,
       {base::ErrorCode::timeout, candidate.transport ? candidate.transport->delay() : "took too long"});
}

void ViewerSide::ready(Candidate& candidate) {
  if (candidate.transport) return advance_transport(candidate);
  if (candidate.link->owes() && !candidate.link->flush()) return drop(candidate);
  candidate.write.arm(candidate.link->owes());
  read_handshake(candidate);
}

void ViewerSide::advance_transport(Candidate& candidate) {
  const unsigned milestones = candidate.transport->milestones();
  const ViewerTransport::Step step = candidate.transport->advance();
  if (candidate.browses() && candidate.transport->milestones() != milestones) last_page_ = Clock::now();
  switch (step) {
    case ViewerTransport::Step::waiting:
      if (port_ == Port::shut && candidate.browses()) return drop(candidate);
      // One of the two: a peer that asks on and does not read would wake us for nothing.
      candidate.write.arm(candidate.transport->wants_write());
      candidate.read.arm(!candidate.write.armed());
      return arm_deadline(candidate);
    case ViewerTransport::Step::over: {
      const std::string& trouble = candidate.transport->trouble();
      if (!trouble.empty()) note_refused(candidate, trouble);
      return drop(candidate);
    }
    case ViewerTransport::Step::ready:
      candidate.link.emplace(candidate.transport->take());
      candidate.transport.reset();
      candidate.read.arm();
      return greet(candidate);
  }
}

void ViewerSide::greet(Candidate& candidate) {
  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteWriter out(room);
  candidate.handshake.greet(out);
  if (!candidate.link->send(out.written())) return drop(candidate);
  candidate.write.arm(candidate.link->owes());
  arm_deadline(candidate);
  if (candidate.link->pending()) candidate.read.wake();
}

void ViewerSide::read_handshake(Candidate& candidate) {
  const Io io = candidate.link->receive(std::span(candidate.input).subspan(candidate.filled));
  if (io.status == IoStatus::error && !candidate.link->trouble().empty())
    return fail(candidate, {base::ErrorCode::invalid, candidate.link->trouble()});
  if (io.status == IoStatus::end || io.status == IoStatus::error) {
    note(base::LogLevel::info, candidate.peer,
         "viewer " + candidate.peer.to_string() + " left before it authenticated");
    return drop(candidate);
  }
  if (candidate.link->frames() > kMaxFrames)
    return fail(candidate, {base::ErrorCode::too_large, "too many frames before it authenticated"});
  if (candidate.link->clogged())
    return fail(candidate, {base::ErrorCode::too_large, "asks for answers and does not read them"});
  if (io.status == IoStatus::again) return;
  candidate.filled += io.count;
  if (candidate.has_lost) {
    if (candidate.filled >= proto::kChallengeSize) return tell_loser(candidate);
    if (candidate.link->pending()) candidate.read.wake();
    return;
  }

  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteReader in(base::Bytes(candidate.input).first(candidate.filled));
  base::ByteWriter out(room);
  const auto proof = candidate.handshake.advance(in, out);
  const bool denied = !proof && proof.error().code == base::ErrorCode::denied;
  // Before the viewer hears of it, and comes back.
  if (denied && --attempts_left_ > 0) expect_again(candidate.peer);
  if (out.size() > 0 && !candidate.link->send(out.written()) && !denied) return drop(candidate);
  candidate.write.arm(candidate.link->owes());
  const base::Bytes rest = in.rest();
  std::copy(rest.begin(), rest.end(), candidate.input.begin());
  candidate.filled = rest.size();
  if (!proof) return fail(candidate, in_words(candidate, proof.error()));
  if (*proof) return let_in(candidate, **proof);
  arm_deadline(candidate);
  if (candidate.link->pending()) candidate.read.wake();
}

// For a viewer that meant a port of another type.
base::Error ViewerSide::in_words(const Candidate& candidate, base::Error error) const {
  if (error.code != base::ErrorCode::invalid) return error;
  const auto language = proto::language_of(base::Bytes(candidate.input).first(candidate.filled));
  if (std::string words = proto::wrong_language(language, handover_.type); !words.empty())
    error.detail = std::move(words);
  return error;
}

void ViewerSide::fail(Candidate& candidate, const base::Error& error) {
  note_refused(candidate, error.detail);
  const bool credential_spent = error.code == base::ErrorCode::denied;
  if (error.code == base::ErrorCode::timeout)
    refuse(candidate, "Timed out");
  else if (candidate.link)
    candidate.link->dismiss(credential_spent ? "Authentication failed" : "Refused");
  remove(candidate);
  if (!credential_spent || attempts_left_ > 0) return give_up_if_alone();
  stop("Too many authentication failures");
  give_up("Authentication failed too often");
}

bool ViewerSide::is_expected(const base::Endpoint& peer) const {
  return std::any_of(expected_.begin(), expected_.end(),
                     [&peer](const auto& other) { return base::same_source(other, peer); });
}

// People mistype: who did may come back, although the port's time may be over meanwhile.
void ViewerSide::expect_again(const base::Endpoint& peer) {
  if (!is_expected(peer)) expected_.push_back(peer);
  expected_until_ = Clock::now() + handover_.auth_timeout;
  if (port_ == Port::open) return;
  if (port_ == Port::shut)
    std::erase_if(acceptors_, [](const auto& acceptor) { return !acceptor->reopen(); });
  if (acceptors_.empty()) return;
  port_ = Port::open_again;
  port_deadline_.start(handover_.auth_timeout);
}

// In the form of its stage; one that has not reached RFB has nothing to be told.
void ViewerSide::refuse(Candidate& candidate, std::string_view reason) {
  if (!candidate.link) return;
  std::array<uint8_t, RfbServer::kMaxOutput> room;
  base::ByteWriter out(room);
  candidate.handshake.refuse(reason, out);
  say(*candidate.link, out);
  candidate.link->dismiss(reason);
}

void ViewerSide::drop(const Candidate& candidate) {
  remove(candidate);
  give_up_if_alone();
}

void ViewerSide::let_in(Candidate& candidate, proto::Verified proof) {
  candidate.link->unread(base::Bytes(candidate.input).first(candidate.filled));
  VerifiedViewer viewer(proof, std::move(*candidate.link), std::move(candidate.handshake), candidate.peer);
  remove(candidate);
  close_port();
  for (const auto& other : candidates_) other->at_the_password() ? other->lose() : refuse(*other, kTooLate);
  std::erase_if(candidates_, [](const auto& other) { return !other->has_lost; });
  gave_up_ = nullptr;
  const Verified verified = std::move(verified_);
  verified(std::move(viewer));
}

// At its response, or when the time for that is over.
void ViewerSide::tell_loser(Candidate& candidate) {
  note_refused(candidate, "another viewer was first");
  refuse(candidate, kTooLate);
  remove(candidate);
}

void ViewerSide::stop(std::string_view reason) {
  close_port();
  for (const auto& candidate : candidates_) refuse(*candidate, reason);
  candidates_.clear();
}

// A scanner, or a browser that loads pages, must not fill the log.
void ViewerSide::note(base::LogLevel level, const base::Endpoint& peer, const std::string& text) {
  const auto verdict = lines_.admit(peer.host(), base::RepeatFilter::Clock::now());
  if (!verdict.write) return;
  if (verdict.held_back > 0)
    base::log_info("suppressed %u messages from %s", verdict.held_back, peer.host().c_str());
  base::log_line(level, text);
}

void ViewerSide::note_refused(const Candidate& candidate, const std::string& why) {
  note(base::LogLevel::warning, candidate.peer, "viewer " + candidate.peer.to_string() + " refused: " + why);
}

void ViewerSide::remove(const Candidate& candidate) {
  std::erase_if(candidates_, [&candidate](const auto& other) { return other.get() == &candidate; });
}

void ViewerSide::port_is_due() {
  if (port_ == Port::open) {
    if (const milliseconds more = time_for_pages(); more.count() > 0) return port_deadline_.start(more);
    if (const milliseconds more = until(expected_until_, Clock::now()); more.count() > 0) {
      port_ = Port::open_again;
      return port_deadline_.start(more);
    }
  }
  shut_port();
}

// How long the port stays open for a browser that loads pages yet; 0: for none.
milliseconds ViewerSide::time_for_pages() {
  const auto now = Clock::now();
  const auto step = std::min<Clock::duration>(kStepTimeout, handover_.connect_timeout);
  auto last = last_page_;
  for (const auto& candidate : candidates_)
    if (candidate->browses() && candidate->takes_more(candidate->seen_by_port)) last = now;
  return until(std::min(last + step, opened_ + kTimesForPages * handover_.connect_timeout), now);
}

// Viewers on their way in have their time; nothing that a page could connect to is left.
void ViewerSide::shut_port() {
  port_ = Port::shut;
  for (const auto& acceptor : acceptors_) acceptor->shut();
  std::erase_if(candidates_, [](const auto& candidate) { return candidate->browses(); });
  give_up_if_alone();
}

// For good.
void ViewerSide::close_port() {
  port_ = Port::shut;
  port_deadline_.stop();
  acceptors_.clear();
}

void ViewerSide::give_up_if_alone() {
  if (port_ != Port::shut || !candidates_.empty()) return;
  if (!expected_.empty()) return give_up("Timed out after a wrong password");
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(handover_.connect_timeout).count();
  give_up("Timed out, no connection after " + std::to_string(seconds) + " sec");
}

void ViewerSide::give_up(std::string reason) {
  const GaveUp gave_up = std::exchange(gave_up_, nullptr);
  if (gave_up) gave_up(std::move(reason));  // not once a viewer is in
}

}  // namespace vncauthproxy::worker
