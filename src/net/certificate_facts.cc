// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/certificate_facts.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <new>
#include <string_view>

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::net {
namespace {

using base::Handle;
using std::chrono::seconds;

// ---- names

std::string text_of(const ASN1_STRING* string) {
  return base::escape({reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                       static_cast<size_t>(ASN1_STRING_length(string))});
}

std::string address_of(const ASN1_OCTET_STRING* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
  ::inet_ntop(family, ASN1_STRING_get0_data(bytes), text.data(), text.size());
  return text.data();
}

std::string common_name(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at >= 0) return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  std::array<char, 256> text{};
  X509_NAME_oneline(name, text.data(), static_cast<int>(text.size()));
  return base::escape(text.data());
}

// Those of the extension alone, where there is one: then clients do not look at the common name.
std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  const Handle<GENERAL_NAMES> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    int type = 0;
    const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(alternatives.get(), i), &type);
    if (type == GEN_DNS) names.push_back(text_of(static_cast<const ASN1_STRING*>(value)));
    if (type == GEN_IPADD) names.push_back(address_of(static_cast<const ASN1_OCTET_STRING*>(value)));
  }
  if (names.empty()) names.push_back(common_name(X509_get_subject_name(certificate)));
  return names;
}

// ---- times

seconds between(const ASN1_TIME* from, const ASN1_TIME* to) {  // nullptr: now
  int days = 0, rest = 0;
  if (ASN1_TIME_diff(&days, &rest, from, to) != 1) return seconds(0);
  return std::chrono::hours(24 * days) + seconds(rest);
}

std::string day_of(const ASN1_TIME* time) {
  std::tm parts{};
  std::array<char, 16> text{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown day";
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return text.data();
}

// ---- the chain

bool issued(X509* issuer, X509* certificate) {
  return X509_check_issued(issuer, certificate) == X509_V_OK;
}

bool system_trusts_issuer_of(X509* certificate) {
  const Handle<X509_STORE> store(X509_STORE_new());
  const Handle<X509_STORE_CTX> context(X509_STORE_CTX_new());
  if (!store || !context) throw std::bad_alloc();
  X509* issuer = nullptr;
  const bool found = X509_STORE_set_default_paths(store.get()) == 1 &&
                     X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) == 1 &&
                     X509_STORE_CTX_get1_issuer(&issuer, context.get(), certificate) == 1;
  const Handle<X509> owner(issuer);
  ERR_clear_error();
  return found;
}

bool lacks_issuer(SSL_CTX* context, X509* certificate) {
  if (issued(certificate, certificate)) return false;
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  for (int i = 0; i < sk_X509_num(chain); ++i)
    if (issued(sk_X509_value(chain, i), certificate)) return false;
  return !system_trusts_issuer_of(certificate);
}

// ---- a handshake with oneself

Handle<SSL> one_end(SSL_CTX* context, BIO* bio) {
  Handle<SSL> end(SSL_new(context));
  if (!end) throw std::bad_alloc();
  SSL_set_bio(end.get(), bio, bio);
  return end;
}

Handle<SSL_CTX> new_context(const SSL_METHOD* method) {
  Handle<SSL_CTX> context(SSL_CTX_new(method));
  if (!context) throw std::bad_alloc();
  return context;
}

// A client that takes whatever it is offered.
Handle<SSL_CTX> lenient_client(int version) {
  Handle<SSL_CTX> context = new_context(TLS_client_method());
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_set_cipher_list(context.get(), "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
  return context;
}

std::vector<std::string> elements_of(const std::string& list) {
  std::vector<std::string> elements;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find_first_of(":, ", at), list.size());
    if (end > at) elements.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return elements;
}

template <typename Known>
std::vector<std::string> unknown_elements(const std::string& list, Known known) {
  std::vector<std::string> unknown;
  for (const std::string& element : elements_of(list))
    if (!known(element)) unknown.push_back(base::escape(element));
  ERR_clear_error();
  return unknown;
}

}  // namespace

CertificateFacts facts_of(const TlsServer& tls) {
  X509* const certificate = SSL_CTX_get0_certificate(tls.context.get());
  const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
  const ASN1_TIME* const end = X509_get0_notAfter(certificate);
  CertificateFacts facts;
  facts.names = names_of(certificate);
  facts.issuer = common_name(X509_get_issuer_name(certificate));
  facts.last_day = day_of(end);
  facts.life = between(begin, end);
  facts.left = between(nullptr, end);
  facts.ahead = std::max(between(nullptr, begin), seconds(0));
  facts.lacks_issuer = lacks_issuer(tls.context.get(), certificate);
  return facts;
}

bool is_for_host(const TlsServer& tls, const std::string& host) {
  X509* const certificate = SSL_CTX_get0_certificate(tls.context.get());
  std::array<uint8_t, sizeof(in6_addr)> address;
  const bool literal = ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
                       ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
  return literal ? X509_check_ip_asc(certificate, host.c_str(), 0) == 1
                 : X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1;
}

bool can_speak(const TlsServer& tls, int version) {
  const Handle<SSL_CTX> client_context = lenient_client(version);
  BIO* server_bio = nullptr;
  BIO* client_bio = nullptr;
  if (BIO_new_bio_pair(&server_bio, 0, &client_bio, 0) != 1) throw std::bad_alloc();
  const Handle<SSL> server = one_end(tls.context.get(), server_bio);
  const Handle<SSL> client = one_end(client_context.get(), client_bio);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  SSL_use_PrivateKey(server.get(), tls.key.get());
  constexpr int kMaxFlights = 8;
  for (int i = 0; i < kMaxFlights && SSL_is_init_finished(server.get()) == 0; ++i) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  ERR_clear_error();
  return SSL_is_init_finished(server.get()) != 0;
}

std::vector<std::string> unknown_ciphers(const std::string& list) {
  const Handle<SSL_CTX> context = new_context(TLS_server_method());
  SSL_CTX_set_security_level(context.get(), 0);
  return unknown_elements(list, [&](const std::string& element) {
    // Commands, and what takes ciphers away: that there are none left to take is no fault.
    if (std::string_view("@!-+").find(element[0]) != std::string_view::npos) return true;
    return SSL_CTX_set_cipher_list(context.get(), element.c_str()) == 1;
  });
}

std::vector<std::string> unknown_ciphersuites(const std::string& list) {
  const Handle<SSL_CTX> context = new_context(TLS_server_method());
  constexpr const char* kAll =
      "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256:"
      "TLS_AES_128_CCM_8_SHA256";
  SSL_CTX_set_ciphersuites(context.get(), kAll);
  const STACK_OF(SSL_CIPHER)* const known = SSL_CTX_get_ciphers(context.get());
  return unknown_elements(list, [&](const std::string& element) {
    for (int i = 0; i < sk_SSL_CIPHER_num(known); ++i)
      if (element == SSL_CIPHER_get_name(sk_SSL_CIPHER_value(known, i))) return true;
    return false;
  });
}

}  // namespace vncauthproxy::net
