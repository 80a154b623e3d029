// SPDX-License-Identifier: GPL-2.0-or-later
// One connection, plain and TLS: bytes whole and in order, the two kinds of end, peers that leave at any
// moment; and what our TLS side refuses to speak.
#include "vncauthproxy/net/stream.h"

#include <unistd.h>

#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/certificate.h"
#include "tests/support/loop_until.h"
#include "tests/support/pattern.h"
#include "tests/support/peer.h"
#include "tests/support/tls_client.h"
#include "tests/support/tls_record.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::net {
namespace {

using base::as_bytes;
using testing::Deadline;
using testing::Pattern;
using testing::Peer;
using testing::tcp_pair;
using testing::TlsClient;
using testing::TlsOffer;

// SIGPIPE has its default here: a stream must not raise it.

const TlsServer& server_with(base::Handle<EVP_PKEY> (*make_key)(), const char* min_version = "1.2") {
  static std::vector<std::pair<std::pair<void*, std::string>, TlsServer>> made;
  const std::pair<void*, std::string> id(reinterpret_cast<void*>(make_key), min_version);
  for (const auto& [known, tls] : made)
    if (known == id) return tls;
  const auto key = make_key();
  char cert_file[] = "/tmp/test_stream.XXXXXX", key_file[] = "/tmp/test_stream.XXXXXX";
  const base::Fd cert(::mkstemp(cert_file)), secret(::mkstemp(key_file));
  const std::string cert_text = testing::certificate_pem(key.get()), key_text = testing::key_pem(key.get());
  (void)!::write(cert.get(), cert_text.data(), cert_text.size());
  (void)!::write(secret.get(), key_text.data(), key_text.size());
  auto tls =
      load_tls_server({::geteuid(), cert_file, key_file, min_version, "ECDHE+AESGCM:ECDHE+CHACHA20", ""});
  ::unlink(cert_file);
  ::unlink(key_file);
  made.reserve(4);
  return made.emplace_back(id, std::move(*tls)).second;
}

struct Fixture {
  void make_plain(int buffers = 0) {
    auto pair = tcp_pair(buffers);
    stream = std::make_unique<Stream>(std::move(pair.first));
    peer = Peer(std::move(pair.second));
  }
  void make_tls(const TlsOffer& offer = {}, int buffers = 0, bool rsa = false) {
    auto pair = tcp_pair(buffers);
    got.clear();
    last = IoStatus::again;
    stream = std::make_unique<Stream>(std::move(pair.first),
                                      server_with(rsa ? testing::make_rsa_key : testing::make_ec_key));
    client = std::make_unique<TlsClient>(std::move(pair.second), offer);
  }

  bool offers_legacy(const TlsOffer& offer, bool rsa) {
    auto pair = tcp_pair();
    last = IoStatus::again;
    const auto& server = server_with(rsa ? testing::make_rsa_key : testing::make_ec_key, kLegacyTls);
    stream = std::make_unique<Stream>(std::move(pair.first), server);
    client = std::make_unique<TlsClient>(std::move(pair.second), offer);
    return shake_hands();
  }

  // From here on each send is a packet of its own. For what we send only: packets cannot be read in pieces.
  void keep_sends_apart() {
    const base::FdPair pair = std::move(*base::socket_pair(SOCK_SEQPACKET));
    ::dup2(pair.first.get(), stream->fd());
    ::dup2(pair.second.get(), client->peer.get());
  }

