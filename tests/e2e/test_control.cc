// SPDX-License-Identifier: GPL-2.0-or-later
// The control protocol of the built daemon: every reply, every way a request may arrive, every limit.
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/tls.h"

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : Stage {};

struct BothFamilies : Stage {
  // One port for both: the kernel would choose two.
  BothFamilies() : Stage({.options = {"--listen-address", "*", "--listen-port", port_text()}}) {}
  static std::string port_text() { return std::to_string(find_free_range(1)); }
};

struct ListensOnIpv6 : Stage {
  ListensOnIpv6() {
    if (ipv6_works()) v6 = std::make_unique<Daemon>(DaemonSetup{.options = {"--listen-address", "::1"}});
  }
  std::unique_ptr<Daemon> v6;
};

// A daemon with TLS on its control port, beside the plain one of the stage.
struct WithTls : Stage {
  WithTls() : certified(make_certificate(cert(), key())), tls(setup()) {}
  std::string cert() const { return keys.file("cert.pem"); }
  std::string key() const { return keys.file("key.pem"); }
  DaemonSetup setup() const {
    return {.options = {"--enable-ssl", "--cert-file", cert(), "--key-file", key()}};
  }
  TlsClient client(int min_version = TLS1_2_VERSION, int max_version = TLS1_3_VERSION) const {
    return TlsClient(tls.connect(), min_version, max_version);
  }
  std::string good_request() const { return Request{.destination_port = echo_backend.port()}.json(); }

  Folder keys;
  bool certified;
  Daemon tls;
};

// The fixture's good request with one key's text replaced; "" drops the key.
std::string request_with(const Stage& f, std::string_view key, std::string_view value) {
  const std::pair<std::string_view, std::string> keys[] = {
      {"auth_user", "\"tester\""},
      {"auth_password", "\"" + std::string(kLoginSecret) + "\""},
      {"source_port", "0"},
      {"destination_address", "\"127.0.0.1\""},
      {"destination_port", std::to_string(f.echo_backend.port())},
      {"password", "\"" + std::string(kViewerSecret) + "\""},
      {"type", "\"vnc\""}};
  std::string text = "{";
  for (const auto& [name, good] : keys) {
    const std::string_view chosen = name == key ? value : std::string_view(good);
    if (chosen.empty()) continue;
    text += (text.size() > 1 ? ", \"" : "\"") + std::string(name) + "\": " + std::string(chosen);
  }
  return text + "}";
}

// A viewer takes the forwarding of this reply and is echoed.
bool works(const Reply& reply) {
  FakeViewer viewer(reply.port);
  return reply.ok() && viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("ping");
}

void success_has_the_documented_form(Fixture& f) {
  const Reply reply = f.daemon.request(Request{.destination_port = f.echo_backend.port()});
  f.check(reply.text == "{\"source_port\": " + std::to_string(reply.port) +
                            ", \"status\": \"OK\", \"proxy_address\": \"" + reply.proxy_address + "\"}",
          reply.text);
  f.check(!reply.proxy_address.empty());
  f.check(reply.port >= f.daemon.min_port() && reply.port <= f.daemon.max_port(), "a port of the range");
  f.check(works(reply), "a session");
}

