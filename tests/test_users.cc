// SPDX-License-Identifier: GPL-2.0-or-later
// The users file read, checked and rewritten; what is unusable, what costs too much, what must not be
// trusted, what a full disk leaves.
#include "vncauthproxy/users/crypt_hash.h"
#include "vncauthproxy/users/users.h"
#include "vncauthproxy/users/users_edit.h"

#include <crypt.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::users {
namespace {

using base::ErrorCode;
using base::LogLevel;
using base::Result;
using base::Secret;
using base::set_log_sink;

using testing::NoFixture;
using namespace std::string_view_literals;
namespace fs = std::filesystem;

std::string hash_with(const char* setting, const char* password) {
  static crypt_data data;
  const char* const hash = ::crypt_rn(password, setting, &data, sizeof data);
  return hash != nullptr ? hash : "crypt(3) refuses";
}

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_users.XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/users";
    good = hash_with("$6$saltsaltsaltsalt$", "secret");
    set_log_sink([this](LogLevel level, std::string_view line) {
      if (level <= LogLevel::warning) log.append(line).append("\n");
    });
  }
  ~Fixture() {
    set_log_sink({});
    fs::remove_all(folder);
  }

  void write(std::string_view text, mode_t mode = 0600) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    ::chmod(path.c_str(), mode);
  }
  std::string read() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool holds(std::string_view text) const { return read() == text; }
  bool loads() {
    users = Users::load(path);
    return static_cast<bool>(*users);
  }
  int load_error() {
    users = Users::load(path);
    return *users ? -1 : static_cast<int>(users->error().code);
  }
  size_t count() const { return (*users)->size(); }
  bool login(std::string_view user, std::string_view password) const {
    return (*users)->verify(user, Secret(password));
  }
  bool logged(std::string_view text) const { return log.find(text) != log.npos; }

  // -1: done
  int edit(std::string_view user, std::string_view hash, bool dry_run = false) {
    edited = edit_users_file(path, user, hash, dry_run);
    return *edited ? -1 : static_cast<int>(edited->error().code);
  }
  int change() const { return static_cast<int>((*edited)->change); }
  bool proposed(std::string_view text) const { return (*edited)->text.reveal() == text; }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

  std::string folder, path, log;
  std::string good;   // the hash of "secret"
  std::string spare;  // texts that live across assertions
  std::optional<Result<Users>> users;
  std::optional<Result<UsersEdit>> edited;
};

int code(ErrorCode value) {
  return static_cast<int>(value);
}

// ---- hashes

constexpr const char* kAcceptedSettings[] = {
    "$6$abcdefghijklmnop$",
    "$6$ab$",
    "$6$rounds=1000$abcdefghijklmnop$",
    "$6$rounds=100000$abcdefghijklmnop$",
    "$5$abcdefghijklmnop$",
    "$5$rounds=20000$abc$",
    "$2b$04$abcdefghijklmnopqrstuu",
    "$2a$05$abcdefghijklmnopqrstuu",
    "$2y$09$abcdefghijklmnopqrstuu",
    "$2x$05$abcdefghijklmnopqrstuu",
    "$y$j9T$abcdefghijklmnopqrstu/$",
    "$y$j75$abcdefghijklmnopqrstu/$",
    "$gy$j8T$abcdefghijklmnopqrstu/$",
    "$7$8U..../....abcdefghijklmnop$",
    "$7$AU..../....abcdefghijklmnop$",
    "$sha1$40000$abcdefgh$",
    "$sha1$12$abcdefgh$",
    "$md5$abcdefgh$",
    "$md5,rounds=10000$abcdefgh$",
    "$1$abcdefgh$",
};

void every_accepted_kind_logs_in(Fixture& f) {
  for (const char* setting : kAcceptedSettings) {
    f.write("someone:" + hash_with(setting, "secret") + "\n");
    const bool loaded = f.loads() && f.count() == 1;
    const bool right = loaded && f.login("someone", "secret");
    const bool wrong = loaded && (f.login("someone", "Secret") || f.login("other", "secret"));
    if (!loaded || !right || wrong)
      print_error("%s: loaded %d, right %d, wrong %d\n", setting, loaded, right, wrong);
    assert_true(loaded);
    assert_true(right);
    assert_false(wrong);
  }
}

