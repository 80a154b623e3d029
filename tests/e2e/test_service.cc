// SPDX-License-Identifier: GPL-2.0-or-later
// The built daemon as a service: how it starts and when it does not, its signals, its files, its privileges,
// and what of its secrets can be seen from outside.
#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/tls.h"
#include "vncauthproxy/proto/vnc_auth.h"

#include "tests/support/service.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : Stage {
  explicit Fixture(DaemonSetup setup = {}) : Stage(std::move(setup)) {}

  bool logs_in(const std::string& user, const std::string& password) const {
    Request wanted{.destination_port = echo_backend.port(), .auth_user = user, .auth_password = password};
    const Reply reply = daemon.request(wanted);
    FakeViewer viewer(reply.port);
    return reply.ok() && viewer.log_in(kViewerSecret) == Verdict::admitted;
  }
};

struct Talkative : Fixture {
  Talkative() : Fixture({.options = {"--debug"}}) {}
};

struct AsNobody : Fixture {
  AsNobody() : Fixture({.user = ::getpwnam("nobody") && ::geteuid() == 0 ? "nobody" : "root"}) {}
};

struct OddUsers : Fixture {
  OddUsers()
      : Fixture({.users = "# comment\n\n" + user_line(kUser, kLoginSecret) +
                          "SpoiledLine7f3a\nstar:*\nclear:text7f3a\nempty:\n:nobody\n" +
                          user_line("second", "another")}) {}
};

// ---- starting

void the_command_returns_when_the_service_is_there(Service& f) {
  const Outcome outcome = f.start();
  f.check(outcome.status == 0, outcome.err);
  f.check(f.answers(), "at once, without a retry");
  f.check(f.pid > 0 && read_file(f.folder.file("pid")) == std::to_string(f.pid) + "\n", "pid file");
  f.check(::getsid(f.pid) != ::getsid(0) && ::getsid(f.pid) != f.pid, "a session of its own, led by nobody");
  f.check(std::filesystem::read_symlink("/proc/" + std::to_string(f.pid) + "/cwd") == "/", "in /");
  send_signal(f.pid, SIGTERM);
  f.check(f.wait_end() == 0, "SIGTERM is a clean end");
  f.check(!std::filesystem::exists(f.folder.file("pid")), "the pid file is gone");
  f.check(connection_refused("127.0.0.1", f.control_port), "nobody listens");
}

void a_taken_control_port_fails_the_start(Service& f) {
  const Listener other("127.0.0.1", f.control_port);
  const Outcome outcome = f.start();
  f.check(outcome.status == 1, std::to_string(outcome.status));
  f.check(outcome.err.find(std::to_string(f.control_port)) != std::string::npos,
          "the message names it: " + outcome.err);
  f.check(!std::filesystem::exists(f.folder.file("pid")) || f.pid_in_file() == 0, "no pid is left");
}

void a_second_start_is_refused(Service& f) {
  f.check(f.start().status == 0);
  const Outcome second = run(f.command({"--listen-port", "0"}));
  f.check(second.status == 1 && second.err.find(std::to_string(f.pid)) != std::string::npos, second.err);
  f.check(f.answers() && f.pid_in_file() == f.pid, "the first one serves on");
}

void of_two_starts_at_once_one_wins(Service& f) {
  const std::vector<std::string> command = f.command();
  Program first(command), second(command);
  const int a = first.wait(), b = second.wait();
  f.check((a == 0 && b == 1) || (a == 1 && b == 0), std::to_string(a) + " and " + std::to_string(b));
  f.pid = f.pid_in_file();
  f.check(f.pid > 0 && f.answers(), "and serves");
}

void stale_pid_files_do_not_matter(Service& f) {
  // The pid of a living process that is no daemon of ours.
  write_file(f.folder.file("pid"), std::to_string(::getpid()) + "\n", 0644);
  f.check(f.start().status == 0 && f.answers());
  f.check(f.pid_in_file() != ::getpid(), "taken over");
}

void a_planted_link_is_not_followed(Service& f) {
  const std::string victim = f.folder.file("victim");
  write_file(victim, "precious");
  std::filesystem::create_symlink(victim, f.folder.file("pid"));
  const Outcome outcome = f.start();
  f.check(outcome.status == 1 && !outcome.err.empty(), outcome.err);
  f.check(read_file(victim) == "precious", "untouched");
}

