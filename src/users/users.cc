// SPDX-License-Identifier: GPL-2.0-or-later
// Loading the users file and checking logins. The text of the file is read into SecretPages and never copied:
// entries are offsets into it, and each hash is ended there by a NUL, as crypt(3) wants it.
#include "vncauthproxy/users/users.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/text_line.h"
#include "vncauthproxy/users/crypt_hash.h"

namespace vncauthproxy::users {

using base::Error;
using base::ErrorCode;
using base::OpenedFile;
using base::Result;
using base::Secret;
using base::SecretPages;

namespace {

// Warnings of one file; a file of garbage must not fill the log.
constexpr size_t kMaxLineWarnings = 20;

Result<void> check_trusted(const struct stat& status, const std::string& name, uid_t owner) {
  if (status.st_uid != 0 && status.st_uid != owner)
    return Error{ErrorCode::denied, name + ": owned neither by root nor by the daemon's user"};
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Error{ErrorCode::denied, name + ": writable by group or others"};
  if ((status.st_mode & S_IROTH) != 0)
    base::log_warning("%s: readable by everybody; take that right away (chmod o-r)", name.c_str());
  return {};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

}  // namespace

// Walks over the text of `users` and notes where users and hashes are.
class UsersLoader {
 public:
  UsersLoader(Users& users, const std::string& name) : users_(users), name_(name) {}

  void run(size_t size) {
    const std::string_view all(users_.text_.room().data(), size);
    std::string_view rest = base::without_byte_order_mark(all);
    for (size_t number = 1; !rest.empty(); ++number) {
      const std::string_view text = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(text.size() + 1, rest.size()));
      line(number, base::without_blanks(text));
    }
    if (faults_ > kMaxLineWarnings)
      base::log_warning("%s: %zu more lines with faults", name_.c_str(), faults_ - kMaxLineWarnings);
    keep_usable_lines();
  }

 private:
  struct Line {
    size_t number;
    std::string_view hash;
    std::optional<HashKind> kind;  // nothing: nobody may log in with it
  };
  struct Uses {
    size_t uses = 0;
    size_t salt_size = 0;
  };

  void line(size_t number, std::string_view text) {
    if (text.empty() || text[0] == '#') return;
    const size_t colon = text.find(':');
    if (colon == text.npos) return complain(number, "line skipped: no colon");
    const std::string_view user = text.substr(0, colon), hash = text.substr(colon + 1);
    if (user.empty() || has_control(user)) return complain(number, "line skipped: bad user name");
    const Result<HashKind> kind = parse_hash(hash);
    if (!kind) complain(number, "nobody can log in with this line: " + kind.error().detail);
    const Line found{number, hash, kind ? std::optional(*kind) : std::nullopt};
    const auto [known, is_new] = lines_.try_emplace(user, found);
    if (is_new) return;
    complain(number, "the user of line " + std::to_string(known->second.number) +
                         " is named again: this line counts, not that one");
    known->second = found;
  }
  void complain(size_t number, const std::string& what) {
    if (++faults_ <= kMaxLineWarnings) base::log_warning("%s:%zu: %s", name_.c_str(), number, what.c_str());
  }

  void keep_usable_lines() {
    char* const start = users_.text_.room().data();
    std::map<std::string_view, Uses> kinds;  // by their parameters
    for (const auto& [user, line] : lines_) {
      if (!line.kind) continue;
      Uses& uses = kinds[line.kind->parameters];
      ++uses.uses;
      uses.salt_size = line.kind->salt_size;
      const auto hash_at = static_cast<size_t>(line.hash.data() - start);
      users_.entries_.push_back(
          {static_cast<size_t>(user.data() - start), user.size(), hash_at, line.hash.size()});
    }
    std::sort(users_.entries_.begin(), users_.entries_.end(),
              [](const auto& a, const auto& b) { return a.user_at < b.user_at; });
    const auto commonest = std::max_element(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) {
      return a.second.uses < b.second.uses;
    });
    if (commonest != kinds.end())
      users_.dummy_hash_ = make_dummy_hash(commonest->first, commonest->second.salt_size);
    for (const auto& entry : users_.entries_) start[entry.hash_at + entry.hash_size] = '\0';
  }

  Users& users_;
  const std::string& name_;
  size_t faults_ = 0;
  std::unordered_map<std::string_view, Line> lines_;  // the last one of each user
};

Users::Users() : dummy_hash_(make_dummy_hash()) {}

Result<Users> Users::load(const std::string& path, uid_t owner) {
  const Result<OpenedFile> file = base::open_regular_file(path);
  if (!file) return file.error();
  const std::string name = base::escape(path);
  if (const Result<void> trusted = check_trusted(file->status, name, owner); !trusted) return trusted.error();
  Users users;
  // One byte more than is allowed takes the NUL of the last line.
  users.text_ = SecretPages(kMaxUsersFileBytes + 1);
  const Result<size_t> size = base::read_to_end(file->fd.get(), users.text_.room(), path);
  if (!size) return size.error();
  UsersLoader(users, name).run(*size);
  if (users.size() == 0) base::log_warning("%s: no users defined: every login will be refused", name.c_str());
  return users;
}

std::vector<std::string_view> Users::names() const {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries_) names.push_back(text(entry.user_at, entry.user_size));
  return names;
}

const Users::Entry* Users::find(std::string_view user) const {
  // The whole table is walked: where a user stands in it does not show in the time.
  const Entry* found = nullptr;
  for (const Entry& entry : entries_)
    if (text(entry.user_at, entry.user_size) == user) found = &entry;
  return found;
}

bool Users::verify(std::string_view user, const Secret& password) const {
  const Entry* const found = find(user);
  const std::string_view stored = found != nullptr ? text(found->hash_at, found->hash_size) : dummy_hash_;
  const Result<HashKind> kind = parse_hash(stored);
  Crypt crypt;
  std::string_view output;
  if (kind && affordable(*kind, password)) output = crypt(password.c_str(), stored.data());
  if (output.empty()) {
    crypt("", dummy_hash_.c_str());  // refused without work: do it all the same
    return false;
  }
  const bool equal = base::equal_secrets(output, stored);
  return equal && found != nullptr;
}

bool valid_user_name(std::string_view user) {
  const auto is_start = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto may_follow = [&](char c) {
    return is_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '@';
  };
  return !user.empty() && user.size() <= 31 && is_start(user[0]) &&
         std::all_of(user.begin(), user.end(), may_follow);
}

}  // namespace vncauthproxy::users
