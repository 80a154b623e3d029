// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/broker.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "master/startup.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::master {

using config::Options;
using proto::Failure;
using proto::FailureCode;
using std::chrono::milliseconds;

namespace {

// Beyond a worker's own deadline, for a machine under load.
constexpr milliseconds kWorkerDeadlineSlack{1000};
// A viewer accepted in the last moment may take its steps before the time for its response begins.
constexpr milliseconds kViewerSteps{30000};
// Browsers that load pages hold the port for longer.
constexpr int kTimesForPages = 3;

// What a request asks for, but no more than the daemon allows.
milliseconds capped(milliseconds asked, milliseconds allowed) {
  return asked.count() == 0 ? allowed : std::min(asked, allowed);
}

std::string shown_address(const std::string& address) {
  return means_everywhere(address) ? "*" : address;
}

// "*:25123 (client req'd: 0) -> node1:11000", in the old daemon's words.
std::string describe(const Forwarding& forwarding, const std::string& listen_address) {
  const proto::Request& request = forwarding.request;
  return shown_address(listen_address) + ":" + std::to_string(forwarding.port) +
         " (client req'd: " + std::to_string(request.source_port) + ") -> " +
         base::escape(request.destination_address) + ":" + std::to_string(request.destination_port);
}

}  // namespace

Broker::Broker(const Options& options, const Certificates& certificates, const std::string& proxy_address,
               const base::Fd& web, PortPool& ports, Forwardings& forwardings, WorkerSupply& workers,
               Reply reply)
    : options_(options),
      certificates_(certificates),
      proxy_address_(proxy_address),
      web_(web),
      ports_(ports),
      forwardings_(forwardings),
      workers_(workers),
      reply_(std::move(reply)),
      packet_(ipc::kMaxLongBytes) {}

void Broker::requested(uint64_t conn, const std::string& who, proto::Request request) {
  const uint32_t id = next_id_++;
  base::log_info("F%u requested by %s: %s", id, who.c_str(), std::string(to_string(request.type)).c_str());
  const auto refuse = [&](const Failure& failure) {
    const bool ours = failure.code == FailureCode::internal;
    base::log_line(ours ? base::LogLevel::error : base::LogLevel::warning,
                   "F" + std::to_string(id) + " FAILED forwarding: " + failure.reason);
    reply_(conn, failure);
  };
  if (proto::needs_certificate(request.type) && !certificates_.viewers)
    return refuse(proto::no_certificate_for(request.type));
  const uint16_t wanted = request.source_port;
  const auto whom = is_websocket(request.type) ? PortPool::For::browsers : PortPool::For::viewers;
  auto granted =
      request.source_port_is_a_wish ? ports_.grant_if_free(wanted, whom) : ports_.grant(wanted, whom);
  if (!granted) return refuse(granted.error());

  const bool vncap = request.dialect == proto::Dialect::vncap;
  const milliseconds server_timeout =
      vncap ? std::min(options_.server_timeout, options_.vncap_backend_timeout) : options_.server_timeout;
  Forwarding& forwarding = forwardings_.add(id, server_timeout + kWorkerDeadlineSlack);
  forwarding.server_timeout = server_timeout;
  forwarding.control_conn = conn;
  forwarding.request = std::move(request);
  forwarding.request.auth_password.wipe();
  forwarding.lease = *std::move(granted);
  forwarding.port = forwarding.lease.port;
  forwarding.has_port = true;
  set_times(forwarding);
  forwarding.warning = warning(forwarding);
  if (!forwarding.warning.empty()) base::log_info("F%u %s", id, forwarding.warning.c_str());
  if (forwarding.request.password.empty()) {
    forwarding.made_password = proto::one_time_password();
    forwarding.request.password = base::Secret(forwarding.made_password.reveal());
  }
  waiting_.push_back(id);
  spare_ready();
}

void Broker::set_times(Forwarding& forwarding) const {
  const proto::Request& request = forwarding.request;
  const bool own_choice = request.dialect == proto::Dialect::vncap && request.connect_timeout.count() > 0;
  forwarding.connect_timeout =
      own_choice ? request.connect_timeout : capped(request.connect_timeout, options_.connect_timeout);
  forwarding.auth_timeout = capped(request.auth_timeout, options_.auth_timeout);
  forwarding.viewer_time =
      kTimesForPages * forwarding.connect_timeout +
      options_.auth_attempts * (forwarding.auth_timeout + kViewerSteps + forwarding.auth_timeout);
}

// What is done otherwise than the request may have meant, for people.
std::string Broker::warning(const Forwarding& forwarding) const {
  const proto::Request& request = forwarding.request;
  std::string text;
  const auto add = [&text](const std::string& sentence) { text += (text.empty() ? "" : "; ") + sentence; };
  if (request.password.size() > proto::kPasswordSize) add("only the first 8 bytes of the password count");
  if (proto::has_two_forms(request.password))
    add("the password has characters beyond ASCII, which viewers encode in different ways");
  if (forwarding.connect_timeout < request.connect_timeout)
    add("connect_timeout is cut to " + base::seconds_text(forwarding.connect_timeout));
  if (forwarding.auth_timeout < request.auth_timeout)
    add("auth_timeout is cut to " + base::seconds_text(forwarding.auth_timeout));
  return text;
}