void unreadable_things_fail_the_start(Service& f) {
  const std::string key = f.folder.file("key"), cert = f.folder.file("cert"),
                    garbage = f.folder.file("garbage");
  make_certificate(cert, key);
  write_file(garbage, "garbage");
  const std::vector<std::vector<std::string>> rows = {
      {"--enable-ssl", "--cert-file", f.folder.file("none"), "--key-file", key},
      {"--enable-ssl", "--cert-file", cert, "--key-file", f.folder.file("none")},
      {"--enable-ssl", "--cert-file", cert, "--key-file", garbage},
      {"--listen-address", "192.0.2.1"},
      {"--listen-address", "no-such-host.invalid"},
      {"--auth-file", f.folder.path()},
      {"--log", f.folder.file("none/log")},
      {"--pid-file", f.folder.file("none/pid")},
  };
  for (const auto& row : rows) {
    const Outcome outcome = f.start(row);
    f.check(outcome.status == 1 && !outcome.err.empty(),
            row[0] + " " + row[1] + ": " + std::to_string(outcome.status));
    const Outcome foreground = [&] {
      std::vector<std::string> more = row;
      more.push_back("--foreground");
      return run(f.command(more));
    }();
    f.check(foreground.status == 1 && !foreground.err.empty(), "foreground: " + row[0] + " " + row[1]);
  }
}

void key_files_open_to_others_are_refused(Service& f) {
  const std::string key = f.folder.file("key"), cert = f.folder.file("cert");
  make_certificate(cert, key);
  const std::vector<std::string> tls = {"--enable-ssl", "--cert-file", cert, "--key-file", key};
  ::chmod(key.c_str(), 0644);
  const Outcome outcome = f.start(tls);
  f.check(outcome.status == 1 && outcome.err.find(key) != std::string::npos, outcome.err);
  ::chmod(key.c_str(), 0600);
  const std::string other_key = f.folder.file("other-key");
  make_certificate(f.folder.file("other-cert"), other_key);
  f.check(f.start({"--enable-ssl", "--cert-file", cert, "--key-file", other_key}).status == 1,
          "a key of another pair");
  f.check(f.start(tls).status == 0, "and a right one is taken");
}

void untrusted_users_files_are_refused(Service& f) {
  const std::string users = f.folder.file("own-users");
  write_file(users, user_line(kUser, kLoginSecret), 0666);
  const Outcome writable = f.start({"--auth-file", users});
  f.check(writable.status == 1 && writable.err.find(users) != std::string::npos, writable.err);
  const std::string fifo = f.folder.file("fifo");
  ::mkfifo(fifo.c_str(), 0600);
  f.check(f.start({"--auth-file", fifo}).status == 1, "a FIFO does not hang the start");
}

void no_users_means_no_logins(Service& f) {
  const std::string empty = f.folder.file("empty");
  write_file(empty, "");
  for (const std::string& file : {f.folder.file("missing"), empty}) {
    f.check(f.start({"--auth-file", file}).status == 0, "it starts");
    f.check(f.log().find(file) != std::string::npos, "and warns");
    Socket control = Socket::connect("127.0.0.1", f.control_port);
    control.send(Request{.destination_port = 5900}.json());
    const Reply reply = parse_reply(control.read_to_end());
    f.check(reply.failed("auth_failed"), reply.text);
    send_signal(f.pid, SIGTERM);
    f.check(f.wait_end() == 0);
  }
}

// ---- the command line

void usage_errors_exit_with_two(Service& f) {
  const std::vector<std::vector<std::string>> rows = {{"--no-such-option"},
                                                      {"--min-port", "abc"},
                                                      {"--min-port", "70000"},
                                                      {"--min-port", "200", "--max-port", "100"},
                                                      {"--max-port"},
                                                      {"--connect"},
                                                      {"--auth-attempts", "0"},
                                                      {"--server-timeout", "-1"},
                                                      {"--retry-wait", ""},
                                                      {"--connect-timeout", "x"},
                                                      {"-z"},
                                                      {"--debug=yes"},
                                                      {"--listen-port", "99999"}};
  for (const auto& row : rows) {
    std::vector<std::string> argv = row;
    argv.insert(argv.begin(), built("vncauthproxy"));
    const Outcome outcome = run(argv);
    f.check(outcome.status == 2 && !outcome.err.empty() && outcome.out.empty(),
            row[0] + ": " + std::to_string(outcome.status) + " " + outcome.err);
  }
}

