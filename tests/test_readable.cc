// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the daemon's later user can read a file, and the command that mends it when it cannot.
#include "master/readable.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::master {
namespace {

constexpr base::Identity kSomebody{54321, 54322};  // without names

struct Fixture {
  Fixture() {
    char name[] = "/tmp/test_readable.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    ::chmod(folder.c_str(), 0755);
    file = folder + "/file";
    std::ofstream(file) << "text";
  }
  ~Fixture() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  const char* ask(mode_t mode) {
    ::chmod(file.c_str(), mode);
    said = unreadable_for(kSomebody, file);
    for (size_t at; (at = said.find(folder)) != said.npos;) said.replace(at, folder.size(), "FOLDER");
    return said.c_str();
  }

  std::string folder, file, said;
};

void rights_of_the_file_count(Fixture& f) {
  if (::geteuid() != 0) skip();
  constexpr const char* kClosed =
      "the user 54321 cannot read FOLDER/file; this mends it: chgrp 54322 FOLDER/file && chmod g+r "
      "FOLDER/file";
  assert_string_equal(f.ask(0644), "");
  assert_string_equal(f.ask(0600), kClosed);
  assert_string_equal(f.ask(0640), kClosed);
  const int to_group = ::chown(f.file.c_str(), 0, kSomebody.gid);  // half of what the command does
  assert_int_equal(to_group, 0);
  assert_string_equal(f.ask(0600), kClosed);
  assert_string_equal(f.ask(0640), "");
  const int to_user = ::chown(f.file.c_str(), kSomebody.uid, 0);
  assert_int_equal(to_user, 0);
  assert_string_equal(f.ask(0600), "");
}

// The groups of root are not those that the daemon will have.
void groups_of_this_process_do_not_count(Fixture& f) {
  if (::geteuid() != 0) skip();
  const int given = ::chown(f.file.c_str(), 0, 4);
  const int closed = testing::in_child([&f] {
    const gid_t more[] = {4, 0};
    return ::setgroups(2, more) == 0 && *f.ask(0640) != '\0' ? 0 : 1;
  });
  assert_int_equal(given, 0);
  assert_int_equal(closed, 0);
}

void folders_on_the_way_count(Fixture& f) {
  if (::geteuid() != 0) skip();
  ::mkdir((f.folder + "/archive").c_str(), 0700);
  ::rename(f.file.c_str(), (f.folder + "/archive/file").c_str());
  constexpr const char* kClosed =
      "the user 54321 cannot read FOLDER/file, for the folder FOLDER/archive is closed to it; this mends it: "
      "setfacl -m u:54321:x FOLDER/archive (or keep a copy of the file elsewhere)";
  const int linked = ::symlink("archive/file", f.file.c_str());  // as certbot does
  assert_int_equal(linked, 0);
  assert_string_equal(f.ask(0644), kClosed);
  ::chmod((f.folder + "/archive").c_str(), 0711);
  assert_string_equal(f.ask(0644), "");
}

void a_file_that_is_not_there_is_no_matter(Fixture& f) {
  ::unlink(f.file.c_str());
  assert_string_equal(f.ask(0), "");
}

void nothing_changes_for_this_process(Fixture& f) {
  const uid_t uid = ::geteuid();
  f.ask(0600);
  const uid_t after = ::geteuid();
  assert_int_equal(after, uid);
}

void as_that_user_it_looks_for_itself(Fixture& f) {
  if (::geteuid() != 0) skip();
  const int told = testing::in_child([&f] {
    ::chmod(f.file.c_str(), 0600);
    if (::setgid(kSomebody.gid) != 0 || ::setuid(kSomebody.uid) != 0) return 2;
    return unreadable_for(kSomebody, f.file).find("chgrp 54322") != std::string::npos ? 0 : 1;
  });
  assert_int_equal(told, 0);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, rights_of_the_file_count),         TEST(Fixture, groups_of_this_process_do_not_count),
      TEST(Fixture, folders_on_the_way_count),         TEST(Fixture, a_file_that_is_not_there_is_no_matter),
      TEST(Fixture, nothing_changes_for_this_process), TEST(Fixture, as_that_user_it_looks_for_itself),
  };
  return vncauthproxy::testing::run_group("readable", tests);
}
