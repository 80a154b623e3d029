// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/config/options.h"

#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/config_lines.h"
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

using Setter = Result<void> (*)(Options&, const std::string&);

Error bad(std::string what) {
  return {ErrorCode::invalid, std::move(what)};
}

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

// ---- the table

struct Row {
  const char* name;
  char short_name;            // 0: none
  const char* argument;       // nullptr: a switch
  const char* default_value;  // nullptr: none
  bool in_config;
  Setter set;
  const char* help;
  Outcome outcome = Outcome::run;  // of its mere presence
};

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

// What snf-vncauthproxy 1.4 took and still stands in files of /etc/default. They mean a row of the table, and
// the log says so.
struct OldSpelling {
  char letter;
  const char* name;  // nullptr: it was the row's
  const char* row;
};
constexpr OldSpelling kOldSpellings[] = {{'s', "socket", "control-socket"},
                                         {'l', nullptr, "log"},
                                         {'t', nullptr, "connect-timeout"},
                                         {'r', nullptr, "connect-retries"},
                                         {'w', nullptr, "retry-wait"}};

const OldSpelling* old_spelling(int letter) {
  const auto found = std::find_if(std::begin(kOldSpellings), std::end(kOldSpellings),
                                  [&](const OldSpelling& old) { return old.letter == letter; });
  return found == std::end(kOldSpellings) ? nullptr : &*found;
}

std::string to_string(const OldSpelling& old) {
  return std::string("-") + old.letter + (old.name == nullptr ? "" : std::string(", --") + old.name);
}

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

// Empty: a beginning of none, or of several.
std::string_view old_daemons_option(std::string_view beginning) {
  std::string_view found;
  for (const std::string_view name : kOldDaemons) {
    if (!name.starts_with(beginning)) continue;
    if (!found.empty()) return {};
    found = name;
  }
  return found;
}

constexpr int kLongBase = 256;  // what getopt_long() returns for row i is kLongBase + i

const Row* row_named(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& row) { return row.name == name; });
  return found == std::end(kRows) ? nullptr : &*found;
}

const Row* row_of_code(int code) {
  if (code >= kLongBase && code < kLongBase + static_cast<int>(std::size(kRows)))
    return &kRows[code - kLongBase];
  if (code <= 0) return nullptr;
  if (const OldSpelling* const old = old_spelling(code)) return row_named(old->row);
  const auto found = std::find_if(std::begin(kRows), std::end(kRows),
                                  [&](const Row& row) { return row.short_name == code; });
  return found == std::end(kRows) ? nullptr : &*found;
}

std::string quoted(const std::string& value) {
  return '"' + base::escape(value) + '"';
}

Result<void> apply(const Row& row, const std::string& value, Options& options) {
  Result<void> set = row.set(options, value);
  if (set) return {};
  return bad(row.name + (": " + quoted(value)) + " " + set.error().detail);
}

// A row that adds to a list.
bool is_repeatable(const Row& row) {
  return row.set == more_vncap || row.set == more_exempt;
}

// `where` completed with what was wrong is a sentence for the operator. Each value of a list has an origin of
// its own, "vncap-listen VALUE".
void note_origin(const Row& row, const std::string& where, Options& options) {
  options.origins[row.name] = where;
  if (row.set == more_vncap && !options.vncap_listen.empty())
    options.origins[row.name + (" " + options.vncap_listen.back())] = where;
}

// The name of the option that was meant, of those that `may_be`; empty: no such.
template <typename May>
std::string meant_option(std::string_view word, May may_be) {
  for (const OldSpelling& old : kOldSpellings)
    if (old.name != nullptr && word == old.name) return old.row;
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    if (word.size() == 1 && row.short_name == word[0] && may_be(row)) return row.name;
    if (may_be(row)) names.emplace_back(row.name);
  }
  return near_miss(word, names);
}

// ---- the command line

struct Setting {
  const Row* row;
  std::string value;
};
struct Arguments {
  Outcome outcome = Outcome::run;
  std::string message;
  std::vector<Setting> settings;
  std::vector<std::string> old_spellings;
  Options options = default_options();  // with the settings applied
};

std::string suggestion(std::string_view argument) {
  const std::string meant = meant_option(argument, [](const Row&) { return true; });
  return meant.empty() ? "" : "; did you mean --" + meant + "?";
}