  // One read, whose bytes are appended to `got`.
  IoStatus read(size_t most = 65536) {
    std::vector<uint8_t> room(most);
    const Io io = stream->read(room);
    got.append(base::as_text(base::Bytes(room).first(io.count)));
    last = io.status;
    return io.status;
  }
  // Both sides in turn until `done` or a deadline.
  template <typename Done>
  bool converse(Done done, Deadline deadline = {}) {
    while (!done()) {
      if (deadline.passed()) return false;
      client->step();
      if (last == IoStatus::again || last == IoStatus::ok) read();
      if (stream->owes()) stream->flush();
    }
    return true;
  }
  bool shake_hands() {
    return converse([this] {
             return (client->established() && stream->established()) || client->failed ||
                    last == IoStatus::error;
           }) &&
           client->established() && stream->established();
  }
  bool offers(const TlsOffer& offer, bool rsa = false) {
    make_tls(offer, 0, rsa);
    return shake_hands();
  }
  // Until the plain peer's bytes are there.
  IoStatus await_read() {
    const Deadline deadline;
    IoStatus status = IoStatus::again;
    while (status == IoStatus::again && !deadline.passed()) {
      testing::wait_fd(stream->fd(), POLLIN, deadline);
      status = read();
    }
    return status;
  }

  std::unique_ptr<Stream> stream;
  std::unique_ptr<TlsClient> client;
  Peer peer;
  std::string got;
  IoStatus last = IoStatus::again;
};

bool is(IoStatus status, IoStatus expected) {
  return status == expected;
}

// ---- plain

void plain_bytes_go_both_ways(Fixture& f) {
  f.make_plain();
  assert_true(f.stream->established());
  assert_false(f.stream->secure());
  assert_true(is(f.read(), IoStatus::again));
  f.peer.send_all("hello");
  assert_true(is(f.await_read(), IoStatus::ok));
  const bool heard = f.got == "hello";
  assert_true(heard);
  const Io io = f.stream->write(as_bytes("and back"));
  assert_true(is(io.status, IoStatus::ok));
  assert_int_equal(io.count, 8);
  const bool back = testing::wait_until([&f] { return f.peer.has("and back"); });
  assert_true(back);
  assert_false(f.stream->owes());
  assert_false(f.stream->pending());
  assert_true(is(f.stream->flush().status, IoStatus::ok));
  assert_true(is(f.stream->handshake().status, IoStatus::ok));
}

void a_plain_end_is_an_end(Fixture& f) {
  f.make_plain();
  f.peer.send_all("bye");
  f.peer.finish();
  assert_true(is(f.await_read(), IoStatus::ok));
  assert_true(is(f.await_read(), IoStatus::end));
  assert_true(is(f.read(), IoStatus::end));
  const Io io = f.stream->write(as_bytes("still heard"));
  assert_true(is(io.status, IoStatus::ok));
  f.stream->finish();
  const bool ended = testing::wait_until([&f] { return f.peer.pull().ended; });
  const bool all = f.peer.got == "still heard";
  assert_true(ended && all);
}

void a_plain_reset_is_an_error(Fixture& f) {
  f.make_plain();
  f.peer.reset();
  assert_true(is(f.await_read(), IoStatus::error));
  const Io io = f.stream->write(as_bytes("to nobody"));
  assert_true(is(io.status, IoStatus::error));
}

void a_plain_write_takes_what_there_is_room_for(Fixture& f) {
  f.make_plain(8192);
  static std::string bytes(1 << 20, 'x');
  const Io io = f.stream->write(as_bytes(bytes));
  assert_true(is(io.status, IoStatus::ok));
  assert_in_range(io.count, 1, bytes.size() - 1);
  IoStatus status = IoStatus::ok;
  for (int i = 0; i < 1000 && status == IoStatus::ok; ++i) status = f.stream->write(as_bytes(bytes)).status;
  assert_true(is(status, IoStatus::again));
  assert_false(f.stream->owes());
}

// ---- TLS: bytes

void tls_bytes_go_both_ways(Fixture& f) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    f.make_tls({version, version});
    assert_true(f.stream->secure());
    assert_false(f.stream->established());
    const bool shaken = f.shake_hands();
    assert_true(shaken);
    assert_int_equal(::SSL_version(f.client->ssl()), version);
    f.client->write("hello");
    const bool heard = f.converse([&f] { return f.got == "hello"; });
    const Io io = f.stream->write(as_bytes("and back"));
    const bool back = f.converse([&f] { return f.client->got == "and back"; });
    assert_true(heard && back);
    assert_true(is(io.status, IoStatus::ok));
    assert_int_equal(io.count, 8);
    assert_false(f.stream->owes());
  }
}

