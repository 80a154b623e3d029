// SPDX-License-Identifier: GPL-2.0-or-later
// The master's side of the nursery: starts it (again), keeps some spares ready, and knows who may kill whom.
// The nursery is the parent of all workers; when it dies, the master becomes theirs (PR_SET_CHILD_SUBREAPER).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/ipc/message.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::master {

struct Spare {
  pid_t pid = 0;
  base::Fd channel;      // the master's end
  uint32_t nursery = 0;  // the number of the nursery that forked it
};

class WorkerSupply {
 public:
  struct Events {
    std::function<void()> spare_ready;                 // take() has one
    std::function<void(int error)> not_born;           // a fork failed
    std::function<void(pid_t pid, int status)> ended;  // a worker or spare was reaped
  };
  // Starts a nursery whose end of the socket is `channel`, a loan, and returns its process number.
  using StartNursery = std::function<base::Result<pid_t>(const base::Fd& channel)>;
  // `spares`: how many are kept ready; 0: they are forked on demand.
  WorkerSupply(net::Loop& loop, StartNursery start_nursery, unsigned spares, Events events);
  ~WorkerSupply();

  // Starts the nursery with these settings, or gives new ones to the one that runs: spares with the old ones
  // are dismissed. Error: the nursery cannot be started.
  base::Result<void> use(ipc::Settings settings);

  // A spare, if there is one. set_waiting() follows.
  std::optional<Spare> take();
  // So many requests have no spare yet: that many are forked beside those that are kept ready.
  void set_waiting(size_t requests);

  // Only if that number is still the worker's.
  void kill(pid_t pid, uint32_t nursery);
  void kill_all();
  // After SIGCHLD: the nursery, and workers of one that died.
  void reap();

  size_t spares() const { return spares_.size(); }
  unsigned restarts() const { return number_ == 0 ? 0 : number_ - 1; }

 private:
  base::Result<void> start();
  void readable();
  void take(const ipc::Message& message, std::vector<base::Fd> descriptors);
  void born(const ipc::Born& born, std::vector<base::Fd> descriptors);
  void lost(const std::string& why);
  void top_up();
  void send(const ipc::Message& message);
  void write_queued();
  void kill_own(pid_t pid);
  void nursery_reaped();
  base::Result<void> send_settings();

  net::Loop& loop_;
  StartNursery start_nursery_;
  size_t wanted_spares_;
  Events events_;
  ipc::Settings settings_;

  base::Fd channel_;  // none: no nursery runs
  std::unique_ptr<net::Watch> readable_, writable_;
  std::deque<ipc::Packet> queued_;       // what the socket did not take yet
  pid_t pid_ = 0;                        // of the nursery that runs
  std::unordered_set<pid_t> dying_;      // nurseries before it, not reaped yet
  std::unordered_set<pid_t> condemned_;  // to be killed, and not reaped yet
  uint32_t number_ = 0;                  // of the nursery that runs; 0: none was started yet
  base::Clock::time_point started_;
  int fork_error_ = 0;  // of the last fork; 0: it was fine

  std::vector<Spare> spares_;
  size_t waiting_ = 0;    // requests without a spare
  size_t under_way_ = 0;  // forks that were asked for and not answered yet
  net::Timer retry_;      // after a failure: a fork, or the nursery's start
};

}  // namespace vncauthproxy::master
