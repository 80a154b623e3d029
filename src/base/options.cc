// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/options.h"

#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text_line.h"
#include "folders.h"
#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::base {
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
  return path ? text<member>(options, *path) : path.error();
}

template <std::string Options::*member>
Result<void> file_or_none(Options& options, const std::string& value) {
  return value.empty() ? text<member>(options, value) : some_file<member>(options, value);
}

// A file, "" for syslog or "-" for stderr.
Result<void> log_target(Options& options, const std::string& value) {
  return value == "-" ? text<&Options::log>(options, value) : file_or_none<&Options::log>(options, value);
}

Result<void> check_host_and_port(const std::string& value) {
  const Result<HostAndPort> parts = parse_host_and_port(value);
  return parts ? Result<void>() : Result<void>(parts.error());
}

template <std::string Options::*member>
Result<void> endpoint_or_none(Options& options, const std::string& value) {
  if (!value.empty())
    if (Result<void> checked = check_host_and_port(value); !checked) return checked;
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

template <unsigned Options::*member>
Result<void> count(Options& options, const std::string& value) {
  const std::optional<unsigned long> found = number(value);
  if (!found || *found < 1 || *found > 1000) return bad("is not a number from 1 to 1000");
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
  return to_milliseconds(seconds);
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
     "Log to FILE, or to stderr if FILE is -. Without it the log goes to syslog."},
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
    {"flash-policy-listen", 0, "ADDRESS:PORT", kNone, kAnywhere,
     endpoint_or_none<&Options::flash_policy_listen>,
     "Tell Flash players there that they may connect to the ports for viewers; they ask port 843 first."},

    {"proxy-listen-address", 0, "ADDRESS", "*", kAnywhere, some_text<&Options::proxy_listen_address>,
     "Wait for viewers at this address or host name; * is every address."},
    {"proxy-address", 0, "NAME", kNone, kAnywhere, text<&Options::proxy_address>,
     "Tell control clients that viewers shall connect to NAME. Without it, the address that viewers are "
     "awaited at, or this host's full name."},
    {"min-port", 'p', "PORT", "25000", kAnywhere, port<&Options::min_port>, "The lowest port for viewers."},
    {"max-port", 'P', "PORT", "30000", kAnywhere, port<&Options::max_port>, "The highest port for viewers."},

    {"server-timeout", 0, "SECONDS", "30", kAnywhere, timeout<&Options::server_timeout>,
     "How long reaching a VNC server may take, from its name to the end of its handshake, retries included."},
    {"connect-retries", 0, "N", "3", kAnywhere, count<&Options::connect_retries>,
     "How often all addresses of a VNC server are tried."},
    {"retry-wait", 0, "SECONDS", "0.1", kAnywhere, pause<&Options::retry_wait>,
     "How long to wait between two such rounds."},
    {"connect-timeout", 0, "SECONDS", "30", kAnywhere, timeout<&Options::connect_timeout>,
     "How long a forwarding waits for its viewer to connect."},
    {"auth-timeout", 0, "SECONDS", "60", kAnywhere, timeout<&Options::auth_timeout>,
     "How long a connected viewer has to authenticate: people type passwords."},
    {"auth-attempts", 0, "N", "3", kAnywhere, count<&Options::auth_attempts>,
     "How many wrong passwords end a forwarding."},

    {"web", 0, "DIR", kNone, kAnywhere, file_or_none<&Options::web>,
     "Serve the files below DIR to browsers on the one-time ports of vnc-ws and vnc-wss: noVNC, say, that "
     "Debian "
     "installs in /usr/share/novnc. Without it, no pages."},
    {"ws-ping-interval", 0, "SECONDS", "15", kAnywhere, pause<&Options::ws_ping_interval>,
     "Ask a quiet viewer behind a WebSocket for a sign of life that often; two that stay unanswered end the "
     "session. 0 is never."},
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
  return '"' + escape(value) + '"';
}

Result<void> apply(const Row& row, const std::string& value, Options& options) {
  Result<void> set = row.set(options, value);
  if (set) return {};
  return bad(row.name + (": " + quoted(value)) + " " + set.error().detail);
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

// getopt_long() does not tell an ambiguous beginning from an unknown one.
std::string unknown_long_option(std::string_view argument) {
  const std::string_view name = argument.substr(0, argument.find('='));
  std::string candidates;
  for (const Row& row : kRows)
    if (name.size() > 2 && std::string_view(row.name).starts_with(name.substr(2)))
      candidates += (candidates.empty() ? ": --" : ", --") + std::string(row.name);
  if (candidates.empty()) return "there is no option " + escape(name);
  return escape(name) + " is ambiguous" + candidates;
}

std::string option_trouble(int answer, int code, const char* argument) {
  const Row* const row = row_of_code(code);
  if (answer == ':' && row != nullptr) return "--" + std::string(row->name) + " needs a value";
  if (code == 0) return unknown_long_option(argument);
  if (row != nullptr) return "--" + std::string(row->name) + " takes no value";
  const char letter = static_cast<char>(code);
  return "there is no option -" + escape({&letter, 1});
}

// What getopt_long() wants to know of the table.
struct GetoptTable {
  std::string letters = ":";  // a missing value is told from an unknown option
  std::vector<option> names;

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
    names.push_back({});
  }

 private:
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
      const char* const argument = args[static_cast<size_t>(::optind) - 1];
      return ended(std::move(arguments), Outcome::usage_error, option_trouble(code, ::optopt, argument));
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

constexpr std::string_view kBlanks = " \t\r";

// A FIFO is refused: without a writer it would read as empty, and all options would be at their defaults.
Result<std::string> read_whole(const std::string& path) {
  const Result<OpenedFile> file = open_for_reading(path);
  if (!file) return file.error();
  if (!S_ISCHR(file->status.st_mode))  // /dev/null stands for no file
    if (Result<void> checked = check_regular(*file, path); !checked) return checked.error();
  std::string content(kMaxFileBytes + 1, '\0');
  const Result<size_t> size = read_to_end(file->fd.get(), content, path);
  if (!size) return size.error();
  content.resize(*size);
  return content;
}

// `"text"`, where a backslash makes a quote or a backslash plain; behind it only a comment may follow.
Result<std::string> quoted_value(std::string_view text) {
  std::string value;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      const std::string_view rest = without_blanks(text.substr(i + 1));
      if (!rest.empty() && rest[0] != '#') return bad("there is text behind the closing quote");
      return value;
    }
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    value += text[i];
  }
  return bad("the closing quote is missing");
}

