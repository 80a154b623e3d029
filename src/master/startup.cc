// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/startup.h"

#include <fcntl.h>
#include <utility>

#include "master/own_name.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/proto/vnc_auth.h"
#include "vncauthproxy/proto/ws_upgrade.h"

namespace vncauthproxy::master {
namespace {

using base::Options;
using base::Result;

std::string advertised_address(const Options& options) {
  if (!options.proxy_address.empty()) return options.proxy_address;
  if (!means_everywhere(options.proxy_listen_address)) return options.proxy_listen_address;
  NameForViewers own = name_for_viewers(look_up_own_names());
  if (!own.warning.empty()) base::log_warning("%s", own.warning.c_str());
  return std::move(own.name);
}

// A missing file is no reason not to start: users may be added later. At a reload it is an error, and those
// that were read before stay.
Result<base::Users> load_first_users(const Options& options, uid_t owner) {
  auto users = base::Users::load(options.auth_file, owner);
  if (users || users.error().code != base::ErrorCode::missing) return users;
  base::log_warning("%s: every login will be refused", users.error().detail.c_str());
  return base::Users();
}

}  // namespace

bool means_everywhere(const std::string& address) {
  for (const char* any : {"", "*", "0.0.0.0", "::", "::0"})
    if (address == any) return true;
  return false;
}

Result<Prepared> prepare(const Options& options, uid_t owner) {
  Prepared prepared;
  net::use_wiping_tls_allocator();
  if (auto cipher = proto::prepare_vnc_auth(); !cipher) return std::move(cipher.error());
  proto::prepare_ws_upgrade();
  proto::use_wiping_json_allocator();
  auto certificates = load_certificates(options, owner);
  if (!certificates) return std::move(certificates.error());
  prepared.certificates = std::move(*certificates);
  if (!options.web.empty()) {
    prepared.web = base::Fd(::open(options.web.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!prepared.web) return base::system_error(("web " + options.web).c_str());
  }
  auto users = load_first_users(options, owner);
  if (!users) return std::move(users.error());
  prepared.users = std::move(*users);

  auto forwarding = base::resolve(options.proxy_listen_address, "0", base::ResolveFor::listen);
  if (!forwarding) return std::move(forwarding.error());
  prepared.forwarding_endpoints = std::move(*forwarding);
  prepared.proxy_address = advertised_address(options);
  return prepared;
}

}  // namespace vncauthproxy::master