void the_handshake_can_be_taken_in_steps(Fixture& f) {
  f.make_tls();
  assert_true(is(f.stream->handshake().status, IoStatus::again));
  IoStatus status = IoStatus::again;
  for (const Deadline deadline; status == IoStatus::again && !deadline.passed();) {
    f.client->step();
    status = f.stream->handshake().status;
  }
  assert_true(is(status, IoStatus::ok));
  assert_true(f.stream->established());
  assert_true(is(f.stream->handshake().status, IoStatus::ok));
}

void nothing_can_be_written_before_the_handshake(Fixture& f) {
  f.make_tls();
  const Io io = f.stream->write(as_bytes("too early"));
  assert_true(is(io.status, IoStatus::again));
  assert_int_equal(io.count, 0);
  assert_false(f.stream->owes());
  const bool shaken = f.shake_hands();
  assert_true(shaken);
  assert_int_equal(f.client->got.size(), 0);
}

void a_small_buffer_leaves_the_rest_pending(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  static std::string bytes(10000, 'x');
  Pattern(3).fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  f.client->write(bytes);
  const Deadline deadline;
  while (f.got.empty() && !deadline.passed()) f.read(100);
  assert_int_equal(f.got.size(), 100);
  assert_true(f.stream->pending());
  int unread = -1;
  ::ioctl(f.stream->fd(), FIONREAD, &unread);
  assert_int_equal(unread, 0);  // no Watch would tell
  while (f.stream->pending() && !deadline.passed()) f.read(100);
  const bool all = f.got == bytes;
  assert_true(all);
  assert_false(f.stream->pending());
}

void bulk_is_intact_both_ways(Fixture& f) {
  constexpr size_t kTotal = 4 << 20;
  f.make_tls();
  f.shake_hands();
  static std::vector<uint8_t> chunk(100000);
  static Pattern down(1), down_expected(1), up(2), up_expected(2);
  size_t queued = 0;
  const bool done = f.converse([&] {
    if (down.position() < kTotal && !f.stream->owes()) {
      down.fill(chunk);
      if (f.stream->write(chunk).count != chunk.size()) return false;
    }
    if (queued < kTotal && f.client->unsent.empty()) {
      up.fill(chunk);
      f.client->write(base::as_text(chunk));
      queued += chunk.size();
    }
    down_expected.check(as_bytes(f.client->got));
    f.client->got.clear();
    up_expected.check(as_bytes(f.got));
    f.got.clear();
    return down_expected.position() >= kTotal && down_expected.position() == down.position() &&
           up_expected.position() >= kTotal && up_expected.position() == queued;
  });
  assert_true(done);
  assert_true(down_expected.intact());
  assert_true(up_expected.intact());
}

// On a socket that keeps sends apart each packet is one.
void the_records_of_one_write_leave_in_one_send(Fixture& f) {
  f.make_tls();
  const bool shaken = f.shake_hands();
  assert_true(shaken);
  f.keep_sends_apart();
  static const std::string bytes(65536, 'x');
  const size_t before = f.client->packets, bytes_before = f.client->cipher_bytes;
  const Io io = f.stream->write(as_bytes(bytes));
  f.client->step();
  assert_true(is(io.status, IoStatus::ok));
  assert_int_equal(f.client->got.size(), bytes.size());
  assert_int_equal(f.client->packets - before, 1);
  assert_true(f.client->cipher_bytes - bytes_before > bytes.size());
}

void what_follows_at_once_leaves_together(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  f.keep_sends_apart();
  const size_t before = f.client->packets;
  f.stream->write(as_bytes("header"), true);
  const bool held = f.stream->owes();
  f.stream->write(as_bytes("payload"));
  f.client->step();
  const bool both = f.client->got == "headerpayload";
  assert_true(held);
  assert_true(both);
  assert_int_equal(f.client->packets - before, 1);
}

