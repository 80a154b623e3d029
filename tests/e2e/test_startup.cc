// SPDX-License-Identifier: GPL-2.0-or-later
// What a start and --check find out: the same, all of it at once, and before a daemon that runs is given up.
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/certificate.h"
#include "tests/support/tls.h"
#include "vncauthproxy/proto/vnc_auth.h"

#include "tests/support/service.h"

namespace vncauthproxy::testing {
namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& words) {
  return text.find(words) != text.npos;
}
size_t count(const std::string& text, const std::string& words) {
  size_t found = 0;
  for (size_t at = text.find(words); at != text.npos; at = text.find(words, at + 1)) ++found;
  return found;
}

// A configuration about which there is nothing to say, but for what a test adds.
struct Fixture : Service {
  Fixture() { make_certificate(folder.file("cert.pem"), folder.file("key.pem"), "a.example"); }

  // Each option once, and what `more` gives in the place of the usual: one that is given twice is something
  // to say.
  std::vector<std::string> command_with(const std::vector<std::string>& more) const {
    const std::vector<std::string> usual = command({"--proxy-address", "a.example"});
    std::vector<std::string> argv = {usual[0]};
    const auto is_in = [](const std::string& option, auto from, auto to) {
      return std::find(from, to, option) != to;
    };
    for (auto at = usual.begin() + 1; at != usual.end(); at += 2)
      if (!is_in(*at, at + 2, usual.end()) && !is_in(*at, more.begin(), more.end()))
        argv.insert(argv.end(), at, at + 2);
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  Outcome ask(std::vector<std::string> more = {}) const {
    more.push_back("--check");
    return run(command_with(more));
  }
  Outcome start(const std::vector<std::string>& more = {}) {
    const Outcome outcome = run(command_with(more));
    if (outcome.status == 0) pid = pid_in_file();
    return outcome;
  }
  Outcome start_in_foreground(std::vector<std::string> more) const {
    more.push_back("--foreground");
    return run(command_with(more));
  }
  // Asked and started, in the background and in the foreground, it says no in these words.
  void refuses(const std::vector<std::string>& options, const std::string& words) {
    const std::string name = options[0] + " " + options[1] + ": ";
    const Outcome asked = ask(options);
    check(asked.status == 1 && contains(asked.err, words), name + "--check: " + asked.err);
    const Outcome started = start(options);
    check(started.status == 1 && contains(started.err, words), name + "start: " + started.err);
    const Outcome in_foreground = start_in_foreground(options);
    check(in_foreground.status == 1 && contains(in_foreground.err, words), name + in_foreground.err);
  }
  std::string config(const std::string& text) const {
    write_file(folder.file("own-config"), text);
    return folder.file("own-config");
  }
  // Asked and started it goes on, and says these words; when started in the log.
  void warns(const std::vector<std::string>& options, const std::string& words) {
    const Outcome asked = ask(options);
    check(asked.status == 0 && contains(asked.err, "vncauthproxy: warning: " + words),
          "--check: " + asked.err);
    const Outcome started = start(options);
    check(started.status == 0 && contains(log(), "WARNING: " + words), "start: " + started.err + log());
    stop();
  }
  void stop() {
    send_signal(pid, SIGTERM);
    check(wait_end() == 0, "it ends");
  }
};

// ---- what cannot work

void what_cannot_work_is_found_by_both(Fixture& f) {
  const Listener taken("127.0.0.1", 0);
  const std::string port = std::to_string(taken.port());
  const std::string key = f.folder.file("key.pem");
  f.refuses({"--listen-port", port}, "--listen-port: cannot listen on 127.0.0.1:" + port);
  f.refuses({"--vncap-listen", "127.0.0.1:" + port}, "--vncap-listen: cannot listen on 127.0.0.1:" + port);
  f.refuses({"--flash-policy-listen", "127.0.0.1:" + port}, "--flash-policy-listen: cannot listen on ");
  f.refuses({"--listen-address", "192.0.2.1"},
            "192.0.2.1:" + std::to_string(f.control_port) + ": this machine does not have the address");
  f.refuses({"--proxy-listen-address", "192.0.2.1"},
            "--proxy-listen-address: cannot listen on 192.0.2.1:0: this machine does not have the address");
  f.refuses({"--log", f.folder.file("none/log")}, "cannot open the log " + f.folder.file("none/log"));
  f.refuses({"--log", f.folder.path()}, "cannot open the log " + f.folder.path());
  f.refuses({"--pid-file", f.folder.file("none/pid")}, "the pid file's folder " + f.folder.file("none"));
  f.refuses({"--pid-file", f.folder.file("users") + "/pid"}, "--pid-file: ");
  f.refuses({"--web", f.folder.file("none")}, "--web: " + f.folder.file("none") + ": No such file");
  f.refuses({"--auth-file", f.folder.path()}, "--auth-file: " + f.folder.path() + ": is a folder");
  f.refuses({"--control-socket", f.folder.file("none/socket")}, "--control-socket: ");
  f.refuses({"--tls-ciphers", "NONSENSE"}, "--tls-ciphers: no cipher match");
  f.refuses({"--tls-ciphersuites", "TLS_NONSENSE"}, "--tls-ciphersuites: ");
  f.refuses({"--control-socket-group", "no-such-group"},
            "--control-socket-group: there is no group no-such-group; create one (groupadd --system "
            "no-such-group) or name another\n");
  f.refuses({"--cert-file", f.folder.path(), "--key-file", key}, f.folder.path() + ": is a folder");
  if (::geteuid() == 0) f.refuses({"--group", "no-such-group"}, "--group: there is no group no-such-group");
}

void names_that_do_not_resolve_are_told_with_their_line(Fixture& f) {
  struct {
    const char *line, *words;
  } const rows[] = {
      {"listen-address no-such-host.invalid", "listen-address: cannot resolve no-such-host.invalid: "},
      {"proxy-listen-address no-such-host.invalid",
       "proxy-listen-address: cannot resolve no-such-host.invalid: "},
      {"vncap-listen no-such-host.invalid:80", "vncap-listen: cannot resolve no-such-host.invalid: "},
      {"flash-policy-listen no-such-host.invalid:80",
       "flash-policy-listen: cannot resolve no-such-host.invalid: "},
      {"vncap-listen 127.0.0.1:no-such-service", "vncap-listen: 'no-such-service' is neither"},
      {"proxy-listen-address 192.0.2.1", "proxy-listen-address: cannot listen on 192.0.2.1:0: "},
      {"control-socket-group no-such-group", "control-socket-group: there is no group no-such-group"}};
  for (const auto& row : rows) {
    const std::string config = f.config(std::string("# a comment\n") + row.line + "\n");
    f.refuses({"--config", config}, "vncauthproxy: " + config + ":2: " + row.words);
  }
}

void all_is_told_at_once(Fixture& f) {
  const std::vector<std::string> options = {
      "--web",          f.folder.file("none"),     "--proxy-listen-address", "192.0.2.1",
      "--auth-file",    f.folder.path(),           "--tls-ciphers",          "NONSENSE",
      "--vncap-listen", "no-such-host.invalid:80", "--control-socket-group", "no-such-group"};
  for (const Outcome& outcome : {f.ask(options), f.start(options), f.start_in_foreground(options)}) {
    for (size_t i = 0; i < options.size(); i += 2)
      f.check(count(outcome.err, options[i] + ": ") == 1, options[i] + " once: " + outcome.err);
    f.check(outcome.status == 1 && count(outcome.err, "\n") == options.size() / 2, outcome.err);
  }
}

void in_the_foreground_nothing_is_printed_twice(Fixture& f) {
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{"--log", "-", "--proxy-listen-address", "192.0.2.1"},
                                             {"--log", f.folder.file("none/log")},
                                             {"--log", "-", "--pid-file", f.folder.file("none/pid")}}) {
    const Outcome outcome = f.start_in_foreground(options);
    f.check(outcome.status == 1 && count(outcome.err, "\n") == 1, outcome.err);
  }
}

