// SPDX-License-Identifier: GPL-2.0-or-later
// VNC Authentication: a DES challenge and response (RFC 6143 section 7.2.2).
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::proto {

inline constexpr size_t kChallengeSize = 16;
inline constexpr size_t kPasswordSize = 8;  // further characters count for nothing
using Challenge = std::array<uint8_t, kChallengeSize>;
using Response = std::array<uint8_t, kChallengeSize>;

// Fetches the cipher once, so that a crypto policy without it fails at start and forked workers share the
// memory.
base::Result<void> prepare_vnc_auth();
Challenge new_challenge();
// What a viewer that knows `password` answers, whose key is its first bytes as they are: UTF-8 from a
// request. A secret: wipe it. prepare_vnc_auth() must have succeeded.
Response vnc_response(const base::Secret& password, const Challenge& challenge);
// Viewers disagree on what comes beyond ASCII. TigerVNC makes the key of the bytes of UTF-8, noVNC of the
// characters' codes (UTF-16, of which it uses the lower byte), which for Western letters is Latin-1. True:
// the two differ for this password.
bool has_two_forms(const base::Secret& password);

// A challenge together with the responses that are right: one for each form of the password.
struct Trial {
  Challenge challenge{};
  base::Secret expected;  // both, one behind the other; empty: there is no trial

  bool passed_by(base::Bytes response) const;  // compares with both, in constant time
};
Trial make_trial(const base::Secret& password, const Challenge& challenge);

// What the viewers of one forwarding are put to, each to another.
class Trials {
 public:
  // `password` is a loan for the life of this object. `first`, where there is one, was made before, by a
  // process whose cipher was warm: to most forwardings only one viewer comes.
  explicit Trials(const base::Secret& password, Trial first = {})
      : password_(password), first_(std::move(first)) {}
  Trial draw();

 private:
  const base::Secret& password_;
  Trial first_;
};

}  // namespace vncauthproxy::proto
