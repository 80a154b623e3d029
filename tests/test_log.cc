// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"
#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::base {
namespace {

using namespace std::string_view_literals;

// Whether `line` is `before`, a time as strptime reads it, ` vncauthproxy[our pid]`, `after`.
bool has_form(const std::string& line, const std::string& before, const char* time,
              const std::string& after) {
  if (!line.starts_with(before)) return false;
  std::tm ignored{};
  const char* rest = ::strptime(line.c_str() + before.size(), time, &ignored);
  return rest != nullptr && rest == " vncauthproxy[" + std::to_string(::getpid()) + "]" + after;
}

// A fresh folder with a log in it.
struct Fixture {
  std::string folder, path, text;
  std::vector<std::string> lines;

  Fixture() {
    char name[] = "/tmp/vncauthproxy-log.XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    folder = name;
    path = folder + "/log";
  }
  ~Fixture() {
    (void)open_log("-", LogLevel::info);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  bool open(LogLevel threshold = LogLevel::info) { return static_cast<bool>(open_log(path, threshold)); }
  void read(const std::string& from) {
    std::ifstream in(from, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), {});
    lines.clear();
    std::string line;
    for (std::ifstream again(from); std::getline(again, line);) lines.push_back(line);
  }
  void read() { read(path); }
  bool move_away() { return ::rename(path.c_str(), (path + ".1").c_str()) == 0; }
};

// ---- lines

void writes_the_old_daemons_lines(Fixture& f) {
  assert_true(f.open(LogLevel::debug));
  log_error("one %d", 1);
  log_warning("two %s", "x");
  log_info("three");
  log_debug("four");
  f.read();
  assert_int_equal(f.lines.size(), 4);
  const char* const ends[] = {"  ERROR: one 1", "  WARNING: two x", "  INFO: three", "  DEBUG: four"};
  for (size_t i = 0; i < 4; ++i) assert_true(has_form(f.lines[i], "", "%Y-%m-%d %H:%M:%S", ends[i]));
}

void keeps_to_the_threshold(Fixture& f) {
  assert_true(f.open(LogLevel::warning));
  log_error("a");
  log_warning("b");
  log_info("c");
  log_debug("d");
  f.read();
  assert_int_equal(f.lines.size(), 2);
  assert_true(log_enabled(LogLevel::warning));
  assert_false(log_enabled(LogLevel::info));
}

void one_event_is_one_line(Fixture& f) {
  assert_true(f.open());
  log_line(LogLevel::info, "a\nb\0c\x1b[2J\x7f\r"sv);
  log_info("%s", "x\ny");
  f.read();
  assert_int_equal(f.lines.size(), 2);
  const bool blanks = f.lines[0].ends_with("INFO: a b c [2J  ") && f.lines[1].ends_with("INFO: x y");
  assert_true(blanks);
}

void cuts_what_is_too_long(Fixture& f) {
  assert_true(f.open());
  f.text.assign(1 << 20, 'x');
  log_line(LogLevel::info, f.text);
  log_info("%s", f.text.c_str());
  f.text.clear();
  for (int i = 0; i < 2000; ++i) f.text += "\xc3\xa9";
  log_info("y%s", f.text.c_str());
  f.text.assign(3072, 'z');
  log_info("%s", f.text.c_str());
  f.read();
  assert_int_equal(f.lines.size(), 4);
  const bool dots = f.lines[0].ends_with("xxx...") && f.lines[1].ends_with("xxx...");
  const bool whole_character = f.lines[2].ends_with("\xc3\xa9...");
  const bool uncut = f.lines[3].ends_with("zzz");
  assert_true(dots && whole_character && uncut);
  for (const std::string& line : f.lines) assert_in_range(line.size(), 3072, 3200);
}

void errno_survives_a_line(Fixture& f) {
  assert_true(f.open());
  errno = ENOENT;
  log_info("%s", std::strerror(errno));
  assert_int_equal(errno, ENOENT);
}

// ---- files

int lowest_free() {
  return Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)).get();
}

