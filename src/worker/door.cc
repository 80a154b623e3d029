// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/door.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/proto/web_page.h"

namespace vncauthproxy::worker {

using net::Io;
using net::IoStatus;

namespace {

constexpr size_t kReadSize = 4096;
constexpr size_t kBodyChunk = 16 * 1024;

}  // namespace

Door::Door(net::Stream stream, bool websocket, const Pages& pages)
    : stream_(std::move(stream)), websocket_(websocket), pages_(pages) {}

Door::Step Door::fail(std::string trouble) {
  trouble_ = std::move(trouble);
  return Step::over;
}

Door::Step Door::advance() {
  if (!stream_.established()) {
    const Io io = stream_.handshake();
    if (io.status == IoStatus::again) return Step::waiting;
    if (io.status != IoStatus::ok) return fail(stream_.trouble());
    ++milestones_;
  }
  return websocket_ ? read_heads() : Step::open;
}

Door::Step Door::read_heads() {
  for (;;) {
    if (!send_answer()) return Step::over;
    if (wants_write()) return Step::waiting;
    if (upgraded_) return Step::open;
    if (last_answer_) {
      stream_.finish();
      return Step::over;
    }
    if (in_.empty()) {
      std::array<uint8_t, kReadSize> room;
      const Io io = stream_.read(room);
      if (io.status == IoStatus::again) return Step::waiting;
      if (io.status != IoStatus::ok) return fail(stream_.trouble());
      in_.assign(base::as_text(base::Bytes(room).first(io.count)));
    }
    base::ByteReader in(base::as_bytes(in_));
    const auto progress = parser_.advance(in);
    in_.erase(0, in_.size() - in.size());
    if (!progress) {
      refuse(proto::refusal_of(progress.error()), false);
    } else if (*progress == proto::HeadParser::Progress::done) {
      ++milestones_;
      answer(parser_.head());
      parser_.clear();
    }
  }
}

void Door::answer(const proto::RequestHead& head) {
  if (pages_.any() && !proto::wants_websocket(head)) return answer_page(head);
  const auto decision = proto::decide_upgrade(head);
  if (const auto* refusal = std::get_if<proto::HttpRefusal>(&decision))
    return refuse(*refusal, head.method() == "HEAD");
  const auto& upgrade = std::get<proto::Upgrade>(decision);
  out_ = upgrade.answer;
  upgraded_ = upgrade.subprotocol;
}

void Door::answer_page(const proto::RequestHead& head) {
  browses_ = true;
  const bool without_body = head.method() == "HEAD";
  if (const auto refusal = proto::check_request(head)) return refuse(*refusal, without_body);
  const auto candidates = proto::page_candidates(head.target());
  if (const auto* refusal = std::get_if<proto::HttpRefusal>(&candidates))
    return refuse(*refusal, without_body);
  page_ = pages_.open(std::get<0>(candidates));
  if (!page_.file) {
    refuse({404, "There is no such page.", ""}, without_body);
    trouble_.clear();  // pages name files that a package left out: nobody misbehaves
    return;
  }
  base::log_debug("page %s", base::escape(page_.path).c_str());  // the target's query may hold a password
  last_answer_ = !proto::keeps_alive(head);
  out_ = proto::page_head(proto::media_type(page_.path), page_.size, !last_answer_);
  body_at_ = 0;
  body_left_ = without_body ? 0 : page_.size;
}

void Door::refuse(const proto::HttpRefusal& refusal, bool without_body) {
  out_ = proto::to_text(refusal, without_body);
  last_answer_ = true;
  trouble_ = "HTTP " + std::to_string(refusal.status) + ": " + std::string(refusal.reason);
}

// Of the answer under way, as much as the socket takes. False: the connection is of no more use.
bool Door::send_answer() {
  while (!out_.empty()) {
    const Io io = stream_.write(base::as_bytes(out_), body_left_ > 0);
    if (io.status != IoStatus::ok) return io.status == IoStatus::again;
    out_.erase(0, io.count);
  }
  if (!send_body()) return false;
  return stream_.flush().status != IoStatus::error;
}

bool Door::send_body() {
  std::array<uint8_t, kBodyChunk> room;
  while (body_left_ > 0) {
    const size_t size = static_cast<size_t>(std::min<uint64_t>(room.size(), body_left_));
    const ssize_t count = ::pread(page_.file.get(), room.data(), size, static_cast<off_t>(body_at_));
    if (count <= 0) return false;  // the file became shorter than its announced length
    const Io io = stream_.write(base::Bytes(room).first(static_cast<size_t>(count)));
    if (io.status != IoStatus::ok) return io.status == IoStatus::again;
    body_at_ += io.count;
    body_left_ -= io.count;
    ++milestones_;
  }
  page_ = {};
  return true;
}

Link Door::take() {
  if (!upgraded_) return Link(std::move(stream_));
  const auto mode =
      *upgraded_ == proto::Subprotocol::base64 ? proto::WsCodec::Mode::base64 : proto::WsCodec::Mode::binary;
  return Link(std::move(stream_), mode, base::as_bytes(in_));
}

}  // namespace vncauthproxy::worker
