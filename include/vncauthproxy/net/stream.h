// SPDX-License-Identifier: GPL-2.0-or-later
// One connected socket, plain or TLS (server side), that never blocks. It keeps no bytes of its own but those
// TLS has encrypted and the socket has not yet taken. Who waits for what is the caller's business
// (net/loop.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/net/handles.h"
#include "vncauthproxy/net/tls.h"

namespace vncauthproxy::net {

enum class IoStatus : uint8_t {
  ok,     // count bytes were moved, count > 0
  again,  // nothing can be moved now
  end,    // the peer has ended its stream
  error   // the connection is of no more use
};
struct Io {
  IoStatus status;
  size_t count = 0;
};

class Gather;

class Stream {
 public:
  explicit Stream(base::Fd socket);
  // The handshake happens inside read(). Throws std::bad_alloc.
  Stream(base::Fd socket, const TlsServer& tls);
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  int fd() const { return socket_.get(); }
  bool secure() const { return ssl_ != nullptr; }
  bool established() const;  // plain: from the start; TLS: after the handshake
  // The next step of the TLS handshake; ok (count 0) once established. read() does it as well.
  Io handshake();

  // As much as there is, up to into.size(), of TLS what one portion of records has. When a TLS stream fills
  // `into` more may wait in it unseen by any Watch: see pending().
  Io read(std::span<uint8_t> into);
  bool pending() const;
  // A TLS peer has asked for many answers and does not read them: until they are flushed there is no reading,
  // and a Watch for it would never rest.
  bool clogged() const;
  // Plain: what the socket takes, which may be less than all. TLS: all of it is encrypted at once, or
  // `again`; then owes() tells whether the socket has taken it.
  // `more`: something follows at once, and may leave together with this.
  Io write(base::Bytes bytes, bool more = false);
  Io flush();  // ok (count 0): nothing is owed
  bool owes() const;
  void relax();  // gives back memory that only bulk needed

  // Ends our direction: close_notify where there is TLS, then FIN. Call it when nothing is owed.
  void finish();
  void forget_key();  // once established, TLS goes on without the server's
  // After an error of TLS: what OpenSSL says about it. "" when there is nothing to say.
  std::string trouble() const;

 private:
  Io tls_failure(int result);
  Io read_records(std::span<uint8_t> into);

  base::Fd socket_;
  std::unique_ptr<Gather> gather_;  // before ssl_: its BIO writes here
  base::Handle<SSL> ssl_;
  unsigned long tls_error_ = 0;
};

// TCP_NODELAY, and keepalive after 60 s idle, every 15 s, 4 times. Accepted sockets inherit both from their
// listener.
void tune_socket(int fd);

}  // namespace vncauthproxy::net
