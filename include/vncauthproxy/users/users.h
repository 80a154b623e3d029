// SPDX-License-Identifier: GPL-2.0-or-later
// The users file: lines `user:hash`, a hash of crypt(5), as the daemon reads it.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::users {

inline constexpr size_t kMaxUsersFileBytes = base::kMaxFileBytes;

// The users in force. A loaded table is replaced as a whole. Its text lives in SecretPages: a forked child
// has none and must not ask.
class Users {
 public:
  // An empty table; still does the usual work for every login.
  Users();
  // Reads the whole file. Of several lines of a user the last one counts. Lines that cannot be used, and
  // those that name a user again, get a warning in the log with file and line. Errors:
  // missing (a link that leads nowhere too), invalid (not a regular file), denied (unreadable, owned by
  // somebody other than root or `owner`, writable by group or others), too_large (kMaxUsersFileBytes),
  // system. A start as root passes the uid that the daemon is about to become.
  static base::Result<Users> load(const std::string& path, uid_t owner = ::geteuid());

  // One crypt(3), at most about 50 ms, whatever the outcome; the same work for an unknown user, for a
  // password with a NUL byte and for one that is too long.
  bool verify(std::string_view user, const base::Secret& password) const;
  size_t size() const { return entries_.size(); }
  std::vector<std::string_view> names() const;  // in the order of the file; loans

 private:
  struct Entry {
    size_t user_at, user_size, hash_at, hash_size;  // offsets into the text; a NUL follows the hash
  };
  std::string_view text(size_t at, size_t size) const { return {text_.room().data() + at, size}; }
  const Entry* find(std::string_view user) const;

  friend class UsersLoader;

  base::SecretPages text_;
  std::vector<Entry> entries_;
  // What an unknown user's password is checked against: random, of this file's commonest kind and cost.
  std::string dummy_hash_;
};

// A user name as the tools accept it: ^[a-z_][a-z0-9_.@-]{0,30}$.
bool valid_user_name(std::string_view user);

}  // namespace vncauthproxy::users
