// SPDX-License-Identifier: GPL-2.0-or-later
// What a start finds out before it serves, and --check too: all of it, not the first thing alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vncauthproxy::master {

enum class Severity : uint8_t {
  fatal,    // keeps the daemon from starting
  error,    // something that is configured does not work
  warning,  // something will not work, or not for everybody
  note      // good to know
};

// `text` is a sentence for the operator, without a stop.
struct Finding {
  Severity severity;
  std::string text;
};

class Findings {
 public:
  void add(Severity severity, std::string text) { all_.push_back({severity, std::move(text)}); }
  const std::vector<Finding>& all() const { return all_; }
  bool has(Severity severity) const {
    return std::any_of(all_.begin(), all_.end(),
                       [=](const Finding& each) { return each.severity == severity; });
  }

 private:
  std::vector<Finding> all_;
};

// Each in a line of the log.
void log_findings(const Findings& findings);

}  // namespace vncauthproxy::master
