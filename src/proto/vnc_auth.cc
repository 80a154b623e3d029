// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/vnc_auth.h"

#include <stdexcept>
#include <utility>

#include "vncauthproxy/base/handles.h"
#include "vncauthproxy/base/process.h"

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

// Triple DES with three equal keys is single DES, which OpenSSL 3 has in its legacy provider alone. VNC
// counts the bits of a key byte from the other end than DES does.
void derive_key(std::string_view password, std::span<uint8_t, kCipherKeySize> key) {
  for (size_t i = 0; i < kCipherKeySize; ++i) {
    const size_t at = i % kPasswordSize;
    key[i] = at < password.size() ? reverse_bits(static_cast<uint8_t>(password[at])) : uint8_t{0};
  }
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

void own_vnc_cipher() {
  base::own_page(cipher().get());
}

Challenge new_challenge() {
  Challenge challenge;
  base::random_bytes(challenge);
  return challenge;
}

Response vnc_response(const base::Secret& password, const Challenge& challenge) {
  std::array<uint8_t, kCipherKeySize> key;
  Response response{};
  derive_key(password.reveal(), key);
  encrypt(key, challenge, response);
  base::wipe(key);
  return response;
}

bool Trial::passed_by(base::Bytes response) const {
  return !expected.empty() && base::equal_secrets(base::as_bytes(expected.reveal()), response);
}

Trial make_trial(const base::Secret& password, const Challenge& challenge) {
  Response response = vnc_response(password, challenge);
  Trial trial{challenge, base::Secret(base::as_text(response))};
  base::wipe(response);
  return trial;
}

Trial Trials::draw() {
  if (first_.expected.empty()) return make_trial(password_, new_challenge());
  return std::exchange(first_, {});
}

}  // namespace vncauthproxy::proto