void help_and_version_are_said(Service& f) {
  for (const char* option : {"--help", "-h", "--hel"}) {
    const Outcome outcome = run({built("vncauthproxy"), option});
    f.check(outcome.status == 0 && outcome.out.find("--listen-address") != std::string::npos &&
            outcome.err.empty());
  }
  const Outcome version = run({built("vncauthproxy"), "--version"});
  f.check(version.status == 0 && version.out.find("vncauthproxy") == 0, version.out);
  const Outcome stray = run({built("vncauthproxy"), "stray"});
  f.check(stray.status == 1 && stray.out.find("--listen-address") != std::string::npos,
          "help on stdout, exit 1");
  f.check(stray.err == "vncauthproxy: stray argument \"stray\"\n", "and which it was: " + stray.err);
}

void prefixes_of_options_are_understood(Service& f) {
  const std::string pid = f.folder.file("other-pid");
  f.check(f.start({"--pid", pid, "--proxy-l=127.0.0.1"}).status == 0);
  f.pid = static_cast<pid_t>(std::strtol(read_file(pid).c_str(), nullptr, 10));
  f.check(f.pid > 0 && f.answers());
}

void check_tells_what_is_wrong(Service& f) {
  f.check(run(f.command({"--check"})).status == 0, "nothing is");
  f.check(connection_refused("127.0.0.1", f.control_port), "and nothing was started");
  f.check(!std::filesystem::exists(f.folder.file("pid")), "no pid file");
  const Outcome missing =
      run(f.command({"--check", "--enable-ssl", "--cert-file", f.folder.file("none"), "--key-file", "none"}));
  f.check(missing.status == 1 && missing.err.find(f.folder.file("none")) != std::string::npos, missing.err);
}

void the_configuration_file_is_read(Service& f) {
  const std::string config = f.folder.file("own-config");
  write_file(config, "# a comment\n\nproxy-address  from-the-file.example\nlisten-port 1\n");
  std::vector<std::string> more = {"--config", config};
  f.check(f.start({"--config", config, "--listen-port", std::to_string(f.control_port)}).status == 0,
          "the command line wins");
  f.check(f.answers());
  FakeBackend backend(echo());
  Socket control = Socket::connect("127.0.0.1", f.control_port);
  control.send(Request{.destination_port = backend.port()}.json());
  const Reply reply = parse_reply(control.read_to_end());
  f.check(reply.proxy_address == "from-the-file.example", reply.text);
  const struct {
    const char *text, *line;
  } rows[] = {{"debug\n\nno-such-option 1\n", ":3"},
              {"min-port abc\n", ":1"},
              {"# x\nmax-port\n", ":2"},
              {"config /other\n", ":1"}};
  for (const auto& row : rows) {
    write_file(config, row.text);
    const Outcome outcome = run({built("vncauthproxy"), "--foreground", "--config", config});
    f.check(outcome.status != 0 && outcome.err.find(config + row.line) != std::string::npos, outcome.err);
  }
  f.check(run({built("vncauthproxy"), "--foreground", "--config", f.folder.file("none")}).status != 0,
          "a named file must be there");
}

void all_faults_of_the_file_are_told_at_once(Service& f) {
  const std::string config = f.folder.file("own-config");
  write_file(config, "min_port 25000\ndebug maybe\nlisten-port 99999\n");
  for (const char* how : {"--check", "--foreground"}) {
    const Outcome outcome = run({built("vncauthproxy"), how, "--config", config});
    const std::string place = "vncauthproxy: " + config;
    f.check(outcome.status == 2 &&
                outcome.err == place +
                                   ":1: there is no option \"min_port\"; did you mean \"min-port 25000\"?\n" +
                                   place + ":2: debug: \"maybe\" is neither yes nor no\n" + place +
                                   ":3: listen-port: \"99999\" is neither a port number from 0 to 65535 nor "
                                   "the name of a service\n",
            outcome.err);
  }
}

// ---- running

