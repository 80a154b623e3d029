// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process_title.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/ipc/packet.h"
#include "vncauthproxy/net/loop.h"
#include "worker/session.h"

namespace vncauthproxy::worker {
namespace {

// Candidates, listeners, channel, backend, pipe, epoll, resolver, and a few more.
constexpr rlim_t kMaxDescriptors = ViewerSide::kMaxCandidates + 64;

// To deliver what is owed, when a worker alone is told to end.
constexpr std::chrono::milliseconds kGrace{2000};

// The Handover arrives here; of its pages only those that it fills exist.
std::array<uint8_t, ipc::kMaxLongBytes> room;

void close_all_but(int channel) {
  std::vector<unsigned> kept = {STDERR_FILENO,
                                static_cast<unsigned>(channel)};  // and the two before the first
  if (const int log = base::log_descriptor(); log > STDERR_FILENO) kept.push_back(static_cast<unsigned>(log));
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

// libevent makes a pipe for signals, which no worker uses. The kernel counts its 64 KiB against what the user
// may have in pipes (fs.pipe-user-pages-soft), so that a thousand workers would leave nothing to those that
// carry bulk. These are all pipes there are at this moment.
void shrink_pipes() {
  for (int fd = STDERR_FILENO + 1; fd < 32; ++fd) ::fcntl(fd, F_SETPIPE_SZ, 4096);  // what is no pipe refuses
}

// Nullopt: no forwarding will come; the master has dismissed this spare, or is gone.
std::optional<ipc::Handover> wait_for_handover(int channel) {
  pollfd ready{channel, POLLIN, 0};
  while (::poll(&ready, 1, -1) != 1) {
  }
  auto packet = ipc::receive_packet(channel, room);
  if (!packet) return std::nullopt;
  auto handover = ipc::decode_handover(base::Bytes(room).first(packet->size), std::move(packet->descriptors));
  base::wipe(std::span<uint8_t>(room).first(packet->size));
  if (handover) return std::move(*handover);
  base::log_error("%s", handover.error().detail.c_str());
  return std::nullopt;
}

}  // namespace

void be_spare(base::Fd channel, net::TlsServer tls) {
  const int to_master = channel.get();
  close_all_but(to_master);
  // The nursery's own way to the log was closed just now.
  base::set_log_sink([to_master](base::LogLevel level, std::string_view text) {
    const ipc::Packet packet = ipc::encode(ipc::Log{level, std::string(text)});
    (void)ipc::send_packet(to_master, packet.content());
  });
  restore_signals();
  limit_resources();
  base::set_process_title("vncauthproxy: spare");
  net::Loop loop;
  shrink_pipes();
  auto handover = wait_for_handover(channel.get());
  if (!handover) ::_exit(0);
  base::set_log_prefix("F" + std::to_string(handover->id) + " ");
  Session session(loop, std::move(*handover), std::move(channel), std::move(tls));
  net::Signal terminate(loop, SIGTERM, [&session] { session.stop("terminated by SIGTERM", kGrace); });
  session.start();
  loop.run();
  ::_exit(0);
}

}  // namespace vncauthproxy::worker
