// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/table.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "config/near_miss.h"
#include "folders.h"
#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/text_line.h"

namespace vncauthproxy::config {

using base::Error;
using base::ErrorCode;
using base::Network;
using base::Result;

namespace {

using Outcome = CommandLine::Outcome;

// ---- setters: each checks the text of a value and stores it in one member. A setter's error completes the
// sentence `"VALUE" ...`. The default of a row goes through the row's own setter. A repeatable option is a
// setter that appends to a vector, in a row without a default.

std::optional<unsigned long> number(const std::string& text) {
  unsigned long value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <bool Options::*member>
Result<void> yes_or_no(Options& options, const std::string& value) {
  if (value != "yes" && value != "no") return bad("is neither yes nor no");
  options.*member = value == "yes";
  return {};
}

template <std::string Options::*member>
Result<void> text(Options& options, const std::string& value) {
  options.*member = value;
  return {};
}

template <std::string Options::*member>
Result<void> some_text(Options& options, const std::string& value) {
  if (value.empty()) return bad("is empty");
  return text<member>(options, value);
}

Result<std::string> absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return bad("is not an absolute path, and the current folder is gone: " + error.message());
  return absolute.string();
}

template <std::string Options::*member>
Result<void> some_file(Options& options, const std::string& value) {
  if (value.empty()) return bad("is empty");
  Result<std::string> path = absolute(value);
  if (!path) return path.error();
  return text<member>(options, *path);
}

template <std::string Options::*member>
Result<void> file_or_none(Options& options, const std::string& value) {
  return value.empty() ? text<member>(options, value) : some_file<member>(options, value);
}

// A file, "" for syslog, "-" for stderr, or the socket of another system logger.
Result<void> log_target(Options& options, const std::string& value) {
  if (value == "-") return text<&Options::log>(options, value);
  if (!value.starts_with(base::kSyslogPrefix)) return file_or_none<&Options::log>(options, value);
  const std::string path = value.substr(base::kSyslogPrefix.size());
  if (path.empty()) return bad("names no path");
  Result<std::string> found = absolute(path);
  if (!found) return found.error();
  return text<&Options::log>(options, std::string(base::kSyslogPrefix) + *found);
}

Result<void> check_host_and_port(const std::string& value) {
  const Result<base::HostAndPort> parts = base::parse_host_and_port(value);
  if (!parts) return parts.error();
  return {};
}

template <std::string Options::*member>
Result<void> endpoint_or_none(Options& options, const std::string& value) {
  if (!value.empty())
    if (Result<void> checked = check_host_and_port(value); !checked) return checked;
  return text<member>(options, value);
}

// A host name or an address as others write it: the port is another one each time.
template <std::string Options::*member>
Result<void> host_or_none(Options& options, const std::string& value) {
  const bool is_address = base::parse_network(value) && value.find('/') == std::string::npos;
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; };
  if (std::any_of(value.begin(), value.end(), is_blank)) return bad("has a blank in it");
  if (!is_address && value.find_first_of("[]") != std::string::npos)
    return bad("has brackets, which an address without a port does not need");
  if (!is_address && value.find('/') != std::string::npos)
    return bad("is neither a host name nor an address");
  if (!is_address && value.find(':') != std::string::npos)
    return bad("has a port behind a colon: viewers are told the port of each forwarding");
  return text<member>(options, value);
}

// An empty one adds none.
Result<void> more_vncap(Options& options, const std::string& value) {
  std::string where = value;
  if (value.starts_with(kUnixPrefix)) {
    const std::string path = value.substr(kUnixPrefix.size());
    if (path.empty()) return bad("names no path");
    Result<std::string> found = absolute(path);
    if (!found) return found.error();
    where = std::string(kUnixPrefix) + *found;
  } else if (!value.empty()) {
    if (Result<void> checked = check_host_and_port(value); !checked) return checked;
  }
  if (!where.empty()) options.vncap_listen.push_back(where);
  return {};
}

// Separated by commas, with or without blanks. An empty one adds none.
Result<void> more_exempt(Options& options, const std::string& value) {
  for (size_t begin = 0; begin < value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    const std::string text(base::without_blanks(std::string_view(value).substr(begin, end - begin)));
    Result<Network> network = base::parse_network(text);
    if (!network) return bad("holds \"" + base::escape(text) + "\", which " + network.error().detail);
    options.exempt_networks.push_back(*network);
    begin = end + 1;
  }
  return {};
}

template <uint16_t Options::*member>
Result<void> port(Options& options, const std::string& value) {
  const std::optional<unsigned long> found = number(value);
  if (!found || *found < 1 || *found > 65535) return bad("is not a port number from 1 to 65535");
  options.*member = static_cast<uint16_t>(*found);
  return {};
}

// The control port may be named after /etc/services, as it always could; 0 lets the kernel choose.
Result<void> port_or_service(Options& options, const std::string& value) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto fits = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  const bool all_digits = std::all_of(value.begin(), value.end(), is_digit);
  const bool plausible = !value.empty() && value[0] != '-' && std::all_of(value.begin(), value.end(), fits);
  const std::optional<unsigned long> found = number(value);
  if (!plausible || (all_digits && (!found || *found > 65535)))
    return bad("is neither a port number from 0 to 65535 nor the name of a service");
  return text<&Options::listen_port>(options, value);
}

