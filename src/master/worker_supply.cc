// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/worker_supply.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/ipc/packet.h"

namespace vncauthproxy::master {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

constexpr std::chrono::milliseconds kRetry{1000};
constexpr const char* kLongChain = "the certificate's chain is too long";

// Whether `pid` is a child of this process that nobody has waited for: then it is no other's.
bool is_own_child(pid_t pid) {
  siginfo_t info;
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

WorkerSupply::WorkerSupply(net::Loop& loop, StartNursery start_nursery, unsigned spares, Events events)
    : loop_(loop),
      start_nursery_(std::move(start_nursery)),
      wanted_spares_(spares),
      events_(std::move(events)),
      retry_(loop, [this] {
        if (channel_) return top_up();
        auto started = start();
        if (started) return;
        base::log_error("cannot start the nursery: %s", started.error().detail.c_str());
        retry_.start(kRetry);
      }) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
    base::log_warning("workers of a nursery that dies will not be this daemon's children: %s",
                      std::strerror(errno));
}

WorkerSupply::~WorkerSupply() = default;

Result<void> WorkerSupply::use(ipc::Settings settings) {
  settings.number = settings_.number + 1;
  std::vector<uint8_t> room(ipc::kMaxLongBytes);
  if (!ipc::encode(settings, room)) return Error{ErrorCode::too_large, kLongChain};
  settings_ = std::move(settings);
  if (!channel_) return number_ == 0 ? start() : Result<void>();  // else the next one gets them
  spares_.clear();                                                // a spare ends when its channel does
  if (auto sent = send_settings(); !sent)
    lost("it cannot be told new settings: " + sent.error().detail);  // and is started again with them
  else
    top_up();
  return {};
}

Result<void> WorkerSupply::start() {
  auto ends = base::socket_pair(SOCK_SEQPACKET);
  if (!ends) return ends.error();
  auto pid = start_nursery_(ends->second);
  if (!pid) return pid.error();
  pid_ = *pid;
  ++number_;
  started_ = base::Clock::now();
  channel_ = std::move(ends->first);
  readable_ =
      std::make_unique<net::Watch>(loop_, channel_.get(), net::Watch::For::reading, [this] { readable(); });
  writable_ = std::make_unique<net::Watch>(loop_, channel_.get(), net::Watch::For::writing,
                                           [this] { write_queued(); });
  readable_->arm();
  if (auto sent = send_settings(); !sent) return sent;
  top_up();
  return {};
}

Result<void> WorkerSupply::send_settings() {
  std::vector<uint8_t> room(ipc::kMaxLongBytes);
  auto packet = ipc::encode(settings_, room);
  if (!packet) return Error{ErrorCode::too_large, kLongChain};
  return ipc::send_packet(channel_.get(), *packet);
}

// ---- what the nursery says

void WorkerSupply::readable() {
  std::array<uint8_t, ipc::kMaxMessageBytes + 1> room;
  auto packet = ipc::receive_packet(channel_.get(), room);
  if (!packet && packet.error().code == ErrorCode::exhausted) return;
  if (!packet) return lost(packet.error().detail);
  auto message = ipc::decode(base::Bytes(room).first(packet->size));
  if (!message) return lost(message.error().detail);
  if (!ipc::may_arrive(*message, ipc::kMasterOfNursery))
    return lost("unexpected message " + std::string(ipc::name_of(*message)));
  take(*message, std::move(packet->descriptors));
}

void WorkerSupply::take(const ipc::Message& message, std::vector<base::Fd> descriptors) {
  if (const auto* one = std::get_if<ipc::Born>(&message)) return born(*one, std::move(descriptors));
  if (const auto* log = std::get_if<ipc::Log>(&message)) return base::log_line(log->level, log->text);
  if (const auto* died = std::get_if<ipc::Died>(&message)) {
    std::erase_if(spares_, [pid = died->pid](const Spare& spare) { return spare.pid == pid; });
    condemned_.erase(died->pid);
    events_.ended(died->pid, died->status);
    return top_up();
  }
  if (const auto* failed = std::get_if<ipc::NotBorn>(&message)) {
    if (under_way_ > 0) --under_way_;
    if (waiting_ > 0) return events_.not_born(failed->error);
    if (std::exchange(fork_error_, failed->error) != failed->error)  // else it was told a second ago
      base::log_warning("cannot fork a spare worker: %s", std::strerror(failed->error));
    retry_.start(kRetry);
  }
}

void WorkerSupply::born(const ipc::Born& born, std::vector<base::Fd> descriptors) {
  if (under_way_ > 0) --under_way_;
  fork_error_ = 0;
  if (descriptors.size() != 1) return top_up();
  if (born.settings == settings_.number) {
    spares_.push_back({born.pid, std::move(descriptors[0]), number_});
    events_.spare_ready();
  }
  top_up();
}

// The nursery is gone or talks nonsense. Its spares go; its workers live on, as children of this process.
void WorkerSupply::lost(const std::string& why) {
  base::log_error("the nursery ended (%s), starting it again", why.c_str());
  readable_.reset();
  writable_.reset();
  channel_.reset();
  queued_.clear();
  spares_.clear();
  under_way_ = 0;
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);  // ours until reap() has seen its end
    dying_.insert(std::exchange(pid_, 0));
  }
  const auto lived = base::Clock::now() - started_;
  retry_.start(lived < kRetry ? kRetry : std::chrono::milliseconds(0));
}

// ---- what it is told

void WorkerSupply::top_up() {
  if (!channel_) return;
  const size_t wanted = wanted_spares_ + waiting_;
  const size_t there = spares_.size() + under_way_;
  if (there >= wanted) return;
  const auto count = static_cast<uint32_t>(wanted - there);
  under_way_ += count;
  send(ipc::Fork{count});
}

std::optional<Spare> WorkerSupply::take() {
  if (spares_.empty()) return std::nullopt;
  Spare spare = std::move(spares_.back());
  spares_.pop_back();
  return spare;
}

void WorkerSupply::set_waiting(size_t requests) {
  waiting_ = requests;
  top_up();
}

void WorkerSupply::kill(pid_t pid, uint32_t nursery) {
  if (pid <= 0) return;
  condemned_.insert(pid);
  if (nursery == number_ && channel_) return send(ipc::Kill{pid});
  kill_own(pid);
}

// Of a nursery that died. As long as that one was not reaped its children are not all ours yet.
void WorkerSupply::kill_own(pid_t pid) {
  if (is_own_child(pid)) ::kill(pid, SIGKILL);
}

// It may have died before it read whom to kill.
void WorkerSupply::nursery_reaped() {
  for (const pid_t pid : condemned_) kill_own(pid);
}

void WorkerSupply::kill_all() {
  if (channel_) send(ipc::Kill{0});
}

void WorkerSupply::send(const ipc::Message& message) {
  queued_.push_back(ipc::encode(message));
  write_queued();
}

void WorkerSupply::write_queued() {
  while (!queued_.empty()) {
    auto sent = ipc::send_packet(channel_.get(), queued_.front().content());
    if (!sent && sent.error().code == ErrorCode::exhausted) break;
    queued_.pop_front();  // a nursery that is gone shows itself at the next read
  }
  writable_->arm(!queued_.empty());
}

void WorkerSupply::reap() {
  int status = 0;
  for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
    if (pid == pid_ || dying_.erase(pid) != 0) {
      if (pid == pid_) pid_ = 0;
      nursery_reaped();
      continue;
    }
    condemned_.erase(pid);
    events_.ended(pid, status);
  }
}

}  // namespace vncauthproxy::master
