// SPDX-License-Identifier: GPL-2.0-or-later
// Which certificates and keys are taken, and what the operator reads about those that are not.
#include "vncauthproxy/net/tls.h"

#include <openssl/err.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/certificate.h"
#include "tests/support/descriptors.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::net {
namespace {

using base::ErrorCode;
using testing::certificate_pem;
using testing::key_pem;

constexpr int kOk = -1;

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_tls.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    cert = folder + "/cert.pem";
    key = folder + "/key.pem";
    write(cert, certificate_pem(ec.get()));
    write(key, key_pem(ec.get()));
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  static void write(const std::string& path, const std::string& text, mode_t mode = 0600) {
    std::ofstream(path, std::ios::trunc) << text;
    ::chmod(path.c_str(), mode);
  }
  // kOk, or the code of the error.
  int load() {
    auto loaded = load_tls_server({owner, cert, key, min_version, ciphers, ciphersuites});
    detail.clear();
    tls = {};
    if (loaded)
      tls = std::move(*loaded);
    else
      detail = loaded.error().detail;
    return loaded ? kOk : static_cast<int>(loaded.error().code);
  }
  bool says(std::string_view text) const { return detail.find(text) != detail.npos; }
  bool names(const std::string& path) const { return says(path); }

  uid_t owner = ::geteuid();
  base::Handle<EVP_PKEY> ec = testing::make_ec_key();
  std::string folder, cert, key, detail;
  std::string min_version = "1.2", ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20", ciphersuites;
  TlsServer tls;
};

void a_matching_pair_is_taken(Fixture& f) {
  assert_int_equal(f.load(), kOk);
  assert_non_null(f.tls.context.get());
  assert_non_null(f.tls.key.get());
}

void an_rsa_pair_is_taken(Fixture& f) {
  {
    const auto rsa = testing::make_rsa_key();
    f.write(f.cert, certificate_pem(rsa.get()));
    f.write(f.key, key_pem(rsa.get()));
  }
  assert_int_equal(f.load(), kOk);
}

void a_chain_is_taken(Fixture& f) {
  {
    const auto other = testing::make_ec_key();
    f.write(f.cert, certificate_pem(f.ec.get()) + certificate_pem(other.get()));
  }
  assert_int_equal(f.load(), kOk);
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(f.tls.context.get(), &chain);
  assert_int_equal(sk_X509_num(chain), 1);
}

void one_file_may_hold_both(Fixture& f) {
  f.write(f.key, certificate_pem(f.ec.get()) + key_pem(f.ec.get()));
  f.cert = f.key;
  assert_int_equal(f.load(), kOk);
}

void a_link_is_followed(Fixture& f) {
  const int made = ::symlink("key.pem", (f.folder + "/link").c_str());
  f.key = f.folder + "/link";
  assert_int_equal(made, 0);
  assert_int_equal(f.load(), kOk);  // secrets are often mounted as links; what counts is the file
  ::chmod((f.folder + "/key.pem").c_str(), 0604);
  assert_int_equal(f.load(), ErrorCode::denied);
}

void an_expired_certificate_is_taken(Fixture& f) {
  f.write(f.cert, certificate_pem(f.ec.get(), -3600));
  assert_int_equal(f.load(), kOk);
}

// ---- the key file

void the_mode_of_the_key_counts(Fixture& f) {
  struct {
    mode_t mode;
    int expected;
  } const rows[] = {
      {0600, kOk},
      {0400, kOk},
      {0640, kOk},
      {0440, kOk},
      {0604, static_cast<int>(ErrorCode::denied)},
      {0644, static_cast<int>(ErrorCode::denied)},
      {0602, static_cast<int>(ErrorCode::denied)},
      {0601, static_cast<int>(ErrorCode::denied)},
      {0777, static_cast<int>(ErrorCode::denied)},
  };
  for (const auto& row : rows) {
    ::chmod(f.key.c_str(), row.mode);
    const int got = f.load();
    if (got != row.expected || (got != kOk && !f.names(f.key)))
      fail_msg("mode %o: %d, %s", static_cast<unsigned>(row.mode), got, f.detail.c_str());
  }
}

