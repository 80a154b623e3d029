// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/config/options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "folders.h"
#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::config {
namespace {

using namespace std::string_view_literals;
using Outcome = CommandLine::Outcome;

constexpr int kRun = static_cast<int>(Outcome::run);
constexpr int kHelp = static_cast<int>(Outcome::help);
constexpr int kVersion = static_cast<int>(Outcome::version);
constexpr int kUsageError = static_cast<int>(Outcome::usage_error);
constexpr int kConfigError = static_cast<int>(Outcome::config_error);
constexpr int kStray = static_cast<int>(Outcome::stray_argument);

struct Fixture {
  std::string folder, file;
  CommandLine line;
  std::string text, expected;

  Fixture() {
    char name[] = "/tmp/vncauthproxy-options.XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    folder = name;
    file = folder + "/conf";
    write("");
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  void write(std::string_view content) { std::ofstream(file, std::ios::binary) << content; }

  // Parses the words of `words` (or of `list`, for those that contain blanks), as they stand.
  int parse_list(std::vector<std::string> list) {
    list.insert(list.begin(), "vncauthproxy");
    std::vector<char*> argv;
    for (std::string& word : list) argv.push_back(word.data());
    argv.push_back(nullptr);
    line = read_command_line(static_cast<int>(list.size()), argv.data());
    return static_cast<int>(line.outcome);
  }
  static std::vector<std::string> split(const char* words) {
    std::istringstream in(words);
    return {std::istream_iterator<std::string>(in), {}};
  }
  int parse_bare(const char* words) { return parse_list(split(words)); }
  // The same, with our own configuration file.
  int parse(const char* words) {
    std::vector<std::string> list = split(words);
    list.insert(list.begin(), "--config=" + file);
    return parse_list(list);
  }
  int parse_file(std::string_view content, const char* words = "") {
    write(content);
    return parse(words);
  }
  bool says(std::string_view message) {
    if (line.message == message) return true;
    print_error("it said: %s\n", line.message.c_str());
    return false;
  }
  // The message begins with the file, a colon and `rest`.
  bool says_of_file(std::string rest) {
    if (const size_t at = rest.find("FILE"); at != rest.npos) rest.replace(at, 4, file);
    return says(file + ":" + rest);
  }
  const Options& options() const { return line.options; }
};

// ---- defaults

void has_the_old_daemons_defaults(Fixture& f) {
  assert_int_equal(f.parse(""), kRun);
  const Options& o = f.options();
  const bool texts = o.config == f.file && o.log.empty() &&
                     o.pid_file == LOCALSTATEDIR "/run/vncauthproxy/vncauthproxy.pid" &&
                     o.user == "vncauthproxy" && o.group.empty() && o.listen_address == "127.0.0.1" &&
                     o.listen_port == "24999" && o.cert_file == LOCALSTATEDIR "/lib/vncauthproxy/cert.pem" &&
                     o.key_file == LOCALSTATEDIR "/lib/vncauthproxy/key.pem" &&
                     o.auth_file == LOCALSTATEDIR "/lib/vncauthproxy/users" &&
                     o.proxy_listen_address == "*" && o.proxy_address.empty();
  assert_true(texts);
  assert_false(o.debug || o.foreground || o.check || o.enable_ssl);
  assert_int_equal(o.min_port, 25000);
  assert_int_equal(o.max_port, 30000);
  assert_int_equal(o.server_timeout.count(), 30000);
  assert_int_equal(o.connect_retries, 3);
  assert_int_equal(o.retry_wait.count(), 100);
  assert_int_equal(o.connect_timeout.count(), 30000);
  assert_int_equal(o.auth_timeout.count(), 60000);
  assert_int_equal(o.auth_attempts, 3);
  assert_int_equal(o.viewers_per_address, 8);
}

void names_the_default_file(Fixture& f) {
  f.text = default_options().config;
  const bool named = f.text == SYSCONFDIR "/vncauthproxy/vncauthproxy.conf";
  assert_true(named);
}

// ---- the command line

void takes_every_way_to_write_an_option(Fixture& f) {
  for (const char* words : {"--min-port=7000", "--min-port 7000", "-p7000", "-p 7000", "--min=7000",
                            "--mi 7000", "-dp7000", "--min-port 1 --min-port 7000"}) {
    assert_int_equal(f.parse(words), kRun);
    assert_int_equal(f.options().min_port, 7000);
  }
  assert_int_equal(f.parse("-P 26000 -f -d"), kRun);
  assert_int_equal(f.options().max_port, 26000);
  assert_true(f.options().foreground && f.options().debug);
}

void sets_every_option(Fixture& f) {
  assert_int_equal(
      f.parse(
          "--debug --log=/l --pid-file=/p --listen-address=::1 --listen-port=0 --server-timeout=60.0 "
          "--connect-retries=1 --retry-wait=0 --connect-timeout=.5 --min-port=1 --max-port=65535 "
          "--enable-ssl --cert-file=/c --key-file=/k --auth-file=/a --proxy-listen-address=192.0.2.1 "
          "--foreground --proxy-address=proxy.example --auth-timeout=0.0001 --auth-attempts=1000 --user=u "
          "--group=g --check"),
      kRun);
  const Options& o = f.options();
  const bool texts = o.log == "/l" && o.pid_file == "/p" && o.listen_address == "::1" &&
                     o.listen_port == "0" && o.cert_file == "/c" && o.key_file == "/k" &&
                     o.auth_file == "/a" && o.proxy_listen_address == "192.0.2.1" &&
                     o.proxy_address == "proxy.example" && o.user == "u" && o.group == "g";
  assert_true(texts);
  assert_true(o.debug && o.enable_ssl && o.foreground && o.check);
  assert_int_equal(o.server_timeout.count(), 60000);
  assert_int_equal(o.connect_retries, 1);
  assert_int_equal(o.retry_wait.count(), 0);
  assert_int_equal(o.connect_timeout.count(), 500);
  assert_int_equal(o.auth_timeout.count(), 1);
  assert_int_equal(o.auth_attempts, 1000);
  assert_int_equal(o.min_port, 1);
  assert_int_equal(o.max_port, 65535);
}

void takes_the_beginnings_people_use(Fixture& f) {
  assert_int_equal(f.parse("--pid /run/x.pid"), kRun);
  const bool set = f.options().pid_file == "/run/x.pid";
  assert_true(set);
}

// What was unambiguous to the old daemon stays so, whatever options have come since.
void beginnings_of_the_old_daemon_keep_their_meaning(Fixture& f) {
  struct {
    const char* words;
    bool (*holds)(const Options& options);
  } const rows[] = {
      {"--s=9", [](const Options& o) { return o.server_timeout.count() == 9000; }},
      {"--max 30001", [](const Options& o) { return o.max_port == 30001; }},
      {"--auth /u", [](const Options& o) { return o.auth_file == "/u"; }},
      {"--proxy=127.0.0.1", [](const Options& o) { return o.proxy_listen_address == "127.0.0.1"; }},
      {"--cert=/c", [](const Options& o) { return o.cert_file == "/c"; }},
      {"--connect-t 7", [](const Options& o) { return o.connect_timeout.count() == 7000; }},
  };
  for (const auto& row : rows) {
    const bool run = f.parse(row.words) == kRun;
    if (!run || !row.holds(f.options())) fail_msg("%s: %d", row.words, run);
  }
  // Never were: several of the old daemon's options begin so.
  for (const char* words : {"--connect 7", "--listen=x", "--l=x"})
    assert_int_equal(f.parse(words), kUsageError);
  // In full they are what they are.
  assert_int_equal(f.parse("--spare-workers=7"), kRun);
  assert_int_equal(f.options().spare_workers, 7);
}

void explains_what_is_wrong(Fixture& f) {
  struct {
    const char *words, *message;
  } const rows[] = {
      {"--bogus", "there is no option --bogus"},
      {"--min_port=1", "there is no option --min_port; did you mean --min-port?"},
      {"--minport 1", "there is no option --minport; did you mean --min-port?"},
      {"--Max-Port=1", "there is no option --Max-Port; did you mean --max-port?"},
      {"--listen-prot=1", "there is no option --listen-prot; did you mean --listen-port?"},
      {"-min-port=1", "there is no option -m; did you mean --min-port?"},
      {"--bogus=1", "there is no option --bogus"},
      {"--bog\"us\x1b", R"(there is no option --bog\"us\x1b)"},
      {"-x", "there is no option -x"},
      {"-dx", "there is no option -x"},
      {"--listen 1", "--listen is ambiguous: --listen-address, --listen-port"},
      {"--listen=1", "--listen is ambiguous: --listen-address, --listen-port"},
      {"--min-port", "--min-port needs a value"},
      {"-p", "--min-port needs a value"},
      {"--debug=yes", "--debug takes no value"},
      {"--help=yes", "--help takes no value"},
      {"--min-port=0", R"(--min-port: "0" is not a port number from 1 to 65535)"},
      {"--min-port=65536", R"(--min-port: "65536" is not a port number from 1 to 65535)"},
      {"--min-port=-1", R"(--min-port: "-1" is not a port number from 1 to 65535)"},
      {"--min-port=+1", R"(--min-port: "+1" is not a port number from 1 to 65535)"},
      {"--min-port=0x10", R"(--min-port: "0x10" is not a port number from 1 to 65535)"},
      {"--min-port=99999999999999999999",
       R"(--min-port: "99999999999999999999" is not a port number from 1 to 65535)"},
      {"-p http", R"(--min-port: "http" is not a port number from 1 to 65535)"},
      {"--listen-port=65536",
       R"(--listen-port: "65536" is neither a port number from 0 to 65535 nor the name of a service)"},
      {"--listen-port=a/b",
       R"(--listen-port: "a/b" is neither a port number from 0 to 65535 nor the name of a service)"},
      {"--listen-port=",
       R"(--listen-port: "" is neither a port number from 0 to 65535 nor the name of a service)"},
      {"--listen-port=-1",
       R"(--listen-port: "-1" is neither a port number from 0 to 65535 nor the name of a service)"},
      {"--connect-retries=0", R"(--connect-retries: "0" is not a number from 1 to 1000)"},
      {"--auth-attempts=x", R"(--auth-attempts: "x" is not a number from 1 to 1000)"},
      {"--auth-attempts=1001", R"(--auth-attempts: "1001" is not a number from 1 to 1000)"},
      {"--server-timeout=0", R"(--server-timeout: "0" is not a number of seconds above 0, up to 1000000)"},
      {"--server-timeout=-1", R"(--server-timeout: "-1" is not a number of seconds above 0, up to 1000000)"},
      {"--server-timeout=inf",
       R"(--server-timeout: "inf" is not a number of seconds above 0, up to 1000000)"},
      {"--auth-timeout=nan", R"(--auth-timeout: "nan" is not a number of seconds above 0, up to 1000000)"},
      {"--connect-timeout=1e3",
       R"(--connect-timeout: "1e3" is not a number of seconds above 0, up to 1000000)"},
      {"--connect-timeout=30s",
       R"(--connect-timeout: "30s" is not a number of seconds above 0, up to 1000000)"},
      {"--connect-timeout=.", R"(--connect-timeout: "." is not a number of seconds above 0, up to 1000000)"},
      {"--connect-timeout=1000000.1",
       R"(--connect-timeout: "1000000.1" is not a number of seconds above 0, up to 1000000)"},
      {"--retry-wait=x", R"(--retry-wait: "x" is not a number of seconds from 0 to 1000000)"},
      {"--listen-address=", R"(--listen-address: "" is empty)"},
      {"--user=", R"(--user: "" is empty)"},
      {"--key-file=", R"(--key-file: "" is empty)"},
  };
  for (const auto& row : rows) {
    const int outcome = f.parse(row.words);
    if (outcome != kUsageError) print_error("row %s\n", row.words);
    assert_int_equal(outcome, kUsageError);
    const bool said = f.says(row.message);
    assert_true(said);
  }
}

void the_first_word_that_decides_decides(Fixture& f) {
  struct {
    const char* words;
    int outcome;
  } const rows[] = {
      {"--help", kHelp},
      {"-h", kHelp},
      {"--he", kHelp},
      {"--version", kVersion},
      {"-dh", kHelp},
      {"--version --help", kVersion},
      {"--help --bogus", kHelp},
      {"--help --min-port=x", kHelp},
      {"--bogus --help", kUsageError},
      {"--min-port=x --help", kUsageError},
      {"stray", kStray},
      {"--debug stray", kStray},
      {"stray --debug", kStray},
      {"stray --bogus", kUsageError},
      {"stray --min-port=x", kUsageError},
      {"stray --help", kHelp},
      {"-- --help", kStray},
      {"--", kRun},
      {"-", kStray},
  };
  for (const auto& row : rows) {
    const int outcome = f.parse(row.words);
    if (outcome != row.outcome) print_error("row %s\n", row.words);
    assert_int_equal(outcome, row.outcome);
  }
  const bool empty_is_stray = f.parse_list({""}) == kStray;
  assert_true(empty_is_stray);
}

void leaves_argv_as_it_was(Fixture&) {
  char words[][16] = {"vncauthproxy", "stray", "--debug"};
  char* argv[] = {words[0], words[1], words[2], nullptr};
  (void)read_command_line(3, argv);
  assert_ptr_equal(argv[1], words[1]);
  assert_ptr_equal(argv[2], words[2]);
}

void files_become_absolute(Fixture& f) {
  f.expected = std::filesystem::current_path().string();
  assert_int_equal(f.parse("--auth-file users --cert-file=d/c --pid-file x.pid --log log"), kRun);
  const Options& o = f.options();
  const bool absolute = o.auth_file == f.expected + "/users" && o.cert_file == f.expected + "/d/c" &&
                        o.pid_file == f.expected + "/x.pid" && o.log == f.expected + "/log";
  assert_true(absolute);
  assert_int_equal(f.parse("--log=- --pid-file="), kRun);
  const bool exempt = o.log == "-" && o.pid_file.empty();
  assert_true(exempt);
  assert_int_equal(f.parse("--log syslog:dev/log"), kRun);
  const bool socket = f.options().log == "syslog:" + f.expected + "/dev/log";
  assert_true(socket);
}

// ---- the file

void reads_the_file(Fixture& f) {
  assert_int_equal(f.parse_file("# a comment\n"
                                "\n"
                                "   \t\r\n"
                                "min-port 26000\r\n"
                                "\tmax-port\t27000  # behind a value\n"
                                "enable-ssl\n"
                                "debug no\n"
                                "log \"/var/log/a # \\\"b\\\\c\" # d\n"
                                "proxy-address a#b\n"
                                "group \"\"\n"
                                "listen-port http\n"
                                "auth-timeout 2.5"),
                   kRun);
  const Options& o = f.options();
  assert_int_equal(o.min_port, 26000);
  assert_int_equal(o.max_port, 27000);
  assert_true(o.enable_ssl);
  assert_false(o.debug);
  assert_int_equal(o.auth_timeout.count(), 2500);
  const bool texts = o.log == R"(/var/log/a # "b\c)" && o.proxy_address == "a#b" && o.group.empty() &&
                     o.listen_port == "http";
  assert_true(texts);
}

void tells_all_faults_of_the_file_at_once(Fixture& f) {
  assert_int_equal(f.parse_file("min-port 1\nbogus\ndebug maybe\nmax-port\nuser \"x\n"), kConfigError);
  f.expected = f.file + ":2: there is no option \"bogus\"\n" + f.file +
               ":3: debug: \"maybe\" is neither yes nor no\n" + f.file + ":4: max-port needs a value\n" +
               f.file + ":5: user: the closing quote is missing";
  const bool said = f.says(f.expected);
  assert_true(said);
}

void remembers_where_an_option_stands(Fixture& f) {
  f.parse_file("# x\nlisten-address nowhere\nvncap-listen *:1\nvncap-listen *:2\nuser a\n", "--user b -p 7");
  const Options& o = f.options();
  const bool named = o.where("listen-address") == f.file + ":2: listen-address" &&
                     o.where("vncap-listen *:1") == f.file + ":3: vncap-listen" &&
                     o.where("vncap-listen *:2") == f.file + ":4: vncap-listen" &&
                     o.where("user") == "--user" && o.where("min-port") == "--min-port" &&
                     o.where("max-port") == "max-port";
  assert_true(named);
}

void warns_of_options_that_stand_twice(Fixture& f) {
  struct {
    const char *content, *words, *warning;
  } const rows[] = {
      {"min-port 1\ndebug\nmin-port 2\n", "",
       "FILE:3: min-port stands in line 1 already: the last line counts"},
      {"", "-p 1 --min-port=2", "--min-port is given twice: the last one counts"},
      {"", "--user a --user a", ""},  // as the init script and CHUID may have it
      {"min-port 1\n", "-p 2", ""},
      {"vncap-listen *:1\nvncap-listen *:2\n", "", ""},
      {"", "--vncap-listen *:1 --vncap-listen *:2", ""},
  };
  for (const auto& row : rows) {
    assert_int_equal(f.parse_file(row.content, row.words), kRun);
    f.text.clear();
    for (const std::string& line : f.options().warnings) f.text += line;
    f.expected = row.warning;
    if (f.expected.starts_with("FILE")) f.expected.replace(0, 4, f.file);
    assert_string_equal(f.text.c_str(), f.expected.c_str());
  }
}

void a_byte_order_mark_is_skipped(Fixture& f) {
  assert_int_equal(f.parse_file("\xef\xbb\xbfmin-port 26000\n"), kRun);
  assert_int_equal(f.options().min_port, 26000);
}

void the_last_line_of_a_name_counts(Fixture& f) {
  assert_int_equal(f.parse_file("debug\ndebug no\nenable-ssl no\nenable-ssl yes\nmin-port 1\nmin-port 2"),
                   kRun);
  assert_true(!f.options().debug && f.options().enable_ssl);
  assert_int_equal(f.options().min_port, 2);
}

void the_command_line_wins(Fixture& f) {
  assert_int_equal(f.parse_file("min-port 26000\nmax-port 27000\nuser nobody\n", "-p 100 --user=root"), kRun);
  assert_int_equal(f.options().min_port, 100);
  assert_int_equal(f.options().max_port, 27000);
  const bool user = f.options().user == "root";
  assert_true(user);
}

void checks_what_the_command_line_overrules(Fixture& f) {
  assert_int_equal(f.parse_file("min-port zero\n", "-p 100"), kConfigError);
  const bool said = f.says_of_file(R"(1: min-port: "zero" is not a port number from 1 to 65535)");
  assert_true(said);
}

void explains_what_is_wrong_in_the_file(Fixture& f) {
  struct {
    std::string_view content;
    const char* message;
  } const rows[] = {
      {"\n# x\nbogus 1\n", R"(3: there is no option "bogus")"},
      {"--debug\n", R"(1: there is no option "--debug"; did you mean "debug"?)"},
      {"min 1\n", R"(1: there is no option "min"; did you mean "min-port 1"?)"},
      {"min-port=1\n", R"(1: there is no option "min-port=1"; did you mean "min-port 1"?)"},
      {"min_port= 1\n", R"(1: there is no option "min_port="; did you mean "min-port 1"?)"},
      {"min-port: 1\n", R"(1: there is no option "min-port:"; did you mean "min-port 1"?)"},
      {"min-port = 1\n", "1: min-port: there is no = between an option and its value"},
      {"p 1\n", R"(1: there is no option "p"; did you mean "min-port 1"?)"},
      {"MIN_PORT 1\n", R"(1: there is no option "MIN_PORT"; did you mean "min-port 1"?)"},
      {"mni-port 1\n", R"(1: there is no option "mni-port"; did you mean "min-port 1"?)"},
      {"socket /run/x\n", R"(1: there is no option "socket"; did you mean "control-socket /run/x"?)"},
      {"foregroun\n", R"(1: there is no option "foregroun")"},
      {"user\t\"a\nmn-port \"1\n",
       "1: user: the closing quote is missing\nFILE:2: there is no option \"mn-port\"; did you mean "
       "\"min-port 1\"?"},
      {"\x1b]0;\n", R"(1: there is no option "\x1b]0;")"},
      {"debug\nmin-port\n", "2: min-port needs a value"},
      {"min-port # 1\n", "1: min-port needs a value"},
      {"min-port \"\"\n", R"(1: min-port: "" is not a port number from 1 to 65535)"},
      {"min-port 1 2\n", R"(1: min-port: "1 2" is not a port number from 1 to 65535)"},
      {"debug maybe\n", R"(1: debug: "maybe" is neither yes nor no)"},
      {"debug \"\"\n", R"(1: debug: "" is neither yes nor no)"},
      {"user \"a\n", "1: user: the closing quote is missing"},
      {"user \"a\\\"\n", "1: user: the closing quote is missing"},
      {"user \"a\" b\n", "1: user: there is text behind the closing quote"},
      {"config /x\n", "1: config is for the command line only"},
      {"check\n", "1: check is for the command line only"},
      {"help\n", "1: help is for the command line only"},
      {"version\n", "1: version is for the command line only"},
      {"foreground\n", "1: foreground is for the command line only"},
      {"debug\nuser a\0b\n"sv, "2: there is a NUL in this line"},
  };
  for (const auto& row : rows) {
    const int outcome = f.parse_file(row.content);
    if (outcome != kConfigError) print_error("row %s\n", row.message);
    assert_int_equal(outcome, kConfigError);
    const bool said = f.says_of_file(row.message);
    assert_true(said);
  }
}

