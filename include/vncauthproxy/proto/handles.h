// SPDX-License-Identifier: GPL-2.0-or-later
// Which function frees what Jansson, wslay and libcrypto's ciphers and hashes allocate.
#pragma once

#include <jansson.h>
#include <openssl/evp.h>
#include <wslay/wslay.h>

#include "vncauthproxy/base/handle.h"

namespace vncauthproxy::base {

template <>
struct Release<json_t> {
  void operator()(json_t* p) const { ::json_decref(p); }  // inline in the library's header
};
template <>
struct Release<EVP_CIPHER> : ReleaseBy<EVP_CIPHER, ::EVP_CIPHER_free> {};
template <>
struct Release<EVP_CIPHER_CTX> : ReleaseBy<EVP_CIPHER_CTX, ::EVP_CIPHER_CTX_free> {};
template <>
struct Release<EVP_MD_CTX> : ReleaseBy<EVP_MD_CTX, ::EVP_MD_CTX_free> {};
template <>
struct Release<wslay_event_context> : ReleaseBy<wslay_event_context, ::wslay_event_context_free> {};
template <>
struct Release<wslay_frame_context> : ReleaseBy<wslay_frame_context, ::wslay_frame_context_free> {};

}  // namespace vncauthproxy::base
