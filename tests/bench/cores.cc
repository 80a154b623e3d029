// SPDX-License-Identifier: GPL-2.0-or-later
#include "cores.h"

#include <sched.h>

#include <cerrno>
#include <cstring>

#include "loop.h"

namespace vncauthproxy::bench {
namespace {

cpu_set_t cores_at_start() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) die("sched_getaffinity: %s", std::strerror(errno));
  return set;
}

cpu_set_t only(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core), &set);
  return set;
}

// 0 is the calling process.
bool put_on(const cpu_set_t& set, pid_t thread) {
  return ::sched_setaffinity(thread, sizeof set, &set) == 0 || errno == ESRCH;
}

}  // namespace

void place(Cores cores, const ProcessTree& proxy) {
  const cpu_set_t all = cores_at_start();
  int first = CPU_SETSIZE, last = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(static_cast<size_t>(core), &all)) continue;
    if (first == CPU_SETSIZE) first = core;
    last = core;
  }
  const bool free = cores == Cores::any;
  bool placed = put_on(free ? all : only(first), 0);
  for (const pid_t thread : proxy.threads())
    placed = put_on(free ? all : only(cores == Cores::two ? last : first), thread) && placed;
  if (!placed) die("cannot place processes on cores: %s", std::strerror(errno));
}

}  // namespace vncauthproxy::bench
