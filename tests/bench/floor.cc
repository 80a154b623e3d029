// SPDX-License-Identifier: GPL-2.0-or-later
// The floor under the set-up of a forwarding: a bare program that makes the same system calls as the daemon
// and nothing else. It accepts a control client, reads its request (and does not look at it), binds and
// listens, forks; the child gives up what it does not need, connects to the backend, shakes hands and tells
// the parent, who replies; the child then takes the viewer through VNC Authentication (and believes any
// response) and stays until either side leaves. It waits in epoll, as who serves several candidates must, and
// the lines of its log are as many as the daemon's. No parser, no login, no cipher, no events, no C++
// library, no errors handled: what the daemon needs more than this is the price of those.
//
//   floor BACKEND-PORT      prints the line "listening on PORT", and then its log

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

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

// What the daemon asks of every socket (net/stream.h).
void tune(int fd) {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

int listen_on_free_port(uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (fd < 0) die("socket");
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  tune(fd);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, SOMAXCONN) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    die("listen");
  port = ntohs(address.sin_port);
  return fd;
}

void give(int fd, const void* bytes, size_t count) {
  if (::send(fd, bytes, count, MSG_NOSIGNAL) != static_cast<ssize_t>(count)) std::_Exit(0);
}

void log_line(const char* text, size_t size) {
  char pid[16];
  const int digits = std::snprintf(pid, sizeof pid, "%d ", static_cast<int>(::getpid()));
  iovec pieces[] = {{pid, static_cast<size_t>(digits)}, {const_cast<char*>(text), size}};
  pollfd ready{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1 || ::writev(STDOUT_FILENO, pieces, 2) < 0) die("log");
}

void change(int epoll, int how, int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, how, fd, &event) != 0) die("epoll_ctl");
}

void watch(int epoll, int fd) {
  change(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
}

// ---- the child

// Only `fd` has anything to say at that moment, or the parent is gone.
void wait_for(int epoll, int fd) {
  epoll_event events[32];
  if (::epoll_wait(epoll, events, 32, 60000) != 1 || events[0].data.fd != fd) std::_Exit(0);
}

void take(int epoll, int fd, size_t count) {
  char room[256];
  wait_for(epoll, fd);
  if (::recv(fd, room, sizeof room, 0) != static_cast<ssize_t>(count)) std::_Exit(0);
}

// What came from the parent and is not needed; signals and limits of one's own.
void settle(int listener, int channel) {
  const auto low = static_cast<unsigned>(listener < channel ? listener : channel);
  const auto high = static_cast<unsigned>(listener < channel ? channel : listener);
  if (low > 3) ::close_range(3, low - 1, 0);
  if (high > low + 1) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0U, 0);
  for (const int signal : {SIGCHLD, SIGTERM}) std::signal(signal, SIG_DFL);
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const auto limit = [](auto resource, rlim_t value) {
    const rlimit both{value, value};
    ::setrlimit(resource, &both);
  };
  limit(RLIMIT_NOFILE, 128);
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
}

int reach_backend(int epoll, uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in address = loopback(port);
  tune(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)
    die("connect");
  change(epoll, EPOLL_CTL_ADD, fd, EPOLLOUT);
  wait_for(epoll, fd);
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) die("connect");
  change(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
  take(epoll, fd, 12);
  give(fd, kBanner, 12);
  take(epoll, fd, 2);
  give(fd, "\x01", 1);
  take(epoll, fd, 4);
  return fd;
}

int admit_viewer(int epoll, int listener, int channel) {
  watch(epoll, listener);
  wait_for(epoll, listener);
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) die("accept");
  give(channel, "a viewer is here\n", 17);
  give(fd, kBanner, 12);
  watch(epoll, fd);
  take(epoll, fd, 12);
  give(fd, "\x01\x02", 2);
  take(epoll, fd, 1);
  char challenge[16];
  if (::getrandom(challenge, sizeof challenge, 0) != sizeof challenge) die("getrandom");
  give(fd, challenge, sizeof challenge);
  take(epoll, fd, 16);
  ::close(listener);
  give(channel, "it is let in\n", 13);
  give(fd, "\0\0\0\0", 4);
  return fd;
}

// Bytes from one to the other, until there are no more.
void relay(int epoll, int backend, int viewer) {
  for (;;) {
    epoll_event events[32];
    const int count = ::epoll_wait(epoll, events, 32, -1);
    for (int i = 0; i < count; ++i) {
      char room[4096];
      const int from = events[i].data.fd;
      if (from != backend && from != viewer) continue;
      const int to = from == backend ? viewer : backend;
      const ssize_t got = ::recv(from, room, sizeof room, 0);
      if (got > 0) {
        give(to, room, static_cast<size_t>(got));
        continue;
      }
      ::shutdown(to, SHUT_WR);
      if (from == backend) return;
      change(epoll, EPOLL_CTL_DEL, from, 0);
    }
  }
}

[[noreturn]] void work(int listener, int channel, uint16_t backend_port) {
  settle(listener, channel);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, channel);
  const int backend = reach_backend(epoll, backend_port);
  give(channel, "+", 1);
  change(epoll, EPOLL_CTL_MOD, backend, 0);
  const int viewer = admit_viewer(epoll, listener, channel);
  change(epoll, EPOLL_CTL_MOD, backend, EPOLLIN);
  relay(epoll, backend, viewer);
  give(channel, "over\n", 5);
  std::_Exit(0);
}

// ---- the parent

// A request is here: fork, and remember whom the child's word is for.
void start_forwarding(int epoll, int client, uint16_t backend_port) {
  char request[4096];
  const ssize_t got = ::recv(client, request, sizeof request, 0);
  if (got <= 0) {
    ::close(client);
    return;
  }
  log_line("asked\n", 6);
  uint16_t port = 0;
  const int listener = listen_on_free_port(port);
  int channel[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) != 0)
    die("socketpair");
  sigset_t all, before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child < 0) die("fork");
  if (child == 0) work(listener, channel[1], backend_port);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(listener);
  ::close(channel[1]);
  if (channel[0] >= kMaxDescriptor) die("too many at once");
  change(epoll, EPOLL_CTL_DEL, client, 0);
  client_of[channel[0]] = client;
  port_of[channel[0]] = port;
  watch(epoll, channel[0]);
}

// A "+" answers the client; the rest is for the log; then it ends.
void hear_child(int epoll, int channel) {
  char word[64];
  const ssize_t size = ::recv(channel, word, sizeof word, 0);
  if (size <= 0) {
    // Children that were forked since hold a copy, and a copy keeps a closed descriptor in the epoll set.
    change(epoll, EPOLL_CTL_DEL, channel, 0);
    client_of[channel] = 0;
    port_of[channel] = 0;
    ::close(channel);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return;
  }
  if (word[0] != '+') return log_line(word, static_cast<size_t>(size));
  log_line("ready\n", 6);
  char reply[128];
  const int length =
      std::snprintf(reply, sizeof reply, "{\"source_port\": %u, \"status\": \"OK\"}", port_of[channel]);
  give(client_of[channel], reply, static_cast<size_t>(length));
  ::shutdown(client_of[channel], SHUT_WR);
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
        const int client = ::accept4(control, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0) watch(epoll, client);
      } else if (port_of[fd] != 0) {
        hear_child(epoll, fd);
      } else {
        start_forwarding(epoll, fd, static_cast<uint16_t>(backend_port));
      }
    }
  }
}
