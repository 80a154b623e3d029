// SPDX-License-Identifier: GPL-2.0-or-later
// The open port: several candidates side by side, each with its own deadlines. The first to give a right
// response wins; at that moment the port closes and the others go, but for those at the password: they are
// told in the place of their result, since browsers show nothing before. A candidate that presents no
// credential costs the forwarding nothing.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/net/listener.h"
#include "vncauthproxy/net/loop.h"
#include "vncauthproxy/proto/rfb_server.h"
#include "worker/pages.h"
#include "worker/peer_link.h"
#include "worker/viewer_transport.h"

namespace vncauthproxy::worker {

// A viewer that has answered its challenge. Only ViewerSide has the proof that it takes to make one.
class VerifiedViewer {
 public:
  VerifiedViewer(proto::Verified, Link its_link, proto::RfbServer its_handshake, const base::Endpoint& from)
      : link(std::move(its_link)), handshake(std::move(its_handshake)), peer(from) {}

  // What is still owed to it: that it is let through, or why not after all. False: it is gone.
  bool grant();
  void refuse(std::string_view reason);

  Link link;  // what the viewer sent beyond its response is received first
  proto::RfbServer handshake;
  base::Endpoint peer;
};

class ViewerSide {
 public:
  static constexpr size_t kMaxCandidates = 64;
  static constexpr std::string_view kTooLate = "Another viewer was first";

  using Verified = std::function<void(VerifiedViewer)>;
  using GaveUp = std::function<void(std::string reason)>;  // no viewer will come any more
  // Takes the listeners and the pages out of the handover, which is a loan otherwise, as `tls` is; none: no
  // TLS. One of the two functions is called, once, and may destroy this object.
  ViewerSide(net::Loop& loop, ipc::Handover& handover, const net::TlsServer& tls, Verified verified,
             GaveUp gave_up);
  ~ViewerSide();

  // No more viewers; those here are told why.
  void stop(std::string_view reason);
  // Once a viewer is in: others are there yet who will be told, and need this object.
  bool has_losers() const { return !candidates_.empty(); }

 private:
  struct Candidate;
  enum class Port : uint8_t {
    open,
    open_again,  // for those alone who gave a wrong response
    shut
  };

  void admit(base::Fd socket, const base::Endpoint& peer);
  void make_room(const base::Endpoint& newcomer);
  void ready(Candidate& candidate);
  void advance_transport(Candidate& candidate);
  void greet(Candidate& candidate);
  void read_handshake(Candidate& candidate);
  base::Error in_words(const Candidate& candidate, base::Error error) const;
  void arm_deadline(Candidate& candidate);
  void out_of_time(Candidate& candidate);
  bool is_expected(const base::Endpoint& peer) const;
  void expect_again(const base::Endpoint& peer);
  void fail(Candidate& candidate, const base::Error& error);
  void refuse(Candidate& candidate, std::string_view reason);
  void drop(const Candidate& candidate);
  void let_in(Candidate& candidate, proto::Verified proof);
  void tell_loser(Candidate& candidate);
  void note(base::LogLevel level, const base::Endpoint& peer, const std::string& text);
  void note_refused(const Candidate& candidate, const std::string& why);
  void remove(const Candidate& candidate);
  void port_is_due();
  std::chrono::milliseconds time_for_pages();
  void shut_port();
  void close_port();
  void give_up_if_alone();
  void give_up(std::string reason);

  net::Loop& loop_;
  const ipc::Handover& handover_;
  const net::TlsServer& tls_;
  proto::Trials trials_;
  Verified verified_;
  GaveUp gave_up_;
  unsigned attempts_left_;
  base::RepeatFilter lines_;
  Pages pages_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  Port port_ = Port::open;
  net::Timer port_deadline_;
  base::Clock::time_point opened_;
  base::Clock::time_point last_page_;     // when a piece of one was last taken
  std::vector<base::Endpoint> expected_;  // who gave a wrong response and may try again
  base::Clock::time_point expected_until_;
  std::vector<std::unique_ptr<Candidate>> candidates_;  // oldest first
};

}  // namespace vncauthproxy::worker