void malformed_requests_are_told_so(Fixture& f) {
  std::vector<std::string> rows = {
      "{}",
      "[]",
      "[1, 2]",
      "\"text\"",
      "17",
      "}",
      "{]",
      "{\"a\":}",
      "{\"a\" 1}",
      "{,}",
      "{\"a\": \"\xff\xfe\"}",
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "RFB 003.008\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
      std::string(64, '\0'),
      "\n\n",
  };
  for (const char* key :
       {"auth_user", "auth_password", "source_port", "destination_address", "destination_port", "password"}) {
    if (std::string_view(key) != "password") {  // the daemon makes one
      rows.push_back(request_with(f, key, ""));
      rows.push_back(request_with(f, key, "null"));
    }
    rows.push_back(request_with(f, key, "[]"));
    rows.push_back(request_with(f, key, "{}"));
    rows.push_back(request_with(f, key, "true"));
  }
  for (const char* port : {"-1", "65536", "99999999999999999999", "1.5", "\"\"", "\"12x\"", "\"-1\"",
                           "\"65536\"", "\"0x50\"", "\"5900.0\"", "1000.5"}) {
    rows.push_back(request_with(f, "source_port", port));
    rows.push_back(request_with(f, "destination_port", port));
  }
  rows.push_back(request_with(f, "destination_port", "0"));
  rows.push_back(request_with(f, "destination_address", "\"\""));
  rows.push_back(request_with(f, "destination_address", "\"127.0.0.1\\u0000.example\""));
  rows.push_back(request_with(f, "destination_address", "\"" + std::string(5000, 'a') + "\""));
  rows.push_back(request_with(f, "password", "\"\""));
  rows.push_back(request_with(f, "password", "5"));
  rows.push_back(request_with(f, "type", "5"));
  for (const std::string& row : rows) {
    Socket control = f.daemon.connect();
    control.send(row);
    control.finish_sending();
    const Reply reply = parse_reply(control.read_to_end());
    f.check(reply.failed("bad_request") || reply.failed("unsupported_type"),
            row.substr(0, 60) + " -> " + reply.text);
  }
}

void a_truncated_request_is_told_so(Fixture& f) {
  const std::string whole = request_with(f, "", "");
  for (size_t size = 1; size < whole.size(); size += 7) {
    Socket control = f.daemon.connect();
    control.send(whole.substr(0, size));
    control.finish_sending();
    const Reply reply = parse_reply(control.read_to_end());
    f.check(reply.failed("bad_request"), reply.text);
  }
}

void nothing_sent_is_nothing_said(Fixture& f) {
  Socket control = f.daemon.connect();
  control.finish_sending();
  Got how = Got::nothing;
  const std::string said = control.read_to_end(&how);
  f.check(how != Got::nothing, "closed");
  f.check(said.empty() || parse_reply(said).failed("bad_request"), said);
}

void unknown_types_are_named_as_such(Fixture& f) {
  for (const char* type : {"\"rdp\"", "\"\"", "\"VNC\"", "\"vnc\\u0000\"", "\"spice\""}) {
    const Reply reply = f.daemon.request(request_with(f, "type", type));
    f.check(reply.failed("unsupported_type") || reply.failed("bad_request"), reply.text);
  }
  const Reply reply = f.daemon.request(request_with(f, "type", "\"rdp\""));
  f.check(reply.failed("unsupported_type"), reply.text);
  for (const char* type : {"vnc,", "vnc-ws,", "vnc-wss ", "vnc-tls"})
    f.check(reply.reason.find(type) != std::string::npos, reply.text);
  const Reply lacking = f.daemon.request(request_with(f, "type", "\"vnc-wss\""));
  f.check(lacking.failed("unsupported_type") && lacking.reason.ends_with("there are vnc and vnc-ws"),
          lacking.text);
}

void unknown_user_and_wrong_password_look_the_same(Fixture& f) {
  Request unknown{.destination_port = f.echo_backend.port(), .auth_user = "nobodyhere"};
  Request wrong{.destination_port = f.echo_backend.port(), .auth_password = "wrong"};
  const Reply first = f.daemon.request(unknown), second = f.daemon.request(wrong);
  f.check(first.failed("auth_failed"), first.text);
  f.check(first.text == second.text, second.text);
  f.check(f.daemon.wait_log("wrong user or password (user \"nobodyhere\")"), "the log tells who it was");
  f.check(f.daemon.wait_log("wrong user or password (user \"tester\")"), "the log tells who it was");
  for (const char* user : {"\"\"", "\"tester\\u0000\"", "\"tester:\"", "\"TESTER\"", "\"tester \""}) {
    const Reply reply = f.daemon.request(request_with(f, "auth_user", user));
    f.check(reply.failed("auth_failed") || reply.failed("bad_request"), reply.text);
  }
  // Longer than crypt takes, and with a NUL that must not end it.
  for (const std::string& password : {std::string(600, 'x'), std::string(kLoginSecret) + "\\u0000x"}) {
    const Reply reply = f.daemon.request(request_with(f, "auth_password", "\"" + password + "\""));
    f.check(reply.failed("auth_failed") || reply.failed("bad_request"), reply.text);
  }
}