void a_costly_hash_is_refused_before_it_runs(NoFixture&) {
  struct {
    std::string_view parameters, salt;
    size_t hash_size;
  } const rows[] = {
      {"$6$rounds=100001$", "abc$", 86},
      {"$6$rounds=999999999$", "abc$", 86},
      {"$5$rounds=100001$", "abc$", 43},
      {"$5$rounds=999999999$", "abc$", 43},
      {"$2b$10$", "", 53},
      {"$2a$31$", "", 53},
      {"$y$jAT$", "abcd$", 43},
      {"$y$jzT$", "abcd$", 43},
      {"$y$j9U$", "abcd$", 43},
      {"$y$.9T$", "abcd$", 43},
      {"$y$/9T$", "abcd$", 43},
      {"$y$j9T0$", "abcd$", 43},
      {"$y$j9T.....$", "abcd$", 43},
      {"$gy$jAT$", "abcd$", 43},
      {"$7$CU..../....", "abcd$", 43},
      {"$7$BU..../....", "abcd$", 43},
      {"$7$zU..../....", "abcd$", 43},
      {"$7$A/.....1...", "abcd$", 43},
      {"$7$/zzzzzzzzzz", "abcd$", 43},
      {"$7$8U....zzzzz", "abcd$", 43},
      {"$sha1$40001$", "abcdefgh$", 28},
      {"$sha1$4294967295$", "abcdefgh$", 28},
      {"$md5,rounds=10001$", "abcdefgh$", 22},
      {"$md5,rounds=4294963199$", "abcdefgh$$", 22},
  };
  for (const auto& row : rows) {
    const int got = [&] {
      const Result<void> checked =
          check_hash(std::string(row.parameters) + std::string(row.salt) + std::string(row.hash_size, 'x'));
      return checked ? -1 : code(checked.error().code);
    }();
    if (got != code(ErrorCode::too_large)) print_error("%s\n", row.parameters.data());
    assert_int_equal(got, code(ErrorCode::too_large));
  }
}

// What a users file may hold where a hash belongs and nobody may log in with.
constexpr std::string_view kUnusable[] = {"",
                                          "*",
                                          "*0",
                                          "*1",
                                          "!",
                                          "!!",
                                          "x",
                                          "secret",
                                          "abJnggxhB/yWI",
                                          "_J9..abcdABCDEFGHIJK",
                                          "$3$$8846f7eaee8fb117",
                                          "$",
                                          "$$",
                                          "$6",
                                          "$6$",
                                          "$6$$",
                                          "$9$abc$def",
                                          "$2$05$",
                                          "$2c$05$abcdefghijklmnopqrstuu",
                                          "{SSHA}abcdef",
                                          "$6$abc$def",
                                          "$6$rounds=0$abc$",
                                          "$6$rounds=05000$abc$",
                                          "$6$rounds=+5000$abc$",
                                          "$6$rounds=5e4$abc$",
                                          "$6$rounds=999$abc$",
                                          "$6$rounds=99999999999999999999$abc$",
                                          "$5$",
                                          "$1$",
                                          "$1$toolongsalt$",
                                          "$2b$",
                                          "$2b$5$",
                                          "$2b$-5$",
                                          "$2b$03$",
                                          "$2b$32$",
                                          "$y$",
                                          "$y$$",
                                          "$y$j9T",
                                          "$y$j9T$",
                                          "$y$j9$",
                                          "$7$",
                                          "$7$AU....",
                                          "$7$.U..../....",
                                          "$7$A..../.....",
                                          "$sha1$",
                                          "$sha1$$",
                                          "$sha1$0$",
                                          "$md5",
                                          "$md5$",
                                          "$md5x",
                                          "$md5,rounds=0$"};

// The longer ones become well formed but for their beginning.
constexpr size_t kFillings[] = {0, 22, 28, 43, 53, 86};

void an_unusable_field_is_no_hash(NoFixture&) {
  for (const std::string_view field : kUnusable) {
    const bool any = [&] {
      return std::any_of(std::begin(kFillings), std::end(kFillings), [&](size_t filling) {
        return static_cast<bool>(check_hash(std::string(field) + std::string(filling, 'x')));
      });
    }();
    if (any) print_error("'%s'\n", field.data());
    assert_false(any);
  }
}

void an_unusable_field_matches_nothing(Fixture& f) {
  f.log.clear();
  for (size_t i = 0; i < std::size(kUnusable); ++i)
    f.log += "user" + std::to_string(i) + ":" + std::string(kUnusable[i]) + "\n";
  f.write(f.log + "witness:" + f.good + "\n");
  const bool loaded = f.loads();
  bool in = false;
  for (size_t i = 0; i < std::size(kUnusable); ++i) in |= f.login("user" + std::to_string(i), kUnusable[i]);
  const bool witness = f.login("witness", "secret");
  assert_true(loaded);
  assert_int_equal(f.count(), 1);
  assert_false(in);
  assert_true(witness);
}

void a_hash_that_crypt_refuses_matches_nothing(Fixture& f) {
  // Well formed, but N is too small for r: crypt(3) says "*0" at once.
  f.write("someone:$y$j.T$abcdefghijklmnopqrst$" + std::string(43, 'x') + "\n");
  assert_true(f.loads());
  assert_int_equal(f.count(), 1);
  const bool in = f.login("someone", "*0") || f.login("someone", "") || f.login("nobody", "");
  assert_false(in);
}

