// SPDX-License-Identifier: GPL-2.0-or-later
// TLS contexts for our server side: TLS 1.2 and 1.3, ECDHE with AEAD only, no tickets, no renegotiation, no
// compression.
#pragma once

#include <chrono>
#include <string>

#include "vncauthproxy/base/handles.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::net {

struct TlsSettings {
  std::string cert_file, key_file;  // PEM; the certificate is followed by its chain
  std::string min_version;          // "1.2" or "1.3"
  std::string ciphers;              // of TLS 1.2, as openssl-ciphers(1) spells them
  std::string ciphersuites;         // of TLS 1.3; empty: OpenSSL's own
};
// The key file must be a regular file of root or of this user, closed to others, and match the certificate.
// Error texts name the file or setting and what is wrong, in OpenSSL's words where it has any.
base::Result<base::Handle<SSL_CTX>> load_tls_context(const TlsSettings& settings);
// Another owner of the same context.
base::Handle<SSL_CTX> share(SSL_CTX& context);

// Until the certificate of the context ends; negative: it has.
std::chrono::seconds certificate_life(SSL_CTX& context);

}  // namespace vncauthproxy::net