void lenient_where_the_old_one_was(Fixture& f) {
  const std::string port = std::to_string(f.echo_backend.port());
  f.check(works(f.daemon.request(request_with(f, "type", ""))), "a missing type is vnc");
  f.check(works(f.daemon.request(request_with(f, "source_port", "\"0\""))), "a string of digits");
  f.check(works(f.daemon.request(request_with(f, "destination_port", "\"" + port + "\""))),
          "a string of digits");
  f.check(works(f.daemon.request(request_with(f, "destination_port", port + ".0"))), "a whole number");
  f.check(works(f.daemon.request(request_with(f, "type", "null"))), "a null type is a missing one");
  std::string text = request_with(f, "", "");
  text.insert(1, "\"more\": {\"a\": [1, \"}\", \"\\\"{\"]}, ");
  f.check(works(f.daemon.request(text)), "extra keys");
  f.check(works(f.daemon.request(" \r\n\t" + request_with(f, "", "") + "\r\n")), "blanks around");
  f.check(works(f.daemon.request("\xef\xbb\xbf" + request_with(f, "", ""))), "a byte order mark");
}

void a_port_can_be_asked_for(Fixture& f) {
  const uint16_t outside = find_free_range(1);
  for (const uint16_t port : {outside, f.daemon.max_port()}) {
    const Reply reply =
        f.daemon.request(Request{.destination_port = f.echo_backend.port(), .source_port = port});
    f.check(reply.port == port && works(reply), reply.text);
  }
  for (const uint16_t port : {uint16_t{1}, uint16_t{1023}, f.daemon.port()}) {
    const Reply reply =
        f.daemon.request(Request{.destination_port = f.echo_backend.port(), .source_port = port});
    f.check(reply.failed("bad_request") || reply.failed("port_in_use"), reply.text);
  }
}

void requests_arrive_in_any_pieces(Fixture& f) {
  const std::string text = request_with(f, "", "");
  Socket slow = f.daemon.connect();
  slow.send_each_byte(text);
  f.check(works(parse_reply(slow.read_to_end())), "a byte at a time");
  for (size_t cut = 1; cut < text.size(); cut += 29) {
    Socket control = f.daemon.connect();
    control.send(std::string_view(text).substr(0, cut));
    // The old client library is silent for 0.2 s before it speaks at all.
    if (cut == 1) f.check(control.silent_for(milliseconds(250)), "no answer to half a request");
    control.send(std::string_view(text).substr(cut));
    f.check(works(parse_reply(control.read_to_end())), "in two pieces");
  }
}

void one_request_is_served_and_one_reply_given(Fixture& f) {
  const std::string text = request_with(f, "", "");
  for (const std::string& bytes : {text + text, text + "garbage", text + "\r\n" + text}) {
    Socket control = f.daemon.connect();
    control.send(bytes);
    f.check(works(parse_reply(control.read_to_end())), "one reply, then the end");
  }
}

void both_families_are_served(BothFamilies& f) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    if (*host == ':' && !ipv6_works()) continue;
    Socket control = f.daemon.connect(host);
    control.send(request_with(f, "", ""));
    f.check(works(parse_reply(control.read_to_end())), host);
  }
}

void ipv6_alone_is_served(ListensOnIpv6& f) {
  if (!f.v6) return;
  Socket control = f.v6->connect("::1");
  control.send(request_with(f, "", ""));
  f.check(works(parse_reply(control.read_to_end())));
  f.check(!f.v6->connect("127.0.0.1"), "and nothing else");
}

void large_requests_have_a_limit(Fixture& f) {
  const auto padded = [&](size_t size) {
    std::string text = request_with(f, "", "");
    const std::string head = "\"padding\": \"", tail = "\", ";
    text.insert(1, head + std::string(size - text.size() - head.size() - tail.size(), 'x') + tail);
    return text;
  };
  f.check(works(f.daemon.request(padded(60 * 1024))), "60 KiB");
  f.check(works(f.daemon.request(padded(64 * 1024))), "64 KiB");
  const Reply over = f.daemon.request(padded(65 * 1024));
  f.check(over.failed("bad_request"), over.text);
  const Reply endless = f.daemon.request("{\"a\": \"" + std::string(1'000'000, 'x'));
  f.check(endless.text.empty() || endless.failed("bad_request"), endless.text);
}

