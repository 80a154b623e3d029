// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's certificate: what viewers and control clients get, read at the start and at each reload, and
// how long it is still valid.
#pragma once

#include "vncauthproxy/base/options.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/net/tls.h"

namespace vncauthproxy::master {

struct Certificates {
  net::TlsServer viewers;  // and control clients, where `legacy` is none; none: there is no certificate
  net::TlsServer legacy;   // for control clients alone, if they may speak what viewers must not
};
// `owner` may own the key file, beside root. None is an error only where control clients are promised TLS.
base::Result<Certificates> load_certificates(const base::Options& options, uid_t owner);
// Logs when the certificate has expired or soon will.
void warn_of_expiry(const net::TlsServer& tls, const base::Options& options);

}  // namespace vncauthproxy::master
