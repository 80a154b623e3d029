// SPDX-License-Identifier: GPL-2.0-or-later
// One stream connection of a test, TCP or at a path: blocking calls, each with a deadline. No assertions in
// here; every call returns what happened. One thread reads and one may write at the same time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tests/support/deadline.h"
#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::testing {

// How a peer's stream went on: data, its end, a reset, or nothing in time.
enum class Got : uint8_t { data, end, reset, nothing };

class Socket {
 public:
  Socket() = default;
  explicit Socket(base::Fd fd) : fd_(std::move(fd)) {}
  // A literal address; optional buffer size for both directions, set before the connection is made, and a
  // literal address to come from.
  static Socket connect(const std::string& host, uint16_t port, Deadline deadline = {}, int buffer = 0,
                        const std::string& source = {});
  // A UNIX socket.
  static Socket connect_to_path(const std::string& path);

  explicit operator bool() const { return static_cast<bool>(fd_); }
  int get() const { return fd_.get(); }

  bool send(std::string_view bytes, Deadline deadline = {});
  bool send(std::span<const uint8_t> bytes, Deadline deadline = {});
  bool send_each_byte(std::string_view bytes, Deadline deadline = {});  // a segment per byte
  // What is there now without waiting; how many bytes of it the kernel took.
  size_t send_some(std::string_view bytes);

  // Up to room.size() bytes; `data` sets *count above 0.
  Got read_some(std::span<uint8_t> room, size_t* count, Deadline deadline = {});
  std::optional<std::string> read(size_t count, Deadline deadline = {});  // exactly that many
  // All until the stream ends; *how, when asked for, says which end it was (or `nothing` at the deadline).
  std::string read_to_end(Got* how = nullptr, Deadline deadline = {});
  // True when the peer has ended or reset the connection and sent nothing more before.
  bool ended(Deadline deadline = {});
  // True when nothing at all comes for that long.
  bool silent_for(milliseconds time);

  void finish_sending();  // half-close
  void reset();           // close with RST
  void close() { fd_.reset(); }
  void interrupt();  // makes a read or write of another thread return

  uint16_t local_port() const;

 private:
  base::Fd fd_;
};

// Listens on a port of the kernel's choice at a literal address. Port 0 in `port()`: could not.
class Listener {
 public:
  explicit Listener(const std::string& host = "127.0.0.1", uint16_t port = 0);
  uint16_t port() const { return port_; }
  Socket accept(Deadline deadline = {});
  int get() const { return fd_.get(); }
  void close() { fd_.reset(); }

 private:
  base::Fd fd_;
  uint16_t port_ = 0;
};

// `count` ports in a row, all free on every local address, below the ephemeral range; 0 when there are none.
uint16_t find_free_range(uint16_t count);
// True when this machine has the address ::1.
bool ipv6_works();
// True when nobody listens on any local address of that port.
bool port_is_free(uint16_t port);
// True when a TCP connection to it is refused.
bool connection_refused(const std::string& host, uint16_t port);

}  // namespace vncauthproxy::testing
