// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/own_name.h"

#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <string_view>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/handle.h"

namespace vncauthproxy::master {
namespace {

// Reserved for documents, so that it belongs to nobody, and is reached by the default route.
constexpr const char* kFarAway[] = {"192.0.2.1", "2001:db8::1"};

std::string canonical_name(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_CANONNAME;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  const base::Handle<addrinfo> owner(found);
  return found->ai_canonname != nullptr ? found->ai_canonname : "";
}

// To connect a datagram socket sends nothing; it chooses the address that packets would come from.
std::string source_toward(const char* destination) {
  const auto there = base::resolve(destination, "9", base::ResolveFor::connect);
  if (!there) return {};
  const base::Endpoint& endpoint = there->front();
  const base::Fd fd(::socket(endpoint.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), endpoint.get(), endpoint.length) != 0) return {};
  const auto local = base::local_of(fd.get());
  return local && !local->is_loopback() ? local->host() : "";
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

// "(none)" is what Linux calls a host without a name.
bool is_usable(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), is_name_character);
}

// These alone or with a domain ("localhost.localdomain"), any name below "localhost" (RFC 6761 section 6.3),
// and addresses.
bool is_loopback_name(const std::string& name) {
  for (const std::string_view usual :
       {"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback", "loopback"}) {
    const bool begins = ::strncasecmp(name.c_str(), usual.data(), usual.size()) == 0;
    if (begins && (name.size() == usual.size() || name[usual.size()] == '.')) return true;
  }
  const std::string_view below = ".localhost";
  const size_t size = name.size() - (name.ends_with('.') ? 1 : 0);
  return name.starts_with("127.") || (size > below.size() && ::strncasecmp(name.c_str() + size - below.size(),
                                                                           below.data(), below.size()) == 0);
}

}  // namespace

OwnNames look_up_own_names() {
  OwnNames names;
  char host[HOST_NAME_MAX + 1] = "";
  if (::gethostname(host, sizeof host - 1) == 0) names.host = host;
  if (!names.host.empty()) names.canonical = canonical_name(names.host);
  for (const char* destination : kFarAway)
    if (std::string address = source_toward(destination); !address.empty())
      names.addresses.push_back(std::move(address));
  return names;
}

NameForViewers name_for_viewers(const OwnNames& names) {
  for (const std::string& name : {names.canonical, names.host})
    if (is_usable(name) && !is_loopback_name(name)) return {name, {}};
  const std::string advice = "; set proxy-address to the name that viewers shall connect to";
  if (!names.addresses.empty())
    return {names.addresses.front(),
            "this host has no name but a loopback's, so viewers are told to connect to " +
                names.addresses.front() + advice};
  const std::string name = names.host.empty() ? "localhost" : names.host;
  return {name,
          "this host has neither a name nor an address but a loopback's, so viewers are told to connect to " +
              name + ", which works on this host alone" + advice};
}

}  // namespace vncauthproxy::master
