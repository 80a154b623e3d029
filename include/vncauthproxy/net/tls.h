// SPDX-License-Identifier: GPL-2.0-or-later
// TLS contexts for our server side: TLS 1.2 and 1.3, ECDHE with AEAD only, no tickets, no renegotiation, no
// compression.
#pragma once

#include <chrono>
#include <string>

#include "vncauthproxy/base/handles.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::net {

// A certificate chain and its key, both PEM. The key file must be a regular file of root or of this user,
// closed to others, and match the certificate. Error texts name the file and what is wrong, in OpenSSL's
// words where it has any.
base::Result<base::Handle<SSL_CTX>> load_tls_context(const std::string& cert_file,
                                                     const std::string& key_file);

// Until the certificate of the context ends; negative: it has.
std::chrono::seconds certificate_life(SSL_CTX& context);

}  // namespace vncauthproxy::net
