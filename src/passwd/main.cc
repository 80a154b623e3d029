// SPDX-License-Identifier: GPL-2.0-or-later
// vncauthproxy-passwd: adds, updates, removes, lists and verifies users of a users file. Exit codes: 0 done,
// 1 refused or failed, 2 wrong usage, 130 interrupted at the prompt.
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>

#include "config.h"
#include "prompt.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/base/secret_input.h"
#include "vncauthproxy/users/crypt_hash.h"
#include "vncauthproxy/users/users.h"
#include "vncauthproxy/users/users_edit.h"

namespace vncauthproxy::passwd {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::Secret;

constexpr int kInterrupted = 128 + SIGINT;  // as a shell says it

constexpr char kUsage[] =
    "usage: vncauthproxy-passwd [-n|--dry-run] [-d|-D|--delete] [-v|--verify]\n"
    "           [-p|--password PW] [--stdin] FILE USER\n"
    "       vncauthproxy-passwd -l|--list FILE\n";
constexpr char kHelp[] =
    "\n"
    "Adds USER to the users file of vncauthproxy, changes the password, or removes USER.\n"
    "The password is asked for on the terminal.\n"
    "\n"
    "  -n, --dry-run       print the resulting file and leave FILE alone\n"
    "  -d, -D, --delete    remove USER\n"
    "  -v, --verify        say whether the password is that of USER; change nothing\n"
    "  -l, --list          print the names of all who can log in\n"
    "  -p, --password PW   take this password (others may see it for a moment)\n"
    "      --stdin         take the first line of standard input for the password\n"
    "  -h, --help          print this and exit\n"
    "      --version       print the version and exit\n";

enum class Action { set, remove, verify, list };

struct Arguments {
  Action action = Action::set;
  bool dry_run = false;
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
constexpr char kLetters[] = ":ndDvlp:h";
constexpr option kLongNames[] = {{"dry-run", no_argument, nullptr, 'n'},
                                 {"delete", no_argument, nullptr, 'd'},
                                 {"verify", no_argument, nullptr, 'v'},
                                 {"list", no_argument, nullptr, 'l'},
                                 {"password", required_argument, nullptr, 'p'},
                                 {"stdin", no_argument, nullptr, kFromStdin},
                                 {"help", no_argument, nullptr, 'h'},
                                 {"version", no_argument, nullptr, kVersion},
                                 {nullptr, 0, nullptr, 0}};

// Which of -d, -v and -l was given; two different ones are one too many.
void choose(Action action, Arguments& arguments, std::string& wrong) {
  if (arguments.action != Action::set && arguments.action != action)
    wrong = "--delete, --verify and --list exclude each other";
  arguments.action = action;
}

// An exit code, or nothing when there is work to do.
std::optional<int> read_arguments(int argc, char* argv[], Arguments& arguments) {
  ::opterr = 0;
  // Said at the end: a password further on must be out of sight first.
  std::optional<int> end;
  std::string wrong, conflict;
  for (int c; (c = ::getopt_long(argc, argv, kLetters, kLongNames, nullptr)) != -1;) switch (c) {
      case 'n':
        arguments.dry_run = true;
        break;
      case 'd':
      case 'D':
        choose(Action::remove, arguments, conflict);
        break;
      case 'v':
        choose(Action::verify, arguments, conflict);
        break;
      case 'l':
        choose(Action::list, arguments, conflict);
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
  if (!conflict.empty()) return usage_error(conflict);
  const bool lists = arguments.action == Action::list;
  if (argc - optind != (lists ? 1 : 2))
    return usage_error(lists ? "--list needs FILE, and nothing more"
                             : "FILE and USER are needed, and nothing more");
  arguments.file = argv[optind];
  if (!lists) arguments.user = argv[optind + 1];
  return std::nullopt;
}

// What does not go together. The codes are those of the old tool.
std::optional<int> check(const Arguments& arguments) {
  const bool has_password = arguments.password || arguments.from_stdin;
  if (arguments.action == Action::list && (has_password || arguments.dry_run))
    return usage_error("--list goes with no other option");
  if (arguments.action == Action::remove && has_password) {
    print_help();
    std::fflush(stdout);
    complain("to delete a user, give no password");
    return 1;
  }
  if (arguments.password && arguments.from_stdin)
    return usage_error("--password and --stdin exclude each other");
  const bool changes = arguments.action == Action::set || arguments.action == Action::remove;
  if (changes && !users::valid_user_name(arguments.user)) {
    complain("the user name must match ^[a-z_][a-z0-9_.@-]{0,30}$");
    return 1;
  }
  return std::nullopt;
}

Result<Secret> given_password(Arguments& arguments) {
  if (arguments.password) return std::move(*arguments.password);
  return arguments.from_stdin ? base::read_secret_line(STDIN_FILENO, users::kMaxPasswordBytes)
                              : ask_password("Password: ", users::kMaxPasswordBytes);
}

Result<Secret> get_password(Arguments& arguments) {
  Result<Secret> password = given_password(arguments);
  if (!password && password.error().code == ErrorCode::closed) return password;
  if (!password) return Error{ErrorCode::invalid, "no password: " + password.error().detail};
  if (password->empty()) return Error{ErrorCode::invalid, "the password must not be empty"};
  return password;
}

int edit(const Arguments& arguments, std::string_view hash) {
  const auto edited = users::edit_users_file(arguments.file, arguments.user, hash, arguments.dry_run);
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

// As the daemon reads it; its warnings about single lines go to stderr.
Result<users::Users> load(const std::string& file) {
  base::set_log_sink([](base::LogLevel, std::string_view line) { complain(std::string(line)); });
  // Whose file it is matters to the daemon, which may be another user.
  struct stat status {};
  const bool is_there = ::stat(file.c_str(), &status) == 0;
  return users::Users::load(file, is_there ? status.st_uid : ::geteuid());
}

int list(const Arguments& arguments) {
  const auto users = load(arguments.file);
  if (!users) {
    complain(users.error().detail);
    return 1;
  }
  for (const std::string_view name : users->names())
    std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
  if (std::fflush(stdout) == 0) return 0;
  complain("cannot write to standard output");
  return 1;
}

int verify(const Arguments& arguments, const Secret& password) {
  const auto users = load(arguments.file);
  if (users && users->verify(arguments.user, password)) return 0;
  if (!users) {
    complain(users.error().detail);
  } else {
    const auto names = users->names();
    const bool known = std::find(names.begin(), names.end(), arguments.user) != names.end();
    complain(known ? "wrong password" : "nobody of that name can log in");
  }
  return 1;
}

int set(const Arguments& arguments, const Secret& password) {
  const Result<std::string> hash = users::hash_password(password);
  if (hash) return edit(arguments, *hash);
  complain(hash.error().detail);
  return 1;
}

int run(Arguments& arguments) {
  if (arguments.action == Action::list) return list(arguments);
  if (arguments.action == Action::remove) return edit(arguments, {});
  const Result<Secret> password = get_password(arguments);
  if (password)
    return arguments.action == Action::verify ? verify(arguments, *password) : set(arguments, *password);
  if (password.error().code == ErrorCode::closed) return kInterrupted;
  complain(password.error().detail);
  return 1;
}

}  // namespace
}  // namespace vncauthproxy::passwd

int main(int argc, char* argv[]) {
  using namespace vncauthproxy;
  if (const auto forbidden = base::forbid_inspection(); !forbidden) {
    passwd::complain(forbidden.error().detail);
    return 1;
  }
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of write(), not an end without a word
  std::signal(SIGPIPE, SIG_IGN);
  passwd::Arguments arguments;
  if (const auto end = passwd::read_arguments(argc, argv, arguments)) return *end;
  if (const auto end = passwd::check(arguments)) return *end;
  return passwd::run(arguments);
}