// getopt_long() does not tell an ambiguous beginning from an unknown one.
std::string unknown_long_option(std::string_view argument) {
  const std::string_view name = argument.substr(0, argument.find('='));
  std::string candidates;
  for (const Row& row : kRows)
    if (name.size() > 2 && std::string_view(row.name).starts_with(name.substr(2)))
      candidates += (candidates.empty() ? ": --" : ", --") + std::string(row.name);
  if (!candidates.empty()) return base::escape(name) + " is ambiguous" + candidates;
  return "there is no option " + base::escape(name) + suggestion(name);
}

std::string option_trouble(int answer, int code, const char* argument) {
  const Row* const row = row_of_code(code);
  if (answer == ':' && row != nullptr) return "--" + std::string(row->name) + " needs a value";
  if (code == 0) return unknown_long_option(argument);
  if (row != nullptr) return "--" + std::string(row->name) + " takes no value";
  const char letter = static_cast<char>(code);
  return "there is no option -" + base::escape({&letter, 1});
}

// -min-port is read as letters, of which -m is none. getopt_long() is still in the midst of them then.
std::string meant_by_letters(const char* argument) {
  const std::string_view whole = argument == nullptr ? "" : argument;
  const bool is_word = whole.size() > 3 && whole[0] == '-' && whole[1] != '-';
  return is_word ? suggestion(whole) : "";
}

// What getopt_long() wants to know of the table.
struct GetoptTable {
  std::string letters = ":";  // a missing value is told from an unknown option
  std::vector<option> names;
  std::deque<std::string> beginnings;  // that are names of the table too

  // An old name counts only in full, so `args` are looked through for it: beginnings are those of today's.
  explicit GetoptTable(const std::vector<char*>& args) {
    for (const Row& row : kRows) {
      const bool has_value = row.argument != nullptr;
      const int code = kLongBase + static_cast<int>(names.size());
      names.push_back({row.name, has_value ? required_argument : no_argument, nullptr, code});
      if (row.short_name == 0) continue;
      letters += row.short_name;
      if (has_value) letters += ':';
    }
    for (const OldSpelling& old : kOldSpellings) {
      letters.append({old.letter, ':'});
      if (old.name != nullptr && is_in(args, old.name))
        names.push_back({old.name, required_argument, nullptr, old.letter});
    }
    for (const std::string_view arg : args)
      if (arg.starts_with("--")) add_beginning(std::string(arg.substr(2, arg.find('=') - 2)));
    names.push_back({});
  }

 private:
  // A name that fits in full is not ambiguous to getopt_long().
  void add_beginning(const std::string& beginning) {
    const Row* const row = row_named(old_daemons_option(beginning));
    if (row == nullptr || row_named(beginning) != nullptr) return;
    option whole = names[static_cast<size_t>(row - kRows)];
    whole.name = beginnings.emplace_back(beginning).c_str();
    names.push_back(whole);
  }

  static bool is_in(const std::vector<char*>& args, const std::string& name) {
    return std::any_of(args.begin(), args.end(), [option = "--" + name](const std::string_view arg) {
      return arg == option || arg.starts_with(option + "=");
    });
  }
};

Arguments ended(Arguments arguments, Outcome outcome, std::string message = "") {
  arguments.outcome = outcome;
  arguments.message = std::move(message);
  return arguments;
}

Arguments read_arguments(int argc, char* const argv[]) {
  Arguments arguments;
  std::vector<char*> args(argv, argv + argc);  // getopt moves stray arguments to the end: not in the original
  const GetoptTable table(args);
  args.push_back(nullptr);
  ::opterr = 0;
  ::optind = 0;  // begin anew, whatever was parsed before
  for (;;) {
    const int code = ::getopt_long(argc, args.data(), table.letters.c_str(), table.names.data(), nullptr);
    if (code == -1) break;
    const Row* const row = row_of_code(code);
    if (code == '?' || code == ':' || row == nullptr) {
      const auto next = static_cast<size_t>(::optind);
      std::string trouble = option_trouble(code, ::optopt, args[next - 1]);
      if (code == '?' && ::optopt != 0 && row_of_code(::optopt) == nullptr)
        trouble += meant_by_letters(args[next]);
      return ended(std::move(arguments), Outcome::usage_error, std::move(trouble));
    }
    if (row->outcome != Outcome::run) return ended(std::move(arguments), row->outcome);
    arguments.settings.push_back({row, row->argument == nullptr ? "yes" : ::optarg});
    if (Result<void> set = apply(*row, arguments.settings.back().value, arguments.options); !set)
      return ended(std::move(arguments), Outcome::usage_error, "--" + set.error().detail);
    if (const OldSpelling* const old = old_spelling(code))
      arguments.old_spellings.push_back(to_string(*old) + " is an old spelling: say --" + old->row);
  }
  if (::optind == argc) return arguments;
  const std::string stray = quoted(args[static_cast<size_t>(::optind)]);
  return ended(std::move(arguments), Outcome::stray_argument, "stray argument " + stray);
}

