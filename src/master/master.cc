// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/master.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/tls.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::master {
namespace {

using base::Error;
using base::ErrorCode;
using base::Options;
using base::Result;
using proto::Failure;
using proto::FailureCode;
using std::chrono::milliseconds;

// Beyond a worker's own deadlines, for a machine under load; then it is killed.
constexpr milliseconds kSlack{1000};
// A viewer accepted in the last moment may take its steps before the time for its response begins.
constexpr milliseconds kViewerSteps{30000};
constexpr milliseconds kGrace{2000};
constexpr milliseconds kLastCall{3000};

// What a request asks for, but no more than the daemon allows.
milliseconds capped(milliseconds asked, milliseconds allowed) {
  return asked.count() == 0 ? allowed : std::min(asked, allowed);
}

bool is_websocket(proto::ViewerType type) {
  return type == proto::ViewerType::vnc_ws || type == proto::ViewerType::vnc_wss;
}

std::string shown_address(const std::string& address) {
  return means_everywhere(address) ? "*" : address;
}

}  // namespace

Master::Master(const Options& options, Prepared prepared)
    : options_(options),
      login_(std::move(prepared.users)),
      certificates_(std::move(prepared.certificates)),
      proxy_address_(std::move(prepared.proxy_address)),
      web_(std::move(prepared.web)),
      ports_(std::move(prepared.forwarding_endpoints), options.min_port, options.max_port),
      workers_(
          loop_, [this](uint32_t id, const auto& failure) { return answer(id, failure); },
          [this](uint16_t port) { ports_.give_back(port); },
          [this] {
            if (ending_) loop_.stop();
          }),
      control_(loop_, std::move(prepared.listeners.control), login_,
               certificates_.legacy ? &certificates_.legacy : &certificates_.viewers,
               [this](uint64_t conn, const std::string& who, proto::Request request) {
                 requested(conn, who, std::move(request));
               }),
      flash_policy_(loop_, std::move(prepared.listeners.flash_policy), options.min_port, options.max_port),
      socket_files_(std::move(prepared.listeners.files)),
      child_(loop_, SIGCHLD, [this] { workers_.reap(); }),
      terminate_(loop_, SIGTERM, [this] { terminate(); }),
      interrupt_(loop_, SIGINT, [this] { terminate(); }),
      hangup_(loop_, SIGHUP, [this] { reload(); }),
      last_call_(loop_,
                 [this] {
                   workers_.kill_all();
                   loop_.stop();
                 }),
      certificate_timer_(loop_, [this] { check_certificate(); }) {
  // They were read before there was memory that no child gets.
  for (net::TlsServer* tls : {&certificates_.viewers, &certificates_.legacy})
    tls->key_text = base::Secret(tls->key_text.reveal());
  for (const std::string& line : prepared.listeners.announcements) base::log_info("%s", line.c_str());
  if (certificates_.legacy)
    base::log_warning("control-tls-legacy: control clients may use TLS 1.0 and 1.1, which are broken");
  if (options.vncap_insecure && !options.vncap_listen.empty())
    base::log_warning("vncap-insecure: whoever reaches vncap-listen can have any VNC server opened");
  check_certificate();
}

void Master::unlock_keys() {
  if (options_.enable_ssl && certificates_.viewers) net::unlock(certificates_.viewers);
  if (certificates_.legacy) net::unlock(certificates_.legacy);
}

std::optional<ipc::Handover> Master::run() {
  if (next_.empty()) loop_.run();
  if (next_.empty()) return std::nullopt;
  ipc::Handover handover = std::move(next_.back());
  next_.pop_back();
  return handover;
}

// ---- requests

