// SPDX-License-Identifier: GPL-2.0-or-later
// Certificates and private keys in PEM files, and in words what is wrong with a file that is none: OpenSSL's
// own are made for programmers. Whoever calls has chosen OpenSSL's allocator already.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::net {

// "WHAT: reason", the reason being that of the oldest entry of OpenSSL's queue, which is the cause; the rest
// is where it was passed on. Empties the queue.
base::Error tls_error(const std::string& what);

// All certificates of a regular file, in its order; at least one. Errors begin with the path.
base::Result<std::vector<base::Handle<X509>>> read_certificates(const std::string& path);

// The first private key of a regular file that is closed to others and belongs to root or `owner`. Errors
// begin with the path: denied (those rights, or no right to read), unsupported (a passphrase), missing,
// invalid, too_large, system.
base::Result<base::Handle<EVP_PKEY>> read_private_key(const std::string& path, uid_t owner);

}  // namespace vncauthproxy::net