// ---- a daemon that runs

void what_the_running_daemon_holds_is_free(Fixture& f) {
  const uint16_t flash = find_free_range(1);
  const std::vector<std::string> options = {"--control-socket", f.folder.file("socket"),
                                            "--flash-policy-listen", "127.0.0.1:" + std::to_string(flash)};
  f.check(f.start(options).status == 0);
  const Outcome same = f.ask(options);
  f.check(same.status == 0 && same.err.empty(), "its own ports and socket: " + same.err);
  write_file(f.folder.file("pid"), "");
  const Outcome emptied = f.ask(options);
  f.check(emptied.status == 0, "its lock is enough: " + emptied.err);
  std::vector<std::string> other = options;
  other.insert(other.end(), {"--pid-file", f.folder.file("other-pid")});
  const Outcome stranger = f.ask(other);
  f.check(stranger.status == 1 && contains(stranger.err, "--listen-port: cannot listen on ") &&
              contains(stranger.err, "--flash-policy-listen: cannot listen on ") &&
              contains(stranger.err, "--control-socket: cannot listen at "),
          "for another daemon they are taken: " + stranger.err);
  f.check(f.answers(), "it is not disturbed");
}

// ---- what does not work for everybody

void doubts_are_told_and_no_more(Fixture& f) {
  f.warns({"--proxy-address", "b.example"},
          "the certificate in " + f.folder.file("cert.pem") +
              " is for a.example, 127.0.0.1, ::1, but viewers are told to connect to b.example");
  f.warns({"--tls-ciphers", "ECDHE+AESGCM:NONSENSE"}, "--tls-ciphers: NONSENSE matches no cipher");
  f.warns({"--cert-file", f.folder.file("none"), "--key-file", f.folder.file("none-either")},
          "--cert-file: there is no file " + f.folder.file("none"));
  f.warns({"--user", "root", "--user", "0"}, "--user is given twice: the last one counts");
  f.warns({"--web", f.folder.path()}, "--web: " + f.folder.path() + " holds no vnc.html");
  f.warns({"--auth-file", f.folder.file("none")}, "--auth-file: " + f.folder.file("none") + ": No such file");
  write_file(f.folder.file("broken"), "nonsense\n" + user_line(kUser, kLoginSecret));
  f.warns({"--auth-file", f.folder.file("broken")}, f.folder.file("broken") + ":1: line skipped: no colon");
}

