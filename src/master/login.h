// SPDX-License-Identifier: GPL-2.0-or-later
// Who may ask for forwardings. A login verified once is remembered under a keyed hash, so crypt's
// milliseconds are paid once and not per request; failed ones are counted per address.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/users/users.h"

namespace vncauthproxy::master {

class Login {
 public:
  using Clock = base::Clock;
  static constexpr unsigned kFailuresAllowed = 5;  // within a minute, then each answer waits
  static constexpr std::chrono::seconds kWindow{60};
  static constexpr std::chrono::milliseconds kPenalty{1000};
  static constexpr size_t kMaxAddresses = 4096;

  // Addresses in `exempt` never wait, nor do those of the loopback.
  explicit Login(users::Users users, std::vector<base::Network> exempt = {});

  void replace(users::Users users);  // forgets what was verified
  bool verify(std::string_view user, const base::Secret& password);
  size_t user_count() const { return users_.size(); }

  // Notes a failed login and returns how long its answer has to wait.
  std::chrono::milliseconds failed(const base::Endpoint& peer, Clock::time_point now);
  // True while an address has used up its failures: it may hold one connection that has not logged in.
  bool suspect(const base::Endpoint& peer, Clock::time_point now) const;

 private:
  static constexpr size_t kDigestSize = 32;
  static constexpr size_t kRemembered = 64;
  using Digest = std::array<uint8_t, kDigestSize>;
  struct Failures {
    unsigned count = 0;
    Clock::time_point since;
  };

  Digest digest(std::string_view user, const base::Secret& password) const;
  bool remembered(const Digest& digest) const;

  users::Users users_;
  std::vector<base::Network> exempt_;
  base::SecretPages memory_;  // the key, then kRemembered digests
  size_t next_ = 0;
  size_t filled_ = 0;
  std::unordered_map<std::string, Failures> failures_;  // by host
};

}  // namespace vncauthproxy::master
