// SPDX-License-Identifier: GPL-2.0-or-later
// Every option of the daemon, from one table: it reads the command line and the configuration file, and
// prints --help. The command line wins over the file.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::config {

// Names of files are absolute (a relative one counts from the folder the program was started in): the daemon
// reads them again after it went to /.
struct Options {
  bool debug = false;
  bool foreground = false;
  bool check = false;
  std::string config;       // the file that was read, or would have been, as it was named
  std::string log;          // as open_log() takes it
  std::string pid_file;     // empty: none
  std::string user, group;  // group empty: the user's own

  std::string listen_address, listen_port;
  bool enable_ssl = false;
  std::string cert_file, key_file;
  std::string tls_min_version, tls_ciphers, tls_ciphersuites;
  std::string auth_file;
  bool control_tls_legacy = false;

  std::string control_socket, control_socket_group;  // empty: none; the daemon's own
  std::vector<std::string> vncap_listen;             // "ADDRESS:PORT" or kUnixPrefix and a path
  bool vncap_insecure = false;
  unsigned max_pending = 0, max_pending_per_address = 0;
  std::vector<base::Network> exempt_networks;  // from the second of these, and from the delay of wrong logins
  std::chrono::milliseconds vncap_backend_timeout{};
  std::string flash_policy_listen;  // "ADDRESS:PORT"; empty: none

  std::string proxy_listen_address;
  std::string proxy_address;  // empty: derived from proxy_listen_address
  uint16_t min_port = 0, max_port = 0;

  std::chrono::milliseconds server_timeout{};
  unsigned connect_retries = 0;
  std::chrono::milliseconds retry_wait{};
  std::chrono::milliseconds connect_timeout{};
  std::chrono::milliseconds auth_timeout{};
  unsigned auth_attempts = 0;
  unsigned viewers_per_address = 0;

  unsigned spare_workers = 0;  // 0: workers are forked on demand

  std::string web;                               // folder of pages; empty: none
  std::chrono::milliseconds ws_ping_interval{};  // 0: no pings
  std::chrono::milliseconds ws_timeout{};        // for an answer to a ping; 0: for ever

  // For the log: options that were given twice, and old spellings with those of today.
  std::vector<std::string> warnings;

  // Begins a sentence for the operator about an option: "/etc/x.conf:7: min-port", "--min-port", or
  // "min-port" where it is at its default. For one of several vncap-listen, `option` is "vncap-listen VALUE".
  std::string where(const std::string& option) const;
  std::map<std::string, std::string> origins;  // of options that were given
};

inline constexpr std::string_view kUnixPrefix = "unix:";

// One row of the table, as documents and tests see it.
struct OptionInfo {
  std::string name;           // long name, without dashes
  char short_name;            // 0: none
  std::string argument;       // "PORT"; empty: a switch
  std::string default_value;  // as text; empty: none or off
  std::string help;
  bool in_config;  // may stand in the configuration file
};
const std::vector<OptionInfo>& option_table();
Options default_options();

struct CommandLine {
  enum class Outcome { run, help, version, usage_error, stray_argument, config_error };
  Outcome outcome = Outcome::run;
  std::string message;  // of the errors: one line; of config_error one or more
  Options options;
};
// Reads argv, then the configuration file it names (or the default one, which may be missing), then checks
// what must fit together. Like the old daemon's parser: unambiguous beginnings of long options count, the
// first of --help, --version and mistakes decides, and only then do stray arguments. A config_error tells all
// that is wrong with the file, each in a line "FILE:LINE: what is wrong", or what does not fit together.
CommandLine read_command_line(int argc, char* const argv[]);
std::string help_text();   // what --help prints: per option "  -p, --min-port=PORT", below it what it does
std::string usage_line();  // the first line of it, without its end

}  // namespace vncauthproxy::config
