// SPDX-License-Identifier: GPL-2.0-or-later
// TLS contexts for our server side: TLS 1.2 and 1.3, ECDHE with AEAD only, no tickets, no renegotiation, no
// compression.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "vncauthproxy/base/handles.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::net {

// What the server side of a TLS stream is made of. The key stays out of the context: as an object it is
// spread over OpenSSL's memory, which a forked child would have to copy to wipe it there. So who forks keeps
// its text alone, and who talks TLS makes the object of it.
struct TlsServer {
  base::Handle<SSL_CTX> context;  // null: there is no TLS
  base::Handle<EVP_PKEY> key;     // null: locked
  base::Secret key_text;          // DER, as i2d_PrivateKey() writes it
  int key_type = 0;               // EVP_PKEY_EC ...

  explicit operator bool() const { return context != nullptr; }
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
// Locked. The key file must be a regular file of root or of this user, closed to others, and match the
// certificate.
// Error texts name the file or setting and what is wrong, in OpenSSL's words where it has any.
base::Result<TlsServer> load_tls_server(const TlsSettings& settings);
// Another owner of the same, locked.
TlsServer share(const TlsServer& tls);
// Before the first stream. Throws std::bad_alloc.
void unlock(TlsServer& tls);

// What lies in OpenSSL's memory, of a process that forks: all its sessions, each with its use of a key, and
// its own use of the keys.
struct TlsSecrets {
  std::vector<SSL*> sessions;
  std::vector<EVP_PKEY*> keys;

  void erase();  // in the child, and without a byte to any peer
};

// Until the certificate ends; negative: it has.
std::chrono::seconds certificate_life(const TlsServer& tls);

}  // namespace vncauthproxy::net
