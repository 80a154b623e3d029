// SPDX-License-Identifier: GPL-2.0-or-later
// One connection to a control server, plain or TLS, with one deadline for all that happens on it.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/net/handles.h"

namespace vncauthproxy::client {

using Deadline = std::chrono::steady_clock::time_point;

struct TlsWishes {
  std::string ca_file;       // empty: the system's authorities, where something is verified
  bool verify_chain = true;  // false: any certificate will do
  std::string name;          // host name or address the certificate must be for; empty: any
  std::string sni;           // host name to ask for; empty: none
};

class Connection {
 public:
  // Tries every address of the server, in five rounds 0.2 s apart (a server may be on its way up). Errors:
  // unreachable, timeout.
  static base::Result<Connection> open(const std::string& host, const std::string& port, Deadline deadline);

  // Errors: denied (the certificate), invalid (no TLS there), closed, timeout, system (the CA file).
  base::Result<void> start_tls(const TlsWishes& wishes);
  base::Result<void> send(std::string_view bytes);
  // How much of `room` was filled; 0 at the end of the stream, with or without a close_notify.
  base::Result<size_t> receive(std::span<char> room);
  void close();  // says goodbye where the protocol has one

 private:
  Connection(base::Fd fd, Deadline deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  // Waits for what an SSL call wanted; an error when it failed for good.
  base::Result<void> after_ssl(int result, const char* what);

  base::Fd fd_;
  Deadline deadline_;
  base::Handle<SSL_CTX> context_;
  base::Handle<SSL> ssl_;
};

}  // namespace vncauthproxy::client
