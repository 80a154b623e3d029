// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vncauthproxy::bench {

void die(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::fputs("load: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputc('\n', stderr);
  va_end(arguments);
  std::exit(1);
}

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) die("epoll_create1: %s", std::strerror(errno));
}

void Loop::watch(int fd, uint32_t events, Handler& handler) {
  epoll_event event{.events = events, .data = {.ptr = &handler}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    die("epoll_ctl(add): %s", std::strerror(errno));
}

void Loop::change(int fd, uint32_t events, Handler& handler) {
  epoll_event event{.events = events, .data = {.ptr = &handler}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    die("epoll_ctl(mod): %s", std::strerror(errno));
}

void Loop::forget(int fd) {
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) != 0) die("epoll_ctl: %s", std::strerror(errno));
}

void Loop::bury(std::unique_ptr<Handler> handler) {
  buried_.push_back(std::move(handler));
}

void Loop::turn(int timeout_ms) {
  std::array<epoll_event, 256> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  if (count < 0 && errno != EINTR) die("epoll_wait: %s", std::strerror(errno));
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    static_cast<Handler*>(event.data.ptr)->ready(event.events);
  }
  buried_.clear();
}

void Loop::run_for(std::chrono::milliseconds time) {
  const Clock::time_point end = Clock::now() + time;
  for (Clock::time_point now = Clock::now(); now < end; now = Clock::now())
    turn(static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(end - now).count()));
}

void Loop::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit,
                     const std::function<std::string()>& waiting_for) {
  const Clock::time_point end = Clock::now() + limit;
  while (!done()) {
    if (Clock::now() >= end)
      die("no end after %lld ms: %s", static_cast<long long>(limit.count()), waiting_for().c_str());
    turn(100);
  }
}

}  // namespace vncauthproxy::bench