void both_signals_end_it_cleanly(Service& f) {
  FakeBackend backend(echo());
  for (const int signal : {SIGTERM, SIGINT}) {
    std::vector<std::string> argv = f.command({"--foreground", "--log", "-"});
    Program daemon(argv);
    f.check(daemon.wait_err("Listening for control clients at"), daemon.err());
    Socket control = Socket::connect("127.0.0.1", f.control_port);
    control.send(Request{.destination_port = backend.port()}.json());
    const Reply live = parse_reply(control.read_to_end());
    FakeViewer viewer(live.port);
    f.check(viewer.log_in(kViewerSecret) == Verdict::admitted, live.text);
    control = Socket::connect("127.0.0.1", f.control_port);
    control.send(Request{.destination_port = backend.port()}.json());
    const Reply waiting = parse_reply(control.read_to_end());
    f.check(waiting.ok(), waiting.text);
    const std::vector<pid_t> workers = workers_of(daemon.pid());
    f.check(workers.size() == 2);
    daemon.signal(signal);
    f.check(daemon.wait() == 0, "exit 0");
    Got how = Got::nothing;
    viewer.socket.read_to_end(&how);
    f.check(how != Got::nothing, "sessions end");
    f.check(wait_until([&] { return connection_refused("127.0.0.1", waiting.port); }), "waiting ports close");
    for (const pid_t worker : workers)
      f.check(wait_until([&] { return ::waitpid(worker, nullptr, WNOHANG) != 0 || !send_signal(worker, 0); }),
              "no worker is left");
    f.check(!std::filesystem::exists(f.folder.file("pid")), "no pid file is left");
  }
}

void other_signals_do_no_harm(Fixture& f) {
  for (const int signal : {SIGPIPE, SIGCHLD, SIGHUP, SIGHUP}) f.daemon.signal(signal);
  f.check(f.logs_in(kUser, kLoginSecret));
}

void users_are_read_again(Fixture& f) {
  f.check(!f.logs_in("newcomer", "fresh"), "not yet");
  write_file(f.daemon.users_file(), user_line("newcomer", "fresh") + user_line(kUser, kLoginSecret));
  f.daemon.signal(SIGHUP);
  f.check(wait_until([&] { return f.logs_in("newcomer", "fresh"); }), "the new user");
  f.check(f.logs_in(kUser, kLoginSecret), "the old one");
  // A login that was good once is not remembered past a reload.
  write_file(f.daemon.users_file(), user_line(kUser, kLoginSecret));
  f.daemon.signal(SIGHUP);
  f.check(wait_until([&] { return !f.logs_in("newcomer", "fresh"); }), "gone again");
}

void users_files_that_are_away_change_nothing(Fixture& f) {
  const std::string file = f.daemon.users_file(), aside = file + ".old";
  const auto reload_says = [&](const std::string& what) {
    const size_t before = f.daemon.log_size();
    f.daemon.signal(SIGHUP);
    f.check(f.daemon.wait_log("the old users stay in force: " + file, {}, before), what + " is an error");
    f.check(f.logs_in(kUser, kLoginSecret), what + " locks nobody out");
  };
  std::filesystem::rename(file, aside);
  reload_says("a missing file");
  std::filesystem::create_symlink("nowhere", file);
  reload_says("a dangling link");
  std::filesystem::remove(file);
  ::mkfifo(file.c_str(), 0600);
  reload_says("a FIFO");
  std::filesystem::remove(file);
  std::filesystem::rename(aside, file);
}

void bad_users_files_change_nothing(Fixture& f) {
  write_file(f.daemon.users_file(), user_line("newcomer", "fresh"), 0666);
  const size_t before = f.daemon.log_size();
  f.daemon.signal(SIGHUP);
  f.check(f.daemon.wait_log(f.daemon.users_file(), {}, before), "the log says why");
  f.check(f.logs_in(kUser, kLoginSecret) && !f.logs_in("newcomer", "fresh"), "the old ones are in force");
}

struct WithTls : Fixture {
  WithTls() : made(make_certificate(cert(), key())), tls(setup()) {}
  std::string cert() const { return keys.file("cert.pem"); }
  std::string key() const { return keys.file("key.pem"); }
  DaemonSetup setup() const {
    return {.options = {"--enable-ssl", "--cert-file", cert(), "--key-file", key()}};
  }
  std::string served_name() const {
    TlsClient client(tls.connect());
    return client.handshake() ? client.peer_name() : "";
  }

  Folder keys;
  bool made;
  Daemon tls;
};

