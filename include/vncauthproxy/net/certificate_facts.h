// SPDX-License-Identifier: GPL-2.0-or-later
// What a loaded certificate says of itself, and whether clients will get along with it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/net/tls.h"

namespace vncauthproxy::net {

struct CertificateFacts {
  std::vector<std::string> names;  // host names and addresses it is for, escaped
  std::string issuer;              // the issuer's common name, or all of its name
  std::string last_day;            // "2027-02-01", in UTC
  std::chrono::seconds life{};     // from its first second to its last
  std::chrono::seconds left{};     // until its end; negative: it has ended
  std::chrono::seconds ahead{};    // until its beginning; 0: it has begun
  // The issuer's certificate is not in the file, and neither is the certificate its own issuer nor the issuer
  // among the authorities that this system trusts.
  bool lacks_issuer = false;
};
// Of a TlsServer that is not empty.
CertificateFacts facts_of(const TlsServer& tls);
// Whether a client that connects to `host`, a name or an address, will take the certificate for it.
bool is_for_host(const TlsServer& tls, const std::string& host);

// Whether any client can speak that version with this context and key, by a handshake within this process.
// `version` is OpenSSL's, such as TLS1_2_VERSION. The key must be there.
bool can_speak(const TlsServer& tls, int version);

// The elements of a list that match nothing, which OpenSSL passes over: misspelled, or not in this version.
std::vector<std::string> unknown_ciphers(const std::string& list);
std::vector<std::string> unknown_ciphersuites(const std::string& list);

}  // namespace vncauthproxy::net
