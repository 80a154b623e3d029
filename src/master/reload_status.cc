// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/reload_status.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/pid_file.h"

namespace vncauthproxy::master {

base::Result<ReloadStatus> ReloadStatus::create(const std::string& pid_file) {
  ReloadStatus status;
  if (pid_file.empty()) return status;
  status.path_ = pid_file + ".reload";
  auto file = base::open_own_file(status.path_, "the file for the outcome of a reload");
  if (!file) return file.error();
  status.file_ = std::move(*file);
  (void)::fchmod(status.file_.get(), 0644);  // whatever the umask
  status.write("reload 0 ok\n");
  return status;
}

void ReloadStatus::tell(const std::vector<std::string>& faults) {
  std::string text;
  for (const std::string& fault : faults) text += base::escape(fault, 1000) + "\n";
  ++count_;
  write(text + "reload " + std::to_string(count_) + (faults.empty() ? " ok\n" : " failed\n"));
}

// In one piece: who reads meanwhile sees no last line, or the right one.
void ReloadStatus::write(const std::string& text) {
  if (!file_) return;
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    base::log_warning("%s", base::system_error(errno, {"cannot write ", path_}).detail.c_str());
}

void ReloadStatus::remove() {
  if (file_ && base::is_still_named(file_.get(), path_) && ::unlink(path_.c_str()) != 0)
    (void)!::ftruncate(file_.get(), 0);
  file_.reset();
}

}  // namespace vncauthproxy::master