void certificates_are_read_again(WithTls& f) {
  f.check(f.served_name() == "localhost", f.served_name());
  make_certificate(f.cert(), f.key(), "renewed.example");
  f.tls.signal(SIGHUP);
  f.check(wait_until([&] { return f.served_name() == "renewed.example"; }), "the new one is served");
  write_file(f.cert(), "garbage");
  const size_t before = f.tls.log_size();
  f.tls.signal(SIGHUP);
  f.check(f.tls.wait_log(f.cert(), {}, before), "the log says why");
  f.check(f.served_name() == "renewed.example", "the old one stays");
}

void the_log_file_is_opened_again(Service& f) {
  f.check(f.start().status == 0);
  f.check(f.log().find("Listening for control clients at 127.0.0.1:" + std::to_string(f.control_port)) !=
              std::string::npos,
          f.log());
  struct stat status {};
  f.check(::stat(f.folder.file("log").c_str(), &status) == 0 && (status.st_mode & 0777) == 0640, "mode");
  const std::string old = f.folder.file("log.1");
  std::filesystem::rename(f.folder.file("log"), old);
  send_signal(f.pid, SIGHUP);
  f.check(wait_until([&] { return std::filesystem::exists(f.folder.file("log")); }), "a new file");
  const auto size = std::filesystem::file_size(old);
  f.check(f.answers() && wait_until([&] { return !f.log().empty(); }), "is written to");
  f.check(std::filesystem::file_size(old) == size, "and the old one is not");
  // A log that cannot be opened leaves the one that is.
  std::filesystem::remove(f.folder.file("log"));
  std::filesystem::create_directory(f.folder.file("log"));
  send_signal(f.pid, SIGHUP);
  f.check(f.answers(), "it serves on");
  std::filesystem::remove(f.folder.file("log"));
}

// ---- one forwarding among others

unsigned long number_of_first(const std::string& log) {
  const size_t number = log.rfind(": F", log.find(" requested by "));
  return number == std::string::npos ? 0 : std::strtoul(log.c_str() + number + 3, nullptr, 10);
}

void numbers_go_on_in_the_next_life(Service& f) {
  FakeBackend backend(echo());
  unsigned long before = 0;
  for (int life = 0; life < 3; ++life) {
    const std::time_t second = std::time(nullptr);
    const size_t from = f.log().size();
    f.check(f.start().status == 0);
    Socket control = Socket::connect("127.0.0.1", f.control_port);
    control.send(Request{.destination_port = backend.port()}.json());
    f.check(parse_reply(control.read_to_end()).ok());
    const unsigned long first = number_of_first(f.log().substr(from));
    f.check(first > before, std::to_string(first) + " comes after " + std::to_string(before));
    before = first;
    send_signal(f.pid, SIGTERM);
    f.check(f.wait_end() == 0);
    wait_until([&] { return std::time(nullptr) > second; });
  }
}

// Each ends with its reason, and nothing of it is an error.
void a_terminated_worker_ends_in_order(Fixture& f) {
  const auto newest_worker = [&f] { return f.daemon.workers().back(); };
  const auto ended = [&f](unsigned nth) {
    return f.daemon.wait_log(f.daemon.forwarding(nth) + "ended: terminated by SIGTERM; ");
  };
  FakeViewer live = f.session_to(f.echo_backend);
  f.check(live.echoes("live"));
  send_signal(newest_worker(), SIGTERM);
  f.check(live.socket.ended() && ended(2), "a session");

  FakeViewer viewer(f.daemon.forwarding_to(f.echo_backend.port()));
  f.check(viewer.to_challenge());
  send_signal(newest_worker(), SIGTERM);
  f.check(viewer.read_result() == Verdict::refused && !viewer.reason.empty() && ended(3), "a port");

  FakeBackend mute(silent());
  Socket control = f.daemon.connect();
  control.send(Request{.destination_port = mute.port()}.json());
  f.check(mute.wait_connections(1));
  send_signal(newest_worker(), SIGTERM);
  const Reply reply = parse_reply(control.read_to_end());
  f.check(reply.failed("busy") && reply.reason == "terminated by SIGTERM", reply.text);
  f.check(f.daemon.wait_workers(1) && f.daemon.log().find("ERROR") == std::string::npos, "no errors");
}

