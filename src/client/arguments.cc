// SPDX-License-Identifier: GPL-2.0-or-later
#include "arguments.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include "config.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/secret_input.h"
#include "vncauthproxy/users/crypt_hash.h"

namespace vncauthproxy::client {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::Secret;

constexpr char kUsage[] =
    "usage: vncauthproxy-client [OPTION...] --type TYPE -d HOST -p PORT --auth-user USER\n"
    "                           --auth-password PASSWORD\n";
constexpr char kHelp[] =
    "\n"
    "Asks vncauthproxy for a forwarding: a port where one viewer that knows a password reaches HOST:PORT.\n"
    "\n"
    "      --server SERVER             host of vncauthproxy (127.0.0.1)\n"
    "      --server-port PORT          its control port (24999)\n"
    "  -s PORT                         the port to open for the viewer (0: any free one)\n"
    "  -d, --dest HOST                 host of the VNC server\n"
    "  -p, --dport PORT                its port\n"
    "  -P, --password PASSWORD         what the viewer has to know (without it the proxy makes one)\n"
    "      --auth-user USER            user of the control port\n"
    "      --auth-password PASSWORD    and the password\n"
    "      --server-password PASSWORD  what the VNC server wants to hear, when it wants a password\n"
    "      --type TYPE                 what the viewer speaks: vnc, vnc-ws, vnc-wss, vnc-tls\n"
    "      --client-address ADDRESS    the address or network that the viewer has to come from (any)\n"
    "      --connect-timeout SECONDS   how long the port waits for the viewer (what the proxy allows)\n"
    "      --auth-timeout SECONDS      how long the viewer has for the password (what the proxy allows)\n"
    "      --enable-ssl                speak TLS with the control port\n"
    "      --ca-cert FILE              verify its certificate with these authorities\n"
    "      --strict                    verify its certificate and its name\n"
    "      --wait SECONDS              how long it all may take (60)\n"
    "      --json                      print the reply, and only that, on standard output\n"
    "  -h, --help                      print this and exit\n"
    "      --version                   print the version and exit\n"
    "\n"
    "PASSWORD: the text itself, @FILE for the first line of FILE, or @- for a line of standard input. "
    "Without\n"
    "the option: VNCAUTHPROXY_PASSWORD, VNCAUTHPROXY_AUTH_PASSWORD, VNCAUTHPROXY_SERVER_PASSWORD.\n";

constexpr double kMaxSeconds = 1e6;

enum Long {
  kServer = 256,
  kServerPort,
  kAuthUser,
  kAuthPassword,
  kServerPassword,
  kType,
  kClientAddress,
  kConnectTimeout,
  kAuthTimeout,
  kEnableSsl,
  kCaCert,
  kStrict,
  kJson,
  kWait,
  kVersion
};

constexpr option kOptions[] = {{"server", required_argument, nullptr, kServer},
                               {"server-port", required_argument, nullptr, kServerPort},
                               {"dest", required_argument, nullptr, 'd'},
                               {"dport", required_argument, nullptr, 'p'},
                               {"password", required_argument, nullptr, 'P'},
                               {"auth-user", required_argument, nullptr, kAuthUser},
                               {"auth-password", required_argument, nullptr, kAuthPassword},
                               {"server-password", required_argument, nullptr, kServerPassword},
                               {"type", required_argument, nullptr, kType},
                               {"client-address", required_argument, nullptr, kClientAddress},
                               {"connect-timeout", required_argument, nullptr, kConnectTimeout},
                               {"auth-timeout", required_argument, nullptr, kAuthTimeout},
                               {"enable-ssl", no_argument, nullptr, kEnableSsl},
                               {"ca-cert", required_argument, nullptr, kCaCert},
                               {"strict", no_argument, nullptr, kStrict},
                               {"json", no_argument, nullptr, kJson},
                               {"wait", required_argument, nullptr, kWait},
                               {"help", no_argument, nullptr, 'h'},
                               {"version", no_argument, nullptr, kVersion},
                               {nullptr, 0, nullptr, 0}};

int usage_error(const std::string& what) {
  std::fprintf(stderr, "%svncauthproxy-client: %s\n", kUsage, what.c_str());
  return 2;
}

// A password and where it comes from when its option was not given.
struct Source {
  const char* option;
  const char* variable;
  Secret* target;
  bool may_be_empty;
  std::optional<Secret> given;
  std::optional<Secret> inherited;
};

Result<Secret> read_source(const std::string& name) {
  if (name == "-") return base::read_secret_line(STDIN_FILENO, users::kMaxPasswordBytes);
  const base::Fd file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return base::system_error(errno, {"cannot open the file"});
  return base::read_secret_line(file.get(), users::kMaxPasswordBytes);
}

Result<void> settle(Source& source) {
  std::optional<Secret>& secret = source.given ? source.given : source.inherited;
  if (!secret) return {};
  const std::string name = source.given ? std::string("--") + source.option : source.variable;
  if (source.given && secret->reveal().starts_with('@')) {
    Result<Secret> line = read_source(std::string(secret->reveal().substr(1)));
    // The name of the file is not shown: it might be a password that begins with @.
    if (!line) return Error{ErrorCode::invalid, name + "=@...: " + line.error().detail};
    *source.target = std::move(*line);
  } else {
    *source.target = std::move(*secret);
  }
  if (source.target->empty() && !source.may_be_empty)
    return Error{ErrorCode::invalid, name + " is empty; leave it out and the proxy makes a password"};
  return {};
}

class Reader {
 public:
  explicit Reader(Arguments& arguments)
      : arguments_(arguments),
        sources_{
            {{"password", "VNCAUTHPROXY_PASSWORD", &arguments.password, false, {}, {}},
             {"auth-password", "VNCAUTHPROXY_AUTH_PASSWORD", &arguments.auth_password, true, {}, {}},
             {"server-password", "VNCAUTHPROXY_SERVER_PASSWORD", &arguments.server_password, true, {}, {}}}} {
  }

