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
  assert_null(f.tls.key.get());
  unlock(f.tls);
  assert_non_null(f.tls.key.get());
  const long left = static_cast<long>(certificate_life(f.tls).count());
  assert_in_range(left, 86400L * 30 - 120, 86400L * 30);
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

void an_expired_certificate_is_taken_and_told(Fixture& f) {
  f.write(f.cert, certificate_pem(f.ec.get(), -3600));
  assert_int_equal(f.load(), kOk);
  const long left = static_cast<long>(certificate_life(f.tls).count());
  assert_true(left <= -3600 && left > -3720);
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

void only_a_regular_file_is_a_key(Fixture& f) {
  f.key = f.folder;
  const int folder = f.load();
  const bool folder_told = f.says("not a regular file") && f.names(f.key);
  f.key = "/dev/null";
  const int device = f.load();
  const bool device_told = f.says("not a regular file");
  f.key = f.folder + "/fifo";
  const int made = ::mkfifo(f.key.c_str(), 0600);
  const int fifo = f.load();  // and returns at once
  const bool fifo_told = f.says("not a regular file") && f.names(f.key);
  assert_int_equal(folder, ErrorCode::denied);
  assert_true(folder_told);
  assert_int_equal(device, ErrorCode::denied);
  assert_true(device_told);
  assert_int_equal(made, 0);
  assert_int_equal(fifo, ErrorCode::denied);
  assert_true(fifo_told);
}

// ---- contents

void what_is_wrong_is_said_with_the_file(Fixture& f) {
  static std::string other_key, rsa_key, locked_key, good_key, good_cert;
  good_key = key_pem(f.ec.get());
  good_cert = certificate_pem(f.ec.get());
  {
    const auto other = testing::make_ec_key();
    const auto rsa = testing::make_rsa_key();
    other_key = key_pem(other.get());
    rsa_key = key_pem(rsa.get());
    locked_key = key_pem(f.ec.get(), "passphrase");
  }
  static const std::string none = "\x01", empty, garbage = "not a PEM file\n";
  const struct {
    const char* name;
    const std::string& cert;
    const std::string& key;
    const char* culprit;
    const char* words;
  } rows[] = {
      {"no key", good_cert, none, "/key.pem", "No such file or directory"},
      {"an empty key", good_cert, empty, "/key.pem", ": "},
      {"garbage for a key", good_cert, garbage, "/key.pem", ": "},
      {"a certificate for a key", good_cert, good_cert, "/key.pem", ": "},
      {"the key of another certificate", good_cert, other_key, "/key.pem", "does not fit"},
      {"a key of another kind", good_cert, rsa_key, "/key.pem", "does not fit"},
      {"a key with a passphrase", good_cert, locked_key, "/key.pem", "passphrase"},
      {"no certificate", none, good_key, "/cert.pem", "No such file or directory"},
      {"an empty certificate", empty, good_key, "/cert.pem", ": "},
      {"garbage for a certificate", garbage, good_key, "/cert.pem", ": "},
      {"a key for a certificate", good_key, good_key, "/cert.pem", ": "},
  };
  for (const auto& row : rows) {
    for (const bool first : {true, false}) {
      const std::string& path = first ? f.cert : f.key;
      const std::string& text = first ? row.cert : row.key;
      ::unlink(path.c_str());
      if (text != none) f.write(path, text);
    }
    const int got = f.load();
    const bool leaks = f.says("BEGIN") || f.says("not a PEM");
    const bool one_line = f.detail.find('\n') == f.detail.npos;
    if (got == kOk || !f.says(row.culprit) || !f.says(row.words) || leaks || !one_line)
      fail_msg("%s: %d: %s", row.name, got, f.detail.c_str());
  }
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

void what_is_shared_outlives_its_first_owner(Fixture& f) {
  f.load();
  int fits = 0;
  {
    TlsServer other = share(f.tls);
    f.tls = {};
    assert_null(other.key.get());
    unlock(other);
    fits = ::X509_check_private_key(SSL_CTX_get0_certificate(other.context.get()), other.key.get());
  }
  assert_int_equal(fits, 1);
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
      TEST(Fixture, an_expired_certificate_is_taken_and_told),
      TEST(Fixture, the_mode_of_the_key_counts),
      TEST(Fixture, the_owner_of_the_key_counts),
      TEST(Fixture, a_daemon_without_root_may_have_a_key_of_its_own),
      TEST(Fixture, only_a_regular_file_is_a_key),
      TEST(Fixture, what_is_wrong_is_said_with_the_file),
      TEST(Fixture, a_truncated_pair_is_refused_at_every_length),
      TEST(Fixture, settings_that_nobody_can_speak_are_named),
      TEST(Fixture, what_is_shared_outlives_its_first_owner),
      TEST(Fixture, a_failure_leaves_nothing_behind),
  };
  return vncauthproxy::testing::run_group("tls", tests);
}
