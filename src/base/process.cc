// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace vncauthproxy::base {
namespace {

// ---- detaching

// Waits for the daemon's word and leaves with the exit status it stands for.
[[noreturn]] void wait_for_daemon(const Fd& daemon, pid_t middle) {
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  char word = 0;
  for (;;) {
    const ssize_t size = ::recv(daemon.get(), &word, 1, 0);
    if (size >= 0) ::_exit(size == 1 ? 0 : 1);  // the end instead of a word: the daemon is gone
    if (errno != EAGAIN && errno != EINTR) ::_exit(1);
    pollfd event{daemon.get(), POLLIN, 0};
    (void)::poll(&event, 1, -1);
  }
}

Result<void> leave_terminal() {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return system_error(errno, {"cannot open /dev/null"});
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(null.get(), fd) < 0) return system_error(errno, {"dup2"});
  return {};
}

// ---- the pid file

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

// A daemon that ends unlinks the file between our open and our lock: then we hold a file without a name.
bool is_still_named(int fd, const std::string& path) {
  struct stat held, named;
  return ::fstat(fd, &held) == 0 && ::lstat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

// ---- identities

// All of `text` as an id. The largest one means "leave as it is" to the kernel, so it is nobody's.
std::optional<uint32_t> numeric_id(std::string_view text) {
  uint32_t id = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  if (id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return id;
}

Error no_such_user(const std::string& user) {
  return {
      ErrorCode::invalid,
      "there is no user " + user +
          "; create one (useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin " +
          user + ") or name another with --user"};
}

// "Not found" has many numbers in the C library's name services; these mean that nobody could look.
bool lookup_failed() {
  return errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

// The bounding set matters no more once there are no new privileges: a container that does not let us drop it
// is no reason not to start.
void drop_bounding_set() {
  for (unsigned long capability = 0; capability < 64; ++capability)
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return;
}

// Leaving uid 0 empties all sets but the inheritable one.
Result<void> drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return system_error(errno, {"capset"});
  __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3];
  if (::syscall(SYS_capget, &header, left) != 0) return system_error(errno, {"capget"});
  if (std::memcmp(left, none, sizeof left) != 0) return denied("capabilities were kept");
  return {};
}

Result<void> verify_identity(const Identity& wanted) {
  uid_t uids[3];
  gid_t gids[3];
  if (::getresuid(&uids[0], &uids[1], &uids[2]) != 0) return system_error(errno, {"getresuid"});
  if (::getresgid(&gids[0], &gids[1], &gids[2]) != 0) return system_error(errno, {"getresgid"});
  for (const uid_t uid : uids)
    if (uid != wanted.uid) return denied("the process kept uid " + std::to_string(uid));
  for (const gid_t gid : gids)
    if (gid != wanted.gid) return denied("the process kept gid " + std::to_string(gid));
  if (::getgroups(0, nullptr) != 0) return denied("the process kept supplementary groups");
  if (wanted.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0))
    return denied("the way back to root is open");
  return {};
}

}  // namespace

Result<void> fill_standard_descriptors() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);  // takes the lowest free number
  if (fd < 0) return system_error(errno, {"cannot open /dev/null"});
  ::close(fd);
  return {};
}

Result<void> forbid_inspection() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return system_error(errno, {"PR_SET_DUMPABLE"});
  return lower_limit(RLIMIT_CORE, 0);
}

Result<void> forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error(errno, {"PR_SET_NO_NEW_PRIVS"});
  return {};
}

Result<void> lower_limit(int resource, rlim_t most) {
  const auto which = static_cast<__rlimit_resource>(resource);
  rlimit limit{};
  const bool known = ::getrlimit(which, &limit) == 0;
  limit.rlim_max = std::min(limit.rlim_max, most);
  limit.rlim_cur = limit.rlim_max;
  if (known && ::setrlimit(which, &limit) == 0) return {};
  const int code = errno;
  const std::string number = std::to_string(resource);
  return system_error(code, {"cannot lower the resource limit ", number});
}

Result<Readiness> Readiness::detach() {
  Result<FdPair> pair = socket_pair(SOCK_STREAM);
  if (!pair) return pair.error();
  std::fflush(nullptr);  // or both would print what is still buffered
  const pid_t middle = ::fork();
  if (middle < 0) return system_error(errno, {"fork"});
  if (middle > 0) {
    pair->second.reset();
    wait_for_daemon(pair->first, middle);
  }

  // The middle one leads the new session and goes, so that the daemon never gets a controlling terminal.
  pair->first.reset();
  if (::setsid() < 0) return system_error(errno, {"setsid"});
  const pid_t daemon = ::fork();
  if (daemon < 0) std::fprintf(stderr, "vncauthproxy: fork: %s\n", std::strerror(errno));
  if (daemon != 0) ::_exit(0);
  if (::chdir("/") != 0) return system_error(errno, {"chdir to /"});
  Readiness readiness;
  readiness.parent_ = std::move(pair->second);
  return readiness;
}

Result<void> Readiness::ready() {
  if (!parent_) return {};
  Result<void> left = leave_terminal();
  // The parent may have been killed meanwhile; the daemon is up all the same.
  (void)::send(parent_.get(), "", 1, MSG_NOSIGNAL);
  parent_.reset();
  return left;
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

Result<gid_t> find_group(const std::string& group) {
  errno = 0;
  if (const struct group* entry = ::getgrnam(group.c_str())) return entry->gr_gid;
  if (lookup_failed()) return system_error(errno, {"cannot look up the group ", group});
  if (const auto id = numeric_id(group)) return *id;
  return Error{ErrorCode::invalid, "there is no group " + group + "; create one (groupadd --system " + group +
                                       ") or name another"};
}

Result<Identity> find_identity(const std::string& user, const std::string& group) {
  errno = 0;
  const struct passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr && lookup_failed()) return system_error(errno, {"cannot look up the user ", user});
  const auto number = numeric_id(user);
  if (entry == nullptr && !number) return no_such_user(user);
  if (entry == nullptr) entry = ::getpwuid(*number);
  if (entry == nullptr && group.empty())
    return Error{ErrorCode::invalid,
                 "there is no user with the number " + user + "; name a group too, with --group"};

  Identity identity{entry != nullptr ? entry->pw_uid : *number, entry != nullptr ? entry->pw_gid : 0};
  if (group.empty()) return identity;
  Result<gid_t> gid = find_group(group);
  if (!gid) return gid.error();
  identity.gid = *gid;
  return identity;
}

Result<void> become(const Identity& identity) {
  if (identity.uid != 0) drop_bounding_set();
  if (::setgroups(0, nullptr) != 0) return system_error(errno, {"setgroups"});
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return system_error(errno, {"setresgid"});
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return system_error(errno, {"setresuid"});
  if (identity.uid != 0)
    if (Result<void> dropped = drop_capabilities(); !dropped) return dropped;
  if (Result<void> verified = verify_identity(identity); !verified) return verified;
  if (Result<void> forbidden = forbid_new_privileges(); !forbidden) return forbidden;
  return forbid_inspection();  // the change of uid undid it
}

}  // namespace vncauthproxy::base
