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

#include "folders.h"
#include "master/capacity.h"
#include "master/master.h"
#include "nursery/start.h"
#include "vncauthproxy/base/identity.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/pid_file.h"
#include "vncauthproxy/base/process.h"

namespace vncauthproxy {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;
using config::Options;

void print(const std::string& text) {
  std::fprintf(stderr, "vncauthproxy: %s\n", text.c_str());
}

// On the terminal of whoever starts it, and in the log, unless that is the same.
int start_up_failed(const Error& error) {
  print(error.detail);
  if (!base::log_goes_to_stderr()) base::log_error("cannot start: %s", error.detail.c_str());
  return 1;
}

// All that is fatal.
int start_up_failed(const master::Findings& findings) {
  for (const master::Finding& finding : findings.all())
    if (finding.severity == master::Severity::fatal) start_up_failed(Error{ErrorCode::invalid, finding.text});
  return 1;
}

// That another daemon runs is no fault of the option.
Error of_option(const Options& options, const char* option, Error error) {
  if (error.code != ErrorCode::in_use) error.detail = options.where(option) + ": " + error.detail;
  return error;
}

// In the foreground somebody reads stderr; in the background nobody does once it is up.
Result<void> open_log(const Options& options) {
  const base::LogLevel threshold = options.debug ? base::LogLevel::debug : base::LogLevel::info;
  auto opened = base::open_log(options.log, threshold);
  if (!opened) return of_option(options, "log", opened.error());
  if (!base::log_lacks_logger()) return opened;
  if (options.foreground) {
    opened = base::open_log("-", threshold);
    base::log_warning("there is no system logger: the log goes to stderr");
  } else {
    print(
        "warning: there is no system logger: the log is lost until there is one (--log=FILE writes a file)");
  }
  return opened;
}

// Nullopt: not started as root, so there is nothing to give up.
Result<std::optional<base::Identity>> identity_for(const Options& options) {
  if (::geteuid() != 0) return std::optional<base::Identity>();
  auto identity = base::find_identity(options.user, options.group);
  const char* const option = options.group.empty() ? "user" : "group";
  if (!identity) return of_option(options, option, identity.error());
  return std::optional<base::Identity>(*identity);
}

bool will_be_root(const std::optional<base::Identity>& identity) {
  return identity ? identity->uid == 0 : ::geteuid() == 0;
}

// The folders that the init script makes: they are not there after a boot, or before the first start.
bool is_made_at_start(const std::string& folder) {
  return folder == LOCALSTATEDIR "/run/vncauthproxy" || folder == LOCALSTATEDIR "/log/vncauthproxy";
}

// Of the pid file or the log.
void find_file_faults(const std::string& option, const std::string& path, const Result<void>& checked,
                      const Options& options, master::Findings& findings) {
  if (checked) return;
  const std::string folder = path.substr(0, path.rfind('/'));
  const bool comes = is_made_at_start(folder) && ::access(folder.c_str(), F_OK) != 0;
  findings.add(comes ? master::Severity::note : master::Severity::fatal,
               options.where(option) + ": " + checked.error().detail +
                   (comes ? " (the init script makes the folder when it starts the daemon)" : ""));
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
                    master::Listeners& listeners, master::Findings& findings) {
  master::open_listeners(options, identity, listeners, findings);
  if (findings.has(master::Severity::fatal)) return {};
  if (!identity) return base::forbid_new_privileges();
  if (auto given = base::give_log_to(identity->uid, identity->gid); !given) return given;
  return base::become(*identity);
}

void add_warnings_of(const Options& options, master::Findings& findings) {
  for (const std::string& warning : options.warnings) findings.add(master::Severity::warning, warning);
}

// What is left to do as root. Where something fatal was found, nothing is.
Result<void> settle_everything(const Options& options, const std::optional<base::Identity>& identity,
                               master::Prepared& prepared, master::Findings& findings) {
  auto status = master::ReloadStatus::create(options.pid_file);
  if (!status) return status.error();
  prepared.reload_status = std::move(*status);
  return settle(options, identity, prepared.listeners, findings);
}

// Of --check; its exit status. What is only good to know does not belong among what is wrong.
int tell(const master::Findings& findings, const std::string& read) {
  bool is_fine = true;
  for (const master::Finding& finding : findings.all()) {
    const bool fatal = finding.severity == master::Severity::fatal;
    if (finding.severity == master::Severity::note) {
      std::printf("note: %s\n", finding.text.c_str());
      continue;
    }
    print((fatal ? "" : "warning: ") + finding.text);
    is_fine = false;
  }
  if (findings.has(master::Severity::fatal)) return 1;
  std::printf("the configuration %s: %s\n", is_fine ? "is fine" : "works, but for the warnings",
              read.c_str());
  return 0;
}

}  // namespace

int run_daemon(const Options& options) {
  ::umask(027);
  ::signal(SIGPIPE, SIG_IGN);
  if (auto log = open_log(options); !log) return start_up_failed(log.error());
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
  if (!pid_file) return start_up_failed(of_option(options, "pid-file", pid_file.error()));
  master::Findings findings;
  master::raise_limits();
  master::find_shortfalls(options, master::read_limits(), !will_be_root(*identity), findings);
  add_warnings_of(options, findings);
  master::Prepared prepared = master::prepare(options, *identity, findings);
  const Result<void> settled = settle_everything(options, *identity, prepared, findings);
  if (!settled || findings.has(master::Severity::fatal)) {
    prepared.listeners.remove_files();
    prepared.reload_status.remove();
    pid_file->remove();
    return settled ? start_up_failed(findings) : start_up_failed(settled.error());
  }

  base::log_info("starting");
  base::log_info("Read: %s", master::describe(&prepared.users, &prepared.certificates).c_str());
  master::log_findings(findings);
  const int status = serve(options, *program, std::move(prepared), std::move(readiness));
  pid_file->remove();
  base::log_info("stopped");
  return status;
}

int check_configuration(const Options& options) {
  master::Findings findings;
  // What is read says by the log what it passes over.
  base::set_log_sink([&findings](base::LogLevel level, std::string_view line) {
    if (level <= base::LogLevel::warning) findings.add(master::Severity::warning, std::string(line));
  });
  find_file_faults("log", options.log, base::check_log(options.log), options, findings);
  find_file_faults("pid-file", options.pid_file, base::PidFile::check(options.pid_file), options, findings);
  auto identity = identity_for(options);
  if (!identity) findings.add(master::Severity::fatal, identity.error().detail);
  const std::optional<base::Identity> user = identity ? *identity : std::nullopt;
  master::raise_limits();
  master::find_shortfalls(options, master::read_limits(), !will_be_root(user), findings);
  add_warnings_of(options, findings);
  const master::Prepared prepared = master::prepare(options, user, findings);
  master::check_listeners(options, user, master::RunningDaemon(options.pid_file), findings);
  base::set_log_sink({});
  return tell(findings, master::describe(&prepared.users, &prepared.certificates));
}

}  // namespace vncauthproxy