void hashes_new_passwords_with_sha512(Fixture& f) {
  const auto hash = [&](std::string_view password) {
    const Result<std::string> made = hash_password(Secret(password));
    f.good = made ? *made : std::string();
    return made ? -1 : code(made.error().code);
  };
  for (const std::string_view password : {"", "secret", "p\xc3\xa4ss w\xf0:rd"}) {
    assert_int_equal(hash(password), -1);
    assert_int_equal(f.good.size(), 3 + 16 + 1 + 86);
    assert_memory_equal(f.good.data(), "$6$", 3);
    f.write("someone:" + f.good);
    const bool fits = f.loads() && f.login("someone", password) && !f.login("someone", "Secret");
    assert_true(fits);
  }
  hash("secret");
  f.log = f.good;
  hash("secret");
  const bool salted = f.log != f.good;
  assert_true(salted);

  f.log.assign(511, 'p');
  assert_int_equal(hash(f.log), -1);
  f.log.assign(512, 'p');
  assert_int_equal(hash(f.log), code(ErrorCode::too_large));
  assert_int_equal(hash(std::string_view("sec\0ret", 7)), code(ErrorCode::invalid));
}

void a_password_is_compared_to_its_last_byte(Fixture& f) {
  const auto long_password = [](size_t size) { return std::string(size, 'p'); };
  f.write("short:" + f.good + "\nlong:" + hash_with("$6$abc$", long_password(511).c_str()) +
          "\nround:" + hash_with("$6$rounds=100000$abc$", long_password(60).c_str()) +
          "\nrounder:" + hash_with("$6$rounds=100000$abc$", long_password(200).c_str()));
  assert_true(f.loads());
  assert_int_equal(f.count(), 4);
  const bool whole = f.login("long", long_password(511));
  const bool more = f.login("long", long_password(512)) || f.login("long", long_password(100'000));
  const bool less = f.login("long", long_password(510));
  const bool nul = f.login("short", std::string_view("secret\0", 7)) ||
                   f.login("short", std::string_view("secret\0more", 11)) ||
                   f.login("short", std::string_view("\0secret", 7));
  assert_true(whole);
  assert_false(more);
  assert_false(less);
  assert_false(nul);
  // Many rounds and a long password together would take longer than one login may.
  const bool affordable = f.login("round", long_password(60));
  const bool too_dear = f.login("rounder", long_password(200));
  assert_true(affordable);
  assert_false(too_dear);
}

int64_t cpu_ns() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

bool refusals_cost_the_same(Fixture& f) {
  // Most of this file is yescrypt, so that is what a stranger's password costs.
  const std::string yescrypt = hash_with("$y$j8T$abcdefghijklmnopqrstu/$", "secret");
  f.write("a:" + yescrypt + "\nb:" + yescrypt + "\nc:" + f.good +
          "\nbad:$6$x\nrefused:$y$j.T$abcdefghijklmnopqrst$" + std::string(43, 'x') + "\n");
  const std::string huge(600, 'p');
  if (!f.loads()) return false;
  const std::array<std::pair<std::string_view, std::string_view>, 6> cases{{{"a", "wrong"},
                                                                            {"nobody", "wrong"},
                                                                            {"bad", "wrong"},
                                                                            {"refused", "wrong"},
                                                                            {"a", huge},
                                                                            {"nobody", huge}}};
  // In turn: a shared machine is half as fast from one moment to the next, and all are to meet the same
  // moments.
  constexpr size_t kTries = 11;
  std::array<std::array<int64_t, kTries>, 6> tries{};
  for (size_t round = 0; round < kTries; ++round) {
    for (size_t i = 0; i < cases.size(); ++i) {
      const int64_t begin = cpu_ns();
      f.login(cases[i].first, cases[i].second);
      tries[i][round] = cpu_ns() - begin;
    }
  }
  std::array<int64_t, 6> medians{};
  for (size_t i = 0; i < cases.size(); ++i) {
    std::sort(tries[i].begin(), tries[i].end());
    medians[i] = tries[i][kTries / 2];
  }
  f.log.clear();
  for (const int64_t median : medians) f.log += std::to_string(median / 1000) + " us  ";
  const bool equal = *std::max_element(medians.begin(), medians.end()) <
                     *std::min_element(medians.begin(), medians.end()) * 14 / 10;
  if (!equal) print_error("%s\n", f.log.c_str());
  return equal;
}

void every_refusal_costs_the_same(Fixture& f) {
  const bool equal = refusals_cost_the_same(f);
  assert_true(equal);
}

void an_empty_table_works_as_hard(Fixture& f) {
  f.users = Users();
  const int64_t begin = cpu_ns();
  const bool in = f.login("nobody", "secret");
  assert_false(in);
  assert_true(cpu_ns() - begin > 300'000);
}

// ---- lines

void reads_lines_and_warns_by_number_alone(Fixture& f) {
  f.write("# a comment\n\n  \t\n   # another\n" +          // 1-4
          std::string("alice:") + f.good + "\n" +          // 5
          "no colon MARKER\n" +                            // 6
          ":" + f.good + "\n" +                            // 7
          "bob:MARKER\n" +                                 // 8
          "ev\x01il:" + f.good + "\n" +                    // 9
          "carol:" + f.good + "\r\n" +                     // 10
          "#" + hash_with("$6$other$", "MARKER") + "\n" +  // 11
          "dave:" + f.good + ":MARKER\n" +                 // 12
          "J\xc3\xb6rg Q. Public:" + f.good + "\n" +       // 13
          std::string("n\0l:", 4) + f.good + "\n" +        // 14
          "eve:" + f.good);                                // 15
  assert_true(f.loads());
  assert_int_equal(f.count(), 4);
  const bool in = f.login("alice", "secret") && f.login("carol", "secret") && f.login("eve", "secret") &&
                  f.login("J\xc3\xb6rg Q. Public", "secret");
  assert_true(in);
  const bool out = f.login("alice", "MARKER") || f.login("bob", "MARKER") || f.login("dave", "secret");
  assert_false(out);
  for (const char* line : {":6: ", ":7: ", ":8: ", ":9: ", ":12: ", ":14: "}) {
    if (!f.logged(line)) print_error("no warning for %s in %s\n", line, f.log.c_str());
    assert_true(f.logged(line));
  }
  assert_int_equal(std::count(f.log.begin(), f.log.end(), '\n'), 6);
  const bool content = f.logged("MARKER") || f.logged("alice") || f.logged("$6$") || f.logged("evil");
  assert_false(content);
}

void a_file_of_garbage_does_not_fill_the_log(Fixture& f) {
  f.write(std::string(100'000, '\x7f') + std::string(50'000, ':') + [] {
    std::string lines;
    for (int i = 0; i < 1000; ++i) lines += "\n:x";
    return lines;
  }());
  assert_true(f.loads());
  assert_int_equal(f.count(), 0);
  assert_in_range(std::count(f.log.begin(), f.log.end(), '\n'), 3, 30);
  assert_true(f.logged("981 more lines with faults"));
}

void of_several_lines_of_a_user_the_last_counts(Fixture& f) {
  f.write("alice:" + f.good + "\nbob:" + f.good + "\ncarol:" + f.good + "\nalice:" +  // 1-4
          hash_with("$6$other$", "second") + "\nbob:!\n  carol:x\ncarol:" +           // 5-7
          hash_with("$6$other$", "third") + "\n");
  assert_true(f.loads());
  assert_int_equal(f.count(), 2);
  const bool last = f.login("alice", "second") && f.login("carol", "third");
  const bool earlier = f.login("alice", "secret") || f.login("bob", "secret") || f.login("carol", "secret");
  assert_true(last);
  assert_false(earlier);
  assert_true(f.logged(":4: the user of line 1 is named again"));
  assert_true(f.logged(":5: the user of line 2 is named again"));
  assert_true(f.logged(":7: the user of line 6 is named again"));
  const bool content = f.logged("alice") || f.logged("bob");
  assert_false(content);
}

void what_editors_leave_around_a_line_is_skipped(Fixture& f) {
  struct {
    std::string_view before, after;
  } const rows[] = {{"\xef\xbb\xbf", "\n"},
                    {"  ", "\n"},
                    {"\t", " \t \n"},
                    {"", "  \r\n"},
                    {"", " "},
                    {"", "\t"},
                    {"\xef\xbb\xbf \t", " \n"},
                    {"\xef\xbb\xbf\n \r\n", "\r"}};
  for (const auto& row : rows) {
    f.log.clear();
    f.write(std::string(row.before) + "alice:" + f.good + std::string(row.after));
    const bool in = f.loads() && f.login("alice", "secret");
    if (!in || !f.log.empty()) print_error("row %td: %s\n", &row - rows, f.log.c_str());
    assert_true(in);
    assert_true(f.log.empty());
  }
  f.write("\xef\xbb\xbf# a comment\nalice:" + f.good);
  assert_true(f.loads());
  assert_int_equal(f.count(), 1);
  assert_true(f.log.empty());
}

void names_come_in_the_order_of_the_file(Fixture& f) {
  f.write("zoe:" + f.good + "\nbad:x\nalice:" + f.good + "\nmid:" + f.good + "\n");
  assert_true(f.loads());
  for (const std::string_view name : (*f.users)->names()) f.spare.append(name).append(" ");
  assert_string_equal(f.spare.c_str(), "zoe alice mid ");
}

// ---- which files are trusted

void a_missing_file_is_told_from_an_empty_one(Fixture& f) {
  assert_int_equal(f.load_error(), code(ErrorCode::missing));
  assert_int_equal(::symlink("nowhere", f.path.c_str()), 0);
  assert_int_equal(f.load_error(), code(ErrorCode::missing));
  ::unlink(f.path.c_str());
  f.write("");
  assert_true(f.loads());
  assert_int_equal(f.count(), 0);
  assert_true(f.logged("no users defined"));
  const bool in = f.login("", "");
  assert_false(in);
}

void only_a_regular_file_is_read(Fixture& f) {
  ::mkdir(f.path.c_str(), 0700);
  assert_int_equal(f.load_error(), code(ErrorCode::invalid));
  ::rmdir(f.path.c_str());
  // Without a writer, opening it would block for ever.
  assert_int_equal(::mkfifo(f.path.c_str(), 0600), 0);
  assert_int_equal(f.load_error(), code(ErrorCode::invalid));
  ::unlink(f.path.c_str());
  assert_int_equal(::symlink("/dev/zero", f.path.c_str()), 0);
  assert_int_equal(f.load_error(), code(ErrorCode::invalid));
  ::unlink(f.path.c_str());
  assert_int_equal(::symlink(f.path.c_str(), f.path.c_str()), 0);
  assert_int_equal(f.load_error(), code(ErrorCode::system));
}

void a_file_others_may_write_is_refused(Fixture& f) {
  struct {
    mode_t mode;
    int error;
    bool warns;
  } const rows[] = {{0600, -1, false},
                    {0400, -1, false},
                    {0640, -1, false},
                    {0644, -1, true},
                    {0660, code(ErrorCode::denied), false},
                    {0602, code(ErrorCode::denied), false},
                    {0666, code(ErrorCode::denied), false}};
  for (const auto& row : rows) {
    f.log.clear();
    f.write("alice:" + f.good + "\n", row.mode);
    assert_int_equal(f.load_error(), row.error);
    assert_int_equal(f.logged("readable by everybody"), row.warns);
    ::chmod(f.path.c_str(), 0600);
  }
}

void a_link_to_a_good_file_is_fine(Fixture& f) {
  f.write("alice:" + f.good + "\n");
  ::rename(f.path.c_str(), (f.folder + "/real").c_str());
  assert_int_equal(::symlink("real", f.path.c_str()), 0);
  assert_true(f.loads());
  assert_int_equal(f.count(), 1);
}

void only_root_and_the_daemon_may_own_it(Fixture& f) {
  if (::geteuid() != 0) skip();
  f.write("alice:" + f.good + "\n");
  assert_int_equal(::chown(f.path.c_str(), 12345, 12345), 0);
  assert_int_equal(f.load_error(), code(ErrorCode::denied));
  f.users = Users::load(f.path, 12345);
  const bool as_daemon = static_cast<bool>(*f.users) && f.count() == 1;
  assert_true(as_daemon);
  assert_int_equal(::chown(f.path.c_str(), 0, 0), 0);
  f.users = Users::load(f.path, 12345);
  const bool of_root = static_cast<bool>(*f.users) && f.count() == 1;
  assert_true(of_root);
}

void its_size_is_bounded(Fixture& f) {
  const std::string& line = f.spare = "alice:" + f.good + "\n#";
  f.write(line + std::string(kMaxUsersFileBytes - line.size(), 'x'));
  assert_int_equal(f.load_error(), -1);
  assert_int_equal(f.count(), 1);
  f.write(line + std::string(kMaxUsersFileBytes - line.size() + 1, 'x'));
  assert_int_equal(f.load_error(), code(ErrorCode::too_large));
  // The last byte allowed is the last one of a hash.
  f.write("#" + std::string(kMaxUsersFileBytes - 1 - line.size() + 1, 'x') + "\nalice:" + f.good);
  assert_int_equal(f.load_error(), -1);
  assert_int_equal(f.count(), 1);
  const bool in = f.login("alice", "secret");
  assert_true(in);
}

// ---- rewriting

void accepts_the_old_tools_user_names(NoFixture&) {
  struct {
    std::string_view name;
    bool valid;
  } const rows[] = {{"a", true},
                    {"_", true},
                    {"_a9_", true},
                    {"abcdefghijklmnopqrstuvwxyz01234", true},
                    {"abcdefghijklmnopqrstuvwxyz012345", false},
                    {"", false},
                    {"9a", false},
                    {"A", false},
                    {"aB", false},
                    {"a-b", true},
                    {"a.b", true},
                    {"a@b.example", true},
                    {"a-", true},
                    {"-a", false},
                    {".a", false},
                    {"@a", false},
                    {"a/b", false},
                    {"a#b", false},
                    {"a b", false},
                    {"a:b", false},
                    {"a\n", false},
                    {"\xc3\xa4", false},
                    {std::string_view("a\0b", 3), false}};
  for (const auto& row : rows) assert_int_equal(valid_user_name(row.name), row.valid);
}

void adds_updates_and_removes(Fixture& f) {
  assert_int_equal(f.edit("alice", "$1$one"), -1);
  assert_int_equal(f.change(), static_cast<int>(UsersChange::added));
  assert_true(f.holds("alice:$1$one\n"));
  assert_int_equal(f.edit("bob", "$1$two"), -1);
  assert_true(f.holds("alice:$1$one\nbob:$1$two\n"));
  assert_int_equal(f.edit("alice", "$1$three"), -1);
  assert_int_equal(f.change(), static_cast<int>(UsersChange::updated));
  assert_true(f.holds("alice:$1$three\nbob:$1$two\n"));
  assert_int_equal(f.edit("alice", ""), -1);
  assert_int_equal(f.change(), static_cast<int>(UsersChange::removed));
  assert_true(f.holds("bob:$1$two\n"));
  assert_int_equal(f.edit("bob", ""), -1);
  assert_true(f.holds(""));
  assert_int_equal(f.files(), 1);
}

void keeps_what_it_does_not_know(Fixture& f) {
  f.write("# alice:x\n\nno colon\n bob:y\nalice\nalicea:z\r\nalice:old\nb\0d:\nalice:older\nlast"sv);
  assert_int_equal(f.edit("alice", "new"), -1);
  assert_true(f.holds("# alice:x\n\nno colon\n bob:y\nalice\nalicea:z\r\nalice:new\nb\0d:\nlast"sv));
  assert_int_equal(f.edit("zoe", "new"), -1);
  assert_true(
      f.holds("# alice:x\n\nno colon\n bob:y\nalice\nalicea:z\r\nalice:new\nb\0d:\nlast\nzoe:new\n"sv));
}

// Else the user who was removed could still log in.
void finds_the_lines_that_the_daemon_reads(Fixture& f) {
  for (const std::string_view line : {"\xef\xbb\xbf"
                                      "alice:x\n"sv,
                                      " \talice:x\n"sv, "alice:x \r\n"sv}) {
    f.write(std::string(line) + "bob:1\n");
    assert_int_equal(f.edit("alice", "new"), -1);
    assert_true(f.holds("alice:new\nbob:1\n"));
    f.write(std::string(line) + "bob:1\n");
    assert_int_equal(f.edit("alice", ""), -1);
    assert_true(f.holds("bob:1\n"));
  }
}

void removing_takes_every_line_of_the_user(Fixture& f) {
  f.write("bob:1\nalice:1\nbob:2\nbob:3");
  assert_int_equal(f.edit("bob", ""), -1);
  assert_true(f.holds("alice:1\n"));
}

void a_dry_run_writes_nothing(Fixture& f) {
  f.write("alice:1\n");
  assert_int_equal(f.edit("bob", "2", true), -1);
  assert_true(f.proposed("alice:1\nbob:2\n"));
  assert_true(f.holds("alice:1\n"));
  assert_int_equal(f.files(), 1);
  ::unlink(f.path.c_str());
  assert_int_equal(f.edit("bob", "2", true), -1);
  assert_true(f.proposed("bob:2\n"));
  assert_int_equal(f.files(), 0);
}

void refuses_what_would_spoil_the_file(Fixture& f) {
  f.write("alice:1\n");
  assert_int_equal(f.edit("", "2"), code(ErrorCode::invalid));
  assert_int_equal(f.edit("a:b", "2"), code(ErrorCode::invalid));
  assert_int_equal(f.edit("bob", "2\neve:3"), code(ErrorCode::invalid));
  assert_int_equal(f.edit("bob", "2:3"), code(ErrorCode::invalid));
  assert_int_equal(f.edit("bob", ""), code(ErrorCode::refused));
  assert_true(f.holds("alice:1\n"));
  f.write(std::string(kMaxUsersFileBytes, 'x'));
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::too_large));
  f.write(std::string(kMaxUsersFileBytes + 1, 'x'));
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::too_large));
  assert_int_equal(f.files(), 1);
  ::unlink(f.path.c_str());
  assert_int_equal(f.edit("bob", ""), code(ErrorCode::refused));
  assert_int_equal(f.files(), 0);
}