void the_owner_of_the_key_counts(Fixture& f) {
  if (::geteuid() != 0) skip();
  const int given = ::chown(f.key.c_str(), 12345, 0);
  const int got = f.load();
  const bool told = f.names(f.key) && f.says("must belong to root");
  assert_int_equal(given, 0);
  assert_int_equal(got, ErrorCode::denied);
  assert_true(told);
  f.owner = 12345;  // the user that a daemon started as root is about to become
  assert_int_equal(f.load(), kOk);
}

// As the daemon that has given up root sees it: its own file and root's are fine.
void a_daemon_without_root_may_have_a_key_of_its_own(Fixture& f) {
  if (::geteuid() != 0) skip();
  const int opened = ::chmod(f.folder.c_str(), 0755);
  const int given = ::chown(f.key.c_str(), 12345, 0);
  const int became = ::seteuid(12345);
  ::chmod((f.folder + "/cert.pem").c_str(), 0644);
  const int unreadable_cert = f.load();
  const int back = ::seteuid(0);
  ::chmod(f.cert.c_str(), 0644);
  const int became_again = ::seteuid(12345);
  f.owner = ::geteuid();
  const int got = f.load();
  const int back_again = ::seteuid(0);
  assert_int_equal(opened | given | became | back | became_again | back_again, 0);
  assert_true(unreadable_cert != kOk);
  assert_int_equal(got, kOk);
}

struct NamedFile {
  std::string Fixture::*member;  // cert or key
  std::string name, words;
};

// How many of these are not refused with these words; `member` is as it was afterwards.
unsigned count_taken(Fixture& f, const std::vector<NamedFile>& rows) {
  unsigned taken = 0;
  for (const NamedFile& row : rows) {
    const std::string good = std::exchange(f.*row.member, row.name);
    const int got = f.load();  // returns at once
    if (got == kOk || f.detail != row.name + ": " + row.words) {
      print_error("%s: %d %s\n", row.name.c_str(), got, f.detail.c_str());
      ++taken;
    }
    f.*row.member = good;
  }
  return taken;
}

void only_regular_files_are_read(Fixture& f) {
  const int made = ::mkfifo((f.folder + "/fifo").c_str(), 0600);
  assert_int_equal(made, 0);
  const unsigned taken =
      count_taken(f, {{&Fixture::key, f.folder, "is a folder, not a regular file"},
                      {&Fixture::key, "/dev/null", "is a device, not a regular file"},
                      {&Fixture::key, f.folder + "/fifo", "is a FIFO, not a regular file"},
                      {&Fixture::cert, f.folder, "is a folder, not a regular file"},
                      {&Fixture::cert, "/dev/zero", "is a device, not a regular file"},
                      {&Fixture::cert, f.folder + "/fifo", "is a FIFO, not a regular file"}});
  assert_int_equal(taken, 0);
}

void a_file_of_more_than_a_mebibyte_is_refused(Fixture& f) {
  f.write(f.folder + "/cert", certificate_pem(f.ec.get()) + std::string(1024 * 1024, '\n'));
  f.write(f.folder + "/key", key_pem(f.ec.get()) + std::string(1024 * 1024, '\n'));
  const unsigned taken = count_taken(f, {{&Fixture::cert, f.folder + "/cert", "is larger than 1 MiB"},
                                         {&Fixture::key, f.folder + "/key", "is larger than 1 MiB"}});
  assert_int_equal(taken, 0);
}

// ---- contents

struct Contents {
  const char* name;
  std::string cert, key;
  std::string words;  // the whole of what is said, FOLDER standing for the folder
};

std::string in_folder(std::string text, const std::string& folder) {
  for (size_t at; (at = text.find("FOLDER")) != text.npos;) text.replace(at, 6, folder);
  return text;
}

// How many of these are said in other words.
unsigned count_misunderstood(Fixture& f, const std::vector<Contents>& rows) {
  unsigned bad = 0;
  for (const Contents& row : rows) {
    f.write(f.cert, row.cert);
    f.write(f.key, row.key);
    if (row.cert == "none") ::unlink(f.cert.c_str());
    if (row.key == "none") ::unlink(f.key.c_str());
    const int got = f.load();
    if (got != kOk && f.detail == in_folder(row.words, f.folder)) continue;
    print_error("%s: %d: %s\n", row.name, got, f.detail.c_str());
    ++bad;
  }
  return bad;
}

