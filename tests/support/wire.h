// SPDX-License-Identifier: GPL-2.0-or-later
// A connection of a test, plain or TLS, behind one face: blocking calls with a deadline, as Socket has them.
// The TLS client takes any certificate and any protocol that it is told to.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tests/support/socket.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::testing {

struct WireOffer {
  int min_version = TLS1_2_VERSION, max_version = TLS1_3_VERSION;
  std::string ciphers = "DEFAULT:@SECLEVEL=0";  // up to TLS 1.2
  std::string ciphersuites = {};                // of TLS 1.3; empty: all
  bool distrusts = false;  // breaks off with the alert of a browser that does not know the issuer
};

class Wire {
 public:
  Wire() = default;
  explicit Wire(Socket plain) : socket(std::move(plain)) {}
  // Shakes hands at once; established() tells how that went.
  Wire(Socket raw, const WireOffer& offer, Deadline deadline = {});

  bool established() const { return socket && (!ssl_ || SSL_is_init_finished(ssl_.get())); }
  const std::string& trouble() const { return trouble_; }  // why TLS failed, in OpenSSL's words

  bool send(std::string_view bytes, Deadline deadline = {});
  bool send_each_byte(std::string_view bytes, Deadline deadline = {});
  size_t send_some(std::string_view bytes);  // what goes without waiting
  Got read_some(std::span<uint8_t> room, size_t* count, Deadline deadline = {});
  std::optional<std::string> read(size_t count, Deadline deadline = {});
  std::string read_to_end(Got* how = nullptr, Deadline deadline = {});
  bool silent_for(milliseconds time);

  void say_goodbye();               // close_notify
  bool goodbye_came() const;        // the peer's
  std::string protocol() const;     // "TLSv1.3"
  std::string cipher() const;       // as OpenSSL names it
  std::string certificate() const;  // the peer's, as PEM

  SSL* tls() { return ssl_.get(); }  // null when plain

  Socket socket;

 private:
  // What a call that did not succeed means: `data` is "try again", after a wait for what OpenSSL wants.
  Got failure(int result, Deadline deadline);

  base::Handle<SSL_CTX> context_;
  base::Handle<SSL> ssl_;
  std::string trouble_;
};

}  // namespace vncauthproxy::testing
