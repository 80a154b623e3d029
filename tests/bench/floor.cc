// SPDX-License-Identifier: GPL-2.0-or-later
// The floor under the set-up of a forwarding: a bare program that makes the same system calls and nothing
// else. It accepts a control client, reads its request (and does not look at it), binds and listens, forks;
// the child connects to the backend, shakes hands and tells the parent, who replies; the child then takes
// the viewer through VNC Authentication (and believes any response) and stays until either side leaves.
// No parser, no login, no log, no limits, no errors handled: what the daemon needs more than this is the
// price of those.
//
//   floor BACKEND-PORT      prints the line "listening on PORT"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr char kBanner[] = "RFB 003.008\n";
constexpr int kMaxDescriptor = 4096;
int client_of[kMaxDescriptor];  // by the descriptor of a child's channel: who waits for its word
uint16_t port_of[kMaxDescriptor];

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listen_on_free_port(uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(fd, SOMAXCONN) != 0 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    die("listen");
  port = ntohs(address.sin_port);
  return fd;
}

void take(int fd, size_t count) {
  char room[64];
  if (::recv(fd, room, count, MSG_WAITALL) != static_cast<ssize_t>(count)) std::_Exit(0);
}

void give(int fd, const void* bytes, size_t count) {
  if (::send(fd, bytes, count, MSG_NOSIGNAL) != static_cast<ssize_t>(count)) std::_Exit(0);
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int reach_backend(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");
  no_delay(fd);
  take(fd, 12);
  give(fd, kBanner, 12);
  take(fd, 2);
  give(fd, "\x01", 1);
  take(fd, 4);
  return fd;
}

int admit_viewer(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) die("accept");
  no_delay(fd);
  give(fd, kBanner, 12);
  take(fd, 12);
  give(fd, "\x01\x02", 2);
  take(fd, 1);
  char challenge[16];
  if (::getrandom(challenge, sizeof challenge, 0) != sizeof challenge) die("getrandom");
  give(fd, challenge, sizeof challenge);
  take(fd, 16);
  give(fd, "\0\0\0\0", 4);
  ::close(listener);
  return fd;
}

[[noreturn]] void work(int listener, int channel, uint16_t backend_port) {
  const int backend = reach_backend(backend_port);
  give(channel, "+", 1);
  const int viewer = admit_viewer(listener);
  give(channel, "+", 1);
  pollfd ends[2] = {{backend, POLLIN, 0}, {viewer, POLLIN, 0}};
  for (;;) {
    if (::poll(ends, 2, -1) < 0) die("poll");
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      char room[4096];
      const ssize_t got = ::recv(ends[i].fd, room, sizeof room, 0);
      if (got <= 0) std::_Exit(0);
      give(ends[1 - i].fd, room, static_cast<size_t>(got));
    }
  }
}

void watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

// A request is here: fork, and remember whom the child's word is for.
void start_forwarding(int epoll, int client, uint16_t backend_port) {
  char request[4096];
  const ssize_t got = ::recv(client, request, sizeof request, 0);
  if (got <= 0) {
    ::close(client);
    return;
  }
  uint16_t port = 0;
  const int listener = listen_on_free_port(port);
  int channel[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0) die("socketpair");
  const pid_t child = ::fork();
  if (child < 0) die("fork");
  if (child == 0) {
    ::close(client);
    ::close(epoll);
    ::close(channel[0]);
    work(listener, channel[1], backend_port);
  }
  ::close(listener);
  ::close(channel[1]);
  if (channel[0] >= kMaxDescriptor) die("too many at once");
  if (::epoll_ctl(epoll, EPOLL_CTL_DEL, client, nullptr) != 0) die("epoll_ctl");
  client_of[channel[0]] = client;
  port_of[channel[0]] = port;
  watch(epoll, channel[0]);
}

// The first word of a child answers its client; the second is that the viewer is in; then it ends.
void hear_child(int epoll, int channel) {
  char word;
  if (::recv(channel, &word, 1, 0) <= 0) {
    // Children that were forked since hold a copy, and a copy keeps a closed descriptor in the epoll set.
    if (::epoll_ctl(epoll, EPOLL_CTL_DEL, channel, nullptr) != 0) die("epoll_ctl");
    client_of[channel] = 0;
    port_of[channel] = 0;
    ::close(channel);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return;
  }
  if (client_of[channel] <= 0) return;
  char reply[128];
  const int size =
      std::snprintf(reply, sizeof reply, "{\"source_port\": %u, \"status\": \"OK\"}", port_of[channel]);
  give(client_of[channel], reply, static_cast<size_t>(size));
  ::close(client_of[channel]);
  client_of[channel] = -1;
}

}  // namespace

int main(int argc, char** argv) {
  const int backend_port = argc == 2 ? std::atoi(argv[1]) : 0;
  if (backend_port <= 0 || backend_port > UINT16_MAX) {
    std::fputs("usage: floor BACKEND-PORT\n", stderr);
    return 2;
  }
  uint16_t port = 0;
  const int control = listen_on_free_port(port);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  watch(epoll, control);
  std::printf("listening on %u\n", port);
  std::fflush(stdout);
  for (;;) {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == control) {
        const int client = ::accept4(control, nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0) watch(epoll, client);
      } else if (port_of[fd] != 0) {
        hear_child(epoll, fd);
      } else {
        start_forwarding(epoll, fd, static_cast<uint16_t>(backend_port));
      }
    }
  }
}
