// SPDX-License-Identifier: GPL-2.0-or-later
// Which buffer or pipe the bytes toward the viewer go through. A screen at rest needs a small buffer, which
// all sessions of a process share. What fills that one is bulk: then the session gets a pipe where both links
// can be spliced, else a large buffer, and gives it back when no bulk came for a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/net/loop.h"
#include "worker/peer_link.h"
#include "worker/pipe.h"

namespace vncauthproxy::worker {

// A message of a screen at rest fits this.
inline constexpr size_t kSmallBuffer = 16 * 1024;

class Bulk {
 public:
  // The links are loans.
  Bulk(net::Loop& loop, const Link& from, Link& to);

  // Open only while bulk flows between two links that can be spliced.
  Pipe& pipe() { return pipe_; }
  const Pipe& pipe() const { return pipe_; }
  // The session's own buffer; empty: it has none now.
  std::span<uint8_t> buffer() const { return buffer_.bytes(); }
  // To be told of each move: decides what the next one goes through.
  void moved(size_t count);
  void stop();  // no more decisions

 private:
  void look_again_in(std::chrono::milliseconds time);
  void look();

  const Link& from_;
  Link& to_;
  Pipe pipe_;
  base::SecretPages buffer_;
  bool seen_ = false;        // bulk, since the last look
  uint64_t since_look_ = 0;  // bytes
  uint64_t fast_from_ = 0;   // from so many on the session is a fast one at the next look
  net::Timer timer_;
};

}  // namespace vncauthproxy::worker
