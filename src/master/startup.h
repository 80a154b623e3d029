// SPDX-License-Identifier: GPL-2.0-or-later
// What the master reads and looks up before it drops privileges, and what it finds out about it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "master/certificate.h"
#include "master/findings.h"
#include "master/listeners.h"
#include "master/reload_status.h"
#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/identity.h"
#include "vncauthproxy/config/options.h"
#include "vncauthproxy/users/users.h"

namespace vncauthproxy::master {

struct Prepared {
  Listeners listeners;
  std::vector<base::Endpoint> forwarding_endpoints;
  users::Users users;
  Certificates certificates;
  std::string proxy_address;  // the name told to control clients
  base::Fd web;               // the folder of pages; none: no pages
  ReloadStatus reload_status;
};
// `identity` is whom the daemon will become, if it becomes anybody: files of that user are trusted as root's
// are, and have to be readable for it. Opens no listeners. Of what is fatal nothing is in the result.
Prepared prepare(const config::Options& options, const std::optional<base::Identity>& identity,
                 Findings& findings);

// "3 users; certificate of console.example.org until 2027-02-01", of what is there.
std::string describe(const users::Users* users, const Certificates* certificates);

// True for the texts of --proxy-listen-address that stand for all addresses of the machine.
bool means_everywhere(const std::string& address);

}  // namespace vncauthproxy::master
