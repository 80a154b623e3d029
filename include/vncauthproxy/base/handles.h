// SPDX-License-Identifier: GPL-2.0-or-later
// The one table from a C type to the function that frees it. No other file calls a free function. An overload
// that is not used costs no link dependency, so a program without libevent may include this too.
#pragma once

#include <dirent.h>
#include <event2/event.h>
#include <jansson.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <wslay/wslay.h>

#include <cstdio>
#include <memory>

namespace vncauthproxy::base {

inline void release(std::FILE* p) {
  std::fclose(p);
}
inline void release(DIR* p) {
  ::closedir(p);
}
inline void release(addrinfo* p) {
  ::freeaddrinfo(p);
}
inline void release(event_base* p) {
  ::event_base_free(p);
}
inline void release(event_config* p) {
  ::event_config_free(p);
}
inline void release(event* p) {
  ::event_free(p);
}
inline void release(json_t* p) {
  ::json_decref(p);
}
inline void release(BIO* p) {
  ::BIO_free_all(p);
}
inline void release(BIO_METHOD* p) {
  ::BIO_meth_free(p);
}
inline void release(EVP_CIPHER* p) {
  ::EVP_CIPHER_free(p);
}
inline void release(EVP_CIPHER_CTX* p) {
  ::EVP_CIPHER_CTX_free(p);
}
inline void release(EVP_MD_CTX* p) {
  ::EVP_MD_CTX_free(p);
}
inline void release(EVP_PKEY* p) {
  ::EVP_PKEY_free(p);
}
inline void release(SSL* p) {
  ::SSL_free(p);
}
inline void release(SSL_CTX* p) {
  ::SSL_CTX_free(p);
}
inline void release(X509* p) {
  ::X509_free(p);
}
inline void release(X509_STORE* p) {
  ::X509_STORE_free(p);
}
inline void release(X509_STORE_CTX* p) {
  ::X509_STORE_CTX_free(p);
}
inline void release(GENERAL_NAMES* p) {
  ::GENERAL_NAMES_free(p);
}
inline void release(X509_EXTENSION* p) {
  ::X509_EXTENSION_free(p);
}
inline void release(wslay_event_context* p) {
  ::wslay_event_context_free(p);
}
inline void release(wslay_frame_context* p) {
  ::wslay_frame_context_free(p);
}

template <typename T>
struct Release {
  void operator()(T* p) const { release(p); }
};
template <typename T>
using Handle = std::unique_ptr<T, Release<T>>;

}  // namespace vncauthproxy::base
