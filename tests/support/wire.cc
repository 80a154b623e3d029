// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/wire.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sslerr.h>

#include <array>
#include <csignal>

namespace vncauthproxy::testing {

Wire::Wire(Socket raw, const WireOffer& offer, Deadline deadline)
    : socket(std::move(raw)), context_(SSL_CTX_new(TLS_client_method())) {
  std::signal(SIGPIPE, SIG_IGN);  // SSL_write() into a closed connection
  SSL_CTX_set_min_proto_version(context_.get(), offer.min_version);
  SSL_CTX_set_max_proto_version(context_.get(), offer.max_version);
  if (SSL_CTX_set_cipher_list(context_.get(), offer.ciphers.c_str()) != 1) trouble_ = "no such ciphers";
  if (!offer.ciphersuites.empty() &&
      SSL_CTX_set_ciphersuites(context_.get(), offer.ciphersuites.c_str()) != 1)
    trouble_ = "no such ciphersuites";
  SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context_.get(), offer.distrusts ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), socket.get());
  SSL_set_connect_state(ssl_.get());
  while (trouble_.empty()) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1 || failure(result, deadline) != Got::data) break;
  }
}

Got Wire::failure(int result, Deadline deadline) {
  const int why = SSL_get_error(ssl_.get(), result);
  if (why == SSL_ERROR_WANT_READ) return wait_fd(socket.get(), POLLIN, deadline) ? Got::data : Got::nothing;
  if (why == SSL_ERROR_WANT_WRITE) return wait_fd(socket.get(), POLLOUT, deadline) ? Got::data : Got::nothing;
  if (why == SSL_ERROR_ZERO_RETURN) return Got::end;
  const unsigned long code = ERR_peek_error();
  const char* reason = ERR_reason_error_string(code);
  trouble_ = reason != nullptr ? reason : "connection broken";
  return ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? Got::end : Got::reset;
}

bool Wire::send(std::string_view bytes, Deadline deadline) {
  if (!ssl_) return socket.send(bytes, deadline);
  while (!bytes.empty()) {
    ERR_clear_error();
    size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    if (result == 1)
      bytes.remove_prefix(sent);
    else if (failure(result, deadline) != Got::data)
      return false;
  }
  return true;
}

bool Wire::send_each_byte(std::string_view bytes, Deadline deadline) {
  for (size_t i = 0; i < bytes.size(); ++i)
    if (!send(bytes.substr(i, 1), deadline)) return false;
  return true;
}

size_t Wire::send_some(std::string_view bytes) {
  if (!ssl_) return socket.send_some(bytes);
  ERR_clear_error();
  size_t sent = 0;
  return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) == 1 ? sent : 0;
}

Got Wire::read_some(std::span<uint8_t> room, size_t* count, Deadline deadline) {
  if (!ssl_) return socket.read_some(room, count, deadline);
  *count = 0;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), room.data(), room.size(), count);
    if (result == 1) return Got::data;
    if (const Got how = failure(result, deadline); how != Got::data) return how;
  }
}

std::optional<std::string> Wire::read(size_t count, Deadline deadline) {
  std::string bytes(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    size_t got = 0;
    const std::span<uint8_t> room(reinterpret_cast<uint8_t*>(bytes.data()) + filled, count - filled);
    if (read_some(room, &got, deadline) != Got::data) return std::nullopt;
    filled += got;
  }
  return bytes;
}

std::string Wire::read_to_end(Got* how, Deadline deadline) {
  std::string bytes;
  std::array<uint8_t, 16384> room;
  for (;;) {
    size_t got = 0;
    const Got now = read_some(room, &got, deadline);
    if (how != nullptr) *how = now;
    if (now != Got::data) return bytes;
    bytes.append(reinterpret_cast<const char*>(room.data()), got);
  }
}

bool Wire::silent_for(milliseconds time) {
  uint8_t byte = 0;
  size_t got = 0;
  return read_some({&byte, 1}, &got, time) == Got::nothing;
}

void Wire::say_goodbye() {
  ERR_clear_error();
  if (ssl_) SSL_shutdown(ssl_.get());
}

bool Wire::goodbye_came() const {
  return ssl_ && (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

std::string Wire::protocol() const {
  return ssl_ ? SSL_get_version(ssl_.get()) : "";
}

std::string Wire::cipher() const {
  return ssl_ ? SSL_get_cipher_name(ssl_.get()) : "";
}

std::string Wire::certificate() const {
  X509* certificate = ssl_ ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
  if (certificate == nullptr) return "";
  const std::unique_ptr<BIO, int (*)(BIO*)> text(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(text.get(), certificate);
  char* start = nullptr;
  const long size = BIO_get_mem_data(text.get(), &start);
  return {start, static_cast<size_t>(size)};
}

}  // namespace vncauthproxy::testing
