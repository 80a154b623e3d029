// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/loop.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::net {
namespace {

timeval to_timeval(std::chrono::milliseconds delay) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(delay);
  timeval time{};
  time.tv_sec = static_cast<time_t>(seconds.count());
  time.tv_usec = static_cast<suseconds_t>(std::chrono::microseconds(delay - seconds).count());
  return time;
}

sigset_t only(int signal) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  return set;
}

// libevent's own complaints; without this they go to stderr.
void log_complaint(int severity, const char* text) {
  if (severity >= EVENT_LOG_WARN) base::log_warning("libevent: %s", text);
}

base::Fd make_signal_fd(int signal) {
  const sigset_t own = only(signal);
  base::Fd fd(::signalfd(-1, &own, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) throw std::bad_alloc();
  return fd;
}

}  // namespace

Loop::Loop() {
  ::event_set_log_callback(log_complaint);
  const base::Handle<event_config> config(event_config_new());
  if (!config) throw std::bad_alloc();
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
  // Changes of interest that cancel out before a wait cost nothing. It forbids watching two duplicates of one
  // descriptor, which nothing here does.
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  base_.reset(event_base_new_with_config(config.get()));
  if (!base_) throw std::bad_alloc();
}

void Loop::run() {
  event_base_dispatch(base_.get());
}
void Loop::stop() {
  event_base_loopbreak(base_.get());
}

Event::Event(Loop& loop, int fd, short what, Callback callback)
    : callback_(std::move(callback)), event_(event_new(loop.base(), fd, what, trampoline, this)) {
  if (!event_) throw std::bad_alloc();
}

void Event::trampoline(int, short, void* self) noexcept {
  // A copy, since the callback may destroy this object and the function with it.
  const Callback callback = static_cast<Event*>(self)->callback_;
  callback();
}

Watch::Watch(Loop& loop, int fd, For what, Callback callback)
    : Event(loop, fd, static_cast<short>(static_cast<short>(what) | EV_PERSIST), std::move(callback)) {}

void Watch::arm(bool on) {
  if (on == armed_) return;
  armed_ = on;
  if (on)
    event_add(get(), nullptr);
  else
    event_del(get());
}

void Watch::wake() {
  if (!armed_) return;
  event_active(get(), 0, 0);
  // Else libevent would call back in this turn still, and again for as long as each callback wakes its watch:
  // a peer that feeds it would keep all others from theirs.
  event_base_loopcontinue(event_get_base(get()));
}

Timer::Timer(Loop& loop, Callback callback) : Event(loop, -1, EV_TIMEOUT, std::move(callback)) {}

void Timer::start(std::chrono::milliseconds delay) {
  const timeval time = to_timeval(delay);
  event_add(get(), &time);
}

void Timer::start_among_many(std::chrono::milliseconds delay) {
  const timeval time = to_timeval(delay);
  // The queue of this delay, made or found; none when there are too many of them already.
  const timeval* const queue = event_base_init_common_timeout(event_get_base(get()), &time);
  event_add(get(), queue != nullptr ? queue : &time);
}

void Timer::stop() {
  event_del(get());
}

Signal::Signal(Loop& loop, int signal, Callback callback)
    : signal_(signal),
      fd_(make_signal_fd(signal)),
      arrived_(loop, fd_.get(), Watch::For::reading, [this, callback = std::move(callback)] {
        signalfd_siginfo info;
        if (::read(fd_.get(), &info, sizeof info) == sizeof info) callback();
      }) {
  const sigset_t own = only(signal);
  ::sigprocmask(SIG_BLOCK, &own, &mask_before_);
  // Ignored, SIGCHLD would take the children's statuses along.
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, &action_before_);
  arrived_.arm();
}

Signal::~Signal() {
  ::sigaction(signal_, &action_before_, nullptr);
  const sigset_t own = only(signal_);
  if (::sigismember(&mask_before_, signal_) == 0) ::sigprocmask(SIG_UNBLOCK, &own, nullptr);
}

}  // namespace vncauthproxy::net
