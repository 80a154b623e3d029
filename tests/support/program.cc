// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace vncauthproxy::testing {
namespace {

struct Pipe {
  base::Fd read, write;
};

Pipe pipe_pair() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// One entry for a name: with two, some programs take the first and some the last.
std::vector<std::string> with_own_environment(std::vector<std::string> entries) {
  const size_t given = entries.size();
  for (char** own = environ; *own; ++own) {
    const std::string_view entry = *own, name = entry.substr(0, entry.find('=') + 1);
    if (std::none_of(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(given),
                     [name](const std::string& other) { return other.starts_with(name); }))
      entries.emplace_back(entry);
  }
  return entries;
}

// Out of the way of the low numbers that the child gives them.
std::vector<base::Fd> high_copies(const std::vector<int>& descriptors) {
  std::vector<base::Fd> copies;
  for (const int fd : descriptors) copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
  return copies;
}

std::string find_on_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string rest = std::string(path ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin";
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    const std::string candidate = rest.substr(0, colon) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.erase(0, colon + 1);
  }
  return {};
}

int status_word(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

bool send_signal(pid_t pid, int number) {
  return pid > 1 && ::kill(pid, number) == 0;
}

std::string built(const std::string& name) {
  const char* build = std::getenv("VNCAUTHPROXY_BUILD");
  return std::filesystem::absolute(std::string(build && *build ? build : "build") + "/" + name).string();
}

bool installed(const std::string& name) {
  return !find_on_path(name).empty();
}

Program::Program(std::vector<std::string> argv, ProgramSetup setup) {
  // All memory the child needs is made before the fork: this process has threads.
  const std::string path = find_on_path(argv.at(0));
  std::vector<std::string> environment = with_own_environment(std::move(setup.environment));
  const std::vector<base::Fd> passed = high_copies(setup.pass);
  const std::vector<char*> arguments = pointers(argv);
  const std::vector<char*> variables = pointers(environment);
  Pipe in = pipe_pair(), out = pipe_pair(), err = pipe_pair(), stop = pipe_pair();
  const DeniedCalls denied(setup.denied);
  const rlimit descriptors{setup.descriptors, setup.descriptors};

  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves nothing behind
    ::dup2(in.read.get(), 0);
    ::dup2(out.write.get(), 1);
    ::dup2(err.write.get(), 2);
    int next = 3;
    for (const base::Fd& fd : passed) ::dup2(fd.get(), next++);
    if (setup.descriptors > 0) ::setrlimit(RLIMIT_NOFILE, &descriptors);
    ::signal(SIGPIPE, SIG_DFL);
    if (!setup.denied.empty() && !denied.install()) ::_exit(126);
    ::execve(path.c_str(), arguments.data(), variables.data());
    ::_exit(127);
  }
  in.read.reset();
  if (!setup.input.empty()) {  // always small enough for the pipe
    const ssize_t written = ::write(in.write.get(), setup.input.data(), setup.input.size());
    if (written < 0) in.write.reset();
  }
  out_fd_ = std::move(out.read);
  err_fd_ = std::move(err.read);
  stop_read_ = std::move(stop.read);
  stop_write_ = std::move(stop.write);
  reader_ = std::thread([this] { collect(); });
}

Program::~Program() {
  if (pid_ > 0 && !reaped_) {
    send_signal(pid_, SIGKILL);
    wait();
  }
  stop_write_.reset();  // children of the program may hold its pipes open for ever
  if (reader_.joinable()) reader_.join();
}

void Program::collect() {
  std::array<char, 65536> room;
  pollfd entries[3] = {{out_fd_.get(), POLLIN, 0}, {err_fd_.get(), POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
  std::string* texts[2] = {&out_, &err_};
  while (entries[0].fd >= 0 || entries[1].fd >= 0) {
    if (::poll(entries, 3, -1) < 0 && errno != EINTR) break;
    bool moved = false;
    for (int i = 0; i < 2; ++i) {
      if (entries[i].fd < 0 || entries[i].revents == 0) continue;
      const ssize_t got = ::read(entries[i].fd, room.data(), room.size());
      const std::lock_guard lock(mutex_);
      if (got > 0)
        texts[i]->append(room.data(), static_cast<size_t>(got));
      else
        entries[i].fd = -1;
      moved = true;
    }
    if (moved) changed_.notify_all();
    if (!moved && entries[2].revents != 0) break;
  }
  const std::lock_guard lock(mutex_);
  drained_ = true;
  changed_.notify_all();
}

std::string Program::out() {
  const std::lock_guard lock(mutex_);
  return out_;
}

std::string Program::err() {
  const std::lock_guard lock(mutex_);
  return err_;
}

bool Program::wait_text(const std::string& where, std::string_view text, size_t from, Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto present = [&] { return where.find(text, from) != std::string::npos; };
  changed_.wait_until(lock, deadline.at(), [&] { return present() || drained_; });
  return present();
}

bool Program::wait_out(std::string_view text, Deadline deadline) {
  return wait_text(out_, text, 0, deadline);
}

bool Program::wait_err(std::string_view text, Deadline deadline, size_t from) {
  return wait_text(err_, text, from, deadline);
}

void Program::signal(int number) const {
  if (pid_ > 0 && !reaped_) send_signal(pid_, number);
}

bool Program::running() {
  if (pid_ > 0 && !reaped_) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      reaped_ = true;
      status_ = status_word(status);
    }
  }
  return pid_ > 0 && !reaped_;
}

int Program::wait(Deadline deadline) {
  if (!wait_until([this] { return !running(); }, deadline)) return -1;
  return status_;
}

Outcome run(std::vector<std::string> argv, ProgramSetup setup, Deadline deadline) {
  Program program(std::move(argv), std::move(setup));
  Outcome outcome;
  outcome.status = program.wait(deadline);
  if (outcome.status < 0) program.signal(SIGKILL);
  // An end that nobody can write to any more comes by itself; a daemon left behind must not hold us up.
  program.wait_err(std::string_view("\0never\0", 7), milliseconds(outcome.status < 0 ? 0 : 2000));
  outcome.out = program.out();
  outcome.err = program.err();
  return outcome;
}

Folder::Folder() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base && *base ? base : "/tmp") + "/vncauthproxy-test-XXXXXX";
  if (!::mkdtemp(path_.data())) throw std::runtime_error("no temporary folder");
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  // By hand: a file of /proc may vanish between open and read, which streams answer with an exception.
  const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 16384> room;
  for (ssize_t got; fd && (got = ::read(fd.get(), room.data(), room.size())) > 0;)
    text.append(room.data(), static_cast<size_t>(got));
  return text;
}

bool write_file(const std::string& path, std::string_view text, unsigned mode) {
  const base::Fd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, static_cast<mode_t>(mode)));
  return fd && ::fchmod(fd.get(), static_cast<mode_t>(mode)) == 0 &&
         ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace vncauthproxy::testing