void a_daemon_that_ends_answers_who_waits(Fixture& f) {
  FakeBackend mute(silent());
  Socket control = f.daemon.connect();
  control.send(Request{.destination_port = mute.port()}.json());
  f.check(mute.wait_connections(1));
  f.expect_no_daemon();
  f.check(f.daemon.stop() == 0);
  const Reply reply = parse_reply(control.read_to_end());
  f.check(reply.failed("busy"), reply.text);
  f.check(f.daemon.log().find("ERROR") == std::string::npos, "no errors");
}

// In `ps` and `top`: what a process is, and for which forwarding.
void processes_say_what_they_do(Fixture& f) {
  const auto title = [](pid_t pid) {
    const std::string line = read_file("/proc/" + std::to_string(pid) + "/cmdline");
    return std::string(line.c_str());
  };
  const auto says = [&](pid_t pid, const std::string& expected) {
    return wait_until([&] { return title(pid) == "vncauthproxy: " + expected; }) ||
           !f.check(false, title(pid));
  };
  const auto worker = [&f](size_t nth) { return f.daemon.workers().at(nth - 1); };
  f.check(says(worker(1), f.daemon.forwarding(1) + "live"));
  FakeViewer viewer(f.daemon.forwarding_to(f.echo_backend.port()));
  f.check(says(worker(2), f.daemon.forwarding(2) + "waiting"));
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted);
  f.check(says(worker(2), f.daemon.forwarding(2) + "live"));
  f.check(says(nursery_of(f.daemon.pid()), "nursery"));
  f.check(wait_until([&] { return !spares_of(f.daemon.pid()).empty(); }), "a spare");
  f.check(title(f.daemon.pid()).ends_with("/vncauthproxy"), "the master keeps its arguments");
}

// ---- what can be seen from outside

void secrets_are_nowhere_to_be_seen(Talkative& f) {
  FakeBackend guarded(echo({.types = "\2", .password = kServerSecret}));
  const Reply reply =
      f.daemon.request(Request{.destination_port = guarded.port(), .server_password = kServerSecret});
  f.check(reply.ok(), reply.text);
  std::vector<pid_t> processes = f.daemon.workers();
  processes.push_back(f.daemon.pid());
  for (const pid_t pid : processes)
    for (const char* file : {"/cmdline", "/environ", "/status", "/comm"})
      f.check(!holds_a_secret(read_file("/proc/" + std::to_string(pid) + file)), file);
  FakeViewer wrong(reply.port), right(reply.port);
  f.check(wrong.log_in("wrong") == Verdict::refused);
  f.check(right.log_in(kViewerSecret) == Verdict::admitted && right.echoes("hello"));
  // Every way to fail, each with a secret in it.
  f.daemon.request(
      Request{.destination_port = 1, .password = kViewerSecret, .server_password = kServerSecret});
  f.daemon.request(Request{.destination_port = guarded.port(), .auth_user = kLoginSecret});
  f.daemon.request(std::string("{\"password\": \"") + kViewerSecret + "\", \"type\": \"" + kServerSecret +
                   "x");
  f.daemon.request(std::string("{\"password\": \"") + kViewerSecret + "\" oops " + kServerSecret + "}");
  f.daemon.request(std::string("{\"auth_password\": [\"") + kLoginSecret + "\"], \"type\": \"vnc\"}");
  FakeViewer after(f.daemon.forwarding_to(guarded.port()));
  f.check(f.daemon.log().find("testsalttestsalt") == std::string::npos, "no hash in the log");
}

