// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/running_daemon.h"

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::master {
namespace {

namespace fs = std::filesystem;
using Inodes = std::set<uint64_t>;

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// A number that was given to another program since is not the daemon's.
bool is_daemon(pid_t pid) {
  const std::string own = first_line("/proc/self/comm");
  return pid > 0 && !own.empty() && first_line("/proc/" + std::to_string(pid) + "/comm") == own;
}

// Who holds a lock on the file, whatever stands in it: "1: FLOCK  ADVISORY  WRITE 812 00:1a:4711 0 EOF".
pid_t holder_of_lock(ino_t inode) {
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    int pid = 0;
    uint64_t locked = 0;
    const int found = std::sscanf(line.c_str(), "%*d: FLOCK %*s WRITE %d %*x:%*x:%" SCNu64, &pid, &locked);
    if (found == 2 && locked == inode && is_daemon(pid)) return pid;
  }
  return 0;
}

pid_t find_daemon(const std::string& pid_file) {
  const auto file = base::open_regular_file(pid_file);
  if (!file) return 0;
  int pid = 0;
  if (std::sscanf(first_line(pid_file).c_str(), "%d", &pid) == 1 && is_daemon(pid)) return pid;
  return holder_of_lock(file->status.st_ino);
}

// Of the sockets that the process has open; false: not allowed to look.
bool sockets_of(pid_t pid, Inodes& inodes) {
  std::error_code error;
  for (fs::directory_iterator entry("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    const std::string target = fs::read_symlink(entry->path(), ignored).string();
    uint64_t inode = 0;
    if (std::sscanf(target.c_str(), "socket:[%" SCNu64 "]", &inode) == 1) inodes.insert(inode);
  }
  return !error;
}

// " 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 ..."
void add_ports(const char* table, const Inodes& inodes, std::set<uint16_t>& ports) {
  constexpr unsigned kListening = 0x0A;
  std::ifstream in(table);
  for (std::string line; std::getline(in, line);) {
    unsigned port = 0, state = 0;
    uint64_t inode = 0;
    const int found = std::sscanf(
        line.c_str(), " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*d %*d %" SCNu64,
        &port, &state, &inode);
    if (found == 3 && state == kListening && inodes.count(inode) != 0)
      ports.insert(static_cast<uint16_t>(port));
  }
}

}  // namespace

RunningDaemon::RunningDaemon(const std::string& pid_file) : pid_(find_daemon(pid_file)) {
  if (pid_ == 0) return;
  Inodes inodes;
  may_look_ = sockets_of(pid_, inodes);
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) add_ports(table, inodes, ports_);
}

}  // namespace vncauthproxy::master
