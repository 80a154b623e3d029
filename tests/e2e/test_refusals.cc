// SPDX-License-Identifier: GPL-2.0-or-later
// Old kernels, strict containers and starts without root: what the kernel refuses is done in another way or
// told, never passed over.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_viewer.h"
#include "vncauthproxy/proto/vnc_auth.h"

#include "tests/support/checks.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : Checks {
  FakeBackend backend{echo()};
};

// What the descriptors of a process are, without their numbers: "socket", "anon_inode:[eventpoll]", ...
std::vector<std::string> kinds_of_descriptors(pid_t pid) {
  std::vector<std::string> kinds;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored)) {
    const std::string target = std::filesystem::read_symlink(entry, ignored);
    kinds.push_back(target.substr(0, target.find(":[")));
  }
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

// Of the workers of two forwardings that wait and one that has its viewer, in a daemon like that.
std::vector<std::vector<std::string>> kinds_in_workers(Fixture& f, DaemonSetup setup) {
  const Daemon daemon(std::move(setup));
  FakeViewer viewer(daemon.forwarding_to(f.backend.port()));
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("live"));
  for (int i = 0; i < 2; ++i) f.check(daemon.forwarding_to(f.backend.port()) != 0);
  std::vector<std::vector<std::string>> all;
  for (const pid_t worker : daemon.workers()) all.push_back(kinds_of_descriptors(worker));
  return all;
}

void without_close_range_workers_keep_nothing_either(Fixture& f) {
  if (!calls_can_be_denied()) return;
  const auto usual = kinds_in_workers(f, {});
  const auto denied = kinds_in_workers(f, {.denied = {{SYS_close_range}}});
  f.check(usual.size() == 3 && !usual[0].empty(), "there are three workers to look at");
  f.check(usual == denied, "and they have the same");
}

void a_limit_that_cannot_be_set_is_the_answer(Fixture& f) {
  if (!calls_can_be_denied()) return;
  Daemon daemon({.denied = {{SYS_prlimit64, 1, RLIMIT_FSIZE}, {SYS_setrlimit, 0, RLIMIT_FSIZE}}});
  for (int i = 0; i < 3; ++i) {
    const Reply reply = daemon.request(Request{.destination_port = f.backend.port()});
    f.check(reply.failed("internal") && reply.reason.find("resource limit") != std::string::npos, reply.text);
  }
  f.check(f.backend.connections() == 0, "nobody was connected to");
}

// AddressSanitizer does not start without these calls.
#if !defined(__SANITIZE_ADDRESS__)
void a_start_that_could_leave_a_core_is_none(Fixture& f) {
  if (!calls_can_be_denied()) return;
  const std::vector<DeniedCall> no_limit = {{SYS_prlimit64, 1, RLIMIT_CORE}, {SYS_setrlimit, 0, RLIMIT_CORE}};
  for (const char* program : {"vncauthproxy", "vncauthproxy-passwd", "vncauthproxy-client"}) {
    const Outcome outcome = run({built(program), "--version"}, {.denied = no_limit});
    f.check(outcome.status == 1 && outcome.err.find("cannot lower the resource limit") != std::string::npos,
            program + (": " + outcome.err));
  }
}

#endif

// As somebody else than root: the test itself may be root.
void without_root_there_are_no_new_privileges_either(Fixture& f) {
  std::vector<std::string> user;
  if (::geteuid() == 0) {
    if (!installed("setpriv")) return;
    user = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  }
  const Folder folder;
  std::vector<std::string> argv = daemon_command(folder, find_free_range(10), {.ports = 10});
  for (const std::string& path : {folder.path(), folder.file("users"), folder.file("config")})
    if (::geteuid() == 0) f.check(::chown(path.c_str(), 65534, 65534) == 0, path);
  argv.insert(argv.end(), {"--foreground", "--log", "-", "--spare-workers", "1"});
  argv.insert(argv.begin(), user.begin(), user.end());
  Program daemon(argv);
  if (!f.check(daemon.wait_err("Listening for control clients at "), daemon.err())) return;
  f.check(wait_until([&] { return spares_of(daemon.pid()).size() == 1; }));
  for (const pid_t pid : {daemon.pid(), nursery_of(daemon.pid()), spares_of(daemon.pid()).at(0)})
    f.check(status_field(pid, "NoNewPrivs") == "1", status_field(pid, "Name"));
  daemon.signal(SIGTERM);
  f.check(daemon.wait() == 0);
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;
  const CMUnitTest tests[] = {
    CHECKED(Fixture, without_close_range_workers_keep_nothing_either),
    CHECKED(Fixture, a_limit_that_cannot_be_set_is_the_answer),
#if !defined(__SANITIZE_ADDRESS__)
    CHECKED(Fixture, a_start_that_could_leave_a_core_is_none),
#endif
    CHECKED(Fixture, without_root_there_are_no_new_privileges_either),
  };
  return run_group("refusals", tests);
}