void ports_must_fit_across_file_and_command_line(Fixture& f) {
  assert_int_equal(f.parse_file("max-port 100\n"), kConfigError);
  bool said = f.says_of_file("1: max-port 100 is below min-port 25000");
  assert_true(said);
  assert_int_equal(f.parse_file("\nmin-port 101\n", "-P 100"), kConfigError);
  said = f.says_of_file("2: min-port 101 is above max-port 100");
  assert_true(said);
  assert_int_equal(f.parse("--control-tls-legacy"), kConfigError);
  said = f.says("--control-tls-legacy is of no use without enable-ssl");
  assert_true(said);
  assert_int_equal(f.parse("-p 2 -P 1"), kConfigError);
  said = f.says("--min-port 2 is above max-port 1");
  assert_true(said);
  assert_int_equal(f.parse_file("max-port 100\n", "-p 100"), kRun);
}

void a_named_file_must_be_readable(Fixture& f) {
  f.text = "--config=" + f.folder + "/missing";
  assert_int_equal(f.parse_bare(f.text.c_str()), kConfigError);
  bool said = f.says(f.folder + "/missing: No such file or directory");
  assert_true(said);
  f.text = "--config=" + f.folder;
  assert_int_equal(f.parse_bare(f.text.c_str()), kConfigError);
  said = f.says(f.folder + ": is a folder, not a regular file");
  assert_true(said);
  assert_int_equal(f.parse_bare("--config="), kUsageError);
  assert_int_equal(f.parse_bare("--config=/dev/null"), kRun);
}

