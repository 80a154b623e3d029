// SPDX-License-Identifier: GPL-2.0-or-later
// Rewriting the users file, for vncauthproxy-passwd.
#pragma once

#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::users {

enum class UsersChange { added, updated, removed };
struct UsersEdit {
  UsersChange change;
  base::Secret text;  // the file's new text
};
// The file's new text, made and put in place atomically: other lines, their order, owner, group and mode are
// kept; further lines of the same user go. `hash` empty removes the user. With `dry_run` nothing is written.
// A new file is root:vncauthproxy 0640 when root makes it and that group exists, else 0600.
// Errors: invalid (user name, hash, no regular file), refused (nobody of that name to remove), in_use
// (another edit did not end within 30 s), too_large, denied (owner cannot be kept), system. After an error
// the file is as it was. A caller ignores SIGXFSZ, so that a file size limit is an error and no death.
base::Result<UsersEdit> edit_users_file(const std::string& path, std::string_view user, std::string_view hash,
                                        bool dry_run);

}  // namespace vncauthproxy::users
