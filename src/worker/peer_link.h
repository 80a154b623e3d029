// SPDX-License-Identifier: GPL-2.0-or-later
// The RFB bytes of one peer, whatever their wrapping: {plain, TLS} x {RFB, WebSocket}. Both ends of a session
// are links. The handshake and the relay see RFB only; how it travels is known here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/net/stream.h"
#include "vncauthproxy/proto/ws_codec.h"

namespace vncauthproxy::worker {

// How our side of a conversation ends; a WebSocket is told so (RFC 6455 section 7.4.1).
enum class Goodbye : uint16_t {
  normal = proto::kCloseNormal,
  going_away = proto::kCloseGoingAway,
  refused = proto::kClosePolicy,
  failed = proto::kCloseInternalError
};

class Link {
 public:
  // RFB as it is.
  explicit Link(net::Stream stream);
  // RFB in WebSocket frames, after the 101. `early` is what came behind the request head.
  Link(net::Stream stream, proto::WsCodec::Mode mode, base::Bytes early);

  int fd() const { return stream_.fd(); }

  // RFB bytes from the peer, up to into.size(), which must be more than WsCodec::kDecodeSlack.
  net::Io receive(std::span<uint8_t> into);
  // Puts RFB bytes back that were received and not used: receive() returns them first.
  void unread(base::Bytes rfb);
  // Something can be received that no Watch will tell of.
  bool pending() const;
  // Nothing is received until what is owed is flushed: see net::Stream.
  bool clogged() const { return stream_.clogged(); }
  // Why receive() failed, for the log: "" when the connection just broke.
  std::string trouble() const;

  // RFB bytes to the peer: what the socket does not take now is kept and owed. False: the connection is of
  // no more use.
  bool send(base::Bytes rfb);
  // Sends what is owed. False as for send().
  bool flush();
  bool owes() const { return sent_ < owed_.size() || stream_.owes(); }

  // Without copying: the relay may read RFB from fd() itself, while nothing is pending().
  bool can_splice_from() const { return !stream_.secure() && !codec_; }
  // It may write RFB to fd() itself: announce() tells how many of the `waiting` bytes now (0: none, something
  // is owed; nullopt: the connection is of no more use), then delivered() wants to know how many it wrote.
  bool can_splice_to() const;
  std::optional<size_t> announce(size_t waiting);
  bool delivered(size_t size);
  bool in_frame() const { return frame_left_ > 0; }  // only part of an announced frame was written

  bool secure() const { return stream_.secure(); }
  void forget_key() { stream_.forget_key(); }

  // For a timer, where the wrapping has signs of life: asks a peer for one that has sent nothing since the
  // last call, or only its answer. False: the connection is of no more use.
  bool has_signs_of_life() const { return codec_ != nullptr; }
  bool ask_for_life();
  // How long nothing at all has come since it was asked. What was held up here (excuse) does not count.
  std::chrono::milliseconds unanswered() const;
  void excuse() { asked_.reset(); }
  // One of the two has said goodbye: nothing more can be sent.
  bool closing() const { return codec_ && (codec_->close_queued() || codec_->close_sent()); }
  uint64_t frames() const { return codec_ ? codec_->frames() : 0; }  // received

  // Gives back memory that only bulk needed.
  void relax() { stream_.relax(); }

  // Forgets what is owed: the peer takes no more.
  void drop_owed();
  // Ends our direction. Nothing may be owed.
  void finish(Goodbye goodbye, std::string_view reason);
  // Ends a conversation that failed, before the link goes: what the peer still sends is thrown away, since
  // closing a socket with unread input resets it and takes our last words along.
  void dismiss(std::string_view reason);

 private:
  bool put(base::Bytes bytes, bool more);
  bool put_frame(base::Bytes rfb);
  net::Io receive_frames(std::span<uint8_t> into);
  bool send_control();

  net::Stream stream_;
  std::unique_ptr<proto::WsCodec> codec_;  // null: no frames
  proto::WsCodec::Mode mode_ = proto::WsCodec::Mode::binary;
  std::vector<uint8_t> early_;   // frames that came behind the request head
  std::vector<uint8_t> unread_;  // RFB
  bool end_told_ = false;
  std::vector<uint8_t> owed_;
  size_t sent_ = 0;
  size_t frame_left_ = 0;                         // payload of an announced frame that is still to come
  uint64_t frames_seen_ = 0;                      // at the last ask_for_life(), answers left out
  std::optional<base::Clock::time_point> asked_;  // the first ping since something came
};

}  // namespace vncauthproxy::worker
