// SPDX-License-Identifier: GPL-2.0-or-later
// The client's side of a TLS connection, in the same thread as the server's: the engine works on memory, and
// what it wants sent goes through a Peer, which never waits.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/peer.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::testing {

struct TlsOffer {
  int min = 0, max = 0;           // versions; 0: whatever OpenSSL has
  const char* ciphers = nullptr;  // up to TLS 1.2
  const char* suites = nullptr;   // of TLS 1.3
};

class TlsClient {
 public:
  TlsClient(base::Fd fd, const TlsOffer& offer = {})
      : peer(std::move(fd)), context_(::SSL_CTX_new(::TLS_client_method())), ssl_(make(offer)) {}

  SSL* ssl() { return ssl_.get(); }
  bool established() const { return SSL_is_init_finished(ssl_.get()); }

  // Moves what can move: handshake, records both ways. What arrived is appended to `got`.
  TlsClient& step() {
    take_in();
    ::ERR_clear_error();
    if (!established() && !failed) note(::SSL_do_handshake(ssl_.get()));
    if (established() && !failed) read();
    give_out();
    return *this;
  }
  bool write(std::string_view bytes) {
    const bool ok = ::SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
    give_out();
    return ok;
  }
  // Sends a KeyUpdate of TLS 1.3, and asks for one in return.
  bool update_key() {
    const bool ok =
        ::SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl_.get()) == 1;
    give_out();
    return ok;
  }
  // Says goodbye in TLS, and no more.
  void close_notify() {
    ::SSL_shutdown(ssl_.get());
    give_out();
  }

  Peer peer;
  std::string got;
  std::string unsent;  // encrypted, and not yet taken by the kernel
  size_t packets = 0;  // pieces of ciphertext read, which are sends where the socket keeps them apart
  size_t cipher_bytes = 0;
  bool closed = false;  // by close_notify
  bool failed = false;
  int reason = 0;              // of OpenSSL, when failed
  std::string traffic_secret;  // of what it sends, at first (TLS 1.3)

 private:
  base::Handle<SSL> make(const TlsOffer& offer) {
    SSL_CTX* const context = context_.get();
    ::SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, offer.min);
    SSL_CTX_set_max_proto_version(context, offer.max);
    if (offer.ciphers != nullptr) ::SSL_CTX_set_cipher_list(context, offer.ciphers);
    if (offer.suites != nullptr) ::SSL_CTX_set_ciphersuites(context, offer.suites);
    SSL_CTX_set_keylog_callback(context, &TlsClient::take_secret);
    base::Handle<SSL> ssl(::SSL_new(context));
    SSL_set_app_data(ssl.get(), this);
    in_ = ::BIO_new(::BIO_s_mem());
    out_ = ::BIO_new(::BIO_s_mem());
    if (!ssl || in_ == nullptr || out_ == nullptr) throw std::bad_alloc();
    BIO_set_mem_eof_return(in_, -1);
    ::SSL_set_bio(ssl.get(), in_, out_);
    ::SSL_set_connect_state(ssl.get());
    return ssl;
  }
  // "CLIENT_TRAFFIC_SECRET_0 <random> <secret>", in hex.
  static void take_secret(const SSL* ssl, const char* line) {
    const std::string_view text(line);
    if (!text.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) return;
    std::string& secret = static_cast<TlsClient*>(SSL_get_app_data(ssl))->traffic_secret;
    secret.clear();
    for (size_t at = text.rfind(' ') + 1; at + 1 < text.size(); at += 2)
      secret += static_cast<char>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16));
  }
  void take_in() {
    char room[300000];  // larger than any packet
    for (;;) {
      const ssize_t count = ::recv(peer.get(), room, sizeof room, MSG_DONTWAIT);
      if (count == 0) peer.ended = true;
      if (count < 0 && errno != EAGAIN) peer.was_reset = true;
      if (count <= 0) return;
      ++packets;
      cipher_bytes += static_cast<size_t>(count);
      ::BIO_write(in_, room, static_cast<int>(count));
    }
  }
  void read() {
    char room[16384];
    for (int count; (count = ::SSL_read(ssl_.get(), room, sizeof room)) > 0 || !note(count);)
      got.append(room, static_cast<size_t>(count));
  }
  // True: nothing more for now, or ever.
  bool note(int result) {
    const int why = ::SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_ZERO_RETURN) closed = true;
    if (why == SSL_ERROR_SSL || why == SSL_ERROR_SYSCALL) {
      failed = true;
      reason = ERR_GET_REASON(::ERR_peek_error());
    }
    return why != SSL_ERROR_NONE;
  }
  void give_out() {
    char room[16384];
    for (int count; (count = ::BIO_read(out_, room, sizeof room)) > 0;)
      unsent.append(room, static_cast<size_t>(count));
    unsent.erase(0, peer.send(unsent));
  }

  base::Handle<SSL_CTX> context_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  base::Handle<SSL> ssl_;  // owns the two
};

}  // namespace vncauthproxy::testing