void refuses_what_is_no_file(Fixture& f) {
  ::mkdir(f.path.c_str(), 0700);
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::invalid));
  ::rmdir(f.path.c_str());
  ::mkfifo(f.path.c_str(), 0600);
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::invalid));
  ::unlink(f.path.c_str());
  assert_int_equal(::symlink("nowhere", f.path.c_str()), 0);
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::invalid));
  ::unlink(f.path.c_str());
  f.path += "/below";
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::system));
  f.path = f.folder + "/";
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::invalid));
  assert_int_equal(f.files(), 0);
}

void a_link_stays_a_link(Fixture& f) {
  f.write("alice:1\n");
  ::mkdir((f.folder + "/real").c_str(), 0700);
  ::rename(f.path.c_str(), (f.folder + "/real/file").c_str());
  assert_int_equal(::symlink("real/file", f.path.c_str()), 0);
  assert_int_equal(f.edit("bob", "2"), -1);
  assert_true(f.holds("alice:1\nbob:2\n"));
  const bool link = fs::is_symlink(f.path);
  assert_true(link);
  assert_int_equal(f.files(), 2);
  const auto beside = std::distance(fs::directory_iterator(f.folder + "/real"), fs::directory_iterator());
  assert_int_equal(beside, 1);
}

struct stat status_of(const std::string& path) {
  struct stat status {};
  ::stat(path.c_str(), &status);
  return status;
}

