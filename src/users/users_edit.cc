// SPDX-License-Identifier: GPL-2.0-or-later
// Writers exclude each other by a lock on a file of its own, FILE.lock: a lock on
// FILE itself would be lost with the rename. The new text goes to a file beside it, is brought to disk and
// renamed over FILE, so that a reader sees the old file or the new one, and so does whoever boots after a
// crash.
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/text_line.h"
#include "vncauthproxy/users/users.h"
#include "vncauthproxy/users/users_edit.h"

namespace vncauthproxy::users {

using base::Error;
using base::ErrorCode;
using base::Fd;
using base::Result;
using base::Secret;
using base::SecretPages;

namespace {

constexpr std::chrono::seconds kLockPatience{30};
constexpr int kLockRetryMs = 5;
constexpr const char* kDaemonGroup = "vncauthproxy";

Error failure(const std::string& name, const char* what) {
  const int code = errno;
  const std::string text = base::escape(name) + ": cannot " + what;
  return base::system_error(code, {text});
}

// The folder is opened once, everything else happens relative to it.
struct Place {
  Fd folder;
  std::string name;  // of the users file, symbolic links resolved
  std::string path;  // for messages

  std::string lock_name() const { return name + ".lock"; }
  std::string new_name() const { return "." + name + ".new"; }
};

std::optional<std::string> real_path(const std::string& path) {
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  const std::unique_ptr<char, Free> real(::realpath(path.c_str(), nullptr));
  if (!real) return std::nullopt;
  return std::string(real.get());
}

// Where a rename has to happen: beside the file that a symbolic link leads to, or the link would be replaced.
Result<Place> locate(const std::string& path) {
  std::optional<std::string> real = real_path(path);
  if (!real && errno == ENOENT) {
    struct stat status;
    if (::lstat(path.c_str(), &status) == 0)
      return Error{ErrorCode::invalid, base::escape(path) + ": a symbolic link that leads nowhere"};
    const size_t slash = path.rfind('/');
    const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
    real = real_path(folder);
    if (real) *real += "/" + path.substr(slash == path.npos ? 0 : slash + 1);
  }
  if (!real) return failure(path, "be found");
  const size_t slash = real->rfind('/');
  Place place{Fd(), real->substr(slash + 1), path};
  if (place.name.empty()) return Error{ErrorCode::invalid, base::escape(path) + ": not the name of a file"};
  place.folder.reset(::open(real->substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!place.folder) return failure(path, "open its folder");
  return place;
}

// Held while this lives. release() removes the file while the lock is still held; whoever waited for that
// inode then finds that the name no longer leads to what it locked, and starts over with a new file. So no
// two writers ever hold "the lock", and nothing is left behind.
class EditLock {
 public:
  static Result<EditLock> take(const Place& place) {
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      Fd file(::openat(place.folder.get(), place.lock_name().c_str(),
                       O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600));
      if (!file) return failure(place.lock_name(), "be opened");
      if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
        if (is_named(place, file.get())) return EditLock(place, std::move(file));
      } else if (errno != EWOULDBLOCK && errno != EINTR) {
        return failure(place.lock_name(), "be locked");
      } else {
        ::poll(nullptr, 0, kLockRetryMs);
      }
    }
    return Error{ErrorCode::in_use, base::escape(place.lock_name()) + ": another program keeps it locked"};
  }
  void release() {
    ::unlinkat(place_->folder.get(), place_->lock_name().c_str(), 0);
    file_.reset();
  }

 private:
  EditLock(const Place& place, Fd file) : place_(&place), file_(std::move(file)) {}

