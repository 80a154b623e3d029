// SPDX-License-Identifier: GPL-2.0-or-later
// The ways a secret comes into a program: an argument, an environment variable, a line of a file. Where it
// was visible to others, it is overwritten at once.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::base {

// Overwrites the argument where it stands: the process list shows what is in this memory.
Secret take_argument(char* text);
// Overwrites the value and removes the variable, so that no child inherits it. nullopt: not set.
std::optional<Secret> take_environment(const char* name);
// Up to the end of the line or of the file, without "\n" or "\r\n"; what follows stays unread. Errors:
// too_large, invalid (a NUL byte), system.
Result<Secret> read_secret_line(int fd, size_t max_bytes);

// What to tell after getopt_long() returned '?' or ':' (opterr is 0, the option string begins with ':'). An
// option's value is left out: a mistyped name may stand before a password.
std::string bad_option(int code, char* const argv[]);

}  // namespace vncauthproxy::base