void deep_requests_have_a_limit(Fixture& f) {
  const auto nested = [&](size_t depth) {  // the object itself is one level
    std::string text = request_with(f, "", "");
    text.insert(1, "\"deep\": " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + ", ");
    return text;
  };
  f.check(works(f.daemon.request(nested(32))), "32 levels");
  f.check(f.daemon.request(nested(33)).failed("bad_request"), "33 levels");
  const Reply reply = f.daemon.request(std::string(60'000, '{'));
  f.check(reply.failed("bad_request"), reply.text);
  const Reply lists = f.daemon.request("{\"a\": " + std::string(60'000, '['));
  f.check(lists.failed("bad_request"), lists.text);
}

// A panel behind a balancer or a tunnel on this machine is one address.
void a_loopback_address_has_no_limit_of_its_own(WithTls& f) {
  std::list<Socket> idle;
  for (int i = 0; i < 40; ++i) {
    idle.push_back(Socket::connect("127.0.0.1", f.daemon.port(), {}, 0, "127.0.0.2"));
    idle.push_back(Socket::connect("127.0.0.1", f.tls.port(), {}, 0, "127.0.0.2"));
  }
  Socket plain = Socket::connect("127.0.0.1", f.daemon.port(), {}, 0, "127.0.0.2");
  plain.send(f.good_request());
  f.check(works(parse_reply(plain.read_to_end())), "one more, plain");
  TlsClient client(Socket::connect("127.0.0.1", f.tls.port(), {}, 0, "127.0.0.2"));
  f.check(client.handshake() && client.send(f.good_request()), "one more, with TLS");
  const auto said = client.read_to_end();
  f.check(said && works(parse_reply(*said)), said.value_or("nothing"));
  for (const Socket& socket : idle)
    f.check(!wait_fd(socket.get(), POLLIN, milliseconds(0)), "and nobody had to go for it");
}

void the_whole_crowd_has_a_limit(Fixture& f) {
  std::list<Socket> idle;
  for (int address = 2; address < 32; ++address)
    for (int i = 0; i < 16; ++i)
      idle.push_back(
          Socket::connect("127.0.0.1", f.daemon.port(), {}, 0, "127.0.0." + std::to_string(address)));
  // 480 came, 256 may wait: the others wait in the listen queue, until the first ones have had their second.
  size_t turned_away = 0;
  const bool settled = wait_until([&] {
    turned_away = 0;
    for (const Socket& socket : idle) turned_away += wait_fd(socket.get(), POLLIN, milliseconds(0)) ? 1 : 0;
    return turned_away >= 480 - 256;
  });
  f.check(settled && turned_away == 480 - 256, std::to_string(turned_away));
  f.check(parse_reply(idle.front().read_to_end()).failed("busy"), "the first are told");
  f.check(!wait_fd(idle.back().get(), POLLIN, milliseconds(0)), "the last wait");
  f.check(works(f.daemon.request(request_with(f, "", ""))), "served beside them");
}

void few_places_are_shared_in_turn(Fixture& f) {
  Daemon small({.options = {"--max-pending", "3"}});
  std::list<Socket> idle;
  for (int i = 0; i < 3; ++i) idle.push_back(small.connect());
  std::list<Socket> asking;
  for (int i = 0; i < 6; ++i) {
    asking.push_back(small.connect());
    asking.back().send(Request{.destination_port = f.echo_backend.port()}.json());
  }
  for (Socket& socket : asking) f.check(works(parse_reply(socket.read_to_end())), "served");
  f.check(parse_reply(idle.front().read_to_end()).failed("busy"), "for the oldest that said nothing");
}

void requests_that_logged_in_do_not_count(Fixture& f) {
  FakeBackend mute(silent());
  std::list<Socket> waiting;
  for (size_t i = 1; i <= 30; ++i) {
    waiting.push_back(f.daemon.connect());
    waiting.back().send(Request{.destination_port = mute.port()}.json());
    f.check(mute.wait_connections(i), "the backend is asked");
  }
  f.check(works(f.daemon.request(request_with(f, "", ""))), "served beside 30 slow ones");
  mute.end_all();
  for (Socket& socket : waiting) {
    // The backend listens on, so it is tried again as long as --server-timeout lasts.
    const Reply reply = parse_reply(socket.read_to_end(nullptr, seconds(60)));
    f.check(!reply.ok() && reply.code.starts_with("backend_"), reply.text);
  }
}

void impatient_clients_harm_nobody(Fixture& f) {
  FakeBackend mute(silent());
  for (size_t i = 1; i <= 10; ++i) {
    Socket control = f.daemon.connect();
    control.send(Request{.destination_port = mute.port()}.json());
    f.check(mute.wait_connections(i), "the backend is asked");
    if (i % 2 == 0) control.reset();
  }
  for (int i = 0; i < 20; ++i) f.daemon.connect().reset();
  for (int i = 0; i < 20; ++i) {
    Socket control = f.daemon.connect();
    control.send("{\"auth_user\"");
    if (i % 2 == 0) control.reset();
  }
  mute.end_all();
  f.check(f.daemon.wait_workers(1, seconds(60)), "their workers end");
}

void proxy_address_is_what_was_configured(Fixture& f) {
  Daemon named({.options = {"--proxy-address", "console.example.org"}});
  f.check(named.request(request_with(f, "", "")).proxy_address == "console.example.org");
  Daemon bound({.options = {"--proxy-listen-address", "127.0.0.1"}});
  const Reply reply = bound.request(request_with(f, "", ""));
  f.check(reply.proxy_address == "127.0.0.1", reply.text);
  f.check(works(reply), "and it is there");
}

// A hosts file as installers and clouds write it: localhost is the canonical name of the host.
void proxy_address_is_no_loopback_name(Fixture& f) {
  if (!own_names_work()) return;
  const std::string hosts = "127.0.0.1 localhost box\n";
  Daemon daemon({.names = {.host_name = "box", .hosts = hosts}});
  const Reply reply = daemon.request(request_with(f, "", ""));
  f.check(reply.ok() && reply.proxy_address == "box", reply.text);
  Daemon nameless({.names = {.host_name = "localhost", .hosts = hosts}});
  f.check(nameless.wait_log("set proxy-address to the name that viewers shall connect to"), "a warning");
}

void tls_serves_both_versions(WithTls& f) {
  f.check(f.certified);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client = f.client(version, version);
    f.check(client.handshake() && client.send(f.good_request()), "handshake");
    bool clean = false;
    const auto said = client.read_to_end(&clean);
    f.check(said && works(parse_reply(*said)), said.value_or("nothing"));
    f.check(clean, "close_notify");
    f.check(client.version() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"), client.version());
  }
}

void tls_takes_requests_in_pieces(WithTls& f) {
  TlsClient client = f.client();
  f.check(client.handshake());
  const std::string text = f.good_request();
  for (const char& byte : text) client.send({&byte, 1});
  const auto said = client.read_to_end();
  f.check(said && works(parse_reply(*said)));
  TlsClient large = f.client();
  f.check(large.handshake() && large.send("{\"a\": \"" + std::string(60'000, 'x') + "\", " + text.substr(1)));
  const auto answer = large.read_to_end();
  f.check(answer && works(parse_reply(*answer)), "60 KB");
}

void tls_refuses_old_versions(WithTls& f) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    TlsClient client = f.client(version, version);
    f.check(!client.handshake(), "refused");
  }
  f.check(f.tls.running());
}

void plain_bytes_on_the_tls_port_are_closed(WithTls& f) {
  for (const std::string& bytes :
       {f.good_request(), std::string("GET / HTTP/1.0\r\n\r\n"), std::string(3000, '\0')}) {
    Socket plain = f.tls.connect();
    plain.send(bytes);
    Got how = Got::nothing;
    const std::string said = plain.read_to_end(&how);
    f.check(how != Got::nothing, "closed");
    f.check(said.find("source_port") == std::string::npos, "and not served");
  }
  // Clients that leave in the middle: a server must survive writing to them.
  for (int i = 0; i < 50; ++i) {
    TlsClient client = f.client();
    if (i % 5 == 0) {
      f.tls.connect().send("\x16\x03\x01");
    } else if (i % 5 == 1) {
      client.handshake();
      client.socket().reset();
    } else if (i % 5 == 2) {
      client.handshake();
      client.send(f.good_request());
      client.socket().reset();
    } else if (i % 5 == 3) {
      client.handshake();
      client.send("{");
    }
  }
  TlsClient client = f.client();
  f.check(client.handshake() && client.send(f.good_request()));
  const auto said = client.read_to_end();
  f.check(said && works(parse_reply(*said)), "served after all that");
}

// The one test that waits for a limit in real time: ten seconds, for four kinds of slow client at once.
void ten_seconds_are_the_limit(WithTls& f) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  Socket mute = f.daemon.connect(), half = f.daemon.connect(), dribble = f.daemon.connect();
  Socket mute_tls = f.tls.connect();
  TlsClient half_tls = f.client();
  f.check(half_tls.handshake() && half_tls.send("{\"auth_user\": "));
  half.send("{\"auth_user\": ");
  dribble.send("{\"auth_user\": \"");
  // One byte every quarter of a second must not move the limit.
  while (!wait_fd(dribble.get(), POLLIN, milliseconds(250)) && Clock::now() - begin < seconds(15))
    dribble.send("x");
  const auto took = Clock::now() - begin;
  f.check(took > seconds(8) && took < seconds(13), "the dribbling client ends at ten seconds");
  Got how = Got::nothing;
  const std::string to_half = half.read_to_end(&how, seconds(3));
  f.check(how != Got::nothing, "half a request ends");
  f.check(to_half.empty() || parse_reply(to_half).failed("bad_request"), to_half);
  const std::string to_mute = mute.read_to_end(&how, seconds(3));
  f.check(how != Got::nothing && (to_mute.empty() || parse_reply(to_mute).failed("bad_request")), to_mute);
  mute_tls.read_to_end(&how, seconds(3));
  f.check(how != Got::nothing, "no TLS handshake ends");
  f.check(half_tls.read_to_end(nullptr, seconds(3)).has_value(), "half a request in TLS ends");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, success_has_the_documented_form),
      STAGED(Fixture, malformed_requests_are_told_so),
      STAGED(Fixture, a_truncated_request_is_told_so),
      STAGED(Fixture, nothing_sent_is_nothing_said),
      STAGED(Fixture, unknown_types_are_named_as_such),
      STAGED(Fixture, unknown_user_and_wrong_password_look_the_same),
      STAGED(Fixture, lenient_where_the_old_one_was),
      STAGED(Fixture, a_port_can_be_asked_for),
      STAGED(Fixture, requests_arrive_in_any_pieces),
      STAGED(Fixture, one_request_is_served_and_one_reply_given),
      STAGED(BothFamilies, both_families_are_served),
      STAGED(ListensOnIpv6, ipv6_alone_is_served),
      STAGED(Fixture, large_requests_have_a_limit),
      STAGED(Fixture, deep_requests_have_a_limit),
      STAGED(WithTls, a_loopback_address_has_no_limit_of_its_own),
      STAGED(Fixture, the_whole_crowd_has_a_limit),
      STAGED(Fixture, few_places_are_shared_in_turn),
      STAGED(Fixture, requests_that_logged_in_do_not_count),
      STAGED(Fixture, impatient_clients_harm_nobody),
      STAGED(Fixture, proxy_address_is_what_was_configured),
      STAGED(Fixture, proxy_address_is_no_loopback_name),
      STAGED(WithTls, tls_serves_both_versions),
      STAGED(WithTls, tls_takes_requests_in_pieces),
      STAGED(WithTls, tls_refuses_old_versions),
      STAGED(WithTls, plain_bytes_on_the_tls_port_are_closed),
      STAGED(WithTls, ten_seconds_are_the_limit),
  };
  return run_group("control", tests);
}
