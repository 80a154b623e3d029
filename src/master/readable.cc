// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/readable.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::master {
namespace {

namespace fs = std::filesystem;

// What the child says by its exit status: a number below kFile is the index of a folder.
constexpr size_t kMaxPath = 1000;  // commands are to be copied
constexpr int kFile = 253;
constexpr int kReadable = 254;
constexpr int kUnknown = 255;

std::string name_of_user(uid_t uid) {
  const passwd* const entry = ::getpwuid(uid);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
}
std::string name_of_group(gid_t gid) {
  const group* const entry = ::getgrgid(gid);
  return entry != nullptr ? entry->gr_name : std::to_string(gid);
}

void add_folders_above(const fs::path& file, std::vector<std::string>& folders) {
  const size_t known = folders.size();
  for (fs::path at = file.parent_path(); !at.empty(); at = at.parent_path()) {
    folders.push_back(at.string());
    if (at == at.root_path()) break;
  }
  std::reverse(folders.begin() + static_cast<std::ptrdiff_t>(known), folders.end());
}

// All that have to be passed, those behind links too, from the root on.
std::vector<std::string> folders_on_the_way(const std::string& path) {
  std::vector<std::string> folders;
  add_folders_above(path, folders);
  std::error_code error;
  if (const fs::path real = fs::canonical(path, error); !error) add_folders_above(real, folders);
  folders.resize(std::min<size_t>(folders.size(), kFile));
  return folders;
}

// By the user that this process is.
int what_is_closed(const std::string& path, const std::vector<std::string>& folders) {
  const auto opened = base::open_for_reading(path);
  if (opened || opened.error().code != base::ErrorCode::denied) return kReadable;
  const auto closed = std::find_if(folders.begin(), folders.end(), [](const std::string& folder) {
    return ::faccessat(AT_FDCWD, folder.c_str(), X_OK, AT_EACCESS) != 0;
  });
  return closed == folders.end() ? kFile : static_cast<int>(closed - folders.begin());
}

int ask_as(const base::Identity& identity, const std::string& path, const std::vector<std::string>& folders) {
  if (::geteuid() != 0) return what_is_closed(path, folders);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool became = ::setgroups(0, nullptr) == 0 &&
                        ::setresgid(identity.gid, identity.gid, identity.gid) == 0 &&
                        ::setresuid(identity.uid, identity.uid, identity.uid) == 0;
    ::_exit(became ? what_is_closed(path, folders) : kUnknown);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : kUnknown;
}

}  // namespace

std::string unreadable_for(const base::Identity& identity, const std::string& path) {
  const std::vector<std::string> folders = folders_on_the_way(path);
  const int closed = ask_as(identity, path, folders);
  if (closed == kReadable || closed == kUnknown) return "";
  const std::string user = name_of_user(identity.uid), group = name_of_group(identity.gid);
  const std::string file = base::escape(path, kMaxPath);
  if (closed == kFile)
    return "the user " + user + " cannot read " + file + "; this mends it: chgrp " + group + " " + file +
           " && chmod g+r " + file;
  const std::string folder = base::escape(folders[static_cast<size_t>(closed)], kMaxPath);
  return "the user " + user + " cannot read " + file + ", for the folder " + folder +
         " is closed to it; this mends it: setfacl -m u:" + user + ":x " + folder +
         " (or keep a copy of the file elsewhere)";
}

}  // namespace vncauthproxy::master
