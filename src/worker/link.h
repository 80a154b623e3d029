// SPDX-License-Identifier: GPL-2.0-or-later
// A viewer's RFB bytes whatever their wrapping: {plain, TLS} x {RFB, WebSocket}. The handshake and the relay
// see RFB only; how it travels is known here.
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

  // RFB bytes from the viewer, up to into.size(), which must be more than WsCodec::kDecodeSlack.
  net::Io receive(std::span<uint8_t> into);
  // Something can be received that no Watch will tell of.
  bool pending() const;
  // Nothing is received until what is owed is flushed: see net::Stream.
  bool clogged() const { return stream_.clogged(); }
  // Why receive() failed, for the log: "" when the connection just broke.
  std::string trouble() const;

  // RFB bytes to the viewer: what the socket does not take now is kept and owed. False: the connection is of
  // no more use.
  bool send(base::Bytes rfb);
  // Sends what is owed. False as for send().
  bool flush();
  bool owes() const { return sent_ < owed_.size() || stream_.owes(); }

  // The way without copying: where spliceable(), announce(n) when nothing is owed, then put n bytes of RFB on
  // fd(), as soon as nothing is owed again, telling delivered() of each part. Nothing else is sent in
  // between.
  bool spliceable() const;
  bool secure() const { return stream_.secure(); }
  void forget_key() { stream_.forget_key(); }
  bool announce(size_t size);
  bool delivered(size_t size);

  // For a timer, where the wrapping has signs of life: asks a viewer for one that has sent nothing since the
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

  // Ends our direction. Nothing may be owed.
  void finish(Goodbye goodbye, std::string_view reason);
  // Ends a conversation that failed, before the link goes: what the viewer still sends is thrown away, since
  // closing a socket with unread input resets it and takes our last words along.
  void dismiss(std::string_view reason);

 private:
  bool put(base::Bytes bytes, bool more);
  bool send_control();

  net::Stream stream_;
  std::unique_ptr<proto::WsCodec> codec_;  // null: no frames
  proto::WsCodec::Mode mode_ = proto::WsCodec::Mode::binary;
  std::vector<uint8_t> early_;
  bool end_told_ = false;
  std::vector<uint8_t> owed_;
  size_t sent_ = 0;
  size_t payload_left_ = 0;                       // of an announced frame
  uint64_t frames_seen_ = 0;                      // at the last ask_for_life(), answers left out
  std::optional<base::Clock::time_point> asked_;  // the first ping since something came
};

}  // namespace vncauthproxy::worker
