// SPDX-License-Identifier: GPL-2.0-or-later
// Internet endpoints: a socket address of IPv4 or IPv6, its text, and the resolver.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  uint16_t port() const;  // host order
  void set_port(uint16_t port);
  bool is_loopback() const;       // 127.0.0.0/8, ::1, and the former mapped into IPv6
  std::string host() const;       // "192.0.2.7", "2001:db8::1"; a mapped IPv4 address prints as IPv4
  std::string to_string() const;  // "192.0.2.7:5900", "[2001:db8::1]:5900"
  // An end of a UNIX socket prints as "local", an empty endpoint as "unknown"; both have port 0.
};

// The same host, ports aside; an IPv4 address equals its form mapped into IPv6.
bool same_host(const Endpoint& a, const Endpoint& b);

// The same host, or of IPv6 one of the same /64, which is what a customer gets: who has one has them all.
bool same_source(const Endpoint& a, const Endpoint& b);

// All hosts whose address begins with the same `bits`, an IPv4 address counting as the one it is mapped to;
// but a network of IPv6 that is wider than all of IPv4 has none of that.
struct Network {
  Endpoint address;
  unsigned bits = 0;  // of 128

  bool contains(const Endpoint& host) const;
};
bool any_contains(const std::vector<Network>& networks, const Endpoint& host);
// "192.0.2.7", "192.0.2.0/24", "2001:db8::/32": literals alone, never a name. Errors: invalid, with words
// that complete the sentence `"TEXT" ...`.
Result<Network> parse_network(const std::string& text);

struct HostAndPort {
  std::string host, port;
};
// "192.0.2.7:8888", "proxy.example.com:8888", "[2001:db8::1]:8888", "*:8888"; the port may be a service.
// Errors as for parse_network().
Result<HostAndPort> parse_host_and_port(const std::string& text);

enum class ResolveFor { connect, listen };
// Every stream endpoint of a host name, an IPv4 or an IPv6 address, in the system's order of preference. For
// `listen` the hosts "*" and "" mean every address of the machine, both families. `service` is a port number
// or a service name. Blocks while the name service works. Errors: unreachable (with the resolver's own
// words), invalid (no host, bad service; port 0 is good for `listen` alone).
Result<std::vector<Endpoint>> resolve(const std::string& host, const std::string& service,
                                      ResolveFor purpose);
// Errors: closed (the peer is gone already), system.
Result<Endpoint> peer_of(int fd);
Result<Endpoint> local_of(int fd);

}  // namespace vncauthproxy::base