void a_client_that_does_not_read_is_owed_and_bounded(Fixture& f) {
  f.make_tls({}, 16384);
  f.shake_hands();
  static std::vector<uint8_t> chunk(50000);
  static Pattern pattern(5), expected(5);
  size_t taken = 0;
  IoStatus status = IoStatus::ok;
  for (int i = 0; i < 1000 && status == IoStatus::ok; ++i) {
    pattern.fill(chunk);
    const Io io = f.stream->write(chunk);
    status = io.status;
    taken += io.count;
  }
  assert_true(is(status, IoStatus::again));
  assert_true(f.stream->owes());
  assert_in_range(taken, 50000, 1 << 20);
  assert_true(is(f.stream->flush().status, IoStatus::again));
  const bool all = f.converse([&] {
    expected.check(as_bytes(f.client->got));
    f.client->got.clear();
    return expected.position() == taken;
  });
  assert_true(all);
  assert_true(expected.intact());
  assert_false(f.stream->owes());
  f.stream->relax();
  const Io io = f.stream->write(as_bytes("goes on"));
  const bool goes_on = f.converse([&f] { return f.client->got == "goes on"; });
  assert_true(is(io.status, IoStatus::ok));
  assert_true(goes_on);
}

void a_stream_may_be_moved(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  {
    Stream other(std::move(*f.stream));
    *f.stream = std::move(other);
  }
  f.client->write("hello");
  const bool heard = f.converse([&f] { return f.got == "hello"; });
  f.stream->write(as_bytes("and back"));
  const bool back = f.converse([&f] { return f.client->got == "and back"; });
  assert_true(heard && back);
  auto pair = std::make_unique<base::FdPair>(tcp_pair());
  *f.stream = Stream(std::move(pair->first));  // the old one goes with all it had
  pair.reset();
  const bool ended = testing::wait_until([&f] { return f.client->step().peer.over(); });
  assert_true(ended);
}

// ---- TLS: ends

void close_notify_is_an_end(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  f.client->write("bye");
  f.client->close_notify();
  const bool ended = f.converse([&f] { return f.last != IoStatus::again && f.last != IoStatus::ok; });
  assert_true(ended);
  assert_true(is(f.last, IoStatus::end));
  const bool all = f.got == "bye";
  assert_true(all);
  // A client that says no more may still be told something.
  f.stream->write(as_bytes("still heard"));
  f.stream->finish();
  const bool heard = testing::wait_until([&f] { return f.client->step().closed; });
  const bool whole = f.client->got == "still heard";
  assert_true(heard && whole);
}

// RFB and WebSocket know their own ends; a FIN alone says as much.
void an_end_without_close_notify_is_an_end(Fixture& f) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    f.make_tls({version, version});
    f.shake_hands();
    f.client->write("bye");
    f.client->peer.finish();
    const bool ended = f.converse([&f] { return f.last != IoStatus::again && f.last != IoStatus::ok; });
    assert_true(ended);
    assert_true(is(f.last, IoStatus::end));
    const bool all = f.got == "bye";
    assert_true(all);
  }
}

void finish_says_goodbye_in_tls_and_in_tcp(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  f.stream->write(as_bytes("last words"));
  f.stream->finish();
  const bool ended = testing::wait_until([&f] { return f.client->step().peer.ended; });
  const bool all = f.client->got == "last words";
  assert_true(ended && all);
  assert_true(f.client->closed);
}

void a_tls_reset_is_an_error(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  f.client->peer.reset();
  assert_true(is(f.await_read(), IoStatus::error));
  const Io io = f.stream->write(as_bytes("to nobody"));
  assert_true(is(io.status, IoStatus::error));
}

