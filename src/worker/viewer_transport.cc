// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker/viewer_transport.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/proto/web_page.h"

namespace vncauthproxy::worker {

using net::Io;
using net::IoStatus;
using proto::HttpRefusal;
using proto::Language;
using proto::ViewerType;

namespace {

constexpr size_t kReadSize = 4096;
constexpr size_t kBodyChunk = 16 * 1024;

constexpr HttpRefusal kNotInClear{400, "This port takes HTTPS: its address begins with https://", ""};
constexpr HttpRefusal kNoBrowsers{400, "This port is for VNC viewers with TLS, and no browser's.", ""};

bool takes_requests(ViewerType type) {
  return type == ViewerType::vnc_ws || type == ViewerType::vnc_wss;
}

// Input that nobody read would reset the connection when it closes, and take the last answer along.
void throw_input_away(int fd) {
  std::array<uint8_t, kReadSize> waste;
  for (int i = 0; i < 16 && ::recv(fd, waste.data(), waste.size(), MSG_DONTWAIT) > 0; ++i) {
  }
}

// In the place of a TLS record. Best effort: what does not fit an empty socket buffer is not worth waiting
// for.
void answer_in_clear(int fd, const HttpRefusal& refusal) {
  throw_input_away(fd);
  const std::string text = proto::to_text(refusal);
  ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(fd, SHUT_WR);
}

}  // namespace

ViewerTransport::ViewerTransport(net::Stream stream, ViewerType type, Pages& pages)
    : stream_(std::move(stream)), type_(type), pages_(pages) {}

ViewerTransport::Step ViewerTransport::fail(std::string trouble) {
  trouble_ = std::move(trouble);
  return Step::over;
}

ViewerTransport::Step ViewerTransport::advance() {
  if (!stream_.established()) {
    if (const Step step = shake_hands(); step != Step::ready) return step;
  }
  return takes_requests(type_) ? serve() : Step::ready;
}

ViewerTransport::Step ViewerTransport::shake_hands() {
  if (!heard_) {
    if (const auto step = listen_first()) return *step;
  }
  const Io io = stream_.handshake();
  if (io.status == IoStatus::again) return Step::waiting;
  if (io.status != IoStatus::ok) return fail(stream_.trouble());
  ++milestones_;
  return Step::ready;
}

// Before OpenSSL, which would answer clear text with an alert that neither people nor their browsers
// understand. Nullopt: it may be TLS, or the end.
std::optional<ViewerTransport::Step> ViewerTransport::listen_first() {
  std::array<uint8_t, 8> first;
  const ssize_t count = ::recv(stream_.fd(), first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Step::waiting;
  if (count <= 0) return std::nullopt;
  heard_ = true;
  const Language language = proto::language_of(base::Bytes(first).first(static_cast<size_t>(count)));
  if (language != Language::http && language != Language::rfb) return std::nullopt;
  trouble_ = proto::wrong_language(language, type_);
  if (language == Language::http)
    answer_in_clear(stream_.fd(), takes_requests(type_) ? kNotInClear : kNoBrowsers);
  return Step::over;
}

std::string ViewerTransport::delay() const {
  if (heard_) return stream_.established() ? "its request took too long" : "its TLS handshake took too long";
  return "it said nothing; a port of type " + std::string(to_string(type_)) + " takes " +
         std::string(proto::language_for(type_));
}

size_t ViewerTransport::unacknowledged() const {
  int count = 0;
  return ::ioctl(stream_.fd(), SIOCOUTQ, &count) == 0 && count > 0 ? static_cast<size_t>(count) : 0;
}

// ---- requests

ViewerTransport::Step ViewerTransport::serve() {
  if (!answering()) {
    if (const auto step = take_request()) return *step;
  }
  if (!send_answer()) return Step::over;
  if (answering()) return Step::waiting;
  if (upgraded_) return Step::ready;
  if (!last_answer_) return Step::waiting;
  stream_.finish();
  throw_input_away(stream_.fd());
  return Step::over;
}

// Nullopt: there is an answer.
std::optional<ViewerTransport::Step> ViewerTransport::take_request() {
  if (in_.empty()) {
    std::array<uint8_t, kReadSize> room;
    const Io io = stream_.read(room);
    if (io.status == IoStatus::again) return Step::waiting;
    if (io.status != IoStatus::ok) return fail(stream_.trouble());
    in_.assign(base::as_text(base::Bytes(room).first(io.count)));
    if (!language_) language_ = proto::language_of(base::as_bytes(in_));
    heard_ = true;
  }
  base::ByteReader in(base::as_bytes(in_));
  const auto progress = parser_.advance(in);
  in_.erase(0, in_.size() - in.size());
  if (!progress) {
    refuse(proto::refusal_of(progress.error()), false);
    if (language_ == Language::tls || language_ == Language::rfb)
      trouble_ = proto::wrong_language(*language_, type_);
    return std::nullopt;
  }
  if (*progress == proto::HeadParser::Progress::need_more) return Step::waiting;
  ++milestones_;
  answer(parser_.head());
  parser_.clear();
  return std::nullopt;
}

void ViewerTransport::answer(const proto::RequestHead& head) {
  if (pages_.any() && !proto::wants_websocket(head)) return answer_page(head);
  const auto decision = proto::decide_upgrade(head);
  if (!decision) return refuse(decision.error(), head.method() == "HEAD");
  out_ = decision->answer;
  upgraded_ = decision->subprotocol;
}

void ViewerTransport::answer_page(const proto::RequestHead& head) {
  browses_ = true;
  const bool without_body = head.method() == "HEAD";
  if (const auto refusal = proto::check_request(head)) return refuse(*refusal, without_body);
  const auto candidates = proto::page_candidates(head.target());
  if (!candidates) return refuse(candidates.error(), without_body);
  page_ = pages_.open(*candidates, proto::accepts_gzip(head));
  if (!page_.found()) {
    refuse({404, "There is no such page.", ""}, without_body);
    trouble_.clear();  // pages name files that a package left out: nobody misbehaves
    return;
  }
  base::log_debug("page %s", base::escape(page_.path).c_str());  // the target's query may hold a password
  last_answer_ = !proto::keeps_alive(head);
  const proto::PageForm form{proto::media_type(page_.path),
                             page_.size,
                             page_.tag,
                             !page_.gzip.empty(),
                             head.target().find('?') == std::string_view::npos,
                             !last_answer_};
  const bool has_it = proto::has_already(head, page_.tag);
  out_ = has_it ? proto::not_modified_head(form) : proto::page_head(form);
  body_at_ = 0;
  body_left_ = without_body || has_it ? 0 : page_.size;
}

void ViewerTransport::refuse(const proto::HttpRefusal& refusal, bool without_body) {
  out_ = proto::to_text(refusal, without_body);
  last_answer_ = true;
  trouble_ = "HTTP " + std::to_string(refusal.status) + ": " + std::string(refusal.reason);
}

// Of the answer under way, as much as the socket takes; of a page one piece. False: the connection is of no
// more use.
bool ViewerTransport::send_answer() {
  while (!out_.empty()) {
    const Io io = stream_.write(base::as_bytes(out_), body_left_ > 0);
    if (io.status != IoStatus::ok) return io.status == IoStatus::again;
    out_.erase(0, io.count);
  }
  if (body_left_ > 0 && !send_body()) return false;
  if (body_left_ == 0) page_ = {};
  return stream_.flush().status != IoStatus::error;
}

bool ViewerTransport::send_body() {
  std::array<uint8_t, kBodyChunk> room;
  const auto size = static_cast<size_t>(std::min<uint64_t>(room.size(), body_left_));
  base::Bytes piece = page_.gzip;
  if (page_.file) {
    const ssize_t count = ::pread(page_.file.get(), room.data(), size, static_cast<off_t>(body_at_));
    if (count <= 0) return false;  // the file became shorter than its announced length
    piece = base::Bytes(room).first(static_cast<size_t>(count));
  } else {
    piece = piece.subspan(body_at_, size);
  }
  const Io io = stream_.write(piece);
  if (io.status != IoStatus::ok) return io.status == IoStatus::again;
  body_at_ += io.count;
  body_left_ -= io.count;
  ++milestones_;
  return true;
}

Link ViewerTransport::take() {
  if (!upgraded_) return Link(std::move(stream_));
  const auto mode =
      *upgraded_ == proto::Subprotocol::base64 ? proto::WsCodec::Mode::base64 : proto::WsCodec::Mode::binary;
  return Link(std::move(stream_), mode, base::as_bytes(in_));
}

}  // namespace vncauthproxy::worker
