// SPDX-License-Identifier: GPL-2.0-or-later
// Our half of the handshake toward the backend, from its version to the end of SecurityResult (RFC
// 6143 7.1.1-7.1.3). ClientInit is the viewer's to send. Takes a whole message or nothing, never waits, owns
// no socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/rfb.h"

namespace vncauthproxy::proto {

class RfbClient {
 public:
  enum class Progress { need_more, done };

  // `password` is a loan for the life of this object; empty: VNC Authentication is not chosen.
  explicit RfbClient(const base::Secret& password);

  // Consumes from `in`, writes answers to `out` (64 bytes of room suffice for a call). After `done` the rest
  // of `in` belongs to the session. Errors: invalid (no RFB, or breaks it), refused (the backend's own
  // reason, escaped, at most 256 bytes of it), denied (it wants a password we do not have, or ours was
  // wrong), unsupported (no security type of ours among those offered; they are named).
  base::Result<Progress> advance(base::ByteReader& in, base::ByteWriter& out);
  // What it means that the backend closed now, `in` being what it left behind: denied or refused with as much
  // of a reason as came, else closed. Good for a deadline too: a backend that stalls within its reason has
  // already refused.
  base::Error ended(base::ByteReader& in);
  // It has named a version that we speak: whatever comes now, it is a VNC server.
  bool greeted() const { return state_ != State::version; }
  // What is waited for, for people: "greeting", "security types", "challenge", "security result".
  std::string_view step() const;
  // What it has said of itself so far, as it came: its version and its security types.
  const std::string& offer() const { return offer_; }
  // It said no, and no more than its reason is still to come.
  bool refused() const { return state_ == State::reason_size || state_ == State::reason; }

 private:
  enum class State : uint8_t { version, scheme, types, challenge, result, reason_size, reason, done };

  base::Result<void> take_message(base::ByteReader& in, base::ByteWriter& out);
  base::Result<void> take_version(base::ByteReader& in, base::ByteWriter& out);
  base::Result<void> take_scheme(base::ByteReader& in);
  base::Result<void> take_types(base::ByteReader& in, base::ByteWriter& out);
  base::Result<void> take_challenge(base::ByteReader& in, base::ByteWriter& out);
  base::Result<void> take_result(base::ByteReader& in);
  base::Result<void> take_reason_size(base::ByteReader& in);
  base::Result<void> take_reason(base::ByteReader& in);
  base::Result<void> begin_authentication();
  base::Error refusal() const;

  const base::Secret& password_;
  State state_ = State::version;
  RfbVersion version_ = RfbVersion::v3_8;
  std::string offer_;
  bool authenticating_ = false;
  std::string reason_;        // raw
  uint32_t reason_left_ = 0;  // bytes of it still to read
};

}  // namespace vncauthproxy::proto
