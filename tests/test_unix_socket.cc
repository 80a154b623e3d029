// SPDX-License-Identifier: GPL-2.0-or-later
// A socket's file: who may open it, what may be replaced, what must never be touched, and who takes it away.
#include "vncauthproxy/net/unix_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/descriptors.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::net {
namespace {

using base::ErrorCode;
using base::Fd;

constexpr int kOk = -1;

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_unix_socket.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    path = folder + "/sock";
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  // kOk, or the code of the error.
  int listen(const SocketOwner& owner = {}) {
    auto made = listen_at_path(path, owner);
    detail = made ? "" : made.error().detail;
    if (!made) return static_cast<int>(made.error().code);
    listener.emplace(std::move(*made));
    return kOk;
  }
  int check(pid_t ours = 0) {
    const auto checked = check_socket_path(path, ours);
    detail = checked ? "" : checked.error().detail;
    return checked ? kOk : static_cast<int>(checked.error().code);
  }
  void write(std::string_view text) { std::ofstream(path) << text; }
  bool says(std::string_view text) const { return detail.find(text) != detail.npos; }
  struct stat status() const {
    struct stat found {};
    (void)::lstat(path.c_str(), &found);
    return found;
  }

  std::string folder, path, detail;
  std::optional<PathListener> listener;
  Fd other, peer;
};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Fd bound(const std::string& path, int type) {
  const sockaddr_un address = address_of(path);
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

Fd connected(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

void what_is_made_is_for_user_and_group(Fixture& f) {
  for (const mode_t umask : {0U, 022U, 027U, 077U}) {
    const mode_t before = ::umask(umask);
    const int made = f.listen();
    const mode_t after = ::umask(before);
    assert_int_equal(made, kOk);
    assert_int_equal(after, umask);
    assert_int_equal(f.status().st_mode, S_IFSOCK | 0660);
    const bool answers = static_cast<bool>(connected(f.path));
    assert_true(answers);
    const bool removed = static_cast<bool>(f.listener->file.remove());
    assert_true(removed);
    assert_int_equal(::access(f.path.c_str(), F_OK), -1);
  }
}

void its_owner_can_be_named(Fixture& f) {
  if (::geteuid() != 0) skip();
  assert_int_equal(f.listen({4711, 4712}), kOk);
  assert_int_equal(f.status().st_uid, 4711);
  assert_int_equal(f.status().st_gid, 4712);
  assert_int_equal(f.status().st_mode, S_IFSOCK | 0660);
}

void who_may_not_give_it_away_is_told_and_leaves_nothing(Fixture& f) {
  if (::geteuid() != 0) skip();
  assert_int_equal(::chmod(f.folder.c_str(), 0777), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool dropped = ::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0;
    const bool refused = f.listen({std::nullopt, 4712}) != kOk && f.says("cannot give ");
    ::_exit(dropped && refused && ::access(f.path.c_str(), F_OK) != 0 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  assert_int_equal(status, 0);
}

void a_stale_one_is_replaced(Fixture& f) {
  f.other = bound(f.path, SOCK_STREAM);
  const bool made = static_cast<bool>(f.other);
  assert_true(made);
  f.other.reset();  // as after a crash: the file stays
  const ino_t before = f.status().st_ino;
  assert_int_equal(f.check(), kOk);
  assert_int_equal(f.status().st_ino, before);
  assert_int_equal(f.listen(), kOk);
  const bool answers = static_cast<bool>(connected(f.path));
  assert_true(answers);
}

void a_live_one_is_left_alone(Fixture& f) {
  f.other = bound(f.path, SOCK_STREAM);
  assert_int_equal(::listen(f.other.get(), 0), 0);
  const ino_t before = f.status().st_ino;
  for (int i = 0; i < 3; ++i) {  // from the second time on its queue is full
    assert_int_equal(f.listen(), ErrorCode::in_use);
    const bool said = f.says(f.path) && f.says("somebody answers there");
    assert_true(said);
  }
  assert_int_equal(f.status().st_ino, before);
  assert_int_equal(f.check(), ErrorCode::in_use);
  assert_int_equal(f.check(::getpid() + 1), kOk);  // there is no telling who listens
  f.other.reset();
  ::unlink(f.path.c_str());
  f.other = bound(f.path, SOCK_STREAM);
  assert_int_equal(::listen(f.other.get(), 5), 0);
  assert_int_equal(f.check(::getpid()), kOk);  // the daemon that runs is this process
  assert_int_equal(f.check(::getpid() + 1), ErrorCode::in_use);
  assert_int_equal(f.check(), ErrorCode::in_use);
}

void a_socket_of_another_kind_is_left_alone(Fixture& f) {
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    f.other = bound(f.path, type);
    if (type == SOCK_SEQPACKET) assert_int_equal(::listen(f.other.get(), 5), 0);
    assert_int_equal(f.listen(), ErrorCode::in_use);
    assert_int_equal(::unlink(f.path.c_str()), 0);
  }
}

void any_other_file_is_left_alone(Fixture& f) {
  enum Kind { file, folder, link, fifo, last };
  for (int kind = file; kind < last; ++kind) {
    if (kind == file) f.write("precious");
    if (kind == folder) assert_int_equal(::mkdir(f.path.c_str(), 0700), 0);
    if (kind == link) assert_int_equal(::symlink("nowhere", f.path.c_str()), 0);
    if (kind == fifo) assert_int_equal(::mkfifo(f.path.c_str(), 0600), 0);
    const struct stat before = f.status();
    assert_int_equal(f.listen(), ErrorCode::in_use);
    bool said = f.says(f.path) && f.says("no socket");
    assert_true(said);
    assert_int_equal(f.check(), ErrorCode::in_use);
    said = f.says("no socket");
    assert_true(said);
    assert_int_equal(f.status().st_ino, before.st_ino);
    assert_int_equal(f.status().st_size, before.st_size);
    std::filesystem::remove(f.path);
  }
}

void a_link_to_a_stale_socket_is_left_alone(Fixture& f) {
  f.other = bound(f.folder + "/real", SOCK_STREAM);
  f.other.reset();
  assert_int_equal(::symlink("real", f.path.c_str()), 0);
  assert_int_equal(f.listen(), ErrorCode::in_use);
  assert_int_equal(f.status().st_mode & S_IFMT, S_IFLNK);
  assert_int_equal(::access((f.folder + "/real").c_str(), F_OK), 0);
}

void paths_have_a_longest(Fixture& f) {
  f.path = f.folder + "/" + std::string(107 - f.folder.size() - 1, 'x');
  assert_int_equal(f.listen(), kOk);
  f.path += 'x';
  assert_int_equal(f.listen(), ErrorCode::invalid);
  const bool said = f.says("at most 107 bytes");
  assert_true(said);
  assert_int_equal(f.check(), ErrorCode::invalid);
}

void a_missing_folder_is_named(Fixture& f) {
  f.path = f.folder + "/missing/sock";
  assert_int_equal(f.listen(), ErrorCode::system);
  bool said = f.says(f.path) && f.says("No such file");
  assert_true(said);
  assert_int_equal(f.check(), ErrorCode::system);
  said = f.says(f.path);
  assert_true(said);
}

void only_our_own_file_is_removed(Fixture& f) {
  assert_int_equal(f.listen(), kOk);
  assert_int_equal(::rename(f.path.c_str(), (f.path + ".old").c_str()), 0);
  f.write("somebody else's");
  bool fine = static_cast<bool>(f.listener->file.remove());
  assert_true(fine);
  assert_int_equal(::access(f.path.c_str(), F_OK), 0);
  fine = static_cast<bool>(f.listener->file.remove());  // once
  assert_true(fine);
}

void a_file_that_is_gone_needs_no_removal(Fixture& f) {
  assert_int_equal(f.listen(), kOk);
  assert_int_equal(::unlink(f.path.c_str()), 0);
  const bool fine = static_cast<bool>(f.listener->file.remove());
  assert_true(fine);
}

void going_it_leaves_the_file(Fixture& f) {
  assert_int_equal(f.listen(), kOk);
  f.listener.reset();
  assert_int_equal(::access(f.path.c_str(), F_OK), 0);
}

void a_folder_that_is_locked_costs_a_second(Fixture& f) {
  f.other = Fd(::open(f.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  assert_int_equal(::flock(f.other.get(), LOCK_EX), 0);
  assert_int_equal(f.listen(), kOk);
}

// Many at once, each in a process of its own, on a stale file: one listens, the others say who does.
void of_many_at_once_one_wins(Fixture& f) {
  constexpr int kRivals = 12;
  f.other = bound(f.path, SOCK_STREAM);
  f.other.reset();
  int gate[2], verdicts[2];
  assert_int_equal(::pipe(gate), 0);
  assert_int_equal(::pipe(verdicts), 0);
  pid_t rivals[kRivals];
  for (pid_t& rival : rivals) {
    rival = ::fork();
    if (rival != 0) continue;
    char byte = 0;
    ::close(gate[1]);
    (void)!::read(gate[0], &byte, 1);
    const char verdict = f.listen() == kOk ? 'w' : f.says("somebody answers") ? 'l' : '?';
    (void)!::write(verdicts[1], &verdict, 1);
    ::pause();
    ::_exit(0);
  }
  ::close(gate[1]);  // all of them start now
  ::close(verdicts[1]);
  int winners = 0, losers = 0;
  char verdict = 0;
  for (int i = 0; i < kRivals && ::read(verdicts[0], &verdict, 1) == 1; ++i) {
    winners += verdict == 'w';
    losers += verdict == 'l';
  }
  const bool answers = static_cast<bool>(connected(f.path));
  for (const pid_t rival : rivals)
    if (rival > 1) {
      ::kill(rival, SIGKILL);
      ::waitpid(rival, nullptr, 0);
    }
  ::close(gate[0]);
  ::close(verdicts[0]);
  assert_int_equal(winners, 1);
  assert_int_equal(losers, kRivals - 1);
  assert_true(answers);
}

void local_peers_are_named_by_user_and_process(Fixture& f) {
  assert_int_equal(f.listen(), kOk);
  f.other = connected(f.path);
  f.peer = Fd(::accept4(f.listener->fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  base::Endpoint local;
  local.storage.ss_family = AF_UNIX;
  f.detail = name_of_peer(f.peer.get(), local);
  const bool named = f.detail == "uid " + std::to_string(::getuid()) + ", pid " + std::to_string(::getpid());
  assert_true(named);
}

void nothing_is_left_open(Fixture& f) {
  f.write("precious");
  const unsigned before = testing::count_descriptors();
  for (int i = 0; i < 5; ++i) f.listen();
  ::unlink(f.path.c_str());
  f.other = bound(f.path, SOCK_STREAM);
  f.other.reset();
  f.listen();
  f.listener.reset();
  assert_int_equal(testing::count_descriptors(), before);
}

}  // namespace
}  // namespace vncauthproxy::net

int main() {
  using namespace vncauthproxy::net;
  const CMUnitTest tests[] = {
      TEST(Fixture, what_is_made_is_for_user_and_group),
      TEST(Fixture, its_owner_can_be_named),
      TEST(Fixture, who_may_not_give_it_away_is_told_and_leaves_nothing),
      TEST(Fixture, a_stale_one_is_replaced),
      TEST(Fixture, a_live_one_is_left_alone),
      TEST(Fixture, a_socket_of_another_kind_is_left_alone),
      TEST(Fixture, any_other_file_is_left_alone),
      TEST(Fixture, a_link_to_a_stale_socket_is_left_alone),
      TEST(Fixture, paths_have_a_longest),
      TEST(Fixture, a_missing_folder_is_named),
      TEST(Fixture, only_our_own_file_is_removed),
      TEST(Fixture, a_file_that_is_gone_needs_no_removal),
      TEST(Fixture, going_it_leaves_the_file),
      TEST(Fixture, a_folder_that_is_locked_costs_a_second),
      TEST(Fixture, of_many_at_once_one_wins),
      TEST(Fixture, local_peers_are_named_by_user_and_process),
      TEST(Fixture, nothing_is_left_open),
  };
  return vncauthproxy::testing::run_group("unix_socket", tests);
}
