// SPDX-License-Identifier: GPL-2.0-or-later
// One peer's RFB bytes in each wrapping without TLS: what is received, sent, owed, and put on the socket by
// the relay itself.
#include "worker/peer_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/peer.h"
#include "tests/support/ws_viewer.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::worker {
namespace {

using net::Io;
using net::IoStatus;
using proto::WsCodec;
using testing::make_frame;
using testing::Peer;
using namespace testing::opcode;

// As a server sends it.
std::string from_server(uint8_t opcode, std::string_view payload) {
  return make_frame(opcode, payload, {.masked = false});
}

struct Fixture {
  Peer& fresh_peer(base::Fd& ours) {
    auto pair = testing::tcp_pair(16384);
    ours = std::move(pair.first);
    peer = Peer(std::move(pair.second));
    return peer;
  }
  void plain() {
    base::Fd ours;
    fresh_peer(ours);
    link = std::make_unique<Link>(net::Stream(std::move(ours)));
  }
  void websocket(WsCodec::Mode mode = WsCodec::Mode::binary, std::string_view early = {}) {
    base::Fd ours;
    fresh_peer(ours);
    link = std::make_unique<Link>(net::Stream(std::move(ours)), mode, base::as_bytes(early));
  }
  bool send(std::string_view rfb) { return link->send(base::as_bytes(rfb)); }
  // One call, and what came of it: the bytes, or the name of the status.
  std::string receive(size_t most = 4096) {
    std::array<uint8_t, 4096> into;
    const Io io = link->receive(std::span(into).first(most));
    if (io.status == IoStatus::ok) return {into.begin(), into.begin() + static_cast<long>(io.count)};
    return io.status == IoStatus::again ? "again" : io.status == IoStatus::end ? "end" : "error";
  }
  bool puts_on_socket(std::string_view bytes) {
    return ::send(link->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // Sends until something is owed. Returns the RFB bytes of all that was sent.
  std::string send_until_owed() {
    std::string all;
    const std::string piece(50000, 'p');
    for (int i = 0; i < 1000 && !link->owes(); ++i) {
      if (!send(piece)) return "";
      all += piece;
    }
    return all;
  }
  // Small pieces may wait for an acknowledgement of those before them.
  bool gets(std::string_view text) {
    for (const testing::Deadline deadline; !deadline.passed() && !peer.over();)
      if (peer.has(text)) return true;
    return peer.got == text;
  }
  bool ends_with(std::string_view text) {
    for (const testing::Deadline deadline; !deadline.passed() && !peer.pull().over();) continue;
    return peer.got == text && peer.ended;
  }
  // Flushes while the peer reads, until nothing is owed and `size` bytes came.
  bool peer_gets(size_t size) {
    for (const testing::Deadline deadline; !deadline.passed();) {
      if (!link->flush()) return false;
      if (peer.pull().got.size() >= size && !link->owes()) return peer.got.size() == size;
    }
    return false;
  }

  Peer peer;
  std::unique_ptr<Link> link;
};

void plain_bytes_travel_as_they_are(Fixture& f) {
  f.plain();
  const bool sent = f.send("from us"), got = f.gets("from us");
  f.peer.send_all("from the peer");
  const bool received = f.receive() == "from the peer", no_more = f.receive() == "again";
  f.peer.finish();
  const bool end = f.receive() == "end";
  assert_true(sent && got);
  assert_true(received && no_more && end);
}

void websocket_bytes_travel_in_frames(Fixture& f) {
  f.websocket();
  const bool sent = f.send("from us"), got = f.gets(from_server(kBinary, "from us"));
  f.peer.send_all(make_frame(kBinary, "from the peer"));
  const bool received = f.receive() == "from the peer", no_more = f.receive() == "again";
  assert_true(sent && got);
  assert_true(received && no_more);
}

void base64_bytes_travel_in_texts(Fixture& f) {
  f.websocket(WsCodec::Mode::base64);
  const bool sent = f.send("abcd"), got = f.gets(from_server(kText, "YWJjZA=="));
  f.peer.send_all(make_frame(kText, "YWJjZA=="));
  const bool received = f.receive() == "abcd";
  assert_true(sent && got);
  assert_true(received);
}

void nothing_sent_is_no_frame(Fixture& f) {
  f.websocket();
  const bool sent = f.send(""), nothing = f.peer.pull().got.empty();
  assert_true(sent && nothing);
}

// Cut at each byte: the second part comes behind the request head or later.
void frames_behind_the_request_are_received_first(Fixture& f) {
  const std::string frame = make_frame(kBinary, "early");
  for (size_t cut = 0; cut <= frame.size(); ++cut) {
    f.websocket(WsCodec::Mode::binary, std::string_view(frame).substr(0, cut));
    const bool pending = f.link->pending();
    f.peer.send_all(std::string_view(frame).substr(cut));
    std::string all;
    for (int i = 0; i < 4 && all != "early"; ++i)
      if (const std::string some = f.receive(); some != "again") all += some;
    const bool right = all == "early" && !f.link->pending();
    assert_int_equal(pending, cut > 0);
    assert_true(right);
  }
}

void unread_bytes_are_received_first(Fixture& f) {
  for (const bool framed : {false, true}) {
    framed ? f.websocket() : f.plain();
    f.peer.send_all(framed ? make_frame(kBinary, "later") : "later");
    f.link->unread(base::as_bytes("put back"));
    const bool pending = f.link->pending();
    const bool first = f.receive(4) == "put ", second = f.receive() == "back";
    const bool pending_after = f.link->pending();
    const bool third = f.receive() == "later";
    assert_true(pending && !pending_after);
    assert_true(first && second && third);
  }
}

void what_the_socket_does_not_take_is_owed(Fixture& f) {
  for (const bool framed : {false, true}) {
    framed ? f.websocket() : f.plain();
    const std::string sent = f.send_until_owed();
    const size_t headers = framed ? sent.size() / 50000 * 4 : 0;
    const bool all = f.peer_gets(sent.size() + headers);
    f.peer.got.clear();
    const bool goes_on = f.send("next") && f.gets(framed ? from_server(kBinary, "next") : "next");
    assert_true(!sent.empty());
    assert_true(all);
    assert_true(goes_on);
  }
}

void dropped_bytes_are_not_owed(Fixture& f) {
  f.plain();
  const bool owed = (f.send_until_owed(), f.link->owes());
  f.link->drop_owed();
  assert_true(owed);
  assert_false(f.link->owes());
}

void a_pong_waits_behind_what_is_owed(Fixture& f) {
  f.websocket();
  const std::string sent = f.send_until_owed();
  f.peer.send_all(make_frame(kPing, "there?"));
  const bool again = f.receive() == "again";
  const std::string pong = from_server(kPong, "there?");
  const bool all = f.peer_gets(sent.size() + sent.size() / 50000 * 4 + pong.size());
  const bool last = f.peer.got.size() > pong.size() && f.peer.got.ends_with(pong);
  assert_true(again && all && last);
}

void who_can_be_spliced(Fixture& f) {
  f.plain();
  const bool plain = f.link->can_splice_from() && f.link->can_splice_to();
  f.websocket();
  const bool framed = !f.link->can_splice_from() && f.link->can_splice_to();
  f.websocket(WsCodec::Mode::base64);
  const bool base64 = !f.link->can_splice_from() && !f.link->can_splice_to();
  assert_true(plain);
  assert_true(framed);
  assert_true(base64);
}

void an_announced_frame_may_come_in_parts(Fixture& f) {
  f.websocket();
  const auto size = f.link->announce(6);
  const bool first = f.puts_on_socket("spl") && f.link->delivered(3);
  const bool in_frame = f.link->in_frame();
  f.peer.send_all(make_frame(kPing, "?"));
  const bool again = f.receive() == "again";  // its pong must not come within the frame
  const auto left = f.link->announce(3);
  const bool second = f.puts_on_socket("ice") && f.link->delivered(3);
  const bool right = f.gets(from_server(kBinary, "splice") + from_server(kPong, "?"));
  assert_int_equal(size.value_or(0), 6);
  assert_int_equal(left.value_or(0), 3);
  assert_true(first && in_frame && again && second);
  assert_true(right);
  assert_false(f.link->in_frame());
}

// As when a relay that was in the middle of a frame gives its ends back.
void an_announced_frame_can_be_ended_by_copying(Fixture& f) {
  f.websocket();
  f.link->announce(6);
  const bool first = f.puts_on_socket("spl") && f.link->delivered(3);
  const bool rest = f.send("iceand on");
  const bool right = f.gets(from_server(kBinary, "splice") + from_server(kBinary, "and on"));
  assert_true(first && rest);
  assert_true(right);
}

void after_a_close_nothing_is_sent(Fixture& f) {
  f.websocket();
  f.peer.send_all(make_frame(kBinary, "last") + make_frame(kClose, testing::close_payload(1000)));
  const bool last = f.receive() == "last", pending = f.link->pending();
  const bool end = f.receive() == "end";
  const bool closing = f.link->closing() && !f.send("more") && !f.link->announce(4);
  const bool told = f.gets(from_server(kClose, testing::close_payload(1000)));
  assert_true(last && pending && end);
  assert_true(closing);
  assert_true(told);
}

void a_breach_is_named(Fixture& f) {
  f.websocket();
  f.peer.send_all(make_frame(kText, "no text here"));
  std::string last;
  for (int i = 0; i < 3 && last != "error"; ++i) last = f.receive();
  const bool failed = last == "error";
  const bool named = f.link->trouble().starts_with("breach of WebSocket: ");
  assert_true(failed);
  assert_true(named);
}

void finish_says_goodbye_and_ends_the_stream(Fixture& f) {
  f.websocket();
  f.link->finish(Goodbye::going_away, "down");
  const bool told = f.ends_with(from_server(kClose, testing::close_payload(1001, "down")));
  f.plain();
  f.link->finish(Goodbye::going_away, "down");
  const bool silent = f.ends_with("");
  assert_true(told);
  assert_true(silent);
}

}  // namespace
}  // namespace vncauthproxy::worker

int main() {
  using namespace vncauthproxy::worker;
  const CMUnitTest tests[] = {
      TEST(Fixture, plain_bytes_travel_as_they_are),
      TEST(Fixture, websocket_bytes_travel_in_frames),
      TEST(Fixture, base64_bytes_travel_in_texts),
      TEST(Fixture, nothing_sent_is_no_frame),
      TEST(Fixture, frames_behind_the_request_are_received_first),
      TEST(Fixture, unread_bytes_are_received_first),
      TEST(Fixture, what_the_socket_does_not_take_is_owed),
      TEST(Fixture, dropped_bytes_are_not_owed),
      TEST(Fixture, a_pong_waits_behind_what_is_owed),
      TEST(Fixture, who_can_be_spliced),
      TEST(Fixture, an_announced_frame_may_come_in_parts),
      TEST(Fixture, an_announced_frame_can_be_ended_by_copying),
      TEST(Fixture, after_a_close_nothing_is_sent),
      TEST(Fixture, a_breach_is_named),
      TEST(Fixture, finish_says_goodbye_and_ends_the_stream),
  };
  return vncauthproxy::testing::run_group("peer_link", tests);
}
