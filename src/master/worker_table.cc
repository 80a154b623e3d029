// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/worker_table.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::master {

using proto::Failure;
using proto::FailureCode;

namespace {

// When many workers end at once, new requests must not wait for all of them to be reaped.
constexpr size_t kReapedPerTurn = 16;
constexpr std::chrono::milliseconds kSweep{200};

// The worker has escaped foreign text in its lines; but it might not be itself any more.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

}  // namespace

struct WorkerTable::Record {
  Record(WorkerTable& table, Forwarding facts, base::Fd channel_end)
      : forwarding(std::move(facts)),
        channel(
            table.loop_, std::move(channel_end),
            [&table, this](const ipc::Message& message) { table.received(*this, message); },
            [&table, this](const base::Error& error) { table.lost(*this, error); }),
        deadline(table.loop_, [&table, this] { table.out_of_time(*this); }) {}

  Forwarding forwarding;
  State state = State::starting;
  bool has_port = true;
  bool channel_open = true;
  pid_t pid = 0;  // 0: not forked yet, or reaped
  std::string viewer = ipc::kNoViewer;
  ipc::Seats::Taken seats;  // until the worker has shown that it has got what is in them
  ipc::Channel channel;
  net::Timer deadline;
};

WorkerTable::WorkerTable(net::Loop& loop, Answer answer, PortFree port_free, Empty empty)
    : loop_(loop),
      answer_(std::move(answer)),
      port_free_(std::move(port_free)),
      empty_(std::move(empty)),
      reap_leaving_(loop, [this] { reap_leaving(); }),
      sweep_(loop, [this] { sweep(); }) {}

WorkerTable::~WorkerTable() = default;

base::Result<base::Fd> WorkerTable::open(Forwarding forwarding) {
  auto pair = base::socket_pair(SOCK_SEQPACKET);
  if (!pair) return std::move(pair.error());
  const uint32_t id = forwarding.id;
  auto record = std::make_unique<Record>(*this, std::move(forwarding), std::move(pair->first));
  record->deadline.start_among_many(record->forwarding.start_deadline);
  records_.emplace(id, std::move(record));
  return std::move(pair->second);
}

void WorkerTable::forked(uint32_t id, pid_t pid, ipc::Seats::Taken seats) {
  Record& record = *records_.at(id);
  record.pid = pid;
  record.seats = std::move(seats);
  by_pid_.emplace(pid, id);
}

void WorkerTable::fork_failed(uint32_t id, const std::string& why) {
  Record& record = *records_.at(id);
  fail(record, FailureCode::busy, why);
  record.channel_open = false;
  erase_if_gone(record);
}

// ---- what workers say

void WorkerTable::received(Record& record, const ipc::Message& message) {
  record.seats = {};
  std::visit([this, &record](const auto& content) { take(record, content); }, message);
}

void WorkerTable::take(Record& record, const ipc::Ready&) {
  if (record.state != State::starting) return violation(record, "Ready");
  record.state = State::waiting;
  record.deadline.start_among_many(record.forwarding.viewer_deadline);
  base::log_info("F%u New forwarding: %s", record.forwarding.id, record.forwarding.what.c_str());
  if (answer_(record.forwarding.id, std::nullopt)) return;
  base::log_warning("F%u the control client left before its answer", record.forwarding.id);
  kill(record);
}

void WorkerTable::take(Record& record, const ipc::Refused& refused) {
  if (record.state != State::starting) return violation(record, "Refused");
  fail(record, refused.code, one_line(refused.reason));
}

void WorkerTable::take(Record& record, const ipc::Authenticated& authenticated) {
  if (record.state != State::waiting) return violation(record, "Authenticated");
  record.state = State::live;
  record.deadline.stop();
  record.viewer = one_line(authenticated.viewer);
  release_port(record);
  base::log_info("F%u viewer %s authenticated", record.forwarding.id, record.viewer.c_str());
}

void WorkerTable::take(Record& record, const ipc::Ended& ended) {
  if (record.state != State::waiting && record.state != State::live) return violation(record, "Ended");
  record.state = State::ending;
  record.deadline.start_among_many(std::chrono::seconds(1));
  base::log_info("F%u %s", record.forwarding.id, one_line(summary(ended, record.viewer)).c_str());
}

void WorkerTable::take(Record&, const ipc::Log& log) {
  base::log_line(log.level, one_line(log.text));
}

void WorkerTable::take(Record& record, const ipc::Stop&) {
  violation(record, "Stop");
}