// Who is done with a secret, or never was to have it, does not hold it.
void secrets_are_gone_from_memory(Fixture& f) {
  if (::geteuid() != 0) skip();  // nobody else may look
  constexpr const char* kOthersSecret = "OthrPw7f";
  FakeBackend guarded(echo({.types = "\2", .password = kServerSecret}));
  const Reply first =
      f.daemon.request(Request{.destination_port = guarded.port(), .server_password = kServerSecret});
  FakeViewer viewer(first.port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), first.text);
  const std::vector<pid_t> relaying = f.daemon.workers();
  const Reply second = f.daemon.request(Request{
      .destination_port = guarded.port(), .password = kOthersSecret, .server_password = kServerSecret});
  f.check(second.ok() && f.daemon.workers().size() == relaying.size() + 1, second.text);
  // The daemon makes this one; only the control client is to know it afterwards.
  FakeBackend open(echo());
  const Reply third =
      f.daemon.request(std::string(R"({"type": "vnc", "destination_address": "127.0.0.1", )") +
                       R"("source_port": 0, "destination_port": )" + std::to_string(open.port()) +
                       R"(, "auth_user": ")" + kUser + R"(", "auth_password": ")" + kLoginSecret + "\"}");
  f.check(FakeViewer(third.port).log_in(third.password) == Verdict::admitted, third.text);
  f.check(f.daemon.wait_workers(relaying.size() + 1));

  const auto check_free_of = [&f](pid_t pid, const std::string& who, std::vector<std::string> secrets) {
    const std::string memory = memory_of(pid);
    f.check(memory.size() > 100000, who + ": its memory can be read");
    for (const std::string& secret : secrets)
      f.check(memory.find(secret) == std::string::npos, who + " holds " + secret);
  };
  for (const pid_t pid : f.daemon.workers()) {
    if (std::count(relaying.begin(), relaying.end(), pid) != 0) {
      check_free_of(pid, "who relays", {kViewerSecret, kServerSecret, kLoginSecret, kOthersSecret});
    } else {
      check_free_of(pid, "who waits", {kViewerSecret, kLoginSecret});
      f.check(memory_of(pid).find(kOthersSecret) != std::string::npos, "who waits has what it waits for");
    }
  }
  check_free_of(f.daemon.pid(), "the master",
                {kViewerSecret, kServerSecret, kLoginSecret, kOthersSecret, third.password});
}

void nobody_may_look_inside(Fixture& f) {
  for (const pid_t pid : {f.daemon.pid(), f.daemon.workers().at(0)}) {
    const std::string limits = read_file("/proc/" + std::to_string(pid) + "/limits");
    const size_t core = limits.find("Max core file size");
    f.check(core != std::string::npos && limits.substr(core, 40).find(" 0 ") != std::string::npos,
            "no core file");
    if (::geteuid() == 0) continue;
    const base::Fd fd(::open(("/proc/" + std::to_string(pid) + "/environ").c_str(), O_RDONLY | O_CLOEXEC));
    f.check(!fd, "closed to the same user");
  }
}

// Old installations give everything to the daemon's user, keys included; root only starts it.
void the_daemons_own_files_are_trusted(Service& f) {
  const passwd* nobody = ::getpwnam("nobody");
  if (::geteuid() != 0 || !nobody) return;
  const std::string key = f.folder.file("key"), cert = f.folder.file("cert"), users = f.folder.file("users");
  make_certificate(cert, key);
  const std::vector<std::string> options = {"--user",     "nobody", "--enable-ssl", "--cert-file", cert,
                                            "--key-file", key};
  const auto start_with = [&](uid_t owner) {
    std::vector<std::string> argv = f.command(options);
    for (const std::string& path : {users, key, f.folder.path()})
      f.check(::chown(path.c_str(), owner, static_cast<gid_t>(-1)) == 0);
    return run(argv);
  };
  const Outcome stranger = start_with(nobody->pw_uid - 1);
  f.check(stranger.status == 1 && stranger.err.find(f.folder.path()) != std::string::npos, stranger.err);
  const Outcome own = start_with(nobody->pw_uid);
  f.check(own.status == 0, own.err);
  if (own.status == 0) f.pid = f.pid_in_file();
}

void privileges_are_given_up(AsNobody& f) {
  if (::geteuid() != 0) return;
  const passwd* nobody = ::getpwnam("nobody");
  if (!nobody) return;
  const std::string uid = std::to_string(nobody->pw_uid), gid = std::to_string(nobody->pw_gid);
  for (const pid_t pid : {f.daemon.pid(), f.daemon.workers().at(0)}) {
    f.check(status_field(pid, "Uid") == uid + "\t" + uid + "\t" + uid + "\t" + uid, status_field(pid, "Uid"));
    f.check(status_field(pid, "Gid") == gid + "\t" + gid + "\t" + gid + "\t" + gid, status_field(pid, "Gid"));
    f.check(status_field(pid, "Groups").find_first_not_of(" ") == std::string::npos,
            status_field(pid, "Groups"));
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
      f.check(status_field(pid, set) == "0000000000000000", set);
    f.check(status_field(pid, "NoNewPrivs") == "1", "no new privileges");
  }
  f.check(f.logs_in(kUser, kLoginSecret), "it serves");
  // What it may still read, it reads again.
  write_file(f.daemon.users_file(), user_line("newcomer", "fresh") + user_line(kUser, kLoginSecret));
  f.daemon.signal(SIGHUP);
  f.check(wait_until([&] { return f.logs_in("newcomer", "fresh"); }), "reload");
}

