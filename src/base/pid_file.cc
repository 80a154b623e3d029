// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/pid_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

namespace vncauthproxy::base {
namespace {

Error denied(std::string what) {
  return {ErrorCode::denied, std::move(what)};
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Where everybody may write, anybody could hold the file before us, or swap it.
Result<void> check_folder(const std::string& path) {
  const std::string folder = folder_of(path);
  struct stat status;
  if (::stat(folder.c_str(), &status) != 0) return system_error(errno, {"the pid file's folder ", folder});
  if ((status.st_mode & S_IWOTH) != 0)
    return denied("everybody may write to " + folder + ", where the pid file would be");
  return {};
}

Result<void> check_own_file(const struct stat& status, const std::string& name) {
  if (S_ISLNK(status.st_mode)) return denied(name + " is a symbolic link");
  if (!S_ISREG(status.st_mode)) return denied(name + " is no regular file");
  // A hard link to somebody else's file would be a way to have that truncated.
  if (status.st_nlink > 1) return denied(name + " has a second name");
  return {};
}

// The number in the file; 0 when there is none.
pid_t read_pid(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  pid_t pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return pid > 0 ? pid : 0;
}

Error already_running(int fd, const std::string& path) {
  const pid_t holder = read_pid(fd);
  return {ErrorCode::in_use, "already running" +
                                 (holder == 0 ? "" : " as process " + std::to_string(holder)) +
                                 ": it holds " + path};
}

}  // namespace

bool is_still_named(int fd, const std::string& path) {
  struct stat held, named;
  return ::fstat(fd, &held) == 0 && ::lstat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

Result<Fd> open_own_file(const std::string& path, const char* what) {
  const std::string name = std::string(what) + " " + path;
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644));
  if (!file && errno == ELOOP) return denied(name + " is a symbolic link");
  if (!file) return system_error(errno, {"cannot open ", name});
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return system_error(errno, {"cannot examine ", path});
  if (Result<void> checked = check_own_file(status, name); !checked) return checked.error();
  return file;
}

Result<PidFile> PidFile::create(const std::string& path) {
  PidFile result;
  if (path.empty()) return result;
  if (Result<void> checked = check_folder(path); !checked) return checked.error();
  for (int attempt = 0; attempt < 10; ++attempt) {
    Result<Fd> file = open_own_file(path, "the pid file");
    if (!file) return file.error();
    if (::flock(file->get(), LOCK_EX | LOCK_NB) != 0)
      return errno == EWOULDBLOCK ? already_running(file->get(), path)
                                  : system_error(errno, {"cannot lock ", path});
    // A daemon that ended may have unlinked the file between our open and our lock.
    if (!is_still_named(file->get(), path)) continue;
    (void)::fchmod(file->get(), 0644);  // whatever the umask; a file of another owner keeps its mode
    result.file_ = *std::move(file);
    result.path_ = path;
    if (Result<void> written = result.write_pid(); !written) return written.error();
    return result;
  }
  return Error{ErrorCode::in_use, path + " comes and goes; is another vncauthproxy starting?"};
}

Result<void> PidFile::check(const std::string& path) {
  if (path.empty()) return {};
  if (Result<void> checked = check_folder(path); !checked) return checked;
  const std::string name = "the pid file " + path;
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0) {
    if (Result<void> checked = check_own_file(status, name); !checked) return checked;
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0) return {};
  } else if (::faccessat(AT_FDCWD, folder_of(path).c_str(), W_OK | X_OK, AT_EACCESS) == 0) {
    return {};
  }
  return system_error(errno, {"cannot open ", name});
}

Result<void> PidFile::write_pid() {
  if (!file_) return {};
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file_.get(), 0) != 0) return system_error(errno, {"cannot empty ", path_});
  const ssize_t size = ::pwrite(file_.get(), text.data(), text.size(), 0);
  if (size < 0) return system_error(errno, {"cannot write ", path_});
  if (static_cast<size_t>(size) != text.size())
    return Error{ErrorCode::exhausted, "cannot write all of " + path_};
  return {};
}

void PidFile::remove() {
  if (file_ && read_pid(file_.get()) == ::getpid() && is_still_named(file_.get(), path_) &&
      ::unlink(path_.c_str()) != 0)
    (void)!::ftruncate(file_.get(), 0);
  file_.reset();
}

}  // namespace vncauthproxy::base