void a_fifo_does_not_hang_the_start(Fixture& f) {
  ::unlink(f.file.c_str());
  assert_int_equal(::mkfifo(f.file.c_str(), 0600), 0);
  assert_int_equal(f.parse(""), kConfigError);  // nobody writes, so it would seem to be empty
  const bool said = f.says(f.file + ": is a FIFO, not a regular file");
  assert_true(said);
}

void a_huge_file_is_refused(Fixture& f) {
  f.text.assign((1 << 20) + 1, '\n');
  f.write(f.text);
  assert_int_equal(f.parse(""), kConfigError);
  const bool said = f.says(f.file + ": is larger than 1 MiB");
  assert_true(said);
  f.text.pop_back();
  f.write(f.text);
  assert_int_equal(f.parse(""), kRun);
}

// ---- what people read

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

void help_names_every_row(Fixture& f) {
  f.text = help_text();
  for (const OptionInfo& option : option_table()) {
    f.expected = option.short_name == 0 ? "      --" : std::string("  -") + option.short_name + ", --";
    f.expected += option.name + (option.argument.empty() ? "" : "=" + option.argument);
    if (!has_line(f.text, f.expected)) print_error("no line %s\n", f.expected.c_str());
    assert_true(has_line(f.text, f.expected));
    if (option.default_value.empty()) continue;
    f.expected = "          Default: " + option.default_value;
    assert_true(has_line(f.text, f.expected));
  }
}