constexpr unsigned long kMostSpares = 1000;

Result<void> spares(Options& options, const std::string& value) {
  const std::optional<unsigned long> found = number(value);
  if (!found || *found > kMostSpares) return bad("is not a number from 0 to 1000");
  options.spare_workers = static_cast<unsigned>(*found);
  return {};
}

constexpr unsigned kMaxPending = 4096;  // each has 64 KiB of address space for its request

template <unsigned Options::*member, unsigned max = 1000>
Result<void> count(Options& options, const std::string& value) {
  const std::optional<unsigned long> found = number(value);
  if (!found || *found < 1 || *found > max) return bad("is not a number from 1 to " + std::to_string(max));
  options.*member = static_cast<unsigned>(*found);
  return {};
}

constexpr double kMaxSeconds = 1e6;  // eleven days; far below where milliseconds overflow anything

std::optional<std::chrono::milliseconds> decimal_seconds(const std::string& value) {
  // strtod() takes signs, exponents, "inf" and "0x1p3" too.
  if (value.empty() || value.find_first_not_of("0123456789.") != std::string::npos) return std::nullopt;
  char* stop = nullptr;
  const double seconds = std::strtod(value.c_str(), &stop);
  if (*stop != '\0' || seconds > kMaxSeconds) return std::nullopt;
  return base::to_milliseconds(seconds);
}

template <std::chrono::milliseconds Options::*member>
Result<void> pause(Options& options, const std::string& value) {
  const auto found = decimal_seconds(value);
  if (!found) return bad("is not a number of seconds from 0 to 1000000");
  options.*member = *found;
  return {};
}

template <std::chrono::milliseconds Options::*member>
Result<void> timeout(Options& options, const std::string& value) {
  const auto found = decimal_seconds(value);
  if (!found || found->count() == 0) return bad("is not a number of seconds above 0, up to 1000000");
  options.*member = *found;
  return {};
}

Result<void> tls_version(Options& options, const std::string& value) {
  if (value != "1.2" && value != "1.3") return bad("is neither 1.2 nor 1.3");
  return text<&Options::tls_min_version>(options, value);
}

// ---- the rows

constexpr const char* kSwitch = nullptr;
constexpr const char* kNone = nullptr;
constexpr bool kAnywhere = true;
constexpr bool kCommandLineOnly = false;