  // First all secrets are taken out of sight; only then may something be printed or waited for.
  std::optional<int> read(int argc, char* argv[]) {
    for (Source& source : sources_) source.inherited = base::take_environment(source.variable);
    ::opterr = 0;
    for (int c; (c = ::getopt_long(argc, argv, ":s:d:p:P:h", kOptions, nullptr)) != -1;) take(c, argv);
    if (asked_for_ == 'h') return std::printf("%s%s", kUsage, kHelp), 0;
    if (asked_for_ == kVersion) return std::puts("vncauthproxy-client (" PACKAGE_STRING ")"), 0;
    if (!wrong_.empty()) return usage_error(wrong_);
    if (optind != argc) return usage_error("there is an argument too many");
    for (Source& source : sources_)
      if (const Result<void> settled = settle(source); !settled) return usage_error(settled.error().detail);
    return check();
  }

 private:
  void take(int c, char* const argv[]) {
    switch (c) {
      case kServer:
        arguments_.server = optarg;
        break;
      case kServerPort:
        take_port("--server-port", 1, arguments_.server_port);
        break;
      case 's':
        take_port("-s", 0, arguments_.source_port);
        break;
      case 'd':
        arguments_.destination = optarg;
        break;
      case 'p':
        take_port("--dport", 1, arguments_.destination_port);
        break;
      case 'P':
        sources_[0].given = base::take_argument(optarg);
        break;
      case kAuthUser:
        arguments_.auth_user = optarg;
        break;
      case kAuthPassword:
        sources_[1].given = base::take_argument(optarg);
        break;
      case kServerPassword:
        sources_[2].given = base::take_argument(optarg);
        break;
      case kType:
        arguments_.type = optarg;
        break;
      case kClientAddress:
        arguments_.client_address = optarg;
        break;
      case kConnectTimeout:
        take_seconds("--connect-timeout", arguments_.connect_timeout);
        break;
      case kAuthTimeout:
        take_seconds("--auth-timeout", arguments_.auth_timeout);
        break;
      case kEnableSsl:
        arguments_.enable_ssl = true;
        break;
      case kCaCert:
        arguments_.ca_cert = optarg;
        break;
      case kStrict:
        arguments_.strict = true;
        break;
      case kJson:
        arguments_.json = true;
        break;
      case kWait:
        take_wait();
        break;
      case 'h':
      case kVersion:
        if (asked_for_ == 0) asked_for_ = c;
        break;
      default:
        complain(base::bad_option(c, argv));
    }
  }

  void take_port(const char* name, uint16_t least, uint16_t& port) {
    const std::string_view text = optarg;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < least)
      complain(std::string(name) + ": a port number was expected, not '" + base::escape(text) + "'");
  }

  void take_wait() {
    const std::string_view text = optarg;
    unsigned seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || seconds < 1 || seconds > 3600)
      complain("--wait: 1 to 3600 seconds were expected, not '" + base::escape(text) + "'");
    arguments_.wait = std::chrono::seconds(seconds);
  }

  void take_seconds(const char* name, std::optional<double>& seconds) {
    const std::string_view text = optarg;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool sensible = value > 0 && value <= kMaxSeconds;  // false for NaN
    if (error != std::errc() || end != text.data() + text.size() || !sensible)
      complain(std::string(name) + ": a number of seconds above 0 was expected, not '" + base::escape(text) +
               "'");
    seconds = value;
  }

  void complain(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  std::optional<int> check() const {
    const std::pair<const char*, bool> mandatory[] = {{"dest", arguments_.destination.empty()},
                                                      {"dport", arguments_.destination_port == 0},
                                                      {"auth-user", arguments_.auth_user.empty()},
                                                      {"auth-password", arguments_.auth_password.empty()},
                                                      {"type", arguments_.type.empty()}};
    bool complete = true;
    for (const auto& [name, missing] : mandatory) {
      if (missing) std::fprintf(stderr, "The %s argument is mandatory.\n", name);
      complete &= !missing;
    }
    if (!complete) return 2;
    if (!arguments_.enable_ssl && (arguments_.strict || !arguments_.ca_cert.empty()))
      return usage_error("--ca-cert and --strict need --enable-ssl: without it nothing would be verified");
    return std::nullopt;
  }

  Arguments& arguments_;
  std::array<Source, 3> sources_;
  int asked_for_ = 0;  // --help or --version
  std::string wrong_;
};

}  // namespace

std::optional<int> read_arguments(int argc, char* argv[], Arguments& arguments) {
  return Reader(arguments).read(argc, argv);
}

}  // namespace vncauthproxy::client
