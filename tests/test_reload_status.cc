// SPDX-License-Identifier: GPL-2.0-or-later
// The file that tells the init script what came of a reload.
#include "master/reload_status.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_status.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    path = folder + "/pid.reload";
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  bool create(const std::string& pid_file) {
    auto created = ReloadStatus::create(pid_file);
    if (!created) return false;
    status = std::move(*created);
    return true;
  }
  const char* content() {
    std::ifstream in(path);
    text.assign(std::istreambuf_iterator<char>(in), {});
    return text.c_str();
  }

  std::string folder, path, text;
  ReloadStatus status;
};

void the_last_line_tells(Fixture& f) {
  const bool created = f.create(f.folder + "/pid");
  assert_true(created);
  assert_string_equal(f.content(), "reload 0 ok\n");
  f.status.tell({});
  assert_string_equal(f.content(), "reload 1 ok\n");
  f.status.tell({"the old users stay in force: x", "a\nb"});
  assert_string_equal(f.content(), "the old users stay in force: x\na\\nb\nreload 2 failed\n");
  f.status.tell({});
  assert_string_equal(f.content(), "reload 3 ok\n");
  struct stat found {};
  const int there = ::stat(f.path.c_str(), &found);
  assert_int_equal(there, 0);
  assert_int_equal(found.st_mode & 0777, 0644);
}

void it_is_removed_if_it_is_still_ours(Fixture& f) {
  f.create(f.folder + "/pid");
  f.status.remove();
  assert_int_equal(::access(f.path.c_str(), F_OK), -1);
  f.create(f.folder + "/pid");
  ::unlink(f.path.c_str());
  std::ofstream(f.path) << "of another daemon";
  f.status.remove();
  assert_string_equal(f.content(), "of another daemon");
}

void there_is_none_without_a_pid_file(Fixture& f) {
  const bool created = f.create("");
  f.status.tell({"x"});
  f.status.remove();
  assert_true(created);
  assert_true(std::filesystem::is_empty(f.folder));
}

void a_planted_link_is_not_followed(Fixture& f) {
  std::ofstream(f.folder + "/victim") << "precious";
  std::filesystem::create_symlink("victim", f.path);
  const bool created = f.create(f.folder + "/pid");
  assert_false(created);
  assert_string_equal(f.content(), "precious");
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, the_last_line_tells),
      TEST(Fixture, it_is_removed_if_it_is_still_ours),
      TEST(Fixture, there_is_none_without_a_pid_file),
      TEST(Fixture, a_planted_link_is_not_followed),
  };
  return vncauthproxy::testing::run_group("reload_status", tests);
}
