// SPDX-License-Identifier: GPL-2.0-or-later
// The dialect of Twisted VNC AuthProxy, which Ganeti Web Manager speaks: one line of JSON without a login,
// and one line back, `PORT` or `FAILED` (vncauthproxy-control(7)). Pure: text <-> meaning.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::proto {

inline constexpr size_t kMaxVncapBytes = 16 * 1024;  // of a line, its end not counted
// A `timeout` is its caller's own choice, not capped by the daemon's; but no port stays open for days.
inline constexpr std::chrono::hours kMaxVncapTimeout{1};

// One line, with or without its end. `password` is the viewer's, unless client.password is given, and the
// backend's when that asks for one.
base::Result<Request, Failure> parse_vncap(std::string_view line);

// With its CRLF. A made password stands behind the port.
std::string to_vncap(const Success& success);
std::string to_vncap(const Failure& failure);

}  // namespace vncauthproxy::proto