void help_fits_a_terminal(Fixture& f) {
  f.text = help_text();
  size_t width = 0;
  for (const char c : f.text) {
    width = c == '\n' ? 0 : width + 1;
    assert_true(width < 80);
  }
  const bool begins = f.text.starts_with(usage_line() + "\n");
  assert_true(begins);
}

void names_and_letters_are_unique(Fixture& f) {
  for (const OptionInfo& option : option_table()) {
    size_t names = 0, letters = 0;
    for (const OptionInfo& other : option_table()) {
      names += other.name == option.name;
      letters += other.short_name == option.short_name;
    }
    assert_int_equal(names, 1);
    if (option.short_name != 0) assert_int_equal(letters, 1);
    f.text += option.short_name == 0 ? "" : std::string(1, option.short_name);
  }
  const bool known = f.text == "fhdpP";
  assert_true(known);
}

void every_default_passes_its_own_check(Fixture& f) {
  for (const OptionInfo& option : option_table()) {
    if (option.default_value.empty() || !option.in_config) continue;
    f.text = option.name + " \"" + option.default_value + "\"\n";
    assert_int_equal(f.parse_file(f.text), kRun);
  }
}

// ---- the listeners of other dialects

void every_listener_counts(Fixture& f) {
  assert_int_equal(f.parse("--vncap-listen=127.0.0.1:8888 --vncap-listen [::1]:0 --vncap-listen unix:/run/v"),
                   kRun);
  bool same =
      f.options().vncap_listen == std::vector<std::string>{"127.0.0.1:8888", "[::1]:0", "unix:/run/v"};
  assert_true(same);
  assert_int_equal(f.parse_file("vncap-listen *:8888\nvncap-listen localhost:http\nvncap-listen \"\"\n"),
                   kRun);
  same = f.options().vncap_listen == std::vector<std::string>{"*:8888", "localhost:http"};
  assert_true(same);
  assert_int_equal(f.parse_file("vncap-listen *:8888\n", "--vncap-listen=unix:/v"), kRun);
  same = f.options().vncap_listen == std::vector<std::string>{"unix:/v"};
  assert_true(same);
  assert_int_equal(f.parse("--vncap-listen=unix:sock --control-socket=ctrl --control-socket-group=www-data"),
                   kRun);
  f.text = std::filesystem::current_path();
  same = f.options().vncap_listen == std::vector<std::string>{"unix:" + f.text + "/sock"} &&
         f.options().control_socket == f.text + "/ctrl" && f.options().control_socket_group == "www-data";
  assert_true(same);
  assert_int_equal(f.parse_file(""), kRun);
  assert_true(f.options().vncap_listen.empty() && f.options().control_socket.empty() &&
              f.options().flash_policy_listen.empty() && f.options().warnings.empty());
  assert_int_equal(f.options().vncap_backend_timeout.count(), 5000);
  assert_false(f.options().vncap_insecure);
}