void a_fine_configuration_says_what_was_read(Fixture& f) {
  const Outcome asked = f.ask();
  f.check(
      asked.status == 0 && asked.err.empty() &&
          contains(asked.out,
                   "the configuration is fine: 1 user; certificate of a.example, 127.0.0.1, ::1 until 20"),
      asked.out + asked.err);
  f.check(f.start().status == 0);
  f.check(contains(f.log(), "Read: 1 user; certificate of a.example, 127.0.0.1, ::1 until 20"), f.log());
}

// ---- files for the later user

struct ForNobody : Fixture {
  ForNobody() {
    if (const passwd* const entry = ::geteuid() == 0 ? ::getpwnam("nobody") : nullptr) {
      uid = entry->pw_uid;
      gid = entry->pw_gid;
    }
    ::chmod(folder.path().c_str(), 0755);
    write_file(users, user_line(kUser, kLoginSecret), 0600);
    options = {"--user", "nobody", "--group", std::to_string(gid), "--auth-file", users};
  }
  void mend(const std::string& said) {
    const size_t at = said.find("this mends it: ");
    const std::string command = said.substr(at + 15, said.find('\n', at) - at - 15);
    check(at != said.npos && run({"sh", "-c", command}).status == 0, "the command: " + command);
  }

  uid_t uid = 0;  // 0: this process cannot become anybody
  gid_t gid = 0;
  std::string cert = folder.file("cert.pem"), key = folder.file("key.pem"), users = folder.file("own-users");
  std::vector<std::string> options;
};

void files_of_root_alone_are_found(ForNobody& f) {
  if (f.uid == 0) return;
  f.warns(f.options,
          "a reload (SIGHUP) will not take a new " + f.key + ": the user nobody cannot read " + f.key);
  const Outcome asked = f.ask(f.options);
  f.check(contains(asked.err, "will not take a new " + f.users + ": the user nobody cannot read"), asked.err);
  f.mend(asked.err.substr(asked.err.find("new " + f.users)));
  f.mend(asked.err.substr(asked.err.find("new " + f.key)));
  const Outcome mended = f.ask(f.options);
  f.check(mended.status == 0 && mended.err.empty(), "after both commands: " + mended.err);
}

