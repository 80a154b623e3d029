// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/startup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "master/own_name.h"
#include "master/readable.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/listener.h"
#include "vncauthproxy/proto/vnc_auth.h"
#include "vncauthproxy/proto/ws_upgrade.h"

namespace vncauthproxy::master {
namespace {

using config::Options;

constexpr const char* kFirstPage = "vnc.html";

std::string advertised_address(const Options& options, Findings& findings) {
  if (!options.proxy_address.empty()) return options.proxy_address;
  if (!means_everywhere(options.proxy_listen_address)) return options.proxy_listen_address;
  NameForViewers own = name_for_viewers(look_up_own_names());
  if (!own.warning.empty()) findings.add(Severity::warning, own.warning);
  return std::move(own.name);
}

// A missing file is no reason not to start: users may be added later. At a reload it is an error, and those
// that were read before stay.
users::Users load_first_users(const Options& options, uid_t owner, Findings& findings) {
  auto users = users::Users::load(options.auth_file, owner);
  if (users) return std::move(*users);
  const bool missing = users.error().code == base::ErrorCode::missing;
  findings.add(missing ? Severity::warning : Severity::fatal,
               options.where("auth-file") + ": " + users.error().detail +
                   (missing ? ": every login will be refused" : ""));
  return {};
}

Certificates load_first_certificates(const Options& options, uid_t owner, Findings& findings) {
  auto algorithms =
      net::check_algorithms({"", options.tls_min_version, options.tls_ciphers, options.tls_ciphersuites});
  if (!algorithms) {
    const std::string& detail = algorithms.error().detail;  // begins with the option
    const size_t end = std::min(detail.find(':'), detail.size());
    findings.add(Severity::fatal, options.where(detail.substr(0, end)) + detail.substr(end));
    return {};
  }
  auto certificates = load_certificates(options, owner);
  if (certificates) return std::move(*certificates);
  findings.add(Severity::fatal, certificates.error().detail);
  return {};
}

base::Fd open_web(const Options& options, Findings& findings) {
  if (options.web.empty()) return {};
  base::Fd folder(::open(options.web.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string name = options.where("web") + ": " + base::escape(options.web);
  if (!folder)
    findings.add(Severity::fatal, base::system_error(errno, {name}).detail);
  else if (::faccessat(folder.get(), kFirstPage, F_OK, 0) != 0)
    findings.add(Severity::warning, name + " holds no " + kFirstPage + ", to which the url of a reply leads");
  return folder;
}

std::vector<base::Endpoint> find_viewer_addresses(const Options& options, Findings& findings) {
  const std::string where = options.where("proxy-listen-address") + ": ";
  auto endpoints = base::resolve(options.proxy_listen_address, "0", base::ResolveFor::listen);
  if (!endpoints) {
    findings.add(Severity::fatal, where + endpoints.error().detail);
    return {};
  }
  if (auto there = net::check_listen(*endpoints, 0); !there)
    findings.add(Severity::fatal, where + there.error().detail);
  return std::move(*endpoints);
}

// Not a reason not to start: all is well until the first reload.
void find_unreadable(const Options& options, const base::Identity& identity, bool has_certificate,
                     Findings& findings) {
  std::vector<const std::string*> files = {&options.auth_file};
  if (has_certificate) files.insert(files.end(), {&options.cert_file, &options.key_file});
  for (const std::string* file : files) {
    const std::string why = unreadable_for(identity, *file);
    if (!why.empty())
      findings.add(Severity::warning,
                   "a reload (SIGHUP) will not take a new " + base::escape(*file) + ": " + why);
  }
  if (options.web.empty()) return;
  if (const std::string why = unreadable_for(identity, options.web + "/" + kFirstPage); !why.empty())
    findings.add(Severity::warning, "browsers will get no pages: " + why);
}

}  // namespace

bool means_everywhere(const std::string& address) {
  for (const char* any : {"", "*", "0.0.0.0", "::", "::0"})
    if (address == any) return true;
  return false;
}

Prepared prepare(const Options& options, const std::optional<base::Identity>& identity, Findings& findings) {
  Prepared prepared;
  net::use_wiping_tls_allocator();
  if (auto cipher = proto::prepare_vnc_auth(); !cipher) findings.add(Severity::fatal, cipher.error().detail);
  proto::prepare_ws_upgrade();
  proto::use_wiping_json_allocator();
  const uid_t owner = identity ? identity->uid : ::geteuid();
  prepared.certificates = load_first_certificates(options, owner, findings);
  prepared.web = open_web(options, findings);
  prepared.users = load_first_users(options, owner, findings);
  prepared.forwarding_endpoints = find_viewer_addresses(options, findings);
  prepared.proxy_address = advertised_address(options, findings);
  if (!findings.has(Severity::fatal)) {
    find_certificate_faults(prepared.certificates, options, prepared.proxy_address, findings);
    find_expiry(prepared.certificates, options, findings);
  }
  if (identity && identity->uid != 0)
    find_unreadable(options, *identity, static_cast<bool>(prepared.certificates.viewers), findings);
  return prepared;
}

std::string describe(const users::Users* users, const Certificates* certificates) {
  std::string text;
  if (users != nullptr) text = std::to_string(users->size()) + (users->size() == 1 ? " user" : " users");
  const std::string certificate = certificates != nullptr ? describe(*certificates) : "";
  if (!certificate.empty()) text += (text.empty() ? "" : "; ") + certificate;
  return text.empty() ? "nothing" : text;
}

}  // namespace vncauthproxy::master