unsigned misunderstood_keys(Fixture& f) {
  const auto other = testing::make_ec_key(), rsa = testing::make_rsa_key();
  const std::string cert = certificate_pem(f.ec.get()), key = key_pem(f.ec.get());
  return count_misunderstood(
      f, {{"no key", cert, "none", "FOLDER/key.pem: No such file or directory"},
          {"an empty key", cert, "", "FOLDER/key.pem: is empty: it holds no private key"},
          {"blank lines for a key", cert, "\n \n", "FOLDER/key.pem: is empty: it holds no private key"},
          {"garbage for a key", cert, "not a PEM file\n", "FOLDER/key.pem: holds no private key in PEM"},
          {"a certificate for a key", cert, cert,
           "FOLDER/key.pem: holds no private key, but a certificate; are cert-file and key-file swapped?"},
          {"a public key", cert, "-----BEGIN PUBLIC KEY-----\nMAo=\n-----END PUBLIC KEY-----\n",
           "FOLDER/key.pem: holds no private key, but: PUBLIC KEY"},
          {"a key in DER", cert, testing::key_der(f.ec.get()),
           "FOLDER/key.pem: is in DER, not in PEM; openssl pkey -inform DER -in FOLDER/key.pem converts it"},
          {"half a key", cert, key.substr(0, key.size() / 2),
           "FOLDER/key.pem: its private key is cut short: there is no END line"},
          {"a damaged key", cert, std::string(key).replace(40, 2, "!!"),
           "FOLDER/key.pem: its private key is damaged, or of a kind that OpenSSL does not know"},
          {"the key of another certificate", cert, key_pem(other.get()),
           "FOLDER/key.pem: the key does not fit FOLDER/cert.pem"},
          {"a key of another kind", cert, key_pem(rsa.get()),
           "FOLDER/key.pem: the key does not fit FOLDER/cert.pem"},
          {"a key with a passphrase", cert, key_pem(f.ec.get(), "passphrase"),
           "FOLDER/key.pem: the key is protected by a passphrase"}});
}

unsigned misunderstood_certificates(Fixture& f) {
  const auto other = testing::make_ec_key();
  const std::string cert = certificate_pem(f.ec.get()), key = key_pem(f.ec.get());
  const std::string others = certificate_pem(other.get());
  return count_misunderstood(
      f,
      {{"no certificate", "none", key, "FOLDER/cert.pem: No such file or directory"},
       {"an empty certificate", "", key, "FOLDER/cert.pem: is empty: it holds no certificate"},
       {"garbage for a certificate", "not a PEM file\n", key, "FOLDER/cert.pem: holds no certificate in PEM"},
       {"a key for a certificate", key, key,
        "FOLDER/cert.pem: holds no certificate, but a private key; are cert-file and key-file swapped?"},
       {"a request for a certificate",
        "-----BEGIN CERTIFICATE REQUEST-----\nMAo=\n-----END CERTIFICATE REQUEST-----\n", key,
        "FOLDER/cert.pem: holds no certificate, but: CERTIFICATE REQUEST"},
       {"a certificate in DER", testing::der_of(cert), key,
        "FOLDER/cert.pem: is in DER, not in PEM; openssl x509 -inform DER -in FOLDER/cert.pem converts it"},
       {"half a certificate", cert.substr(0, cert.size() / 2), key,
        "FOLDER/cert.pem: its certificate is cut short: there is no END line"},
       {"a damaged certificate", std::string(cert).replace(40, 2, "!!"), key,
        "FOLDER/cert.pem: its certificate is damaged, or of a kind that OpenSSL does not know"},
       {"a damaged chain", cert + std::string(others).replace(40, 2, "!!"), key,
        "FOLDER/cert.pem: certificate number 2 is damaged: bad base64 decode"},
       {"a chain that begins with the authority", others + cert, key,
        "FOLDER/cert.pem: the chain is in the wrong order: the certificate of the key is number 2 and must "
        "be the first"}});
}

void what_is_wrong_with_a_key_is_said_in_words(Fixture& f) {
  const unsigned bad = misunderstood_keys(f);
  assert_int_equal(bad, 0);
}

void what_is_wrong_with_a_certificate_is_said_in_words(Fixture& f) {
  const unsigned bad = misunderstood_certificates(f);
  assert_int_equal(bad, 0);
}

