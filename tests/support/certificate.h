// SPDX-License-Identifier: GPL-2.0-or-later
// Keys and self-signed certificates made on the spot, as PEM.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>

#include "vncauthproxy/net/handles.h"

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

inline std::string der_of(const std::string& pem) {
  const base::Handle<BIO> in(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const base::Handle<X509> certificate(::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  const base::Handle<BIO> out(::BIO_new(::BIO_s_mem()));
  ::i2d_X509_bio(out.get(), certificate.get());
  return text_of(out.get());
}

struct CertificateSetup {
  long seconds_left = 86400L * 30;
  long seconds_lived = 86400L * 2;  // below 0: it has yet to begin
  std::string name = "localhost";   // its common name
  std::string alternatives = {};    // "DNS:a.example,IP:192.0.2.7"
  std::string issuer_pem = {};      // empty: itself
  EVP_PKEY* issuer_key = nullptr;
};

inline void add_alternatives(X509* certificate, const std::string& alternatives) {
  if (alternatives.empty()) return;
  const base::Handle<X509_EXTENSION> extension(
      ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives.c_str()));
  ::X509_add_ext(certificate, extension.get(), -1);
}

inline base::Handle<X509> certificate_in(const std::string& pem) {
  const base::Handle<BIO> in(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return base::Handle<X509>(::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}

inline std::string certificate_pem(EVP_PKEY* key, const CertificateSetup& setup) {
  const base::Handle<X509> certificate(::X509_new());
  X509* x = certificate.get();
  ::X509_set_version(x, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(x), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(x), -setup.seconds_lived);
  ::X509_gmtime_adj(::X509_getm_notAfter(x), setup.seconds_left);
  X509_NAME* name = ::X509_get_subject_name(x);
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(setup.name.c_str()), -1, -1, 0);
  const base::Handle<X509> issuer = certificate_in(setup.issuer_pem);
  ::X509_set_issuer_name(x, issuer ? ::X509_get_subject_name(issuer.get()) : name);
  ::X509_set_pubkey(x, key);
  add_alternatives(x, setup.alternatives);
  ::X509_sign(x, setup.issuer_key != nullptr ? setup.issuer_key : key, ::EVP_sha256());
  const base::Handle<BIO> out(::BIO_new(::BIO_s_mem()));
  ::PEM_write_bio_X509(out.get(), x);
  return text_of(out.get());
}

// For localhost, valid from two days ago until `seconds_left` from now.
inline std::string certificate_pem(EVP_PKEY* key, long seconds_left = 86400L * 30) {
  return certificate_pem(key, CertificateSetup{.seconds_left = seconds_left});
}

}  // namespace vncauthproxy::testing
