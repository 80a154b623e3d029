// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/fd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/denied_calls.h"

namespace vncauthproxy::base {
namespace {

struct Fixture {
  Result<FdPair> pair = socket_pair(SOCK_STREAM);
  Fd other;
};

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

void closes_what_it_owns(Fixture& f) {
  assert_true(static_cast<bool>(f.pair));
  const int first = f.pair->first.get();
  const int second = f.pair->second.get();
  f.other = std::move(f.pair->first);
  assert_int_equal(f.other.get(), first);
  assert_false(static_cast<bool>(f.pair->first));
  f.other = std::move(f.pair->second);
  assert_false(is_open(first));
  assert_true(is_open(second));
  f.other.reset();
  assert_false(is_open(second));
}

void makes_descriptors_that_close_on_exec_and_never_block(Fixture& f) {
  for (const int fd : {f.pair->first.get(), f.pair->second.get()}) {
    assert_int_equal(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(::fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  }
}

// ---- closing all others

// What of six descriptors, two of them kept, is open after it, as bits: 0b010010 is right. 98: it cannot be
// tried.
int left_after_close_all_but(const std::vector<testing::DeniedCall>& denied) {
  if (!denied.empty() && !testing::DeniedCalls(denied).install()) return 98;
  std::vector<int> fds;
  for (int i = 0; i < 6; ++i)
    fds.push_back(::fcntl(STDERR_FILENO, F_DUPFD, i == 5 ? 300 : STDERR_FILENO + 1));
  close_all_but({fds[4], fds[1]});
  int open = 0;
  for (size_t i = 0; i < fds.size(); ++i) open |= is_open(fds[i]) << i;
  return open | !is_open(STDIN_FILENO) << 6 | !is_open(STDERR_FILENO) << 6;
}

void closes_all_but(testing::NoFixture&) {
  constexpr int kRight = 0b010010;
  const int usual = testing::in_child([] { return left_after_close_all_but({}); });
  assert_int_equal(usual, kRight);
  const int listed = testing::in_child([] { return left_after_close_all_but({{SYS_close_range}}); });
  if (listed == 98) skip();
  assert_int_equal(listed, kRight);
  const int counted = testing::in_child([] {
    return left_after_close_all_but({{SYS_close_range}, {SYS_getdents64}});
  });
  assert_int_equal(counted, kRight);
}

// ---- opening what an operator named

struct Opened {
  Opened() {
    char name[] = "/tmp/test_fd.XXXXXX";
    folder = ::mkdtemp(name);
    std::ofstream(folder + "/file") << "text";
    ::mkfifo((folder + "/fifo").c_str(), 0600);
    std::filesystem::create_symlink("file", folder + "/link");
    std::filesystem::create_symlink("nowhere", folder + "/dangling");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder + "/socket").copy(address.sun_path, sizeof address.sun_path - 1);
    socket.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  ~Opened() { std::filesystem::remove_all(folder); }
  // -1: opened
  int open(const char* name) {
    path = name[0] == '/' ? name : folder + "/" + name;
    file = open_regular_file(path);
    return *file ? -1 : static_cast<int>(file->error().code);
  }
  bool says(const char* words) const { return file->error().detail == path + ": " + words; }

  std::string folder, path;
  Fd socket;
  std::optional<Result<OpenedFile>> file;
};

void only_a_regular_file_is_opened(Opened& f) {
  struct {
    const char* name;
    ErrorCode code;
    const char* words;
  } const rows[] = {{"fifo", ErrorCode::invalid, "is a FIFO, not a regular file"},
                    {".", ErrorCode::invalid, "is a folder, not a regular file"},
                    {"socket", ErrorCode::invalid, "is a socket, not a regular file"},
                    {"/dev/null", ErrorCode::invalid, "is a device, not a regular file"},
                    {"none", ErrorCode::missing, "No such file or directory"},
                    {"dangling", ErrorCode::missing, "No such file or directory"},
                    {"file/below", ErrorCode::system, "Not a directory"}};
  for (const auto& row : rows) {
    const int got = f.open(row.name);
    assert_int_equal(got, static_cast<int>(row.code));
    assert_true(f.says(row.words));
  }
  assert_int_equal(f.open("file"), -1);
  assert_int_equal(f.open("link"), -1);
  assert_int_equal((*f.file)->status.st_size, 4);
}

void a_file_is_read_up_to_a_limit(Opened& f) {
  std::vector<char>& room = *new std::vector<char>(kMaxFileBytes + 1);
  struct {
    size_t size;
    bool fits;
  } const rows[] = {{0, true}, {4, true}, {kMaxFileBytes, true}, {kMaxFileBytes + 1, false}};
  for (const auto& row : rows) {
    f.path = f.folder + "/file";
    std::filesystem::resize_file(f.path, row.size);
    f.open("file");
    const bool read = [&] {
      const auto got = read_to_end((*f.file)->fd.get(), room, f.path);
      return got ? row.fits && *got == row.size
                 : !row.fits && got.error().code == ErrorCode::too_large &&
                       got.error().detail == f.path + ": is larger than 1 MiB";
    }();
    assert_true(read);
  }
  delete &room;
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  const CMUnitTest tests[] = {
      TEST(Fixture, closes_what_it_owns),
      TEST(Fixture, makes_descriptors_that_close_on_exec_and_never_block),
      TEST(vncauthproxy::testing::NoFixture, closes_all_but),
      TEST(Opened, only_a_regular_file_is_opened),
      TEST(Opened, a_file_is_read_up_to_a_limit),
  };
  return vncauthproxy::testing::run_group("fd", tests);
}
