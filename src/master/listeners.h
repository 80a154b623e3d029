// SPDX-License-Identifier: GPL-2.0-or-later
// All that the master listens on: control clients on TCP and at paths, each listener with what it may hear,
// and Flash players. Opened before privileges are dropped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "master/findings.h"
#include "master/running_daemon.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/identity.h"
#include "vncauthproxy/config/options.h"
#include "vncauthproxy/net/unix_socket.h"
#include "vncauthproxy/proto/request_reader.h"

namespace vncauthproxy::master {

struct ControlListener {
  base::Fd fd;
  proto::Speech speech;
  bool tls = false;
};

struct Listeners {
  std::vector<ControlListener> control;  // the control port first
  std::vector<base::Fd> flash_policy;
  std::vector<net::SocketFile> files;
  std::vector<std::string> announcements;  // for the log, once all is ready

  // Says in the log which it could not. Going, a Listeners leaves them: see net::SocketFile.
  void remove_files();
};

// Whether open_listeners() would succeed, as far as that can be known without listening. What `running` holds
// is free for the daemon that takes its place.
void check_listeners(const config::Options& options, const std::optional<base::Identity>& identity,
                     const RunningDaemon& running, Findings& findings);
// All that can be opened, and all that is wrong. Socket files belong to `identity`, where there is one; after
// something fatal, remove_files() takes back what was made.
void open_listeners(const config::Options& options, const std::optional<base::Identity>& identity,
                    Listeners& into, Findings& findings);

}  // namespace vncauthproxy::master
