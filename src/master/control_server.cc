// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/control_server.h"

#include <algorithm>
#include <utility>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::master {

using base::Clock;
using proto::kMaxRequestBytes;

namespace {

proto::Failure too_many() {
  return {proto::FailureCode::busy, "too many connections are waiting"};
}

}  // namespace

PendingLimits limits_of(const config::Options& options) {
  PendingLimits limits{options.max_pending, options.max_pending_per_address, options.exempt_networks};
  for (const char* loopback : {"127.0.0.0/8", "::1"}) limits.exempt.push_back(*base::parse_network(loopback));
  return limits;
}

ControlServer::ControlServer(net::Loop& loop, std::vector<ControlListener> listeners, Login& login,
                             const net::TlsServer* tls, PendingLimits limits, Requested requested)
    : loop_(loop),
      login_(login),
      tls_(tls),
      requested_(std::move(requested)),
      limits_(std::move(limits)),
      rooms_(limits_.all * kMaxRequestBytes),
      oldest_had_its_chance_(loop, [this] { pause_or_go_on(); }) {
  for (size_t i = limits_.all; i-- > 0;) free_rooms_.push_back(rooms_.room().data() + i * kMaxRequestBytes);
  for (ControlListener& listener : listeners)
    acceptors_.emplace_back(
        loop, std::move(listener.fd),
        [this, speech = listener.speech, tls = listener.tls](base::Fd socket, const base::Endpoint& peer) {
          admit(std::move(socket), peer, speech, tls);
        });
}

void ControlServer::admit(base::Fd socket, const base::Endpoint& peer, proto::Speech speech, bool tls) {
  base::log_debug("New control connection from %s", net::name_of_peer(socket.get(), peer).c_str());
  const bool welcome = make_room(peer);
  std::span<char> room;
  if (welcome) {
    room = {free_rooms_.back(), kMaxRequestBytes};
    free_rooms_.pop_back();
  }
  net::Stream stream = tls ? net::Stream(std::move(socket), *tls_) : net::Stream(std::move(socket));
  const uint64_t id = next_id_++;
  ControlConn& conn = *conns_
                           .emplace(id, std::make_unique<ControlConn>(loop_, *this, id, std::move(stream),
                                                                      peer, room, speech))
                           .first->second;
  if (!welcome) return keep_for_goodbye(conn).turn_away(too_many());
  waiting_.push_back(&conn);
  pause_or_go_on();
}

size_t ControlServer::allowed_for(const base::Endpoint& peer) const {
  if (login_.suspect(peer, Clock::now())) return 1;
  return base::any_contains(limits_.exempt, peer) ? limits_.all : limits_.per_address;
}

// At a limit the connection that has been here longest without logging in goes, if it has had its chance. One
// that was refused counts until it is closed: who guesses passwords waits for each answer that is held back.
bool ControlServer::make_room(const base::Endpoint& peer) {
  const auto of_host = [&peer](const ControlConn* conn) { return base::same_host(conn->peer(), peer); };
  const bool host_full =
      static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), of_host)) >= allowed_for(peer);
  if (!host_full && waiting_.size() < limits_.all) return true;
  const auto oldest = host_full ? std::find_if(waiting_.begin(), waiting_.end(), of_host) : waiting_.begin();
  if (Clock::now() - (*oldest)->since() < kPatience) return false;
  ControlConn& leaver = **oldest;
  waiting_.erase(oldest);
  if (leaver.answered())
    closed(leaver);
  else
    keep_for_goodbye(leaver).refuse(too_many());
  return true;
}

ControlConn& ControlServer::keep_for_goodbye(ControlConn& conn) {
  if (turned_away_.size() == kMaxTurnedAway) closed(*turned_away_.front());
  turned_away_.push_back(&conn);
  return conn;
}

// While all places are taken nobody is accepted, until one is free or the oldest has had its chance: those
// who queue up are served later than they could be, but they are served.
void ControlServer::pause_or_go_on() {
  const bool full = !waiting_.empty() && waiting_.size() >= limits_.all;
  const auto age = full ? Clock::now() - waiting_.front()->since() : Clock::duration();
  const bool pause = full && age < kPatience;
  if (pause) oldest_had_its_chance_.start(std::chrono::ceil<std::chrono::milliseconds>(kPatience - age));
  for (net::Acceptor& acceptor : acceptors_) acceptor.pause(pause);
}

bool ControlServer::login_ok(const proto::Request& request) {
  return login_.verify(request.auth_user, request.auth_password);
}

std::chrono::milliseconds ControlServer::login_failed(const base::Endpoint& peer) {
  return login_.failed(peer, Clock::now());
}

void ControlServer::requested(ControlConn& conn, proto::Request request) {
  waiting_.remove(&conn);
  pause_or_go_on();
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
  turned_away_.remove(&conn);
  conns_.erase(conn.id());
  pause_or_go_on();
}

bool ControlServer::reply(uint64_t conn, const proto::Reply& reply) {
  const auto at = conns_.find(conn);
  return at != conns_.end() && at->second->reply(reply);
}

}  // namespace vncauthproxy::master
