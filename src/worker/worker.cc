// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/base/process_title.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/ipc/packet.h"
#include "vncauthproxy/net/loop.h"
#include "worker/session.h"

namespace vncauthproxy::worker {
namespace {

using base::Result;

// Candidates, listeners, channel, backend, pipe, epoll, resolver, and a few more.
constexpr rlim_t kMaxDescriptors = ViewerSide::kMaxCandidates + 64;

// To deliver what is owed, when a worker alone is told to end.
constexpr std::chrono::milliseconds kGrace{2000};

// The Handover arrives here; of its pages only those that it fills exist.
std::array<uint8_t, ipc::kMaxLongBytes> room;

// The master decides about the end of a session; a signal sent to the whole group (Ctrl-C) must not take it
// from it. Nor must a line on stderr, where that is a file (RLIMIT_FSIZE).
void restore_signals() {
  for (const int signal : {SIGCHLD, SIGTERM}) ::signal(signal, SIG_DFL);
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<void> limit_resources() {
  constexpr std::pair<int, rlim_t> kLimits[] = {
      {RLIMIT_NOFILE, kMaxDescriptors}, {RLIMIT_NPROC, 0}, {RLIMIT_FSIZE, 0}};
  for (const auto& [resource, most] : kLimits)
    if (auto set = base::lower_limit(resource, most); !set) return set;
  return {};
}

// libevent makes a pipe for signals, which no worker uses. The kernel counts its 64 KiB against what the user
// may have in pipes (fs.pipe-user-pages-soft), so that a thousand workers would leave nothing to those that
// carry bulk. These are all pipes there are at this moment.
void shrink_pipes() {
  for (int fd = STDERR_FILENO + 1; fd < 32; ++fd) ::fcntl(fd, F_SETPIPE_SZ, 4096);  // what is no pipe refuses
}

void tell(int channel, const ipc::Message& message) {
  const ipc::Packet packet = ipc::encode(message);
  (void)ipc::send_packet(channel, packet.content());
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
  tell(channel, ipc::Log{base::LogLevel::error, handover.error().detail});
  return std::nullopt;
}

}  // namespace

void be_spare(base::Fd channel, net::TlsServer tls) noexcept {
  base::close_all_but({channel.get(), base::log_descriptor()});
  base::set_log_sink([end = channel.get()](base::LogLevel level, std::string_view text) {
    tell(end, ipc::Log{level, std::string(text)});
  });
  restore_signals();
  const auto limited = limit_resources();
  base::set_process_title("vncauthproxy: spare");
  net::Loop loop;
  shrink_pipes();
  auto handover = wait_for_handover(channel.get());
  if (!handover) ::_exit(0);
  if (!limited) {
    tell(channel.get(), ipc::Refused{proto::FailureCode::internal, limited.error().detail});
    ::_exit(1);
  }
  base::set_log_prefix("F" + std::to_string(handover->id) + " ");
  Session session(loop, std::move(*handover), std::move(channel), std::move(tls));
  net::Signal terminate(loop, SIGTERM, [&session] { session.stop("terminated by SIGTERM", kGrace); });
  session.start();
  loop.run();
  ::_exit(0);
}

}  // namespace vncauthproxy::worker
