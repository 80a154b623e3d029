// SPDX-License-Identifier: GPL-2.0-or-later
// vncauthproxy-passwd: adds, updates and removes users in a users file. Exit codes: 0 done or interrupted at
// the prompt, 1 refused or failed, 2 wrong usage.
#include <getopt.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string>

#include "config.h"
#include "prompt.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/base/secret_input.h"
#include "vncauthproxy/base/users.h"

namespace vncauthproxy::passwd {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::Secret;

constexpr char kUsage[] =
    "usage: vncauthproxy-passwd [-n|--dry-run] [-d|-D|--delete] [-p|--password PW] [--stdin] FILE USER\n";
constexpr char kHelp[] =
    "\n"
    "Adds USER to the users file of vncauthproxy, changes the password, or removes USER.\n"
    "The password is asked for on the terminal.\n"
    "\n"
    "  -n, --dry-run       print the resulting file and leave FILE alone\n"
    "  -d, -D, --delete    remove USER\n"
    "  -p, --password PW   take this password (others may see it for a moment)\n"
    "      --stdin         take the first line of standard input for the password\n"
    "  -h, --help          print this and exit\n"
    "      --version       print the version and exit\n";

struct Arguments {
  bool dry_run = false;
  bool remove = false;
  bool from_stdin = false;
  std::optional<Secret> password;
  std::string file, user;
};

void complain(const std::string& what) {
  std::fprintf(stderr, "vncauthproxy-passwd: %s\n", what.c_str());
}

int usage_error(const std::string& what) {
  std::fputs(kUsage, stderr);
  complain(what);
  return 2;
}

int print_help() {
  std::fputs(kUsage, stdout);
  std::fputs(kHelp, stdout);
  return 0;
}

enum Long { kFromStdin = 256, kVersion };

// An exit code, or nothing when there is work to do.
std::optional<int> read_arguments(int argc, char* argv[], Arguments& arguments) {
  static const option options[] = {{"dry-run", no_argument, nullptr, 'n'},
                                   {"delete", no_argument, nullptr, 'd'},
                                   {"password", required_argument, nullptr, 'p'},
                                   {"stdin", no_argument, nullptr, kFromStdin},
                                   {"help", no_argument, nullptr, 'h'},
                                   {"version", no_argument, nullptr, kVersion},
                                   {nullptr, 0, nullptr, 0}};
  ::opterr = 0;
  // Said at the end: a password further on must be out of sight first.
  std::optional<int> end;
  std::string wrong;
  for (int c; (c = ::getopt_long(argc, argv, ":ndDp:h", options, nullptr)) != -1;) switch (c) {
      case 'n':
        arguments.dry_run = true;
        break;
      case 'd':
      case 'D':
        arguments.remove = true;
        break;
      case 'p':
        arguments.password = base::take_argument(optarg);
        break;
      case kFromStdin:
        arguments.from_stdin = true;
        break;
      case 'h':
      case kVersion:
        if (!end) end = c;
        break;
      default:
        if (!end) wrong = base::bad_option(c, argv);
        if (!end) end = c;
    }
  if (end == 'h') return print_help();
  if (end == kVersion) return std::puts("vncauthproxy-passwd (" PACKAGE_STRING ")"), 0;
  if (end) return usage_error(wrong);
  if (argc - optind != 2) return usage_error("FILE and USER are needed, and nothing more");
  arguments.file = argv[optind];
  arguments.user = argv[optind + 1];
  return std::nullopt;
}

// What does not go together. The codes are those of the old tool.
std::optional<int> check(const Arguments& arguments) {
  if (arguments.remove && (arguments.password || arguments.from_stdin)) {
    print_help();
    std::fflush(stdout);
    complain("to delete a user, give no password");
    return 1;
  }
  if (arguments.password && arguments.from_stdin)
    return usage_error("--password and --stdin exclude each other");
  if (!base::valid_user_name(arguments.user)) {
    complain("the user name must match ^[a-z_][a-z0-9_]{0,30}$");
    return 1;
  }
  return std::nullopt;
}

Result<Secret> get_password(Arguments& arguments) {
  if (arguments.password) return std::move(*arguments.password);
  Result<Secret> password = arguments.from_stdin
                                ? base::read_secret_line(STDIN_FILENO, base::kMaxPasswordBytes)
                                : ask_password("Password: ", base::kMaxPasswordBytes);
  if (!password && password.error().code == ErrorCode::closed) return password;
  if (!password) return Error{ErrorCode::invalid, "no password: " + password.error().detail};
  if (password->empty()) return Error{ErrorCode::invalid, "the password must not be empty"};
  return password;
}

int edit(const Arguments& arguments, std::string_view hash) {
  const auto edited = base::edit_users_file(arguments.file, arguments.user, hash, arguments.dry_run);
  if (!edited) {
    complain(edited.error().detail);
    return 1;
  }
  if (!arguments.dry_run) return 0;
  const std::string_view text = edited->text.reveal();
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return 0;
  complain("cannot write to standard output");
  return 1;
}

int run(Arguments& arguments) {
  if (arguments.remove) return edit(arguments, {});
  const Result<Secret> password = get_password(arguments);
  if (!password && password.error().code == ErrorCode::closed) return 0;  // Ctrl-C
  const Result<std::string> hash = password ? base::hash_password(*password) : password.error();
  if (!hash) {
    complain(hash.error().detail);
    return 1;
  }
  return edit(arguments, *hash);
}

}  // namespace
}  // namespace vncauthproxy::passwd

int main(int argc, char* argv[]) {
  using namespace vncauthproxy;
  base::forbid_inspection();
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of write(), not an end without a word
  std::signal(SIGPIPE, SIG_IGN);
  passwd::Arguments arguments;
  if (const auto end = passwd::read_arguments(argc, argv, arguments)) return *end;
  if (const auto end = passwd::check(arguments)) return *end;
  return passwd::run(arguments);
}
