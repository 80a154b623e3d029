// SPDX-License-Identifier: GPL-2.0-or-later
// What a daemon holds, seen from outside: here this test's own process, or a child of it, is the daemon.
#include "master/running_daemon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_running.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    pid_file = folder + "/pid";
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  void write(const std::string& text) { std::ofstream(pid_file) << text; }
  pid_t found() { return RunningDaemon(pid_file).pid(); }
  // A port of 127.0.0.1 or of ::1.
  uint16_t bind(const char* host, bool listens) {
    const auto endpoints = base::resolve(host, "0", base::ResolveFor::listen);
    socket.reset(::socket(endpoints->front().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(socket.get(), endpoints->front().get(), endpoints->front().length) != 0) return 0;
    if (listens && ::listen(socket.get(), 1) != 0) return 0;
    return base::local_of(socket.get())->port();
  }

  std::string folder, pid_file;
  base::Fd socket, lock;
};

void the_number_in_the_file_counts_if_it_is_a_daemon(Fixture& f) {
  assert_int_equal(f.found(), 0);  // no file
  f.write(std::to_string(::getpid()) + "\n");
  assert_int_equal(f.found(), ::getpid());
  for (const char* text : {"", "nonsense", "1\n", "-1\n", "0\n", "99999999\n"}) {
    f.write(text);  // process 1 has another name
    assert_int_equal(f.found(), 0);
  }
}

void the_lock_tells_where_the_file_is_empty(Fixture& f) {
  f.write("");
  f.lock = base::Fd(::open(f.pid_file.c_str(), O_RDWR | O_CLOEXEC));
  const int locked = ::flock(f.lock.get(), LOCK_EX | LOCK_NB);
  assert_int_equal(locked, 0);
  assert_int_equal(f.found(), ::getpid());
}

void its_listening_ports_are_known(Fixture& f) {
  f.write(std::to_string(::getpid()));
  for (const char* host : {"127.0.0.1", "::1"}) {
    const uint16_t listening = f.bind(host, true);
    if (listening == 0) continue;  // no IPv6 here
    const bool known = RunningDaemon(f.pid_file).listens_on(listening);
    const bool other = RunningDaemon(f.pid_file).listens_on(static_cast<uint16_t>(listening + 1));
    assert_true(known);
    assert_false(other);
    const uint16_t bound = f.bind(host, false);
    const bool not_listening = RunningDaemon(f.pid_file).listens_on(bound);
    assert_false(not_listening);
  }
  const bool may_look = RunningDaemon(f.pid_file).may_look();
  assert_true(may_look);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, the_number_in_the_file_counts_if_it_is_a_daemon),
      TEST(Fixture, the_lock_tells_where_the_file_is_empty),
      TEST(Fixture, its_listening_ports_are_known),
  };
  return vncauthproxy::testing::run_group("running_daemon", tests);
}