constexpr Row kRows[] = {
    {"config", 0, "FILE", SYSCONFDIR "/vncauthproxy/vncauthproxy.conf", kCommandLineOnly,
     some_text<&Options::config>, "Read further options from FILE. The default one may be missing."},
    {"check", 0, kSwitch, kNone, kCommandLineOnly, yes_or_no<&Options::check>,
     "Read everything the daemon would read, say what is wrong with it, and exit."},
    {"foreground", 'f', kSwitch, kNone, kCommandLineOnly, yes_or_no<&Options::foreground>,
     "Stay in the foreground instead of becoming a daemon."},
    {"help", 'h', kSwitch, kNone, kCommandLineOnly, nullptr, "Print this and exit.", Outcome::help},
    {"version", 0, kSwitch, kNone, kCommandLineOnly, nullptr, "Print the version and exit.",
     Outcome::version},

    {"debug", 'd', kSwitch, kNone, kAnywhere, yes_or_no<&Options::debug>,
     "Log the steps of each forwarding too."},
    {"log", 0, "FILE", kNone, kAnywhere, log_target,
     "Log to FILE, to stderr if it is -, or to the system logger's socket PATH if it is syslog:PATH. Without "
     "it the "
     "log goes to syslog at /dev/log."},
    {"pid-file", 0, "FILE", LOCALSTATEDIR "/run/vncauthproxy/vncauthproxy.pid", kAnywhere,
     file_or_none<&Options::pid_file>,
     "Hold FILE locked, with the process number in it. An empty name means none."},
    {"user", 0, "USER", "vncauthproxy", kAnywhere, some_text<&Options::user>,
     "Started as root, become USER once everything is read and bound."},
    {"group", 0, "GROUP", kNone, kAnywhere, text<&Options::group>,
     "Become GROUP with it. Without it, the user's own group."},

    {"listen-address", 0, "ADDRESS", "127.0.0.1", kAnywhere, some_text<&Options::listen_address>,
     "Wait for control clients at this address or host name; * is every address."},
    {"listen-port", 0, "PORT", "24999", kAnywhere, port_or_service, "Wait for control clients at this port."},
    {"enable-ssl", 0, kSwitch, kNone, kAnywhere, yes_or_no<&Options::enable_ssl>,
     "Speak TLS with control clients."},
    {"cert-file", 0, "FILE", LOCALSTATEDIR "/lib/vncauthproxy/cert.pem", kAnywhere,
     some_file<&Options::cert_file>, "The certificate for TLS, followed by its chain, in PEM."},
    {"key-file", 0, "FILE", LOCALSTATEDIR "/lib/vncauthproxy/key.pem", kAnywhere,
     some_file<&Options::key_file>, "The private key of the certificate, in PEM."},
    {"tls-min-version", 0, "VERSION", "1.2", kAnywhere, tls_version,
     "The oldest TLS that is spoken, 1.2 or 1.3, with control clients and viewers alike."},
    {"tls-ciphers", 0, "LIST", "ECDHE+AESGCM:ECDHE+CHACHA20", kAnywhere, some_text<&Options::tls_ciphers>,
     "What TLS 1.2 may use, as openssl-ciphers(1) spells it."},
    {"tls-ciphersuites", 0, "LIST", kNone, kAnywhere, text<&Options::tls_ciphersuites>,
     "What TLS 1.3 may use. Without it, all that OpenSSL offers."},
    {"auth-file", 0, "FILE", LOCALSTATEDIR "/lib/vncauthproxy/users", kAnywhere,
     some_file<&Options::auth_file>, "The users who may ask for forwardings; see vncauthproxy-passwd(1)."},
    {"control-tls-legacy", 0, kSwitch, kNone, kAnywhere, yes_or_no<&Options::control_tls_legacy>,
     "With control clients alone, speak TLS 1.0 and 1.1 too: broken ones, for old clients in a safe "
     "network."},

    {"control-socket", 0, "PATH", kNone, kAnywhere, file_or_none<&Options::control_socket>,
     "Wait for control clients at this UNIX socket too. Who may open it needs no login."},
    {"control-socket-group", 0, "GROUP", kNone, kAnywhere, text<&Options::control_socket_group>,
     "The group that may open UNIX sockets, this one and those of vncap-listen. Without it, the daemon's "
     "own."},
    {"vncap-listen", 0, "ENDPOINT", kNone, kAnywhere, more_vncap,
     "Wait for clients of Twisted VNC AuthProxy, such as Ganeti Web Manager, at ENDPOINT: ADDRESS:PORT or "
     "unix:PATH. They have no login. May be given several times."},
    {"vncap-insecure", 0, kSwitch, kNone, kAnywhere, yes_or_no<&Options::vncap_insecure>,
     "Let vncap-listen take addresses beyond the loopback, where everybody who reaches them may ask."},
    {"vncap-backend-timeout", 0, "SECONDS", "5", kAnywhere, timeout<&Options::vncap_backend_timeout>,
     "For these clients, how long reaching a VNC server may take, if that is less than server-timeout."},
    {"max-pending", 0, "N", "256", kAnywhere, count<&Options::max_pending, kMaxPending>,
     "Let N control clients wait for the end of their request and their login; further ones queue up."},
    {"max-pending-per-address", 0, "N", "16", kAnywhere,
     count<&Options::max_pending_per_address, kMaxPending>,
     "Let N of them come from one address; further ones are told to come again. Loopback addresses have no "
     "such limit."},
    {"exempt-network", 0, "NETWORK", kNone, kAnywhere, more_exempt,
     "Treat addresses in NETWORK, 192.0.2.0/24 say, like loopback ones: no limit per address, and no delay "
     "after wrong logins. For a balancer or tunnel that stands for many clients. Several may be given, "
     "separated by commas or with the option each time."},
    {"flash-policy-listen", 0, "ADDRESS:PORT", kNone, kAnywhere,
     endpoint_or_none<&Options::flash_policy_listen>,
     "Tell Flash players there that they may connect to the ports for viewers; they ask port 843 first."},

    {"proxy-listen-address", 0, "ADDRESS", "*", kAnywhere, some_text<&Options::proxy_listen_address>,
     "Wait for viewers at this address or host name; * is every address."},
    {"proxy-address", 0, "NAME", kNone, kAnywhere, host_or_none<&Options::proxy_address>,
     "Tell control clients that viewers shall connect to NAME. Without it, the address that viewers are "
     "awaited at, or this host's full name."},
    {"min-port", 'p', "PORT", "25000", kAnywhere, port<&Options::min_port>, "The lowest port for viewers."},
    {"max-port", 'P', "PORT", "30000", kAnywhere, port<&Options::max_port>, "The highest port for viewers."},

    {"server-timeout", 0, "SECONDS", "30", kAnywhere, timeout<&Options::server_timeout>,
     "How long reaching a VNC server may take, from its name to the end of its handshake, retries included."},
    {"connect-retries", 0, "N", "3", kAnywhere, count<&Options::connect_retries>,
     "Number of rounds over all addresses of the VNC server."},
    {"retry-wait", 0, "SECONDS", "0.1", kAnywhere, pause<&Options::retry_wait>,
     "How long to wait between two such rounds."},
    {"connect-timeout", 0, "SECONDS", "30", kAnywhere, timeout<&Options::connect_timeout>,
     "How long a forwarding waits for its viewer to connect."},
    {"auth-timeout", 0, "SECONDS", "60", kAnywhere, timeout<&Options::auth_timeout>,
     "How long a connected viewer has to authenticate: people type passwords."},
    {"auth-attempts", 0, "N", "3", kAnywhere, count<&Options::auth_attempts>,
     "How many wrong passwords end a forwarding."},
    {"spare-workers", 0, "N", "4", kAnywhere, spares,
     "Keep N worker processes ready for coming requests. With 0 each is forked when its request is there."},
    {"viewers-per-address", 0, "N", "8", kAnywhere, count<&Options::viewers_per_address>,
     "How many viewers of one address may be on their way in to a forwarding; 64 may be in all."},

    {"web", 0, "DIR", kNone, kAnywhere, file_or_none<&Options::web>,
     "Serve the files below DIR to browsers on the one-time ports of vnc-ws and vnc-wss: noVNC, say, that "
     "Debian "
     "installs in /usr/share/novnc. Without it, no pages."},
    {"ws-ping-interval", 0, "SECONDS", "15", kAnywhere, pause<&Options::ws_ping_interval>,
     "Ask a quiet viewer behind a WebSocket for a sign of life that often. 0 is never."},
    {"ws-timeout", 0, "SECONDS", "120", kAnywhere, pause<&Options::ws_timeout>,
     "End the session of such a viewer when nothing comes from it for so long after it was asked. 0 is "
     "never."},
};