void owner_group_and_mode_stay(Fixture& f) {
  f.write("alice:1\n", 0640);
  if (::geteuid() == 0) assert_int_equal(::chown(f.path.c_str(), 12345, 54321), 0);
  const struct stat before = status_of(f.path);
  assert_int_equal(f.edit("bob", "2"), -1);
  const struct stat after = status_of(f.path);
  assert_int_equal(after.st_mode, before.st_mode);
  assert_int_equal(after.st_uid, before.st_uid);
  assert_int_equal(after.st_gid, before.st_gid);
  assert_int_not_equal(after.st_ino, before.st_ino);
}

void who_cannot_keep_the_owner_changes_nothing(Fixture& f) {
  if (::geteuid() != 0) skip();
  f.write("alice:1\n", 0644);
  ::chmod(f.folder.c_str(), 0777);
  const int error = testing::in_child([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 98;
    return f.edit("bob", "2");
  });
  assert_int_equal(error, code(ErrorCode::denied));
  assert_true(f.holds("alice:1\n"));
  assert_int_equal(f.files(), 1);
}

void a_new_file_is_closed_to_others(Fixture& f) {
  const mode_t before = ::umask(0);
  assert_int_equal(f.edit("alice", "1"), -1);
  ::umask(before);
  const struct stat made = status_of(f.path);
  assert_int_equal(made.st_uid, ::geteuid());
  assert_int_equal(made.st_mode & 0137, 0);
}

