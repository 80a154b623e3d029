// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/master.h"

#include <signal.h>
#include <unistd.h>

#include <utility>

#include "master/readable.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/tls.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::master {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using config::Options;
using std::chrono::milliseconds;

constexpr milliseconds kShutdownGrace{2000};
constexpr milliseconds kShutdownKillAfter{3000};

// The worker's log lines go through the master; these are for a worker whose master is gone.
ipc::Settings nursery_settings(const Options& options, const Certificates& certificates) {
  ipc::Settings settings;
  settings.debug = options.debug;
  settings.log = options.log;
  if (certificates.viewers)
    settings.tls = {net::chain_text(certificates.viewers), options.tls_min_version, options.tls_ciphers,
                    options.tls_ciphersuites};
  return settings;
}

// This process is the user that has to read the file: what keeps it from that, and what mends it.
Error with_remedy(Error error, const std::string& file) {
  if (error.code != ErrorCode::denied || !error.detail.starts_with(base::escape(file) + ":")) return error;
  const std::string why = unreadable_for({::geteuid(), ::getegid()}, file);
  if (!why.empty()) error.detail += "; " + why;
  return error;
}

}  // namespace

Master::Master(const Options& options, Prepared prepared, WorkerSupply::StartNursery start_nursery)
    : options_(options),
      login_(std::move(prepared.users), options.exempt_networks),
      certificates_(std::move(prepared.certificates)),
      proxy_address_(std::move(prepared.proxy_address)),
      web_(std::move(prepared.web)),
      ports_(std::move(prepared.forwarding_endpoints), options.min_port, options.max_port),
      workers_(loop_, std::move(start_nursery), options.spare_workers,
               {[this] { broker_.spare_ready(); }, [this](int error) { broker_.not_born(error); },
                [this](pid_t pid, int status) { forwardings_.worker_ended(pid, status); }}),
      forwardings_(loop_, {[this](Forwarding& forwarding, const std::optional<proto::Failure>& failure) {
                             return broker_.answer(forwarding, failure);
                           },
                           [this](uint16_t port) { ports_.give_back(port); },
                           [this](pid_t pid, uint32_t nursery) { workers_.kill(pid, nursery); },
                           [this] {
                             if (ending_) loop_.stop();
                           }}),
      broker_(options, certificates_, proxy_address_, web_, ports_, forwardings_, workers_,
              [this](uint64_t conn, const proto::Reply& reply) { return control_.reply(conn, reply); }),
      control_(loop_, std::move(prepared.listeners.control), login_,
               certificates_.legacy ? &certificates_.legacy : &certificates_.viewers, limits_of(options),
               [this](uint64_t conn, const std::string& who, proto::Request request) {
                 broker_.requested(conn, who, std::move(request));
               }),
      flash_policy_(loop_, std::move(prepared.listeners.flash_policy), options.min_port, options.max_port),
      socket_files_(std::move(prepared.listeners.files)),
      reload_status_(std::move(prepared.reload_status)),
      child_(loop_, SIGCHLD, [this] { workers_.reap(); }),
      terminate_(loop_, SIGTERM, [this] { terminate(); }),
      interrupt_(loop_, SIGINT, [this] { terminate(); }),
      hangup_(loop_, SIGHUP, [this] { reload(); }),
      shutdown_timer_(loop_, [this] { kill_all(); }),
      certificate_timer_(loop_, [this] { check_expiry_daily(); }) {
  for (const std::string& line : prepared.listeners.announcements) base::log_info("%s", line.c_str());
  if (certificates_.legacy)
    base::log_warning("control-tls-legacy: control clients may use TLS 1.0 and 1.1, which are broken");
  if (options.vncap_insecure && !options.vncap_listen.empty())
    base::log_warning("vncap-insecure: whoever reaches vncap-listen can have any VNC server opened");
  certificate_timer_.start(std::chrono::hours(24));
}

Result<void> Master::start() {
  return workers_.use(nursery_settings(options_, certificates_));
}

// ---- signals

void Master::reload() {
  base::log_info("Reloading");
  std::vector<std::string> faults;
  const auto complain = [&faults](const char* what, const Error& error) {
    faults.push_back(what + (": " + error.detail));
    base::log_error("%s", faults.back().c_str());
  };
  if (auto log = base::reopen_log(); !log) complain("the old log stays in use", log.error());
  auto users = users::Users::load(options_.auth_file);
  if (!users)
    complain("the old users stay in force", with_remedy(std::move(users.error()), options_.auth_file));
  auto read = reload_certificate();
  if (!read) complain("the old certificate stays in force", read.error());
  // Before users are moved away.
  base::log_info("Reloaded: %s",
                 describe(users ? &*users : nullptr, read ? &certificates_ : nullptr).c_str());
  if (users) login_.replace(std::move(*users));
  if (read) look_at_certificate();
  reload_status_.tell(faults);
}

Result<void> Master::reload_certificate() {
  auto read = load_certificates(options_, ::geteuid());
  if (!read) {
    Error error = with_remedy(std::move(read.error()), options_.cert_file);
    return with_remedy(std::move(error), options_.key_file);
  }
  if (!read->viewers && certificates_.viewers) return Error{ErrorCode::invalid, "the new one is missing"};
  if (auto used = workers_.use(nursery_settings(options_, *read)); !used) return used;
  certificates_ = std::move(*read);
  return {};
}

void Master::look_at_certificate() {
  Findings findings;
  find_certificate_faults(certificates_, options_, proxy_address_, findings);
  find_expiry(certificates_, options_, findings);
  log_findings(findings);
}

void Master::check_expiry_daily() {
  certificate_timer_.start(std::chrono::hours(24));
  Findings findings;
  find_expiry(certificates_, options_, findings);
  log_findings(findings);
}

void Master::terminate() {
  if (std::exchange(ending_, true)) return kill_all();  // told twice: now
  base::log_info("shutting down, %zu forwardings open", forwardings_.size());
  control_.stop_listening();
  flash_policy_.stop_listening();
  for (net::SocketFile& file : socket_files_)
    if (auto removed = file.remove(); !removed) base::log_warning("%s", removed.error().detail.c_str());
  reload_status_.remove();
  broker_.stop();
  if (forwardings_.size() == 0) return loop_.stop();
  forwardings_.stop_all(kShutdownGrace);
  shutdown_timer_.start(kShutdownKillAfter);
}

void Master::kill_all() {
  forwardings_.kill_all();
  workers_.kill_all();
  loop_.stop();
}

}  // namespace vncauthproxy::master
