// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/packet.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace vncauthproxy::ipc {
namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

// Room for the descriptors beside a packet, aligned as cmsg(3) wants it.
union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
};

Error failed(int code, const char* what) {
  if (code == EPIPE || code == ECONNRESET || code == ENOTCONN) return {ErrorCode::closed, "the peer is gone"};
  if (code == EMSGSIZE) return {ErrorCode::too_large, "the packet is too long for its socket"};
  return base::system_error(code, {what});
}

std::vector<base::Fd> take_descriptors(msghdr& message) {
  std::vector<base::Fd> all;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      all.emplace_back(fd);
    }
  }
  return all;
}

}  // namespace

Result<void> send_packet(int socket, base::Bytes packet, std::span<const int> descriptors) {
  if (descriptors.size() > kMaxDescriptors) return Error{ErrorCode::too_large, "too many descriptors"};
  iovec piece{const_cast<uint8_t*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Control control{};
  if (!descriptors.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t count;
  do count = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  if (count < 0) return failed(errno, "sendmsg");
  return {};
}

Result<ReceivedPacket> receive_packet(int socket, std::span<uint8_t> room) {
  iovec piece{room.data(), room.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t count;
  do count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < 0) return failed(errno, "recvmsg");
  ReceivedPacket received{static_cast<size_t>(count), take_descriptors(message)};
  if (count == 0) return Error{ErrorCode::closed, "the peer is gone"};
  if ((message.msg_flags & MSG_TRUNC) != 0) return Error{ErrorCode::invalid, "bad message: too long"};
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    return Error{ErrorCode::exhausted, "not all descriptors of a packet found room"};
  return received;
}

}  // namespace vncauthproxy::ipc