void what_a_killed_edit_left_is_cleared(Fixture& f) {
  f.write("alice:1\n");
  std::ofstream(f.path + ".lock");
  std::ofstream(f.folder + "/.users.new") << "half a fi";
  assert_int_equal(f.edit("bob", "2"), -1);
  assert_true(f.holds("alice:1\nbob:2\n"));
  assert_int_equal(f.files(), 1);
}

void a_lock_that_is_a_link_is_not_followed(Fixture& f) {
  f.write("alice:1\n");
  const int linked = ::symlink("elsewhere", (f.path + ".lock").c_str());
  assert_int_equal(linked, 0);
  assert_int_equal(f.edit("bob", "2"), code(ErrorCode::system));
  assert_true(f.holds("alice:1\n"));
  assert_int_equal(f.files(), 2);
}

// ---- trouble in the middle

void past_the_file_size_limit_nothing_changes(Fixture& f) {
  const std::string& text = f.spare = "alice:" + std::string(5000, '1') + "\n";
  f.write(text);
  const int error = testing::in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return f.edit("bob", "2");
  });
  assert_int_equal(error, code(ErrorCode::system));
  assert_true(f.holds(text));
  assert_int_equal(f.files(), 1);
}

// In a mount namespace of its own: 0 when all is as it should be, 77 when there can be none.
int edit_on_a_full_disk(Fixture& f) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", f.folder.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0)
    return 77;
  const std::string text = "alice:" + std::string(20'000, '1') + "\n";
  f.write(text);
  std::ofstream filler(f.folder + "/filler");
  while (filler << std::string(4096, 'x') << std::flush) {
  }
  filler.close();
  if (f.edit("bob", "2") != code(ErrorCode::system)) return 1;
  if ((*f.edited).error().detail.find("No space left") == std::string::npos) return 2;
  if (!f.holds(text)) return 3;
  if (f.files() != 2) return 4;
  ::unlink((f.folder + "/filler").c_str());
  return f.edit("bob", "2") == -1 && f.holds(text + "bob:2\n") && f.files() == 1 ? 0 : 5;
}