void Master::requested(uint64_t conn, const std::string& who, proto::Request request) {
  const uint32_t id = next_id_++;
  const uint16_t wanted = request.source_port;
  base::log_info("F%u asked for by %s: %s", id, who.c_str(), std::string(to_string(request.type)).c_str());
  Asked asked{conn, request.type, 0, {}, warning(request)};
  if (!asked.warning.empty()) base::log_info("F%u %s", id, asked.warning.c_str());
  if (request.password.empty()) {
    asked.made_password = proto::one_time_password();
    request.password = base::Secret(asked.made_password.reveal());
  }
  asked_.emplace(id, std::move(asked));
  const auto refuse = [this, id](const Failure& failure) {
    const bool ours = failure.code == FailureCode::internal;
    base::log_line(ours ? base::LogLevel::error : base::LogLevel::warning,
                   "F" + std::to_string(id) + " FAILED forwarding: " + failure.reason);
    answer(id, failure);
  };
  if (proto::needs_certificate(request.type) && !certificates_.viewers)
    return refuse(proto::no_certificate_for(request.type));
  auto granted = request.source_port_is_a_wish ? ports_.grant_if_free(wanted) : ports_.grant(wanted);
  if (auto* failure = std::get_if<Failure>(&granted)) return refuse(*failure);
  auto& lease = std::get<Lease>(granted);

  Forwarding forwarding;
  forwarding.id = id;
  forwarding.port = lease.port;
  forwarding.what = shown_address(options_.proxy_listen_address) + ":" + std::to_string(lease.port) +
                    " (client req'd: " + std::to_string(wanted) + ") -> " +
                    base::escape(request.destination_address) + ":" +
                    std::to_string(request.destination_port);
  forwarding.start_deadline = server_timeout(request) + kSlack;
  forwarding.viewer_deadline = longest_wait(request);
  auto channel = workers_.open(std::move(forwarding));
  if (!channel) {
    ports_.give_back(lease.port);
    return refuse({FailureCode::busy, channel.error().detail});
  }
  asked_.at(id).port = lease.port;
  next_.push_back(hand_over(id, std::move(request), std::move(lease), std::move(*channel)));
  loop_.stop();
}

milliseconds Master::server_timeout(const proto::Request& request) const {
  if (request.dialect == proto::Dialect::main) return options_.server_timeout;
  return std::min(options_.server_timeout, options_.vncap_backend_timeout);
}

milliseconds Master::connect_timeout(const proto::Request& request) const {
  const bool own_choice = request.dialect == proto::Dialect::vncap && request.connect_timeout.count() > 0;
  return own_choice ? request.connect_timeout : capped(request.connect_timeout, options_.connect_timeout);
}

milliseconds Master::auth_timeout(const proto::Request& request) const {
  return capped(request.auth_timeout, options_.auth_timeout);
}

// What is done otherwise than the request may have meant, for people.
std::string Master::warning(const proto::Request& request) const {
  std::string text;
  const auto add = [&text](const std::string& sentence) { text += (text.empty() ? "" : "; ") + sentence; };
  if (request.password.size() > proto::kPasswordSize) add("only the first 8 bytes of the password count");
  if (proto::has_two_forms(request.password))
    add("the password has characters beyond ASCII, which viewers encode in different ways");
  if (connect_timeout(request) < request.connect_timeout)
    add("connect_timeout is cut to " + base::seconds_text(connect_timeout(request)));
  if (auth_timeout(request) < request.auth_timeout)
    add("auth_timeout is cut to " + base::seconds_text(auth_timeout(request)));
  return text;
}

// For a viewer to authenticate: browsers that load pages hold the port for longer.
milliseconds Master::longest_wait(const proto::Request& request) const {
  constexpr int kTimesForPages = 3;
  return kTimesForPages * connect_timeout(request) + auth_timeout(request) + kViewerSteps;
}