void a_truncated_pair_is_refused_at_every_length(Fixture& f) {
  static std::string good_key;
  good_key = key_pem(f.ec.get());
  const size_t end = good_key.find("-----END") + std::string_view("-----END PRIVATE KEY-----").size();
  for (size_t size = 0; size < end; size += 7) {
    f.write(f.key, good_key.substr(0, size));
    const int got = f.load();
    if (got == kOk || !f.names(f.key)) fail_msg("%zu bytes of a key: %d %s", size, got, f.detail.c_str());
  }
}

void settings_that_nobody_can_speak_are_named(Fixture& f) {
  f.ciphers = "NONSENSE";
  const int ciphers = f.load();
  const bool ciphers_told = f.says("tls-ciphers: ");
  f.ciphers = "ECDHE+AESGCM";
  f.ciphersuites = "TLS_NONSENSE";
  const int suites = f.load();
  const bool suites_told = f.says("tls-ciphersuites: ");
  f.ciphersuites = "TLS_AES_128_GCM_SHA256";
  const int good = f.load();
  assert_true(ciphers != kOk && ciphers_told);
  assert_true(suites != kOk && suites_told);
  assert_int_equal(good, kOk);
}

// What the nursery gets, and what a worker gets with its forwarding.
void another_process_can_put_it_together(Fixture& f) {
  f.load();
  const std::string chain = chain_text(f.tls);
  const base::Secret text = key_text(f.tls);
  f.tls = {};
  auto made = make_tls_context({chain, "1.2", f.ciphers, ""});
  const bool without_key = made && !made->key;
  bool fits = false;
  if (made)
    fits = set_key(*made, text) &&
           ::X509_check_private_key(SSL_CTX_get0_certificate(made->context.get()), made->key.get()) == 1;
  assert_true(without_key);
  assert_true(fits);
}

void wrong_parts_are_refused(Fixture& f) {
  f.load();
  const auto other = testing::make_ec_key();
  TlsServer stranger;
  stranger.key.reset(other.get());
  EVP_PKEY_up_ref(other.get());
  const bool other_key = static_cast<bool>(set_key(f.tls, key_text(stranger)));
  const bool no_key = static_cast<bool>(set_key(f.tls, base::Secret("no key")));
  TlsServer none;
  const bool no_context = static_cast<bool>(set_key(none, key_text(stranger)));
  const bool no_chain = static_cast<bool>(make_tls_context({"no certificate", "1.2", f.ciphers, ""}));
  assert_false(other_key);
  assert_false(no_key);
  assert_false(no_context);
  assert_false(no_chain);
}

void a_failure_leaves_nothing_behind(Fixture& f) {
  f.load();
  f.write(f.key, "garbage");
  f.load();
  const unsigned before = testing::count_descriptors();
  for (int i = 0; i < 20; ++i) f.load();
  ::chmod(f.key.c_str(), 0644);
  for (int i = 0; i < 20; ++i) f.load();
  const unsigned after = testing::count_descriptors();
  const unsigned long queued = ERR_peek_error();
  assert_int_equal(after, before);
  assert_int_equal(queued, 0);
}

}  // namespace
}  // namespace vncauthproxy::net

int main() {
  using namespace vncauthproxy::net;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_matching_pair_is_taken),
      TEST(Fixture, an_rsa_pair_is_taken),
      TEST(Fixture, a_chain_is_taken),
      TEST(Fixture, one_file_may_hold_both),
      TEST(Fixture, a_link_is_followed),
      TEST(Fixture, an_expired_certificate_is_taken),
      TEST(Fixture, the_mode_of_the_key_counts),
      TEST(Fixture, the_owner_of_the_key_counts),
      TEST(Fixture, a_daemon_without_root_may_have_a_key_of_its_own),
      TEST(Fixture, only_regular_files_are_read),
      TEST(Fixture, a_file_of_more_than_a_mebibyte_is_refused),
      TEST(Fixture, what_is_wrong_with_a_key_is_said_in_words),
      TEST(Fixture, what_is_wrong_with_a_certificate_is_said_in_words),
      TEST(Fixture, a_truncated_pair_is_refused_at_every_length),
      TEST(Fixture, settings_that_nobody_can_speak_are_named),
      TEST(Fixture, another_process_can_put_it_together),
      TEST(Fixture, wrong_parts_are_refused),
      TEST(Fixture, a_failure_leaves_nothing_behind),
  };
  return vncauthproxy::testing::run_group("tls", tests);
}