// ---- the configuration file

// Reads the file into `options`. What the command line overrules is checked all the same.
class FileReader {
 public:
  FileReader(const std::set<const Row*>& overruled, Options& options)
      : overruled_(overruled), options_(options), discarded_(options), file_(base::escape(options.config)) {}

  // All faults, each with file and line.
  std::vector<std::string> run() {
    const Result<std::vector<ConfigLine>> lines = read_config_lines(options_.config);
    if (!lines) return {lines.error().detail};
    for (const ConfigLine& line : *lines)
      if (Result<void> taken = take(line); !taken) faults_.push_back(at(line.number) + taken.error().detail);
    return std::move(faults_);
  }

 private:
  std::string at(size_t number) const { return file_ + ":" + std::to_string(number) + ": "; }

  Result<void> take(const ConfigLine& line) {
    if (!line.fault.empty() && row_named(line.name) == nullptr) return unknown(line);
    if (!line.fault.empty()) return bad(line.fault);
    const Row* const row = row_named(line.name);
    if (row == nullptr) return unknown(line);
    if (!row->in_config) return bad(line.name + " is for the command line only");
    if (!line.has_value && row->argument != nullptr) return bad(line.name + " needs a value");
    if (line.value.starts_with("= "))
      return bad(line.name + ": there is no = between an option and its value");
    Options& target = overruled_.count(row) != 0 ? discarded_ : options_;
    if (Result<void> set = apply(*row, line.has_value ? line.value : "yes", target); !set) return set;
    note_origin(*row, at(line.number) + row->name, target);
    note_repetition(*row, line.number);
    return {};
  }

  // Shows the line as it was meant, so that "min-port=25000" explains itself.
  static Error unknown(const ConfigLine& line) {
    const std::string fault = "there is no option " + quoted(line.name);
    const std::string meant = meant_option(line.name, [](const Row& row) { return row.in_config; });
    if (meant.empty()) return bad(fault);
    const size_t glued = line.name.find_first_of("=:");
    const std::string value = glued == line.name.npos ? line.value : line.name.substr(glued + 1) + line.value;
    const std::string right_line = value.empty() ? meant : meant + " " + value;
    return bad(fault + "; did you mean " + quoted(right_line) + "?");
  }

  void note_repetition(const Row& row, size_t number) {
    const auto [first, is_new] = lines_.try_emplace(&row, number);
    if (is_new || is_repeatable(row)) return;
    options_.warnings.push_back(at(number) + row.name + " stands in line " + std::to_string(first->second) +
                                " already: the last line counts");
    first->second = number;
  }

  const std::set<const Row*>& overruled_;
  Options& options_;
  Options discarded_;
  std::string file_;
  std::map<const Row*, size_t> lines_;
  std::vector<std::string> faults_;
};

std::vector<std::string> read_config(const std::set<const Row*>& overruled, Options& options) {
  const bool is_named = overruled.count(row_named("config")) != 0;
  struct stat status;  // of a link itself: one that leads nowhere is a mistake
  if (!is_named && ::lstat(options.config.c_str(), &status) != 0 && errno == ENOENT) return {};
  return FileReader(overruled, options).run();
}

// ---- both together

