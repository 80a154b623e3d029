// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::testing {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address address_of(const std::string& host, uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.length = sizeof *v6;
  }
  return address;
}

base::Fd stream_socket(int family) {
  return base::Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

void set_int(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

uint16_t port_of(int fd) {
  Address address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.length) != 0) return 0;
  return ntohs(reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port);  // at the same place in both
}

base::Fd listen_on(const std::string& host, uint16_t port) {
  Address address = address_of(host, port);
  base::Fd fd = stream_socket(address.storage.ss_family);
  if (!fd) return {};
  set_int(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) set_int(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (::bind(fd.get(), address.get(), address.length) != 0 || ::listen(fd.get(), 512) != 0) return {};
  return fd;
}

}  // namespace

Socket Socket::connect(const std::string& host, uint16_t port, Deadline deadline, int buffer,
                       const std::string& source) {
  Address address = address_of(host, port);
  base::Fd fd = stream_socket(address.storage.ss_family);
  if (!fd) return {};
  if (buffer > 0) {
    set_int(fd.get(), SOL_SOCKET, SO_RCVBUF, buffer);
    set_int(fd.get(), SOL_SOCKET, SO_SNDBUF, buffer);
  }
  set_int(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (!source.empty()) {
    Address from = address_of(source, 0);
    if (::bind(fd.get(), from.get(), from.length) != 0) return {};
  }
  if (::connect(fd.get(), address.get(), address.length) != 0) {
    if (errno != EINPROGRESS || !wait_fd(fd.get(), POLLOUT, deadline)) return {};
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return {};
  }
  return Socket(std::move(fd));
}

Socket Socket::connect_to_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  base::Fd fd = stream_socket(AF_UNIX);
  if (!fd || path.size() >= sizeof address.sun_path) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return Socket(std::move(fd));
}

bool Socket::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0)
      bytes.remove_prefix(static_cast<size_t>(sent));
    else if (errno != EAGAIN || !wait_fd(fd_.get(), POLLOUT, deadline))
      return false;
  }
  return true;
}

bool Socket::send(std::span<const uint8_t> bytes, Deadline deadline) {
  return send(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), deadline);
}

bool Socket::send_each_byte(std::string_view bytes, Deadline deadline) {
  for (size_t i = 0; i < bytes.size(); ++i)
    if (!send(bytes.substr(i, 1), deadline)) return false;
  return true;
}

size_t Socket::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent > 0 ? static_cast<size_t>(sent) : 0;
}

Got Socket::read_some(std::span<uint8_t> room, size_t* count, Deadline deadline) {
  *count = 0;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
    if (got > 0) {
      *count = static_cast<size_t>(got);
      return Got::data;
    }
    if (got == 0) return Got::end;
    if (errno != EAGAIN) return Got::reset;
    if (!wait_fd(fd_.get(), POLLIN, deadline)) return Got::nothing;
  }
}

std::optional<std::string> Socket::read(size_t count, Deadline deadline) {
  std::string bytes(count, '\0');
  size_t have = 0;
  while (have < count) {
    size_t got = 0;
    const std::span<uint8_t> room(reinterpret_cast<uint8_t*>(bytes.data()) + have, count - have);
    if (read_some(room, &got, deadline) != Got::data) return std::nullopt;
    have += got;
  }
  return bytes;
}

std::string Socket::read_to_end(Got* how, Deadline deadline) {
  std::string bytes;
  std::array<uint8_t, 16384> room;
  for (;;) {
    size_t got = 0;
    const Got outcome = read_some(room, &got, deadline);
    if (outcome != Got::data) {
      if (how) *how = outcome;
      return bytes;
    }
    bytes.append(reinterpret_cast<const char*>(room.data()), got);
  }
}

bool Socket::ended(Deadline deadline) {
  Got how = Got::nothing;
  const std::string rest = read_to_end(&how, deadline);
  return rest.empty() && (how == Got::end || how == Got::reset);
}

bool Socket::silent_for(milliseconds time) {
  return !wait_fd(fd_.get(), POLLIN, Deadline(time));
}

void Socket::finish_sending() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void Socket::reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  fd_.reset();
}

void Socket::interrupt() {
  ::shutdown(fd_.get(), SHUT_RDWR);
}

uint16_t Socket::local_port() const {
  return port_of(fd_.get());
}

Listener::Listener(const std::string& host, uint16_t port) : fd_(listen_on(host, port)) {
  if (fd_) port_ = port_of(fd_.get());
}

Socket Listener::accept(Deadline deadline) {
  for (;;) {
    base::Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) {
      set_int(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
      return Socket(std::move(fd));
    }
    if (errno != EAGAIN && errno != ECONNABORTED) return {};
    if (!wait_fd(fd_.get(), POLLIN, deadline)) return {};
  }
}

bool ipv6_works() {
  static const bool works = static_cast<bool>(listen_on("::1", 0));
  return works;
}

bool port_is_free(uint16_t port) {
  return listen_on("0.0.0.0", port) && (!ipv6_works() || listen_on("::", port));
}

uint16_t find_free_range(uint16_t count) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    const auto first = static_cast<uint16_t>(10000 + base::random_below(22000u - count));
    uint16_t free = 0;
    while (free < count && port_is_free(static_cast<uint16_t>(first + free))) ++free;
    if (free == count) return first;
  }
  return 0;
}

bool connection_refused(const std::string& host, uint16_t port) {
  Address address = address_of(host, port);
  base::Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Blocking: a local connection is made or refused at once.
  return fd && ::connect(fd.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
}

}  // namespace vncauthproxy::testing