// ---- from a record to its worker

void Broker::spare_ready() {
  while (!waiting_.empty()) {
    Forwarding* const forwarding = forwardings_.find(waiting_.front());
    if (forwarding != nullptr && forwarding->state == Forwarding::State::starting) {
      auto spare = workers_.take();
      if (!spare) break;
      if (!hand_over(*forwarding, std::move(*spare))) continue;  // that spare was gone: the next one
    }
    waiting_.pop_front();
  }
  workers_.set_waiting(waiting_.size());
}

void Broker::not_born(int error) {
  while (!waiting_.empty()) {
    Forwarding* const forwarding = forwardings_.find(waiting_.front());
    waiting_.pop_front();
    if (forwarding == nullptr) continue;
    forwardings_.refuse(*forwarding, FailureCode::busy,
                        std::string("cannot start a worker: ") + std::strerror(error));
    break;
  }
  workers_.set_waiting(waiting_.size());
}

void Broker::stop() {
  for (const uint32_t id : std::exchange(waiting_, {}))
    if (Forwarding* const forwarding = forwardings_.find(id))
      forwardings_.refuse(*forwarding, FailureCode::busy, "the proxy is going down");
}

// False: the spare is of no use.
bool Broker::hand_over(Forwarding& forwarding, Spare spare) {
  ipc::Handover handover = make_handover(forwarding);
  auto packet = ipc::encode(handover, packet_.bytes());
  if (!packet) {
    forwardings_.refuse(forwarding, FailureCode::bad_request, packet.error().detail);
    return true;
  }
  const bool sent = forwardings_.hand_over(forwarding, std::move(spare), *packet, ipc::descriptors(handover));
  base::wipe(packet_.bytes().first(packet->size()));
  if (!sent) {
    forwarding.lease.listeners = std::move(handover.listeners);
    return false;
  }
  forwarding.request.password.wipe();
  forwarding.request.server_password.wipe();
  return true;
}

ipc::Handover Broker::make_handover(Forwarding& forwarding) const {
  const proto::Request& request = forwarding.request;
  ipc::Handover handover;
  handover.id = forwarding.id;
  handover.type = request.type;
  handover.destination_address = request.destination_address;
  handover.destination_port = request.destination_port;
  handover.server_password = base::Secret(request.server_password.reveal());
  handover.server_timeout = forwarding.server_timeout;
  handover.connect_retries = options_.connect_retries;
  handover.retry_wait = options_.retry_wait;
  handover.password = base::Secret(request.password.reveal());
  handover.listeners = std::move(forwarding.lease.listeners);
  handover.client_address = request.client_address;
  handover.connect_timeout = forwarding.connect_timeout;
  handover.auth_timeout = forwarding.auth_timeout;
  handover.auth_attempts = options_.auth_attempts;
  handover.viewers_per_address = options_.viewers_per_address;
  if (proto::needs_certificate(request.type)) handover.tls_key = net::key_text(certificates_.viewers);
  if (web_ && is_websocket(request.type)) handover.web = base::Fd(::fcntl(web_.get(), F_DUPFD_CLOEXEC, 0));
  handover.ws_ping_interval = options_.ws_ping_interval;
  handover.ws_timeout = options_.ws_timeout;
  return handover;
}

// ---- the answer

bool Broker::answer(Forwarding& forwarding, const std::optional<Failure>& failure) {
  const uint64_t conn = std::exchange(forwarding.control_conn, 0);
  const std::string what = describe(forwarding, options_.proxy_listen_address);
  const base::Secret made_password = std::exchange(forwarding.made_password, {});
  if (failure) {
    base::log_warning("F%u FAILED forwarding: %s: %s", forwarding.id, what.c_str(), failure->reason.c_str());
    return conn != 0 && reply_(conn, *failure);
  }
  base::log_info("F%u New forwarding: %s", forwarding.id, what.c_str());
  return conn != 0 && reply_(conn, proto::Success{forwarding.port, proxy_address_,
                                                  page_url(forwarding.request.type, forwarding.port),
                                                  made_password.reveal(), forwarding.warning});
}

// noVNC's page finds its way back to this port by itself.
std::string Broker::page_url(proto::ViewerType type, uint16_t port) const {
  if (!web_ || !is_websocket(type)) return "";
  const bool v6 = proxy_address_.find(':') != std::string::npos;
  return (proto::needs_certificate(type) ? "https://" : "http://") +
         (v6 ? "[" + proxy_address_ + "]" : proxy_address_) + ":" + std::to_string(port) +
         "/vnc.html?autoconnect=true";
}

}  // namespace vncauthproxy::master