void explains_bad_listeners(Fixture& f) {
  struct {
    const char *words, *message;
  } const rows[] = {
      {"--vncap-listen=8888", R"(--vncap-listen: "8888" has no port behind a colon)"},
      {"--vncap-listen=unix:", R"(--vncap-listen: "unix:" names no path)"},
      {"--vncap-listen=::1:80", R"(--vncap-listen: "::1:80" needs brackets around its IPv6 address)"},
      {"--log=syslog:", R"(--log: "syslog:" names no path)"},
      {"--flash-policy-listen=:843", R"(--flash-policy-listen: ":843" has no address before the colon)"},
  };
  for (const auto& row : rows) {
    assert_int_equal(f.parse(row.words), kUsageError);
    const bool said = f.says(row.message);
    assert_true(said);
  }
  assert_int_equal(f.parse("--control-tls-legacy --enable-ssl"), kRun);
}

// ---- limits of control clients

void exempt_networks_add_up(Fixture& f) {
  struct {
    const char *content, *words;
    size_t count;
  } const rows[] = {
      {"", "", 0},
      {"", "--exempt-network 192.0.2.0/24", 1},
      {"", "--exempt-network 192.0.2.0/24,2001:db8::1 --exempt-network=198.51.100.7", 3},
      {"exempt-network 192.0.2.7\nexempt-network \"2001:db8::/32, 198.51.100.0/24\"\n", "", 3},
      {"exempt-network \"\"\n", "", 0},
      {"exempt-network 192.0.2.7\nexempt-network 192.0.2.8\n", "--exempt-network=192.0.2.9", 1},
  };
  for (const auto& row : rows) {
    assert_int_equal(f.parse_file(row.content, row.words), kRun);
    assert_int_equal(f.options().exempt_networks.size(), row.count);
    assert_true(f.options().warnings.empty());
  }
  assert_int_equal(f.parse("--exempt-network=192.0.2.0/24 --max-pending=4096 --max-pending-per-address 1"),
                   kRun);
  const Options& o = f.options();
  assert_int_equal(o.max_pending, 4096);
  assert_int_equal(o.max_pending_per_address, 1);
  const bool meant = o.exempt_networks[0].contains(base::parse_network("192.0.2.77")->address);
  assert_true(meant);
  assert_int_equal(f.parse(""), kRun);
  assert_int_equal(f.options().max_pending, 256);
  assert_int_equal(f.options().max_pending_per_address, 16);
}

