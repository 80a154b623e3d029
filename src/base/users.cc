// SPDX-License-Identifier: GPL-2.0-or-later
// Loading the users file and checking logins. The text of the file is read into SecretPages and never copied:
// entries are offsets into it, and each hash is ended there by a NUL, as crypt(3) wants it.
#include "vncauthproxy/base/users.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/crypt_hash.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::base {
namespace {

// Warnings of one file; a file of garbage must not fill the log.
constexpr size_t kMaxLineWarnings = 20;

// Looks at the opened inode, whatever the name has become since.
Result<void> check_trusted(int fd, const std::string& name, uid_t owner) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return system_error(name.c_str());
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::invalid, name + ": not a regular file"};
  if (status.st_uid != 0 && status.st_uid != owner)
    return Error{ErrorCode::denied, name + ": owned neither by root nor by the daemon's user"};
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Error{ErrorCode::denied, name + ": writable by group or others"};
  if ((status.st_mode & S_IROTH) != 0)
    log_warning("%s: readable by everybody; take that right away (chmod o-r)", name.c_str());
  return {};
}

// How much of `room` the file filled; never all of it.
Result<size_t> read_into(int fd, std::span<char> room, const std::string& name) {
  size_t used = 0;
  while (used < room.size()) {
    const ssize_t got = ::read(fd, room.data() + used, room.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(name.c_str());
    if (got == 0) return used;
    used += static_cast<size_t>(got);
  }
  return Error{ErrorCode::too_large, name + ": larger than 1 MiB"};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

bool is_blank_or_comment(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t");
  return first == line.npos || line[first] == '#';
}

}  // namespace

// Walks over the text of `users` and notes where users and hashes are.
class UsersLoader {
 public:
  UsersLoader(Users& users, const std::string& name) : users_(users), name_(name) {}

  void run(size_t size) {
    const std::string_view all(users_.text_.room().data(), size);
    size_t number = 0;
    for (size_t start = 0; start < size;) {
      const size_t newline = std::min(all.find('\n', start), size);
      line(++number, start, all.substr(start, newline - start));
      start = newline + 1;
    }
    if (skipped_ > kMaxLineWarnings)
      log_warning("%s: %zu more lines skipped", name_.c_str(), skipped_ - kMaxLineWarnings);
    const auto commonest = std::max_element(kinds_.begin(), kinds_.end(), [](const auto& a, const auto& b) {
      return a.second.uses < b.second.uses;
    });
    if (commonest != kinds_.end())
      users_.dummy_hash_ = make_dummy_hash(commonest->first, commonest->second.salt_size);
  }

 private:
  struct Uses {
    size_t uses = 0;
    size_t salt_size = 0;
  };

  void line(size_t number, size_t start, std::string_view text) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (is_blank_or_comment(text)) return;
    const size_t colon = text.find(':');
    if (colon == text.npos) return skip(number, "no colon");
    const std::string_view user = text.substr(0, colon), hash = text.substr(colon + 1);
    if (user.empty() || has_control(user)) return skip(number, "bad user name");
    const Result<HashKind> kind = parse_hash(hash);
    if (!kind) return skip(number, kind.error().detail);
    if (!seen_.insert(user).second) return skip(number, "the user was named before");
    Uses& uses = kinds_[kind->parameters];
    ++uses.uses;
    uses.salt_size = kind->salt_size;
    users_.entries_.push_back({start, user.size(), start + colon + 1, hash.size()});
    users_.text_.room()[start + text.size()] = '\0';
  }
  void skip(size_t number, const std::string& why) {
    if (++skipped_ <= kMaxLineWarnings)
      log_warning("%s:%zu: line skipped: %s", name_.c_str(), number, why.c_str());
  }

  Users& users_;
  const std::string& name_;
  size_t skipped_ = 0;
  std::unordered_set<std::string_view> seen_;
  std::map<std::string_view, Uses> kinds_;  // by their parameters
};

Users::Users() : dummy_hash_(make_dummy_hash()) {}

Result<Users> Users::load(const std::string& path, uid_t owner) {
  Users users;
  const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  const int open_error = errno;
  const std::string name = escape(path);
  if (!file && open_error == ENOENT) {
    log_warning("%s: no such file: every login will be refused", name.c_str());
    return users;
  }
  errno = open_error;
  if (!file) return system_error(name.c_str());
  if (const Result<void> trusted = check_trusted(file.get(), name, owner); !trusted) return trusted.error();
  // One byte more than is allowed: it shows a file that is too large, and takes the NUL of the last line.
  users.text_ = SecretPages(kMaxUsersFileBytes + 1);
  const Result<size_t> size = read_into(file.get(), users.text_.room(), name);
  if (!size) return size.error();
  UsersLoader(users, name).run(*size);
  if (users.size() == 0) log_warning("%s: no users defined: every login will be refused", name.c_str());
  return users;
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
  const bool equal = equal_secrets(output, stored);
  return equal && found != nullptr;
}

}  // namespace vncauthproxy::base
