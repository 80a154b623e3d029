// SPDX-License-Identifier: GPL-2.0-or-later
// What an operator is told about the certificate.
#include "master/certificate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/certificate.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using testing::CertificateSetup;

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_certificate.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    options = config::default_options();
    options.cert_file = folder + "/cert";
    options.key_file = folder + "/key";
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  // All that is found, a line each with its severity in front; FOLDER stands for the folder.
  const char* find(const CertificateSetup& setup, const std::string& proxy_address = "localhost") {
    std::ofstream(options.cert_file) << testing::certificate_pem(ec.get(), setup);
    std::ofstream(options.key_file) << testing::key_pem(ec.get());
    ::chmod(options.key_file.c_str(), 0600);
    return find_in_files(proxy_address);
  }
  const char* find_in_files(const std::string& proxy_address = "localhost") {
    auto loaded = load_certificates(options, ::geteuid());
    if (!loaded) return text.assign(loaded.error().detail).c_str();
    Findings findings;
    find_certificate_faults(*loaded, options, proxy_address, findings);
    find_expiry(*loaded, options, findings);
    described = describe(*loaded);
    text.clear();
    constexpr const char* kNames[] = {"fatal ", "error ", "warning ", "note "};
    for (const Finding& each : findings.all())
      text += kNames[static_cast<int>(each.severity)] + each.text + "\n";
    for (size_t at; (at = text.find(folder)) != text.npos;) text.replace(at, folder.size(), "FOLDER");
    return text.c_str();
  }
  bool says(const std::string& words) const { return text.find(words) != text.npos; }

  base::Handle<EVP_PKEY> ec = testing::make_ec_key();
  std::string folder, text, described;
  config::Options options;
};

constexpr long kDay = 86400;

void a_good_one_is_described_and_nothing_is_found(Fixture& f) {
  f.find({.alternatives = "DNS:console.example,DNS:b,DNS:c,DNS:d"}, "console.example");
  assert_string_equal(f.text.c_str(), "");
  const bool described = f.described.starts_with("certificate of console.example, b, c and 1 more until 20");
  assert_true(described);
}

void it_expires_soon_when_a_third_of_its_life_is_left(Fixture& f) {
  struct {
    long left, lived;
    bool soon;
  } const rows[] = {{29 * kDay, 61 * kDay, true},     {31 * kDay, 59 * kDay, false},
                    {3 * kDay, 3 * kDay, false},      {2 * kDay - 600, 4 * kDay + 600, true},
                    {100 * kDay, 265 * kDay, true},   {130 * kDay, 235 * kDay, false},
                    {1000 * kDay, 2650 * kDay, true}, {60, 30 * kDay, true}};
  for (const auto& row : rows) {
    f.find({.seconds_left = row.left + 60, .seconds_lived = row.lived - 60});
    const bool soon = f.says("warning the certificate in FOLDER/cert expires in " +
                             std::to_string(row.left / kDay) + " days, on 2");
    if (soon != row.soon) print_error("%ld of %ld: %s\n", row.left, row.left + row.lived, f.text.c_str());
    assert_int_equal(soon, row.soon);
    assert_int_equal(f.text.empty(), !row.soon);
  }
}

void one_that_is_not_valid_is_an_error(Fixture& f) {
  f.find({.seconds_left = -60, .seconds_lived = 1000});
  const bool expired = f.says("error the certificate in FOLDER/cert has expired, on 2");
  f.find({.seconds_left = 9000, .seconds_lived = -1000});
  const bool early = f.says("error the certificate in FOLDER/cert is not valid yet");
  assert_true(expired);
  assert_true(early);
}

void another_name_is_told(Fixture& f) {
  f.find({.alternatives = "DNS:a.example,IP:192.0.2.7"}, "b.example");
  assert_string_equal(
      f.text.c_str(),
      "warning the certificate in FOLDER/cert is for a.example, 192.0.2.7, but viewers are told "
      "to connect to b.example (proxy-address): browsers will refuse it\n");
  f.find({.alternatives = "DNS:a.example,IP:192.0.2.7"}, "192.0.2.7");
  assert_string_equal(f.text.c_str(), "");
}

const char* find_without_issuer(Fixture& f) {
  const auto root_key = testing::make_ec_key();
  const std::string root = testing::certificate_pem(root_key.get(), CertificateSetup{.name = "Test Root"});
  return f.find({.issuer_pem = root, .issuer_key = root_key.get()});
}

void a_missing_intermediate_is_told(Fixture& f) {
  find_without_issuer(f);
  assert_string_equal(f.text.c_str(),
                      "warning the certificate in FOLDER/cert comes without that of its issuer, Test Root: "
                      "append it to the file, or many clients will refuse both (certbot has them together in "
                      "fullchain.pem)\n");
}

void lists_that_match_nothing_are_told(Fixture& f) {
  f.options.tls_ciphers = "ECDHE+AESGCM:NONSENSE";
  f.find({});
  assert_string_equal(f.text.c_str(), "warning tls-ciphers: NONSENSE matches no cipher\n");
  f.options.tls_ciphers = "ECDHE+aRSA";
  f.find({});
  assert_string_equal(f.text.c_str(),
                      "warning tls-ciphers: no client can speak TLS 1.2 with these and this kind of key\n");
  f.options.tls_min_version = "1.3";
  f.find({});
  assert_string_equal(f.text.c_str(), "");
}

void a_named_file_that_is_missing_is_told(Fixture& f) {
  f.find_in_files();
  assert_string_equal(f.text.c_str(), "");  // nobody named it
  f.options.origins["cert-file"] = "x.conf:7: cert-file";
  f.find_in_files();
  assert_string_equal(f.text.c_str(),
                      "warning x.conf:7: cert-file: there is no file FOLDER/cert, so viewers of vnc-tls and "
                      "vnc-wss are refused\n");
  f.options.enable_ssl = true;
  f.find_in_files();
  const bool fatal = f.says("/cert: No such file or directory");
  assert_true(fatal);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_good_one_is_described_and_nothing_is_found),
      TEST(Fixture, it_expires_soon_when_a_third_of_its_life_is_left),
      TEST(Fixture, one_that_is_not_valid_is_an_error),
      TEST(Fixture, another_name_is_told),
      TEST(Fixture, a_missing_intermediate_is_told),
      TEST(Fixture, lists_that_match_nothing_are_told),
      TEST(Fixture, a_named_file_that_is_missing_is_told),
  };
  return vncauthproxy::testing::run_group("certificate", tests);
}