void root_needs_somebody_to_become(Service& f) {
  if (::geteuid() != 0) return;
  const Outcome outcome = f.start({"--user", "no-such-user"});
  f.check(outcome.status == 1 && outcome.err.find("no-such-user") != std::string::npos, outcome.err);
  const Outcome group = f.start({"--group", "no-such-group"});
  f.check(group.status == 1 && group.err.find("no-such-group") != std::string::npos, group.err);
  if (::getpwnam("vncauthproxy")) return;
  std::vector<std::string> argv = {
      built("vncauthproxy"), "--foreground", "--listen-port",      "0",     "--auth-file",
      f.folder.file("none"), "--pid-file",   f.folder.file("pid"), "--log", "-"};
  const Outcome by_default = run(argv);
  f.check(by_default.status == 1 && by_default.err.find("vncauthproxy") != std::string::npos &&
              by_default.err.find("--user") != std::string::npos,
          "it says what to do: " + by_default.err);
}

void odd_lines_of_the_users_file_are_skipped(OddUsers& f) {
  f.check(f.logs_in(kUser, kLoginSecret) && f.logs_in("second", "another"), "good lines count");
  for (const char* user : {"star", "clear", "empty", "SpoiledLine7f3a", "", "# comment"})
    for (const char* password : {"", "*", "text7f3a"}) f.check(!f.logs_in(user, password), user);
  const std::string log = f.daemon.log();
  for (const int line : {4, 5, 6, 7, 8})
    f.check(log.find(f.daemon.users_file() + ":" + std::to_string(line)) != std::string::npos,
            "line " + std::to_string(line) + " is named");
  f.check(log.find("text7f3a") == std::string::npos && log.find("testsalt") == std::string::npos,
          "but never shown");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;
  const CMUnitTest tests[] = {
      STAGED(Service, the_command_returns_when_the_service_is_there),
      STAGED(Service, a_taken_control_port_fails_the_start),
      STAGED(Service, a_second_start_is_refused),
      STAGED(Service, of_two_starts_at_once_one_wins),
      STAGED(Service, stale_pid_files_do_not_matter),
      STAGED(Service, a_planted_link_is_not_followed),
      STAGED(Service, unreadable_things_fail_the_start),
      STAGED(Service, key_files_open_to_others_are_refused),
      STAGED(Service, untrusted_users_files_are_refused),
      STAGED(Service, no_users_means_no_logins),
      STAGED(Service, usage_errors_exit_with_two),
      STAGED(Service, help_and_version_are_said),
      STAGED(Service, prefixes_of_options_are_understood),
      STAGED(Service, check_tells_what_is_wrong),
      STAGED(Service, the_configuration_file_is_read),
      STAGED(Service, all_faults_of_the_file_are_told_at_once),
      STAGED(Service, both_signals_end_it_cleanly),
      STAGED(Fixture, other_signals_do_no_harm),
      STAGED(Fixture, users_are_read_again),
      STAGED(Fixture, users_files_that_are_away_change_nothing),
      STAGED(Fixture, bad_users_files_change_nothing),
      STAGED(WithTls, certificates_are_read_again),
      STAGED(Service, the_log_file_is_opened_again),
      STAGED(Service, numbers_go_on_in_the_next_life),
      STAGED(Fixture, a_terminated_worker_ends_in_order),
      STAGED(Fixture, a_daemon_that_ends_answers_who_waits),
      STAGED(Fixture, processes_say_what_they_do),
      STAGED(Talkative, secrets_are_nowhere_to_be_seen),
      STAGED(Fixture, secrets_are_gone_from_memory),
      STAGED(Fixture, nobody_may_look_inside),
      STAGED(Service, the_daemons_own_files_are_trusted),
      STAGED(AsNobody, privileges_are_given_up),
      STAGED(Service, root_needs_somebody_to_become),
      STAGED(OddUsers, odd_lines_of_the_users_file_are_skipped),
  };
  return run_group("service", tests);
}
