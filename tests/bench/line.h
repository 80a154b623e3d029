// SPDX-License-Identifier: GPL-2.0-or-later
// A viewer's connection and what wraps its bytes: nothing, WebSocket, TLS, or WebSocket over TLS. It
// reads 256 KiB at a time, as a viewer in no hurry to decode would, so that the generator is not what is
// slow.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/net/handles.h"
#include "ws_frames.h"

namespace vncauthproxy::bench {

enum class Wrapping : uint8_t { plain, ws, tls, wss };
inline bool has_tls(Wrapping w) {
  return w == Wrapping::tls || w == Wrapping::wss;
}
inline bool has_ws(Wrapping w) {
  return w == Wrapping::ws || w == Wrapping::wss;
}

// A non-blocking connection in progress to a port of 127.0.0.1, from 127.0.0.`source`.
base::Fd start_connect(uint16_t port, unsigned source = 1);

class Line {
 public:
  enum class Step : uint8_t { done, again, failed };

  Line(base::Fd fd, Wrapping wrapping);

  int fd() const { return fd_.get(); }
  bool wants_tls() const { return ssl_ != nullptr; }
  bool wants_upgrade() const { return has_ws(wrapping_); }
  Step tls_handshake(uint32_t& wanted_events);
  bool send_upgrade();
  Step read_upgrade();  // done: a 101 came; the bytes behind it are the first frames

  bool send(std::string_view payload);
  // Hands on what payload there is, some 256 KiB at most. Failed: the connection is over.
  Step receive(const std::function<void(base::Bytes)>& payload);

 private:
  bool send_raw(std::string_view bytes);
  ssize_t receive_raw(std::span<uint8_t> room);  // 0: the end; -1: nothing yet; -2: broken
  bool unwrap(base::Bytes bytes, const std::function<void(base::Bytes)>& payload);

  base::Fd fd_;
  Wrapping wrapping_;
  base::Handle<SSL> ssl_;
  std::string head_;  // of the upgrade's answer
  FrameReader frames_;
  bool closing_ = false;
};

}  // namespace vncauthproxy::bench
