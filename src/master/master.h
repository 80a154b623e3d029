// SPDX-License-Identifier: GPL-2.0-or-later
// The master: wires the control port, the users, the ports, the forwardings and the workers, and minds the
// signals.
#pragma once

#include <string>
#include <vector>

#include "master/broker.h"
#include "master/control_server.h"
#include "master/flash_policy.h"
#include "master/forwardings.h"
#include "master/login.h"
#include "master/port_pool.h"
#include "master/startup.h"
#include "master/worker_supply.h"
#include "vncauthproxy/config/options.h"
#include "vncauthproxy/net/loop.h"

namespace vncauthproxy::master {

class Master {
 public:
  // `options` is a loan for the life of this object.
  Master(const config::Options& options, Prepared prepared, WorkerSupply::StartNursery start_nursery);

  base::Result<void> start();  // the nursery
  void run() { loop_.run(); }  // until the daemon was told to end and all workers are gone

 private:
  void reload();
  base::Result<void> reload_certificate();
  void look_at_certificate();
  void check_expiry_daily();
  void terminate();
  void kill_all();

  const config::Options& options_;
  net::Loop loop_;
  Login login_;
  Certificates certificates_;
  std::string proxy_address_;
  base::Fd web_;
  PortPool ports_;
  WorkerSupply workers_;
  Forwardings forwardings_;
  Broker broker_;
  ControlServer control_;
  FlashPolicy flash_policy_;
  std::vector<net::SocketFile> socket_files_;
  ReloadStatus reload_status_;
  bool ending_ = false;
  net::Signal child_, terminate_, interrupt_, hangup_;
  net::Timer shutdown_timer_;
  net::Timer certificate_timer_;
};

}  // namespace vncauthproxy::master
