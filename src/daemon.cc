// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon.h"

#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "config.h"
#include "master/capacity.h"
#include "master/master.h"
#include "vncauthproxy/base/heap.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/base/written_once.h"
#include "vncauthproxy/ipc/seats.h"
#include "worker/worker.h"

namespace vncauthproxy {
namespace {

using base::Error;
using base::ErrorCode;
using base::Options;
using base::Result;

int start_up_failed(const Error& error) {
  std::fprintf(stderr, "vncauthproxy: %s\n", error.detail.c_str());
  base::log_error("cannot start: %s", error.detail.c_str());
  return 1;
}

// Nullopt: not started as root, so there is nothing to give up.
Result<std::optional<base::Identity>> identity_for(const Options& options) {
  if (::geteuid() != 0) return std::optional<base::Identity>();
  auto identity = base::find_identity(options.user, options.group);
  if (!identity) return std::move(identity.error());
  return std::optional<base::Identity>(*identity);
}

// Workers make little; the master a kilobyte or two for each forwarding, and tables that grow with them.
// Beyond that there is malloc(), which also has the buffers of workers: they go back to the kernel when they
// are not needed.
constexpr base::HeapSize kMasterHeap{64 * 1024 * 1024, 1024 * 1024};
constexpr base::HeapSize kWorkerHeap{1024 * 1024, 4096};

// What fork() does besides is for programs with threads; the pages it writes to would be copied for nothing.
pid_t bare_fork() {
#ifdef HAVE__FORK
  const pid_t pid = ::_Fork();
#else
  const pid_t pid = ::fork();
#endif
  return pid < 0 ? -errno : pid;
}

// The child's number, or an errno as a negative one: what goes with the handover may set errno anew.
pid_t fork_with(ipc::Handover handover, const ipc::Seats::Taken& taken, net::TlsSecrets unwanted) {
  const pid_t pid = taken ? ipc::fork_sharing_descriptors() : bare_fork();
  if (pid != 0) return pid;
  base::keep_heap_for_child();
  base::leave_parents_log();
  if (taken && !taken.settle(handover)) ::_exit(1);  // its descriptors are not its own
  unwanted.erase();
  worker::worker_main(std::move(handover));
}

void fork_worker(master::Master& master, ipc::Seats& seats, ipc::Handover handover) {
  const uint32_t id = handover.id;
  ipc::Seats::Taken taken = seats.take(handover);
  const auto try_to_fork = [&] {
    const base::HeapForChild heap;
    return fork_with(ipc::rehouse(std::move(handover)), taken, master.tls_secrets());
  };
  const pid_t pid = try_to_fork();
  if (pid > 0)
    master.forked(id, pid, std::move(taken));
  else
    master.fork_failed(id, -pid);
}

uid_t owner_of_files(const std::optional<base::Identity>& identity) {
  return identity ? identity->uid : ::geteuid();
}

int serve(const Options& options, master::Prepared prepared, base::Readiness readiness) {
  // Fast bins are emptied now and then, all at once: that writes to free chunks all over the heap and copies
  // each of their pages, which worker and master share until then. Small chunks have a cache of their own all
  // the same.
  ::mallopt(M_MXFAST, 0);
  if (auto heaps = base::begin_heaps(kMasterHeap, kWorkerHeap); !heaps) return start_up_failed(heaps.error());
  ipc::Seats seats;
  const auto master = std::make_unique<master::Master>(options, std::move(prepared));
  base::share_written_once();
  master->unlock_keys();
  readiness.ready();  // not before signals have their handlers: who started us may send one at once
  while (auto next = master->run()) fork_worker(*master, seats, std::move(*next));
  return 0;
}

// All that takes the privileges of the start, then their end.
Result<void> settle(const Options& options, const std::optional<base::Identity>& identity,
                    master::Listeners& listeners) {
  if (auto opened = master::open_listeners(options, identity, listeners); !opened) return opened;
  if (!identity) return {};
  if (auto given = base::give_log_to(identity->uid, identity->gid); !given) return given;
  return base::become(*identity);
}

}  // namespace

int run_daemon(const Options& options) {
  ::umask(027);
  ::signal(SIGPIPE, SIG_IGN);
  if (auto log = base::open_log(options.log, options.debug ? base::LogLevel::debug : base::LogLevel::info);
      !log)
    return start_up_failed(log.error());
  auto identity = identity_for(options);
  if (!identity) return start_up_failed(identity.error());

  base::Readiness readiness;
  if (!options.foreground) {
    auto detached = base::Readiness::detach();
    if (!detached) return start_up_failed(detached.error());
    readiness = std::move(*detached);
  }
  auto pid_file = base::PidFile::create(options.pid_file);
  if (!pid_file) return start_up_failed(pid_file.error());
  const auto give_up = [&pid_file](const Error& error) {
    pid_file->remove();
    return start_up_failed(error);
  };
  auto prepared = master::prepare(options, owner_of_files(*identity));
  if (!prepared) return give_up(prepared.error());
  if (auto settled = settle(options, *identity, prepared->listeners); !settled) {
    prepared->listeners.remove_files();
    return give_up(settled.error());
  }

  master::raise_limits();
  base::log_info("vncauthproxy starts");
  for (const std::string& line : master::shortfalls(options, master::read_limits()))
    base::log_warning("%s", line.c_str());
  for (const std::string& line : options.warnings) base::log_warning("%s", line.c_str());
  const int status = serve(options, std::move(*prepared), std::move(readiness));
  pid_file->remove();
  base::log_info("vncauthproxy ends");
  return status;
}

int check_configuration(const Options& options) {
  int status = 0;
  const auto complain = [&status](const Error& error) {
    std::fprintf(stderr, "vncauthproxy: %s\n", error.detail.c_str());
    status = 1;
  };
  if (auto log = base::open_log("-", base::LogLevel::warning); !log) complain(log.error());
  const auto identity = identity_for(options);
  if (!identity) complain(identity.error());
  const uid_t owner = identity ? owner_of_files(*identity) : ::geteuid();
  if (auto prepared = master::prepare(options, owner); !prepared) complain(prepared.error());
  if (auto checked = master::check_listeners(options); !checked) complain(checked.error());
  master::raise_limits();
  for (const std::string& line : master::shortfalls(options, master::read_limits()))
    std::fprintf(stderr, "vncauthproxy: warning: %s\n", line.c_str());
  if (status == 0) std::printf("the configuration is fine\n");
  return status;
}

}  // namespace vncauthproxy
