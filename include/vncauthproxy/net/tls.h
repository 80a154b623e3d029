// SPDX-License-Identifier: GPL-2.0-or-later
// TLS contexts for our server side: TLS 1.2 and 1.3, ECDHE with AEAD only, no tickets, no renegotiation, no
// compression.
#pragma once

#include <sys/types.h>

#include <string>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::net {

// What the server side of a TLS stream is made of: the context, with the certificate and its chain, and the
// private key, which stays out of it so that a process without need of the key can have the context.
struct TlsServer {
  base::Handle<SSL_CTX> context;  // null: there is no TLS
  base::Handle<EVP_PKEY> key;     // null: not there yet

  explicit operator bool() const { return context != nullptr; }
};

// All of a context. Nothing of it is secret.
struct TlsContextSettings {
  std::string chain;         // PEM: the certificate, then its chain
  std::string min_version;   // "1.2", "1.3" or kLegacyTls
  std::string ciphers;       // of TLS 1.2, as openssl-ciphers(1) spells them
  std::string ciphersuites;  // of TLS 1.3; empty: OpenSSL's own
};

// As a min_version: TLS 1.0, with the suites of its time beside `ciphers`, for clients that know no better.
inline constexpr const char* kLegacyTls = "1.0";

struct TlsSettings {
  uid_t key_owner;                  // who else than root may own the key file: the daemon's user
  std::string cert_file, key_file;  // PEM; the certificate is followed by its chain
  std::string min_version;          // "1.2", "1.3" or kLegacyTls
  std::string ciphers;              // of TLS 1.2, as openssl-ciphers(1) spells them
  std::string ciphersuites;         // of TLS 1.3; empty: OpenSSL's own
};
// OpenSSL clears what it knows to be secret, but not each buffer that a key passes through on its way: from
// here on whatever it frees is wiped, but for what is too large to be one. Before any other call of OpenSSL.
// Throws std::bad_alloc.
void use_wiping_tls_allocator();
// The key file must be a regular file of root or of this user, closed to others, and match the
// certificate.
// Error texts name the file or setting and what is wrong, in OpenSSL's words where it has any.
base::Result<TlsServer> load_tls_server(const TlsSettings& settings);
// Whether the lists match anything, without a certificate. Errors begin with "tls-ciphers: " or
// "tls-ciphersuites: ".
base::Result<void> check_algorithms(const TlsContextSettings& settings);
// The certificate and its chain as PEM.
std::string chain_text(const TlsServer& tls);
// Errors name the setting and what is wrong; those of the chain begin with what is wrong.
base::Result<TlsServer> make_tls_context(const TlsContextSettings& settings);
// The private key as DER, for another process; and that process takes it. Error invalid: it is no key, or not
// this certificate's.
base::Secret key_text(const TlsServer& tls);
base::Result<void> set_key(TlsServer& tls, const base::Secret& text);

}  // namespace vncauthproxy::net
