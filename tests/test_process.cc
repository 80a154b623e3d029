// SPDX-License-Identifier: GPL-2.0-or-later
// What changes a process is done in forked children; they report by a pipe, and the test asserts.
#include "vncauthproxy/base/identity.h"
#include "vncauthproxy/base/pid_file.h"
#include "vncauthproxy/base/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/denied_calls.h"

namespace vncauthproxy::base {
namespace {

using testing::NoFixture;

constexpr int kDeadlineMs = 20000;
constexpr uid_t kNobody = 65534;

// A pipe of integers; reading gives up at a deadline.
struct Wire {
  int ends[2] = {-1, -1};

  Wire() {
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  }
  ~Wire() {
    ::close(ends[0]);
    close_writer();
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  void put(long value) {
    if (::write(ends[1], &value, sizeof value) != sizeof value) ::_exit(99);
  }
  // The next integer; -1 at the end, -2 when nothing comes.
  long get() {
    pollfd event{ends[0], POLLIN, 0};
    if (::poll(&event, 1, kDeadlineMs) <= 0) return -2;
    long value = 0;
    return ::read(ends[0], &value, sizeof value) == sizeof value ? value : -1;
  }
};

// The exit status of a child: what it gave to _exit(), or 1000 and the signal.
int end_of(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

template <typename Body>
pid_t in_child(Body body) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  body();
  ::_exit(0);
}

struct Fixture {
  std::string folder, path, other, text;
  PidFile file;
  Wire up, go;

