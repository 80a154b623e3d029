// SPDX-License-Identifier: GPL-2.0-or-later
// A program started by a test: its input, all its output, its end. Killed by pid when the object goes.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/deadline.h"
#include "tests/support/denied_calls.h"
#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::testing {

// kill(2) for one process that this test knows: 0 and -1 mean whole groups there, so they are refused here.
bool send_signal(pid_t pid, int number);
// Path of a program of this project: $VNCAUTHPROXY_BUILD/name, or build/name.
std::string built(const std::string& name);
// True when `name` is an executable on PATH.
bool installed(const std::string& name);

struct ProgramSetup {
  std::vector<std::string> environment = {};  // "NAME=value", in place of or beside this process's own
  std::string input = {};                     // written to its stdin, then closed
  unsigned descriptors = 0;                   // RLIMIT_NOFILE when above 0
  std::vector<int> pass = {};                 // these become its descriptors 3, 4, ...
  std::vector<DeniedCall> denied = {};        // it ends with status 126 where calls_can_be_denied() is false
};

class Program {
 public:
  explicit Program(std::vector<std::string> argv, ProgramSetup setup = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }  // -1: could not be started
  std::string out();
  std::string err();
  bool wait_out(std::string_view text, Deadline deadline = {});
  // Looks at stderr from offset `from` on.
  bool wait_err(std::string_view text, Deadline deadline = {}, size_t from = 0);
  void signal(int number) const;
  bool running();
  // Exit status, 128 + signal, or -1 when it has not ended in time.
  int wait(Deadline deadline = {});

 private:
  void collect();  // the reader thread
  bool wait_text(const std::string& where, std::string_view text, size_t from, Deadline deadline);

  pid_t pid_ = -1;
  int status_ = -1;
  bool reaped_ = false;
  base::Fd out_fd_, err_fd_, stop_read_, stop_write_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string out_, err_;
  bool drained_ = false;
  std::thread reader_;
};

// Runs to the end. status -1: not within the deadline (it is killed then).
struct Outcome {
  int status = -1;
  std::string out, err;
};
Outcome run(std::vector<std::string> argv, ProgramSetup setup = {}, Deadline deadline = {});

// A fresh folder under $TMPDIR, removed with all in it at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read_file(const std::string& path);  // "" when it cannot be read
bool write_file(const std::string& path, std::string_view text, unsigned mode = 0600);

}  // namespace vncauthproxy::testing
