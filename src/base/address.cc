// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/address.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/handle.h"

namespace vncauthproxy::base {
namespace {

constexpr size_t kMaxHost = 255;

const sockaddr_in& v4(const Endpoint& e) {
  return reinterpret_cast<const sockaddr_in&>(e.storage);
}
const sockaddr_in6& v6(const Endpoint& e) {
  return reinterpret_cast<const sockaddr_in6&>(e.storage);
}

// The IPv4 address an endpoint stands for, itself or mapped into IPv6.
std::optional<in_addr> as_v4(const Endpoint& e) {
  if (e.family() == AF_INET) return v4(e).sin_addr;
  if (e.family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6(e).sin6_addr)) return std::nullopt;
  in_addr address;
  std::memcpy(&address, v6(e).sin6_addr.s6_addr + 12, sizeof address);
  return address;
}

// inet_ntop() goes by way of printf(), which a worker comes to for nothing else.
std::string print_v4(in_addr address) {
  std::array<uint8_t, sizeof address> bytes;
  std::memcpy(bytes.data(), &address, sizeof address);
  std::string text = std::to_string(bytes[0]);
  for (size_t i = 1; i < bytes.size(); ++i) text.append(1, '.').append(std::to_string(bytes[i]));
  return text;
}

// With "%interface" behind a link-local address.
std::string print_v6(const Endpoint& e) {
  char text[NI_MAXHOST];
  const int code = ::getnameinfo(e.get(), e.length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return code == 0 ? text : "unknown";
}

bool same_endpoint(const Endpoint& a, const Endpoint& b) {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  return same_host(a, b);
}

bool is_digits(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Of digits alone; nullopt: there is no such port.
std::optional<uint16_t> port_number(const std::string& digits) {
  uint16_t port = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec != std::errc())
    return std::nullopt;
  return port;
}

bool is_service_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
         c == '.' || c == '+' || c == '/';
}

// The C library takes "70000", "-1" and " 80" for ports, reduced to 16 bits.
Result<void> check_service(const std::string& service, ResolveFor purpose) {
  if (is_digits(service)) {
    const std::optional<uint16_t> port = port_number(service);
    if (port && (*port > 0 || purpose == ResolveFor::listen)) return {};
    return Error{ErrorCode::invalid, "no port has the number " + service};
  }
  const bool plausible = !service.empty() && service[0] != '-' && service[0] != '+' &&
                         std::all_of(service.begin(), service.end(), is_service_character);
  if (plausible) return {};
  return Error{ErrorCode::invalid, "'" + service + "' is neither a port number nor the name of a service"};
}

Result<void> check_host(const std::string& host, bool any) {
  if (host.size() > kMaxHost) return Error{ErrorCode::invalid, "the host name is too long"};
  if (host.find('\0') != std::string::npos) return Error{ErrorCode::invalid, "the host name contains a NUL"};
  if (any) return {};
  // The C library takes "*" for every address of this machine, whatever one wants to do with it.
  if (host.empty() || host == "*") return Error{ErrorCode::invalid, "no host is named"};
  return {};
}

Error resolver_error(int code, const std::string& host, const std::string& service) {
  if (code == EAI_SYSTEM) return system_error(errno, {"cannot resolve ", host});
  if (code == EAI_MEMORY) return {ErrorCode::exhausted, "cannot resolve " + host + ": out of memory"};
  if (code == EAI_SERVICE)
    return {ErrorCode::invalid, "'" + service + "' is neither a port number nor the name of a service"};
  return {ErrorCode::unreachable, "cannot resolve " + host + ": " + ::gai_strerror(code)};
}

using Bits128 = std::array<uint8_t, 16>;
constexpr unsigned kMappedBits = 96;  // what comes before an IPv4 address in one of IPv6

// An address as one of IPv6; nullopt: it is of neither family.
std::optional<Bits128> as_v6(const Endpoint& e) {
  Bits128 bytes{};
  if (const std::optional<in_addr> address = as_v4(e)) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, &*address, sizeof *address);
    return bytes;
  }
  if (e.family() != AF_INET6) return std::nullopt;
  std::memcpy(bytes.data(), &v6(e).sin6_addr, bytes.size());
  return bytes;
}

std::optional<Endpoint> literal(const std::string& text) {
  Endpoint e;
  auto& four = reinterpret_cast<sockaddr_in&>(e.storage);
  auto& six = reinterpret_cast<sockaddr_in6&>(e.storage);
  if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    e.storage.ss_family = AF_INET;
    e.length = sizeof four;
    return e;
  }
  if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) != 1) return std::nullopt;
  e.storage.ss_family = AF_INET6;
  e.length = sizeof six;
  return e;
}

Result<Endpoint> name_of_socket(int fd, int (*ask)(int, sockaddr*, socklen_t*), const char* what) {
  Endpoint endpoint;
  endpoint.length = sizeof endpoint.storage;
  if (ask(fd, reinterpret_cast<sockaddr*>(&endpoint.storage), &endpoint.length) == 0) return endpoint;
  const int code = errno;
  Error error = system_error(code, {what});
  if (code == ENOTCONN) error.code = ErrorCode::closed;
  return error;
}

}  // namespace

uint16_t Endpoint::port() const {
  if (family() == AF_INET) return ntohs(v4(*this).sin_port);
  if (family() == AF_INET6) return ntohs(v6(*this).sin6_port);
  return 0;
}

void Endpoint::set_port(uint16_t port) {
  if (family() == AF_INET) reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
}

bool Endpoint::is_loopback() const {
  if (const std::optional<in_addr> address = as_v4(*this)) return ntohl(address->s_addr) >> 24 == 127;
  return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6(*this).sin6_addr);
}

