// SPDX-License-Identifier: GPL-2.0-or-later
// What a Unix daemon does with its own process: detach, hold its pid file, give up privileges, bound itself.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <string>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

// Opens /dev/null in place of whichever of stdin, stdout and stderr is closed: the next socket would else
// take its number, and what is printed would go to a peer. First of all in main.
Result<void> fill_standard_descriptors();

// No core file, not traceable and its /proc closed to the same uid. Again after every change of uid.
Result<void> forbid_inspection();

// PR_SET_NO_NEW_PRIVS: no program that is run from here on gains rights by its set-user-ID bit or its file
// capabilities. Children have it too.
Result<void> forbid_new_privileges();

// Soft and hard limit to `most`, or to the hard limit of now where that is lower: for good, where the process
// has no privileges. `resource` is one of RLIMIT_*.
Result<void> lower_limit(int resource, rlim_t most);

// The starting side of a daemon. In the parent detach() does not return: it waits until the child calls
// ready(), then exits 0, or exits 1 when the child ends first (which has printed why on the stderr they still
// share). The child is in a session of its own, is no session leader, and its cwd is /.
class Readiness {
 public:
  Readiness() = default;  // foreground: nobody waits, ready() does nothing
  static Result<Readiness> detach();
  // Lets the parent go and points stdin, stdout and stderr at /dev/null. An error means that the terminal of
  // the start was kept.
  Result<void> ready();

 private:
  Fd parent_;
};

// Opens or makes a file that only this program writes to, `what` naming it in errors. Denied are symbolic
// links, what is no regular file, and a file with a second name. The caller knows that its folder is not
// writable by everybody.
Result<Fd> open_own_file(const std::string& path, const char* what);

// Locked for as long as this lives (flock), in this process or in a child that inherited it: a worker drops
// its copy. Holds the pid of the process that called create(). A file without a lock is stale and taken over;
// a held lock is in_use, with the holder's pid in the text. Denied are symbolic links, what is no regular
// file or has a second name, and folders that everybody may write to. An empty path is no file.
class PidFile {
 public:
  PidFile() = default;  // no file
  static Result<PidFile> create(const std::string& path);
  // What create() would refuse, but for a lock that is held, without making or touching the file.
  static Result<void> check(const std::string& path);
  // After detach(), or whenever the pid has changed.
  Result<void> write_pid();
  // Unlinks the file if it still holds this process's pid; empties it where the folder does not allow that.
  // Only on a daemon's own way out; a destructor never does it.
  void remove();

 private:
  Fd file_;
  std::string path_;
};

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
