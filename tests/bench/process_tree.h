// SPDX-License-Identifier: GPL-2.0-or-later
// What a proxy costs the machine: CPU time and memory of a process and all its descendants, read from
// outside.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vncauthproxy::bench {

struct Memory {
  uint64_t rss_kib = 0;
  uint64_t pss_kib = 0;  // shared pages divided by the number that share them
  uint64_t uss_kib = 0;  // private pages only
};

class ProcessTree {
 public:
  explicit ProcessTree(pid_t root) : root_(root) {}  // 0: no process, costs nothing

  pid_t root() const { return root_; }
  std::vector<pid_t> members() const;  // the root first
  std::vector<pid_t> threads() const;  // of all members
  // CPU seconds used so far by the tree, children that ended and were waited for included.
  double cpu_seconds() const;
  static double own_cpu_seconds(pid_t pid);  // without its children
  static std::string title(pid_t pid);       // its first argument, which it may have changed
  // Nullopt: it is gone, or only root may look.
  static std::optional<Memory> memory(pid_t pid);

 private:
  pid_t root_;
};

}  // namespace vncauthproxy::bench