void explains_bad_limits(Fixture& f) {
  struct {
    const char *words, *message;
  } const rows[] = {
      {"--max-pending=0", R"(--max-pending: "0" is not a number from 1 to 4096)"},
      {"--max-pending-per-address=4097",
       R"(--max-pending-per-address: "4097" is not a number from 1 to 4096)"},
      {"--exempt-network=panel",
       R"(--exempt-network: "panel" holds "panel", which is neither an IPv4 or IPv6 address nor a network of such)"},
      {"--exempt-network=192.0.2.7,10.0.0.0/33",
       R"(--exempt-network: "192.0.2.7,10.0.0.0/33" holds "10.0.0.0/33", which has no number from 0 to 32 behind )"
       R"(its slash)"},
      {"--exempt-network=192.0.2.7,,192.0.2.8",
       R"(--exempt-network: "192.0.2.7,,192.0.2.8" holds "", which is neither an IPv4 or IPv6 address nor a network )"
       R"(of such)"},
  };
  for (const auto& row : rows) {
    assert_int_equal(f.parse(row.words), kUsageError);
    const bool said = f.says(row.message);
    if (!said) print_message("  %s\n", row.words);
    assert_true(said);
  }
}

// ---- what viewers are told

void a_proxy_address_is_a_host_alone(Fixture& f) {
  struct {
    const char *value, *trouble;
  } const rows[] = {
      {"console.example.org", nullptr},
      {"192.0.2.7", nullptr},
      {"2001:db8::7", nullptr},
      {"", nullptr},
      {"console.example.org:443", "has a port behind a colon: viewers are told the port of each forwarding"},
      {"192.0.2.7:443", "has a port behind a colon: viewers are told the port of each forwarding"},
      {"[2001:db8::7]", "has brackets, which an address without a port does not need"},
      {"[2001:db8::7]:443", "has brackets, which an address without a port does not need"},
      {"console example", "has a blank in it"},
      {" console.example.org", "has a blank in it"},
      {"https://console.example.org", "is neither a host name nor an address"},
      {"192.0.2.0/24", "is neither a host name nor an address"},
  };
  for (const auto& row : rows) {
    f.text.assign("proxy-address \"").append(row.value).append("\"\n");
    assert_int_equal(f.parse_file(f.text), row.trouble == nullptr ? kRun : kConfigError);
    if (row.trouble == nullptr) continue;
    f.expected = f.file + ":1: proxy-address: \"" + row.value + "\" " + row.trouble;
    const bool said = f.says(f.expected);
    assert_true(said);
  }
}

