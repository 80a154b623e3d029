// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/listeners.h"

#include <algorithm>
#include <utility>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/listener.h"

namespace vncauthproxy::master {
namespace {

using base::Endpoint;
using base::Error;
using base::ErrorCode;
using base::Result;
using config::Options;
using proto::Dialect;
using proto::Speech;

constexpr Speech kWithLogin{true, Dialect::main};
constexpr Speech kSocket{false, Dialect::main};
constexpr Speech kVncap{false, Dialect::vncap};

struct Place {
  std::string where;  // the option that names it begins a sentence about it
  Speech speech;
  std::vector<Endpoint> endpoints;  // none: it is the path
  std::string path;
  bool tls = false;
  std::string where_port = {};  // where the port has an option of its own

  uint16_t port() const { return endpoints.front().port(); }
};

struct Plan {
  std::vector<Place> control;
  std::optional<Place> flash_policy;
  net::SocketOwner owner;
};

void complain(const std::string& where, const std::string& what, Findings& findings) {
  findings.add(Severity::fatal, where + ": " + what);
}

// Whether the address or its port is at fault shows in the error.
std::string where_of(const Place& place, const Error& error) {
  const bool of_port = error.code == ErrorCode::in_use || error.code == ErrorCode::denied;
  return of_port && !place.where_port.empty() ? place.where_port : place.where;
}

Result<std::vector<Endpoint>> resolve(const std::string& text) {
  const auto parts = base::parse_host_and_port(text);
  if (!parts) return Error{ErrorCode::invalid, text + " " + parts.error().detail};
  return base::resolve(parts->host, parts->port, base::ResolveFor::listen);
}

Result<Place> vncap_place(const Options& options, const std::string& text) {
  Place place{options.where("vncap-listen " + text), kVncap, {}, {}};
  if (text.starts_with(config::kUnixPrefix)) {
    place.path = text.substr(config::kUnixPrefix.size());
    return place;
  }
  auto endpoints = resolve(text);
  if (!endpoints) return endpoints.error();
  const bool local = std::all_of(endpoints->begin(), endpoints->end(),
                                 [](const Endpoint& endpoint) { return endpoint.is_loopback(); });
  if (!local && !options.vncap_insecure)
    return Error{ErrorCode::denied,
                 text +
                     " is not only for this machine, and its dialect has no login: whoever reaches it could "
                     "have any VNC server opened. Use a loopback address or a UNIX socket, or say "
                     "vncap-insecure when something else protects it"};
  place.endpoints = std::move(*endpoints);
  return place;
}

// A path that two options name is one socket, which hears both dialects anyway.
void add(std::vector<Place>& places, Place place) {
  const bool seen = !place.path.empty() && std::any_of(places.begin(), places.end(), [&](const Place& other) {
    return other.path == place.path;
  });
  if (!seen) places.push_back(std::move(place));
}

net::SocketOwner socket_owner(const Options& options, const std::optional<base::Identity>& identity,
                              Findings& findings) {
  net::SocketOwner owner;
  if (identity) owner = {identity->uid, identity->gid};
  if (options.control_socket_group.empty()) return owner;
  const auto group = base::find_group(options.control_socket_group);
  if (group)
    owner.group = *group;
  else
    complain(options.where("control-socket-group"), group.error().detail, findings);
  return owner;
}

// What has a fault is left out.
Plan make_plan(const Options& options, const std::optional<base::Identity>& identity, Findings& findings) {
  Plan plan;
  Place port{options.where("listen-address"), kWithLogin, {}, {}, options.enable_ssl,
             options.where("listen-port")};
  if (auto found = base::resolve(options.listen_address, options.listen_port, base::ResolveFor::listen)) {
    port.endpoints = std::move(*found);
    plan.control.push_back(std::move(port));
  } else {
    const bool of_port = found.error().code == ErrorCode::invalid;  // a name that no service has
    complain(of_port ? port.where_port : port.where, found.error().detail, findings);
  }
  if (!options.control_socket.empty())
    add(plan.control, {options.where("control-socket"), kSocket, {}, options.control_socket});
  for (const std::string& text : options.vncap_listen) {
    auto place = vncap_place(options, text);
    if (place)
      add(plan.control, std::move(*place));
    else
      complain(options.where("vncap-listen " + text), place.error().detail, findings);
  }
  plan.owner = socket_owner(options, identity, findings);
  if (options.flash_policy_listen.empty()) return plan;
  const std::string where = options.where("flash-policy-listen");
  if (auto flash = resolve(options.flash_policy_listen))
    plan.flash_policy = Place{where, {}, std::move(*flash), {}};
  else
    complain(where, flash.error().detail, findings);
  return plan;
}

void announce(const char* whom, const std::string& where, Listeners& into) {
  into.announcements.push_back(std::string("Listening for ") + whom + " at " + where);
}

const char* clients_of(const Place& place) {
  return place.speech.home == Dialect::vncap ? "vncap clients" : "control clients";
}

void open_path(const Place& place, const net::SocketOwner& owner, Listeners& into, Findings& findings) {
  auto listener = net::listen_at_path(place.path, owner);
  if (!listener) return complain(place.where, listener.error().detail, findings);
  into.files.push_back(std::move(listener->file));
  into.control.push_back({std::move(listener->fd), place.speech});
  announce(clients_of(place), place.path, into);
}

std::vector<base::Fd> open_port(const Place& place, const char* whom, Listeners& into, Findings& findings) {
  auto listeners = net::listen_on_all(place.endpoints, place.port());
  if (!listeners) {
    complain(where_of(place, listeners.error()), listeners.error().detail, findings);
    return {};
  }
  for (const base::Fd& fd : *listeners)
    if (const auto local = base::local_of(fd.get())) announce(whom, local->to_string(), into);
  return std::move(*listeners);
}

void check_place(const Place& place, const RunningDaemon& running, Findings& findings) {
  const auto checked = place.path.empty() ? net::check_listen(place.endpoints, place.port())
                                          : net::check_socket_path(place.path, running.pid());
  if (checked) return;
  const bool taken = checked.error().code == ErrorCode::in_use && place.path.empty() && running.pid() != 0;
  if (taken && running.listens_on(place.port())) return;
  if (taken && !running.may_look())
    findings.add(Severity::warning, place.where + ": " + checked.error().detail +
                                        " (by the daemon that runs? Only root can tell)");
  else
    complain(where_of(place, checked.error()), checked.error().detail, findings);
}

}  // namespace

void Listeners::remove_files() {
  for (net::SocketFile& file : files)
    if (auto removed = file.remove(); !removed) base::log_warning("%s", removed.error().detail.c_str());
}

void check_listeners(const Options& options, const std::optional<base::Identity>& identity,
                     const RunningDaemon& running, Findings& findings) {
  const Plan plan = make_plan(options, identity, findings);
  for (const Place& place : plan.control) check_place(place, running, findings);
  if (plan.flash_policy) check_place(*plan.flash_policy, running, findings);
}

void open_listeners(const Options& options, const std::optional<base::Identity>& identity, Listeners& into,
                    Findings& findings) {
  const Plan plan = make_plan(options, identity, findings);
  for (const Place& place : plan.control) {
    if (!place.path.empty()) {
      open_path(place, plan.owner, into, findings);
      continue;
    }
    for (base::Fd& fd : open_port(place, clients_of(place), into, findings))
      into.control.push_back({std::move(fd), place.speech, place.tls});
  }
  if (plan.flash_policy) into.flash_policy = open_port(*plan.flash_policy, "Flash players", into, findings);
}

}  // namespace vncauthproxy::master
