// SPDX-License-Identifier: GPL-2.0-or-later
// One record per forwarding: what was asked for, who waits for the answer, its port, its state, its worker.
// Consumes what the workers say, as hostile input: a message out of its order costs that worker its life. The
// end of the channel or of the process, whichever is seen first, gives the port back.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "master/port_pool.h"
#include "master/worker_supply.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/ipc/channel.h"
#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::master {

struct Forwarding {
  enum class State : uint8_t {
    starting,  // until the backend is reached; without a worker as long as there is no spare
    waiting,   // for its viewer
    live,
    ending
  };

  explicit Forwarding(net::Loop& loop, net::Callback out_of_time) : deadline(loop, std::move(out_of_time)) {}

  uint32_t id = 0;
  State state = State::starting;

  uint64_t control_conn = 0;   // who waits for the answer; 0: nobody any more
  proto::Request request;      // its secrets are wiped once a worker has them
  base::Secret made_password;  // the viewer's, if the proxy chose it; until the answer
  std::string warning;         // for the reply
  std::chrono::milliseconds server_timeout{}, connect_timeout{}, auth_timeout{};  // as granted
  std::chrono::milliseconds viewer_time{};  // from Ready to Authenticated; then the worker is killed

  uint16_t port = 0;
  bool has_port = false;
  Lease lease;  // its listeners, until a worker has them

  pid_t pid = 0;                          // of the worker; 0: none yet, or reaped
  uint32_t nursery = 0;                   // which one forked it
  std::unique_ptr<ipc::Channel> channel;  // null: none yet, or lost
  std::string viewer = ipc::kNoViewer;
  net::Timer deadline;
};

class Forwardings {
 public:
  struct Events {
    // The answer the control client waits for: nullopt is success. False: it is gone, and the forwarding of
    // no use.
    std::function<bool(Forwarding& forwarding, const std::optional<proto::Failure>& failure)> answer;
    std::function<void(uint16_t port)> port_free;
    std::function<void(pid_t pid, uint32_t nursery)> kill;
    std::function<void()> empty;
  };
  Forwardings(net::Loop& loop, Events events);
  ~Forwardings();

  // A new record in state starting, whose deadline for Ready begins now.
  Forwarding& add(uint32_t id, std::chrono::milliseconds start_deadline);
  Forwarding* find(uint32_t id);  // null: it is over
  // Gives it a worker: sends the packet with its descriptors. False: the spare is gone, try another.
  bool hand_over(Forwarding& forwarding, Spare spare, base::Bytes packet, std::span<const int> descriptors);
  // Answers with a failure; the record goes now, or with its worker.
  void refuse(Forwarding& forwarding, proto::FailureCode code, std::string reason);
  // A worker was reaped.
  void worker_ended(pid_t pid, int status);

  void stop_all(std::chrono::milliseconds grace);
  void kill_all();
  size_t size() const { return records_.size(); }

 private:
  void received(Forwarding& forwarding, const ipc::Message& message);
  void take(Forwarding& forwarding, const ipc::Ready& ready);
  void take(Forwarding& forwarding, const ipc::Refused& refused);
  void take(Forwarding& forwarding, const ipc::Authenticated& authenticated);
  void take(Forwarding& forwarding, const ipc::Ended& ended);
  void take(Forwarding& forwarding, const ipc::Log& log);
  template <typename Other>
  void take(Forwarding&, const Other&) {}  // the table lets none of these through
  void lost(Forwarding& forwarding, const base::Error& error);
  void out_of_time(Forwarding& forwarding);
  void violation(Forwarding& forwarding, std::string_view message);
  void release_port(Forwarding& forwarding);
  void kill(Forwarding& forwarding);
  void erase_if_gone(Forwarding& forwarding);

  net::Loop& loop_;
  Events events_;
  std::unordered_map<uint32_t, std::unique_ptr<Forwarding>> records_;
  std::unordered_map<pid_t, uint32_t> by_pid_;
};

}  // namespace vncauthproxy::master