// At every moment of its handshake, politely and rudely.
void a_client_that_leaves_at_once_does_no_harm(Fixture& f) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (int steps = 0; steps < 5; ++steps) {
      for (const bool rude : {false, true}) {
        f.make_tls({version, version});
        for (int i = 0; i < steps; ++i) {
          f.client->step();
          f.read();
        }
        if (rude)
          f.client->peer.reset();
        else
          f.client->peer.close();
        const Deadline deadline;
        while ((f.last == IoStatus::again || f.last == IoStatus::ok) && !deadline.passed()) {
          testing::wait_fd(f.stream->fd(), POLLIN, deadline);
          f.read();
        }
        const bool over = f.last == IoStatus::end || f.last == IoStatus::error;
        f.stream->write(as_bytes("to nobody"));
        f.stream->write(as_bytes("to nobody"));
        f.stream->finish();
        if (!over) fail_msg("version %x, %d steps, rude %d: not over", version, steps, rude);
      }
    }
  }
}

void what_is_no_tls_is_an_error_with_words(Fixture& f) {
  f.make_tls();
  f.client->peer.send_all("{\"id\": 1}\r\n\r\n");
  assert_true(is(f.await_read(), IoStatus::error));
  const bool told = f.stream->trouble().starts_with("TLS: ");
  assert_true(told);
  assert_true(is(f.read(), IoStatus::error));
}

// ---- TLS: what is spoken

void tls_1_1_and_older_are_refused(Fixture& f) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    const bool shaken = f.offers({version, version, "ALL:@SECLEVEL=0"});
    const bool told = testing::wait_until([&f] { return f.client->step().failed; });
    assert_false(shaken);
    assert_true(told);
    assert_int_equal(f.client->reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  }
  assert_true(f.offers({TLS1_2_VERSION, TLS1_2_VERSION}));
  assert_true(f.offers({TLS1_3_VERSION, TLS1_3_VERSION}));
}

