// SPDX-License-Identifier: GPL-2.0-or-later
// The file that holds a daemon's process number, and other files beside it.
#pragma once

#include <string>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::base {

// Opens or makes a file that only this program writes to, `what` naming it in errors. Denied are symbolic
// links, what is no regular file, and a file with a second name. The caller knows that its folder is not
// writable by everybody.
Result<Fd> open_own_file(const std::string& path, const char* what);
// Whether the open file is still the one at `path`: it may have been unlinked or replaced since.
bool is_still_named(int fd, const std::string& path);

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

}  // namespace vncauthproxy::base