void check_fit(const Options& options, std::vector<std::string>& faults) {
  if (options.control_tls_legacy && !options.enable_ssl)
    faults.push_back(options.where("control-tls-legacy") + " is of no use without enable-ssl");
  if (options.min_port <= options.max_port) return;
  const std::string lowest = std::to_string(options.min_port), highest = std::to_string(options.max_port);
  if (options.where("min-port") == "min-port" && options.where("max-port") != "max-port")
    faults.push_back(options.where("max-port") + " " + highest + " is below min-port " + lowest);
  else
    faults.push_back(options.where("min-port") + " " + lowest + " is above max-port " + highest);
}

// The defaults, over them the file, over both the command line, whose values are known to be good. Returns
// all faults.
std::vector<std::string> combine(const Arguments& arguments, Options& options) {
  std::map<const Row*, std::string> given;
  for (const Setting& setting : arguments.settings) {
    const auto [first, is_new] = given.try_emplace(setting.row, setting.value);
    if (!is_new && !is_repeatable(*setting.row) && first->second != setting.value)
      options.warnings.push_back(std::string("--") + setting.row->name +
                                 " is given twice: the last one counts");
    first->second = setting.value;
  }
  std::set<const Row*> rows;
  for (const auto& [row, value] : given) rows.insert(row);
  options.config = arguments.options.config;
  std::vector<std::string> faults = read_config(rows, options);
  for (const Setting& setting : arguments.settings) {
    if (Result<void> set = setting.row->set(options, setting.value); !set)
      faults.push_back(set.error().detail);
    note_origin(*setting.row, std::string("--") + setting.row->name, options);
  }
  if (faults.empty()) check_fit(options, faults);
  options.warnings.insert(options.warnings.end(), arguments.old_spellings.begin(),
                          arguments.old_spellings.end());
  return faults;
}

std::vector<OptionInfo> describe_rows() {
  std::vector<OptionInfo> table;
  for (const Row& row : kRows)
    table.push_back({row.name, row.short_name, row.argument == nullptr ? "" : row.argument,
                     row.default_value == nullptr ? "" : row.default_value, row.help, row.in_config});
  return table;
}

// `text` in lines of at most `width` characters, each behind `indent` blanks.
std::string wrapped(std::string_view text, size_t indent, size_t width) {
  std::string lines;
  while (!text.empty()) {
    size_t end = text.size() <= width ? text.size() : text.rfind(' ', width);
    if (end == std::string_view::npos) end = std::min(text.find(' '), text.size());
    lines += std::string(indent, ' ').append(text.substr(0, end)) + '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

const std::vector<OptionInfo>& option_table() {
  static const std::vector<OptionInfo> table = describe_rows();
  return table;
}

Options default_options() {
  Options options;
  for (const Row& row : kRows)
    if (row.default_value != nullptr) (void)row.set(options, row.default_value);
  return options;
}

CommandLine read_command_line(int argc, char* const argv[]) {
  Arguments arguments = read_arguments(argc, argv);
  CommandLine result{arguments.outcome, std::move(arguments.message), {}};
  if (result.outcome != Outcome::run) return result;
  result.options = default_options();
  for (const std::string& fault : combine(arguments, result.options)) {
    result.outcome = Outcome::config_error;
    result.message += (result.message.empty() ? "" : "\n") + fault;
  }
  return result;
}

std::string Options::where(const std::string& option) const {
  const auto found = origins.find(option);
  return found == origins.end() ? option.substr(0, option.find(' ')) : found->second;
}

std::string usage_line() {
  return "Usage: vncauthproxy [OPTION]...";
}

std::string help_text() {
  std::string text = usage_line() +
                     "\nLets VNC viewers reach VNC servers through ports that open on request, for one\n"
                     "authenticated session each.\n\nOptions:\n";
  for (const OptionInfo& option : option_table()) {
    text += option.short_name == 0 ? "      --" : std::string("  -") + option.short_name + ", --";
    text += option.name + (option.argument.empty() ? "" : "=" + option.argument) + '\n';
    text += wrapped(option.help, 10, 68);
    if (!option.default_value.empty()) text += "          Default: " + option.default_value + '\n';
  }
  text += "\nOld spellings that still work:\n";
  for (const OldSpelling& old : kOldSpellings)
    text += "    " + to_string(old) + (old.name == nullptr ? "           " : " ") + "for --" + old.row + '\n';
  return text + "\nSee vncauthproxy(8) and vncauthproxy.conf(5).\n";
}

}  // namespace vncauthproxy::config
