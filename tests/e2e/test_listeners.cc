// SPDX-License-Identifier: GPL-2.0-or-later
// Where the built daemon listens beside its control port: sockets at a path and their files, dialects without
// a login beyond this machine, TLS 1.0 for old control clients, and the options of snf-vncauthproxy 1.4.
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/tls.h"
#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

namespace fs = std::filesystem;

// A group that the daemon's user may have a file given to: another one for root, else its own.
gid_t other_group() {
  const group* daemon = ::geteuid() == 0 ? ::getgrnam("daemon") : nullptr;
  return daemon != nullptr ? daemon->gr_gid : ::getegid();
}

struct SocketFolder {
  std::string control_path() const { return sockets.file("control.sock"); }
  std::string vncap_path() const { return sockets.file("vncap.sock"); }
  std::vector<std::string> both() const {
    return {"--control-socket",     control_path(),           "--vncap-listen",
            "unix:" + vncap_path(), "--control-socket-group", std::to_string(other_group())};
  }
  Folder sockets;
};

struct AtPaths : SocketFolder, Stage {
  AtPaths() : Stage({.options = both()}) {}
  std::vector<std::string> paths() const { return {control_path(), vncap_path()}; }
};

// The folder belongs to whom the daemon becomes, as /var/run/vncauthproxy does.
struct AsNobody : SocketFolder, Stage {
  AsNobody() : Stage(setup()) {}
  static bool is_root() { return ::geteuid() == 0 && ::getpwnam("nobody") != nullptr; }
  DaemonSetup setup() const {
    const passwd* nobody = is_root() ? ::getpwnam("nobody") : nullptr;
    if (nobody != nullptr && ::chown(sockets.path().c_str(), nobody->pw_uid, nobody->pw_gid) != 0)
      std::perror("chown");
    return {.options = both(), .user = nobody != nullptr ? "nobody" : "root"};
  }
};

// No daemon but those that a test starts.
struct Starts : SocketFolder, Checks {
  Starts() : first_port(find_free_range(10)) {}
  Outcome start(std::vector<std::string> more) const {
    std::vector<std::string> argv = daemon_command(folder, first_port, {.ports = 10});
    argv.insert(argv.end(), {"--foreground", "--log", "-"});
    argv.insert(argv.end(), more.begin(), more.end());
    return run(argv);
  }
  // It says no, with status 1 and these words, whether it is started or asked.
  void refuses(const std::vector<std::string>& options, const std::string& words) {
    for (const bool asked : {false, true}) {
      std::vector<std::string> more = options;
      if (asked) more.push_back("--check");
      const Outcome outcome = start(more);
      check(outcome.status == 1 && (outcome.err + outcome.out).find(words) != std::string::npos,
            options[1] + (asked ? ", asked: " : ": ") + std::to_string(outcome.status) + " " + outcome.err);
    }
  }
  void check_invariants() {}

  Folder folder;
  uint16_t first_port;
};

struct LegacyTls : CertificateFolder, Stage {
  LegacyTls() : tls(setup()) {}
  DaemonSetup setup() const {
    return {.options = {"--enable-ssl", "--control-tls-legacy", "--cert-file", cert_file(), "--key-file",
                        key_file()}};
  }
  Daemon tls;
};

struct OldOptions : SocketFolder, Stage {
  OldOptions() : Stage({.options = {"-s", control_path(), "-l", "-", "-t", "1", "-r", "1", "-w", "0.1"}}) {}
};

struct Insecure : Stage {
  Insecure() : Stage({.options = {"--vncap-listen", "0.0.0.0:0", "--vncap-insecure"}}) {}
};

std::string local_request(const FakeBackend& backend) {
  return R"({"source_port": 0, "destination_address": "127.0.0.1", "password": "VwMk7f3a", "destination_port": )" +
         std::to_string(backend.port()) + "}";
}

// A request through the socket at `path`, and its session.
bool serves(const std::string& path, const FakeBackend& backend) {
  Socket control = Socket::connect_to_path(path);
  control.send(local_request(backend));
  const Reply reply = parse_reply(control.read_to_end());
  FakeViewer viewer(reply.port);
  return reply.ok() && viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("ping");
}

bool is_socket(const std::string& path) {
  return fs::is_socket(fs::symlink_status(path));
}

// What a daemon leaves that was killed: a file that nobody listens at.
bool leave_stale_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// ---- sockets at a path