// ---- spellings of the old daemon

void old_spellings_mean_what_they_did(Fixture& f) {
  assert_int_equal(f.parse("-p11000 -P15000 -s /run/vncproxy.sock -l /log -t 7 -r 2 -w 0.5"), kRun);
  const Options& o = f.options();
  const bool texts = o.control_socket == "/run/vncproxy.sock" && o.log == "/log";
  assert_true(texts);
  assert_int_equal(o.connect_timeout.count(), 7000);
  assert_int_equal(o.connect_retries, 2);
  assert_int_equal(o.retry_wait.count(), 500);
  assert_int_equal(o.warnings.size(), 5);
  const bool told = o.warnings[0] == "-s, --socket is an old spelling: say --control-socket" &&
                    o.warnings[4] == "-w is an old spelling: say --retry-wait";
  assert_true(told);
}

void an_old_name_counts_in_full(Fixture& f) {
  for (const char* words : {"--socket=/s", "--socket /s", "-s/s"}) {
    assert_int_equal(f.parse(words), kRun);
    const bool set = f.options().control_socket == "/s" && f.options().warnings.size() == 1;
    assert_true(set);
  }
  assert_int_equal(f.parse("--s=9"), kRun);
  assert_int_equal(f.options().server_timeout.count(), 9000);
  assert_int_equal(f.parse("--soc=/s"), kUsageError);
  assert_int_equal(f.parse_file("socket /s\n"), kConfigError);
  assert_int_equal(f.parse("-s"), kUsageError);
  bool said = f.says("--control-socket needs a value");
  assert_true(said);
  assert_int_equal(f.parse("-t soon"), kUsageError);
  said = f.says(R"(--connect-timeout: "soon" is not a number of seconds above 0, up to 1000000)");
  assert_true(said);
}

}  // namespace
}  // namespace vncauthproxy::config

