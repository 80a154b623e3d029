// SPDX-License-Identifier: GPL-2.0-or-later
// What a certificate says of itself, and which clients get along with it and with the lists of ciphers.
#include "vncauthproxy/net/certificate_facts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/certificate.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::net {
namespace {

using testing::certificate_pem;
using testing::CertificateSetup;

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_facts.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  bool load(const std::string& certificates, const base::Handle<EVP_PKEY>& key) {
    std::ofstream(folder + "/cert") << certificates;
    std::ofstream(folder + "/key") << testing::key_pem(key.get());
    ::chmod((folder + "/key").c_str(), 0600);
    auto loaded =
        load_tls_server({::geteuid(), folder + "/cert", folder + "/key", "1.2", ciphers, ciphersuites});
    tls = loaded ? std::move(*loaded) : TlsServer();
    return static_cast<bool>(tls);
  }
  bool load(const CertificateSetup& setup) { return load(certificate_pem(ec.get(), setup), ec); }

  base::Handle<EVP_PKEY> ec = testing::make_ec_key();
  std::string folder, text;
  std::string ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20", ciphersuites;
  TlsServer tls;
};

std::string names_of(const TlsServer& tls) {
  std::string all;
  for (const std::string& name : facts_of(tls).names) all += name + " ";
  return all;
}

void names_are_those_that_clients_look_at(Fixture& f) {
  struct {
    const char *name, *alternatives, *names;
  } const rows[] = {{"proxy.example", "", "proxy.example "},
                    {"proxy.example", "DNS:a.example,DNS:*.b.example", "a.example *.b.example "},
                    {"proxy.example", "IP:192.0.2.7,IP:2001:db8::7", "192.0.2.7 2001:db8::7 "},
                    {"bad\x1bname", "", "bad\\x1bname "}};
  for (const auto& row : rows) {
    const bool loaded = f.load(CertificateSetup{.name = row.name, .alternatives = row.alternatives});
    assert_true(loaded);
    f.text = names_of(f.tls);
    assert_string_equal(f.text.c_str(), row.names);
  }
}

void it_is_for_some_hosts(Fixture& f) {
  const bool loaded = f.load(CertificateSetup{
      .name = "cn.example", .alternatives = "DNS:a.example,DNS:*.b.example,IP:192.0.2.7,IP:2001:db8::7"});
  assert_true(loaded);
  struct {
    const char* host;
    bool fits;
  } const rows[] = {{"a.example", true},   {"A.Example", true},         {"x.b.example", true},
                    {"b.example", false},  {"192.0.2.7", true},         {"192.0.2.8", false},
                    {"2001:db8::7", true}, {"2001:db8:0:0::0:7", true}, {"2001:db8::8", false},
                    {"", false},           {"cn.example", false}};
  for (const auto& row : rows) {
    const bool fits = is_for_host(f.tls, row.host);
    if (fits != row.fits) print_error("%s\n", row.host);
    assert_int_equal(fits, row.fits);
  }
}

void its_time_is_told(Fixture& f) {
  const bool loaded = f.load(CertificateSetup{.seconds_left = 1000, .seconds_lived = 2000});
  assert_true(loaded);
  const long life = static_cast<long>(facts_of(f.tls).life.count());
  const long left = static_cast<long>(facts_of(f.tls).left.count());
  const long ahead = static_cast<long>(facts_of(f.tls).ahead.count());
  assert_int_equal(life, 3000);
  assert_in_range(left, 900, 1000);
  assert_int_equal(ahead, 0);
  const bool future = f.load(CertificateSetup{.seconds_left = 5000, .seconds_lived = -3000});
  assert_true(future);
  const long until = static_cast<long>(facts_of(f.tls).ahead.count());
  assert_in_range(until, 2900, 3000);
  const bool past = f.load(CertificateSetup{.seconds_left = -5000, .seconds_lived = 9000});
  assert_true(past);
  const long gone = static_cast<long>(facts_of(f.tls).left.count());
  assert_in_range(-gone, 5000, 5100);
  f.text = facts_of(f.tls).last_day;
  assert_int_equal(f.text.size(), 10);
}