void sockets_are_for_user_and_group(AtPaths& f) {
  for (const std::string& path : f.paths()) {
    struct stat status {};
    f.check(::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode), path);
    f.check((status.st_mode & 07777) == 0660, "the mode");
    f.check(status.st_gid == other_group() && status.st_uid == ::geteuid(), "the owner");
    f.check(serves(path, f.echo_backend), "a session");
  }
}

void sockets_go_with_the_daemon(AtPaths& f) {
  f.expect_no_daemon();
  f.check(f.daemon.stop() == 0);
  for (const std::string& path : f.paths()) f.check(!is_socket(path), path);
}

void somebody_elses_socket_stays(AtPaths& f) {
  f.expect_no_daemon();
  fs::remove(f.control_path());
  f.check(leave_stale_socket(f.control_path()));
  f.check(f.daemon.stop() == 0);
  f.check(is_socket(f.control_path()) && !is_socket(f.vncap_path()), "only its own are removed");
}

void who_gave_up_root_cleans_up_too(AsNobody& f) {
  if (!AsNobody::is_root()) return;
  f.expect_no_daemon();
  for (const std::string& path : {f.control_path(), f.vncap_path()}) {
    struct stat status {};
    ::lstat(path.c_str(), &status);
    f.check(status.st_uid == ::getpwnam("nobody")->pw_uid && status.st_gid == other_group(), "the owner");
    f.check((status.st_mode & 07777) == 0660 && serves(path, f.echo_backend), path);
  }
  f.check(f.daemon.stop() == 0);
  f.check(fs::is_empty(f.sockets.path()), "nothing is left");
}

void what_a_killed_one_left_is_replaced(Starts& f) {
  FakeBackend backend(echo());
  f.check(leave_stale_socket(f.control_path()) && leave_stale_socket(f.vncap_path()));
  Daemon killed({.options = f.both()});
  f.check(serves(f.control_path(), backend) && serves(f.vncap_path(), backend), "over stale ones");
  killed.signal(SIGKILL);
  f.check(killed.wait() == 128 + SIGKILL && is_socket(f.control_path()), "it left them");
  const Daemon next({.options = f.both()});
  f.check(serves(f.control_path(), backend) && serves(f.vncap_path(), backend), "and the next one");
}

void a_live_one_stops_the_start(AtPaths& f) {
  Folder other;
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--control-socket", f.control_path()},
        std::vector<std::string>{"--vncap-listen", "unix:" + f.control_path()},
        std::vector<std::string>{"--control-socket", f.vncap_path()}}) {
    std::vector<std::string> argv = daemon_command(other, find_free_range(10), {.ports = 10});
    argv.insert(argv.end(), {"--foreground", "--log", "-"});
    argv.insert(argv.end(), options.begin(), options.end());
    const Outcome outcome = run(argv);
    f.check(outcome.status == 1 && outcome.err.find("somebody answers there") != std::string::npos,
            outcome.err);
  }
  for (const std::string& path : f.paths()) f.check(serves(path, f.echo_backend), "undisturbed");
}

void no_other_file_is_touched(Starts& f) {
  const std::string path = f.control_path();
  const auto refused_at = [&] {
    f.refuses({"--control-socket", path}, path);
    f.refuses({"--vncap-listen", "unix:" + path}, path);
  };
  write_file(path, "precious");
  refused_at();
  f.check(read_file(path) == "precious", "a file");
  fs::remove(path);
  fs::create_directory(path);
  refused_at();
  f.check(fs::is_directory(path), "a folder");
  fs::remove(path);
  f.check(::mkfifo(path.c_str(), 0600) == 0);
  refused_at();
  f.check(fs::is_fifo(path), "a fifo");
  fs::remove(path);
  f.check(leave_stale_socket(f.vncap_path()));
  fs::create_symlink(f.vncap_path(), path);
  refused_at();
  f.check(fs::is_symlink(path) && is_socket(f.vncap_path()), "a link to a stale socket");
}

void a_start_that_fails_leaves_no_socket(Starts& f) {
  write_file(f.vncap_path(), "precious");
  const Outcome outcome =
      f.start({"--control-socket", f.control_path(), "--vncap-listen", "unix:" + f.vncap_path()});
  f.check(outcome.status == 1 && !fs::exists(f.control_path()), outcome.err);
  f.refuses({"--control-socket", f.sockets.file("missing/socket")}, "missing");
  f.refuses({"--control-socket", f.control_path(), "--control-socket-group", "no-such-group-7f3a"},
            "no-such-group-7f3a");
  f.check(!fs::exists(f.control_path()), "nor one for a group that is not there");
}

