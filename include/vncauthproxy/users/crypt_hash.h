// SPDX-License-Identifier: GPL-2.0-or-later
// Hashes of crypt(5): made, and taken apart as far as their cost goes; and crypt(3) itself with memory that
// is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::users {

inline constexpr size_t kMaxPasswordBytes = 511;  // libxcrypt takes no more

// True for a hash of a known kind whose cost parameters keep one crypt(3) under 50 ms; else why not, without
// a piece of the hash. Errors: unsupported (no hash, or of an unknown kind), invalid (malformed), too_large
// (costs too much).
base::Result<void> check_hash(std::string_view hash);
// SHA-512 crypt with 16 random salt characters. Errors: too_large (kMaxPasswordBytes), invalid (a NUL byte).
base::Result<std::string> hash_password(const base::Secret& password);

// What new passwords are hashed with: SHA-512.
inline constexpr std::string_view kDefaultParameters = "$6$";
inline constexpr size_t kDefaultSaltSize = 16;

struct HashKind {
  std::string_view parameters;  // kind and cost, all before the salt: "$6$rounds=5000$", "$y$j9T$"
  size_t salt_size = 0;         // of a new salt of this kind
  uint64_t sha_rounds = 0;      // of $5$ and $6$, whose cost also grows with the password
  size_t sha_block = 0;         // bytes; 0 for other kinds
};

// The errors of check_hash(); the views point into `hash`.
base::Result<HashKind> parse_hash(std::string_view hash);

// Whether this password may be hashed with this setting. SHA-crypt hashes, each round, the digest, two thirds
// of the time the salt and nearly twice the password: a long password multiplies the cost of the rounds.
bool affordable(const HashKind& kind, const base::Secret& password);

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

}  // namespace vncauthproxy::users