constexpr OldSpelling kOldSpellings[] = {{'s', "socket", "control-socket"},
                                         {'l', nullptr, "log"},
                                         {'t', nullptr, "connect-timeout"},
                                         {'r', nullptr, "connect-retries"},
                                         {'w', nullptr, "retry-wait"}};

// The long options of snf-vncauthproxy 1.7. Beginnings that named one of them still do, also where options
// that came later begin alike.
constexpr const char* kOldDaemons[] = {"help",
                                       "debug",
                                       "log",
                                       "pid-file",
                                       "listen-address",
                                       "listen-port",
                                       "server-timeout",
                                       "connect-retries",
                                       "retry-wait",
                                       "connect-timeout",
                                       "min-port",
                                       "max-port",
                                       "enable-ssl",
                                       "cert-file",
                                       "key-file",
                                       "auth-file",
                                       "proxy-listen-address"};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

std::span<const OldSpelling> old_spellings() {
  return kOldSpellings;
}

const OldSpelling* old_spelling(int letter) {
  const auto found = std::find_if(std::begin(kOldSpellings), std::end(kOldSpellings),
                                  [&](const OldSpelling& old) { return old.letter == letter; });
  return found == std::end(kOldSpellings) ? nullptr : &*found;
}

std::string to_string(const OldSpelling& old) {
  return std::string("-") + old.letter + (old.name == nullptr ? "" : std::string(", --") + old.name);
}