// ---- without a login beyond this machine

void no_login_stays_on_this_machine(Starts& f) {
  std::vector<std::string> places = {"0.0.0.0:0", "*:0", "[::ffff:0.0.0.0]:0"};
  if (ipv6_works()) places.push_back("[::]:0");
  for (const std::string& place : places) f.refuses({"--vncap-listen", place}, "vncap-insecure");
  f.refuses({"--vncap-listen", "127.0.0.1:0", "--vncap-listen", "0.0.0.0:0"}, "has no login");
}

void unless_somebody_insists(Insecure& f) {
  f.check(f.daemon.wait_log("vncap-insecure: whoever"), "which is logged");
  Socket control = Socket::connect("127.0.0.1", f.daemon.port_for("vncap clients"));
  control.send("{\"daddr\": \"127.0.0.1\", \"dport\": " + std::to_string(f.echo_backend.port()) +
               ", \"password\": \"VwMk7f3a\"}\r\n");
  const std::string answer = control.read_to_end();
  const auto port = static_cast<uint16_t>(std::strtoul(answer.c_str(), nullptr, 10));
  FakeViewer viewer(port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("ping"), answer);
}

// ---- TLS 1.0

void old_tls_is_for_control_clients_alone(LegacyTls& f) {
  f.check(f.tls.wait_log("control-tls-legacy: control clients"), "which is logged");
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient control(f.tls.connect(), version, version);
    const std::string name = std::to_string(version);
    f.check(control.handshake() &&
                control.send(Request{.destination_port = f.echo_backend.port(), .type = "vnc-tls"}.json()),
            name);
    const Reply reply = parse_reply(control.read_to_end().value_or(""));
    f.check(reply.ok(), name + " " + reply.text);
    for (const int old : {TLS1_VERSION, TLS1_1_VERSION}) {
      TlsClient viewer(Socket::connect("127.0.0.1", reply.port), old, old);
      f.check(!viewer.handshake(), "viewers have nothing of it");
    }
    WsViewer viewer = WsStage::viewer(kTls, reply.port);
    f.check(viewer.log_in() == Verdict::admitted && viewer.echoes("ping"), "a session after " + name);
  }
}

void old_tls_survives_a_reload(LegacyTls& f) {
  f.renew();
  f.tls.signal(SIGHUP);
  f.check(f.tls.wait_log("Reloading"));
  TlsClient control(f.tls.connect(), TLS1_VERSION, TLS1_VERSION);
  f.check(control.handshake() && control.send("{}"), "TLS 1.0");
  f.check(parse_reply(control.read_to_end().value_or("")).failed("bad_request"));
}

// ---- snf-vncauthproxy 1.4

void old_options_mean_what_they_did(OldOptions& f) {
  for (const char* said :
       {"-s, --socket is an old spelling: say --control-socket", "-l is an old spelling: say --log",
        "-t is an old spelling: say --connect-timeout", "-r is an old spelling: say --connect-retries",
        "-w is an old spelling: say --retry-wait"})
    f.check(f.daemon.log().find(std::string(": ") + said + "\n") != std::string::npos, said);
  f.check(serves(f.control_path(), f.echo_backend), "the socket");
  const uint16_t port = f.daemon.forwarding_to(f.echo_backend.port());
  f.check(f.daemon.wait_log("Timed out, no connection after 1 sec"), "the timeout");
  f.check(connection_refused("127.0.0.1", port));
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(AtPaths, sockets_are_for_user_and_group),
      STAGED(AtPaths, sockets_go_with_the_daemon),
      STAGED(AtPaths, somebody_elses_socket_stays),
      STAGED(AsNobody, who_gave_up_root_cleans_up_too),
      STAGED(Starts, what_a_killed_one_left_is_replaced),
      STAGED(AtPaths, a_live_one_stops_the_start),
      STAGED(Starts, no_other_file_is_touched),
      STAGED(Starts, a_start_that_fails_leaves_no_socket),
      STAGED(Starts, no_login_stays_on_this_machine),
      STAGED(Insecure, unless_somebody_insists),
      STAGED(LegacyTls, old_tls_is_for_control_clients_alone),
      STAGED(LegacyTls, old_tls_survives_a_reload),
      STAGED(OldOptions, old_options_mean_what_they_did),
  };
  return run_group("listeners", tests);
}
