// SPDX-License-Identifier: GPL-2.0-or-later
// Which user and group a daemon becomes that was started as root.
#pragma once

#include <sys/types.h>

#include <string>

#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

struct Identity {
  uid_t uid;
  gid_t gid;
};
Result<gid_t> find_group(const std::string& group);  // by name or number
// Looks up user and group, by name or number (group "": the user's own). Errors are sentences for the
// operator.
Result<Identity> find_identity(const std::string& user, const std::string& group);
// For good: no supplementary groups, gid, uid, no capabilities (those three verified, and that there is no
// way back), then PR_SET_NO_NEW_PRIVS and forbid_inspection(). As uid 0, for an operator who insists, the
// capabilities stay. Every failure is an Error; the caller must not run on.
Result<void> become(const Identity& identity);

}  // namespace vncauthproxy::base
