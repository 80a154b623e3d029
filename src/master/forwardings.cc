// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/forwardings.h"

#include <sys/wait.h>

#include <cstring>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/ipc/packet.h"

namespace vncauthproxy::master {

using proto::Failure;
using proto::FailureCode;
using std::chrono::milliseconds;
using State = Forwarding::State;

namespace {

// A worker that has said its last word exits at once.
constexpr milliseconds kExitTime{1000};

// The worker has escaped foreign text in its lines; but it might not be itself any more.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

ipc::Receiver receiver_in(State state) {
  switch (state) {
    case State::starting:
      return ipc::kMasterOfStarting;
    case State::waiting:
      return ipc::kMasterOfWaiting;
    case State::live:
      return ipc::kMasterOfLive;
    case State::ending:
      break;
  }
  return ipc::kMasterOfEnding;
}

const char* name_of(State state) {
  constexpr const char* kNames[] = {"starting", "waiting", "live", "ending"};
  return kNames[static_cast<size_t>(state)];
}

}  // namespace

Forwardings::Forwardings(net::Loop& loop, Events events) : loop_(loop), events_(std::move(events)) {}
Forwardings::~Forwardings() = default;

Forwarding& Forwardings::add(uint32_t id, milliseconds start_deadline) {
  auto record = std::make_unique<Forwarding>(loop_, [this, id] { out_of_time(*records_.at(id)); });
  record->id = id;
  record->deadline.start_among_many(start_deadline);
  return *records_.emplace(id, std::move(record)).first->second;
}

Forwarding* Forwardings::find(uint32_t id) {
  const auto at = records_.find(id);
  return at == records_.end() ? nullptr : at->second.get();
}

bool Forwardings::hand_over(Forwarding& forwarding, Spare spare, base::Bytes packet,
                            std::span<const int> descriptors) {
  if (!ipc::send_packet(spare.channel.get(), packet, descriptors)) return false;
  forwarding.pid = spare.pid;
  forwarding.nursery = spare.nursery;
  by_pid_[spare.pid] = forwarding.id;
  forwarding.channel = std::make_unique<ipc::Channel>(
      loop_, std::move(spare.channel),
      [this, &forwarding](const ipc::Message& message) { received(forwarding, message); },
      [this, &forwarding](const base::Error& error) { lost(forwarding, error); });
  forwarding.lease.listeners.clear();
  return true;
}

// ---- what workers say

void Forwardings::received(Forwarding& forwarding, const ipc::Message& message) {
  if (!ipc::may_arrive(message, receiver_in(forwarding.state)))
    return violation(forwarding, ipc::name_of(message));
  std::visit([this, &forwarding](const auto& content) { take(forwarding, content); }, message);
}

void Forwardings::take(Forwarding& forwarding, const ipc::Ready&) {
  forwarding.state = State::waiting;
  forwarding.deadline.start_among_many(forwarding.viewer_time);
  if (events_.answer(forwarding, std::nullopt)) return;
  base::log_warning("F%u the control client left before its answer", forwarding.id);
  kill(forwarding);
}

void Forwardings::take(Forwarding& forwarding, const ipc::Refused& refused) {
  refuse(forwarding, refused.code, one_line(refused.reason));
}

void Forwardings::take(Forwarding& forwarding, const ipc::Authenticated& authenticated) {
  forwarding.state = State::live;
  forwarding.deadline.stop();
  forwarding.viewer = one_line(authenticated.viewer);
  release_port(forwarding);
  base::log_info("F%u viewer %s authenticated", forwarding.id, forwarding.viewer.c_str());
}

void Forwardings::take(Forwarding& forwarding, const ipc::Ended& ended) {
  forwarding.state = State::ending;
  forwarding.deadline.start_among_many(kExitTime);
  base::log_info("F%u %s", forwarding.id, one_line(summary(ended, forwarding.viewer)).c_str());
}

void Forwardings::take(Forwarding&, const ipc::Log& log) {
  base::log_line(log.level, one_line(log.text));
}

void Forwardings::violation(Forwarding& forwarding, std::string_view message) {
  base::log_error("F%u unexpected message %s from worker %d in state %s", forwarding.id,
                  std::string(message).c_str(), forwarding.pid, name_of(forwarding.state));
  if (forwarding.state == State::starting)
    return refuse(forwarding, FailureCode::internal, "the worker failed");
  kill(forwarding);
}

// ---- how they end

void Forwardings::lost(Forwarding& forwarding, const base::Error& error) {
  if (error.code != base::ErrorCode::closed)
    base::log_error("F%u worker %d: %s", forwarding.id, forwarding.pid, error.detail.c_str());
  forwarding.channel.reset();
  if (forwarding.state == State::starting) {
    kill(forwarding);
    return refuse(forwarding, FailureCode::internal, "the worker ended unexpectedly");
  }
  if (forwarding.state != State::ending) base::log_warning("F%u ended: the worker is gone", forwarding.id);
  kill(forwarding);  // one that lives without a channel is out of control
  release_port(forwarding);
  erase_if_gone(forwarding);
}

void Forwardings::worker_ended(pid_t pid, int status) {
  const auto at = by_pid_.find(pid);
  if (at == by_pid_.end()) return;
  Forwarding& forwarding = *records_.at(at->second);
  by_pid_.erase(at);
  forwarding.pid = 0;
  if (WIFSIGNALED(status) && forwarding.state != State::ending)
    base::log_error("F%u worker %d died of signal %d (%s)", forwarding.id, pid, WTERMSIG(status),
                    ::strsignal(WTERMSIG(status)));
  // What it had said before is still in the channel; its port need not wait for that.
  if (forwarding.state != State::starting) release_port(forwarding);
  erase_if_gone(forwarding);
}

void Forwardings::out_of_time(Forwarding& forwarding) {
  kill(forwarding);
  // A worker ends each of its steps in time but the first: the resolver blocks.
  if (forwarding.state == State::starting)
    return refuse(forwarding, FailureCode::backend_timeout,
                  "the backend did not answer in time (step: resolving)");
  if (forwarding.state != State::ending)
    base::log_error("F%u worker %d exceeded its deadline, killed", forwarding.id, forwarding.pid);
}

void Forwardings::refuse(Forwarding& forwarding, FailureCode code, std::string reason) {
  forwarding.state = State::ending;
  forwarding.deadline.start_among_many(kExitTime);
  release_port(forwarding);
  events_.answer(forwarding, Failure{code, std::move(reason)});
  erase_if_gone(forwarding);
}

void Forwardings::release_port(Forwarding& forwarding) {
  forwarding.lease.listeners.clear();
  if (std::exchange(forwarding.has_port, false)) events_.port_free(forwarding.port);
}

void Forwardings::kill(Forwarding& forwarding) {
  if (forwarding.pid > 0) events_.kill(forwarding.pid, forwarding.nursery);
}

void Forwardings::erase_if_gone(Forwarding& forwarding) {
  if (forwarding.channel || forwarding.pid != 0) return;
  release_port(forwarding);
  records_.erase(forwarding.id);
  if (records_.empty()) events_.empty();
}

void Forwardings::stop_all(milliseconds grace) {
  for (const auto& [id, forwarding] : records_)
    if (forwarding->channel) forwarding->channel->send(ipc::Stop{grace});
}

void Forwardings::kill_all() {
  for (const auto& [id, forwarding] : records_) kill(*forwarding);
}

}  // namespace vncauthproxy::master
