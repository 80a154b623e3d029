// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/worker.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/loop.h"
#include "worker/session.h"

namespace vncauthproxy::worker {
namespace {

// Candidates, listeners, channel, backend, pipe, epoll, resolver, and a few more.
constexpr rlim_t kMaxDescriptors = ViewerSide::kMaxCandidates + 64;

// To deliver what is owed, when a worker alone is told to end.
constexpr std::chrono::milliseconds kGrace{2000};

void close_all_but(ipc::Handover& handover) {
  std::vector<unsigned> kept = {STDERR_FILENO};  // and the two before it
  for (const base::Fd* fd : ipc::descriptors(handover)) kept.push_back(static_cast<unsigned>(fd->get()));
  std::sort(kept.begin(), kept.end());
  for (size_t i = 0; i < kept.size(); ++i) {
    const unsigned last = i + 1 < kept.size() ? kept[i + 1] - 1 : ~0U;
    if (kept[i] < last) ::close_range(kept[i] + 1, last, 0);
  }
}

// The master decides about the end of a session; a signal sent to the whole group (Ctrl-C) must not take it
// from it. Nor must a line on stderr, where that is a file (RLIMIT_FSIZE).
void restore_signals() {
  for (const int signal : {SIGCHLD, SIGTERM}) ::signal(signal, SIG_DFL);
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void limit_resources() {
  const auto limit = [](auto resource, rlim_t value) {
    const rlimit both{value, value};
    ::setrlimit(resource, &both);
  };
  limit(RLIMIT_NOFILE, kMaxDescriptors);
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_FSIZE, 0);
}

}  // namespace

void worker_main(ipc::Handover handover) {
  close_all_but(handover);
  restore_signals();
  limit_resources();
  net::Loop loop(net::Loop::Changes::folded);  // back-pressure changes interest often
  base::set_log_prefix("F" + std::to_string(handover.id) + " ");
  Session session(loop, std::move(handover));
  base::set_log_sink([&session](base::LogLevel level, std::string_view text) {
    session.channel().send(ipc::Log{level, std::string(text)});
  });
  net::Signal terminate(loop, SIGTERM, [&session] { session.stop("terminated by SIGTERM", kGrace); });
  session.start();
  loop.run();
  ::_exit(0);
}

}  // namespace vncauthproxy::worker
