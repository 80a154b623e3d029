// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/control_server.h"

#include <algorithm>
#include <utility>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::master {

using base::Clock;
using proto::kMaxRequestBytes;

ControlServer::ControlServer(net::Loop& loop, std::vector<ControlListener> listeners, Login& login,
                             const net::TlsServer* tls, Requested requested)
    : loop_(loop),
      login_(login),
      tls_(tls),
      requested_(std::move(requested)),
      rooms_(kMaxWaiting * kMaxRequestBytes) {
  for (size_t i = kMaxWaiting; i-- > 0;) free_rooms_.push_back(rooms_.room().data() + i * kMaxRequestBytes);
  for (ControlListener& listener : listeners)
    acceptors_.emplace_back(
        loop, std::move(listener.fd),
        [this, speech = listener.speech, tls = listener.tls](base::Fd socket, const base::Endpoint& peer) {
          admit(std::move(socket), peer, speech, tls);
        });
}

void ControlServer::admit(base::Fd socket, const base::Endpoint& peer, proto::Speech speech, bool tls) {
  const std::string name = net::name_of_peer(socket.get(), peer);
  base::log_debug("New control connection from %s", name.c_str());
  if (!make_room(peer)) {
    base::log_warning("control client %s refused: too many connections are waiting", name.c_str());
    const std::string text =
        proto::to_text(speech.home, proto::Failure{proto::FailureCode::busy, "too many connections"});
    if (!tls) net::Stream(std::move(socket)).write(base::as_bytes(text));
    return;
  }
  net::Stream stream = tls ? net::Stream(std::move(socket), *tls_) : net::Stream(std::move(socket));
  const uint64_t id = next_id_++;
  auto conn = std::make_unique<ControlConn>(loop_, *this, id, std::move(stream), peer,
                                            std::span<char>(free_rooms_.back(), kMaxRequestBytes), speech);
  free_rooms_.pop_back();
  waiting_.push_back(conn.get());
  conns_.emplace(id, std::move(conn));
}

// At a limit the connection that has been here longest without logging in goes, if it has had its chance. One
// that was refused counts until it is closed: who guesses passwords waits for each answer that is held back.
bool ControlServer::make_room(const base::Endpoint& peer) {
  const auto of_host = [&peer](const ControlConn* conn) { return base::same_host(conn->peer(), peer); };
  const size_t allowed = login_.suspect(peer, Clock::now()) ? 1 : kMaxWaitingPerHost;
  const bool host_full =
      static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), of_host)) >= allowed;
  if (!host_full && waiting_.size() < kMaxWaiting) return true;
  const auto oldest = host_full ? std::find_if(waiting_.begin(), waiting_.end(), of_host) : waiting_.begin();
  if (Clock::now() - (*oldest)->since() < kPatience) return false;
  ControlConn& leaver = **oldest;
  waiting_.erase(oldest);  // also if its last words take a moment
  if (leaver.answered())
    closed(leaver);
  else
    leaver.refuse({proto::FailureCode::busy, "too many connections are waiting"});
  return true;
}

bool ControlServer::login_ok(const proto::Request& request) {
  return login_.verify(request.auth_user, request.auth_password);
}

std::chrono::milliseconds ControlServer::login_failed(const base::Endpoint& peer) {
  return login_.failed(peer, Clock::now());
}

void ControlServer::requested(ControlConn& conn, proto::Request request) {
  waiting_.remove(&conn);
  std::string who = conn.peer_name();
  if (!request.auth_user.empty()) who = base::escape(request.auth_user) + " at " + who;
  requested_(conn.id(), who, std::move(request));
}

void ControlServer::request_over(ControlConn& conn) {
  if (conn.room().empty()) return;
  base::wipe(conn.room().first(conn.filled()));
  free_rooms_.push_back(conn.room().data());
}

void ControlServer::closed(ControlConn& conn) {
  request_over(conn);
  waiting_.remove(&conn);
  conns_.erase(conn.id());
}

bool ControlServer::reply(uint64_t conn, const proto::Reply& reply) {
  const auto at = conns_.find(conn);
  return at != conns_.end() && at->second->reply(reply);
}

}  // namespace vncauthproxy::master
