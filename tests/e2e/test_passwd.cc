// SPDX-License-Identifier: GPL-2.0-or-later
// The built vncauthproxy-passwd: what it does to a users file, what it tells, what it lets others see.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/deadline.h"
#include "tests/support/program.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/users/users.h"

#include "tests/support/checks.h"

namespace vncauthproxy::testing {
namespace {

constexpr const char* kMarker = "Passwd.Marker.51c7";

struct Fixture : Checks {
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), built("vncauthproxy-passwd"));
    return arguments;
  }
  Outcome passwd(std::vector<std::string> arguments, std::string input = {}) const {
    return run(command(std::move(arguments)),
               {.environment = {}, .input = std::move(input), .descriptors = 0});
  }
  bool exits(int status, std::vector<std::string> arguments) const {
    return passwd(std::move(arguments)).status == status;
  }
  std::string text() const { return read_file(path); }
  bool login(const std::string& user, const std::string& password) const {
    const auto users = users::Users::load(path);
    return users && users->verify(user, base::Secret(password));
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder.path()),
                                             std::filesystem::directory_iterator()));
  }

  Folder folder;
  std::string path = folder.file("users");
};

bool contains(const std::string& text, std::string_view piece) {
  return text.find(piece) != text.npos;
}

// The tool on a terminal of its own, in a session of its own.
class OnTerminal {
 public:
  explicit OnTerminal(std::vector<std::string> command) {
    master_.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (!master_ || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0)
      throw std::runtime_error("no terminal");
    char name[100];
    if (::ptsname_r(master_.get(), name, sizeof name) != 0) throw std::runtime_error("no terminal");
    // Held open here too: the settings outlive the tool.
    slave_.reset(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    std::vector<char*> argv;
    for (std::string& text : command) argv.push_back(text.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("no process");
    if (pid_ == 0) {
      ::setsid();
      ::ioctl(slave_.get(), TIOCSCTTY, 0);
      for (int fd = 0; fd < 3; ++fd) ::dup2(slave_.get(), fd);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~OnTerminal() {
    signal(SIGKILL);
    wait();
  }

  bool echoes() const {
    termios settings{};
    ::tcgetattr(slave_.get(), &settings);
    return (settings.c_lflag & ECHO) != 0;
  }
  // The question comes when echo is off already.
  bool asks() { return wait_text("Password: ") && !echoes(); }
  bool wait_text(std::string_view text, Deadline deadline = {}) {
    while (!contains(text_, text) && wait_fd(master_.get(), POLLIN, deadline)) collect();
    return contains(text_, text);
  }
  void type(std::string_view keys) {
    if (::write(master_.get(), keys.data(), keys.size()) < 0) text_ += "(cannot type)";
  }
  int wait(Deadline deadline = {}) {
    int status = -1;
    if (pid_ > 0 && wait_until([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, deadline)) {
      pid_ = -1;
      collect();
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return -1;
  }
  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);  // -1 would be everybody
  }
  const std::string& text() const { return text_; }

 private:
  void collect() {
    std::array<char, 4096> room;
    for (ssize_t got; (got = ::read(master_.get(), room.data(), room.size())) > 0;)
      text_.append(room.data(), static_cast<size_t>(got));
  }

  base::Fd master_, slave_;
  pid_t pid_ = -1;
  std::string text_;
};

// ---- what it does

void adds_updates_and_deletes(Fixture& f) {
  const Outcome added = f.passwd({"-p", "first", f.path, "alice"});
  f.check(added.status == 0 && added.out.empty() && added.err.empty(), "adds without a word: " + added.err);
  f.check(f.login("alice", "first"), "the password fits");
  f.check(f.text().starts_with("alice:$6$") && f.text().size() == 6 + 3 + 16 + 1 + 86 + 1,
          "SHA-512: " + f.text());
  struct stat status {};
  ::stat(f.path.c_str(), &status);
  f.check((status.st_mode & 0137) == 0, "others cannot read it");

  f.check(f.exits(0, {"--password=second", f.path, "_b9"}), "adds another one");
  f.check(f.exits(0, {"-pthird", f.path, "alice"}), "updates");
  f.check(f.login("alice", "third") && !f.login("alice", "first") && f.login("_b9", "second"),
          "who may log in");
  f.check(f.text().find("alice:") == 0, "the order stays");

  f.check(f.exits(0, {"-d", f.path, "alice"}), "deletes");
  f.check(!f.login("alice", "third") && f.login("_b9", "second"), "alice is gone");
  f.check(f.exits(0, {"-p", "x", f.path, "alice"}) && f.exits(0, {"-D", f.path, "alice"}), "-D");
  f.check(f.exits(0, {"--delete", f.path, "_b9"}) && f.text().empty(), "--delete");
  f.check(f.files() == 1, "no litter");
}

void takes_a_line_of_standard_input(Fixture& f) {
  f.check(f.passwd({"--stdin", f.path, "alice"}, "with blanks  \nsecond line\n").status == 0, "a line");
  f.check(f.login("alice", "with blanks  "), "up to its end");
  f.check(f.passwd({"--stdin", f.path, "alice"}, "dos\r\n").status == 0 && f.login("alice", "dos"), "CR LF");
  f.check(f.passwd({f.path, "--stdin", "alice"}, "no newline").status == 0, "without an end of line");
  f.check(f.login("alice", "no newline"), "all of it");
  const std::string longest(511, 'p');
  f.check(f.passwd({"--stdin", f.path, "alice"}, longest + "\n").status == 0 && f.login("alice", longest),
          "511 bytes");

  const std::string before = f.text();
  const Outcome too_long = f.passwd({"--stdin", f.path, "alice"}, longest + "p\n");
  f.check(too_long.status == 1 && contains(too_long.err, "longer than 511 bytes"),
          "512 bytes: " + too_long.err);
  const Outcome empty = f.passwd({"--stdin", f.path, "alice"}, "\n");
  f.check(empty.status == 1 && contains(empty.err, "must not be empty"), "an empty line: " + empty.err);
  f.check(f.passwd({"--stdin", f.path, "alice"}, std::string("a\0b\n", 4)).status == 1, "a NUL byte");
  f.check(f.text() == before, "refused passwords change nothing");
}

void an_empty_password_is_refused_however_it_comes(Fixture& f) {
  for (const auto& arguments : {std::vector<std::string>{"-p", "", f.path, "alice"},
                                {"--password=", f.path, "alice"},
                                {"--stdin", f.path, "alice"},
                                {"-v", "-p", "", f.path, "alice"}}) {
    const Outcome outcome = f.passwd(arguments, "\n");
    f.check(outcome.status == 1 && contains(outcome.err, "must not be empty"), arguments[0] + outcome.err);
  }
  f.check(f.files() == 0, "nothing was written");
}

void names_of_people_and_machines_are_taken(Fixture& f) {
  for (const char* name : {"web-panel", "panel.example.org", "ops@example.org"}) {
    f.check(f.exits(0, {"-p", "secret", f.path, name}) && f.login(name, "secret"), name);
    f.check(f.exits(0, {"-d", f.path, name}) && !f.login(name, "secret"), name);
  }
}

void verifies_a_password(Fixture& f) {
  f.check(f.exits(0, {"-p", kMarker, f.path, "alice"}));
  const std::string before = f.text();
  const Outcome right = f.passwd({"-v", "-p", kMarker, f.path, "alice"});
  f.check(right.status == 0 && right.out.empty() && right.err.empty(), "right: " + right.err);
  f.check(f.passwd({"--verify", "--stdin", f.path, "alice"}, std::string(kMarker) + "\n").status == 0,
          "from standard input");
  const Outcome wrong = f.passwd({"-v", "-p", "other", f.path, "alice"});
  f.check(wrong.status == 1 && contains(wrong.err, "wrong password"), "wrong: " + wrong.err);
  const Outcome nobody = f.passwd({"-v", "-p", kMarker, f.path, "Bob of old"});
  f.check(nobody.status == 1 && contains(nobody.err, "nobody of that name can log in"), nobody.err);
  const Outcome no_file = f.passwd({"-v", "-p", kMarker, f.folder.file("none"), "alice"});
  f.check(no_file.status == 1 && contains(no_file.err, "No such file"), no_file.err);
  OnTerminal tool(f.command({"-v", f.path, "alice"}));
  f.check(tool.asks(), "asks: " + tool.text());
  tool.type(std::string(kMarker) + "\n");
  f.check(tool.wait() == 0, "typed: " + tool.text());
  // The last line of a user is the one that counts for the daemon.
  write_file(f.path, before + "alice:!\n");
  const Outcome locked = f.passwd({"-v", "-p", kMarker, f.path, "alice"});
  f.check(locked.status == 1 && contains(locked.err, ":2: "), "locked: " + locked.err);
}

void lists_who_can_log_in(Fixture& f) {
  f.check(f.exits(0, {"-p", "x", f.path, "zoe"}) && f.exits(0, {"-p", "x", f.path, "alice"}));
  write_file(f.path, "# comment\nbroken:" + std::string(kMarker) + "\n" + f.text(), 0600);
  const Outcome listed = f.passwd({"-l", f.path});
  f.check(listed.status == 0 && listed.out == "zoe\nalice\n", "-l: " + listed.out);
  f.check(contains(listed.err, f.path + ":2: ") && !contains(listed.err, kMarker), "warns: " + listed.err);
  f.check(f.passwd({"--list", f.path}).out == listed.out, "--list");
  const Outcome none = f.passwd({"-l", f.folder.file("none")});
  f.check(none.status == 1 && none.out.empty() && contains(none.err, "No such file"), none.err);
}

void a_dry_run_only_prints(Fixture& f) {
  write_file(f.path, "# comment\nalice:x\n");
  const Outcome added = f.passwd({"-n", "-p", "pw", f.path, "bob"});
  f.check(added.status == 0 && added.out.starts_with("# comment\nalice:x\nbob:$6$"), "adding: " + added.out);
  const Outcome removed = f.passwd({"--dry", "-d", f.path, "alice"});
  f.check(removed.status == 0 && removed.out == "# comment\n", "deleting: " + removed.out);
  f.check(f.text() == "# comment\nalice:x\n" && f.files() == 1, "the file is as it was");
  const Outcome full =
      run({"sh", "-c", "exec \"$0\" -n -p pw \"$1\" bob >/dev/full", built("vncauthproxy-passwd"), f.path});
  f.check(full.status == 1 && contains(full.err, "standard output"), "nowhere to print: " + full.err);
}

void tells_who_is_missing(Fixture& f) {
  const Outcome no_file = f.passwd({"-d", f.path, "alice"});
  f.check(no_file.status == 1 && contains(no_file.err, "no user of that name"), no_file.err);
  f.check(f.files() == 0, "no file comes of it");
  write_file(f.path, "bob:x\n");
  const Outcome no_user = f.passwd({"-d", f.path, "alice"});
  f.check(no_user.status == 1 && contains(no_user.err, "no user of that name"), no_user.err);
  const Outcome no_folder = f.passwd({"-p", "x", f.folder.file("none/users"), "alice"});
  f.check(no_folder.status == 1 && contains(no_folder.err, "No such file"), no_folder.err);
}

void a_full_disk_changes_nothing(Fixture& f) {
  write_file(f.path, "bob:x\n");
  // The limit stands for the full disk; without care it would end the program by a signal.
  const Outcome full =
      run({"sh", "-c", "ulimit -f 0; exec \"$0\" -p pw \"$1\" alice", built("vncauthproxy-passwd"), f.path});
  f.check(full.status == 1 && contains(full.err, "cannot be written"),
          std::to_string(full.status) + full.err);
  f.check(f.text() == "bob:x\n" && f.files() == 1, "the file is as it was, and alone");
}

// ---- command line

void wrong_usage_exits_2(Fixture& f) {
  const std::vector<std::vector<std::string>> rows = {{},
                                                      {f.path},
                                                      {f.path, "alice", "more"},
                                                      {"-x", f.path, "alice"},
                                                      {"--unknown", f.path, "alice"},
                                                      {"--dry-run=yes", f.path, "alice"},
                                                      {"-p"},
                                                      {f.path, "alice", "--password"},
                                                      {"-p", "x", "--stdin", f.path, "alice"},
                                                      {"--d", f.path, "alice"},
                                                      {"-l"},
                                                      {"-l", f.path, "alice"},
                                                      {"-l", "-p", "x", f.path},
                                                      {"-l", "-n", f.path},
                                                      {"-v", "-d", f.path, "alice"},
                                                      {"-d", "-l", f.path}};
  for (const auto& row : rows) {
    const Outcome outcome = f.passwd(row);
    const std::string name = row.empty() ? "nothing" : row[0];
    f.check(outcome.status == 2, name + ": " + std::to_string(outcome.status));
    f.check(outcome.out.empty() && outcome.err.starts_with("usage: vncauthproxy-passwd "),
            name + ": " + outcome.err);
  }
  f.check(f.files() == 0, "nothing was written");
}

void refusals_exit_1(Fixture& f) {
  for (const char* user : {"", "Alice", "9a", "@a", "a:b", "a\nb", "abcdefghijklmnopqrstuvwxyz012345"}) {
    const Outcome outcome = f.passwd({"-p", "x", f.path, user});
    f.check(outcome.status == 1 && contains(outcome.err, "^[a-z_][a-z0-9_.@-]{0,30}$"), user);
  }
  const Outcome both = f.passwd({"-d", "-p", kMarker, f.path, "alice"});
  f.check(both.status == 1 && both.out.starts_with("usage: ") && contains(both.out, "--dry-run"),
          "-d with -p: help");
  f.check(contains(both.err, "give no password"), "-d with -p: " + both.err);
  f.check(f.files() == 0, "nothing was written");
}

void helps(Fixture& f) {
  for (const char* option : {"-h", "--help"}) {
    const Outcome help = f.passwd({option});
    f.check(help.status == 0 && help.err.empty() && help.out.starts_with("usage: "), option);
    for (const char* each : {"-n, --dry-run", "-d, -D, --delete", "-v, --verify", "-l, --list",
                             "-p, --password", "--stdin", "--version"})
      f.check(contains(help.out, each), each);
  }
  const Outcome version = f.passwd({"--version"});
  f.check(version.status == 0 && contains(version.out, "vncauthproxy "), "--version: " + version.out);
}

// ---- secrets

void the_argument_is_wiped_at_once(Fixture& f) {
  // The lock, held here, keeps the tool waiting.
  const base::Fd lock(::open((f.path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  f.check(::flock(lock.get(), LOCK_EX) == 0, "lock");
  Program tool(f.command({"-p", kMarker, f.path, "alice"}));
  const std::string cmdline = "/proc/" + std::to_string(tool.pid()) + "/cmdline";
  f.check(wait_until([&] {
            return contains(read_file(cmdline), "alice") && !contains(read_file(cmdline), kMarker);
          }),
          "the password is gone from the process list");
  f.check(tool.running(), "the tool waits for the lock");
  ::unlink((f.path + ".lock").c_str());
  ::flock(lock.get(), LOCK_UN);
  f.check(tool.wait() == 0 && f.login("alice", kMarker), "the password was set all the same: " + tool.err());
  f.check(f.files() == 1, "the lock is gone");
}

void errors_do_not_repeat_a_secret(Fixture& f) {
  const std::string marker = kMarker;
  for (const std::vector<std::string>& row :
       std::vector<std::vector<std::string>>{{"--pasword=" + marker, f.path, "alice"},
                                             {"--stdin=" + marker, f.path, "alice"},
                                             {"-p", marker, f.path, "Bad.User"},
                                             {"-d", "-p", marker, f.path, "alice"},
                                             {"-p", marker, f.folder.file("none/users"), "alice"}}) {
    const Outcome outcome = f.passwd(row);
    f.check(outcome.status != 0 && !contains(outcome.err + outcome.out, marker), outcome.err);
  }
}

// ---- the prompt

void asks_once_without_echo(Fixture& f) {
  OnTerminal tool(f.command({f.path, "alice"}));
  f.check(tool.asks(), "asks, with echo off: " + tool.text());
  tool.type(std::string(kMarker) + "\n");
  f.check(tool.wait() == 0, "done: " + tool.text());
  f.check(tool.echoes(), "echo is back");
  f.check(!contains(tool.text(), kMarker), "nothing was shown: " + tool.text());
  f.check(f.login("alice", kMarker), "the password fits");
}

void asks_on_the_terminal_though_input_is_elsewhere(Fixture& f) {
  OnTerminal tool({"/bin/sh", "-c", "exec \"$0\" \"$1\" alice </dev/null 2>/dev/null",
                   built("vncauthproxy-passwd"), f.path});
  f.check(tool.asks(), "asks: " + tool.text());
  tool.type("typed\n");
  f.check(tool.wait() == 0 && f.login("alice", "typed"), "the password was typed");
}

void an_empty_answer_is_refused(Fixture& f) {
  for (const char* keys : {"\n", "\x04"}) {
    OnTerminal tool(f.command({f.path, "alice"}));
    f.check(tool.asks(), "asks");
    tool.type(keys);
    f.check(tool.wait() == 1 && contains(tool.text(), "must not be empty"), "refused: " + tool.text());
    f.check(tool.echoes() && f.files() == 0, "echo is back, no file");
  }
}

void control_c_exits_130_with_echo(Fixture& f) {
  OnTerminal tool(f.command({f.path, "alice"}));
  f.check(tool.asks(), "asks");
  tool.type("half a pass\x03");
  f.check(tool.wait() == 130, "exit 130: " + tool.text());
  f.check(tool.echoes() && f.files() == 0, "echo is back, no file");
}

void a_signal_leaves_the_terminal_right(Fixture& f) {
  for (const int number : {SIGTERM, SIGHUP, SIGQUIT}) {
    OnTerminal tool(f.command({f.path, "alice"}));
    f.check(tool.asks(), "asks");
    tool.signal(number);
    f.check(tool.wait() == 128 + number, "ended by " + std::to_string(number));
    f.check(tool.echoes() && f.files() == 0, "echo is back, no file");
  }
}

void without_a_terminal_it_says_what_to_do(Fixture& f) {
  const Outcome outcome = run({"setsid", "-w", built("vncauthproxy-passwd"), f.path, "alice"},
                              {.environment = {}, .input = "secret\n", .descriptors = 0});
  f.check(outcome.status == 1 && contains(outcome.err, "--stdin"), outcome.err);
  f.check(f.files() == 0, "no file");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      CHECKED(Fixture, adds_updates_and_deletes),
      CHECKED(Fixture, takes_a_line_of_standard_input),
      CHECKED(Fixture, an_empty_password_is_refused_however_it_comes),
      CHECKED(Fixture, names_of_people_and_machines_are_taken),
      CHECKED(Fixture, verifies_a_password),
      CHECKED(Fixture, lists_who_can_log_in),
      CHECKED(Fixture, a_dry_run_only_prints),
      CHECKED(Fixture, tells_who_is_missing),
      CHECKED(Fixture, a_full_disk_changes_nothing),
      CHECKED(Fixture, wrong_usage_exits_2),
      CHECKED(Fixture, refusals_exit_1),
      CHECKED(Fixture, helps),
      CHECKED(Fixture, the_argument_is_wiped_at_once),
      CHECKED(Fixture, errors_do_not_repeat_a_secret),
      CHECKED(Fixture, asks_once_without_echo),
      CHECKED(Fixture, asks_on_the_terminal_though_input_is_elsewhere),
      CHECKED(Fixture, an_empty_answer_is_refused),
      CHECKED(Fixture, control_c_exits_130_with_echo),
      CHECKED(Fixture, a_signal_leaves_the_terminal_right),
      CHECKED(Fixture, without_a_terminal_it_says_what_to_do),
  };
  return run_group("vncauthproxy-passwd", tests);
}
