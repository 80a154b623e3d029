// SPDX-License-Identifier: GPL-2.0-or-later
// One record per forwarding: its state, its port, its process. Consumes what the workers say, as hostile
// input: a message out of its order costs that worker its life. The end of the channel or of the process,
// whichever is seen first, gives the port back.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/ipc/channel.h"
#include "vncauthproxy/ipc/seats.h"
#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::master {

struct Forwarding {
  uint32_t id = 0;
  uint16_t port = 0;
  std::string what;                             // for the log: "*:25123 (client req'd: 0) -> node1:11000"
  std::chrono::milliseconds start_deadline{};   // for Ready
  std::chrono::milliseconds viewer_deadline{};  // for Authenticated, from Ready on
};

class WorkerTable {
 public:
  // The answer a control client waits for: nullopt is success. False: it is gone, and the forwarding of no
  // use.
  using Answer = std::function<bool(uint32_t id, const std::optional<proto::Failure>& failure)>;
  using PortFree = std::function<void(uint16_t port)>;
  using Empty = std::function<void()>;
  WorkerTable(net::Loop& loop, Answer answer, PortFree port_free, Empty empty);
  ~WorkerTable();

  // A new record, and the worker's end of its channel.
  base::Result<base::Fd> open(Forwarding forwarding);
  void forked(uint32_t id, pid_t pid, ipc::Seats::Taken seats);
  void fork_failed(uint32_t id, const std::string& why);
  // After SIGCHLD.
  void reap();
  void stop_all(std::chrono::milliseconds grace);
  void kill_all();
  size_t size() const { return records_.size(); }

 private:
  enum class State { starting, waiting, live, ending };
  struct Record;

  void received(Record& record, const ipc::Message& message);
  void take(Record& record, const ipc::Ready& ready);
  void take(Record& record, const ipc::Refused& refused);
  void take(Record& record, const ipc::Authenticated& authenticated);
  void take(Record& record, const ipc::Ended& ended);
  void take(Record& record, const ipc::Log& log);
  void take(Record& record, const ipc::Stop& stop);
  void lost(Record& record, const base::Error& error);
  void reap_leaving();
  void sweep();
  void reaped(pid_t pid, int status);
  void out_of_time(Record& record);
  void violation(Record& record, const char* what);
  void fail(Record& record, proto::FailureCode code, std::string reason);
  void release_port(Record& record);
  void kill(Record& record);
  void erase_if_gone(Record& record);

  net::Loop& loop_;
  Answer answer_;
  PortFree port_free_;
  Empty empty_;
  std::unordered_map<uint32_t, std::unique_ptr<Record>> records_;
  std::unordered_map<pid_t, uint32_t> by_pid_;
  std::deque<pid_t> leaving_;  // without a channel, and not reaped yet
  net::Timer reap_leaving_, sweep_;
  bool sweep_waits_ = false;
};

}  // namespace vncauthproxy::master
