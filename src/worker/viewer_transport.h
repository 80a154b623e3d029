// SPDX-License-Identifier: GPL-2.0-or-later
// The transport of a viewer before it speaks RFB: the TLS handshake where there is TLS, the request of a
// WebSocket where there is one. Before that request a browser may ask for pages, as many as it likes, on as
// many connections.
#pragma once

#include <optional>
#include <string>

#include "vncauthproxy/net/stream.h"
#include "vncauthproxy/proto/control.h"
#include "vncauthproxy/proto/http_answer.h"
#include "vncauthproxy/proto/http_head.h"
#include "vncauthproxy/proto/language.h"
#include "vncauthproxy/proto/ws_upgrade.h"
#include "worker/pages.h"
#include "worker/peer_link.h"

namespace vncauthproxy::worker {

class ViewerTransport {
 public:
  enum class Step {
    waiting,
    ready,  // take() the link
    over    // this connection will never speak RFB; trouble() says why
  };
  // `pages` is a loan.
  ViewerTransport(net::Stream stream, proto::ViewerType type, Pages& pages);

  // When the socket is readable, or writable while wants_write(). Does a piece of work and no more, however
  // much the peer sends: one request, one answer or a part of it.
  Step advance();
  // There is something to send, or something read that waits for its turn.
  bool wants_write() const { return answering() || !in_.empty() || stream_.pending(); }
  // Grows with each thing passed or answered: the time allowed starts anew.
  unsigned milestones() const { return milestones_; }
  // Pages were asked for here, and no WebSocket so far.
  bool browses() const { return browses_; }
  // Nothing is on its way to the browser: all it asked for has been sent.
  bool idle() const { return browses_ && !answering() && in_.empty(); }
  bool secured() const { return stream_.secure() && stream_.established(); }
  // How many bytes the peer has not acknowledged yet.
  size_t unacknowledged() const;
  const std::string& trouble() const { return trouble_; }  // "": the peer went, or got all it asked for
  // Why it is still here, for when its time is over.
  std::string delay() const;
  Link take();
  int fd() const { return stream_.fd(); }

 private:
  Step fail(std::string trouble);
  Step shake_hands();
  std::optional<Step> listen_first();
  Step serve();
  std::optional<Step> take_request();
  void answer(const proto::RequestHead& head);
  void answer_page(const proto::RequestHead& head);
  void refuse(const proto::HttpRefusal& refusal, bool without_body);
  bool answering() const { return !out_.empty() || body_left_ > 0 || stream_.owes(); }
  bool send_answer();
  bool send_body();

  net::Stream stream_;
  proto::ViewerType type_;
  Pages& pages_;
  unsigned milestones_ = 0;
  std::string trouble_;

  bool heard_ = false;                       // something came
  std::optional<proto::Language> language_;  // of the first request, or of what came in its place
  proto::HeadParser parser_;
  std::string in_;   // read and not yet parsed
  std::string out_;  // answered and not yet sent
  Pages::Page page_;
  uint64_t body_at_ = 0, body_left_ = 0;
  bool browses_ = false;
  bool last_answer_ = false;  // the connection ends after it
  std::optional<proto::Subprotocol> upgraded_;
};

}  // namespace vncauthproxy::worker
