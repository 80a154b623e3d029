// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/log_target.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "tests/support/program.h"

namespace vncauthproxy::testing {
namespace {

base::Fd bind_datagrams(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  base::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0666) != 0)
    throw std::runtime_error("cannot be a system logger at " + path);
  return fd;
}

}  // namespace

LogTo chosen_log_target() {
  const char* text = std::getenv("VNCAUTHPROXY_TEST_LOG_TO");
  const std::string name = text ? text : "file";
  if (name == "file") return LogTo::file;
  if (name == "syslog") return LogTo::syslog;
  if (name == "-") return LogTo::standard_error;
  throw std::runtime_error("VNCAUTHPROXY_TEST_LOG_TO is file, syslog or -");
}

LogTarget::LogTarget(LogTo kind, const std::string& folder) : kind_(kind) {
  if (kind_ == LogTo::standard_error) return;
  path_ = folder + (kind_ == LogTo::file ? "/log" : "/dev-log");
  if (kind_ == LogTo::file) return;
  logger_ = bind_datagrams(path_);
  auto stop = base::make_pipe();
  if (!stop) throw std::runtime_error(stop.error().detail);
  stop_read_ = std::move(stop->first);
  stop_write_ = std::move(stop->second);
  thread_ = std::thread([this] { collect(); });
}

LogTarget::~LogTarget() {
  stop_write_.reset();
  if (thread_.joinable()) thread_.join();
}

std::string LogTarget::option() const {
  return kind_ == LogTo::standard_error ? "-" : kind_ == LogTo::syslog ? "syslog:" + path_ : path_;
}

std::string LogTarget::text() {
  if (kind_ == LogTo::file) return read_file(path_);
  const std::lock_guard lock(mutex_);
  return received_;
}

void LogTarget::collect() {
  std::array<char, 8192> room;
  pollfd entries[] = {{logger_.get(), POLLIN, 0}, {stop_read_.get(), POLLIN, 0}};
  for (;;) {
    if (::poll(entries, 2, -1) < 0) continue;
    if (entries[0].revents == 0) return;
    const ssize_t size = ::recv(logger_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (size < 0) continue;
    const std::lock_guard lock(mutex_);
    received_.append(room.data(), static_cast<size_t>(size)).append("\n");
  }
}

}  // namespace vncauthproxy::testing
