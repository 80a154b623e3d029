// SPDX-License-Identifier: GPL-2.0-or-later
// A file beside the pid file that says what came of the last reload, for the init script: a signal has no
// answer. Its last line is "reload N ok" or "reload N failed", where N counts; the lines before that one are
// the faults. At the start it is "reload 0 ok".
#pragma once

#include <string>
#include <vector>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::master {

class ReloadStatus {
 public:
  ReloadStatus() = default;  // no file
  // "PID_FILE.reload", opened for as long as this lives: the daemon gives up the right to do so. None where
  // there is no pid file. After the pid file was locked, whose folder is known to be safe.
  static base::Result<ReloadStatus> create(const std::string& pid_file);

  void tell(const std::vector<std::string>& faults);
  // Like PidFile::remove(): only on the daemon's own way out.
  void remove();

 private:
  void write(const std::string& text);

  base::Fd file_;
  std::string path_;
  unsigned count_ = 0;
};

}  // namespace vncauthproxy::master
