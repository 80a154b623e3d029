// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/capacity.h"

#include <algorithm>
#include <cstdio>

#include "master/control_server.h"
#include "vncauthproxy/base/handles.h"

namespace vncauthproxy::master {
namespace {

constexpr rlim_t kOtherDescriptors = ControlServer::kMaxTurnedAway + 64;
constexpr rlim_t kOtherProcesses = 8;
constexpr const char* kEphemeralRange = "/proc/sys/net/ipv4/ip_local_port_range";

rlim_t forwardings(const base::Options& options) {
  return static_cast<rlim_t>(options.max_port - options.min_port) + 1;
}

void raise_soft_limit(int resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(resource, &limit);  // read_limits() shows what came of it
}

rlim_t soft_limit(int resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::string too_low(const char* what, rlim_t limit, rlim_t others, rlim_t needed) {
  const rlim_t served = limit > others ? limit - others : 0;
  return "the limit of " + std::to_string(limit) + " " + what + " serves " + std::to_string(served) +
         " forwardings at once, the port range has room for " + std::to_string(needed);
}

}  // namespace

void raise_limits() {
  raise_soft_limit(RLIMIT_NOFILE);
  raise_soft_limit(RLIMIT_NPROC);
}

Limits read_limits() {
  Limits limits{soft_limit(RLIMIT_NOFILE), soft_limit(RLIMIT_NPROC)};
  const base::Handle<std::FILE> range(std::fopen(kEphemeralRange, "re"));
  if (range && std::fscanf(range.get(), "%hu %hu", &limits.first_ephemeral, &limits.last_ephemeral) != 2)
    limits.first_ephemeral = limits.last_ephemeral = 0;
  return limits;
}

std::vector<std::string> shortfalls(const base::Options& options, const Limits& limits) {
  std::vector<std::string> found;
  const rlim_t needed = forwardings(options);
  const rlim_t other_descriptors = kOtherDescriptors + options.max_pending;
  if (limits.descriptors < needed + other_descriptors)
    found.push_back(too_low("descriptors", limits.descriptors, other_descriptors, needed));
  if (limits.processes < needed + kOtherProcesses)
    found.push_back(too_low("processes of this user", limits.processes, kOtherProcesses, needed));
  if (options.min_port <= limits.last_ephemeral && limits.first_ephemeral <= options.max_port)
    found.push_back(
        "the ports " + std::to_string(options.min_port) + " to " + std::to_string(options.max_port) +
        " overlap with those that the kernel gives to others, " + std::to_string(limits.first_ephemeral) +
        " to " + std::to_string(limits.last_ephemeral) + ": see net.ipv4.ip_local_reserved_ports");
  return found;
}

}  // namespace vncauthproxy::master
