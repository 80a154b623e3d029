// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "master/capacity.h"
#include "master/master.h"
#include "nursery/start.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process.h"

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

uid_t owner_of_files(const std::optional<base::Identity>& identity) {
  return identity ? identity->uid : ::geteuid();
}

int serve(const Options& options, const base::Fd& program, master::Prepared prepared,
          base::Readiness readiness) {
  const auto start_nursery = [&program](const base::Fd& channel) { return nursery::start(program, channel); };
  const auto master = std::make_unique<master::Master>(options, std::move(prepared), start_nursery);
  if (auto started = master->start(); !started) return start_up_failed(started.error());
  // Not before signals have their handlers: who started us may send one at once.
  if (auto ready = readiness.ready(); !ready)
    base::log_error("the terminal of the start is kept: %s", ready.error().detail.c_str());
  master->run();
  return 0;
}

// All that takes the privileges of the start, then their end.
Result<void> settle(const Options& options, const std::optional<base::Identity>& identity,
                    master::Listeners& listeners) {
  if (auto opened = master::open_listeners(options, identity, listeners); !opened) return opened;
  if (!identity) return base::forbid_new_privileges();
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
  auto program = nursery::open_own_program();
  if (!program) return start_up_failed(program.error());

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
  const int status = serve(options, *program, std::move(*prepared), std::move(readiness));
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