  static bool is_named(const Place& place, int fd) {
    struct stat held, named;
    return ::fstat(fd, &held) == 0 &&
           ::fstatat(place.folder.get(), place.lock_name().c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
  }

  const Place* place_;
  Fd file_;
};

// The file as it is: its text, and what a new one has to keep.
struct Old {
  std::optional<struct stat> status;  // nothing: there is no file yet
  Secret text;
};

Result<Old> read_old(const Place& place) {
  Fd file(::openat(place.folder.get(), place.name.c_str(),
                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!file && errno == ENOENT) return Old{};
  struct stat status;
  if (!file || ::fstat(file.get(), &status) != 0) return failure(place.path, "be read");
  if (!S_ISREG(status.st_mode))
    return Error{ErrorCode::invalid, base::escape(place.path) + ": not a regular file"};
  const SecretPages pages(kMaxUsersFileBytes + 1);
  const Result<size_t> size = base::read_to_end(file.get(), pages.room(), place.path);
  if (!size) return size.error();
  return Old{status, Secret({pages.room().data(), *size})};
}

// Where new text is put together, sized once: no reallocation leaves a copy behind.
class SecretText {
 public:
  explicit SecretText(size_t capacity) : pages_(capacity) {}
  void append(std::string_view text) { used_ += text.copy(pages_.room().data() + used_, text.size()); }
  std::string_view view() const { return {pages_.room().data(), used_}; }

 private:
  SecretPages pages_;
  size_t used_ = 0;
};

bool is_line_of(std::string_view line, std::string_view user) {
  const std::string_view text = base::without_blanks(line);
  return text.size() > user.size() && text.starts_with(user) && text[user.size()] == ':';
}

// The first line of the user gives way to the new one; further ones go, or the last of them would count.
Result<UsersEdit> apply(std::string_view old, std::string_view user, std::string_view hash) {
  SecretText text(old.size() + user.size() + hash.size() + 3);
  const auto append_user = [&] {
    for (const std::string_view part : {user, std::string_view(":"), hash, std::string_view("\n")})
      text.append(part);
  };
  bool found = false;
  old = base::without_byte_order_mark(old);
  while (!old.empty()) {
    const std::string_view line = old.substr(0, old.find('\n') == old.npos ? old.size() : old.find('\n') + 1);
    old.remove_prefix(line.size());
    if (!is_line_of(line, user)) {
      text.append(line);
    } else {
      if (!found && !hash.empty()) append_user();
      found = true;
    }
  }
  if (hash.empty() && !found) return Error{ErrorCode::refused, "no user of that name in the file"};
  if (!found) {
    if (!text.view().empty() && !text.view().ends_with('\n')) text.append("\n");
    append_user();
  }
  if (text.view().size() > kMaxUsersFileBytes)
    return Error{ErrorCode::too_large, "the file would exceed 1 MiB"};
  const UsersChange change = hash.empty() ? UsersChange::removed
                             : found      ? UsersChange::updated
                                          : UsersChange::added;
  return UsersEdit{change, Secret(text.view())};
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return failure(path, "be written");
    text.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

// The owner before the mode: a change of owner takes mode bits away.
Result<void> set_rights(int fd, const Old& old, const std::string& path) {
  if (old.status) {
    struct stat made;
    if (::fstat(fd, &made) != 0) return failure(path, "be examined");
    const bool same = made.st_uid == old.status->st_uid && made.st_gid == old.status->st_gid;
    if (!same && ::fchown(fd, old.status->st_uid, old.status->st_gid) != 0)
      return Error{ErrorCode::denied, failure(path, "keep its owner and group").detail};
    if (::fchmod(fd, old.status->st_mode & 07777) != 0) return failure(path, "keep its mode");
    return {};
  }
  const group* const daemon = ::geteuid() == 0 ? ::getgrnam(kDaemonGroup) : nullptr;
  if (daemon == nullptr) return {};
  if (::fchown(fd, 0, daemon->gr_gid) != 0 || ::fchmod(fd, 0640) != 0)
    return failure(path, "be given to its group");
  return {};
}

Result<void> write_new(const Place& place, const Old& old, std::string_view text) {
  // Under the lock nobody else uses this name: what is there was left by an edit that was killed.
  ::unlinkat(place.folder.get(), place.new_name().c_str(), 0);
  Fd file(::openat(place.folder.get(), place.new_name().c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return failure(place.path, "be written");
  if (const auto written = write_all(file.get(), text, place.path); !written) return written;
  if (const auto kept = set_rights(file.get(), old, place.path); !kept) return kept;
  if (::fsync(file.get()) != 0) return failure(place.path, "be brought to disk");
  // Some file systems tell of a full disk only here.
  if (::close(file.release()) != 0) return failure(place.path, "be closed");
  return {};
}

Result<void> replace(const Place& place, const Old& old, std::string_view text) {
  Result<void> done = write_new(place, old, text);
  const int folder = place.folder.get();
  if (done && ::renameat(folder, place.new_name().c_str(), folder, place.name.c_str()) != 0)
    done = failure(place.path, "be replaced");
  if (!done) {
    ::unlinkat(folder, place.new_name().c_str(), 0);
    return done;
  }
  if (::fsync(folder) != 0) return failure(place.path, "be brought to disk with its folder");
  return {};
}

Result<UsersEdit> edit(const Place& place, std::string_view user, std::string_view hash, bool dry_run) {
  const Result<Old> old = read_old(place);
  if (!old) return old.error();
  Result<UsersEdit> made = apply(old->text.reveal(), user, hash);
  if (!made || dry_run) return made;
  if (const auto replaced = replace(place, *old, made->text.reveal()); !replaced) return replaced.error();
  return made;
}

}  // namespace

Result<UsersEdit> edit_users_file(const std::string& path, std::string_view user, std::string_view hash,
                                  bool dry_run) {
  if (!valid_user_name(user)) return Error{ErrorCode::invalid, "not a user name"};
  if (hash.find_first_of(std::string_view(":\n\r\0", 4)) != hash.npos)
    return Error{ErrorCode::invalid, "not a password hash"};
  const Result<Place> place = locate(path);
  if (!place) return place.error();
  if (dry_run) return edit(*place, user, hash, dry_run);
  Result<EditLock> lock = EditLock::take(*place);
  if (!lock) return lock.error();
  Result<UsersEdit> edited = edit(*place, user, hash, dry_run);
  lock->release();
  return edited;
}

}  // namespace vncauthproxy::users
