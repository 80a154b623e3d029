// SPDX-License-Identifier: GPL-2.0-or-later
// The built daemon, started by a test in a folder of its own: on a control port of the kernel's choice, with
// a free range of forwarding ports, one user, and its log where the test can read it. And the control
// protocol toward it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/log_target.h"
#include "tests/support/own_names.h"
#include "tests/support/program.h"
#include "tests/support/socket.h"

namespace vncauthproxy::testing {

// Secrets of the tests. None of these may ever be seen in a log, a reply or a process list.
inline constexpr const char* kUser = "tester";
inline constexpr const char* kLoginSecret = "Login.Marker.7f3a";
inline constexpr const char* kViewerSecret = "VwMk7f3a";  // eight characters: all that count
inline constexpr const char* kServerSecret = "SvMk9c1d";
inline constexpr const char* kSecrets[] = {kLoginSecret, kViewerSecret, kServerSecret};

// A line of a users file; cheap rounds, so that a login costs a test nothing.
std::string user_line(const std::string& user, const std::string& password);

struct Request {
  uint16_t destination_port = 0;
  std::string destination_address = "127.0.0.1";
  uint16_t source_port = 0;
  std::string password = kViewerSecret;
  std::string server_password = {};  // left out when empty
  std::string type = "vnc";
  std::string auth_user = kUser;
  std::string auth_password = kLoginSecret;

  std::string json() const;
};

struct Reply {
  std::string text;      // all that came
  bool is_json = false;  // one object with nothing after it
  uint16_t port = 0;
  std::string status;
  bool address_is_null = false;
  std::string proxy_address, reason, code;
  std::string password, warning;  // of a success, when there is one

  bool ok() const { return status == "OK" && port != 0; }
  // The shape every failure has, with that code and any reason.
  bool failed(std::string_view expected_code) const;
};
Reply parse_reply(std::string text);

struct DaemonSetup {
  std::vector<std::string> options = {};  // after the usual ones, so that these win
  uint16_t ports = 40;
  std::string users = {};     // text of the users file; empty: kUser alone
  std::string user = "root";  // --user, given when the test runs as root
  unsigned descriptors = 0;
  std::vector<DeniedCall> denied = {};  // see ProgramSetup
  LogTo log = chosen_log_target();
  OwnNames names = {};  // where own_names_work()
};

std::vector<pid_t> children_of(pid_t pid);
// Of the master `pid`: its workers that have a forwarding, oldest forwarding first; those without one; its
// nursery, or 0.
std::vector<pid_t> workers_of(pid_t pid);
std::vector<pid_t> spares_of(pid_t pid);
pid_t nursery_of(pid_t pid);

class Daemon {
 public:
  // Throws std::runtime_error with the daemon's own words when it does not come up.
  explicit Daemon(DaemonSetup setup = {});
  ~Daemon();

  pid_t pid() const { return program_->pid(); }
  uint16_t port() const { return port_; }
  uint16_t min_port() const { return min_port_; }
  uint16_t max_port() const { return max_port_; }
  const std::string& folder() const { return folder_.path(); }
  std::string file(const std::string& name) const { return folder_.file(name); }
  std::string users_file() const { return file("users"); }
  std::string pid_file() const { return file("pid"); }

  // Of the further listeners: "vncap clients", "Flash players". 0: it did not say.
  uint16_t port_for(const std::string& clients);

  Socket connect(const std::string& host = "127.0.0.1") const { return Socket::connect(host, port_); }
  // One connection, these bytes in one piece, what came until the end of the stream.
  Reply request(std::string_view bytes, Deadline deadline = {}) const;
  Reply request(const Request& wanted, Deadline deadline = {}) const;
  uint16_t forwarding_to(uint16_t backend_port) const;  // 0: refused

  std::string log() { return log_.text() + program_->err(); }
  // What the lines of the nth forwarding that was asked for begin with: "F28912345 "; the first one is 1.
  std::string forwarding(unsigned nth);
  size_t log_size() { return log().size(); }
  bool wait_log(std::string_view text, Deadline deadline = {}, size_t from = 0) {
    return wait_until([&] { return log().find(text, from) != std::string::npos; }, deadline);
  }
  bool running() { return program_->running(); }
  void signal(int number) const { program_->signal(number); }
  int wait(Deadline deadline = {}) { return program_->wait(deadline); }
  int stop();  // SIGTERM; the exit status

  // Workers that have a forwarding, oldest forwarding first.
  std::vector<pid_t> workers() const { return workers_of(pid()); }
  bool wait_workers(size_t count, Deadline deadline = {}) const;
  std::optional<size_t> open_descriptors() const;  // nullopt: not allowed to look

 private:
  Folder folder_;
  LogTarget log_;
  uint16_t port_ = 0, min_port_ = 0, max_port_ = 0;
  std::unique_ptr<Program> program_;
};

// The usual command line for a daemon in `folder`; writes its users file and an empty configuration file.
std::vector<std::string> daemon_command(const Folder& folder, uint16_t first_port, const DaemonSetup& setup);

// A field of /proc/PID/status as text, without the name and leading blanks; "" when there is none.
std::string status_field(pid_t pid, const std::string& name);
// All that a process has written to, as one text; for root.
std::string memory_of(pid_t pid);

}  // namespace vncauthproxy::testing