// For the control port alone, if the operator insists: what clients of 2012 speak, and all that is spoken
// otherwise; but nothing without encryption or a certificate, and no RC4 or 3DES.
void legacy_is_spoken_where_it_is_asked_for(Fixture& f) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION}) {
    assert_true(f.offers_legacy({version, version, "AES256-SHA:@SECLEVEL=0"}, true));
    assert_true(f.offers_legacy({version, version, "AES128-SHA:@SECLEVEL=0"}, true));
    assert_true(f.offers_legacy({version, version, "ECDHE-RSA-AES256-SHA:@SECLEVEL=0"}, true));
    assert_true(f.offers_legacy({version, version, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"}, false));
    assert_false(f.offers_legacy({version, version, "aNULL:eNULL:3DES:RC4:@SECLEVEL=0"}, true));
    assert_false(f.offers({version, version, "AES256-SHA:@SECLEVEL=0"}, true));
  }
  assert_true(f.offers_legacy({TLS1_2_VERSION, TLS1_2_VERSION}, false));
  assert_true(f.offers_legacy({TLS1_3_VERSION, TLS1_3_VERSION}, false));
}

// Every cipher that the library has for TLS 1.2, one by one, against both kinds of certificate.
void only_ecdhe_with_aead_is_spoken(Fixture& f) {
  static std::vector<std::string> names;
  {
    const base::Handle<SSL_CTX> context(::SSL_CTX_new(::TLS_client_method()));
    ::SSL_CTX_set_security_level(context.get(), 0);
    ::SSL_CTX_set_cipher_list(context.get(), "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
    STACK_OF(SSL_CIPHER)* all = ::SSL_CTX_get_ciphers(context.get());
    for (int i = 0; i < sk_SSL_CIPHER_num(all); ++i) {
      const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(all, i);
      if (std::string_view(::SSL_CIPHER_get_version(cipher)) != "TLSv1.3")
        names.emplace_back(::SSL_CIPHER_get_name(cipher));
    }
  }
  assert_true(names.size() > 40);
  unsigned spoken = 0;
  for (const std::string& name : names) {
    const bool good = name.starts_with("ECDHE-") && name.find("PSK") == name.npos &&
                      (name.find("GCM") != name.npos || name.find("CHACHA20") != name.npos);
    for (const bool rsa : {false, true}) {
      const bool fits = name.starts_with(rsa ? "ECDHE-RSA-" : "ECDHE-ECDSA-");
      const bool expected = good && fits && name.find("ARIA") == name.npos;
      const bool got = f.offers({TLS1_2_VERSION, TLS1_2_VERSION, name.c_str()}, rsa);
      spoken += got ? 1 : 0;
      if (got != expected) fail_msg("%s with %s: %d", name.c_str(), rsa ? "RSA" : "ECDSA", got);
    }
  }
  assert_int_equal(spoken, 6);
}

void nothing_can_be_resumed_or_compressed(Fixture& f) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    f.offers({version, version});
    f.stream->write(as_bytes("x"));
    const bool got = f.converse([&f] { return f.client->got == "x"; });
    assert_true(got);
    assert_null(::SSL_get_current_compression(f.client->ssl()));
    assert_int_equal(::SSL_SESSION_is_resumable(::SSL_get0_session(f.client->ssl())) != 0 &&
                         ::SSL_SESSION_has_ticket(::SSL_get0_session(f.client->ssl())) != 0,
                     0);
    unsigned id_size = 99;
    ::SSL_SESSION_get_id(::SSL_get0_session(f.client->ssl()), &id_size);
    if (version == TLS1_2_VERSION) assert_int_equal(id_size, 0);
  }
}

void renegotiation_is_refused(Fixture& f) {
  f.offers({TLS1_2_VERSION, TLS1_2_VERSION});
  const long before = SSL_total_renegotiations(f.client->ssl());
  const int asked = ::SSL_renegotiate(f.client->ssl());
  ::SSL_do_handshake(f.client->ssl());
  const bool refused = f.converse([&f] { return f.client->failed || f.last == IoStatus::error; });
  assert_int_equal(before, 0);
  assert_int_equal(asked, 1);
  assert_true(refused);
  assert_false(::SSL_is_init_finished(f.client->ssl()) && !f.client->failed);
}

// ---- TLS: peers that feed us without end

bool update_keys(Fixture& f, int count) {
  for (int i = 0; i < count; ++i)
    if (!f.client->update_key()) return false;
  return true;
}

// Others have their turn between two portions, however fast a client is.
void a_read_takes_a_portion_of_records(Fixture& f) {
  f.make_tls();
  f.shake_hands();
  constexpr size_t kRecords = 1000;
  for (size_t i = 0; i < kRecords; ++i) f.client->write("x");
  const IoStatus status = f.await_read();
  const size_t portion = f.got.size();
  assert_true(is(status, IoStatus::ok));
  assert_in_range(portion, 1, kRecords / 10);
  const bool all = f.converse([&f] { return f.got.size() == kRecords; });
  assert_true(all);
}

void a_few_key_updates_between_data_are_fine(Fixture& f) {
  f.make_tls({TLS1_3_VERSION, TLS1_3_VERSION});
  f.shake_hands();
  for (const char* word : {"one", "two", "three"}) {
    f.got.clear();
    const bool updated = update_keys(f, 32);
    f.client->write(word);
    const bool heard = f.converse([&] { return f.got == word; });
    assert_true(updated && heard);
  }
  f.stream->write(as_bytes("and back"));
  const bool back = f.converse([&f] { return f.client->got == "and back"; });
  assert_true(back);
}

void too_many_key_updates_end_it(Fixture& f) {
  for (const bool with_data_behind : {false, true}) {
    f.make_tls({TLS1_3_VERSION, TLS1_3_VERSION});
    f.shake_hands();
    const bool updated = update_keys(f, 33);
    if (with_data_behind) f.client->write("x");
    const bool over = f.converse([&f] { return f.last == IoStatus::error; });
    const bool told = f.stream->trouble() == "TLS: more than 32 key updates without data between";
    assert_true(updated && over);
    assert_true(told);
    assert_true(is(f.read(), IoStatus::error));
  }
}

// The engine then writes nothing before it has the other half, and a loop that waits for the socket to take
// something would never rest.
void half_a_key_update_is_the_end_of_writing(Fixture& f) {
  f.make_tls({TLS1_3_VERSION, TLS1_3_VERSION, nullptr, "TLS_AES_128_GCM_SHA256"});
  f.shake_hands();
  static const std::string half("\x18\0\0\x01", 4);
  const bool sent = f.client->peer.send_all(
      testing::first_record(f.client->traffic_secret, testing::kHandshakeRecord, half));
  const Deadline deadline;
  testing::wait_fd(f.stream->fd(), POLLIN, deadline);
  const IoStatus read = f.read();
  const Io io = f.stream->write(as_bytes("to nobody"));
  assert_true(sent);
  assert_true(is(read, IoStatus::again));
  assert_true(is(io.status, IoStatus::error));
}

// A client that does not read: its answers are kept up to a limit, then it is not read either, and once it
// reads all goes on.
void a_client_that_is_owed_many_answers_is_not_read(Fixture& f) {
  constexpr size_t kRounds = 1000;
  f.make_tls({TLS1_3_VERSION, TLS1_3_VERSION}, 16384);
  f.shake_hands();
  bool updated = true;
  for (size_t i = 0; i < kRounds; ++i) {
    updated = update_keys(f, 16) && f.client->write("x") && updated;
    f.read();
  }
  const size_t taken = f.got.size();
  const bool all = f.converse([&f] { return f.got.size() == kRounds; });
  assert_true(updated);
  assert_in_range(taken, 1, kRounds / 3);
  assert_true(all);
}

}  // namespace
}  // namespace vncauthproxy::net