std::string_view old_daemons_option(std::string_view beginning) {
  std::string_view found;
  for (const std::string_view name : kOldDaemons) {
    if (!name.starts_with(beginning)) continue;
    if (!found.empty()) return {};
    found = name;
  }
  return found;
}

const Row* row_named(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& row) { return row.name == name; });
  return found == std::end(kRows) ? nullptr : &*found;
}

std::string meant_option(std::string_view word, bool (*may_be)(const Row&)) {
  for (const OldSpelling& old : kOldSpellings)
    if (old.name != nullptr && word == old.name) return old.row;
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    if (word.size() == 1 && row.short_name == word[0] && may_be(row)) return row.name;
    if (may_be(row)) names.emplace_back(row.name);
  }
  return near_miss(word, names);
}

Result<void> apply(const Row& row, const std::string& value, Options& options) {
  Result<void> set = row.set(options, value);
  if (set) return {};
  return bad(row.name + (": " + quoted(value)) + " " + set.error().detail);
}

bool is_repeatable(const Row& row) {
  return row.set == more_vncap || row.set == more_exempt;
}

void note_origin(const Row& row, const std::string& where, Options& options) {
  options.origins[row.name] = where;
  if (row.set == more_vncap && !options.vncap_listen.empty())
    options.origins[row.name + (" " + options.vncap_listen.back())] = where;
}

Error bad(std::string what) {
  return {ErrorCode::invalid, std::move(what)};
}

std::string quoted(const std::string& value) {
  return '"' + base::escape(value) + '"';
}

}  // namespace vncauthproxy::config
