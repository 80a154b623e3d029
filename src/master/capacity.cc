// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/capacity.h"

#include <algorithm>
#include <cstdio>

#include "master/control_server.h"
#include "vncauthproxy/base/handle.h"

namespace vncauthproxy::master {
namespace {

// Descriptors of the master besides forwardings and waiting control clients, and processes besides workers.
constexpr rlim_t kOwnDescriptors = 64;
constexpr rlim_t kOwnProcesses = 8;
constexpr rlim_t kPagesOfPipe = 32;  // of 128 KiB: what a busy session starts with
constexpr const char* kEphemeralRange = "/proc/sys/net/ipv4/ip_local_port_range";
constexpr const char* kFirstUnprivileged = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
constexpr const char* kPipePages = "/proc/sys/fs/pipe-user-pages-soft";

rlim_t forwardings(const config::Options& options) {
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

// A number from a file of /proc/sys; 0: unknown.
unsigned long read_number(const char* file) {
  unsigned long number = 0;
  const base::Handle<std::FILE> in(std::fopen(file, "re"));
  return in && std::fscanf(in.get(), "%lu", &number) == 1 ? number : 0;
}

// What is left of a limit for forwardings when the daemon needs `own` of it and its waiting control clients
// at most `shared`, and no more than a half of the rest.
rlim_t left_of(rlim_t limit, rlim_t own, rlim_t shared) {
  if (limit <= own) return 0;
  return limit - own - std::min(shared, (limit - own) / 2);
}

void add_shortfall(const char* what, const char* command, rlim_t limit, rlim_t left, rlim_t needed,
                   Findings& findings) {
  const std::string of = "the limit of " + std::to_string(limit) + " " + what;
  if (left == 0)
    findings.add(Severity::fatal, of + " does not do for a single forwarding: raise it (" + command + ")");
  else if (left < needed)
    findings.add(Severity::warning, of + " serves " + std::to_string(left) +
                                        " forwardings at once, the port range has room for " +
                                        std::to_string(needed));
}

std::string range(uint16_t first, uint16_t last) {
  return std::to_string(first) + " to " + std::to_string(last);
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
  limits.first_unprivileged = static_cast<uint16_t>(read_number(kFirstUnprivileged));
  limits.pipe_pages = read_number(kPipePages);
  return limits;
}

void find_shortfalls(const config::Options& options, const Limits& limits, bool unprivileged,
                     Findings& findings) {
  const rlim_t needed = forwardings(options);
  add_shortfall(
      "descriptors", "ulimit -n", limits.descriptors,
      left_of(limits.descriptors, kOwnDescriptors, options.max_pending + ControlServer::kMaxTurnedAway),
      needed, findings);
  add_shortfall("processes of this user", "ulimit -u", limits.processes,
                left_of(limits.processes, kOwnProcesses, 0), needed, findings);
  const std::string ports = range(options.min_port, options.max_port);
  if (options.min_port <= limits.last_ephemeral && limits.first_ephemeral <= options.max_port)
    findings.add(Severity::warning, "the ports " + ports +
                                        " overlap with those that the kernel gives to others, " +
                                        range(limits.first_ephemeral, limits.last_ephemeral) +
                                        ": see net.ipv4.ip_local_reserved_ports");
  if (unprivileged && options.min_port < limits.first_unprivileged)
    findings.add(options.max_port < limits.first_unprivileged ? Severity::fatal : Severity::warning,
                 options.where("min-port") + ": of the ports " + ports +
                     " only root may listen on those below " + std::to_string(limits.first_unprivileged) +
                     ": see net.ipv4.ip_unprivileged_port_start");
  const rlim_t busy = limits.pipe_pages / kPagesOfPipe;
  if (unprivileged && limits.pipe_pages != 0 && busy < needed)
    findings.add(Severity::note, "fs.pipe-user-pages-soft (" + std::to_string(limits.pipe_pages) +
                                     ") has pipes for " + std::to_string(busy) + " of " +
                                     std::to_string(needed) +
                                     " sessions: those beyond copy, at about twice the CPU time, while they "
                                     "carry much");
}

}  // namespace vncauthproxy::master