void WorkerTable::violation(Record& record, const char* what) {
  base::log_error("F%u worker %d broke the order of messages (%s)", record.forwarding.id, record.pid, what);
  if (record.state == State::starting) fail(record, FailureCode::internal, "the worker failed");
  kill(record);
}

// ---- how workers end

void WorkerTable::lost(Record& record, const base::Error& error) {
  if (error.code != base::ErrorCode::closed)
    base::log_error("F%u worker %d: %s", record.forwarding.id, record.pid, error.detail.c_str());
  record.channel_open = false;
  if (record.state == State::starting) fail(record, FailureCode::internal, "the worker ended unexpectedly");
  if (record.state != State::ending) base::log_warning("F%u ended: the worker is gone", record.forwarding.id);
  kill(record);  // one that lives without a channel is out of control; for one that exits it comes too late
                 // to matter
  release_port(record);
  if (record.pid != 0) {
    leaving_.push_back(record.pid);
    reap_leaving_.start(std::chrono::milliseconds(0));
  }
  erase_if_gone(record);
}

// Who exits has lost its channel before, so nearly all are known by then, and asking for one of them costs
// the same among ten workers as among thousands. To ask for any child, the kernel looks at each of them.
void WorkerTable::reap() {
  reap_leaving();
  if (!std::exchange(sweep_waits_, true)) sweep_.start(kSweep);
}

void WorkerTable::reap_leaving() {
  bool any = false;
  for (size_t count = std::min(leaving_.size(), kReapedPerTurn); count > 0; --count) {
    const pid_t pid = leaving_.front();
    leaving_.pop_front();
    int status = 0;
    const pid_t found = ::waitpid(pid, &status, WNOHANG);
    if (found == 0) leaving_.push_back(pid);  // on its way out: another SIGCHLD tells
    if (found != pid) continue;
    any = true;
    reaped(pid, status);
  }
  if (any && !leaving_.empty()) reap_leaving_.start(std::chrono::milliseconds(0));
}

// What is left: a worker whose channel somebody else has too, and children that are none.
void WorkerTable::sweep() {
  sweep_waits_ = false;
  for (size_t i = 0; i < kReapedPerTurn; ++i) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    reaped(pid, status);
  }
  sweep_waits_ = true;
  sweep_.start(std::chrono::milliseconds(0));
}

void WorkerTable::reaped(pid_t pid, int status) {
  const auto at = by_pid_.find(pid);
  if (at == by_pid_.end()) return;
  Record& record = *records_.at(at->second);
  by_pid_.erase(at);
  record.pid = 0;
  record.seats = {};
  if (WIFSIGNALED(status) && record.state != State::ending)
    base::log_error("F%u worker %d died of signal %d (%s)", record.forwarding.id, pid, WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
  // What it had said before is still in the channel; its port need not wait for that.
  if (record.state != State::starting) release_port(record);
  erase_if_gone(record);
}

void WorkerTable::out_of_time(Record& record) {
  if (record.state == State::starting) {
    // A worker ends each of its steps in time but the first: the resolver blocks.
    fail(record, FailureCode::backend_timeout, "the backend did not answer in time (step: resolving)");
  } else if (record.state != State::ending) {
    base::log_error("F%u worker %d overran its time", record.forwarding.id, record.pid);
  }
  kill(record);
}

void WorkerTable::fail(Record& record, FailureCode code, std::string reason) {
  record.state = State::ending;
  record.deadline.start_among_many(std::chrono::seconds(1));
  release_port(record);
  base::log_warning("F%u FAILED forwarding: %s: %s", record.forwarding.id, record.forwarding.what.c_str(),
                    reason.c_str());
  answer_(record.forwarding.id, Failure{code, std::move(reason)});
}

void WorkerTable::release_port(Record& record) {
  if (std::exchange(record.has_port, false)) port_free_(record.forwarding.port);
}

void WorkerTable::kill(Record& record) {
  record.seats = {};
  if (record.pid > 0) ::kill(record.pid, SIGKILL);
}

void WorkerTable::erase_if_gone(Record& record) {
  if (record.channel_open || record.pid != 0) return;
  release_port(record);
  records_.erase(record.forwarding.id);
  if (records_.empty()) empty_();
}

void WorkerTable::stop_all(std::chrono::milliseconds grace) {
  for (const auto& [id, record] : records_) record->channel.send(ipc::Stop{grace});
}

void WorkerTable::kill_all() {
  for (const auto& [id, record] : records_) kill(*record);
}

}  // namespace vncauthproxy::master
