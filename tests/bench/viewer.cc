// SPDX-License-Identifier: GPL-2.0-or-later
#include "viewer.h"

#include <jansson.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "backend.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/handles.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::bench {
namespace {

constexpr std::string_view kBanner = "RFB 003.008\n";

const char* type_of(Wrapping wrapping) {
  switch (wrapping) {
    case Wrapping::plain:
      return "vnc";
    case Wrapping::ws:
      return "vnc-ws";
    case Wrapping::tls:
      return "vnc-tls";
    case Wrapping::wss:
      return "vnc-wss";
  }
  return "";
}

}  // namespace

std::string user_name(unsigned number) {
  return "bench" + std::to_string(number);
}

const char* name_of(Viewer::Phase phase) {
  constexpr std::array<const char*, 12> names{"asking",  "granted",     "connecting", "tls",
                                              "upgrade", "version",     "types",      "challenge",
                                              "result",  "server_init", "running",    "over"};
  return names[static_cast<size_t>(phase)];
}

void Viewer::Observer::failed(Viewer& viewer, const std::string& why) {
  die("a viewer failed in phase %s: %s", name_of(viewer.phase()), why.c_str());
}

Viewer::Viewer(Loop& loop, const Route& route, Behaviour behaviour, Observer& observer)
    : loop_(loop), route_(route), behaviour_(behaviour), observer_(observer), port_(route.port) {}

Viewer::~Viewer() = default;

void Viewer::close() {
  phase_ = Phase::over;
  control_.reset();
  line_.reset();
}

void Viewer::fail(const std::string& why) {
  observer_.failed(*this, why);
  close();
}

void Viewer::ask(unsigned user, unsigned source) {
  request_ = "{\"source_port\": 0, \"destination_address\": \"127.0.0.1\", \"destination_port\": " +
             std::to_string(route_.backend_port) + ", \"password\": \"" + kVncPassword +
             "\", \"auth_user\": \"" + user_name(user) + "\", \"auth_password\": \"" + kUserPassword +
             "\", \"type\": \"" + type_of(route_.wrapping) + "\"}";
  asked_at = Clock::now();
  phase_ = Phase::asking;
  control_ = start_connect(route_.port, source);
  loop_.watch(control_.get(), EPOLLOUT, *this);
}

void Viewer::connect() {
  if (!route_.by_control) asked_at = Clock::now();
  phase_ = Phase::connecting;
  line_.emplace(start_connect(port_), route_.wrapping);
  loop_.watch(line_->fd(), EPOLLOUT, *this);
}

void Viewer::ready(uint32_t) {
  if (phase_ == Phase::over) return;
  if (control_) return read_reply();
  if (phase_ == Phase::running) return run();
  if (step_connection()) handshake();
}

void Viewer::read_reply() {
  if (!request_.empty()) {
    const ssize_t sent = ::send(control_.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request_.size()))
      return fail(std::string("cannot send the request: ") + std::strerror(errno));
    request_.clear();
    return loop_.change(control_.get(), EPOLLIN, *this);
  }
  std::array<char, 2048> room;
  const ssize_t got = ::recv(control_.get(), room.data(), room.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return fail("no whole reply before the end: \"" + reply_ + "\"");
  reply_.append(room.data(), static_cast<size_t>(got));
  parse_reply();
}

void Viewer::parse_reply() {
  const base::Handle<json_t> reply(::json_loadb(reply_.data(), reply_.size(), 0, nullptr));
  if (!reply) return;  // not whole yet
  const char* status = ::json_string_value(::json_object_get(reply.get(), "status"));
  const json_int_t port = ::json_integer_value(::json_object_get(reply.get(), "source_port"));
  if (status == nullptr || std::strcmp(status, "OK") != 0 || port <= 0 || port > UINT16_MAX)
    return fail("the reply is " + reply_);
  replied_at = Clock::now();
  port_ = static_cast<uint16_t>(port);
  phase_ = Phase::granted;
  control_.reset();
  observer_.replied(*this);
}

bool Viewer::step_connection() {
  if (phase_ == Phase::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(line_->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      fail(std::strerror(error));
      return false;
    }
    loop_.change(line_->fd(), EPOLLIN, *this);
    if (!line_->wants_tls())
      start_rfb();
    else
      phase_ = Phase::tls;
  }
  if (phase_ == Phase::tls) {
    uint32_t events = EPOLLIN;
    const Line::Step step = line_->tls_handshake(events);
    if (step == Line::Step::failed) fail("TLS handshake");
    if (step == Line::Step::again) loop_.change(line_->fd(), events, *this);
    if (step != Line::Step::done) return false;
    loop_.change(line_->fd(), EPOLLIN, *this);
    start_rfb();
  }
  if (phase_ == Phase::upgrade) {
    const Line::Step step = line_->read_upgrade();
    if (step == Line::Step::failed) fail("no WebSocket upgrade");
    if (step != Line::Step::done) return false;
    phase_ = Phase::version;
  }
  return phase_ != Phase::over;
}

