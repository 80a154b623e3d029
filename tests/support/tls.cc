// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>

#include "tests/support/program.h"

namespace vncauthproxy::testing {

using base::Handle;

namespace {

std::string text_of(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  return {text, static_cast<size_t>(size)};
}

bool sign(X509* cert, EVP_PKEY* key, const std::string& name) {
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert), 100L * 24 * 3600);
  X509_set_pubkey(cert, key);
  X509_NAME* subject = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(cert, subject);
  const std::string names = "DNS:" + name + ",IP:127.0.0.1,IP:::1";
  const Handle<X509_EXTENSION> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str()));
  return extension && X509_add_ext(cert, extension.get(), -1) == 1 && X509_sign(cert, key, EVP_sha256()) > 0;
}

}  // namespace

bool make_certificate(const std::string& cert_file, const std::string& key_file, const std::string& name) {
  const Handle<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const Handle<X509> cert(X509_new());
  const Handle<BIO> cert_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  return key && cert && sign(cert.get(), key.get(), name) &&
         PEM_write_bio_X509(cert_text.get(), cert.get()) == 1 &&
         PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
         write_file(cert_file, text_of(cert_text.get()), 0644) &&
         write_file(key_file, text_of(key_text.get()), 0600);
}

TlsClient::TlsClient(Socket socket, int min_version, int max_version)
    : socket_(std::move(socket)), context_(SSL_CTX_new(TLS_client_method())) {
  // The oldest versions are off at the default level.
  SSL_CTX_set_security_level(context_.get(), 0);
  SSL_CTX_set_min_proto_version(context_.get(), min_version);
  SSL_CTX_set_max_proto_version(context_.get(), max_version);
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), socket_.get());
}

bool TlsClient::again(int result, Deadline deadline) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait_fd(socket_.get(), POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
      return wait_fd(socket_.get(), POLLOUT, deadline);
    default:
      return false;
  }
}

bool TlsClient::handshake(Deadline deadline) {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_.get());
    if (result == 1) return true;
    if (!again(result, deadline)) return false;
  }
}

bool TlsClient::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ERR_clear_error();
    const int result = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (result > 0)
      bytes.remove_prefix(static_cast<size_t>(result));
    else if (!again(result, deadline))
      return false;
  }
  return true;
}

std::optional<std::string> TlsClient::read_to_end(bool* clean, Deadline deadline) {
  std::string bytes;
  std::array<char, 16384> room;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), room.data(), static_cast<int>(room.size()));
    if (result > 0) {
      bytes.append(room.data(), static_cast<size_t>(result));
    } else if (!again(result, deadline)) {
      if (deadline.passed()) return std::nullopt;
      if (clean) *clean = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
      return bytes;
    }
  }
}

std::string TlsClient::peer_name() const {
  const Handle<X509> cert(SSL_get1_peer_certificate(ssl_.get()));
  char name[256] = "";
  if (cert) X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, name, sizeof name);
  return name;
}

std::string TlsClient::version() const {
  return SSL_get_version(ssl_.get());
}

}  // namespace vncauthproxy::testing