int main() {
  using namespace vncauthproxy::net;
  const CMUnitTest tests[] = {
      TEST(Fixture, plain_bytes_go_both_ways),
      TEST(Fixture, a_plain_end_is_an_end),
      TEST(Fixture, a_plain_reset_is_an_error),
      TEST(Fixture, a_plain_write_takes_what_there_is_room_for),
      TEST(Fixture, tls_bytes_go_both_ways),
      TEST(Fixture, the_handshake_can_be_taken_in_steps),
      TEST(Fixture, nothing_can_be_written_before_the_handshake),
      TEST(Fixture, a_small_buffer_leaves_the_rest_pending),
      TEST(Fixture, bulk_is_intact_both_ways),
      TEST(Fixture, the_records_of_one_write_leave_in_one_send),
      TEST(Fixture, what_follows_at_once_leaves_together),
      TEST(Fixture, a_client_that_does_not_read_is_owed_and_bounded),
      TEST(Fixture, a_stream_may_be_moved),
      TEST(Fixture, close_notify_is_an_end),
      TEST(Fixture, an_end_without_close_notify_is_an_end),
      TEST(Fixture, finish_says_goodbye_in_tls_and_in_tcp),
      TEST(Fixture, a_tls_reset_is_an_error),
      TEST(Fixture, a_client_that_leaves_at_once_does_no_harm),
      TEST(Fixture, what_is_no_tls_is_an_error_with_words),
      TEST(Fixture, tls_1_1_and_older_are_refused),
      TEST(Fixture, legacy_is_spoken_where_it_is_asked_for),
      TEST(Fixture, only_ecdhe_with_aead_is_spoken),
      TEST(Fixture, nothing_can_be_resumed_or_compressed),
      TEST(Fixture, renegotiation_is_refused),
      TEST(Fixture, a_read_takes_a_portion_of_records),
      TEST(Fixture, a_few_key_updates_between_data_are_fine),
      TEST(Fixture, too_many_key_updates_end_it),
      TEST(Fixture, half_a_key_update_is_the_end_of_writing),
      TEST(Fixture, a_client_that_is_owed_many_answers_is_not_read),
  };
  return vncauthproxy::testing::run_group("stream", tests);
}