void a_full_disk_leaves_the_file_as_it_was(Fixture& f) {
  const int outcome = testing::in_child([&] { return edit_on_a_full_disk(f); });
  if (outcome == 77) skip();
  assert_int_equal(outcome, 0);
}

// Starts `count` children; the pids go into `children`.
void start_children(std::vector<pid_t>& children, int count, const std::function<int(int)>& work) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work(i));
    if (child > 0) children.push_back(child);
  }
}

bool all_ended_well(std::vector<pid_t>& children) {
  bool well = true;
  for (const pid_t child : children) {
    int status = -1;
    well &= ::waitpid(child, &status, 0) == child && status == 0;
  }
  children.clear();
  return well;
}

// Reads the file over and over until `children` are through. False: a line was torn, or a user went away.
bool reads_grow_only(Fixture& f, std::vector<pid_t>& children) {
  size_t seen = 0;
  while (!children.empty()) {
    if (!f.loads() || f.count() < seen || f.logged("skipped")) return false;
    seen = f.count();
    int status = -1;
    if (::waitpid(children.back(), &status, WNOHANG) != 0) {
      if (status != 0) return false;
      children.pop_back();
    }
  }
  return true;
}

void parallel_edits_all_arrive(Fixture& f) {
  f.write("first:" + f.good + "\n");
  std::vector<pid_t>& children = *new std::vector<pid_t>();
  start_children(children, 20,
                 [&](int i) { return f.edit("user" + std::to_string(i), f.good) == -1 ? 0 : 1; });
  const bool whole = reads_grow_only(f, children);
  const bool well = all_ended_well(children);
  delete &children;
  assert_true(whole);
  assert_true(well);
  assert_true(f.loads());
  assert_int_equal(f.count(), 21);
  assert_int_equal(f.files(), 1);
}

