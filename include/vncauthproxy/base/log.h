// SPDX-License-Identifier: GPL-2.0-or-later
// The log of a process: syslog, a file, stderr, or (in a worker) a function that hands the line to the
// master. One event is one line. Text that came from a peer goes through escape() first; no secret is ever
// passed here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

enum class LogLevel : uint8_t {
  error,    // the operator must act
  warning,  // a peer misbehaved
  info,     // the life of a forwarding
  debug     // its steps
};

// Where lines go: "" is syslog (facility daemon), "-" is stderr, anything else a file, opened for appending.
// Lines of a file or of stderr begin with the local time, the program and pid, and the level, as the old
// daemon's did: `2016-07-28 17:28:46 vncauthproxy[1234]  INFO: text`. The file is made with mode 0640.
Result<void> open_log(const std::string& target, LogLevel threshold);
// Opens the same file again (after logrotate moved it). On failure the old one stays in use.
Result<void> reopen_log();
// From here on lines at or above the threshold go to `sink` alone; an empty sink means syslog.
void set_log_sink(std::function<void(LogLevel, std::string_view)> sink);
bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view text);

[[gnu::format(printf, 1, 2)]] void log_error(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_warning(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_info(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void log_debug(const char* format, ...);

// Foreign text made safe for one line of a log, a terminal or a JSON string: printable ASCII stays, valid
// printable UTF-8 stays, backslash and double quote get a backslash, everything else (controls, DEL, C1,
// bidirectional marks, invalid UTF-8) becomes \n, \t, \xHH; cut to max_bytes, with "..." where something was
// cut.
std::string escape(std::string_view foreign, size_t max_bytes = 200);

}  // namespace vncauthproxy::base
