// SPDX-License-Identifier: GPL-2.0-or-later
#include "line.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "backend.h"
#include "loop.h"

namespace vncauthproxy::bench {
namespace {

std::array<uint8_t, 256 * 1024> room;  // what is read here is used up before the next read

// One context for all: no verification (the certificates are made for the run), no resumption (each session
// pays its whole handshake), and one suite, so that every proxy encrypts with the same cipher.
SSL_CTX* tls_context() {
  static const base::Handle<SSL_CTX> context = [] {
    base::Handle<SSL_CTX> made(::SSL_CTX_new(::TLS_client_method()));
    if (!made || ::SSL_CTX_set_ciphersuites(made.get(), "TLS_AES_256_GCM_SHA384") != 1 ||
        ::SSL_CTX_set_min_proto_version(made.get(), TLS1_3_VERSION) != 1)
      die("no TLS 1.3 with TLS_AES_256_GCM_SHA384 in this OpenSSL");
    ::SSL_CTX_set_verify(made.get(), SSL_VERIFY_NONE, nullptr);
    ::SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_options(made.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    ::SSL_CTX_set_read_ahead(made.get(), 1);
    return made;
  }();
  return context.get();
}

}  // namespace

base::Fd start_connect(uint16_t port, unsigned source) {
  base::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) die("socket: %s", std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl((127U << 24) + source);
  if (source != 1 && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    die("bind to 127.0.0.%u: %s", source, std::strerror(errno));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS)
    die("connect to port %u: %s", port, std::strerror(errno));
  no_delay(fd.get());
  return fd;
}

Line::Line(base::Fd fd, Wrapping wrapping) : fd_(std::move(fd)), wrapping_(wrapping) {
  if (!has_tls(wrapping_)) return;
  ssl_.reset(::SSL_new(tls_context()));
  if (!ssl_ || ::SSL_set_fd(ssl_.get(), fd_.get()) != 1) die("cannot make a TLS connection");
  // Read-ahead of several records: one recv for what the proxy wrote at once. Not for the thousands that only
  // wait, hence it is set here and reserved at the first read by OpenSSL itself.
  ::SSL_set_default_read_buffer_len(ssl_.get(), 128 * 1024);
}

Line::Step Line::tls_handshake(uint32_t& wanted_events) {
  const int result = ::SSL_connect(ssl_.get());
  if (result == 1) return Step::done;
  const int why = ::SSL_get_error(ssl_.get(), result);
  wanted_events = why == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? Step::again : Step::failed;
}

bool Line::send_upgrade() {
  return send_raw(
      "GET /websockify HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: binary\r\n\r\n");
}

Line::Step Line::read_upgrade() {
  // Byte by byte, so that the first frames stay where receive() finds them.
  uint8_t byte = 0;
  while (head_.size() < 8192) {
    const ssize_t got = receive_raw({&byte, 1});
    if (got == -1) return Step::again;
    if (got <= 0) return Step::failed;
    head_ += static_cast<char>(byte);
    if (head_.ends_with("\r\n\r\n"))
      return head_.starts_with("HTTP/1.1 101 ") &&
                     head_.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != std::string::npos
                 ? Step::done
                 : Step::failed;
  }
  return Step::failed;
}

bool Line::send(std::string_view payload) {
  return send_raw(wants_upgrade() ? masked_frame(Opcode::binary, payload) : payload);
}

// Whatever a viewer sends here is small and the line is quiet: it fits, or the other side does not read.
bool Line::send_raw(std::string_view bytes) {
  if (ssl_) return ::SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

ssize_t Line::receive_raw(std::span<uint8_t> into) {
  if (!ssl_) {
    const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), 0);
    return got >= 0 ? got : errno == EAGAIN ? -1 : -2;
  }
  const int got = ::SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
  if (got > 0) return got;
  const int why = ::SSL_get_error(ssl_.get(), got);
  return why == SSL_ERROR_WANT_READ ? -1 : why == SSL_ERROR_ZERO_RETURN ? 0 : -2;
}

bool Line::unwrap(base::Bytes bytes, const std::function<void(base::Bytes)>& payload) {
  if (!wants_upgrade()) {
    payload(bytes);
    return true;
  }
  return frames_.feed(bytes, payload, [this](Opcode opcode, const std::string& text) {
    if (opcode == Opcode::ping) closing_ = !send_raw(masked_frame(Opcode::pong, text));
    if (opcode == Opcode::close) closing_ = true;
  }) && !closing_;
}

// OpenSSL may hold records that epoll knows nothing of, so what it holds is always read to its end.
Line::Step Line::receive(const std::function<void(base::Bytes)>& payload) {
  for (size_t taken = 0; taken < room.size() || (ssl_ && ::SSL_has_pending(ssl_.get()) != 0);) {
    const ssize_t got = receive_raw(room);
    if (got == -1) return Step::again;
    if (got <= 0) return Step::failed;
    const auto count = static_cast<size_t>(got);
    if (!unwrap(base::Bytes(room).first(count), payload)) return Step::failed;
    taken += count;
    if (!ssl_ && count < room.size()) break;
  }
  return Step::done;
}

}  // namespace vncauthproxy::bench
