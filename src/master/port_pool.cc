// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/port_pool.h"

#include <algorithm>
#include <string>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/net/listener.h"

namespace vncauthproxy::master {

using base::ErrorCode;
using proto::Failure;
using proto::FailureCode;

namespace {

// A shortage passes: the client may come again. Anything else, such as an address that this machine does not
// have, stays until the operator mends it.
Failure cannot_listen(const base::Error& error) {
  const bool passes = error.code == ErrorCode::exhausted;
  return {passes ? FailureCode::busy : FailureCode::internal, error.detail};
}

}  // namespace

PortPool::PortPool(std::vector<base::Endpoint> endpoints, uint16_t min_port, uint16_t max_port)
    : endpoints_(std::move(endpoints)), min_port_(min_port), max_port_(max_port) {
  free_.reserve(static_cast<size_t>(max_port - min_port) + 1);
  for (unsigned port = min_port; port <= max_port; ++port) free_.push_back(static_cast<uint16_t>(port));
}

std::variant<Lease, Failure> PortPool::grant(uint16_t wanted) {
  if (wanted != 0) return grant_wanted(wanted);
  const auto now = Clock::now();
  wake_rested(now);
  // A port somebody else listens on costs one more turn; it rests like one given back.
  for (size_t tries = free_.size() + resting_.size(); tries > 0; --tries) {
    if (free_.empty()) {  // better one that rests than none
      free_.push_back(resting_.front().port);
      resting_.pop_front();
    }
    std::swap(free_[base::random_below(static_cast<uint32_t>(free_.size()))], free_.back());
    const uint16_t port = free_.back();
    free_.pop_back();
    auto listeners = net::listen_on_all(endpoints_, port);
    if (listeners) {
      ++leased_;
      return Lease{port, std::move(*listeners)};
    }
    resting_.push_back({port, now});
    if (listeners.error().code != ErrorCode::in_use) return cannot_listen(listeners.error());
  }
  return Failure{FailureCode::no_port,
                 "no free port between " + std::to_string(min_port_) + " and " + std::to_string(max_port_)};
}

std::variant<Lease, Failure> PortPool::grant_if_free(uint16_t wished) {
  if (in_pool(wished))
    if (auto granted = grant_wanted(wished); std::holds_alternative<Lease>(granted)) return granted;
  return grant(0);
}

std::variant<Lease, Failure> PortPool::grant_wanted(uint16_t port) {
  const auto taken = [port](const char* why) {
    return Failure{FailureCode::port_in_use, "port " + std::to_string(port) + " " + why};
  };
  if (in_pool(port) && !take(port)) return taken("is leased");
  auto listeners = net::listen_on_all(endpoints_, port);
  if (!listeners) {
    if (in_pool(port)) resting_.push_back({port, Clock::now()});
    if (listeners.error().code == ErrorCode::in_use) return taken("is in use");
    return cannot_listen(listeners.error());
  }
  ++leased_;
  return Lease{port, std::move(*listeners)};
}

void PortPool::give_back(uint16_t port) {
  --leased_;
  if (in_pool(port)) resting_.push_back({port, Clock::now()});
}

void PortPool::wake_rested(Clock::time_point now) {
  while (!resting_.empty() && now - resting_.front().since >= kRest) {
    free_.push_back(resting_.front().port);
    resting_.pop_front();
  }
}

bool PortPool::take(uint16_t port) {
  if (const auto at = std::find(free_.begin(), free_.end(), port); at != free_.end()) {
    free_.erase(at);
    return true;
  }
  const auto at =
      std::find_if(resting_.begin(), resting_.end(), [port](const Resting& r) { return r.port == port; });
  if (at == resting_.end()) return false;
  resting_.erase(at);
  return true;
}

}  // namespace vncauthproxy::master
