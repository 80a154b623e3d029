// SPDX-License-Identifier: GPL-2.0-or-later
// Which function frees what libevent and OpenSSL's TLS and certificates allocate.
#pragma once

#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "vncauthproxy/base/handle.h"

namespace vncauthproxy::base {

template <>
struct Release<event_base> : ReleaseBy<event_base, ::event_base_free> {};
template <>
struct Release<event_config> : ReleaseBy<event_config, ::event_config_free> {};
template <>
struct Release<event> : ReleaseBy<event, ::event_free> {};
template <>
struct Release<BIO> : ReleaseBy<BIO, ::BIO_free_all> {};
template <>
struct Release<BIO_METHOD> : ReleaseBy<BIO_METHOD, ::BIO_meth_free> {};
template <>
struct Release<EVP_PKEY> : ReleaseBy<EVP_PKEY, ::EVP_PKEY_free> {};
template <>
struct Release<SSL> : ReleaseBy<SSL, ::SSL_free> {};
template <>
struct Release<SSL_CTX> : ReleaseBy<SSL_CTX, ::SSL_CTX_free> {};
template <>
struct Release<X509> : ReleaseBy<X509, ::X509_free> {};
template <>
struct Release<X509_STORE> : ReleaseBy<X509_STORE, ::X509_STORE_free> {};
template <>
struct Release<X509_STORE_CTX> : ReleaseBy<X509_STORE_CTX, ::X509_STORE_CTX_free> {};
template <>
struct Release<GENERAL_NAMES> : ReleaseBy<GENERAL_NAMES, ::GENERAL_NAMES_free> {};
template <>
struct Release<X509_EXTENSION> : ReleaseBy<X509_EXTENSION, ::X509_EXTENSION_free> {};

}  // namespace vncauthproxy::base
