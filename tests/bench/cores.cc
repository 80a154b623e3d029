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

cpu_set_t chosen(Cores cores, Part part) {
  static const cpu_set_t all = cores_at_start();
  if (cores == Cores::any) return all;
  int first = CPU_SETSIZE, last = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(static_cast<size_t>(core), &all)) continue;
    if (first == CPU_SETSIZE) first = core;
    last = core;
  }
  return only(cores == Cores::two && part == Part::proxy ? last : first);
}

}  // namespace

void place_this_process(Cores cores, Part as) {
  const cpu_set_t set = chosen(cores, as);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) die("sched_setaffinity: %s", std::strerror(errno));
}

void place_proxy(Cores cores, const ProcessTree& proxy) {
  const cpu_set_t set = chosen(cores, Part::proxy);
  for (const pid_t thread : proxy.threads())
    if (::sched_setaffinity(thread, sizeof set, &set) != 0 && errno != ESRCH)
      die("cannot place the proxy: %s", std::strerror(errno));
}

}  // namespace vncauthproxy::bench