int main() {
  using namespace vncauthproxy::config;
  const CMUnitTest tests[] = {
      TEST(Fixture, has_the_old_daemons_defaults),
      TEST(Fixture, names_the_default_file),
      TEST(Fixture, takes_every_way_to_write_an_option),
      TEST(Fixture, sets_every_option),
      TEST(Fixture, takes_the_beginnings_people_use),
      TEST(Fixture, beginnings_of_the_old_daemon_keep_their_meaning),
      TEST(Fixture, explains_what_is_wrong),
      TEST(Fixture, the_first_word_that_decides_decides),
      TEST(Fixture, leaves_argv_as_it_was),
      TEST(Fixture, files_become_absolute),
      TEST(Fixture, reads_the_file),
      TEST(Fixture, tells_all_faults_of_the_file_at_once),
      TEST(Fixture, remembers_where_an_option_stands),
      TEST(Fixture, warns_of_options_that_stand_twice),
      TEST(Fixture, a_byte_order_mark_is_skipped),
      TEST(Fixture, the_last_line_of_a_name_counts),
      TEST(Fixture, the_command_line_wins),
      TEST(Fixture, checks_what_the_command_line_overrules),
      TEST(Fixture, explains_what_is_wrong_in_the_file),
      TEST(Fixture, ports_must_fit_across_file_and_command_line),
      TEST(Fixture, a_named_file_must_be_readable),
      TEST(Fixture, a_fifo_does_not_hang_the_start),
      TEST(Fixture, a_huge_file_is_refused),
      TEST(Fixture, help_names_every_row),
      TEST(Fixture, help_fits_a_terminal),
      TEST(Fixture, names_and_letters_are_unique),
      TEST(Fixture, every_default_passes_its_own_check),
      TEST(Fixture, every_listener_counts),
      TEST(Fixture, explains_bad_listeners),
      TEST(Fixture, exempt_networks_add_up),
      TEST(Fixture, explains_bad_limits),
      TEST(Fixture, a_proxy_address_is_a_host_alone),
      TEST(Fixture, old_spellings_mean_what_they_did),
      TEST(Fixture, an_old_name_counts_in_full),
  };
  return vncauthproxy::testing::run_group("options", tests);
}
