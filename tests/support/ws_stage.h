// SPDX-License-Identifier: GPL-2.0-or-later
// The ground of the tests of WebSocket and TLS: a Stage whose daemon has a certificate, and viewers in every
// wrapping.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/certificate.h"
#include "tests/support/stage.h"
#include "tests/support/ws_viewer.h"

namespace vncauthproxy::testing {

struct Kind {
  const char* type;
  bool tls, websocket;
};
inline constexpr Kind kWs{"vnc-ws", false, true}, kWss{"vnc-wss", true, true}, kTls{"vnc-tls", true, false};
inline constexpr Kind kPlain{"vnc", false, false};
inline constexpr Kind kKinds[] = {kWs, kWss, kTls};
inline constexpr Kind kWebSockets[] = {kWs, kWss};

// Made before the daemon that reads it.
class CertificateFolder {
 public:
  static constexpr long kLived = 86400L * 30;
  explicit CertificateFolder(long seconds_left = 86400L * 100) { renew(seconds_left); }
  std::string cert_file() const { return folder_.file("cert.pem"); }
  std::string key_file() const { return folder_.file("key.pem"); }
  // A new key and its certificate, which is good for that long.
  void renew(long seconds_left = 86400L * 100) const {
    const auto key = make_ec_key();
    write_file(cert_file(),
               certificate_pem(key.get(), {.seconds_left = seconds_left, .seconds_lived = kLived}), 0644);
    write_file(key_file(), key_pem(key.get()), 0600);
  }

 private:
  Folder folder_;
};

class WsStage : public CertificateFolder, public Stage {
 public:
  explicit WsStage(std::vector<std::string> options = {}) : Stage(with_certificate(std::move(options))) {}

  uint16_t forwarding(const Kind& kind, const FakeBackend& backend) {
    const std::vector<pid_t> before = daemon.workers();
    const uint16_t port = daemon.request(Request{.destination_port = backend.port(), .type = kind.type}).port;
    worker = 0;
    for (const pid_t child : daemon.workers())
      if (std::find(before.begin(), before.end(), child) == before.end()) worker = child;
    return port;
  }
  uint16_t forwarding(const Kind& kind) { return forwarding(kind, echo_backend); }

  static Wire connect(const Kind& kind, uint16_t port, int buffer = 0, const std::string& source = {}) {
    Socket socket = Socket::connect("127.0.0.1", port, {}, buffer, source);
    return kind.tls ? Wire(std::move(socket), WireOffer{}) : Wire(std::move(socket));
  }
  // Up to where RFB begins.
  static WsViewer viewer(const Kind& kind, uint16_t port, const UpgradeRequest& request = {}, int buffer = 0,
                         const std::string& source = {}) {
    WsViewer viewer(connect(kind, port, buffer, source));
    if (kind.websocket && !viewer.upgrade(request)) return {};
    return viewer;
  }
  // Logged in and ready for bytes; not established() when that failed.
  WsViewer session(const Kind& kind, const FakeBackend& backend, const UpgradeRequest& request = {},
                   int buffer = 0) {
    WsViewer result = viewer(kind, forwarding(kind, backend), request, buffer);
    if (result.log_in(kViewerSecret) != Verdict::admitted) return {};
    return result;
  }
  WsViewer session(const Kind& kind) { return session(kind, echo_backend); }

  // Of the worker of the latest forwarding().
  long memory_kib() const { return std::strtol(status_field(worker, "VmRSS").c_str(), nullptr, 10); }
  bool check_kind(bool good, const Kind& kind, std::string_view what, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
    return check(good, std::string(kind.type) + ": " + std::string(what), file, line);
  }

  pid_t worker = 0;

 private:
  DaemonSetup with_certificate(std::vector<std::string> options) const {
    options.insert(options.begin(), {"--cert-file", cert_file(), "--key-file", key_file()});
    return {.options = std::move(options)};
  }
};

// How much a worker may grow while it is fed nonsense: what the allocator and the sanitizers keep for later.
// And how much it may have grown once what it needed for a while is given back; AddressSanitizer gives
// nothing back, it keeps what was freed in quarantine.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr long kMemorySlackKib = 24 * 1024;
inline constexpr long kLeftOverKib = kMemorySlackKib;
#else
inline constexpr long kMemorySlackKib = 2 * 1024;
inline constexpr long kLeftOverKib = 256;
#endif

}  // namespace vncauthproxy::testing