  Fixture() {
    char name[] = "/tmp/vncauthproxy-process.XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    folder = name;
    path = folder + "/daemon.pid";
    other = folder + "/other";
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  static void write(const std::string& to, const std::string& content) { std::ofstream(to) << content; }
  bool holds(const std::string& content, const std::string& from) {
    std::ifstream in(from);
    text.assign(std::istreambuf_iterator<char>(in), {});
    return in.is_open() && text == content;
  }
  bool holds_our_pid() { return holds(std::to_string(::getpid()) + "\n", path); }
  bool is_there() const { return ::access(path.c_str(), F_OK) == 0; }
  // Creates the pid file; the code of the error, whose detail goes to `text`, or -1.
  int create() { return create(path); }
  int create(const std::string& at) {
    Result<PidFile> created = PidFile::create(at);
    if (created) file = *std::move(created);
    text = created ? "" : created.error().detail;
    return created ? -1 : static_cast<int>(created.error().code);
  }
};

constexpr int kDenied = static_cast<int>(ErrorCode::denied);
constexpr int kInUse = static_cast<int>(ErrorCode::in_use);
constexpr int kInvalid = static_cast<int>(ErrorCode::invalid);
constexpr int kSystem = static_cast<int>(ErrorCode::system);

// ---- standard descriptors, inspection

void fills_closed_standard_descriptors(NoFixture&) {
  const pid_t child = in_child([] {
    ::close(STDIN_FILENO);
    ::close(STDERR_FILENO);
    if (!fill_standard_descriptors()) ::_exit(3);
    struct stat null, in, error;
    if (::stat("/dev/null", &null) != 0 || ::fstat(STDIN_FILENO, &in) != 0 ||
        ::fstat(STDERR_FILENO, &error) != 0)
      ::_exit(1);
    ::_exit(in.st_rdev == null.st_rdev && error.st_rdev == null.st_rdev ? 0 : 2);
  });
  assert_int_equal(end_of(child), 0);
}

void a_process_that_forbids_it_leaves_no_core(NoFixture&) {
  const pid_t child = in_child([] {
    if (!forbid_inspection()) ::_exit(3);
    rlimit limit{1, 1};
    if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0 || limit.rlim_max != 0) ::_exit(1);
    if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) ::_exit(2);
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
  });
  int status = 0;
  assert_int_equal(::waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGSEGV);
  assert_false(WCOREDUMP(status));
}

// How many of environ, mem and fd of `pid` a process of our uid can open.
int openings(pid_t pid) {
  int opened = 0;
  for (const char* name : {"environ", "mem", "fd"}) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/%s", static_cast<int>(pid), name);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    opened += fd >= 0;
    if (fd >= 0) ::close(fd);
  }
  return opened;
}

void the_same_uid_cannot_look_inside(Fixture& f) {
  const bool root = ::geteuid() == 0;
  const pid_t watched = in_child([&f, root] {
    f.go.close_writer();
    if (root && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(1);
    if (!forbid_inspection()) ::_exit(2);
    f.up.put(1);
    (void)f.go.get();
  });
  assert_int_equal(f.up.get(), 1);
  const pid_t watcher = in_child([watched, root] {
    if (root && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(90);
    if (openings(::getpid()) == 0 && !root) ::_exit(91);  // /proc must be there for this to prove anything
    ::_exit(openings(watched));
  });
  const int opened = end_of(watcher);
  f.go.put(1);
  assert_int_equal(end_of(watched), 0);
  assert_int_equal(opened, 0);
}

// ---- detaching

// Forks a starting command whose daemon runs `body` with the Readiness.
template <typename Body>
pid_t start_command(Body body) {
  return in_child([&body] {
    Result<Readiness> readiness = Readiness::detach();
    if (!readiness) ::_exit(98);
    body(*readiness);
    ::_exit(0);
  });
}

long is_dev_null(int fd) {
  struct stat null, status;
  return ::stat("/dev/null", &null) == 0 && ::fstat(fd, &status) == 0 && null.st_rdev == status.st_rdev;
}

void the_command_returns_when_the_daemon_is_ready(Fixture& f) {
  const pid_t command = start_command([&f](Readiness& readiness) {
    char cwd[8] = "";
    f.up.put(::getpid());
    f.up.put(::getsid(0));
    f.up.put(::getcwd(cwd, sizeof cwd) != nullptr && std::strcmp(cwd, "/") == 0);
    (void)f.go.get();
    if (!readiness.ready()) ::_exit(97);
    f.up.put(is_dev_null(0) + is_dev_null(1) + is_dev_null(2));
  });
  f.up.close_writer();
  const long pid = f.up.get(), sid = f.up.get(), at_root = f.up.get();
  int status = 0;
  const pid_t ended_early = ::waitpid(command, &status, WNOHANG);
  f.go.put(1);
  const int end = end_of(command);
  const long nulls = f.up.get(), last = f.up.get();
  assert_true(pid > 1 && pid != command);
  assert_true(sid > 1 && sid != pid && sid != ::getsid(0));
  assert_int_equal(at_root, 1);
  assert_int_equal(ended_early, 0);
  assert_int_equal(end, 0);
  assert_int_equal(nulls, 3);
  assert_int_equal(last, -1);
}

void the_command_fails_when_the_daemon_ends_first(NoFixture&) {
  assert_int_equal(end_of(start_command([](Readiness&) { ::_exit(0); })), 1);
  assert_int_equal(end_of(start_command([](Readiness&) { ::raise(SIGKILL); })), 1);
}

void the_daemon_outlives_a_killed_command(Fixture& f) {
  const pid_t command = start_command([&f](Readiness& readiness) {
    ::signal(SIGPIPE, SIG_DFL);
    f.up.put(1);
    (void)f.go.get();
    if (!readiness.ready()) ::_exit(97);
    f.up.put(2);
  });
  f.up.close_writer();
  const long first = f.up.get();
  ::kill(command, SIGKILL);
  const int end = end_of(command);
  f.go.put(1);
  const long second = f.up.get(), last = f.up.get();
  assert_int_equal(first, 1);
  assert_int_equal(end, 1000 + SIGKILL);
  assert_int_equal(second, 2);
  assert_int_equal(last, -1);
}

void in_the_foreground_nothing_happens(NoFixture&) {
  const pid_t child = in_child([] {
    struct stat before, after;
    if (::fstat(STDERR_FILENO, &before) != 0) ::_exit(1);
    if (!Readiness().ready()) ::_exit(3);
    ::_exit(::fstat(STDERR_FILENO, &after) == 0 && before.st_ino == after.st_ino ? 0 : 2);
  });
  assert_int_equal(end_of(child), 0);
}

// ---- what the kernel refuses

// 0: `act` is an error where these calls are denied. 98: it cannot be tried.
template <typename Act>
int fails_without(const std::vector<testing::DeniedCall>& denied, Act act) {
  return testing::in_child([&] {
    if (!testing::DeniedCalls(denied, EPERM).install()) return 98;
    const Result<void> done = act();
    return done ? 1 : 0;
  });
}

void refusals_of_the_kernel_are_errors(NoFixture&) {
  if (!testing::calls_can_be_denied()) skip();
  // The C library sets a limit by either of two calls.
  const int limit = fails_without({{SYS_prlimit64, 1, RLIMIT_FSIZE}, {SYS_setrlimit, 0, RLIMIT_FSIZE}},
                                  [] { return lower_limit(RLIMIT_FSIZE, 0); });
  const int core = fails_without({{SYS_prlimit64, 1, RLIMIT_CORE}, {SYS_setrlimit, 0, RLIMIT_CORE}},
                                 [] { return forbid_inspection(); });
  const int dumpable = fails_without({{SYS_prctl, 0, PR_SET_DUMPABLE}}, [] { return forbid_inspection(); });
  const int privileges =
      fails_without({{SYS_prctl, 0, PR_SET_NO_NEW_PRIVS}}, [] { return forbid_new_privileges(); });
  assert_int_equal(limit, 0);
  assert_int_equal(core, 0);
  assert_int_equal(dumpable, 0);
  assert_int_equal(privileges, 0);
}

// ---- the pid file

void writes_and_removes_the_file(Fixture& f) {
  const mode_t mask = ::umask(077);
  const int created = f.create();
  ::umask(mask);
  assert_int_equal(created, -1);
  assert_true(f.holds_our_pid());
  struct stat status;
  assert_int_equal(::stat(f.path.c_str(), &status), 0);
  assert_int_equal(status.st_mode & 07777, 0644);
  f.file.remove();
  assert_false(f.is_there());
  f.file.remove();
}

void takes_over_a_stale_file(Fixture& f) {
  f.write(f.path, "1234567890123 a longer text than a pid\n");
  assert_int_equal(f.create(), -1);
  assert_true(f.holds_our_pid());
}

void an_empty_path_is_no_file(Fixture& f) {
  f.text.clear();
  assert_int_equal(f.create(f.text), -1);
  const bool no_error = static_cast<bool>(f.file.write_pid());
  assert_true(no_error);
  f.file.remove();
}

void names_the_process_that_holds_it(Fixture& f) {
  const pid_t holder = in_child([&f] {
    f.go.close_writer();
    f.up.put(f.create());
    (void)f.go.get();
  });
  assert_int_equal(f.up.get(), -1);
  const int code = f.create();
  const bool said = f.text == "already running as process " + std::to_string(holder) + ": it holds " + f.path;
  f.go.put(1);
  assert_int_equal(end_of(holder), 0);
  assert_int_equal(code, kInUse);
  assert_true(said);
  assert_int_equal(f.create(), -1);  // it ended without remove(): stale
  assert_true(f.holds_our_pid());
}

void the_lock_passes_to_the_daemon(Fixture& f) {
  const pid_t command = in_child([&f] {
    f.go.close_writer();
    if (f.create() != -1) ::_exit(1);
    if (::fork() != 0) ::_exit(0);
    if (!f.file.write_pid()) ::_exit(1);
    f.up.put(::getpid());
    (void)f.go.get();
    f.file.remove();
    f.up.put(0);
  });
  f.up.close_writer();
  const int end = end_of(command);
  const long daemon = f.up.get();
  const int code = f.create();
  const bool names_daemon = f.text.find(" process " + std::to_string(daemon) + ":") != std::string::npos;
  f.go.put(1);
  const long removed = f.up.get();
  assert_int_equal(end, 0);
  assert_int_equal(code, kInUse);
  assert_true(names_daemon);
  assert_int_equal(removed, 0);
  assert_false(f.is_there());
}

void of_many_starts_at_once_one_wins(Fixture& f) {
  constexpr int count = 12;
  pid_t children[count];
  f.write(f.path, "1\n");
  for (pid_t& child : children)
    child = in_child([&f] {
      f.go.close_writer();
      f.up.put(f.create());
      (void)f.go.get();  // until the end of it: every winner holds on
    });
  int winners = 0, refused = 0;
  for (int i = 0; i < count; ++i) {
    const long code = f.up.get();
    winners += code == -1;
    refused += code == kInUse;
  }
  f.go.close_writer();
  for (const pid_t child : children) assert_int_equal(end_of(child), 0);
  assert_int_equal(winners, 1);
  assert_int_equal(refused, count - 1);
}

void never_follows_a_planted_link(Fixture& f) {
  f.write(f.other, "precious\n");
  assert_int_equal(::symlink(f.other.c_str(), f.path.c_str()), 0);
  assert_int_equal(f.create(), kDenied);
  const bool said = f.text == "the pid file " + f.path + " is a symbolic link";
  assert_true(said);
  const bool kept = f.holds("precious\n", f.other);
  assert_true(kept);
}

void refuses_what_is_no_plain_file(Fixture& f) {
  f.write(f.other, "precious\n");
  assert_int_equal(::link(f.other.c_str(), f.path.c_str()), 0);
  assert_int_equal(f.create(), kDenied);
  const bool kept = f.holds("precious\n", f.other);
  assert_true(kept);
  ::unlink(f.path.c_str());
  assert_int_equal(::mkfifo(f.path.c_str(), 0600), 0);
  assert_int_equal(f.create(), kDenied);
  ::unlink(f.path.c_str());
  assert_int_equal(::mkdir(f.path.c_str(), 0700), 0);
  assert_int_equal(f.create(), kSystem);
  ::rmdir(f.path.c_str());
}

void refuses_folders_that_will_not_do(Fixture& f) {
  assert_int_equal(::chmod(f.folder.c_str(), 01777), 0);
  assert_int_equal(f.create(), kDenied);
  const bool said = f.text == "everybody may write to " + f.folder + ", where the pid file would be";
  assert_true(said);
  f.path = f.folder + "/none/daemon.pid";
  assert_int_equal(f.create(), kSystem);
  const bool missing = f.text == "the pid file's folder " + f.folder + "/none: No such file or directory";
  assert_true(missing);
}

void removes_only_its_own_pid(Fixture& f) {
  assert_int_equal(f.create(), -1);
  f.write(f.path, "1\n");
  f.file.remove();
  const bool kept = f.holds("1\n", f.path);
  assert_true(kept);
}

void removes_only_its_own_file(Fixture& f) {
  assert_int_equal(f.create(), -1);
  ::unlink(f.path.c_str());
  f.other = std::to_string(::getpid()) + "\n";
  f.write(f.path, f.other);
  f.file.remove();
  assert_true(f.is_there());
}

void a_worker_removes_nothing(Fixture& f) {
  assert_int_equal(f.create(), -1);
  assert_int_equal(end_of(in_child([&f] { f.file.remove(); })), 0);
  assert_true(f.holds_our_pid());
  f.file.remove();
  assert_false(f.is_there());
}

void empties_a_file_it_may_not_unlink(Fixture& f) {
  if (::geteuid() != 0) skip();
  ::chmod(f.folder.c_str(), 0755);
  const pid_t child = in_child([&f] {
    if (f.create() != -1) ::_exit(1);
    if (::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(2);
    f.file.remove();
  });
  assert_int_equal(end_of(child), 0);
  const bool empty = f.holds("", f.path);
  assert_true(empty);
}

// ---- identities

// Uid and gid as one number, or minus the code of the error, whose detail goes to `text`.
long long identity_of(const char* user, const char* group, std::string& text) {
  Result<Identity> found = find_identity(user, group);
  text = found ? "" : found.error().detail;
  if (!found) return -1 - static_cast<long long>(found.error().code);
  return static_cast<long long>(found->uid) << 32 | found->gid;
}

void finds_users_and_groups(Fixture& f) {
  struct {
    const char *user, *group;
    uid_t uid;
    gid_t gid;
  } const rows[] = {
      {"root", "", 0, 0},
      {"0", "", 0, 0},
      {"root", "12345678", 0, 12345678},
      {"daemon", "root", 1, 0},
      {"12345678", "0", 12345678, 0},
  };
  for (const auto& row : rows) {
    const long long found = identity_of(row.user, row.group, f.text);
    if (found < 0) print_error("%s\n", f.text.c_str());
    assert_int_equal(found, static_cast<long long>(row.uid) << 32 | row.gid);
  }
  const struct passwd* entry = ::getpwnam("daemon");
  assert_non_null(entry);
  const gid_t own = entry->pw_gid;
  assert_int_equal(identity_of("daemon", "", f.text), 1ll << 32 | own);
}

// What --check says and a start then does.
void a_check_finds_what_create_would_refuse(Fixture& f) {
  const auto check = [&f](const std::string& path) {
    const Result<void> checked = PidFile::check(path);
    f.text = checked ? "" : checked.error().detail;
    return checked ? -1 : static_cast<int>(checked.error().code);
  };
  assert_int_equal(check(""), -1);
  assert_int_equal(check(f.path), -1);
  assert_false(f.is_there());
  assert_int_equal(f.create(), -1);
  assert_int_equal(check(f.path), -1);  // held by a daemon
  assert_true(f.holds_our_pid());
  assert_int_equal(check(f.folder + "/none/pid"), kSystem);
  ::unlink(f.path.c_str());
  std::filesystem::create_symlink("other", f.path);
  assert_int_equal(check(f.path), kDenied);
  ::unlink(f.path.c_str());
  ::mkfifo(f.path.c_str(), 0600);
  assert_int_equal(check(f.path), kDenied);
  ::unlink(f.path.c_str());
  f.write(f.other, "");
  std::filesystem::create_hard_link(f.other, f.path);
  assert_int_equal(check(f.path), kDenied);
  ::chmod(f.folder.c_str(), 0777);
  assert_int_equal(check(f.folder + "/new"), kDenied);
}

void says_what_to_do_about_unknown_names(Fixture& f) {
  struct {
    const char *user, *group, *text;
  } const rows[] = {
      {"no-such-user", "",
       "there is no user no-such-user; create one (useradd --system --user-group --home-dir /nonexistent "
       "--shell /usr/sbin/nologin no-such-user) "
       "or "
       "name another with --user"},
      {"root", "no-such-group",
       "there is no group no-such-group; create one (groupadd --system no-such-group) or name another"},
      {"12345678", "", "there is no user with the number 12345678; name a group too, with --group"},
      // "Leave it as it is", says the kernel to this one.
      {"4294967295", "0",
       "there is no user 4294967295; create one (useradd --system --user-group --home-dir /nonexistent "
       "--shell /usr/sbin/nologin 4294967295) or "
       "name "
       "another with --user"},
      {"-1", "0",
       "there is no user -1; create one (useradd --system --user-group --home-dir /nonexistent --shell "
       "/usr/sbin/nologin -1) or name another with "
       "--user"},
      {"root", "4294967295",
       "there is no group 4294967295; create one (groupadd --system 4294967295) or name another"},
  };
  for (const auto& row : rows) {
    assert_int_equal(identity_of(row.user, row.group, f.text), -1 - kInvalid);
    const bool same = f.text == row.text;
    if (!same) print_error("%s\n", f.text.c_str());
    assert_true(same);
  }
}

// The value of a line of /proc/self/status, blanks and all.
std::string status_line(const char* name) {
  std::ifstream in("/proc/thread-self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(std::string(name) + ":")) return line.substr(std::strlen(name) + 1);
  return "(missing)";
}

bool is_one_of(const std::string& text, std::initializer_list<const char*> allowed) {
  for (const char* each : allowed)
    if (text == each) return true;
  std::fprintf(stderr, "found '%s'\n", text.c_str());
  return false;
}

void gives_up_all_privileges(NoFixture&) {
  if (::geteuid() != 0) skip();
  const pid_t child = in_child([] {
    const gid_t groups[] = {0, 1, 2};
    const bool may_drop = ::prctl(PR_CAPBSET_READ, 8 /* CAP_SETPCAP */, 0, 0, 0) == 1;
    if (::setgroups(3, groups) != 0) ::_exit(1);
    if (Result<void> became = become({kNobody, 65533}); !became) {
      std::fprintf(stderr, "%s\n", became.error().detail.c_str());
      ::_exit(2);
    }
    if (!is_one_of(status_line("Uid"), {"\t65534\t65534\t65534\t65534"})) ::_exit(3);
    if (!is_one_of(status_line("Gid"), {"\t65533\t65533\t65533\t65533"})) ::_exit(4);
    if (!is_one_of(status_line("Groups"), {"\t", "\t ", ""})) ::_exit(5);
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
      if (!is_one_of(status_line(set), {"\t0000000000000000"})) ::_exit(6);
    if (may_drop && !is_one_of(status_line("CapBnd"), {"\t0000000000000000"})) ::_exit(7);
    if (!is_one_of(status_line("NoNewPrivs"), {"\t1"})) ::_exit(8);
    if (::setuid(0) == 0 || ::setgid(0) == 0 || ::setgroups(3, groups) == 0) ::_exit(9);
    if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) ::_exit(10);
  });
  assert_int_equal(end_of(child), 0);
}

void stays_root_for_those_who_insist(NoFixture&) {
  if (::geteuid() != 0) skip();
  const pid_t child = in_child([] {
    if (!become({0, 0})) ::_exit(1);
    if (::geteuid() != 0 || !is_one_of(status_line("NoNewPrivs"), {"\t1"})) ::_exit(2);
  });
  assert_int_equal(end_of(child), 0);
}

void without_root_it_is_an_error(NoFixture&) {
  const bool root = ::geteuid() == 0;
  const pid_t child = in_child([root] {
    if (root && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(1);
    Result<void> became = become({kNobody - 1, kNobody - 1});
    ::_exit(became ? 2 : became.error().detail == "setgroups: Operation not permitted" ? 0 : 3);
  });
  assert_int_equal(end_of(child), 0);
}

// ---- memory

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(NoFixture, fills_closed_standard_descriptors),
      TEST(NoFixture, a_process_that_forbids_it_leaves_no_core),
      TEST(Fixture, the_same_uid_cannot_look_inside),
      TEST(Fixture, the_command_returns_when_the_daemon_is_ready),
      TEST(NoFixture, the_command_fails_when_the_daemon_ends_first),
      TEST(Fixture, the_daemon_outlives_a_killed_command),
      TEST(NoFixture, in_the_foreground_nothing_happens),
      TEST(NoFixture, refusals_of_the_kernel_are_errors),
      TEST(Fixture, writes_and_removes_the_file),
      TEST(Fixture, takes_over_a_stale_file),
      TEST(Fixture, an_empty_path_is_no_file),
      TEST(Fixture, names_the_process_that_holds_it),
      TEST(Fixture, the_lock_passes_to_the_daemon),
      TEST(Fixture, of_many_starts_at_once_one_wins),
      TEST(Fixture, never_follows_a_planted_link),
      TEST(Fixture, refuses_what_is_no_plain_file),
      TEST(Fixture, refuses_folders_that_will_not_do),
      TEST(Fixture, removes_only_its_own_pid),
      TEST(Fixture, removes_only_its_own_file),
      TEST(Fixture, a_worker_removes_nothing),
      TEST(Fixture, empties_a_file_it_may_not_unlink),
      TEST(Fixture, finds_users_and_groups),
      TEST(Fixture, a_check_finds_what_create_would_refuse),
      TEST(Fixture, says_what_to_do_about_unknown_names),
      TEST(NoFixture, gives_up_all_privileges),
      TEST(NoFixture, stays_root_for_those_who_insist),
      TEST(NoFixture, without_root_it_is_an_error),
  };
  return vncauthproxy::testing::run_group("process", tests);
}
