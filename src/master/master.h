// SPDX-License-Identifier: GPL-2.0-or-later
// The master: owns the control port, the users, the ports and the table of workers, and the signals. It never
// forks itself: run() returns what the next worker is to receive, so that the fork happens on a flat stack.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "master/control_server.h"
#include "master/flash_policy.h"
#include "master/forwarding_number.h"
#include "master/login.h"
#include "master/port_pool.h"
#include "master/startup.h"
#include "master/worker_table.h"
#include "vncauthproxy/base/options.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::master {

class Master {
 public:
  Master(const base::Options& options, Prepared prepared);

  // For control clients, before run() and after base::share_written_once(): makes objects of the keys, which
  // a worker can erase then; see tls_secrets().
  void unlock_keys();
  // The next worker to fork, or nullopt: the daemon was told to end and all workers are gone.
  std::optional<ipc::Handover> run();
  void forked(uint32_t id, pid_t pid, ipc::Seats::Taken seats) { workers_.forked(id, pid, std::move(seats)); }
  void fork_failed(uint32_t id, int error);
  // What a worker would inherit of the master's secrets: the rest is in memory that no child gets.
  net::TlsSecrets tls_secrets() const;

 private:
  void requested(uint64_t conn, const std::string& who, proto::Request request);
  std::chrono::milliseconds server_timeout(const proto::Request& request) const;
  std::chrono::milliseconds connect_timeout(const proto::Request& request) const;
  std::chrono::milliseconds auth_timeout(const proto::Request& request) const;
  std::string warning(const proto::Request& request) const;
  std::chrono::milliseconds longest_wait(const proto::Request& request) const;
  bool answer(uint32_t id, const std::optional<proto::Failure>& failure);
  ipc::Handover hand_over(uint32_t id, proto::Request request, Lease lease, base::Fd channel) const;
  std::string page_url(proto::ViewerType type, uint16_t port) const;
  void reload();
  base::Result<void> reload_certificate();
  void check_certificate();
  void terminate();

  struct Asked {
    uint64_t conn;
    proto::ViewerType type;
    uint16_t port;
    base::Secret made_password;  // empty: the control client chose it
    std::string warning;         // for the reply
  };

  const base::Options& options_;
  net::Loop loop_;
  Login login_;
  Certificates certificates_;
  std::string proxy_address_;
  base::Fd web_;
  PortPool ports_;
  WorkerTable workers_;
  ControlServer control_;
  FlashPolicy flash_policy_;
  std::vector<net::SocketFile> socket_files_;
  std::unordered_map<uint32_t, Asked> asked_;  // forwardings whose control client waits for an answer
  std::vector<ipc::Handover> next_;
  uint32_t next_id_ = first_forwarding_number(std::time(nullptr));
  bool ending_ = false;
  net::Signal child_, terminate_, interrupt_, hangup_;
  net::Timer last_call_;
  net::Timer certificate_timer_;
};

}  // namespace vncauthproxy::master
