// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/slow_link.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace vncauthproxy::testing {
namespace {

constexpr int kTicksPerSecond = 50;
constexpr int kBuffer = 8 * 1024;  // what the network holds of each connection

}  // namespace

SlowLink::SlowLink(uint16_t to, size_t bytes_per_second)
    : to_(to), bytes_per_second_(bytes_per_second), thread_([this] { run(); }) {}

SlowLink::~SlowLink() {
  stop_ = true;
  thread_.join();
}

void SlowLink::run() {
  while (!stop_) {
    ::poll(nullptr, 0, 1000 / kTicksPerSecond);  // the pace of the network
    accept_all();
    size_t budget = bytes_per_second_ / kTicksPerSecond;
    for (Pair& pair : pairs_) pass_on(pair);
    // A packet of each in turn.
    for (bool any = true; any && budget > 0;) {
      any = false;
      for (Pair& pair : pairs_) {
        const size_t passed = pass_back(pair, std::min<size_t>(budget, 500));
        budget -= passed;
        any = any || passed > 0;
      }
    }
    pairs_.remove_if([](const Pair& pair) { return pair.over; });
  }
}

void SlowLink::accept_all() {
  while (wait_fd(listener_.get(), POLLIN, milliseconds(0))) {
    Socket near = listener_.accept(milliseconds(0));
    if (!near) return;
    pairs_.push_back({std::move(near), Socket::connect("127.0.0.1", to_, {}, kBuffer)});
    pairs_.back().over = !pairs_.back().far;
  }
}

void SlowLink::pass_on(Pair& pair) {
  std::array<char, kBuffer> room;
  const ssize_t count = ::recv(pair.near.get(), room.data(), room.size(), MSG_DONTWAIT);
  if (count > 0) pair.far.send(std::string_view(room.data(), static_cast<size_t>(count)), milliseconds(100));
  if (count == 0 || (count < 0 && errno != EAGAIN)) pair.over = true;
}

size_t SlowLink::pass_back(Pair& pair, size_t budget) {
  std::array<char, 500> room;
  if (pair.over || budget == 0) return 0;
  const ssize_t count = ::recv(pair.far.get(), room.data(), std::min(budget, room.size()), MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN)) pair.over = true;
  if (count <= 0) return 0;
  pair.near.send(std::string_view(room.data(), static_cast<size_t>(count)), milliseconds(100));
  return static_cast<size_t>(count);
}

}  // namespace vncauthproxy::testing
