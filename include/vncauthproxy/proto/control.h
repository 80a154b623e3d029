// SPDX-License-Identifier: GPL-2.0-or-later
// The control protocol: one JSON object in, one out, no framing (vncauthproxy-control(7)). Pure: text <->
// meaning.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::proto {

inline constexpr size_t kMaxRequestBytes = 64 * 1024;
inline constexpr size_t kMaxRequestDepth = 32;
inline constexpr size_t kMaxReplyBytes = 999;  // the callers read once, 1024 bytes at most

enum class ViewerType : uint8_t { vnc, vnc_ws, vnc_wss, vnc_tls };
inline constexpr ViewerType kLastViewerType = ViewerType::vnc_tls;
constexpr bool is_websocket(ViewerType type) {
  return type == ViewerType::vnc_ws || type == ViewerType::vnc_wss;
}
std::string_view to_string(ViewerType type);  // "vnc-ws": the word of the request
inline bool needs_certificate(ViewerType type) {
  return type == ViewerType::vnc_tls || type == ViewerType::vnc_wss;
}

// Why a request failed; the words are part of the protocol and never change.
enum class FailureCode : uint8_t {
  bad_request,
  unsupported_type,
  auth_failed,
  no_port,
  port_in_use,
  backend_unreachable,
  backend_timeout,
  backend_refused,
  backend_auth,
  busy,
  internal
};
inline constexpr FailureCode kLastFailureCode = FailureCode::internal;
std::string_view to_string(FailureCode code);

struct Failure {
  FailureCode code = FailureCode::internal;
  std::string reason;  // for people; foreign text in it is already escaped
};

// What control clients speak: ours and snf-vncauthproxy's, or that of Twisted VNC AuthProxy (proto/vncap.h).
enum class Dialect : uint8_t { main, vncap };

struct Request {
  Dialect dialect = Dialect::main;
  std::string auth_user;  // empty where there is no login
  base::Secret auth_password;
  uint16_t source_port = 0;            // 0: any free one
  bool source_port_is_a_wish = false;  // another will do
  std::string destination_address;
  uint16_t destination_port = 0;
  base::Secret password;         // empty: the proxy makes one
  base::Secret server_password;  // empty: none
  ViewerType type = ViewerType::vnc;
  std::optional<base::Network> client_address;  // where the viewer has to come from
  std::chrono::milliseconds connect_timeout{};  // 0: as the daemon is set
  std::chrono::milliseconds auth_timeout{};     // likewise
};

// Finds the end of the first JSON object of a stream, whatever pieces it comes in. Only braces, brackets and
// strings are looked at; whether it is JSON is parse_request()'s business. A byte order mark and blanks may
// stand before the object.
class ObjectFramer {
 public:
  // True once the object is complete: everything up to and including byte end() belongs to it. Errors:
  // invalid (does not begin with a brace), too_large (kMaxRequestBytes, leading blanks included, or
  // kMaxRequestDepth). An error is for good.
  base::Result<bool> feed(std::string_view chunk);
  size_t end() const { return seen_; }

 private:
  enum class Phase : uint8_t { before, inside, done };

  base::Result<void> take(char c);
  void take_in_string(char c);

  size_t seen_ = 0;
  size_t marked_ = 0;  // bytes of the byte order mark
  size_t depth_ = 0;
  Phase phase_ = Phase::before;
  bool in_string_ = false;
  bool escaped_ = false;
  std::optional<base::Error> failed_;
};

// A type that is missing or null is vnc, ports may be strings of digits, extra keys are ignored. The reason
// never quotes a secret. Without a login its keys are not looked at.
base::Result<Request, Failure> parse_request(std::string_view object, bool with_login = true);

// The daemon has no certificate, which `type` needs.
Failure no_certificate_for(ViewerType type);

// Eight letters and digits, all equally likely: what VNC Authentication has room for.
base::Secret one_time_password();

struct Success {
  uint16_t source_port = 0;
  std::string proxy_address;
  std::string url{};                 // the ready address of the page, without the password; empty: none
  std::string_view made_password{};  // the one the proxy made, of letters and digits; a loan; empty: none
  std::string warning{};  // what was done otherwise than meant, in words of ours, without quotes; empty: none
};
using Reply = base::Result<Success, Failure>;
// At most kMaxReplyBytes, Python's separators (", " and ": "), no newline; a long reason is cut at a
// character. A reply may hold a password: wipe it.
std::string to_json(const Success& success);
std::string to_json(const Failure& failure);

// Jansson with an allocator that wipes what it frees: requests hold passwords. Once, before the first parse.
void use_wiping_json_allocator();

}  // namespace vncauthproxy::proto
