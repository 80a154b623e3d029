// SPDX-License-Identifier: GPL-2.0-or-later
// Many viewers at once: a Fleet opens them and keeps them, a SetUp opens and closes one after the other on
// several lanes and notes how long each took.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "viewer.h"

namespace vncauthproxy::bench {

// How long anything may take before the measurement is given up.
inline constexpr std::chrono::seconds kPatience{120};

class Fleet : public Viewer::Observer {
 public:
  enum class Goal : uint8_t { granted, running };

  Fleet(Loop& loop, const Route& route) : loop_(loop), route_(route) {}

  // Opens `count` more, up to `lanes` at the same time, and returns when all have come to the goal.
  void open(size_t count, Behaviour behaviour, Goal goal, unsigned lanes = 32);
  // One message to each viewer in behaviour echo; returns when all have come back.
  void echo_all();
  // Runs until every viewer has taken `bytes` at least.
  void drain(uint64_t bytes);
  void close_all();
  uint64_t received() const;
  size_t size() const { return viewers_.size(); }
  Viewer& at(size_t index) { return *viewers_[index]; }

  void replied(Viewer& viewer) override;
  void running(Viewer& viewer) override;
  void echoed(Viewer& viewer) override;

 private:
  void open_next();
  std::string phases() const;

  Loop& loop_;
  Route route_;
  Behaviour behaviour_ = Behaviour::idle;
  Goal goal_ = Goal::running;
  std::vector<std::unique_ptr<Viewer>> viewers_;
  size_t wanted_ = 0, reached_ = 0, echoes_ = 0;
};

// Latencies in microseconds; order is of no importance.
struct Percentiles {
  double p50 = 0, p99 = 0, p999 = 0;
};
Percentiles percentiles(std::vector<double> microseconds);
double microseconds(Clock::duration time);

class SetUp : public Viewer::Observer {
 public:
  struct Outcome {
    std::vector<double> reply, authenticated;  // microseconds since the request
    double seconds = 0;
  };
  // Requests use the users 0 .. users-1 in turn, each for so many requests in a row. `before_each`, where
  // there is one, is called before each request.
  SetUp(Loop& loop, const Route& route, unsigned users, unsigned in_a_row = 1,
        std::function<void()> before_each = nullptr)
      : loop_(loop),
        route_(route),
        users_(users),
        in_a_row_(in_a_row),
        before_each_(std::move(before_each)) {}
  Outcome run(size_t count, unsigned lanes);

  void replied(Viewer& viewer) override;
  void authenticated(Viewer& viewer) override;

 private:
  void start_next();

  Loop& loop_;
  Route route_;
  unsigned users_, in_a_row_;
  std::function<void()> before_each_;
  std::map<Viewer*, std::unique_ptr<Viewer>> lanes_;
  size_t to_start_ = 0, started_ = 0;
  Outcome outcome_;
};

}  // namespace vncauthproxy::bench
