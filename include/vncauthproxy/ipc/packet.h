// SPDX-License-Identifier: GPL-2.0-or-later
// Packets with descriptors over a local SOCK_SEQPACKET socket (unix(7), SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::ipc {

inline constexpr size_t kMaxDescriptors = 8;  // of one packet

// The whole packet, or an Error: closed (the peer is gone), exhausted (no room in the socket, or out of
// memory), too_large, system. The descriptors stay the caller's.
base::Result<void> send_packet(int socket, base::Bytes packet, std::span<const int> descriptors = {});

struct ReceivedPacket {
  size_t size = 0;
  std::vector<base::Fd> descriptors;  // close-on-exec
};
// The next packet, into `room`. Errors: closed (the peer is gone), exhausted (there is none at the moment, on
// a non-blocking socket, or the descriptors found no room here), invalid (longer than `room`, or with more
// descriptors than kMaxDescriptors), system.
base::Result<ReceivedPacket> receive_packet(int socket, std::span<uint8_t> room);

}  // namespace vncauthproxy::ipc
