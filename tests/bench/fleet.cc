// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet.h"

#include <algorithm>

namespace vncauthproxy::bench {
namespace {

constexpr std::string_view kMessage = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// The daemon lets one address hold a few unanswered requests only, as it should; so the control clients come
// from several.
unsigned source_of(size_t number) {
  return 1 + static_cast<unsigned>(number % 16);
}

}  // namespace

void Fleet::open(size_t count, Behaviour behaviour, Goal goal, unsigned lanes) {
  behaviour_ = behaviour;
  goal_ = goal;
  wanted_ = viewers_.size() + count;
  for (unsigned i = 0; i < lanes; ++i) open_next();
  loop_.run_until([this] { return reached_ == wanted_; }, kPatience, [this] { return phases(); });
}

void Fleet::open_next() {
  if (viewers_.size() == wanted_) return;
  viewers_.push_back(std::make_unique<Viewer>(loop_, route_, behaviour_, *this));
  Viewer& viewer = *viewers_.back();
  if (route_.by_control)
    viewer.ask(0, source_of(viewers_.size()));
  else
    viewer.connect();
}

void Fleet::replied(Viewer& viewer) {
  if (goal_ == Goal::running) return viewer.connect();
  ++reached_;
  open_next();
}

void Fleet::running(Viewer&) {
  ++reached_;
  open_next();
}

void Fleet::echoed(Viewer&) {
  ++echoes_;
}

void Fleet::echo_all() {
  echoes_ = 0;
  for (const std::unique_ptr<Viewer>& viewer : viewers_) viewer->send_message(kMessage);
  loop_.run_until([this] { return echoes_ == viewers_.size(); }, kPatience,
                  [this] { return std::to_string(echoes_) + " sessions have echoed"; });
}

void Fleet::drain(uint64_t bytes) {
  const auto enough = [bytes](const std::unique_ptr<Viewer>& viewer) { return viewer->received() >= bytes; };
  loop_.run_until([&] { return std::all_of(viewers_.begin(), viewers_.end(), enough); }, kPatience,
                  [&] {
                    return std::to_string(std::count_if(viewers_.begin(), viewers_.end(), enough)) +
                           " sessions got their bytes";
                  });
}

void Fleet::close_all() {
  for (const std::unique_ptr<Viewer>& viewer : viewers_) viewer->close();
}

uint64_t Fleet::received() const {
  uint64_t sum = 0;
  for (const std::unique_ptr<Viewer>& viewer : viewers_) sum += viewer->received();
  return sum;
}

std::string Fleet::phases() const {
  std::map<Viewer::Phase, size_t> counts;
  for (const std::unique_ptr<Viewer>& viewer : viewers_) ++counts[viewer->phase()];
  std::string text = std::to_string(reached_) + " of " + std::to_string(wanted_) + " there;";
  for (const auto& [phase, count] : counts) text += " " + std::to_string(count) + " in " + name_of(phase);
  return text;
}

Percentiles percentiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&values](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.5), at(0.99), at(0.999)};
}

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

SetUp::Outcome SetUp::run(size_t count, unsigned lanes) {
  to_start_ = count;
  outcome_ = {};
  const Clock::time_point start = Clock::now();
  for (unsigned i = 0; i < lanes; ++i) start_next();
  loop_.run_until([&] { return outcome_.authenticated.size() == count; }, kPatience,
                  [&] { return std::to_string(outcome_.authenticated.size()) + " forwardings were made"; });
  outcome_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return outcome_;
}

void SetUp::start_next() {
  if (to_start_ == 0) return;
  --to_start_;
  if (before_each_) before_each_();
  auto viewer = std::make_unique<Viewer>(loop_, route_, Behaviour::idle, *this);
  Viewer& started = *viewer;
  lanes_.emplace(&started, std::move(viewer));
  started.ask(static_cast<unsigned>(started_ / in_a_row_ % users_), source_of(started_));
  ++started_;
}

void SetUp::replied(Viewer& viewer) {
  outcome_.reply.push_back(microseconds(viewer.replied_at - viewer.asked_at));
  viewer.connect();
}

void SetUp::authenticated(Viewer& viewer) {
  outcome_.authenticated.push_back(microseconds(viewer.authenticated_at - viewer.asked_at));
  viewer.close();
  loop_.bury(std::move(lanes_.extract(&viewer).mapped()));
  start_next();
}

}  // namespace vncauthproxy::bench
