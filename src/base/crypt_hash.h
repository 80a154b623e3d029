// SPDX-License-Identifier: GPL-2.0-or-later
// Hashes of crypt(5) taken apart as far as their cost goes, and crypt(3) itself with memory that is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::base {

// What new passwords are hashed with: SHA-512.
inline constexpr std::string_view kDefaultParameters = "$6$";
inline constexpr size_t kDefaultSaltSize = 16;

struct HashKind {
  std::string_view parameters;  // kind and cost, all before the salt: "$6$rounds=5000$", "$y$j9T$"
  size_t salt_size = 0;         // of a new salt of this kind
  uint64_t sha_rounds = 0;      // of $5$ and $6$, whose cost also grows with the password
  size_t sha_block = 0;         // bytes; 0 for other kinds
};

// The errors of check_hash() in users.h; the views point into `hash`.
Result<HashKind> parse_hash(std::string_view hash);

// Whether this password may be hashed with this setting. SHA-crypt hashes, each round, the digest, two thirds
// of the time the salt and nearly twice the password: a long password multiplies the cost of the rounds.
bool affordable(const HashKind& kind, const Secret& password);

// A hash with those parameters, a salt of that size and a password nobody knows; SHA-512 when crypt(3) does
// not take the parameters.
std::string make_dummy_hash(std::string_view parameters = kDefaultParameters,
                            size_t salt_size = kDefaultSaltSize);

// One crypt(3) whose working memory is wiped afterwards: it holds the password and what is made of it. One at
// a time: they share it.
class Crypt {
 public:
  Crypt() = default;
  Crypt(const Crypt&) = delete;
  Crypt& operator=(const Crypt&) = delete;
  ~Crypt();

  // Empty when crypt(3) refuses. A loan until the next call.
  std::string_view operator()(const char* password, const char* setting);
};

}  // namespace vncauthproxy::base
