// SPDX-License-Identifier: GPL-2.0-or-later
#include "process_tree.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>

namespace vncauthproxy::bench {
namespace {

std::string proc(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

struct Stat {
  pid_t parent = 0;
  double own = 0, reaped = 0;  // CPU seconds
};

// proc(5): the second field is a name in parentheses that may hold anything, so read from the last one on.
std::optional<Stat> read_stat(pid_t pid) {
  std::ifstream file(proc(pid, "stat"));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const size_t end = line.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(end + 1));
  std::string skipped;
  Stat stat;
  fields >> skipped >> stat.parent;
  for (int field = 5; field < 14; ++field) fields >> skipped;
  double utime = 0, stime = 0, cutime = 0, cstime = 0;
  if (!(fields >> utime >> stime >> cutime >> cstime)) return std::nullopt;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  stat.own = (utime + stime) / ticks;
  stat.reaped = (cutime + cstime) / ticks;
  return stat;
}

// The process's CPU clock counts nanoseconds where stat counts ticks of 10 ms.
double cpu_clock(pid_t pid, double otherwise) {
  clockid_t clock;
  timespec time;
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return otherwise;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// The entries of a folder that are numbers.
std::vector<pid_t> numbers_in(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  std::vector<pid_t> found;
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr)
    if (const int number = std::atoi(entry->d_name); number > 0) found.push_back(number);
  return found;
}

}  // namespace

std::vector<pid_t> ProcessTree::members() const {
  if (root_ == 0) return {};
  std::unordered_multimap<pid_t, pid_t> children;
  for (const pid_t pid : numbers_in("/proc"))
    if (const std::optional<Stat> stat = read_stat(pid)) children.emplace(stat->parent, pid);
  std::vector<pid_t> found{root_};
  for (size_t i = 0; i < found.size(); ++i) {
    const auto [from, to] = children.equal_range(found[i]);
    for (auto child = from; child != to; ++child) found.push_back(child->second);
  }
  return found;
}

std::vector<pid_t> ProcessTree::threads() const {
  std::vector<pid_t> all;
  for (const pid_t pid : members())
    for (const pid_t thread : numbers_in(proc(pid, "task"))) all.push_back(thread);
  return all;
}

double ProcessTree::own_cpu_seconds(pid_t pid) {
  const std::optional<Stat> stat = read_stat(pid);
  return stat ? cpu_clock(pid, stat->own) : 0;
}

double ProcessTree::cpu_seconds() const {
  double sum = 0;
  for (const pid_t pid : members())
    if (const std::optional<Stat> stat = read_stat(pid)) sum += cpu_clock(pid, stat->own) + stat->reaped;
  return sum;
}

std::string ProcessTree::title(pid_t pid) {
  std::ifstream file(proc(pid, "cmdline"));
  std::string title;
  std::getline(file, title, '\0');
  return title;
}

std::optional<Memory> ProcessTree::memory(pid_t pid) {
  std::ifstream file(proc(pid, "smaps_rollup"));
  std::string line;
  Memory memory;
  bool any = false;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name;
    uint64_t kib = 0;
    if (!(fields >> name >> kib)) continue;
    if (name == "Rss:") memory.rss_kib = kib, any = true;
    if (name == "Pss:") memory.pss_kib = kib;
    if (name == "Private_Clean:" || name == "Private_Dirty:") memory.uss_kib += kib;
  }
  if (!any) return std::nullopt;
  return memory;
}

}  // namespace vncauthproxy::bench
