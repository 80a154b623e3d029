// SPDX-License-Identifier: GPL-2.0-or-later
// The log of a process: syslog, a file, stderr, or (in a worker) a function that hands the line to the
// master. One event is one line. Writing never waits and never fails the caller: a line that has no room is
// lost. Text that came from a peer goes through escape() first; no secret is ever passed here.
//
// These beginnings are the old daemon's, and scripts search for them, so they stay as they are: "Listening
// for", "New forwarding:", "Connection from", "FAILED forwarding:", "Reloading".
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

enum class LogLevel : uint8_t {
  error,    // the operator must act
  warning,  // a peer misbehaved
  info,     // the life of a forwarding
  debug     // its steps
};

inline constexpr std::string_view kSyslogPrefix = "syslog:";

// Where lines go: "" is syslog (facility daemon) at /dev/log, "syslog:PATH" the same at another socket, "-"
// is stderr, anything else a file, opened for appending; a symbolic link is not followed. Lines of a file or
// of stderr begin with the local time, the program and pid, and the level, as the old daemon's did:
// `2016-07-28 17:28:46 vncauthproxy[1234]  INFO: text`. The file is made with mode 0640.
// Until this is called, lines of level info and above go to stderr. A missing syslog is no error: it is tried
// again with each line.
Result<void> open_log(const std::string& target, LogLevel threshold);
// Opens the same file again (after logrotate moved it). On failure the old one stays in use.
Result<void> reopen_log();
// Whether open_log() could open that target, without making or changing a file.
Result<void> check_log(const std::string& target);
bool log_goes_to_stderr();
// True when the target is syslog and nobody listens there now.
bool log_lacks_logger();
// Gives the log file, when it is one, to the user the process is about to become, who reopens it later.
Result<void> give_log_to(uid_t uid, gid_t gid);
// From here on lines at or above the threshold go to `sink` alone; with an empty one, to the log's own target
// again.
void set_log_sink(std::function<void(LogLevel, std::string_view)> sink);
// Each line begins with `prefix`, for a sink too.
void set_log_prefix(std::string prefix);
// The descriptor that the log's own target owns, for a forked child that closes all it does not know; -1:
// none. Whoever closes it by number makes the log write to whatever gets that number next.
int log_descriptor();

bool log_enabled(LogLevel level);
// Control characters in `text` are written as blanks and what is over 3 KiB is cut: whatever a caller forgot
// to escape, it stays one line.
void log_line(LogLevel level, std::string_view text);

[[gnu::format(printf, 1, 2)]] void log_error(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_warning(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_info(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_debug(const char* format, ...);

// Foreign text made safe for one line of a log, a terminal or a JSON string: printable ASCII stays, valid
// printable UTF-8 stays, backslash and double quote get a backslash, everything else (controls, DEL, C1,
// bidirectional marks and other invisible characters, invalid UTF-8) becomes \n, \t, \xHH. The result is at
// most max_bytes long and ends in "..." where something was cut; a character or an escape is never cut apart.
std::string escape(std::string_view foreign, size_t max_bytes = 200);

// Keeps one noisy source (an address) from filling the log: of each period it admits the first few lines.
class RepeatFilter {
 public:
  using Clock = base::Clock;
  struct Verdict {
    bool write;
    unsigned held_back;  // with write: how many lines of this source were not written in its last period
  };

  RepeatFilter(unsigned lines, Clock::duration period) : lines_(lines), period_(period) {}
  Verdict admit(std::string_view source, Clock::time_point now);

 private:
  static constexpr size_t kMaxSources = 4096;
  struct Source {
    std::string name;
    Clock::time_point since;
    unsigned seen;
  };

  unsigned lines_;
  Clock::duration period_;
  std::vector<Source> sources_;  // nearly always one
};

}  // namespace vncauthproxy::base
