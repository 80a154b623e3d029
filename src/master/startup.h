// SPDX-License-Identifier: GPL-2.0-or-later
// What the master reads and looks up before it drops privileges.
#pragma once

#include <string>
#include <vector>

#include "master/certificate.h"
#include "master/listeners.h"
#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/options.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/users.h"

namespace vncauthproxy::master {

struct Prepared {
  Listeners listeners;
  std::vector<base::Endpoint> forwarding_endpoints;
  base::Users users;
  Certificates certificates;
  std::string proxy_address;  // the name told to control clients
  base::Fd web;               // the folder of pages; none: no pages
};
// Errors are sentences for the operator. `owner` is the user the daemon will be: files of his are trusted as
// root's are. Opens no listeners.
base::Result<Prepared> prepare(const base::Options& options, uid_t owner);

// True for the texts of --proxy-listen-address that stand for all addresses of the machine.
bool means_everywhere(const std::string& address);

}  // namespace vncauthproxy::master
