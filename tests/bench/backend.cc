// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace vncauthproxy::bench {
namespace {

constexpr std::string_view kBanner = "RFB 003.008\n";
// 640 x 480, 32 bits a pixel, named "bench"; RFC 6143 section 7.3.2.
constexpr std::string_view kServerInit{
    "\x02\x80\x01\xe0\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00\x00\x00\x00\x05"
    "bench",
    kServerInitSize};

// Two periods, so that a whole period can be taken from any position of the first.
const std::vector<uint8_t>& flood_bytes() {
  static const std::vector<uint8_t> bytes = [] {
    std::vector<uint8_t> made(2 * kFloodPeriod);
    uint32_t state = 1;
    for (size_t i = 0; i < kFloodPeriod; ++i) {
      state = state * 1664525 + 1013904223;
      made[i] = made[i + kFloodPeriod] = static_cast<uint8_t>(state >> 24);
    }
    return made;
  }();
  return bytes;
}

}  // namespace

base::Bytes flood_from(uint64_t position) {
  return base::Bytes(flood_bytes()).subspan(position % kFloodPeriod);
}

base::Fd listen_on_loopback() {
  base::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0)
    die("cannot listen: %s", std::strerror(errno));
  return fd;
}

uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    die("getsockname: %s", std::strerror(errno));
  return ntohs(address.sin_port);
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

class Backend::Connection : public Handler {
 public:
  Connection(Backend& backend, int fd) : backend_(backend), fd_(fd) { send(kBanner); }

  void ready(uint32_t events) override {
    if (!fd_) return;
    const bool alive = step_ == Step::flood ? pour(events) : take();
    if (alive) return;
    const int fd = fd_.get();
    backend_.end(fd);
  }
  void close() { fd_.reset(); }

 private:
  enum class Step : uint8_t { version, type, client_init, mode, flood, echo };

  // All that is sent here is small and follows a request: it always fits, or the other side is broken.
  bool send(std::string_view bytes) {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

  bool take() {
    std::array<char, 16384> room;
    const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    const std::string_view bytes(room.data(), static_cast<size_t>(got));
    if (step_ == Step::echo) return send(bytes);
    input_ += bytes;
    return advance();
  }

  bool advance() {
    for (;;) {
      const size_t needed = step_ == Step::version ? kBanner.size() : 1;
      if (step_ == Step::echo) return input_.empty() || send(std::exchange(input_, {}));
      if (step_ == Step::flood || input_.size() < needed) return true;
      const std::string message = input_.substr(0, needed);
      input_.erase(0, needed);
      if (!answer(message)) return false;
    }
  }

  bool answer(const std::string& message) {
    switch (step_) {
      case Step::version:
        step_ = Step::type;
        return message == kBanner && send({"\x01\x01", 2});
      case Step::type:
        step_ = Step::client_init;
        return message[0] == 1 && send({"\0\0\0\0", 4});
      case Step::client_init:
        step_ = Step::mode;
        return send(kServerInit);
      case Step::mode:
        if (message[0] == kEcho) {
          step_ = Step::echo;
          return true;
        }
        step_ = Step::flood;
        backend_.loop_.change(fd_.get(), EPOLLIN | EPOLLOUT, *this);
        return message[0] == kFlood;
      case Step::flood:
      case Step::echo:
        break;
    }
    return false;
  }

  bool pour(uint32_t events) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) return false;  // a flooded viewer has nothing to say
    const base::Bytes bytes = flood_from(position_).first(kFloodPeriod);
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) position_ += static_cast<uint64_t>(sent);
    return sent > 0 || errno == EAGAIN;
  }

  Backend& backend_;
  base::Fd fd_;
  Step step_ = Step::version;
  std::string input_;
  uint64_t position_ = 0;
};

Backend::Backend(Loop& loop, base::Fd listener) : loop_(loop), listener_(std::move(listener)) {
  loop_.watch(listener_.get(), EPOLLIN, *this);
}

Backend::~Backend() = default;

// Other processes may have the same socket open, so to close it would not end the watching.
void Backend::accept_no_more() {
  loop_.forget(listener_.get());
  listener_.reset();
}

void Backend::ready(uint32_t) {
  for (int i = 0; i < 64; ++i) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) die("accept: %s", std::strerror(errno));
      return;
    }
    no_delay(fd);
    const auto [place, fresh] = connections_.emplace(fd, std::make_unique<Connection>(*this, fd));
    if (!fresh) die("descriptor %d is in use twice", fd);
    loop_.watch(fd, EPOLLIN, *place->second);
  }
}

void Backend::end(int fd) {
  const auto place = connections_.find(fd);
  place->second->close();
  loop_.bury(std::move(place->second));
  connections_.erase(place);
}

}  // namespace vncauthproxy::bench
