// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/certificate.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/certificate_facts.h"

namespace vncauthproxy::master {
namespace {

using base::Result;
using config::Options;

bool is_missing(const Options& options) {
  return ::access(options.cert_file.c_str(), F_OK) != 0 && ::access(options.key_file.c_str(), F_OK) != 0;
}

// Null: there is none, and control clients are not promised any.
Result<net::TlsServer> load_certificate(const Options& options, uid_t owner) {
  if (is_missing(options) && !options.enable_ssl) return net::TlsServer();
  return net::load_tls_server({owner, options.cert_file, options.key_file, options.tls_min_version,
                               options.tls_ciphers, options.tls_ciphersuites});
}

// For control clients alone, and only if the operator says so. None: they get what viewers get.
Result<net::TlsServer> load_legacy_certificate(const Options& options, uid_t owner) {
  if (!options.control_tls_legacy) return net::TlsServer();
  return net::load_tls_server({owner, options.cert_file, options.key_file, net::kLegacyTls,
                               options.tls_ciphers, options.tls_ciphersuites});
}

std::string joined(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMost; ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? text + " and " + std::to_string(names.size() - kMost) + " more" : text;
}

std::string in_file(const Options& options) {
  return "the certificate in " + base::escape(options.cert_file);
}

void find_cipher_faults(const net::TlsServer& tls, const Options& options, Findings& findings) {
  const auto add = [&](const char* option, const std::string& text) {
    findings.add(Severity::warning, options.where(option) + ": " + text);
  };
  for (const std::string& name : net::unknown_ciphers(options.tls_ciphers))
    add("tls-ciphers", name + " matches no cipher");
  for (const std::string& name : net::unknown_ciphersuites(options.tls_ciphersuites))
    add("tls-ciphersuites", name + " is no cipher suite");
  if (!tls) return;
  if (options.tls_min_version == "1.2" && !net::can_speak(tls, TLS1_2_VERSION))
    add("tls-ciphers", "no client can speak TLS 1.2 with these and this kind of key");
  if (!net::can_speak(tls, TLS1_3_VERSION)) add("tls-ciphersuites", "no client can speak TLS 1.3 with these");
}

}  // namespace

Result<Certificates> load_certificates(const Options& options, uid_t owner) {
  auto viewers = load_certificate(options, owner);
  if (!viewers) return viewers.error();
  auto legacy = load_legacy_certificate(options, owner);
  if (!legacy) return legacy.error();
  return Certificates{std::move(*viewers), std::move(*legacy)};
}

std::string describe(const Certificates& certificates) {
  if (!certificates.viewers) return "";
  const net::CertificateFacts facts = net::facts_of(certificates.viewers);
  return "certificate of " + joined(facts.names) + " until " + facts.last_day;
}

// Whoever renews does so before two thirds of its life are over, be that years or a week.
void find_expiry(const Certificates& certificates, const Options& options, Findings& findings) {
  if (!certificates.viewers) return;
  const net::CertificateFacts facts = net::facts_of(certificates.viewers);
  const auto days = std::chrono::duration_cast<std::chrono::hours>(facts.left).count() / 24;
  if (facts.left.count() <= 0)
    findings.add(Severity::error, in_file(options) + " has expired, on " + facts.last_day);
  else if (facts.left < facts.life / 3)
    findings.add(Severity::warning, in_file(options) + " expires in " + std::to_string(days) + " days, on " +
                                        facts.last_day + ": less than a third of its life is left");
  if (facts.ahead.count() > 0)
    findings.add(Severity::error,
                 in_file(options) + " is not valid yet: its time or this machine's clock is wrong");
}

void find_certificate_faults(const Certificates& certificates, const Options& options,
                             const std::string& proxy_address, Findings& findings) {
  const net::TlsServer& tls = certificates.viewers;
  find_cipher_faults(tls, options, findings);
  if (!tls) {
    if (options.origins.count("cert-file") != 0)
      findings.add(Severity::warning, options.where("cert-file") + ": there is no file " +
                                          base::escape(options.cert_file) +
                                          ", so viewers of vnc-tls and vnc-wss are refused");
    return;
  }
  const net::CertificateFacts facts = net::facts_of(tls);
  if (facts.lacks_issuer)
    findings.add(Severity::warning, in_file(options) + " comes without that of its issuer, " + facts.issuer +
                                        ": append it to the file, or many clients will refuse both "
                                        "(certbot has them together in fullchain.pem)");
  if (!net::is_for_host(tls, proxy_address))
    findings.add(Severity::warning, in_file(options) + " is for " + joined(facts.names) +
                                        ", but viewers are told to connect to " +
                                        base::escape(proxy_address) +
                                        " (proxy-address): browsers will refuse it");
}

}  // namespace vncauthproxy::master
