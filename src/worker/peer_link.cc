// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/peer_link.h"

#include <algorithm>
#include <array>
#include <utility>

#include "vncauthproxy/base/log.h"

namespace vncauthproxy::worker {

using net::Io;
using net::IoStatus;
using proto::WsCodec;

namespace {

// Where frames are read to. On the stack each of its pages would be probed, and stay.
std::array<uint8_t, 16 * 1024> raw;

// Moves as many bytes as fit from the beginning of `from`. Returns how many.
size_t take_first(std::vector<uint8_t>& from, std::span<uint8_t> into) {
  const size_t size = std::min(from.size(), into.size());
  std::copy_n(from.begin(), size, into.begin());
  from.erase(from.begin(), from.begin() + static_cast<long>(size));
  if (from.empty()) from = {};
  return size;
}

}  // namespace

Link::Link(net::Stream stream) : stream_(std::move(stream)) {}

Link::Link(net::Stream stream, WsCodec::Mode mode, base::Bytes early)
    : stream_(std::move(stream)),
      codec_(std::make_unique<WsCodec>(mode)),
      mode_(mode),
      early_(early.begin(), early.end()) {}

// ---- from the peer

void Link::unread(base::Bytes rfb) {
  unread_.insert(unread_.begin(), rfb.begin(), rfb.end());
}

Io Link::receive(std::span<uint8_t> into) {
  if (!unread_.empty()) {
    const size_t size = take_first(unread_, into);
    return {IoStatus::ok, size};
  }
  return codec_ ? receive_frames(into) : stream_.read(into);
}

Io Link::receive_frames(std::span<uint8_t> into) {
  if (codec_->input_over()) {
    end_told_ = true;
    return {codec_->failure().code != 0 ? IoStatus::error : IoStatus::end};
  }
  // Unwrapping makes bytes fewer, but for the slack: what fits raw fits unwrapped.
  const size_t most = std::min(raw.size(), into.size() - WsCodec::kDecodeSlack);
  size_t size = take_first(early_, std::span(raw).first(most));
  if (size == 0) {
    const Io io = stream_.read(std::span(raw).first(most));
    if (io.status != IoStatus::ok) return io;
    size = io.count;
  }
  asked_.reset();
  const size_t count = codec_->decode(base::Bytes(raw).first(size), into);
  if (!send_control()) return {IoStatus::error};
  if (count > 0) return {IoStatus::ok, count};
  return codec_->input_over() ? receive_frames(into) : Io{IoStatus::again};
}

bool Link::pending() const {
  return stream_.pending() || !unread_.empty() || !early_.empty() ||
         (codec_ && codec_->input_over() && !end_told_);
}

std::string Link::trouble() const {
  if (codec_ && codec_->failure().code != 0)
    return "breach of WebSocket: " + std::string(codec_->failure().reason) + " (" +
           std::to_string(codec_->failure().code) + ")";
  return stream_.trouble();
}

// ---- to the peer

bool Link::send(base::Bytes rfb) {
  if (rfb.empty()) return true;
  if (!codec_) return put(rfb, false);
  if (in_frame()) {
    const size_t size = std::min(frame_left_, rfb.size());
    frame_left_ -= size;
    if (!put(rfb.first(size), false)) return false;
    rfb = rfb.subspan(size);
    if (rfb.empty()) return true;
  }
  return !codec_->close_queued() && put_frame(rfb);
}

bool Link::put_frame(base::Bytes rfb) {
  if (mode_ == WsCodec::Mode::binary)
    return put(proto::frame_header(rfb.size(), proto::WsOpcode::binary).view(), true) && put(rfb, false);
  std::vector<uint8_t> frame(proto::base64_frame_size(rfb.size()));
  base::ByteWriter out(frame);
  proto::put_base64_frame(rfb, out);
  return put(frame, false);
}

// What the stream does not take is owed, in order. `more`: a further put() follows at once.
bool Link::put(base::Bytes bytes, bool more) {
  if (sent_ == owed_.size()) {
    const Io io = stream_.write(bytes, more);
    if (io.status == IoStatus::error || io.status == IoStatus::end) return false;
    bytes = bytes.subspan(io.count);
  }
  owed_.insert(owed_.end(), bytes.begin(), bytes.end());
  return true;
}

bool Link::flush() {
  if (stream_.flush().status == IoStatus::error) return false;
  while (sent_ < owed_.size()) {
    const Io io = stream_.write(base::Bytes(owed_).subspan(sent_));
    if (io.status != IoStatus::ok) return io.status == IoStatus::again;
    sent_ += io.count;
  }
  owed_ = {};  // the memory goes back: a peer that lagged once should not cost its session for good
  sent_ = 0;
  return send_control();
}

// Pongs, pings and the close go between frames, and only while the peer takes what we send: one that floods
// us with pings and does not read gets one pong in the end.
bool Link::send_control() {
  if (!codec_ || !codec_->has_control() || in_frame() || owes()) return true;
  std::array<uint8_t, WsCodec::kMaxControlOutput> room;
  return put(base::Bytes(room).first(codec_->take_control(room)), false);
}

bool Link::can_splice_to() const {
  return !stream_.secure() && (!codec_ || mode_ == WsCodec::Mode::binary);
}

std::optional<size_t> Link::announce(size_t waiting) {
  if (!codec_) return owes() ? 0 : waiting;
  if (!in_frame()) {
    if (codec_->close_queued()) return std::nullopt;
    if (!put(proto::frame_header(waiting, proto::WsOpcode::binary).view(), true)) return std::nullopt;
    frame_left_ = waiting;
  }
  return owes() ? 0 : std::min(waiting, frame_left_);
}

bool Link::delivered(size_t size) {
  if (!codec_) return true;
  frame_left_ -= size;
  return send_control();
}

bool Link::ask_for_life() {
  const uint64_t frames = codec_->frames() - codec_->pongs();
  if (std::exchange(frames_seen_, frames) < frames) return true;
  codec_->ping();
  if (!send_control()) return false;
  // One that waits behind data was not asked yet.
  if (!codec_->has_control() && !asked_) asked_ = base::Clock::now();
  return true;
}

std::chrono::milliseconds Link::unanswered() const {
  if (!asked_) return std::chrono::milliseconds(0);
  return std::chrono::ceil<std::chrono::milliseconds>(base::Clock::now() - *asked_);
}

// ---- the end

void Link::drop_owed() {
  owed_ = {};
  sent_ = 0;
}

void Link::finish(Goodbye goodbye, std::string_view reason) {
  if (codec_) {
    codec_->close(static_cast<uint16_t>(goodbye), reason);
    send_control();
  }
  stream_.finish();
}

void Link::dismiss(std::string_view reason) {
  finish(Goodbye::refused, reason);
  uint8_t waste[4096];
  for (int i = 0; i < 16 && stream_.read(waste).status == IoStatus::ok; ++i) {
  }
}

}  // namespace vncauthproxy::worker
