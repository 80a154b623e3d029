// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/vnc_auth.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "vncauthproxy/base/utf8.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::proto {
namespace {

using base::Handle;

constexpr size_t kCipherKeySize = 3 * kPasswordSize;

// One for all: to make one each time would write to a dozen pages, which each forked worker copies. Never
// freed: OpenSSL cleans up behind main before a static object would go.
Handle<EVP_CIPHER_CTX>& cipher() {
  static auto& context = *new Handle<EVP_CIPHER_CTX>();
  return context;
}

bool set_key(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher,
             std::span<const uint8_t, kCipherKeySize> key) {
  return ::EVP_EncryptInit_ex2(context, cipher, key.data(), nullptr, nullptr) == 1;
}

constexpr std::array<uint8_t, kCipherKeySize> kNoKey{};

uint8_t reverse_bits(uint8_t byte) {
  unsigned reversed = 0;
  for (unsigned bit = 0; bit < 8; ++bit) reversed |= (unsigned{byte} >> bit & 1U) << (7 - bit);
  return static_cast<uint8_t>(reversed);
}

// What counts of a password, in one of its forms. Wiped when it goes.
struct PasswordBytes : std::array<uint8_t, kPasswordSize> {
  PasswordBytes() : array{} {}
  PasswordBytes(const PasswordBytes&) = default;
  ~PasswordBytes() { base::wipe(*this); }

  // As DES sees it, to which bit 7 is parity.
  bool same_key(const PasswordBytes& other) const {
    unsigned difference = 0;
    for (size_t i = 0; i < size(); ++i) difference |= ((*this)[i] ^ other[i]) & 0x7FU;
    return difference == 0;
  }
};

PasswordBytes first_bytes(std::string_view password) {
  PasswordBytes bytes;
  password = password.substr(0, bytes.size());
  std::copy(password.begin(), password.end(), bytes.begin());
  return bytes;
}

PasswordBytes character_codes(std::string_view password) {
  PasswordBytes bytes;
  size_t filled = 0;
  const auto put = [&](char32_t code) {
    if (filled < bytes.size()) bytes[filled++] = static_cast<uint8_t>(code & 0xFF);
  };
  while (!password.empty() && filled < bytes.size()) {
    const char32_t character = base::take_character(password);
    const char32_t above = character - 0x10000;  // two codes, of which the lower bytes are these
    if (character > 0xFFFF) put(above >> 10);
    put(character > 0xFFFF ? above & 0x3FF : character);
  }
  return bytes;
}

// Triple DES with three equal keys is single DES, which OpenSSL 3 has in its legacy provider alone. VNC
// counts the bits of a key byte from the other end than DES does.
void derive_key(const PasswordBytes& password, std::span<uint8_t, kCipherKeySize> key) {
  for (size_t i = 0; i < kCipherKeySize; ++i) key[i] = reverse_bits(password[i % password.size()]);
}

void encrypt(std::span<const uint8_t, kCipherKeySize> key, const Challenge& challenge, Response& response) {
  EVP_CIPHER_CTX* const context = cipher().get();
  int written = 0;
  // Nothing of this depends on what a peer sent: a failure is a bug or the end of memory.
  if (context == nullptr || !set_key(context, nullptr, key) ||
      ::EVP_EncryptUpdate(context, response.data(), &written, challenge.data(),
                          static_cast<int>(challenge.size())) != 1 ||
      written != static_cast<int>(response.size()) || !set_key(context, nullptr, kNoKey))
    throw std::runtime_error("the DES cipher of VNC Authentication does not work");
}

Response respond(const PasswordBytes& password, const Challenge& challenge) {
  std::array<uint8_t, kCipherKeySize> key;
  Response response{};
  derive_key(password, key);
  encrypt(key, challenge, response);
  base::wipe(key);
  return response;
}

}  // namespace

base::Result<void> prepare_vnc_auth() {
  if (cipher() != nullptr) return {};
  const Handle<EVP_CIPHER> des(::EVP_CIPHER_fetch(nullptr, "DES-EDE3-ECB", nullptr));
  Handle<EVP_CIPHER_CTX> context(::EVP_CIPHER_CTX_new());
  if (des == nullptr || context == nullptr || !set_key(context.get(), des.get(), kNoKey) ||
      ::EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1)
    return base::Error{
        base::ErrorCode::unsupported,
        "OpenSSL offers no DES-EDE3-ECB, which VNC Authentication needs (a FIPS-only policy?)"};
  cipher() = std::move(context);
  return {};
}

Challenge new_challenge() {
  Challenge challenge;
  base::random_bytes(challenge);
  return challenge;
}

Response vnc_response(const base::Secret& password, const Challenge& challenge) {
  return respond(first_bytes(password.reveal()), challenge);
}

bool has_two_forms(const base::Secret& password) {
  return !first_bytes(password.reveal()).same_key(character_codes(password.reveal()));
}

bool Trial::passed_by(base::Bytes response) const {
  if (expected.empty()) return false;
  const base::Bytes both = base::as_bytes(expected.reveal());
  const bool first = base::equal_secrets(both.first(kChallengeSize), response);
  const bool second = base::equal_secrets(both.last(kChallengeSize), response);
  return static_cast<int>(first) + static_cast<int>(second) != 0;  // neither spares the other
}

Trial make_trial(const base::Secret& password, const Challenge& challenge) {
  const PasswordBytes bytes = first_bytes(password.reveal());
  PasswordBytes codes = character_codes(password.reveal());
  // Characters whose codes end in zero bytes alone would be an empty password.
  if (codes.same_key(PasswordBytes())) codes = bytes;
  std::array<uint8_t, 2 * kChallengeSize> both;
  Response response = respond(bytes, challenge);
  std::copy(response.begin(), response.end(), both.begin());
  if (!codes.same_key(bytes)) response = respond(codes, challenge);
  std::copy(response.begin(), response.end(), both.begin() + kChallengeSize);
  Trial trial{challenge, base::Secret(base::as_text(both))};
  base::wipe(response);
  base::wipe(both);
  return trial;
}

Trial Trials::draw() {
  if (first_.expected.empty()) return make_trial(password_, new_challenge());
  return std::exchange(first_, {});
}

}  // namespace vncauthproxy::proto
