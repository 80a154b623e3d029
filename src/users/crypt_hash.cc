// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of crypt(5) that are accepted. A hash is read by the grammar of its kind before crypt(3) ever
// sees it: what crypt(3) would refuse at once, or spend seconds on, never gets into a table of users.
#include "vncauthproxy/users/crypt_hash.h"

#include <crypt.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

namespace vncauthproxy::users {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::Secret;
using base::SecretPages;

namespace {

// crypt(3)'s digits, in the order of their values.
constexpr std::string_view kDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// What one crypt(3) may cost. Each limit is about 25 ms on a slow server core, the last round-block 50 ms.
constexpr uint64_t kMaxShaRounds = 100'000;
constexpr uint64_t kMaxShaRoundBlocks = 200'000;  // rounds times the digest blocks one round hashes
constexpr uint64_t kMaxBcryptCost = 9;
constexpr uint64_t kMaxSha1Iterations = 40'000;
constexpr uint64_t kMaxSunMd5Rounds = 10'000;
constexpr uint64_t kMaxScryptWork = 4096 * 32;  // N * r * p
constexpr char kMaxYescryptN = '9', kMaxYescryptR = 'T';

bool is_digits(std::string_view text) {
  return text.find_first_not_of(kDigits) == text.npos;
}

// SHA-crypt and MD5-crypt take any other salt characters.
bool is_free_salt(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}

size_t digit_value(char c) {
  return kDigits.find(c);
}

// A decimal number without sign, blanks or leading zeroes, as crypt(3) itself demands.
std::optional<uint64_t> number(std::string_view text) {
  if (text.empty() || text.size() > 18 || text[0] == '0') return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The text up to the next '$', which is taken too; the whole rest when there is none.
std::string_view take_field(std::string_view& rest) {
  const size_t end = rest.find('$');
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  return field;
}

bool take_prefix(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

const Error kUnknownKind{ErrorCode::unsupported, "not a password hash of a kind that is accepted"};
const Error kMalformed{ErrorCode::invalid, "malformed password hash"};
const Error kTooCostly{ErrorCode::too_large, "the cost parameters of the password hash are too high"};

std::string_view parameters_before(std::string_view hash, std::string_view rest) {
  return hash.substr(0, hash.size() - rest.size());
}

// SALT$HASH
bool salt_and_hash(std::string_view rest, size_t max_salt, size_t hash_size,
                   bool (*salt_ok)(std::string_view)) {
  const std::string_view salt = take_field(rest);
  return !salt.empty() && salt.size() <= max_salt && salt_ok(salt) && rest.size() == hash_size &&
         is_digits(rest);
}

Result<HashKind> parse_sha(std::string_view hash, std::string_view rest, size_t block, size_t hash_size) {
  uint64_t rounds = 5000;
  if (take_prefix(rest, "rounds=")) {
    const auto given = number(take_field(rest));
    if (!given || *given < 1000) return kMalformed;
    rounds = *given;
  }
  const std::string_view parameters = parameters_before(hash, rest);
  if (!salt_and_hash(rest, 16, hash_size, is_free_salt)) return kMalformed;
  if (rounds > kMaxShaRounds) return kTooCostly;
  return HashKind{parameters, 16, rounds, block};
}

Result<HashKind> parse_bcrypt(std::string_view hash, std::string_view rest) {
  const std::string_view cost = take_field(rest);
  if (cost.size() != 2 || cost[0] < '0' || cost[0] > '9' || cost[1] < '0' || cost[1] > '9') return kMalformed;
  const std::string_view parameters = parameters_before(hash, rest);
  if (rest.size() != 53 || !is_digits(rest)) return kMalformed;
  const int value = (cost[0] - '0') * 10 + (cost[1] - '0');
  if (value < 4 || value > 31) return kMalformed;
  if (static_cast<uint64_t>(value) > kMaxBcryptCost) return kTooCostly;
  return HashKind{parameters, 22};
}

// Exactly flavour, N and r: the further parameters yescrypt knows can only make it dearer.
Result<HashKind> parse_yescrypt(std::string_view hash, std::string_view rest) {
  const std::string_view cost = take_field(rest);
  if (cost.size() < 3 || !is_digits(cost)) return kMalformed;
  const std::string_view parameters = parameters_before(hash, rest);
  if (!salt_and_hash(rest, 86, 43, is_digits)) return kMalformed;
  if (cost.size() > 3 || cost[0] != 'j' || digit_value(cost[1]) > digit_value(kMaxYescryptN) ||
      digit_value(cost[2]) > digit_value(kMaxYescryptR))
    return kTooCostly;
  return HashKind{parameters, 20};  // 15 bytes: any 20 digits are a valid salt
}

// log2(N) in one digit, r and p in five each, least first.
Result<HashKind> parse_scrypt(std::string_view hash, std::string_view rest) {
  if (rest.size() < 11 || !is_digits(rest.substr(0, 11))) return kMalformed;
  const auto thirty_bits = [&](size_t at) {
    uint64_t value = 0;
    for (size_t i = 5; i-- > 0;) value = value << 6 | digit_value(rest[at + i]);
    return value;
  };
  const size_t log_n = digit_value(rest[0]);
  const uint64_t r = thirty_bits(1), p = thirty_bits(6);
  rest.remove_prefix(11);
  const std::string_view parameters = parameters_before(hash, rest);
  if (!salt_and_hash(rest, 86, 43, is_digits) || log_n == 0 || r == 0 || p == 0) return kMalformed;
  // r and p have 30 bits each: 17 bits of N are let in before the product is looked at.
  if (log_n > 17 || r * p > kMaxScryptWork >> log_n) return kTooCostly;
  return HashKind{parameters, 16};
}

Result<HashKind> parse_sha1(std::string_view hash, std::string_view rest) {
  const auto iterations = number(take_field(rest));
  if (!iterations) return kMalformed;
  const std::string_view parameters = parameters_before(hash, rest);
  if (!salt_and_hash(rest, 64, 28, is_digits)) return kMalformed;
  if (*iterations > kMaxSha1Iterations) return kTooCostly;
  return HashKind{parameters, 16};
}

Result<HashKind> parse_sun_md5(std::string_view hash, std::string_view rest) {
  uint64_t rounds = 0;
  if (take_prefix(rest, ",rounds=")) {
    const auto given = number(take_field(rest));
    if (!given) return kMalformed;
    rounds = *given;
  } else if (!take_prefix(rest, "$")) {
    return kMalformed;
  }
  const std::string_view parameters = parameters_before(hash, rest);
  const std::string_view salt = take_field(rest);
  take_prefix(rest, "$");
  if (salt.size() != 8 || !is_digits(salt) || rest.size() != 22 || !is_digits(rest)) return kMalformed;
  if (rounds > kMaxSunMd5Rounds) return kTooCostly;
  return HashKind{parameters, 8};
}

Result<HashKind> parse_md5(std::string_view hash, std::string_view rest) {
  const std::string_view parameters = parameters_before(hash, rest);
  if (!salt_and_hash(rest, 8, 22, is_free_salt)) return kMalformed;
  return HashKind{parameters, 8};
}

std::string random_digits(size_t size) {
  std::string digits;
  while (digits.size() < size) digits += kDigits[base::random_below(static_cast<uint32_t>(kDigits.size()))];
  return digits;
}

// Pages of its own, left out of core dumps: crypt(3) keeps what it computed there.
std::span<char> crypt_room() {
  static const SecretPages& pages = *new SecretPages(sizeof(crypt_data));
  return pages.room();
}

}  // namespace

Result<HashKind> parse_hash(std::string_view hash) {
  std::string_view rest = hash;
  if (take_prefix(rest, "$6$")) return parse_sha(hash, rest, 128, 86);
  if (take_prefix(rest, "$5$")) return parse_sha(hash, rest, 64, 43);
  if (take_prefix(rest, "$y$") || take_prefix(rest, "$gy$")) return parse_yescrypt(hash, rest);
  for (const char* bcrypt : {"$2b$", "$2y$", "$2a$", "$2x$"})
    if (take_prefix(rest, bcrypt)) return parse_bcrypt(hash, rest);
  if (take_prefix(rest, "$7$")) return parse_scrypt(hash, rest);
  if (take_prefix(rest, "$sha1$")) return parse_sha1(hash, rest);
  if (take_prefix(rest, "$md5")) return parse_sun_md5(hash, rest);
  if (take_prefix(rest, "$1$")) return parse_md5(hash, rest);
  return kUnknownKind;
}

bool affordable(const HashKind& kind, const Secret& password) {
  if (password.size() > kMaxPasswordBytes || password.reveal().find('\0') != std::string_view::npos)
    return false;
  if (kind.sha_block == 0) return true;
  const uint64_t hashed = kind.sha_block / 2 + kind.sha_block / 8 + 1 + 11 + password.size() * 13 / 7;
  const uint64_t blocks = (hashed + kind.sha_block - 1) / kind.sha_block;
  return kind.sha_rounds * blocks <= kMaxShaRoundBlocks;
}

Crypt::~Crypt() {
  base::wipe(crypt_room());
}

std::string_view Crypt::operator()(const char* password, const char* setting) {
  const std::span<char> room = crypt_room();
  // Not crypt_r(): the sanitizers' runtime has a function of that name, and libcrypt would not be linked.
  const char* const output = ::crypt_rn(password, setting, room.data(), static_cast<int>(room.size()));
  if (output == nullptr || output[0] == '*') return {};
  return output;
}

std::string make_dummy_hash(std::string_view parameters, size_t salt_size) {
  Crypt crypt;
  const std::string password = random_digits(32);
  const std::string setting = std::string(parameters) + random_digits(salt_size);
  const std::string_view hash = crypt(password.c_str(), setting.c_str());
  if (hash.empty() && parameters != kDefaultParameters) return make_dummy_hash();
  return std::string(hash);
}

Result<void> check_hash(std::string_view hash) {
  const Result<HashKind> kind = parse_hash(hash);
  if (!kind) return kind.error();
  return {};
}

Result<std::string> hash_password(const Secret& password) {
  if (password.size() > kMaxPasswordBytes)
    return Error{ErrorCode::too_large, "the password is longer than 511 bytes"};
  if (password.reveal().find('\0') != std::string_view::npos)
    return Error{ErrorCode::invalid, "the password contains a NUL byte"};
  const std::string setting = std::string(kDefaultParameters) + random_digits(kDefaultSaltSize);
  Crypt crypt;
  const std::string_view hash = crypt(password.c_str(), setting.c_str());
  if (hash.empty()) return Error{ErrorCode::system, "crypt(3) makes no SHA-512 hash here"};
  return std::string(hash);
}

}  // namespace vncauthproxy::users
