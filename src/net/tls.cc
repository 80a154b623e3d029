// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/tls.h"

#include <malloc.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "net/pem_file.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::net {
namespace {

using base::Error;
using base::ErrorCode;
using base::Handle;
using base::Result;

// A buffer of records may be larger: what it had of plaintext is cleansed (SSL_OP_CLEANSE_PLAINTEXT).
constexpr size_t kMostWiped = 8 * 1024;

void* allocate(size_t size, const char*, int) {
  return std::malloc(size);
}
void wipe_and_free(void* block, const char*, int) {
  if (block == nullptr) return;
  if (const size_t size = ::malloc_usable_size(block); size <= kMostWiped) ::explicit_bzero(block, size);
  std::free(block);
}
void* wipe_and_reallocate(void* block, size_t size, const char* file, int line) {
  void* const moved = std::malloc(size);
  if (moved == nullptr || block == nullptr) return moved;
  std::memcpy(moved, block, std::min(size, ::malloc_usable_size(block)));
  wipe_and_free(block, file, line);
  return moved;
}

// SSL objects are the largest thing in a worker's memory: what a session without tickets, resumption or
// renegotiation does not need is left out.
void set_policy(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_num_tickets(context, 0);  // a one-time port has nothing to resume
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}

// Before 1.2 signatures are of MD5 and SHA-1, which OpenSSL allows at its lowest level alone.
constexpr const char* kLegacyCiphers = ":ECDHE+AES+SHA1:kRSA+AES+SHA1:@SECLEVEL=0";

template <typename Settings>
Result<void> set_algorithms(SSL_CTX* context, const Settings& settings) {
  const bool legacy = settings.min_version == kLegacyTls;
  const int oldest = settings.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
  SSL_CTX_set_min_proto_version(context, legacy ? TLS1_VERSION : oldest);
  const std::string ciphers = settings.ciphers + (legacy ? kLegacyCiphers : "");
  if (SSL_CTX_set_cipher_list(context, ciphers.c_str()) != 1) return tls_error("tls-ciphers");
  if (!settings.ciphersuites.empty() && SSL_CTX_set_ciphersuites(context, settings.ciphersuites.c_str()) != 1)
    return tls_error("tls-ciphersuites");
  return {};
}

// Takes what the context shows to clients: the certificate and what stands between it and its authority.
Result<void> set_certificates(SSL_CTX* context, const std::vector<Handle<X509>>& certificates,
                              const std::string& file) {
  for (const Handle<X509>& certificate : certificates) {
    const bool first = &certificate == &certificates.front();
    const long set = first ? SSL_CTX_use_certificate(context, certificate.get())
                           : SSL_CTX_add1_chain_cert(context, certificate.get());
    if (set != 1) return tls_error(base::escape(file));
  }
  return {};
}

// OpenSSL says "key values mismatch" to a chain that begins with the authority too.
Result<void> check_pair(const std::vector<Handle<X509>>& certificates, const EVP_PKEY* key,
                        const TlsSettings& settings) {
  const auto fits = [key](const Handle<X509>& certificate) {
    return X509_check_private_key(certificate.get(), key) == 1;
  };
  const auto found = std::find_if(certificates.begin(), certificates.end(), fits);
  if (found == certificates.begin()) return {};
  ERR_clear_error();
  const std::string key_file = base::escape(settings.key_file), cert_file = base::escape(settings.cert_file);
  if (found == certificates.end())
    return Error{ErrorCode::invalid, key_file + ": the key does not fit " + cert_file};
  return Error{ErrorCode::invalid,
               cert_file + ": the chain is in the wrong order: the certificate of the key is number " +
                   std::to_string(found - certificates.begin() + 1) + " and must be the first"};
}

Result<void> use_chain(SSL_CTX* context, const std::string& text) {
  const Handle<BIO> in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!in) throw std::bad_alloc();
  const Handle<X509> certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  if (!certificate || SSL_CTX_use_certificate(context, certificate.get()) != 1)
    return tls_error("the certificate");
  while (Handle<X509> next{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)})
    if (SSL_CTX_add1_chain_cert(context, next.get()) != 1) return tls_error("the certificate's chain");
  ERR_clear_error();  // the end of the text was one
  return {};
}

}  // namespace

void use_wiping_tls_allocator() {
  if (CRYPTO_set_mem_functions(allocate, wipe_and_reallocate, wipe_and_free) != 1) throw std::bad_alloc();
}

Result<void> check_algorithms(const TlsContextSettings& settings) {
  ERR_clear_error();
  const Handle<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  return context ? set_algorithms(context.get(), settings) : tls_error("TLS");
}

Result<TlsServer> load_tls_server(const TlsSettings& settings) {
  ERR_clear_error();
  TlsServer tls;
  tls.context.reset(SSL_CTX_new(TLS_server_method()));
  if (!tls) return tls_error("TLS");
  set_policy(tls.context.get());
  if (auto set = set_algorithms(tls.context.get(), settings); !set) return set.error();
  const auto certificates = read_certificates(settings.cert_file);
  if (!certificates) return certificates.error();
  if (auto set = set_certificates(tls.context.get(), *certificates, settings.cert_file); !set)
    return set.error();
  auto key = read_private_key(settings.key_file, settings.key_owner);
  if (!key) return key.error();
  if (auto checked = check_pair(*certificates, key->get(), settings); !checked) return checked.error();
  tls.key = std::move(*key);
  return tls;
}

std::string chain_text(const TlsServer& tls) {
  const Handle<BIO> out(BIO_new(BIO_s_mem()));
  if (!out) throw std::bad_alloc();
  PEM_write_bio_X509(out.get(), SSL_CTX_get0_certificate(tls.context.get()));
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(tls.context.get(), &chain);
  for (int i = 0; i < sk_X509_num(chain); ++i) PEM_write_bio_X509(out.get(), sk_X509_value(chain, i));
  const char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

Result<TlsServer> make_tls_context(const TlsContextSettings& settings) {
  ERR_clear_error();
  TlsServer tls;
  tls.context.reset(SSL_CTX_new(TLS_server_method()));
  if (!tls) return tls_error("TLS");
  set_policy(tls.context.get());
  if (auto set = set_algorithms(tls.context.get(), settings); !set) return set.error();
  if (auto used = use_chain(tls.context.get(), settings.chain); !used) return used.error();
  return tls;
}

base::Secret key_text(const TlsServer& tls) {
  uint8_t* text = nullptr;
  const int size = i2d_PrivateKey(tls.key.get(), &text);
  if (size <= 0) throw std::bad_alloc();
  base::Secret secret({reinterpret_cast<const char*>(text), static_cast<size_t>(size)});
  OPENSSL_clear_free(text, static_cast<size_t>(size));
  return secret;
}

Result<void> set_key(TlsServer& tls, const base::Secret& text) {
  if (!tls) return Error{ErrorCode::invalid, "a key without a certificate"};
  const auto bytes = base::as_bytes(text.reveal());
  const uint8_t* at = bytes.data();
  tls.key.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(bytes.size())));
  if (!tls.key) return tls_error("the key");
  if (X509_check_private_key(SSL_CTX_get0_certificate(tls.context.get()), tls.key.get()) != 1)
    return tls_error("the key does not fit the certificate");
  return {};
}

}  // namespace vncauthproxy::net