// How many of four files are misjudged.
unsigned misjudged_chains(Fixture& f) {
  const auto root_key = testing::make_ec_key(), middle_key = testing::make_ec_key();
  const std::string root = certificate_pem(root_key.get(), CertificateSetup{.name = "Test Root"});
  const std::string middle = certificate_pem(
      middle_key.get(),
      CertificateSetup{.name = "Test Intermediate", .issuer_pem = root, .issuer_key = root_key.get()});
  const std::string leaf =
      certificate_pem(f.ec.get(), CertificateSetup{.issuer_pem = middle, .issuer_key = middle_key.get()});
  const std::string itself = certificate_pem(f.ec.get());
  const struct {
    std::string certificates;
    bool lacks;
  } rows[] = {{itself, false}, {leaf, true}, {leaf + middle, false}, {leaf + root, true}};
  unsigned bad = 0;
  for (const auto& row : rows)
    if (!f.load(row.certificates, f.ec) || facts_of(f.tls).lacks_issuer != row.lacks) ++bad;
  f.load(leaf, f.ec);
  f.text = facts_of(f.tls).issuer;
  return bad;
}

void a_missing_intermediate_is_seen(Fixture& f) {
  const unsigned bad = misjudged_chains(f);
  assert_int_equal(bad, 0);
  assert_string_equal(f.text.c_str(), "Test Intermediate");
}

void a_version_that_nobody_can_speak_is_found(Fixture& f) {
  struct {
    const char *ciphers, *suites;
    bool speaks_12, speaks_13;
  } const rows[] = {{"ECDHE+AESGCM", "", true, true},
                    {"ECDHE-RSA-AES128-GCM-SHA256", "", false, true},  // but the key is no RSA key
                    {"ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256", true, true},
                    {"AES128-SHA", "", false, true}};
  for (const auto& row : rows) {
    f.ciphers = row.ciphers;
    f.ciphersuites = row.suites;
    const bool loaded = f.load(CertificateSetup{});
    assert_true(loaded);
    assert_int_equal(can_speak(f.tls, TLS1_2_VERSION), row.speaks_12);
    assert_int_equal(can_speak(f.tls, TLS1_3_VERSION), row.speaks_13);
  }
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += name + " ";
  return all;
}

void elements_that_match_nothing_are_found(Fixture& f) {
  struct {
    const char *list, *unknown;
  } const rows[] = {{"ECDHE+AESGCM:ECDHE+CHACHA20", ""},
                    {"ECDHE+AESGCM:ECDHE+CHACHA21", "ECDHE+CHACHA21 "},
                    {"HIGH:!aNULL:!RC4:!EXPORT:@STRENGTH:-MD5:+AES", ""},
                    {"NONSENSE,ECDHE MORE", "NONSENSE MORE "},
                    {"ECDHE:\x1b[", "\\x1b[ "},
                    {"aNULL", ""}};
  for (const auto& row : rows) {
    f.text = joined(unknown_ciphers(row.list));
    assert_string_equal(f.text.c_str(), row.unknown);
  }
  f.text = joined(unknown_ciphersuites("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA38"));
  assert_string_equal(f.text.c_str(), "TLS_AES_256_GCM_SHA38 ");
  f.text = joined(unknown_ciphersuites(""));
  assert_string_equal(f.text.c_str(), "");
}

}  // namespace
}  // namespace vncauthproxy::net

int main() {
  using namespace vncauthproxy::net;
  const CMUnitTest tests[] = {
      TEST(Fixture, names_are_those_that_clients_look_at),
      TEST(Fixture, it_is_for_some_hosts),
      TEST(Fixture, its_time_is_told),
      TEST(Fixture, a_missing_intermediate_is_seen),
      TEST(Fixture, a_version_that_nobody_can_speak_is_found),
      TEST(Fixture, elements_that_match_nothing_are_found),
  };
  return vncauthproxy::testing::run_group("certificate_facts", tests);
}