std::string Endpoint::host() const {
  if (const std::optional<in_addr> address = as_v4(*this)) return print_v4(*address);
  if (family() == AF_INET6) return print_v6(*this);
  return family() == AF_UNIX ? "local" : "unknown";
}

std::string Endpoint::to_string() const {
  if (family() != AF_INET && family() != AF_INET6) return host();
  const std::string text = host();
  const bool brackets = text.find(':') != std::string::npos;
  return (brackets ? "[" + text + "]" : text) + ":" + std::to_string(port());
}

bool same_host(const Endpoint& a, const Endpoint& b) {
  const std::optional<in_addr> a4 = as_v4(a), b4 = as_v4(b);
  if (a4 || b4) return a4 && b4 && a4->s_addr == b4->s_addr;
  return a.family() == AF_INET6 && b.family() == AF_INET6 &&
         IN6_ARE_ADDR_EQUAL(&v6(a).sin6_addr, &v6(b).sin6_addr) && v6(a).sin6_scope_id == v6(b).sin6_scope_id;
}

bool same_source(const Endpoint& a, const Endpoint& b) {
  constexpr unsigned kCustomerBits = 64;
  if (as_v4(a) || as_v4(b)) return same_host(a, b);
  return Network{a, kCustomerBits}.contains(b);
}

bool Network::contains(const Endpoint& host) const {
  const std::optional<Bits128> ours = as_v6(address), theirs = as_v6(host);
  if (!ours || !theirs) return false;
  if (as_v4(host) && bits < kMappedBits)
    return false;  // "::/64" is of IPv6, whatever precedes a mapped address
  const size_t whole = bits / 8;
  const unsigned rest = bits % 8;
  if (std::memcmp(ours->data(), theirs->data(), whole) != 0) return false;
  return rest == 0 || ((*ours)[whole] ^ (*theirs)[whole]) >> (8 - rest) == 0;
}

bool any_contains(const std::vector<Network>& networks, const Endpoint& host) {
  return std::any_of(networks.begin(), networks.end(),
                     [&host](const Network& network) { return network.contains(host); });
}

Result<Network> parse_network(const std::string& text) {
  const size_t slash = text.find('/');
  const std::optional<Endpoint> address = literal(text.substr(0, slash));
  if (!address || text.find('\0') != std::string::npos)
    return Error{ErrorCode::invalid, "is neither an IPv4 or IPv6 address nor a network of such"};
  const unsigned size = address->family() == AF_INET ? 32 : 128;
  unsigned bits = size;
  if (slash != std::string::npos) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
    if (error != std::errc() || stop != end || bits > size)
      return Error{ErrorCode::invalid,
                   "has no number from 0 to " + std::to_string(size) + " behind its slash"};
  }
  return Network{*address, address->family() == AF_INET ? bits + kMappedBits : bits};
}

Result<HostAndPort> parse_host_and_port(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size())
    return Error{ErrorCode::invalid, "has no port behind a colon"};
  HostAndPort parts{text.substr(0, colon), text.substr(colon + 1)};
  const bool brackets = parts.host.size() >= 2 && parts.host.front() == '[' && parts.host.back() == ']';
  if (brackets) parts.host = parts.host.substr(1, parts.host.size() - 2);
  if (parts.host.empty()) return Error{ErrorCode::invalid, "has no address before the colon"};
  if (!brackets && parts.host.find(':') != std::string::npos)
    return Error{ErrorCode::invalid, "needs brackets around its IPv6 address"};
  if (Result<void> checked = check_service(parts.port, ResolveFor::listen); !checked)
    return Error{ErrorCode::invalid, "has no good port: " + checked.error().detail};
  return parts;
}

Result<std::vector<Endpoint>> resolve(const std::string& host, const std::string& service,
                                      ResolveFor purpose) {
  const bool listening = purpose == ResolveFor::listen;
  const bool any = listening && (host.empty() || host == "*");
  if (Result<void> checked = check_host(host, any); !checked) return checked.error();
  if (Result<void> checked = check_service(service, purpose); !checked) return checked.error();

  if (is_digits(service) && !any) {
    // The resolver would come to the same by way of a dozen pages more for each worker.
    if (std::optional<Endpoint> address = literal(host)) {
      address->set_port(*port_number(service));
      return std::vector<Endpoint>{*address};
    }
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  hints.ai_flags = (listening ? AI_PASSIVE : 0) | (is_digits(service) ? AI_NUMERICSERV : 0);
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(any ? nullptr : host.c_str(), service.c_str(), &hints, &found);
  if (code != 0) return resolver_error(code, host, service);
  const Handle<addrinfo> owner(found);

  std::vector<Endpoint> endpoints;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    Endpoint endpoint;
    std::memcpy(&endpoint.storage, info->ai_addr, info->ai_addrlen);
    endpoint.length = info->ai_addrlen;
    // /etc/hosts often names an address twice; binding it twice would fail.
    const bool seen = std::any_of(endpoints.begin(), endpoints.end(),
                                  [&](const Endpoint& other) { return same_endpoint(endpoint, other); });
    if (!seen) endpoints.push_back(endpoint);
  }
  if (endpoints.empty()) return Error{ErrorCode::unreachable, "cannot resolve " + host + ": no address"};
  return endpoints;
}

Result<Endpoint> peer_of(int fd) {
  return name_of_socket(fd, ::getpeername, "getpeername");
}
Result<Endpoint> local_of(int fd) {
  return name_of_socket(fd, ::getsockname, "getsockname");
}

}  // namespace vncauthproxy::base
