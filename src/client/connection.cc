// SPDX-License-Identifier: GPL-2.0-or-later
#include "connection.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace vncauthproxy::client {
namespace {

using base::Endpoint;
using base::Error;
using base::ErrorCode;
using base::Fd;
using base::Result;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr std::chrono::milliseconds kBetweenRounds{200};

const Error kTooLate{ErrorCode::timeout, "no answer in time"};

Result<void> wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return kTooLate;
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return base::system_error(errno, {"poll"});
  }
}

// The resolver knows no deadline of ours. A thread that is late is left to itself: the program ends anyway.
Result<std::vector<Endpoint>> resolve(const std::string& host, const std::string& port, Deadline deadline) {
  using Found = Result<std::vector<Endpoint>>;
  const auto promise = std::make_shared<std::promise<Found>>();
  std::future<Found> found = promise->get_future();
  std::thread([promise, host, port] {
    promise->set_value(base::resolve(host, port, base::ResolveFor::connect));
  }).detach();
  if (found.wait_until(deadline) != std::future_status::ready)
    return Error{ErrorCode::timeout, "the name service did not answer in time"};
  return found.get();
}

Result<Fd> connect_one(const Endpoint& endpoint, Deadline deadline) {
  const auto failed = [&](int code) {
    return Error{ErrorCode::unreachable, endpoint.to_string() + ": " + std::strerror(code)};
  };
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failed(errno);
  if (::connect(fd.get(), endpoint.get(), endpoint.length) == 0) return fd;
  if (errno != EINPROGRESS && errno != EINTR) return failed(errno);
  if (!wait_for(fd.get(), POLLOUT, deadline)) return failed(ETIMEDOUT);
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code != 0) return failed(code);
  return fd;
}

Error broken(int code) {
  return {ErrorCode::closed, std::string("the connection broke: ") + std::strerror(code)};
}

// An address that does not answer may use up its share of the time, not that of the next ones.
Result<Fd> connect_round(const std::vector<Endpoint>& endpoints, Deadline deadline) {
  Result<Fd> last = kTooLate;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const auto now = Clock::now();
    const auto share = (deadline - now) / static_cast<int>(endpoints.size() - i);
    last = connect_one(endpoints[i], now + share);
    if (last) break;
  }
  return last;
}

// The reason OpenSSL gives, in its own words.
std::string tls_reason() {
  const unsigned long code = ERR_get_error();
  const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "protocol error";
}

}  // namespace

Result<Connection> Connection::open(const std::string& host, const std::string& port, Deadline deadline) {
  const auto endpoints = resolve(host, port, deadline);
  if (!endpoints) return endpoints.error();
  for (int round = 1;; ++round) {
    Result<Fd> fd = connect_round(*endpoints, deadline);
    if (fd) return Connection(std::move(*fd), deadline);
    if (round == kRounds || Clock::now() + kBetweenRounds >= deadline) return fd.error();
    std::this_thread::sleep_for(kBetweenRounds);
  }
}

Result<void> Connection::start_tls(const TlsWishes& wishes) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!context_ || SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION) != 1)
    return Error{ErrorCode::system, "TLS: " + tls_reason()};
  // An end without close_notify is an end: whether the reply is whole shows in the reply.
  SSL_CTX_set_options(context_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (wishes.verify_chain) {
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    const bool loaded = wishes.ca_file.empty()
                            ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
                            : SSL_CTX_load_verify_file(context_.get(), wishes.ca_file.c_str()) == 1;
    if (!loaded) return Error{ErrorCode::system, "the file of --ca-cert cannot be read: " + tls_reason()};
  }
  ssl_.reset(SSL_new(context_.get()));
  bool ready = ssl_ && SSL_set_fd(ssl_.get(), fd_.get()) == 1;
  if (ready && !wishes.sni.empty()) ready = SSL_set_tlsext_host_name(ssl_.get(), wishes.sni.c_str()) == 1;
  if (ready && !wishes.name.empty()) {
    // An address is looked for among the addresses of the certificate, anything else among its names.
    ready = wishes.sni.empty()
                ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), wishes.name.c_str()) == 1
                : SSL_set1_host(ssl_.get(), wishes.name.c_str()) == 1;
  }
  if (!ready) return Error{ErrorCode::system, "TLS: " + tls_reason()};
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_.get());
    if (result == 1) return {};
    if (const long verdict = SSL_get_verify_result(ssl_.get()); wishes.verify_chain && verdict != X509_V_OK)
      return Error{ErrorCode::denied,
                   std::string("the certificate of the server: ") + X509_verify_cert_error_string(verdict)};
    if (const auto going_on = after_ssl(result, "TLS handshake"); !going_on) return going_on;
  }
}

Result<void> Connection::after_ssl(int result, const char* what) {
  const int code = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait_for(fd_.get(), POLLIN, deadline_);
    case SSL_ERROR_WANT_WRITE:
      return wait_for(fd_.get(), POLLOUT, deadline_);
    case SSL_ERROR_ZERO_RETURN:
      return Error{ErrorCode::closed, std::string(what) + ": the server closed the connection"};
    case SSL_ERROR_SYSCALL:
      return Error{
          ErrorCode::closed,
          std::string(what) + ": " + (code != 0 ? std::strerror(code) : "the server closed the connection")};
    default:
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER)
        return Error{ErrorCode::invalid,
                     "the server speaks no TLS on that port, which --enable-ssl asks for"};
      return Error{ErrorCode::invalid, std::string(what) + ": " + tls_reason()};
  }
}

Result<void> Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (ssl_) {
      ERR_clear_error();
      const int put = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (put > 0)
        bytes.remove_prefix(static_cast<size_t>(put));
      else if (const auto going_on = after_ssl(put, "TLS"); !going_on)
        return going_on;
      continue;
    }
    const ssize_t put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (const auto ready = wait_for(fd_.get(), POLLOUT, deadline_); !ready) return ready;
    } else if (errno != EINTR) {
      return broken(errno);
    }
  }
  return {};
}

Result<size_t> Connection::receive(std::span<char> room) {
  for (;;) {
    if (ssl_) {
      ERR_clear_error();
      const int got = SSL_read(ssl_.get(), room.data(), static_cast<int>(room.size()));
      if (got > 0) return static_cast<size_t>(got);
      if (SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN) return size_t{0};
      if (const auto going_on = after_ssl(got, "TLS"); !going_on) return going_on.error();
      continue;
    }
    const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (const auto ready = wait_for(fd_.get(), POLLIN, deadline_); !ready) return ready.error();
    } else if (errno != EINTR) {
      return broken(errno);
    }
  }
}

void Connection::close() {
  if (ssl_) SSL_shutdown(ssl_.get());
  ssl_.reset();
  fd_.reset();
}

}  // namespace vncauthproxy::client
