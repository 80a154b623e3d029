// SPDX-License-Identifier: GPL-2.0-or-later
// Our half of the handshake toward a viewer (RFC 6143 7.1.1-7.1.3, 7.2.2). VNC Authentication is all it
// offers and a right response its only successful end: no other code can make a Verified.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/rfb.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::proto {

// Proof that a viewer has answered its challenge. Only RfbServer makes one.
class Verified {
 private:
  friend class RfbServer;
  Verified() = default;
};

class RfbServer {
 public:
  // How far the viewer got; the order is the order of the conversation.
  enum class Stage : uint8_t { version, type, response, over };
  static constexpr size_t kMaxOutput = 512;  // room that suffices for all one call writes

  // `trials` is a loan for as long as the handshake lasts. A viewer that gets as far as its challenge draws
  // from it.
  explicit RfbServer(Trials& trials) : trials_(trials) {}

  void greet(base::ByteWriter& out);
  // Nullopt: more bytes are needed. After a Verified the rest of `in` belongs to the session, and grant() or
  // refuse() is still owed. Errors: denied (a wrong response: a credential was spent), invalid, unsupported
  // (no credential was presented). With an error `out` holds what the viewer is to be told before it is
  // closed.
  base::Result<std::optional<Verified>> advance(base::ByteReader& in, base::ByteWriter& out);
  void grant(base::ByteWriter& out);
  // Tells a viewer, in the form of its version and stage, that and why it is not let through (ASCII; 256
  // bytes of it are said). In the place of greet() every viewer understands it; between greet() and the
  // viewer's version nothing can be said, and nothing is written. The handshake is over then.
  void refuse(std::string_view reason, base::ByteWriter& out);
  Stage stage() const { return stage_; }
  // The response will not be judged any more: what would be right is wiped.
  void forget_trial() { trial_ = {}; }

 private:
  base::Result<bool> take_version(base::ByteReader& in, base::ByteWriter& out);
  void put_challenge(base::ByteWriter& out);
  base::Error fail(base::ErrorCode code, std::string_view reason, base::ByteWriter& out);
  void put_failed_result(std::string_view reason, base::ByteWriter& out);

  Trials& trials_;
  Trial trial_;
  Stage stage_ = Stage::version;
  RfbVersion version_ = RfbVersion::v3_8;
  bool greeted_ = false;
};

}  // namespace vncauthproxy::proto
