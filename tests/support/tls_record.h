// SPDX-License-Identifier: GPL-2.0-or-later
// Single records of TLS 1.3 as no library would send them: handshake messages in pieces. For the suite
// TLS_AES_128_GCM_SHA256.
#pragma once

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vncauthproxy::testing {

inline constexpr uint8_t kHandshakeRecord = 22;

// HKDF-Expand-Label of RFC 8446 section 7.1, without a context.
inline void expand_label(std::string secret, std::string label, std::span<uint8_t> into) {
  const std::unique_ptr<EVP_KDF, void (*)(EVP_KDF*)> kdf(EVP_KDF_fetch(nullptr, "TLS13-KDF", nullptr),
                                                         EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, void (*)(EVP_KDF_CTX*)> context(EVP_KDF_CTX_new(kdf.get()),
                                                                     EVP_KDF_CTX_free);
  char mode[] = "EXPAND_ONLY", digest[] = "SHA256", prefix[] = "tls13 ";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("mode", mode, 0),
                                   OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                   OSSL_PARAM_construct_octet_string("key", secret.data(), secret.size()),
                                   OSSL_PARAM_construct_octet_string("prefix", prefix, sizeof prefix - 1),
                                   OSSL_PARAM_construct_octet_string("label", label.data(), label.size()),
                                   OSSL_PARAM_construct_end()};
  EVP_KDF_derive(context.get(), into.data(), into.size(), parameters);
}

// The first record under a traffic secret.
inline std::string first_record(const std::string& traffic_secret, uint8_t type, std::string content) {
  std::array<uint8_t, 16> key{}, tag{};
  std::array<uint8_t, 12> nonce{};
  expand_label(traffic_secret, "key", key);
  expand_label(traffic_secret, "iv", nonce);
  content += static_cast<char>(type);
  const auto size = static_cast<uint8_t>(content.size() + tag.size());
  const std::array<uint8_t, 5> header = {23, 3, 3, 0, size};
  std::string sealed(content.size(), '\0');
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> cipher(EVP_CIPHER_CTX_new(),
                                                                          EVP_CIPHER_CTX_free);
  int count = 0;
  EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, key.data(), nonce.data());
  EVP_EncryptUpdate(cipher.get(), nullptr, &count, header.data(), static_cast<int>(header.size()));
  EVP_EncryptUpdate(cipher.get(), reinterpret_cast<uint8_t*>(sealed.data()), &count,
                    reinterpret_cast<const uint8_t*>(content.data()), static_cast<int>(content.size()));
  EVP_EncryptFinal_ex(cipher.get(), nullptr, &count);
  EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag.size()), tag.data());
  return std::string(header.begin(), header.end()) + sealed + std::string(tag.begin(), tag.end());
}

}  // namespace vncauthproxy::testing
