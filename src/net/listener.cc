// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/stream.h"

namespace vncauthproxy::net {
namespace {

using base::Endpoint;
using base::Error;
using base::ErrorCode;
using base::Fd;
using base::Result;

// The kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 65535;
constexpr int kTriesForOnePort = 20;
constexpr std::chrono::milliseconds kRest{100};
// In every kernel, and allowed to everybody.
constexpr std::string_view kUnpaced = "reno";

Error listen_error(int code, const Endpoint& endpoint) {
  const std::string name = endpoint.to_string();
  const char* const absent = code == EADDRNOTAVAIL ? ": this machine does not have the address" : "";
  Error error = base::system_error(code, {"cannot listen on ", name, absent});
  if (code == EADDRINUSE) error.code = ErrorCode::in_use;
  if (code == EACCES) error.code = ErrorCode::denied;
  if (code == EAFNOSUPPORT) error.code = ErrorCode::unsupported;
  // IPv6 that is switched off leaves its sockets, but no addresses; names like localhost have one all the
  // same.
  if (code == EADDRNOTAVAIL && endpoint.family() == AF_INET6) error.code = ErrorCode::unsupported;
  return error;
}

Result<Fd> bind_to(const Endpoint& endpoint) {
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return listen_error(errno, endpoint);
  const int on = 1;
  // Sessions that live on this port, or rest in TIME_WAIT, must not keep it; another listener still does.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // IPv4 has a socket of its own: a v6 one that took both would leave the v4 address to whoever binds it
  // first.
  if (endpoint.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  tune_socket(fd.get());
  // Between two programs of one machine there is no network to be gentle with. Where the system's choice is
  // bbr, its timers cost more than all the rest of relaying.
  if (endpoint.is_loopback())
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, kUnpaced.data(), kUnpaced.size());
  if (::bind(fd.get(), endpoint.get(), endpoint.length) != 0) return listen_error(errno, endpoint);
  return fd;
}

// Two sockets may both bind; only the first to listen holds the port, so listen()'s EADDRINUSE counts too.
Result<Fd> listen_on(const Endpoint& endpoint) {
  auto fd = bind_to(endpoint);
  if (fd && ::listen(fd->get(), kBacklog) != 0) return listen_error(errno, endpoint);
  return fd;
}

using Open = Result<Fd> (*)(const Endpoint&);

Result<std::vector<Fd>> open_all(const std::vector<Endpoint>& endpoints, uint16_t port, Open open) {
  std::vector<Fd> listeners;
  Error missing_family{ErrorCode::system, "no address to listen on"};
  for (Endpoint endpoint : endpoints) {
    endpoint.set_port(port);
    auto fd = open(endpoint);
    if (!fd) {
      if (fd.error().code != ErrorCode::unsupported) return fd.error();
      missing_family = std::move(fd.error());
      continue;
    }
    if (port == 0) {
      const auto local = base::local_of(fd->get());
      if (!local) return local.error();
      port = local->port();
    }
    listeners.push_back(std::move(*fd));
  }
  if (listeners.empty()) return missing_family;
  return listeners;
}

}  // namespace

Result<std::vector<Fd>> listen_on_all(const std::vector<Endpoint>& endpoints, uint16_t port) {
  auto listeners = open_all(endpoints, port, listen_on);
  // A port the kernel chose for the first address may be taken on the second: let it choose again.
  for (int i = 1;
       port == 0 && !listeners && listeners.error().code == ErrorCode::in_use && i < kTriesForOnePort; ++i)
    listeners = open_all(endpoints, port, listen_on);
  return listeners;
}

Result<void> check_listen(const std::vector<Endpoint>& endpoints, uint16_t port) {
  const auto bound = open_all(endpoints, port, bind_to);
  // Port 0 was tried for the addresses: what the kernel chose for the first may be taken on the second.
  if (bound || (port == 0 && bound.error().code == ErrorCode::in_use)) return {};
  return bound.error();
}

Acceptor::Acceptor(Loop& loop, Fd listener, Accepted accepted)
    : listener_(std::move(listener)),
      accepted_(std::move(accepted)),
      readable_(loop, listener_.get(), Watch::For::reading, [this] { accept_one(); }),
      rest_over_(loop, [this] { readable_.arm(!paused_); }) {
  readable_.arm();
}

void Acceptor::pause(bool on) {
  paused_ = on;
  readable_.arm(!on);
}

// Linux takes a listening socket that is shut down back to where it was after bind().
void Acceptor::shut() {
  rest_over_.stop();
  readable_.arm(false);
  ::shutdown(listener_.get(), SHUT_RD);
}

bool Acceptor::reopen() {
  if (::listen(listener_.get(), kBacklog) != 0) return false;
  readable_.arm(!paused_);
  return true;
}

void Acceptor::accept_one() {
  Endpoint peer;
  peer.length = sizeof peer.storage;
  Fd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.length,
                  SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) {
    complained_ = false;
    accepted_(std::move(fd), peer);
    return;
  }
  if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
    return;  // the peer's own trouble
  if (!std::exchange(complained_, true))
    base::log_error("cannot accept connections: %s", std::strerror(errno));
  readable_.arm(false);
  rest_over_.start(kRest);
}

}  // namespace vncauthproxy::net