// A value ends where a blank and a # begin a comment, or with the line.
std::string plain_value(std::string_view text) {
  size_t end = text.find('#');
  while (end != std::string_view::npos && end > 0 && kBlanks.find(text[end - 1]) == std::string_view::npos)
    end = text.find('#', end + 1);
  return std::string(without_blanks(text.substr(0, end)));
}

Result<Setting> read_line(std::string_view line) {
  const size_t name_size = std::min(line.find_first_of(kBlanks), line.size());
  const std::string name(line.substr(0, name_size));
  const std::string_view rest = without_blanks(line.substr(name_size));
  const Row* const row = row_named(name);
  if (row == nullptr) return bad("there is no option " + quoted(name));
  if (!row->in_config) return bad(name + " is for the command line only");

  const bool has_quotes = !rest.empty() && rest[0] == '"';
  Result<std::string> value = has_quotes ? quoted_value(rest) : Result<std::string>(plain_value(rest));
  if (!value) return bad(name + ": " + value.error().detail);
  const bool is_missing = !has_quotes && value->empty();
  if (is_missing && row->argument != nullptr) return bad(name + " needs a value");
  return Setting{row, is_missing ? "yes" : *std::move(value)};
}

// Applies the lines of `content` except those that `overruled` names; these are checked all the same.
Result<void> read_lines(std::string_view content, const std::set<const Row*>& overruled, Options& options,
                        const std::string& file) {
  Options discarded = options;
  content = without_byte_order_mark(content);
  size_t line_number = 0;
  while (!content.empty()) {
    const size_t end = std::min(content.find('\n'), content.size());
    const std::string_view line = without_blanks(content.substr(0, end));
    content.remove_prefix(std::min(end + 1, content.size()));
    ++line_number;
    if (line.empty() || line[0] == '#') continue;

    const auto here = [&](const Error& error) {
      return bad(escape(file) + ":" + std::to_string(line_number) + ": " + error.detail);
    };
    if (line.find('\0') != std::string_view::npos) return here(bad("there is a NUL in this line"));
    Result<Setting> setting = read_line(line);
    if (!setting) return here(setting.error());
    Options& target = overruled.count(setting->row) != 0 ? discarded : options;
    if (Result<void> set = apply(*setting->row, setting->value, target); !set) return here(set.error());
  }
  return {};
}

Result<void> read_config(const std::set<const Row*>& overruled, Options& options) {
  const bool is_named = overruled.count(row_named("config")) != 0;
  struct stat status;  // of a link itself: one that leads nowhere is a mistake
  if (!is_named && ::lstat(options.config.c_str(), &status) != 0 && errno == ENOENT) return {};
  Result<std::string> content = read_whole(options.config);
  return content ? read_lines(*content, overruled, options, options.config) : content.error();
}

// ---- both together

Result<void> check_fit(const Options& options) {
  if (options.control_tls_legacy && !options.enable_ssl)
    return bad("control-tls-legacy is of no use without enable-ssl");
  if (options.min_port <= options.max_port) return {};
  return bad("min-port " + std::to_string(options.min_port) + " is above max-port " +
             std::to_string(options.max_port));
}

// The defaults, over them the file, over both the command line, whose values are known to be good.
Result<Options> combine(const Arguments& arguments) {
  std::set<const Row*> given;
  for (const Setting& setting : arguments.settings) given.insert(setting.row);
  Options options = default_options();
  options.config = arguments.options.config;
  if (Result<void> read = read_config(given, options); !read) return read.error();
  for (const Setting& setting : arguments.settings) {
    Result<void> set = setting.row->set(options, setting.value);
    if (!set) return set.error();
  }
  if (Result<void> fits = check_fit(options); !fits) return fits.error();
  options.old_spellings = arguments.old_spellings;
  return options;
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
  Result<Options> options = combine(arguments);
  if (options) {
    result.options = *std::move(options);
  } else {
    result.outcome = Outcome::usage_error;
    result.message = std::move(options.error().detail);
  }
  return result;
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

}  // namespace vncauthproxy::base
