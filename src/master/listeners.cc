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
using base::Options;
using base::Result;
using proto::Dialect;
using proto::Speech;

constexpr Speech kWithLogin{true, Dialect::main};
constexpr Speech kSocket{false, Dialect::main};
constexpr Speech kVncap{false, Dialect::vncap};

struct Place {
  Speech speech;
  std::vector<Endpoint> endpoints;  // none: it is the path
  std::string path;
  bool tls = false;
};

struct Plan {
  std::vector<Place> control;
  std::vector<Endpoint> flash_policy;
};

Result<std::vector<Endpoint>> resolve(const char* option, const std::string& text) {
  const auto parts = base::parse_host_and_port(text);
  if (!parts) return Error{ErrorCode::invalid, std::string(option) + " " + text + " " + parts.error().detail};
  auto endpoints = base::resolve(parts->host, parts->port, base::ResolveFor::listen);
  if (!endpoints) return Error{endpoints.error().code, std::string(option) + ": " + endpoints.error().detail};
  return endpoints;
}

Result<Place> vncap_place(const Options& options, const std::string& text) {
  if (text.starts_with(base::kUnixPrefix)) return Place{kVncap, {}, text.substr(base::kUnixPrefix.size())};
  auto endpoints = resolve("vncap-listen", text);
  if (!endpoints) return std::move(endpoints.error());
  const bool local = std::all_of(endpoints->begin(), endpoints->end(),
                                 [](const Endpoint& endpoint) { return endpoint.is_loopback(); });
  if (!local && !options.vncap_insecure)
    return Error{ErrorCode::denied,
                 "vncap-listen " + text +
                     " is not only for this machine, and its dialect has no login: whoever reaches it could "
                     "have any VNC server opened. Use a loopback address or a UNIX socket, or say "
                     "vncap-insecure when something else protects it"};
  return Place{kVncap, std::move(*endpoints), {}};
}

// A path that two options name is one socket, which hears both dialects anyway.
void add(std::vector<Place>& places, Place place) {
  const bool seen = !place.path.empty() && std::any_of(places.begin(), places.end(), [&](const Place& other) {
    return other.path == place.path;
  });
  if (!seen) places.push_back(std::move(place));
}

Result<Plan> make_plan(const Options& options) {
  Plan plan;
  auto port = base::resolve(options.listen_address, options.listen_port, base::ResolveFor::listen);
  if (!port) return std::move(port.error());
  plan.control.push_back({kWithLogin, std::move(*port), {}, options.enable_ssl});
  if (!options.control_socket.empty()) add(plan.control, {kSocket, {}, options.control_socket});
  for (const std::string& text : options.vncap_listen) {
    auto place = vncap_place(options, text);
    if (!place) return std::move(place.error());
    add(plan.control, std::move(*place));
  }
  if (options.flash_policy_listen.empty()) return plan;
  auto flash = resolve("flash-policy-listen", options.flash_policy_listen);
  if (!flash) return std::move(flash.error());
  plan.flash_policy = std::move(*flash);
  return plan;
}

Result<net::SocketOwner> socket_owner(const Options& options, const std::optional<base::Identity>& identity) {
  net::SocketOwner owner;
  if (identity) owner = {identity->uid, identity->gid};
  if (options.control_socket_group.empty()) return owner;
  const auto group = base::find_group(options.control_socket_group);
  if (!group) return Error{group.error().code, "control-socket-group: " + group.error().detail};
  owner.group = *group;
  return owner;
}

void announce(const char* whom, const std::string& where, Listeners& into) {
  into.announcements.push_back(std::string("Listening for ") + whom + " at " + where);
}

const char* clients_of(const Place& place) {
  return place.speech.home == Dialect::vncap ? "vncap clients" : "control clients";
}

Result<void> open_path(const Place& place, const net::SocketOwner& owner, Listeners& into) {
  auto listener = net::listen_at_path(place.path, owner);
  if (!listener) return std::move(listener.error());
  into.files.push_back(std::move(listener->file));
  into.control.push_back({std::move(listener->fd), place.speech});
  announce(clients_of(place), place.path, into);
  return {};
}

Result<std::vector<base::Fd>> open_port(const std::vector<Endpoint>& endpoints, const char* whom,
                                        Listeners& into) {
  auto listeners = net::listen_on_all(endpoints, endpoints.front().port());
  if (!listeners) return listeners;
  for (const base::Fd& fd : *listeners)
    if (const auto local = base::local_of(fd.get())) announce(whom, local->to_string(), into);
  return listeners;
}

Result<void> open_place(const Place& place, const net::SocketOwner& owner, Listeners& into) {
  if (!place.path.empty()) return open_path(place, owner, into);
  auto listeners = open_port(place.endpoints, clients_of(place), into);
  if (!listeners) return std::move(listeners.error());
  for (base::Fd& fd : *listeners) into.control.push_back({std::move(fd), place.speech, place.tls});
  return {};
}

}  // namespace

void Listeners::remove_files() {
  for (net::SocketFile& file : files)
    if (auto removed = file.remove(); !removed) base::log_warning("%s", removed.error().detail.c_str());
}

Result<void> check_listeners(const Options& options) {
  const auto plan = make_plan(options);
  if (!plan) return plan.error();
  for (const Place& place : plan->control)
    if (!place.path.empty())
      if (auto checked = net::check_socket_path(place.path); !checked) return checked;
  const auto owner = socket_owner(options, std::nullopt);
  return owner ? Result<void>() : Result<void>(owner.error());
}

Result<void> open_listeners(const Options& options, const std::optional<base::Identity>& identity,
                            Listeners& into) {
  auto plan = make_plan(options);
  if (!plan) return std::move(plan.error());
  const auto owner = socket_owner(options, identity);
  if (!owner) return owner.error();
  for (const Place& place : plan->control)
    if (auto opened = open_place(place, *owner, into); !opened) return opened;
  if (plan->flash_policy.empty()) return {};
  auto flash = open_port(plan->flash_policy, "Flash players", into);
  if (!flash) return std::move(flash.error());
  into.flash_policy = std::move(*flash);
  return {};
}

}  // namespace vncauthproxy::master
