// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace vncauthproxy::ipc {

Channel::Channel(net::Loop& loop, base::Fd end, Received received, Lost lost)
    : end_(std::move(end)),
      received_(std::move(received)),
      lost_(std::move(lost)),
      readable_(loop, end_.get(), net::Watch::For::reading, [this] { receive_one(); }) {
  readable_.arm();
}

bool Channel::send(const Message& message) {
  const Packet packet = encode(message);
  return ::send(end_.get(), packet.bytes.data(), packet.size, MSG_NOSIGNAL) ==
         static_cast<ssize_t>(packet.size);
}

void Channel::receive_one() {
  // One byte more than any message: what fills it is too long.
  uint8_t room[kMaxMessageBytes + 1];
  const ssize_t count = ::recv(end_.get(), room, sizeof room, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  auto message = count > 0 ? decode(base::Bytes(room, static_cast<size_t>(count)))
                           : base::Result<Message>(base::Error{base::ErrorCode::closed, "end of channel"});
  if (message) {
    const Received received = received_;  // a copy: it may destroy this channel
    received(std::move(*message));
    return;
  }
  readable_.arm(false);
  const Lost lost = std::move(lost_);
  lost(message.error());
}

}  // namespace vncauthproxy::ipc
