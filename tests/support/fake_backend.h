// SPDX-License-Identifier: GPL-2.0-or-later
// A VNC server under a test's control: what it does with each connection is a function, called in a thread of
// its own. The usual ones are here: handshakes of every version, echo, flood, recorder, painter.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "tests/support/socket.h"

namespace vncauthproxy::testing {

class FakeBackend {
 public:
  using Session = std::function<void(Socket&)>;

  // Port 0: one of the kernel's choice.
  explicit FakeBackend(Session session, const std::string& host = "127.0.0.1", uint16_t port = 0);
  ~FakeBackend();  // ends every connection
  FakeBackend(const FakeBackend&) = delete;
  FakeBackend& operator=(const FakeBackend&) = delete;

  uint16_t port() const { return listener_.port(); }
  size_t connections();                                         // ever made
  bool wait_connections(size_t count, Deadline deadline = {});  // at least that many ever made
  bool wait_all_ended(Deadline deadline = {});                  // every session has returned
  void end_all();                                               // cuts what is connected now

 private:
  struct Connection {
    Socket socket;
    std::thread thread;
  };
  void accept_all();

  Session session_;
  Listener listener_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Connection> all_;
  size_t made_ = 0, ended_ = 0;
  std::thread acceptor_;
};

// How a backend shakes hands, to the end of SecurityResult.
struct BackendHandshake {
  std::string version = "RFB 003.008\n";
  std::string types = {1};    // offered at 3.7 and above; at 3.3 the first one is announced
  std::string password = {};  // for type 2
};
// False when the client broke off or gave a wrong response (it is told so). `client_version`, when asked for,
// is what the client answered.
bool shake_hands(Socket& socket, const BackendHandshake& handshake = {},
                 std::string* client_version = nullptr);

// Bytes of one direction as they come, for one or more connections.
class Recorder {
 public:
  void add(std::string_view bytes);
  void end();
  std::string bytes();
  bool wait_size(size_t size, Deadline deadline = {});
  bool wait_end(Deadline deadline = {});

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string bytes_;
  bool ended_ = false;
};

// Sessions. All but paint() treat what follows the handshake as plain bytes, ClientInit included.
FakeBackend::Session echo(BackendHandshake handshake = {});
// Sends `count` bytes of Pattern(seed) and half-closes, while it compares what it receives with
// Pattern(seed + 1); `received_intact` counts those bytes, or -1 once one was wrong.
FakeBackend::Session flood(uint64_t count, uint64_t seed, std::atomic<int64_t>* received_intact);
FakeBackend::Session record(Recorder* recorder, BackendHandshake handshake = {});
// Handshake, then these bytes, then the end.
FakeBackend::Session say_and_close(std::string bytes);
// Sends bytes without any handshake, then waits for the peer to go away.
FakeBackend::Session blurt(std::string bytes);
FakeBackend::Session silent();

// Enough of RFB after the handshake for real viewers: ServerInit, updates of a picture, RRE or raw, in
// whatever true colour format the viewer asks for.
struct Picture {
  uint16_t width = 320, height = 240;
  uint32_t pixel(uint32_t x, uint32_t y) const;  // 0xRRGGBB
};
FakeBackend::Session paint(Picture picture = {}, BackendHandshake handshake = {});

}  // namespace vncauthproxy::testing