void makes_the_file_for_owner_and_group(Fixture& f) {
  const int number = lowest_free();
  const mode_t mask = ::umask(022);
  const bool opened = f.open();
  ::umask(mask);
  assert_true(opened);
  struct stat status;
  assert_int_equal(::stat(f.path.c_str(), &status), 0);
  assert_int_equal(status.st_mode & 07777, 0640);
  assert_int_equal(::fcntl(number, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

void appends_and_reopens(Fixture& f) {
  std::ofstream(f.path) << "old\n";
  assert_true(f.open());
  log_info("first");
  const bool moved = f.move_away();
  assert_true(moved);
  log_info("second");
  const bool reopened = static_cast<bool>(reopen_log());
  assert_true(reopened);
  log_info("third");
  f.read();
  const bool third = f.lines.size() == 1 && f.lines[0].ends_with("third");
  f.read(f.path + ".1");
  const bool others = f.lines.size() == 3 && f.lines[0] == "old" && f.lines[2].ends_with("second");
  assert_true(third && others);
}

void keeps_the_old_file_when_the_new_one_cannot_be_opened(Fixture& f) {
  assert_true(f.open());
  const bool moved = f.move_away();
  assert_true(moved);
  assert_int_equal(::mkdir(f.path.c_str(), 0700), 0);
  const bool reopened = static_cast<bool>(reopen_log());
  assert_false(reopened);
  log_info("still here");
  f.read(f.path + ".1");
  const bool written = f.lines.size() == 1 && f.lines[0].ends_with("still here");
  assert_true(written);
}

// The failure of open_log() as text; empty when it opened.
void failure_of(const std::string& target, std::string& into) {
  Result<void> opened = open_log(target, LogLevel::info);
  into = opened ? "" : opened.error().detail;
}

void refuses_links_folders_and_missing_folders(Fixture& f) {
  assert_int_equal(::symlink("/etc/passwd", f.path.c_str()), 0);
  failure_of(f.path, f.text);
  const bool link = f.text == f.path + " is a symbolic link; name the log file itself (or - for stderr)";
  failure_of(f.folder, f.text);
  const bool folder = f.text == "cannot open the log " + f.folder + ": Is a directory";
  failure_of(f.folder + "/none/log", f.text);
  const bool missing = f.text == "cannot open the log " + f.folder + "/none/log: No such file or directory";
  assert_true(link && folder && missing);
}

void does_not_wait_for_a_fifo(Fixture& f) {
  assert_int_equal(::mkfifo(f.path.c_str(), 0600), 0);
  failure_of(f.path, f.text);
  assert_false(f.text.empty());  // nobody reads it: no log, but no hang either
  const int reader = ::open(f.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const bool opened = f.open();
  for (int i = 0; i < 5000; ++i) log_info("more than a pipe holds, and nobody takes it away: %d", i);
  ::close(reader);
  assert_true(opened);
}

void a_full_disk_is_ignored(Fixture& f) {
  failure_of("/dev/full", f.text);
  assert_true(f.text.empty());
  for (int i = 0; i < 1000; ++i) log_info("request %d", i);
  assert_true(f.open());
  log_info("service goes on");
  f.read();
  assert_int_equal(f.lines.size(), 1);
}

void gives_the_file_away(Fixture& f) {
  if (::geteuid() != 0) skip();
  assert_true(f.open());
  const bool given = static_cast<bool>(give_log_to(65534, 65533));
  struct stat status;
  assert_int_equal(::stat(f.path.c_str(), &status), 0);
  assert_true(given);
  assert_int_equal(status.st_uid, 65534);
  assert_int_equal(status.st_gid, 65533);
}

void gives_no_file_with_a_second_name_away(Fixture& f) {
  if (::geteuid() != 0) skip();
  assert_true(f.open());
  const bool linked = ::link(f.path.c_str(), (f.path + ".2").c_str()) == 0;
  assert_true(linked);
  const bool no_error = static_cast<bool>(give_log_to(65534, 65533));
  struct stat status;
  assert_int_equal(::stat(f.path.c_str(), &status), 0);
  assert_true(no_error);
  assert_int_equal(status.st_uid, 0);
}

// ---- stderr

void standard_error_gets_lines_and_never_blocks(Fixture& f) {
  int ends[2];
  assert_int_equal(::pipe2(ends, O_CLOEXEC), 0);  // blocking, as a shell's pipe is
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  const bool opened = static_cast<bool>(open_log("-", LogLevel::info));
  log_info("hello");
  char line[256] = "";
  const ssize_t size = ::read(ends[0], line, sizeof line - 1);
  for (int i = 0; i < 5000; ++i) log_info("more than a pipe holds, and nobody takes it away: %d", i);
  ::dup2(saved, STDERR_FILENO);
  for (const int fd : {saved, ends[0], ends[1]}) ::close(fd);
  assert_true(opened && size > 0);
  f.text = line;
  const bool whole = f.text.ends_with("  INFO: hello\n");
  assert_true(whole);
}

// ---- syslog

struct Syslog : Fixture {
  Fd logger;
  std::string datagram;

  void start() {
    ::unlink(path.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    logger = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::bind(logger.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      logger.reset();
  }
  void receive() {
    char buffer[8192];
    const ssize_t size = ::recv(logger.get(), buffer, sizeof buffer, 0);
    datagram.assign(buffer, size > 0 ? static_cast<size_t>(size) : 0);
  }
  // Priority 30 is facility daemon (3 * 8) and level info (6).
  bool received(const char* priority, const char* line) {
    receive();
    return has_form(datagram, "<" + std::string(priority) + ">", "%b %e %H:%M:%S", ": " + std::string(line));
  }
  bool open_syslog() { return static_cast<bool>(open_log("syslog:" + path, LogLevel::debug)); }
};

void syslog_gets_facility_daemon(Syslog& f) {
  f.start();
  assert_true(f.open_syslog());
  log_info("New forwarding");
  assert_true(f.received("30", "New forwarding"));
  log_error("e");
  assert_true(f.received("27", "e"));
  log_warning("w");
  assert_true(f.received("28", "w"));
  log_debug("d");
  assert_true(f.received("31", "d"));
  log_info("%s", "100%s %n");
  assert_true(f.received("30", "100%s %n"));
}

void syslog_may_come_late_and_again(Syslog& f) {
  assert_true(f.open_syslog());
  log_info("into the void");
  f.start();
  log_info("first");
  assert_true(f.received("30", "first"));
  f.start();  // a new socket under the old name
  log_info("second");
  assert_true(f.received("30", "second"));
}

void a_stuck_syslog_never_blocks(Syslog& f) {
  f.start();
  assert_true(f.open_syslog());
  for (int i = 0; i < 10000; ++i) log_info("line %d", i);
  assert_true(f.received("30", "line 0"));
}

// ---- sink

struct Sink : Syslog {
  std::vector<std::pair<LogLevel, std::string>> got;
};

void a_sink_gets_the_lines_alone(Sink& f) {
  assert_true(f.open(LogLevel::info));
  set_log_sink([&f](LogLevel level, std::string_view line) { f.got.emplace_back(level, line); });
  log_warning("a %s", "b\n");
  log_debug("below the threshold");
  f.read();
  assert_int_equal(f.got.size(), 1);
  const bool as_written = f.got[0].first == LogLevel::warning && f.got[0].second == "a b ";
  assert_true(as_written && f.lines.empty());
}

void an_empty_sink_means_the_log_again(Sink& f) {
  f.start();
  assert_true(f.open_syslog());
  set_log_sink([&f](LogLevel level, std::string_view line) { f.got.emplace_back(level, line); });
  log_info("to the sink");
  set_log_sink(nullptr);
  log_info("to syslog");
  assert_true(f.received("30", "to syslog"));
  assert_int_equal(f.got.size(), 1);
}

void every_line_begins_with_the_prefix(Sink& f) {
  f.start();
  assert_true(f.open_syslog());
  set_log_prefix("F42 ");
  set_log_sink([&f](LogLevel level, std::string_view line) { f.got.emplace_back(level, line); });
  log_info("to %s", "the sink");
  log_line(LogLevel::info, "and again");
  set_log_sink(nullptr);
  log_info("to syslog");
  log_line(LogLevel::info, std::string(10'000, 'x'));
  set_log_prefix("");
  const bool prefixed = f.got[0].second == "F42 to the sink" && f.got[1].second == "F42 and again";
  assert_true(prefixed);
  assert_true(f.received("30", "F42 to syslog"));
  f.receive();
  const bool cut = f.datagram.find(": F42 xxx") != std::string::npos && f.datagram.ends_with("xxx...");
  assert_true(cut);
}

// ---- escape

struct Escaping {
  std::string input, output;
};

void escapes_foreign_text(Escaping& f) {
  struct {
    const char* name;
    std::string_view in, out;
  } const rows[] = {
      {"plain", "wrong password, 100%s %n", "wrong password, 100%s %n"},
      {"empty", "", ""},
      {"quote and backslash", R"(a"b\c')", R"(a\"b\\c')"},
      {"line ends and tab", "a\r\nb\tc", R"(a\x0d\nb\tc)"},
      {"escape sequence", "\x1b[2J", R"(\x1b[2J)"},
      {"NUL", "a\0b"sv, R"(a\x00b)"},
      {"DEL", "\x7f", R"(\x7f)"},
      {"C1",
       "\xc2\x9b"
       "31m",
       R"(\xc2\x9b31m)"},
      {"printable UTF-8", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x96\xa5",
       "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x96\xa5"},
      {"no-break space stays", "a\xc2\xa0z", "a\xc2\xa0z"},
      {"right-to-left override",
       "a\xe2\x80\xae"
       "b",
       R"(a\xe2\x80\xaeb)"},
      {"line separator", "\xe2\x80\xa8", R"(\xe2\x80\xa8)"},
      {"isolates", "\xe2\x81\xa6", R"(\xe2\x81\xa6)"},
      {"zero width space, BOM", "\xe2\x80\x8b\xef\xbb\xbf", R"(\xe2\x80\x8b\xef\xbb\xbf)"},
      {"tag characters", "\xf3\xa0\x81\x81", R"(\xf3\xa0\x81\x81)"},
      {"lone continuation", "\x80", R"(\x80)"},
      {"lead without rest", "\xc3", R"(\xc3)"},
      {"lead, then ASCII", "\xc3(", R"(\xc3()"},
      {"three bytes, cut", "\xe2\x82", R"(\xe2\x82)"},
      {"overlong slash", "\xc0\xaf", R"(\xc0\xaf)"},
      {"overlong, three bytes", "\xe0\x80\xaf", R"(\xe0\x80\xaf)"},
      {"overlong, four bytes", "\xf0\x82\x82\xac", R"(\xf0\x82\x82\xac)"},
      {"surrogate", "\xed\xa0\x80", R"(\xed\xa0\x80)"},
      {"above U+10FFFF", "\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
      {"never in UTF-8", "\xfe\xff", R"(\xfe\xff)"},
  };
  for (const auto& row : rows) {
    f.output = escape(row.in);
    const bool same = f.output == row.out;
    if (!same) print_error("row %s: %s\n", row.name, f.output.c_str());
    assert_true(same);
  }
}

void cuts_between_characters(Escaping& f) {
  struct {
    std::string_view in;
    size_t max;
    std::string_view out;
  } const rows[] = {
      {"abcdef", 6, "abcdef"},
      {"abcdefg", 6, "abc..."},
      {"abc\ndef", 8, R"(abc\ndef)"},
      {"abc\ndef", 7, "abc..."},
      {"ab\x01"
       "cdef",
       8, "ab..."},
      {"ab\x01"
       "cdef",
       9, R"(ab\x01...)"},
      {"a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 10, "a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
      {"a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 9, "a\xe2\x82\xac..."},
      {"a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 7, "a\xe2\x82\xac..."},
      {"a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 6, "a..."},
      {"abcd", 3, "..."},
      {"abcd", 1, "."},
      {"abcd", 0, ""},
      {"", 0, ""},
  };
  for (const auto& row : rows) {
    f.output = escape(row.in, row.max);
    const bool same = f.output == row.out;
    if (!same) print_error("row '%s' at %zu: '%s'\n", row.in.data(), row.max, f.output.c_str());
    assert_true(same);
  }
}

void any_byte_in_any_amount_stays_small_and_clean(Escaping& f) {
  for (int byte = 0; byte < 256; ++byte) {
    f.input.assign(1 << 20, static_cast<char>(byte));
    f.output = escape(f.input);
    assert_in_range(f.output.size(), 197, 200);
    for (const char c : f.output) assert_in_range(c, 0x20, 0x7e);
    const bool marked = f.output.ends_with("...");
    assert_true(marked);
  }
}

// ---- repeats

struct Repeats {
  RepeatFilter filter{3, std::chrono::seconds(60)};
  RepeatFilter::Clock::time_point start{};
};

void holds_back_a_noisy_source(Repeats& f) {
  using std::chrono::seconds;
  for (int i = 0; i < 10; ++i)
    assert_int_equal(f.filter.admit("192.0.2.7", f.start + seconds(i)).write, i < 3);
  assert_true(f.filter.admit("192.0.2.8", f.start + seconds(10)).write);
  assert_false(f.filter.admit("192.0.2.7", f.start + seconds(59)).write);
  const RepeatFilter::Verdict again = f.filter.admit("192.0.2.7", f.start + seconds(60));
  assert_true(again.write);
  assert_int_equal(again.held_back, 8);
  const RepeatFilter::Verdict next = f.filter.admit("192.0.2.7", f.start + seconds(61));
  assert_true(next.write);
  assert_int_equal(next.held_back, 0);
}

void remembers_a_bounded_number_of_sources(Repeats& f) {
  for (int i = 0; i < 100000; ++i) {
    const bool write = f.filter.admit(std::to_string(i), f.start).write;
    assert_true(write);
  }
}

// ---- before anything is opened

void a_check_finds_what_cannot_be_opened(Fixture& f) {
  const auto check = [&f](const std::string& target) {
    const Result<void> checked = check_log(target);
    f.text = checked ? "" : checked.error().detail;
    return static_cast<bool>(checked);
  };
  const bool others = check("") && check("-") && check("syslog:/nowhere");
  assert_true(others);
  const bool fresh = check(f.path);
  const bool made = std::filesystem::exists(f.path);
  assert_true(fresh);
  assert_false(made);
  f.open();
  const bool existing = check(f.path);
  assert_true(existing);
  const bool no_folder = check(f.folder + "/none/log");
  const bool folder = check(f.folder);
  assert_false(no_folder);
  assert_false(folder);
  std::filesystem::create_symlink("log", f.folder + "/link");
  const bool link = check(f.folder + "/link");
  assert_false(link);
  assert_true(f.text.find("symbolic link") != f.text.npos);
}

void knows_where_lines_go(Fixture& f) {
  (void)open_log("-", LogLevel::info);
  assert_true(log_goes_to_stderr());
  assert_false(log_lacks_logger());
  f.open();
  assert_false(log_goes_to_stderr());
  (void)open_log("syslog:" + f.folder + "/nobody", LogLevel::info);
  assert_true(log_lacks_logger());
  assert_false(log_goes_to_stderr());
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  const CMUnitTest tests[] = {
      TEST(Fixture, writes_the_old_daemons_lines),
      TEST(Fixture, keeps_to_the_threshold),
      TEST(Fixture, one_event_is_one_line),
      TEST(Fixture, cuts_what_is_too_long),
      TEST(Fixture, errno_survives_a_line),
      TEST(Fixture, makes_the_file_for_owner_and_group),
      TEST(Fixture, appends_and_reopens),
      TEST(Fixture, keeps_the_old_file_when_the_new_one_cannot_be_opened),
      TEST(Fixture, refuses_links_folders_and_missing_folders),
      TEST(Fixture, does_not_wait_for_a_fifo),
      TEST(Fixture, a_full_disk_is_ignored),
      TEST(Fixture, gives_the_file_away),
      TEST(Fixture, gives_no_file_with_a_second_name_away),
      TEST(Fixture, standard_error_gets_lines_and_never_blocks),
      TEST(Syslog, syslog_gets_facility_daemon),
      TEST(Syslog, syslog_may_come_late_and_again),
      TEST(Syslog, a_stuck_syslog_never_blocks),
      TEST(Sink, a_sink_gets_the_lines_alone),
      TEST(Sink, an_empty_sink_means_the_log_again),
      TEST(Sink, every_line_begins_with_the_prefix),
      TEST(Escaping, escapes_foreign_text),
      TEST(Escaping, cuts_between_characters),
      TEST(Escaping, any_byte_in_any_amount_stays_small_and_clean),
      TEST(Repeats, holds_back_a_noisy_source),
      TEST(Repeats, remembers_a_bounded_number_of_sources),
      TEST(Fixture, a_check_finds_what_cannot_be_opened),
      TEST(Fixture, knows_where_lines_go),
  };
  return vncauthproxy::testing::run_group("log", tests);
}
