// SPDX-License-Identifier: GPL-2.0-or-later
// The TLS side of the tests: a fresh self-signed certificate, and a client that takes any certificate.
#pragma once

#include <openssl/ssl.h>

#include <optional>
#include <string>
#include <string_view>

#include "tests/support/socket.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::testing {

// Writes a certificate for `name` (and 127.0.0.1) and its key; the key is readable by its owner alone.
bool make_certificate(const std::string& cert_file, const std::string& key_file,
                      const std::string& name = "localhost");

class TlsClient {
 public:
  // Versions as TLS1_2_VERSION and its kin.
  explicit TlsClient(Socket socket, int min_version = TLS1_2_VERSION, int max_version = TLS1_3_VERSION);

  bool handshake(Deadline deadline = {});
  bool send(std::string_view bytes, Deadline deadline = {});
  // All until close_notify or the end of the stream; nullopt at the deadline. *clean, when asked for, tells
  // whether a close_notify came.
  std::optional<std::string> read_to_end(bool* clean = nullptr, Deadline deadline = {});
  std::string version() const;    // "TLSv1.3"
  std::string peer_name() const;  // the certificate's common name
  Socket& socket() { return socket_; }

 private:
  bool again(int result, Deadline deadline);  // waits for what OpenSSL wants; false when it is over

  Socket socket_;
  base::Handle<SSL_CTX> context_;
  base::Handle<SSL> ssl_;
};

}  // namespace vncauthproxy::testing
