// SPDX-License-Identifier: GPL-2.0-or-later
// A viewer's RFB bytes whatever their wrapping. The handshake and the relay see RFB only; how it travels is
// decided here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vncauthproxy/net/stream.h"

namespace vncauthproxy::worker {

class Link {
 public:
  explicit Link(net::Stream stream) : stream_(std::move(stream)) {}

  int fd() const { return stream_.fd(); }

  // RFB bytes from the viewer, up to into.size().
  net::Io receive(std::span<uint8_t> into) { return stream_.read(into); }
  // RFB bytes to the viewer: what the socket does not take now is kept and owed. False: the connection is of
  // no more use.
  bool send(base::Bytes rfb);
  // Sends what is owed. False as for send().
  bool flush();
  bool owes() const { return sent_ < owed_.size(); }
  // Ends our direction. Nothing may be owed.
  void finish() { stream_.finish(); }
  // Ends a conversation that failed, before the link goes: what the viewer still sends is thrown away, since
  // closing a socket with unread input resets it and takes our last words along.
  void dismiss();

 private:
  net::Stream stream_;
  std::vector<uint8_t> owed_;
  size_t sent_ = 0;
};

}  // namespace vncauthproxy::worker