void a_killed_edit_tears_nothing(Fixture& f) {
  f.write("first:" + f.good + "\n");
  for (int round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    if (child == 0)
      for (;;) {
        f.edit("second", f.good);
        f.edit("second", "");
      }
    assert_true(child > 0);  // kill(-1) would be everybody
    const timespec moment{0, static_cast<long>(base::random_below(4'000'000))};
    ::nanosleep(&moment, nullptr);
    if (child > 0) ::kill(child, SIGKILL);  // -1 would be everybody
    int status = -1;
    assert_int_equal(::waitpid(child, &status, 0), child);
    f.log.clear();
    assert_true(f.loads());
    assert_in_range(f.count(), 1, 2);
    assert_false(f.logged("skipped"));
    const bool in = f.login("first", "secret");
    assert_true(in);
  }
  assert_int_equal(f.edit("third", f.good), -1);
  assert_int_equal(f.files(), 1);
}

}  // namespace
}  // namespace vncauthproxy::users

int main() {
  using namespace vncauthproxy::users;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(Fixture, every_accepted_kind_logs_in),
      TEST(NoFixture, a_costly_hash_is_refused_before_it_runs),
      TEST(NoFixture, an_unusable_field_is_no_hash),
      TEST(Fixture, an_unusable_field_matches_nothing),
      TEST(Fixture, a_hash_that_crypt_refuses_matches_nothing),
      TEST(Fixture, hashes_new_passwords_with_sha512),
      TEST(Fixture, a_password_is_compared_to_its_last_byte),
      TEST(Fixture, every_refusal_costs_the_same),
      TEST(Fixture, an_empty_table_works_as_hard),
      TEST(Fixture, reads_lines_and_warns_by_number_alone),
      TEST(Fixture, a_file_of_garbage_does_not_fill_the_log),
      TEST(Fixture, of_several_lines_of_a_user_the_last_counts),
      TEST(Fixture, what_editors_leave_around_a_line_is_skipped),
      TEST(Fixture, names_come_in_the_order_of_the_file),
      TEST(Fixture, a_missing_file_is_told_from_an_empty_one),
      TEST(Fixture, only_a_regular_file_is_read),
      TEST(Fixture, a_file_others_may_write_is_refused),
      TEST(Fixture, a_link_to_a_good_file_is_fine),
      TEST(Fixture, only_root_and_the_daemon_may_own_it),
      TEST(Fixture, its_size_is_bounded),
      TEST(NoFixture, accepts_the_old_tools_user_names),
      TEST(Fixture, adds_updates_and_removes),
      TEST(Fixture, keeps_what_it_does_not_know),
      TEST(Fixture, finds_the_lines_that_the_daemon_reads),
      TEST(Fixture, removing_takes_every_line_of_the_user),
      TEST(Fixture, a_dry_run_writes_nothing),
      TEST(Fixture, refuses_what_would_spoil_the_file),
      TEST(Fixture, refuses_what_is_no_file),
      TEST(Fixture, a_link_stays_a_link),
      TEST(Fixture, owner_group_and_mode_stay),
      TEST(Fixture, who_cannot_keep_the_owner_changes_nothing),
      TEST(Fixture, a_new_file_is_closed_to_others),
      TEST(Fixture, what_a_killed_edit_left_is_cleared),
      TEST(Fixture, a_lock_that_is_a_link_is_not_followed),
      TEST(Fixture, past_the_file_size_limit_nothing_changes),
      TEST(Fixture, a_full_disk_leaves_the_file_as_it_was),
      TEST(Fixture, parallel_edits_all_arrive),
      TEST(Fixture, a_killed_edit_tears_nothing),
  };
  return vncauthproxy::testing::run_group("users", tests);
}
