// SPDX-License-Identifier: GPL-2.0-or-later
// The users file: lines `user:hash`, a hash of crypt(5). Read by the daemon, rewritten by
// vncauthproxy-passwd.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::base {

// The users in force. A loaded table is replaced as a whole. Its text lives in SecretPages: a forked child
// sees none.
class Users {
 public:
  Users() = default;
  // Reads the whole file. Bad lines are skipped with a warning in the log that names file and line. A missing
  // file is an empty table and a warning; a file that must not be trusted (not regular, owned by somebody
  // other than root or this user, writable by group or others), is too large or cannot be read is an Error.
  static Result<Users> load(const std::string& path);

  // One crypt(3), under 50 ms, whatever the outcome; the same work for an unknown user.
  bool verify(std::string_view user, const Secret& password) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    size_t user_at, user_size, hash_at, hash_size;  // offsets into the text
  };
  SecretPages text_;
  std::vector<Entry> entries_;
  std::string
      dummy_setting_;  // what an unknown user's password is hashed with: the commonest kind of this file
};

// True for a hash of a known kind whose cost parameters keep one crypt(3) under 50 ms; else why not.
Result<void> check_hash(std::string_view hash);
// A user name as the tools accept it: ^[a-z_][a-z0-9_]{0,30}$.
bool valid_user_name(std::string_view user);
// SHA-512 crypt with 16 random salt characters.
Result<std::string> hash_password(const Secret& password);

enum class UsersChange { added, updated, removed };
// The file's new text, made and put in place atomically: other lines, their order, owner and mode are kept.
// `hash` empty removes the user. With `dry_run` nothing is written and the new text is returned in `text`.
struct UsersEdit {
  UsersChange change;
  std::string text;
};
Result<UsersEdit> edit_users_file(const std::string& path, std::string_view user, std::string_view hash,
                                  bool dry_run);

}  // namespace vncauthproxy::base