// Below RFB everything stands; the server speaks first.
void Viewer::start_rfb() {
  phase_ = line_->wants_upgrade() ? Phase::upgrade : Phase::version;
  if (phase_ == Phase::upgrade && !line_->send_upgrade()) fail("cannot ask for the upgrade");
}

void Viewer::handshake() {
  const Line::Step step = line_->receive([this](base::Bytes bytes) { input_ += base::as_text(bytes); });
  const size_t before = input_.size();
  while (phase_ != Phase::over && phase_ != Phase::running && advance()) {
  }
  if (phase_ == Phase::over) return;
  if (step == Line::Step::failed) return fail("closed after " + std::to_string(before) + " more bytes");
  // Over TLS more may be waiting inside OpenSSL than epoll will ever tell.
  if (phase_ == Phase::running && line_->wants_tls()) run();
}

// Takes one whole message of the server; false when it is not there yet, or the viewer has failed.
bool Viewer::advance() {
  const auto take = [this](size_t count) { input_.erase(0, count); };
  switch (phase_) {
    case Phase::version:
      if (input_.size() < kBanner.size()) return false;
      if (!input_.starts_with(kBanner)) break;
      take(kBanner.size());
      phase_ = Phase::types;
      return line_->send(kBanner);
    case Phase::types:
      return choose_type();
    case Phase::challenge:
      return answer_challenge();
    case Phase::result:
      if (input_.size() < 4) return false;
      if (!input_.starts_with(std::string_view("\0\0\0\0", 4))) break;
      take(4);
      authenticated_at = Clock::now();
      phase_ = Phase::server_init;
      observer_.authenticated(*this);
      return phase_ != Phase::over && line_->send("\x01");
    case Phase::server_init:
      if (input_.size() < kServerInitSize) return false;
      take(kServerInitSize);
      start_running();
      return true;
    default:
      break;
  }
  fail("not what RFB has here");
  return false;
}

bool Viewer::choose_type() {
  if (input_.empty()) return false;
  const auto count = static_cast<uint8_t>(input_[0]);
  if (input_.size() < 1U + count) return false;
  const std::string offered = input_.substr(1, count);
  input_.erase(0, 1U + count);
  const bool none = offered.find('\x01') != std::string::npos;
  if (!none && offered.find('\x02') == std::string::npos) {
    fail("no security type in common");
    return false;
  }
  phase_ = none ? Phase::result : Phase::challenge;
  return line_->send(none ? "\x01" : "\x02");
}

bool Viewer::answer_challenge() {
  if (input_.size() < proto::kChallengeSize) return false;
  proto::Challenge challenge;
  std::copy_n(input_.begin(), challenge.size(), challenge.begin());
  input_.erase(0, challenge.size());
  const proto::Response response = proto::vnc_response(base::Secret(kVncPassword), challenge);
  phase_ = Phase::result;
  return line_->send(base::as_text(response));
}

void Viewer::start_running() {
  phase_ = Phase::running;
  const bool flood = behaviour_ == Behaviour::flood || behaviour_ == Behaviour::verified_flood;
  if (behaviour_ != Behaviour::idle && !line_->send(flood ? std::string{kFlood} : std::string{kEcho}))
    return fail("cannot send");
  observer_.running(*this);
}

void Viewer::run() {
  Line::Step step = Line::Step::done;
  if (behaviour_ == Behaviour::flood)
    step = line_->receive([this](base::Bytes bytes) { received_ += bytes.size(); });
  else if (behaviour_ == Behaviour::echo)
    step = line_->receive([this](base::Bytes bytes) { take_echo(bytes); });
  else
    step = line_->receive([this](base::Bytes bytes) { verify(bytes); });
  if (phase_ == Phase::over) return;
  if (corrupt_) return fail("the bytes that came are not the bytes that were sent");
  if (step == Line::Step::failed) return fail("closed in mid-session");
  if (behaviour_ == Behaviour::echo && received_ != 0 && received_ == expected_.size()) {
    received_ = 0;
    expected_.clear();
    observer_.echoed(*this);
  }
}

void Viewer::send_message(std::string_view message) {
  expected_ = message;
  received_ = 0;
  if (!line_->send(message)) fail("cannot send");
}

void Viewer::take_echo(base::Bytes bytes) {
  if (received_ + bytes.size() > expected_.size() ||
      std::memcmp(bytes.data(), expected_.data() + received_, bytes.size()) != 0)
    corrupt_ = true;
  received_ += bytes.size();
}

void Viewer::verify(base::Bytes bytes) {
  while (!bytes.empty() && !corrupt_) {
    const base::Bytes part = bytes.first(std::min(bytes.size(), kFloodPeriod));
    corrupt_ = behaviour_ == Behaviour::idle ||
               std::memcmp(part.data(), flood_from(received_).data(), part.size()) != 0;
    received_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

}  // namespace vncauthproxy::bench
