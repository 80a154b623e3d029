// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's certificate: what viewers and control clients get, read at the start and at each reload, and
// what clients will not like about it.
#pragma once

#include <string>

#include "master/findings.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/config/options.h"
#include "vncauthproxy/net/tls.h"

namespace vncauthproxy::master {

struct Certificates {
  net::TlsServer viewers;  // and control clients, where `legacy` is none; none: there is no certificate
  net::TlsServer legacy;   // for control clients alone, if they may speak what viewers must not
};
// `owner` may own the key file, beside root. None is an error only where control clients are promised TLS.
base::Result<Certificates> load_certificates(const config::Options& options, uid_t owner);

// "certificate of console.example.org until 2027-02-01"; empty: there is none.
std::string describe(const Certificates& certificates);
// That it has expired, will soon, or has yet to begin.
void find_expiry(const Certificates& certificates, const config::Options& options, Findings& findings);
// All else: a missing file, lists of ciphers, the chain, and whether it is for `proxy_address`, where viewers
// are told to connect.
void find_certificate_faults(const Certificates& certificates, const config::Options& options,
                             const std::string& proxy_address, Findings& findings);

}  // namespace vncauthproxy::master
