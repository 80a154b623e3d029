// SPDX-License-Identifier: GPL-2.0-or-later
// Keys and self-signed certificates made on the spot, as PEM.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>

#include "vncauthproxy/base/handles.h"

namespace vncauthproxy::testing {

inline base::Handle<EVP_PKEY> make_ec_key() {
  return base::Handle<EVP_PKEY>(::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
}
inline base::Handle<EVP_PKEY> make_rsa_key() {
  return base::Handle<EVP_PKEY>(::EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}));
}

inline std::string text_of(BIO* memory) {
  char* start = nullptr;
  const long size = BIO_get_mem_data(memory, &start);
  return {start, static_cast<size_t>(size)};
}

// `passphrase` empty: not encrypted.
inline std::string key_pem(EVP_PKEY* key, const std::string& passphrase = "") {
  const base::Handle<BIO> out(::BIO_new(::BIO_s_mem()));
  ::PEM_write_bio_PrivateKey(out.get(), key, passphrase.empty() ? nullptr : ::EVP_aes_128_cbc(),
                             reinterpret_cast<const unsigned char*>(passphrase.data()),
                             static_cast<int>(passphrase.size()), nullptr, nullptr);
  return text_of(out.get());
}

inline std::string key_der(EVP_PKEY* key) {
  const base::Handle<BIO> out(::BIO_new(::BIO_s_mem()));
  ::i2d_PrivateKey_bio(out.get(), key);
  return text_of(out.get());
}

inline std::string der_of(const std::string& certificate_pem) {
  const base::Handle<BIO> in(
      ::BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  const base::Handle<X509> certificate(::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  const base::Handle<BIO> out(::BIO_new(::BIO_s_mem()));
  ::i2d_X509_bio(out.get(), certificate.get());
  return text_of(out.get());
}

// For localhost, valid from a day ago until `seconds_left` from now.
inline std::string certificate_pem(EVP_PKEY* key, long seconds_left = 86400L * 30) {
  const base::Handle<X509> certificate(::X509_new());
  X509* x = certificate.get();
  ::X509_set_version(x, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(x), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(x), -86400L * 2);
  ::X509_gmtime_adj(::X509_getm_notAfter(x), seconds_left);
  X509_NAME* name = ::X509_get_subject_name(x);
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
  ::X509_set_issuer_name(x, name);
  ::X509_set_pubkey(x, key);
  ::X509_sign(x, key, ::EVP_sha256());
  const base::Handle<BIO> out(::BIO_new(::BIO_s_mem()));
  ::PEM_write_bio_X509(out.get(), x);
  return text_of(out.get());
}

}  // namespace vncauthproxy::testing
