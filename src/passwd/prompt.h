// SPDX-License-Identifier: GPL-2.0-or-later
// Asking a person for a password on the terminal, without echo.
#pragma once

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::passwd {

// Asks once, on the controlling terminal. Whatever ends the question, the terminal is as it was before.
// Errors: closed (Ctrl-C), unsupported (no terminal), too_large, invalid, system. Other signals that end a
// program do so, after the terminal was put right.
base::Result<base::Secret> ask_password(const char* question, size_t max_bytes);

}  // namespace vncauthproxy::passwd
