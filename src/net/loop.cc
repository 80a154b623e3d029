// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <new>
#include <utility>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/heap.h"

namespace vncauthproxy::net {
namespace {

timeval to_timeval(std::chrono::milliseconds delay) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(delay);
  timeval time{};
  time.tv_sec = static_cast<time_t>(seconds.count());
  time.tv_usec = static_cast<suseconds_t>(std::chrono::microseconds(delay - seconds).count());
  return time;
}

// What the next descriptors will be numbered; no thread of ours could take one meanwhile.
std::array<int, 3> next_descriptors() {
  std::array<base::Fd, 3> taken;
  std::array<int, 3> numbers{};
  for (size_t i = 0; i < taken.size(); ++i) {
    taken[i] = base::Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    numbers[i] = taken[i].get();
  }
  return numbers;
}

// libevent makes a pipe for signals with every base, and the kernel counts its 64 KiB against what the user
// may have in pipes (fs.pipe-user-pages-soft): a thousand workers would leave nothing to those that carry
// bulk. A byte for a signal fits a page.
void shrink_pipe_among(const std::array<int, 3>& descriptors) {
  constexpr int kPage = 4096;
  for (const int fd : descriptors)
    if (::fcntl(fd, F_GETPIPE_SZ) > kPage) ::fcntl(fd, F_SETPIPE_SZ, kPage);
}

}  // namespace

Loop::Loop(Changes changes) {
  ::event_set_mem_functions(base::heap_allocate, base::heap_reallocate, base::heap_free);
  const base::Handle<event_config> config(event_config_new());
  if (!config) throw std::bad_alloc();
  event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
  // It forbids watching two duplicates of one descriptor, which nothing here does.
  if (changes == Changes::folded) event_config_set_flag(config.get(), EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  const std::array<int, 3> descriptors = next_descriptors();
  base_.reset(event_base_new_with_config(config.get()));
  if (!base_) throw std::bad_alloc();
  shrink_pipe_among(descriptors);
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
  if (armed_) event_active(get(), 0, 0);
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
    : Event(loop, signal, EV_SIGNAL | EV_PERSIST, std::move(callback)) {
  event_add(get(), nullptr);
}

}  // namespace vncauthproxy::net
