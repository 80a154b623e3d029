// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/tls.h"

#include <fcntl.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "vncauthproxy/base/fd.h"

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

// The oldest entry of OpenSSL's queue is the cause; the rest is where it was passed on.
Error tls_error(const std::string& what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0                ? nullptr
                       : ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code))
                                                : ERR_reason_error_string(code);
  return {ErrorCode::invalid, what + ": " + (reason != nullptr ? reason : "cannot be used")};
}

// Opened once; what is checked is the file that was opened. O_NONBLOCK, so that a FIFO cannot hang the start.
Result<Handle<BIO>> open_key(const std::string& path, uid_t owner) {
  base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return base::system_error(path.c_str());
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return base::system_error(path.c_str());
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::denied, path + ": is not a regular file"};
  if ((status.st_mode & S_IRWXO) != 0)
    return Error{ErrorCode::denied, path + ": the key must not be accessible by others (chmod o= it)"};
  if (status.st_uid != 0 && status.st_uid != owner)
    return Error{ErrorCode::denied, path + ": the key must belong to root or to the daemon's user"};
  return Handle<BIO>(BIO_new_fd(fd.release(), BIO_CLOSE));  // a FILE would keep its text in a buffer
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

Result<void> set_algorithms(SSL_CTX* context, const TlsSettings& settings) {
  const bool legacy = settings.min_version == kLegacyTls;
  const int oldest = settings.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
  SSL_CTX_set_min_proto_version(context, legacy ? TLS1_VERSION : oldest);
  const std::string ciphers = settings.ciphers + (legacy ? kLegacyCiphers : "");
  if (SSL_CTX_set_cipher_list(context, ciphers.c_str()) != 1) return tls_error("tls-ciphers");
  if (!settings.ciphersuites.empty() && SSL_CTX_set_ciphersuites(context, settings.ciphersuites.c_str()) != 1)
    return tls_error("tls-ciphersuites");
  return {};
}

// OpenSSL would ask on the terminal, and the whole daemon would wait there.
int no_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

Result<Handle<EVP_PKEY>> load_key(const TlsSettings& settings, const SSL_CTX* context) {
  auto file = open_key(settings.key_file, settings.key_owner);
  if (!file) return std::move(file.error());
  bool was_asked = false;
  Handle<EVP_PKEY> key(PEM_read_bio_PrivateKey(file->get(), nullptr, no_passphrase, &was_asked));
  if (was_asked)
    return Error{ErrorCode::unsupported, settings.key_file + ": the key is protected by a passphrase"};
  if (!key) return tls_error(settings.key_file);
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1)
    return tls_error(settings.key_file + ": does not fit " + settings.cert_file);
  return key;
}

base::Secret text_of(const EVP_PKEY* key) {
  uint8_t* text = nullptr;
  const int size = i2d_PrivateKey(key, &text);
  if (size <= 0) throw std::bad_alloc();
  base::Secret secret({reinterpret_cast<const char*>(text), static_cast<size_t>(size)});
  OPENSSL_clear_free(text, static_cast<size_t>(size));
  return secret;
}

Handle<SSL> one_end(SSL_CTX* context, BIO* bio) {
  Handle<SSL> end(SSL_new(context));
  if (!end) throw std::bad_alloc();
  SSL_set_bio(end.get(), bio, bio);
  return end;
}

// A handshake with oneself. What OpenSSL looks up and makes at its first one lasts: the algorithms, the
// tables of its curves. Made here, before any fork, it is shared by all workers; else each would do it again,
// in pages of its own. Nothing depends on how it ends.
void warm_up(const TlsServer& tls) {
  const Handle<SSL_CTX> client_context(SSL_CTX_new(TLS_client_method()));
  BIO* server_bio = nullptr;
  BIO* client_bio = nullptr;
  if (!client_context || BIO_new_bio_pair(&server_bio, 0, &client_bio, 0) != 1) throw std::bad_alloc();
  TlsServer own = share(tls);
  unlock(own);
  const Handle<SSL> server = one_end(own.context.get(), server_bio);
  const Handle<SSL> client = one_end(client_context.get(), client_bio);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  SSL_use_PrivateKey(server.get(), own.key.get());
  constexpr int kMaxFlights = 8;
  for (int i = 0; i < kMaxFlights && SSL_is_init_finished(server.get()) == 0; ++i) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  ERR_clear_error();
}

}  // namespace

void use_wiping_tls_allocator() {
  if (CRYPTO_set_mem_functions(allocate, wipe_and_reallocate, wipe_and_free) != 1) throw std::bad_alloc();
}

Result<TlsServer> load_tls_server(const TlsSettings& settings) {
  ERR_clear_error();
  TlsServer tls;
  tls.context.reset(SSL_CTX_new(TLS_server_method()));
  if (!tls) return tls_error("TLS");
  set_policy(tls.context.get());
  if (auto set = set_algorithms(tls.context.get(), settings); !set) return std::move(set.error());
  if (SSL_CTX_use_certificate_chain_file(tls.context.get(), settings.cert_file.c_str()) != 1)
    return tls_error(settings.cert_file);
  auto key = load_key(settings, tls.context.get());
  if (!key) return std::move(key.error());
  tls.key_text = text_of(key->get());
  tls.key_type = EVP_PKEY_get_base_id(key->get());
  warm_up(tls);
  return tls;
}

TlsServer share(const TlsServer& tls) {
  SSL_CTX_up_ref(tls.context.get());
  return {Handle<SSL_CTX>(tls.context.get()), nullptr, base::Secret(tls.key_text.reveal()), tls.key_type};
}

void unlock(TlsServer& tls) {
  const auto text = base::as_bytes(tls.key_text.reveal());
  const uint8_t* at = text.data();
  tls.key.reset(d2i_PrivateKey(tls.key_type, nullptr, &at, static_cast<long>(text.size())));
  if (!tls.key) throw std::bad_alloc();  // it was a key when it was read
}

void TlsSecrets::erase() {
  for (SSL* session : sessions) base::release(session);
  for (EVP_PKEY* key : keys) base::release(key);
}

std::chrono::seconds certificate_life(const TlsServer& tls) {
  int days = 0;
  int seconds = 0;
  const X509* certificate = SSL_CTX_get0_certificate(tls.context.get());
  if (certificate == nullptr ||
      ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) != 1)
    return std::chrono::seconds(0);
  return std::chrono::hours(24 * days) + std::chrono::seconds(seconds);
}

}  // namespace vncauthproxy::net
