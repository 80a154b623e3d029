// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/pem_file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::net {
namespace {

using base::Error;
using base::ErrorCode;
using base::Handle;
using base::Result;

// What a file is asked for, and how openssl(1) makes it from other forms.
struct Wanted {
  const char* noun;
  const char* label;  // part of its BEGIN line
  const char* command;
};
constexpr Wanted kCertificate{"certificate", "CERTIFICATE-----", "x509"};
constexpr Wanted kPrivateKey{"private key", "PRIVATE KEY-----", "pkey"};

Handle<BIO> reader(std::span<const char> text) {
  return Handle<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool has_block(std::string_view text, std::string_view label_end) {
  for (size_t at = text.find("-----BEGIN "); at != text.npos; at = text.find("-----BEGIN ", at + 1)) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.find(label_end) != line.npos) return true;
  }
  return false;
}

// "PUBLIC KEY" for a file whose first block is one; empty: it has no block.
std::string first_label(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  const size_t at = text.find(kBegin);
  if (at == text.npos) return "";
  text.remove_prefix(at + kBegin.size());
  return base::escape(text.substr(0, text.find("-----")), 40);
}

template <typename Object>
bool parses(Object* object, void (*release)(Object*)) {
  if (object != nullptr) release(object);
  ERR_clear_error();
  return object != nullptr;
}

// Of a file without a line of PEM.
std::string what_it_is_instead(std::string_view text, const Wanted& wanted, const std::string& path) {
  const std::string command = std::string("openssl ") + wanted.command;
  const Handle<BIO> key = reader(text), certificate = reader(text), bundle = reader(text);
  const bool der = &wanted == &kPrivateKey ? parses(d2i_PrivateKey_bio(key.get(), nullptr), EVP_PKEY_free)
                                           : parses(d2i_X509_bio(certificate.get(), nullptr), X509_free);
  if (der) return "is in DER, not in PEM; " + command + " -inform DER -in " + path + " converts it";
  if (parses(d2i_PKCS12_bio(bundle.get(), nullptr), PKCS12_free))
    return "is in PKCS#12, not in PEM; openssl pkcs12 -in " + path + " converts it";
  return std::string("holds no ") + wanted.noun + " in PEM";
}

// Why nothing of the wanted kind was found.
Error explain(std::string_view text, const Wanted& wanted, const std::string& path) {
  ERR_clear_error();
  const std::string name = base::escape(path);
  const Wanted& other = &wanted == &kCertificate ? kPrivateKey : kCertificate;
  const std::string none = std::string("holds no ") + wanted.noun;
  const std::string label = first_label(text);
  std::string why;
  if (text.find_first_not_of(" \t\r\n") == text.npos)
    why = "is empty: it " + none;
  else if (has_block(text, wanted.label))
    why = std::string("its ") + wanted.noun +
          (text.find("-----END ") == text.npos ? " is cut short: there is no END line"
                                               : " is damaged, or of a kind that OpenSSL does not know");
  else if (has_block(text, other.label))
    why = none + ", but a " + other.noun + "; are cert-file and key-file swapped?";
  else if (!label.empty())
    why = none + ", but: " + label;
  else
    why = what_it_is_instead(text, wanted, name);
  return {ErrorCode::invalid, name + ": " + why};
}

Result<void> check_rights(const struct stat& status, const std::string& path, uid_t owner) {
  const std::string name = base::escape(path);
  if ((status.st_mode & S_IRWXO) != 0)
    return Error{ErrorCode::denied, name + ": the key must not be accessible by others (chmod o= it)"};
  if (status.st_uid != 0 && status.st_uid != owner)
    return Error{ErrorCode::denied, name + ": the key must belong to root or to the daemon's user"};
  return {};
}

// OpenSSL would ask on the terminal, and the whole daemon would wait there.
int no_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

// OpenSSL looked for the next block and found none.
bool at_the_end() {
  const unsigned long code = ERR_peek_last_error();
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

}  // namespace

Error tls_error(const std::string& what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0                ? nullptr
                       : ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code))
                                                : ERR_reason_error_string(code);
  return {ErrorCode::invalid, what + ": " + (reason != nullptr ? reason : "cannot be used")};
}

Result<std::vector<Handle<X509>>> read_certificates(const std::string& path) {
  const auto file = base::open_regular_file(path);
  if (!file) return file.error();
  std::string text(base::kMaxFileBytes + 1, '\0');
  const auto size = base::read_to_end(file->fd.get(), text, path);
  if (!size) return size.error();
  text.resize(*size);

  ERR_clear_error();
  bool was_asked = false;
  const Handle<BIO> in = reader(text);
  std::vector<Handle<X509>> found;
  while (X509* next = found.empty() ? PEM_read_bio_X509_AUX(in.get(), nullptr, no_passphrase, &was_asked)
                                    : PEM_read_bio_X509(in.get(), nullptr, no_passphrase, &was_asked))
    found.emplace_back(next);
  if (found.empty()) return explain(text, kCertificate, path);
  if (!at_the_end())
    return tls_error(base::escape(path) + ": certificate number " + std::to_string(found.size() + 1) +
                     " is damaged");
  ERR_clear_error();
  return found;
}

Result<Handle<EVP_PKEY>> read_private_key(const std::string& path, uid_t owner) {
  const auto file = base::open_regular_file(path);
  if (!file) return file.error();
  if (auto checked = check_rights(file->status, path, owner); !checked) return checked.error();
  const base::SecretPages pages(base::kMaxFileBytes + 1);
  const auto size = base::read_to_end(file->fd.get(), pages.room(), path);
  if (!size) return size.error();
  const std::string_view text(pages.room().data(), *size);

  ERR_clear_error();
  bool was_asked = false;
  const Handle<BIO> in = reader(text);
  Handle<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, &was_asked));
  if (!key && was_asked) {
    ERR_clear_error();
    return Error{ErrorCode::unsupported, base::escape(path) + ": the key is protected by a passphrase"};
  }
  if (!key) return explain(text, kPrivateKey, path);
  return key;
}

}  // namespace vncauthproxy::net
