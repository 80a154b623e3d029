// SPDX-License-Identifier: GPL-2.0-or-later
// Where a daemon under test logs to, and what has arrived there: a file, a system logger's socket of the
// test's own, or the daemon's stderr.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "tests/support/socket.h"

namespace vncauthproxy::testing {

enum class LogTo : uint8_t { file, syslog, standard_error };
// What $VNCAUTHPROXY_TEST_LOG_TO says: "file", "syslog" or "-"; a file when it is not set. Throws
// std::runtime_error when it is anything else.
LogTo chosen_log_target();

class LogTarget {
 public:
  // Its files are made in `folder`.
  LogTarget(LogTo kind, const std::string& folder);
  ~LogTarget();
  LogTarget(const LogTarget&) = delete;
  LogTarget& operator=(const LogTarget&) = delete;

  std::string option() const;  // the value of --log
  std::string text();          // lines so far, oldest first; none where it is stderr

 private:
  void collect();  // the system logger's thread

  LogTo kind_;
  std::string path_;
  base::Fd logger_, stop_read_, stop_write_;
  std::mutex mutex_;
  std::string received_;
  std::thread thread_;
};

}  // namespace vncauthproxy::testing