void a_renewal_that_cannot_be_read_says_what_mends_it(ForNobody& f) {
  if (f.uid == 0) return;
  for (const std::string& file : {f.key, f.users}) {
    f.check(::chown(file.c_str(), 0, f.gid) == 0);
    ::chmod(file.c_str(), 0640);
  }
  f.check(f.start(f.options).status == 0);
  f.check(::chown(f.folder.path().c_str(), f.uid, f.gid) == 0);
  const std::string status = f.folder.file("pid.reload");
  f.check(read_file(status) == "reload 0 ok\n", read_file(status));
  const auto reload = [&](const std::string& word) {
    send_signal(f.pid, SIGHUP);
    f.check(wait_until([&] { return read_file(status).ends_with(word + "\n"); }), word + ": " + f.log());
  };
  reload("reload 1 ok");
  f.check(contains(f.log(), "Reloaded: 1 user; certificate of a.example, 127.0.0.1, ::1 until 20"), f.log());

  ::unlink(f.key.c_str());
  make_certificate(f.cert, f.key, "b.example");  // 0600 and root's, as certbot leaves it
  reload("reload 2 failed");
  const std::string fault = "the old certificate stays in force: " + f.key +
                            ": Permission denied; the user nobody cannot read " + f.key + "; this mends it: ";
  f.check(contains(read_file(status), fault) && contains(f.log(), "ERROR: " + fault), read_file(status));
  f.check(contains(f.log(), "Reloaded: 1 user\n"), f.log());
  f.mend(read_file(status));
  reload("reload 3 ok");
  f.check(contains(f.log(), "Reloaded: 1 user; certificate of b.example, 127.0.0.1, ::1 until 20"), f.log());

  ::unlink(f.users.c_str());
  reload("reload 4 failed");
  f.check(contains(read_file(status), "the old users stay in force: " + f.users), read_file(status));
  f.stop();
  f.check(!fs::exists(status), "it is removed at the end: " + read_file(status));
}

// ---- the surroundings

void without_a_system_logger_the_log_is_not_lost(Fixture& f) {
  const std::string nobody = "syslog:" + f.folder.file("no-logger");
  Program daemon(f.command_with({"--log", nobody, "--foreground"}));
  f.check(daemon.wait_err("Listening for control clients at"), daemon.err());
  f.check(contains(daemon.err(), "WARNING: there is no system logger: the log goes to stderr"), daemon.err());
  daemon.signal(SIGTERM);
  f.check(daemon.wait() == 0);
  const Outcome started = f.start({"--log", nobody});
  f.check(started.status == 0 && contains(started.err, "there is no system logger"), started.err);
}

// Where it starts it serves, and where it cannot it says so.
void few_descriptors_are_enough_or_too_few(Fixture& f) {
  FakeBackend backend(echo());
  const auto with = [&f](unsigned descriptors) {
    std::vector<std::string> argv = f.command_with({"--foreground", "--log", "-"});
    return std::make_unique<Program>(std::move(argv), ProgramSetup{.descriptors = descriptors});
  };
  for (const unsigned descriptors : {16u, 32u, 64u}) {
    const auto daemon = with(descriptors);
    f.check(daemon->wait() == 1, std::to_string(descriptors) + ": " + daemon->err());
    f.check(
        contains(daemon->err(), "the limit of " + std::to_string(descriptors) + " descriptors does not do"),
        daemon->err());
  }
  const auto daemon = with(65);
  f.check(daemon->wait_err("Listening for control clients at"), daemon->err());
  Socket control = Socket::connect("127.0.0.1", f.control_port);
  control.send(Request{.destination_port = backend.port()}.json());
  const Reply reply = parse_reply(control.read_to_end());
  FakeViewer viewer(reply.port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"),
          reply.text + daemon->err());
  daemon->signal(SIGTERM);
  f.check(daemon->wait() == 0);
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;
  const CMUnitTest tests[] = {
      STAGED(Fixture, what_cannot_work_is_found_by_both),
      STAGED(Fixture, names_that_do_not_resolve_are_told_with_their_line),
      STAGED(Fixture, all_is_told_at_once),
      STAGED(Fixture, in_the_foreground_nothing_is_printed_twice),
      STAGED(Fixture, what_the_running_daemon_holds_is_free),
      STAGED(Fixture, doubts_are_told_and_no_more),
      STAGED(Fixture, a_fine_configuration_says_what_was_read),
      STAGED(ForNobody, files_of_root_alone_are_found),
      STAGED(ForNobody, a_renewal_that_cannot_be_read_says_what_mends_it),
      STAGED(Fixture, without_a_system_logger_the_log_is_not_lost),
      STAGED(Fixture, few_descriptors_are_enough_or_too_few),
  };
  return run_group("startup", tests);
}
