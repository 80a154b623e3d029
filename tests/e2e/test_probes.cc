// SPDX-License-Identifier: GPL-2.0-or-later
// What else comes to an open port: browsers, scanners, programs that took the wrong port. Each gets its error
// or a close, and the forwarding stays for the viewer it was made for.
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : WsStage {};

constexpr const char* kHost = "Host: proxy.example\r\n";
constexpr const char* kUpgrade = "Upgrade: websocket\r\n";
constexpr const char* kConnection = "Connection: Upgrade\r\n";
constexpr const char* kVersion = "Sec-WebSocket-Version: 13\r\n";
constexpr const char* kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

std::string request(std::initializer_list<const char*> fields, const std::string& line = "GET / HTTP/1.1") {
  std::string text = line + "\r\n";
  for (const char* field : fields) text += field;
  return text + "\r\n";
}

struct Probe {
  std::string name, sends;
  unsigned status;
};

std::vector<Probe> probes_of_upgrades() {
  return {
      {"no upgrade at all", request({kHost}), 404},
      {"no upgrade, HEAD", request({kHost}, "HEAD / HTTP/1.1"), 404},
      {"POST", request({kHost, kUpgrade, kConnection, kVersion, kKey}, "POST / HTTP/1.1"), 405},
      {"HEAD", request({kHost, kUpgrade, kConnection, kVersion, kKey}, "HEAD / HTTP/1.1"), 405},
      {"CONNECT", request({kHost}, "CONNECT a.example:443 HTTP/1.1"), 405},
      {"OPTIONS *", request({kHost}, "OPTIONS * HTTP/1.1"), 405},
      {"lower-case get", request({kHost, kUpgrade, kConnection, kVersion, kKey}, "get / HTTP/1.1"), 405},
      {"HTTP/1.0", request({kHost, kUpgrade, kConnection, kVersion, kKey}, "GET / HTTP/1.0"), 400},
      {"HTTP/1.0 without Host", request({kUpgrade, kConnection, kVersion, kKey}, "GET / HTTP/1.0"), 400},
      {"HTTP/1.0, no upgrade", request({}, "GET / HTTP/1.0"), 404},
      {"HTTP/2.0", request({kHost, kUpgrade, kConnection, kVersion, kKey}, "GET / HTTP/2.0"), 400},
      {"HTTP/0.9", "GET /\r\n", 400},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"no Host", request({kUpgrade, kConnection, kVersion, kKey}), 400},
      {"two Hosts", request({kHost, kHost, kUpgrade, kConnection, kVersion, kKey}), 400},
      {"no Upgrade", request({kHost, kConnection, kVersion, kKey}), 400},
      {"another Upgrade", request({kHost, "Upgrade: h2c\r\n", kConnection, kVersion, kKey}), 400},
      {"no Connection", request({kHost, kUpgrade, kVersion, kKey}), 400},
      {"Connection: close", request({kHost, kUpgrade, "Connection: close\r\n", kVersion, kKey}), 400},
      {"no version", request({kHost, kUpgrade, kConnection, kKey}), 426},
      {"version 8", request({kHost, kUpgrade, kConnection, "Sec-WebSocket-Version: 8\r\n", kKey}), 426},
      {"version 14", request({kHost, kUpgrade, kConnection, "Sec-WebSocket-Version: 14\r\n", kKey}), 426},
      {"two versions", request({kHost, kUpgrade, kConnection, kVersion, kVersion, kKey}), 426},
      {"no key", request({kHost, kUpgrade, kConnection, kVersion}), 400},
      {"an empty key", request({kHost, kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key:\r\n"}), 400},
      {"a short key", request({kHost, kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key: dGhl\r\n"}), 400},
      {"a key that is no base64",
       request({kHost, kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key: ????????????????????????\r\n"}),
       400},
      {"two keys", request({kHost, kUpgrade, kConnection, kVersion, kKey, kKey}), 400},
      {"unknown subprotocol",
       request({kHost, kUpgrade, kConnection, kVersion, kKey, "Sec-WebSocket-Protocol: soap\r\n"}), 400},
      {"Hixie-76",
       request(
           {kHost, "Upgrade: WebSocket\r\n", kConnection, "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n"}),
       426},
  };
}

std::vector<Probe> probes_of_heads() {
  const std::string good = request({kHost, kUpgrade, kConnection, kVersion, kKey});
  const std::string start = "GET / HTTP/1.1\r\n" + std::string(kHost);
  std::string lines = start, numbered = start;
  for (int i = 0; i < 120; ++i) lines += "a: b\r\n";
  for (int i = 0; i < 4000; ++i)
    numbered += "X-Header-" + std::to_string(i) + ": " + std::string(40, 'x') + "\r\n";
  return {
      {"a body", start + "Content-Length: 5\r\n\r\nhello", 400},
      {"a body behind an upgrade", good.substr(0, good.size() - 2) + "Content-Length: 5\r\n\r\nhello", 400},
      {"a chunked body", start + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400},
      {"two lengths", start + "Content-Length: 0\r\nContent-Length: 7\r\n\r\n", 400},
      {"a folded line", start + "X-A: b\r\n c\r\n\r\n", 400},
      {"a blank before the colon", start + "X-A : b\r\n\r\n", 400},
      {"no colon", start + "X-A\r\n\r\n", 400},
      {"bare carriage return", start + "X-A: b\rc\r\n\r\n", 400},
      {"bare line feeds", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"NUL", start + std::string("X-A: b\0c\r\n\r\n", 12), 400},
      {"no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"garbage", std::string("\x01\x02\x03\xff\xfe\0\0garbage\r\n\r\n", 18), 400},
      {"RFB", "RFB 003.008\n", 400},
      {"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", 400},
      {"RDP", std::string("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0", 19), 400},
      {"a TLS ClientHello", std::string("\x16\x03\x01\x02\0\1\0\1\xfc\x03\x03", 11) + std::string(500, 'r'),
       400},
      {"120 lines", lines + "\r\n", 431},
      {"64 KiB of cookies", start + "Cookie: " + std::string(64 * 1024, 'x') + "\r\n\r\n", 431},
      {"200 KB in one line", start + "X-A: " + std::string(200'000, 'x') + "\r\n\r\n", 431},
      {"200 KB in many lines", numbered + "\r\n", 431},
      {"200 KB of target", "GET /" + std::string(200'000, 'x') + " HTTP/1.1\r\n\r\n", 431},
      {"200 KB of method", std::string(200'000, 'X'), 431},
  };
}

void perform_probes(Fixture& f, const std::vector<Probe>& probes) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    for (const bool by_byte : {false, true})
      for (const Probe& row : probes) {
        if (by_byte && row.sends.size() > 1000) continue;
        Wire wire = f.connect(kind, port);
        if (by_byte)
          wire.send_each_byte(row.sends);  // it may be answered long before the end
        else
          wire.send(row.sends);
        const HttpAnswer answer = read_answer(wire, !row.sends.starts_with("HEAD"));
        f.check_kind(answer.status == row.status, kind, row.name + ": " + std::to_string(answer.status));
        f.check_kind(answer.field("Connection") == (row.status == 426 ? "Upgrade" : "close") ||
                         answer.count("Connection") == 2,
                     kind, row.name);
        if (row.status == 405) f.check_kind(!answer.field("Allow").empty(), kind, row.name);
        if (row.status == 426) f.check_kind(answer.field("Sec-WebSocket-Version") == "13", kind, row.name);
        Got how = Got::nothing;
        const std::string more = wire.read_to_end(&how);
        f.check_kind(more.empty() && how != Got::nothing, kind, row.name + ": nothing more, and the end");
      }
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind,
                 "and then the viewer");
  }
}

void wrong_upgrades(Fixture& f) {
  perform_probes(f, probes_of_upgrades());
}
void wrong_heads(Fixture& f) {
  perform_probes(f, probes_of_heads());
}

// The answers are told apart by people too: the reason stands in the body.
void answers_speak(Fixture& f) {
  Wire wire = f.connect(kWs, f.forwarding(kWs));
  wire.send(request({kHost}));
  const HttpAnswer answer = read_answer(wire);
  f.check(answer.body == "This port is for WebSocket; there are no pages here.\n", answer.body);
  f.check(answer.field("Content-Type") == "text/plain; charset=utf-8", "its type");
  f.check(answer.field("X-Content-Type-Options") == "nosniff", "nosniff");
  f.check(answer.field("Cache-Control") == "no-store", "no-store");
}

void any_path_will_do(Fixture& f) {
  for (const char* target : {"/", "/websockify", "/websockify?token=a%2Fb", "/a/b/../c", "//", "/%3Ftoken=x",
                             "http://proxy.example:25123/websockify"}) {
    WsViewer viewer = f.session(kWs, f.echo_backend, {.target = target});
    f.check(viewer.wire.established() && viewer.echoes("hello"), target);
  }
}

// ---- the wrong language for the port

void the_viewer_gets_in(Fixture& f, const Kind& kind, uint16_t port, const char* after) {
  WsViewer viewer = f.viewer(kind, port);
  f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind, after);
}

std::string takes(const std::string& spoken, const char* type, const char* taken) {
  return "it speaks " + spoken + ", but a port of type " + type + " takes " + taken + "\n";
}

// A browser shows the answer, and the log says what it was.
void http_at_a_tls_port(Fixture& f) {
  for (const Kind& kind : {kWss, kTls}) {
    const uint16_t port = f.forwarding(kind);
    for (const std::string& bytes :
         {UpgradeRequest().text(), request({kHost}), request({kHost}, "HEAD / HTTP/1.0"),
          request({kHost}, "POST / HTTP/1.1") + std::string(20'000, 'x')})
      for (const bool by_byte : {false, true}) {
        if (by_byte && bytes.size() > 1000) continue;
        Wire wire(Socket::connect("127.0.0.1", port));
        const size_t before = f.daemon.log_size();
        by_byte ? wire.send_each_byte(bytes) : wire.send(bytes);
        const HttpAnswer answer = read_answer(wire);
        f.check_kind(answer.status == 400 && answer.field("Connection") == "close", kind, answer.head);
        f.check_kind(
            answer.body.starts_with(kind.websocket ? "This port takes HTTPS" : "This port is for VNC"), kind,
            answer.body);
        Got how = Got::nothing;
        f.check_kind(wire.read_to_end(&how).empty() && how != Got::nothing, kind, "closed");
        f.check_kind(f.daemon.wait_log(takes("HTTP", kind.type, kind.websocket ? "HTTPS" : "RFB over TLS"),
                                       {}, before),
                     kind, "the log");
      }
    the_viewer_gets_in(f, kind, port, "after HTTP");
  }
}

void plain_bytes_at_a_tls_port(Fixture& f) {
  for (const Kind& kind : {kWss, kTls}) {
    const uint16_t port = f.forwarding(kind);
    for (const std::string& bytes :
         {std::string("RFB 003.008\n"), std::string(100, '\0'),
          std::string("\x16\x03\x01\xff\xff", 5) + std::string(70'000, 'x'), std::string(200'000, 'x')}) {
      Wire wire(Socket::connect("127.0.0.1", port));
      wire.send(bytes);
      Got how = Got::nothing;
      const std::string answer = wire.read_to_end(&how);
      // An alert at most: nothing that came from a plain peer means anything.
      f.check_kind(answer.size() <= 7 && how != Got::nothing, kind, "closed");
    }
    f.check_kind(f.daemon.wait_log(takes("RFB", kind.type, kind.websocket ? "HTTPS" : "RFB over TLS")), kind,
                 "the log");
    the_viewer_gets_in(f, kind, port, "after plain bytes");
  }
}

void tls_at_a_plain_port(Fixture& f) {
  const uint16_t port = f.forwarding(kWs);
  const Wire wire(Socket::connect("127.0.0.1", port), WireOffer{});
  f.check(!wire.established(), "no TLS there");
  f.check(f.daemon.wait_log(takes("TLS", "vnc-ws", "HTTP")), "the log");
  the_viewer_gets_in(f, kWs, port, "after a ClientHello");
  const uint16_t rfb_port = f.daemon.forwarding_to(f.echo_backend.port());
  const Wire other(Socket::connect("127.0.0.1", rfb_port), WireOffer{});
  f.check(!other.established(), "no TLS there");
  f.check(f.daemon.wait_log(takes("TLS", "vnc", "RFB")), "the log");
  f.check(FakeViewer(rfb_port).log_in(kViewerSecret) == Verdict::admitted, "the viewer");
}

void rfb_at_a_port_for_browsers(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    Wire wire = f.connect(kind, port);
    wire.send("RFB 003.008\n");
    f.check_kind(read_answer(wire).status == 400, kind, "refused");
    f.check_kind(f.daemon.wait_log(takes("RFB", kind.type, kind.tls ? "HTTPS" : "HTTP")), kind, "the log");
    the_viewer_gets_in(f, kind, port, "after RFB");
  }
}

// A viewer of another kind waits for the server to speak: its log line says what it should have been.
void silence_is_told_by_the_type(Fixture& f) {
  std::vector<Wire> silent;
  for (const Kind& kind : kKinds) silent.emplace_back(Socket::connect("127.0.0.1", f.forwarding(kind)));
  const Deadline deadline(seconds(20));
  f.check(f.daemon.wait_log("it said nothing; a port of type vnc-ws takes HTTP\n", deadline), "vnc-ws");
  f.check(f.daemon.wait_log("it said nothing; a port of type vnc-wss takes HTTPS\n", deadline), "vnc-wss");
  f.check(f.daemon.wait_log("it said nothing; a port of type vnc-tls takes RFB over TLS\n", deadline),
          "vnc-tls");
}

void http_at_an_rfb_port(Fixture& f) {
  const uint16_t port = f.forwarding(kTls);
  Wire wire = f.connect(kTls, port);
  f.check(wire.read(12) == "RFB 003.008\n", "it speaks first");
  wire.send(request({kHost}));
  Got how = Got::nothing;
  wire.read_to_end(&how);
  f.check(how == Got::end, "closed");
  f.check(f.daemon.wait_log(takes("HTTP", "vnc-tls", "RFB over TLS")), "the log");
  the_viewer_gets_in(f, kTls, port, "after HTTP");
}

void old_tls(Fixture& f) {
  for (const Kind& kind : {kWss, kTls}) {
    const uint16_t port = f.forwarding(kind);
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
      const Wire wire(Socket::connect("127.0.0.1", port),
                      WireOffer{.min_version = version, .max_version = version});
      f.check_kind(!wire.established(), kind, "refused");
      f.check_kind(wire.trouble() == "tlsv1 alert protocol version", kind, wire.trouble());
    }
    the_viewer_gets_in(f, kind, port, "after old TLS");
  }
}

// A browser that does not know who signed the certificate asks its user first, and comes back.
void a_browser_that_distrusts(Fixture& f) {
  for (const Kind& kind : {kWss, kTls}) {
    const uint16_t port = f.forwarding(kind);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION})
      for (int i = 0; i < 10; ++i) {
        const Wire wire(Socket::connect("127.0.0.1", port),
                        WireOffer{.min_version = version, .max_version = version, .distrusts = true});
        f.check_kind(wire.trouble() == "certificate verify failed", kind, wire.trouble());
      }
    f.check_kind(f.daemon.wait_log("unknown ca"), kind, "the log says who distrusted");
    the_viewer_gets_in(f, kind, port, "after the alerts");
  }
}

// ---- peers that stay, and peers that go

void a_hundred_silent_ones(Fixture& f) {
  for (const Kind& kind : kKinds)
    for (const bool in_tls : {false, true}) {
      if (in_tls && !kind.tls) continue;
      const uint16_t port = f.forwarding(kind);
      std::vector<Wire> silent;
      for (int i = 0; i < 100; ++i)
        silent.push_back(in_tls ? f.connect(kind, port) : Wire(Socket::connect("127.0.0.1", port)));
      the_viewer_gets_in(f, kind, port, in_tls ? "after silent TLS" : "after silent ones");
      size_t ended = 0;
      for (Wire& wire : silent) {
        Got how = Got::nothing;
        wire.read_to_end(&how);
        ended += how != Got::nothing;
      }
      f.check_kind(ended == 100, kind, "all are gone then");
    }
}

void a_hundred_that_stop_at_the_challenge(Fixture& f) {
  for (const Kind& kind : kKinds) {
    const uint16_t port = f.forwarding(kind);
    std::vector<WsViewer> there;
    for (int i = 0; i < 100; ++i) {
      there.push_back(f.viewer(kind, port));
      f.check_kind(there.back().to_challenge(), kind, "as far as the challenge");
    }
    the_viewer_gets_in(f, kind, port, "after a hundred challenges");
  }
}

// How many have not been closed; what came meanwhile is read.
size_t connections_left(std::vector<Wire>& wires) {
  size_t left = 0;
  for (const Wire& wire : wires) {
    char room[256];
    ssize_t count = 0;
    while ((count = ::recv(wire.socket.get(), room, sizeof room, MSG_DONTWAIT)) > 0) {
    }
    left += count < 0 && errno == EAGAIN;
  }
  return left;
}

// Whoever was on the way in is not thrown out by those who only knock.
void a_slow_viewer_among_silent_ones(Fixture& f) {
  for (const Kind& kind : kKinds) {
    const uint16_t port = f.forwarding(kind);
    WsViewer viewer = f.viewer(kind, port);
    const bool there = viewer.read(12).has_value();
    viewer.send("RFB 003.008\n");
    f.check_kind(there && viewer.read(2) == "\1\2", kind, "half way");
    std::vector<Wire> silent;
    for (int i = 0; i < 100; ++i) silent.emplace_back(Socket::connect("127.0.0.1", port));
    viewer.send("\2");
    viewer.challenge = viewer.read(16).value_or("");
    viewer.send(viewer.response(kViewerSecret));
    f.check_kind(viewer.read_result() == Verdict::admitted, kind, "admitted");
  }
}

// People take their time over a password: neither many of their own address nor many of others push them out.
void a_person_at_the_password_is_not_pushed_out(Fixture& f) {
  for (const Kind& kind : {kPlain, kWs, kWss, kTls})
    for (const bool own_address : {true, false}) {
      const std::string who = own_address ? "beside its own address" : "beside other addresses";
      const uint16_t port = f.forwarding(kind);
      WsViewer person = f.viewer(kind, port);
      f.check_kind(person.to_challenge(), kind, who + ": at the password");
      std::vector<WsViewer> there;
      for (int i = 0; i < 100; ++i) {
        const std::string source = own_address ? "" : "127.0.0." + std::to_string(2 + i % 9);
        there.push_back(f.viewer(kind, port, {}, 0, source));
        there.back().to_challenge();
      }
      person.send(person.response(kViewerSecret));
      f.check_kind(person.read_result() == Verdict::admitted && person.echoes("hello"), kind, who);
    }
}

// What a peer did before RFB counts: who got through TLS, or asked for a page, outlives those who only knock.
void progress_before_rfb_counts(Fixture& f) {
  const uint16_t port = f.forwarding(kWss);
  Wire in_tls = f.connect(kWss, port);
  f.check(in_tls.established(), "through TLS");
  std::vector<Wire> silent;
  for (int i = 0; i < 100; ++i) silent.emplace_back(Socket::connect("127.0.0.1", port));
  f.check(wait_until([&] { return connections_left(silent) == 7; }), "others had to go");
  WsViewer viewer(std::move(in_tls));
  f.check(viewer.upgrade() && viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"),
          "the one in TLS did not");
}

void one_address_has_eight_places(Fixture& f) {
  for (const Kind& kind : {kPlain, kWs, kWss, kTls}) {
    const uint16_t port = f.forwarding(kind);
    std::vector<Wire> mine, others;
    for (int i = 0; i < 3; ++i) others.emplace_back(Socket::connect("127.0.0.1", port, {}, 0, "127.0.0.2"));
    for (int i = 0; i < 20; ++i) mine.emplace_back(Socket::connect("127.0.0.1", port));
    f.check_kind(wait_until([&] { return connections_left(mine) == 8; }), kind, "eight of one address");
    f.check_kind(connections_left(others) == 3, kind, "others are none of its business");
  }
}

struct Tunnel : WsStage {
  Tunnel() : WsStage({"--viewers-per-address", "64"}) {}
};
void a_tunnel_may_have_them_all(Tunnel& f) {
  const uint16_t port = f.forwarding(kPlain);
  std::vector<Wire> all;
  for (int i = 0; i < 80; ++i) all.emplace_back(Socket::connect("127.0.0.1", port));
  f.check(wait_until([&] { return connections_left(all) == 64; }), "64 are there");
}

// Each step of the way in, left at once: by a close and by a reset.
void peers_that_leave(Fixture& f) {
  for (const Kind& kind : kKinds) {
    const uint16_t port = f.forwarding(kind);
    for (int i = 0; i < 40; ++i)
      for (const bool by_reset : {false, true}) {
        const auto leave = [by_reset](Socket& socket) { by_reset ? socket.reset() : socket.close(); };
        Socket silent = Socket::connect("127.0.0.1", port);
        leave(silent);
        Socket hello = Socket::connect("127.0.0.1", port);
        hello.send(std::string_view("\x16\x03\x01\0\x80\1", 6));
        leave(hello);
        if (i % 4 != 0) continue;
        Wire connected = f.connect(kind, port);
        leave(connected.socket);
        WsViewer upgraded = f.viewer(kind, port);
        leave(upgraded.wire.socket);
        WsViewer challenged = f.viewer(kind, port);
        challenged.to_challenge();
        leave(challenged.wire.socket);
      }
    the_viewer_gets_in(f, kind, port, "after those that left");
  }
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, wrong_upgrades),
      STAGED(Fixture, wrong_heads),
      STAGED(Fixture, answers_speak),
      STAGED(Fixture, any_path_will_do),
      STAGED(Fixture, http_at_a_tls_port),
      STAGED(Fixture, plain_bytes_at_a_tls_port),
      STAGED(Fixture, tls_at_a_plain_port),
      STAGED(Fixture, rfb_at_a_port_for_browsers),
      STAGED(Fixture, silence_is_told_by_the_type),
      STAGED(Fixture, http_at_an_rfb_port),
      STAGED(Fixture, old_tls),
      STAGED(Fixture, a_browser_that_distrusts),
      STAGED(Fixture, a_hundred_silent_ones),
      STAGED(Fixture, a_hundred_that_stop_at_the_challenge),
      STAGED(Fixture, a_slow_viewer_among_silent_ones),
      STAGED(Fixture, a_person_at_the_password_is_not_pushed_out),
      STAGED(Fixture, progress_before_rfb_counts),
      STAGED(Fixture, one_address_has_eight_places),
      STAGED(Tunnel, a_tunnel_may_have_them_all),
      STAGED(Fixture, peers_that_leave),
  };
  return run_group("probes", tests);
}
