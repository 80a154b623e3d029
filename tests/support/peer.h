// SPDX-License-Identifier: GPL-2.0-or-later
// The other end of a connection under test, in the same thread as the loop: nothing here ever waits. And the
// endpoints that tests name.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::testing {

// Literal addresses, or "*".
inline std::vector<base::Endpoint> endpoints_of(std::initializer_list<const char*> hosts) {
  std::vector<base::Endpoint> all;
  for (const char* host : hosts) {
    const auto found = base::resolve(host, "0", base::ResolveFor::listen);
    if (found) all.insert(all.end(), found->begin(), found->end());
  }
  return all;
}
inline base::Endpoint endpoint_of(const char* host, uint16_t port = 0) {
  base::Endpoint endpoint = endpoints_of({host}).at(0);
  endpoint.set_port(port);
  return endpoint;
}

class Peer {
 public:
  Peer() = default;
  explicit Peer(base::Fd fd) : fd_(std::move(fd)) {}

  int get() const { return fd_.get(); }
  // How many of the bytes the kernel has taken.
  size_t send(std::string_view bytes) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  bool send_all(std::string_view bytes) { return send(bytes) == bytes.size(); }
  // What is there now, appended to `got`; in between the end of the stream or a reset is noted.
  Peer& pull() {
    std::array<char, 65536> room;
    while (!over()) {
      const ssize_t count = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
      if (count > 0) got.append(room.data(), static_cast<size_t>(count));
      if (count == 0) ended = true;
      if (count < 0 && errno != EAGAIN && errno != EINTR) was_reset = true;
      if (count < 0 && errno == EAGAIN) break;
    }
    return *this;
  }
  bool over() const { return ended || was_reset; }
  bool has(std::string_view text) { return pull().got == text; }

  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fd_.reset();
  }
  void close() { fd_.reset(); }
  // From here on it drops all packets, as one that was switched off does: nothing is acknowledged.
  void deafen() {
    sock_filter nothing{BPF_RET | BPF_K, 0, 0, 0};
    const sock_fprog program{1, &nothing};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  }

  std::string got;
  bool ended = false, was_reset = false;

 private:
  base::Fd fd_;
};

// A TCP connection to 127.0.0.1:port, from `source` of 127.0.0.0/8 when given. On loopback it is there at
// once: a listener's queue needs nobody to accept. An empty Fd: refused.
inline base::Fd connect_loopback(uint16_t port, uint32_t source = INADDR_LOOPBACK, int buffers = 0) {
  base::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (buffers > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffers, sizeof buffers);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &buffers, sizeof buffers);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(source);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  base::set_nonblocking(fd.get());
  return fd;
}

// Both ends of a TCP connection over loopback, non-blocking: `first` for the code under test. `buffers`
// above 0 fixes all four socket buffers.
inline base::FdPair tcp_pair(int buffers = 0) {
  const base::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (buffers > 0) {
    ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &buffers, sizeof buffers);
    ::setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &buffers, sizeof buffers);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return {};
  base::Fd peer = connect_loopback(ntohs(address.sin_port), INADDR_LOOPBACK, buffers);
  base::Fd ours(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  return {std::move(ours), std::move(peer)};
}

}  // namespace vncauthproxy::testing
