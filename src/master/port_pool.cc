// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/port_pool.h"

#include <algorithm>
#include <iterator>
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

// In order. Those below 1024 count where the range of ports begins there.
constexpr uint16_t kBadForBrowsers[] = {
    1,    7,    9,    11,   13,   15,   17,   19,   20,   21,   22,   23,   25,   37,   42,   43,   53,
    69,   77,   79,   87,   95,   101,  102,  103,  104,  109,  110,  111,  113,  115,  117,  119,  123,
    135,  137,  139,  143,  161,  179,  389,  427,  465,  512,  513,  514,  515,  526,  530,  531,  532,
    540,  548,  554,  556,  563,  587,  601,  636,  989,  990,  993,  995,  1719, 1720, 1723, 2049, 3659,
    4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080};
static_assert(std::is_sorted(std::begin(kBadForBrowsers), std::end(kBadForBrowsers)));

}  // namespace

bool is_bad_for_browsers(uint16_t port) {
  return std::binary_search(std::begin(kBadForBrowsers), std::end(kBadForBrowsers), port);
}

PortPool::PortPool(std::vector<base::Endpoint> endpoints, uint16_t min_port, uint16_t max_port)
    : endpoints_(std::move(endpoints)), min_port_(min_port), max_port_(max_port) {
  free_.reserve(static_cast<size_t>(max_port - min_port) + 1);
  for (unsigned port = min_port; port <= max_port; ++port) free_.push_back(static_cast<uint16_t>(port));
}

base::Result<Lease, Failure> PortPool::grant(uint16_t wanted, For whom) {
  if (wanted == 0) return grant_any(whom);
  if (whom == For::browsers && is_bad_for_browsers(wanted))
    return Failure{FailureCode::bad_request, "browsers refuse to connect to port " + std::to_string(wanted)};
  return grant_wanted(wanted);
}

base::Result<Lease, Failure> PortPool::grant_if_free(uint16_t wished, For whom) {
  if (in_pool(wished) && (whom != For::browsers || !is_bad_for_browsers(wished)))
    if (auto granted = grant_wanted(wished); granted) return granted;
  return grant_any(whom);
}

base::Result<Lease, Failure> PortPool::grant_any(For whom) {
  const auto now = Clock::now();
  wake_rested(now);
  // A port somebody else listens on costs one more turn; it rests like one given back.
  for (size_t tries = free_.size() + resting_.size(); tries > 0; --tries) {
    const uint16_t port = draw(whom);
    if (port == 0) break;
    auto listeners = net::listen_on_all(endpoints_, port);
    if (listeners) {
      ++leased_;
      return Lease{port, std::move(*listeners)};
    }
    resting_.push_back({port, now});
    if (listeners.error().code != ErrorCode::in_use) return cannot_listen(listeners.error());
  }
  return Failure{FailureCode::no_port,
                 "no free port " + std::string(whom == For::browsers ? "that browsers take " : "") +
                     "between " + std::to_string(min_port_) + " and " + std::to_string(max_port_)};
}

// Out of the pool: a free one at random, else the one that has rested longest. 0: there is none.
uint16_t PortPool::draw(For whom) {
  const auto fits = [whom](uint16_t port) { return whom != For::browsers || !is_bad_for_browsers(port); };
  for (size_t left = free_.size(); left > 0; --left) {  // those that do not fit gather behind it
    std::swap(free_[base::random_below(static_cast<uint32_t>(left))], free_[left - 1]);
    if (!fits(free_[left - 1])) continue;
    const uint16_t port = std::exchange(free_[left - 1], free_.back());
    free_.pop_back();
    return port;
  }
  const auto rested =
      std::find_if(resting_.begin(), resting_.end(), [&fits](const Resting& one) { return fits(one.port); });
  if (rested == resting_.end()) return 0;
  const uint16_t port = rested->port;
  resting_.erase(rested);
  return port;
}

base::Result<Lease, Failure> PortPool::grant_wanted(uint16_t port) {
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