ipc::Handover Master::hand_over(uint32_t id, proto::Request request, Lease lease, base::Fd channel) const {
  ipc::Handover handover;
  handover.id = id;
  handover.type = request.type;
  handover.destination_address = std::move(request.destination_address);
  handover.destination_port = request.destination_port;
  handover.server_password = std::move(request.server_password);
  handover.server_timeout = server_timeout(request);
  handover.connect_retries = options_.connect_retries;
  handover.retry_wait = options_.retry_wait;
  handover.password = std::move(request.password);
  // Here and not in the worker: each page of OpenSSL's that a new process touches is a fault of its own.
  handover.first_trial = proto::make_trial(handover.password, proto::new_challenge());
  handover.listeners = std::move(lease.listeners);
  handover.client_address = request.client_address;
  handover.connect_timeout = connect_timeout(request);
  handover.auth_timeout = auth_timeout(request);
  handover.auth_attempts = options_.auth_attempts;
  if (proto::needs_certificate(request.type)) handover.tls = net::share(certificates_.viewers);
  if (web_ && is_websocket(request.type)) handover.web = base::Fd(::fcntl(web_.get(), F_DUPFD_CLOEXEC, 0));
  handover.ws_ping_interval = options_.ws_ping_interval;
  handover.channel = std::move(channel);
  return handover;
}

bool Master::answer(uint32_t id, const std::optional<Failure>& failure) {
  const auto asked = asked_.extract(id);
  if (asked.empty()) return false;
  if (failure) return control_.reply(asked.mapped().conn, *failure);
  const Asked& success = asked.mapped();
  return control_.reply(success.conn,
                        proto::Success{success.port, proxy_address_, page_url(success.type, success.port),
                                       success.made_password.reveal(), success.warning});
}

// noVNC's page finds its way back to this port by itself.
std::string Master::page_url(proto::ViewerType type, uint16_t port) const {
  if (!web_ || !is_websocket(type)) return "";
  const bool v6 = proxy_address_.find(':') != std::string::npos;
  return (proto::needs_certificate(type) ? "https://" : "http://") +
         (v6 ? "[" + proxy_address_ + "]" : proxy_address_) + ":" + std::to_string(port) +
         "/vnc.html?autoconnect=true";
}

void Master::fork_failed(uint32_t id, int error) {
  workers_.fork_failed(id, std::string("cannot start a worker: ") + std::strerror(error));
}

net::TlsSecrets Master::tls_secrets() const {
  net::TlsSecrets secrets;
  control_.add_tls_secrets(secrets);
  for (const net::TlsServer* tls : {&certificates_.viewers, &certificates_.legacy})
    if (tls->key) secrets.keys.push_back(tls->key.get());
  return secrets;
}

// ---- signals

void Master::reload() {
  base::log_info("Reloading");
  if (auto log = base::reopen_log(); !log)
    base::log_error("the old log stays in use: %s", log.error().detail.c_str());
  if (auto users = base::Users::load(options_.auth_file))
    login_.replace(std::move(*users));
  else
    base::log_error("the old users stay in force: %s", users.error().detail.c_str());
  if (auto read = reload_certificate(); !read)
    base::log_error("the old certificate stays in force: %s", read.error().detail.c_str());
  check_certificate();
}

Result<void> Master::reload_certificate() {
  auto read = load_certificates(options_, ::geteuid());
  if (!read) return std::move(read.error());
  if (!read->viewers && certificates_.viewers) return Error{ErrorCode::invalid, "the new one is missing"};
  certificates_ = std::move(*read);
  unlock_keys();
  return {};
}

void Master::check_certificate() {
  certificate_timer_.start(std::chrono::hours(24));
  warn_of_expiry(certificates_.viewers, options_);
}

void Master::terminate() {
  if (std::exchange(ending_, true)) {  // told twice: now
    workers_.kill_all();
    return loop_.stop();
  }
  base::log_info("Ending: %zu forwardings", workers_.size());
  control_.stop_listening();
  flash_policy_.stop_listening();
  for (net::SocketFile& file : socket_files_)
    if (auto removed = file.remove(); !removed) base::log_warning("%s", removed.error().detail.c_str());
  if (workers_.size() == 0) return loop_.stop();
  workers_.stop_all(kGrace);
  last_call_.start(kLastCall);
}

}  // namespace vncauthproxy::master
