// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/certificate.h"

#include <unistd.h>

#include <utility>

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::master {
namespace {

using base::Options;
using base::Result;

constexpr long kWarningDays = 30;

// Null: there is none, and control clients are not promised any.
Result<net::TlsServer> load_certificate(const Options& options, uid_t owner) {
  const bool missing =
      ::access(options.cert_file.c_str(), F_OK) != 0 && ::access(options.key_file.c_str(), F_OK) != 0;
  if (missing && !options.enable_ssl) return net::TlsServer();
  return net::load_tls_server({owner, options.cert_file, options.key_file, options.tls_min_version,
                               options.tls_ciphers, options.tls_ciphersuites});
}

// For control clients alone, and only if the operator says so. None: they get what viewers get.
Result<net::TlsServer> load_legacy_certificate(const Options& options, uid_t owner) {
  if (!options.control_tls_legacy) return net::TlsServer();
  return net::load_tls_server({owner, options.cert_file, options.key_file, net::kLegacyTls,
                               options.tls_ciphers, options.tls_ciphersuites});
}

}  // namespace

Result<Certificates> load_certificates(const Options& options, uid_t owner) {
  auto viewers = load_certificate(options, owner);
  if (!viewers) return std::move(viewers.error());
  auto legacy = load_legacy_certificate(options, owner);
  if (!legacy) return std::move(legacy.error());
  return Certificates{std::move(*viewers), std::move(*legacy)};
}

void warn_of_expiry(const net::TlsServer& tls, const Options& options) {
  if (!tls) return;
  const std::chrono::seconds life = net::certificate_life(tls);
  const auto days = std::chrono::duration_cast<std::chrono::hours>(life).count() / 24;
  if (life.count() <= 0)
    base::log_error("the certificate in %s has expired", options.cert_file.c_str());
  else if (days < kWarningDays)
    base::log_warning("the certificate in %s expires in %ld days", options.cert_file.c_str(),
                      static_cast<long>(days));
}

}  // namespace vncauthproxy::master
