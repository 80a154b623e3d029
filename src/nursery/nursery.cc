// SPDX-License-Identifier: GPL-2.0-or-later
#include "nursery/nursery.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <unordered_set>
#include <utility>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process_title.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/ipc/message.h"
#include "vncauthproxy/ipc/packet.h"
#include "vncauthproxy/net/tls.h"
#include "vncauthproxy/proto/vnc_auth.h"
#include "vncauthproxy/proto/ws_upgrade.h"
#include "worker/worker.h"

namespace vncauthproxy::nursery {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

// waitpid(-1) looks at every child. SIGCHLD names one that has ended; what several signals at once hide is
// found by a look at all of them, so long after.
constexpr int kSweepAfterMs = 200;

// Settings arrive here: a certificate's chain may be long.
std::array<uint8_t, ipc::kMaxLongBytes> room;

void send_to_master(base::LogLevel level, std::string_view text) {
  const ipc::Packet packet = ipc::encode(ipc::Log{level, std::string(text)});
  (void)ipc::send_packet(kChannel, packet.content());
}

// Lines go to the master. What is opened here is for a worker whose master is gone: none may write to a file.
void open_log(const ipc::Settings& settings) {
  struct stat status;
  const bool to_file = settings.log == "-" ? ::fstat(STDERR_FILENO, &status) != 0 || S_ISREG(status.st_mode)
                                           : settings.log.starts_with('/');
  const base::LogLevel threshold = settings.debug ? base::LogLevel::debug : base::LogLevel::info;
  (void)base::open_log(to_file ? "" : settings.log, threshold);
  base::set_log_sink(send_to_master);
}

class Nursery {
 public:
  explicit Nursery(base::Fd channel) : channel_(std::move(channel)) {}

  Result<void> prepare();
  void run();

 private:
  bool receive();
  Result<void> take(base::Bytes packet);
  void take(const ipc::Message& message);
  Result<void> adopt(ipc::Settings settings);
  void give_birth();
  void kill(pid_t pid);
  void child_ended();
  void sweep();
  void reaped(pid_t pid, int status);
  void tell(const ipc::Message& message);

  base::Fd channel_, child_signals_;
  uint32_t settings_ = 0;
  net::TlsServer tls_;
  std::unordered_set<pid_t> children_;
  bool sweep_waits_ = false;
};

Result<void> Nursery::prepare() {
  if (auto cipher = proto::prepare_vnc_auth(); !cipher) return cipher;
  proto::prepare_ws_upgrade();
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  // The terminal's signals go to the whole group; the master decides what they mean.
  for (const int ignored : {SIGINT, SIGHUP, SIGPIPE}) ::signal(ignored, SIG_IGN);
  child_signals_ = base::Fd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!child_signals_) return base::system_error(errno, {"signalfd"});
  return {};
}

void Nursery::run() {
  while (true) {
    pollfd ready[] = {{channel_.get(), POLLIN, 0}, {child_signals_.get(), POLLIN, 0}};
    const int count = ::poll(ready, 2, sweep_waits_ ? kSweepAfterMs : -1);
    if (count == 0) sweep();
    if (ready[1].revents != 0) child_ended();
    if (ready[0].revents != 0 && !receive()) return;
  }
}

// False: the master is gone.
bool Nursery::receive() {
  auto packet = ipc::receive_packet(channel_.get(), room);
  if (!packet) return packet.error().code == ErrorCode::exhausted;
  if (auto taken = take(base::Bytes(room).first(packet->size)); !taken)
    base::log_error("nursery: %s", taken.error().detail.c_str());
  return true;
}

Result<void> Nursery::take(base::Bytes packet) {
  if (ipc::is_numbered(packet, ipc::Number::settings)) {
    auto settings = ipc::decode_settings(packet);
    if (!settings) return settings.error();
    return adopt(std::move(*settings));
  }
  auto message = ipc::decode(packet);
  if (!message) return message.error();
  if (!ipc::may_arrive(*message, ipc::kNursery)) return ipc::bad_message(ipc::name_of(*message));
  take(*message);
  return {};
}

void Nursery::take(const ipc::Message& message) {
  if (const auto* fork = std::get_if<ipc::Fork>(&message))
    for (uint32_t i = 0; i < fork->count; ++i) give_birth();
  if (const auto* one = std::get_if<ipc::Kill>(&message)) kill(one->pid);
}

Result<void> Nursery::adopt(ipc::Settings settings) {
  open_log(settings);
  net::TlsServer tls;
  if (!settings.tls.chain.empty()) {
    auto made = net::make_tls_context(settings.tls);
    if (!made) return made.error();
    tls = std::move(*made);
  }
  tls_ = std::move(tls);
  settings_ = settings.number;
  return {};
}

// The child is a spare at once and never returns here. Each call is answered, or the master would wait for
// ever.
void Nursery::give_birth() {
  auto ends = base::socket_pair(SOCK_SEQPACKET);
  if (!ends) return tell(ipc::NotBorn{EMFILE});
  const pid_t pid = ::fork();
  if (pid < 0) return tell(ipc::NotBorn{errno});
  if (pid == 0) worker::be_spare(std::move(ends->second), std::move(tls_));
  children_.insert(pid);
  ends->second.reset();
  const ipc::Packet packet = ipc::encode(ipc::Born{pid, settings_});
  const int end = ends->first.get();
  // Too many descriptors may be on their way (ETOOMANYREFS). The spare ends with its channel.
  if (!ipc::send_packet(channel_.get(), packet.content(), {&end, 1})) tell(ipc::NotBorn{EMFILE});
}

// Its number is its own until it is reaped here, so nobody else is ever hit.
void Nursery::kill(pid_t pid) {
  if (pid == 0)
    for (const pid_t child : children_) ::kill(child, SIGKILL);
  else if (children_.count(pid) != 0)
    ::kill(pid, SIGKILL);
}

void Nursery::child_ended() {
  signalfd_siginfo info;
  while (::read(child_signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    int status = 0;
    const auto pid = static_cast<pid_t>(info.ssi_pid);
    if (children_.count(pid) != 0 && ::waitpid(pid, &status, WNOHANG) == pid) reaped(pid, status);
    sweep_waits_ = true;
  }
}

void Nursery::sweep() {
  sweep_waits_ = false;
  int status = 0;
  for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
    reaped(pid, status);
}

void Nursery::reaped(pid_t pid, int status) {
  if (children_.erase(pid) != 0) tell(ipc::Died{pid, status});
}

void Nursery::tell(const ipc::Message& message) {
  const ipc::Packet packet = ipc::encode(message);
  (void)ipc::send_packet(channel_.get(), packet.content());
}

// A socket of ours, and not whatever the caller of the program happened to have open.
bool is_channel(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

int run() {
  if (!is_channel(kChannel)) {
    std::fprintf(stderr, "vncauthproxy: %s is for the daemon alone\n", kArgument);
    return 2;
  }
  base::Fd channel(kChannel);
  // What is told here must arrive, so that a slow master is waited for; it never waits for the nursery.
  ::fcntl(kChannel, F_SETFL, 0);
  base::set_log_sink(send_to_master);
  net::use_wiping_tls_allocator();
  base::set_process_title("vncauthproxy: nursery");
  Nursery nursery(std::move(channel));
  if (auto prepared = nursery.prepare(); !prepared) {
    base::log_error("nursery: %s", prepared.error().detail.c_str());
    return 1;
  }
  nursery.run();
  return 0;
}

}  // namespace vncauthproxy::nursery
