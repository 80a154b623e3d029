// SPDX-License-Identifier: GPL-2.0-or-later
// Every old caller against the built daemon, with the socket calls it makes: snf-vncauthproxy's client
// library, Synnefo's self-test, Ganeti Web Manager, ganetimgr. Every dialect with every type of viewer, and
// what a request may ask for beside: passwords, ports, times, where the viewer has to come from.
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Kind kPlain{"vnc", false, false};
constexpr Kind kAllKinds[] = {kPlain, kWs, kTls, kWss};
constexpr const char* kWithPassword = R"("password": "VwMk7f3a")";  // kViewerSecret

// Made before the daemon that listens in it.
struct SocketFolder {
  std::string control_path() const { return sockets.file("control.sock"); }
  std::string vncap_path() const { return sockets.file("vncap.sock"); }
  std::vector<std::string> listening(std::vector<std::string> more) const {
    more.insert(more.end(), {"--control-socket", control_path(), "--vncap-listen", "127.0.0.1:0",
                             "--vncap-listen", "unix:" + vncap_path()});
    return more;
  }
  Folder sockets;
};

// A daemon that hears everybody: with a login at its port, without one at two sockets and a second port.
struct Fixture : SocketFolder, WsStage {
  explicit Fixture(std::vector<std::string> more = {})
      : WsStage(listening(std::move(more))), vncap_port(daemon.port_for("vncap clients")) {}

  Socket at_vncap() const { return Socket::connect("127.0.0.1", vncap_port); }
  Socket at_vncap_path() const { return Socket::connect_to_path(vncap_path()); }
  Socket at_control_path() const { return Socket::connect_to_path(control_path()); }

  uint16_t vncap_port;
};

struct Hurried : Fixture {
  Hurried() : Fixture({"--connect-timeout", "1", "--auth-timeout", "1", "--vncap-backend-timeout", "1"}) {}
};

// ---- requests

std::string exchange(Socket control, std::string_view request) {
  control.send(request);
  return control.read_to_end();
}

std::string vncap_line(const FakeBackend& backend, const std::string& more = kWithPassword) {
  return R"({"daddr": "127.0.0.1", "dport": )" + std::to_string(backend.port()) + (more.empty() ? "" : ", ") +
         more + "}\r\n";
}

std::string local_request(const FakeBackend& backend, const std::string& more = kWithPassword) {
  return R"({"source_port": 0, "destination_address": "127.0.0.1", "destination_port": )" +
         std::to_string(backend.port()) + (more.empty() ? "" : ", ") + more + "}";
}

std::string request_with_login(const FakeBackend& backend, const std::string& more = kWithPassword) {
  return R"({"auth_user": "tester", "auth_password": ")" + std::string(kLoginSecret) + "\", " +
         local_request(backend, more).substr(1);
}

// What Python's int() makes of it; 0 when it would raise.
uint16_t python_int(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return 0;
  text = text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
  if (text.size() > 5 || text.find_first_not_of("0123456789") != text.npos) return 0;
  return static_cast<uint16_t>(std::stoul(std::string(text)));
}

// "PORT\r\n" and nothing else.
uint16_t port_of_line(std::string_view line) {
  const uint16_t port = python_int(line);
  return line == std::to_string(port) + "\r\n" ? port : uint16_t{0};
}

uint16_t vncap_port_for(Fixture& f, const std::string& more = kWithPassword) {
  return port_of_line(exchange(f.at_vncap(), vncap_line(f.echo_backend, more)));
}

// One recv(1024) of Python.
std::string one_recv(Socket& socket) {
  std::array<uint8_t, 1024> room;
  size_t count = 0;
  if (socket.read_some(room, &count) != Got::data) return {};
  return {reinterpret_cast<const char*>(room.data()), count};
}

bool session_works(const Kind& kind, uint16_t port, std::string_view password = kViewerSecret) {
  WsViewer viewer = WsStage::viewer(kind, port);
  return port != 0 && viewer.log_in(password) == Verdict::admitted && viewer.echoes("ping");
}

// ---- the callers

// vncauthproxy.client: 0.2 s of silence, one send without a line end, one recv, all within 60 s.
void request_forwarding(Fixture& f) {
  for (const Kind& kind : {kPlain, kWs, kWss}) {
    Socket control = f.daemon.connect();
    f.check(control.silent_for(milliseconds(200)), "no greeting");
    control.send(
        request_with_login(f.echo_backend, std::string(kWithPassword) + R"(, "type": ")" + kind.type + "\""));
    const Reply reply = parse_reply(one_recv(control));
    f.check_kind(reply.ok() && !reply.proxy_address.empty(), kind, reply.text);
    control.close();
    f.check_kind(session_works(kind, reply.port), kind, "a session");
  }
  // FAILED is read in the same way.
  Socket control = f.daemon.connect();
  control.send(Request{.destination_port = 1}.json());
  f.check(parse_reply(one_recv(control)).failed("backend_unreachable"));
}

// The test of Synnefo that speaks RFB by hand: each message in one recv, byte by byte as it expects it.
void the_self_test_of_synnefo(Fixture& f) {
  FakeViewer viewer(f.daemon.forwarding_to(f.echo_backend.port()));
  f.check(one_recv(viewer.socket) == "RFB 003.008\n", "version");
  viewer.socket.send("RFB 003.008\n");
  f.check(one_recv(viewer.socket) == "\x01\x02", "one type, and it is 2");
  viewer.socket.send("\x02");
  viewer.challenge = one_recv(viewer.socket);
  f.check(viewer.challenge.size() == 16, "challenge");
  viewer.socket.send(viewer.response(kViewerSecret));
  f.check(one_recv(viewer.socket) == std::string(4, '\0'), "result");
  f.check(viewer.echoes("ping"), "a session");
}

// Ganeti Web Manager's vapclient: CRLF, one recv, strip(), FAIL or int(); always "ws". Then noVNC 0.4, which
// speaks base64 alone, from the panel's own origin.
void ganeti_web_manager(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    Socket control = f.at_vncap();
    control.send(vncap_line(
        f.echo_backend,
        std::string(R"("password": "VwMk7f3aMore", "ws": true, "tls": )") + (kind.tls ? "true" : "false")));
    const std::string answer = one_recv(control);
    f.check_kind(python_int(answer) != 0, kind, answer);
    WsViewer viewer = WsStage::viewer(
        kind, python_int(answer),
        {.target = "/", .protocols = "base64", .more = "Origin: https://panel.example.org\r\n"});
    f.check_kind(viewer.in_base64, kind, "base64");
    f.check_kind(viewer.log_in("VwMk7f3aMore") == Verdict::admitted && viewer.echoes("ping"), kind,
                 "a session");
  }
  Socket control = f.at_vncap();
  control.send("{\"daddr\": \"127.0.0.1\", \"dport\": 1, \"password\": \"secret\", \"ws\": true}\r\n");
  f.check(one_recv(control) == "FAILED\r\n", "nobody there");
}

// Its request_ssh has a key of its own and no "ws".
void request_ssh(Fixture& f) {
  const std::string wish = std::to_string(f.daemon.max_port());
  const uint16_t port = vncap_port_for(
      f, std::string(kWithPassword) + R"(, "command": "gnt-instance console vm", "sport": )" + wish);
  f.check(port == f.daemon.max_port() && session_works(kPlain, port), "a plain session at that port");
}

// ganetimgr: the socket of snf-vncauthproxy 1.4, no login, no type, no line end, one recv.
void ganetimgr(Fixture& f) {
  Socket control = f.at_control_path();
  control.send(local_request(f.echo_backend));
  const Reply reply = parse_reply(one_recv(control));
  f.check(reply.ok() && session_works(kPlain, reply.port), reply.text);
  control = f.at_control_path();
  control.send(
      R"({"source_port": 0, "destination_address": "127.0.0.1", "destination_port": 1, "password": "x"})");
  f.check(parse_reply(one_recv(control)).failed("backend_unreachable"));
  const std::string who = "uid " + std::to_string(::getuid()) + ", pid " + std::to_string(::getpid());
  f.check(f.daemon.log().find("requested by " + who) != std::string::npos, "the log names the peer");
}

// ---- dialects and types

void every_dialect_has_every_type(Fixture& f) {
  const auto by_word = [](const Kind& kind) {
    return std::string(kWithPassword) + R"(, "type": ")" + kind.type + "\"";
  };
  const auto by_flags = [](const Kind& kind) {
    return std::string(kWithPassword) + R"(, "ws": )" + (kind.websocket ? "true" : "false") + R"(, "tls": )" +
           (kind.tls ? "true" : "false");
  };
  const auto port_of_reply = [](const std::string& text) { return parse_reply(text).port; };
  for (const Kind& kind : kAllKinds) {
    const std::string lines[] = {vncap_line(f.echo_backend, by_flags(kind)),
                                 local_request(f.echo_backend, by_word(kind))};
    f.check_kind(
        session_works(kind, port_of_reply(exchange(f.daemon.connect(),
                                                   request_with_login(f.echo_backend, by_word(kind))))),
        kind, "with a login");
    // Listeners without a login hear both dialects.
    for (const auto& connect : {&Fixture::at_vncap, &Fixture::at_vncap_path, &Fixture::at_control_path}) {
      f.check_kind(session_works(kind, port_of_line(exchange((f.*connect)(), lines[0]))), kind, "vncap");
      f.check_kind(session_works(kind, port_of_reply(exchange((f.*connect)(), lines[1]))), kind, "no login");
    }
  }
}

void lines_end_in_lf_too_and_only_the_first_counts(Fixture& f) {
  std::string line = vncap_line(f.echo_backend);
  const std::string second = line;
  f.check(session_works(kPlain, port_of_line(exchange(f.at_vncap(), line + second))), "the first of two");
  line.erase(line.size() - 2, 1);
  f.check(session_works(kPlain, port_of_line(exchange(f.at_vncap(), line))), "LF alone");
  Socket slow = f.at_vncap();
  slow.send_each_byte(line);
  f.check(session_works(kPlain, port_of_line(slow.read_to_end())), "byte by byte");
}

void a_login_cannot_be_gone_round(Fixture& f) {
  const Reply reply = f.daemon.request(vncap_line(f.echo_backend));
  f.check(reply.failed("bad_request"), reply.text);
  f.check(f.daemon.request(local_request(f.echo_backend)).failed("bad_request"), "no login at all");
  f.check(f.daemon.workers().size() == 1, "nobody was sent to a backend");
}

// ---- passwords

void one_password_serves_both_sides(Fixture& f) {
  FakeBackend locked(echo({.types = "\x02", .password = kServerSecret}));
  const auto ask = [&](const std::string& more) { return exchange(f.at_vncap(), vncap_line(locked, more)); };
  const std::string right = std::string(R"("password": ")") + kServerSecret + "\"";
  f.check(session_works(kPlain, port_of_line(ask(right)), kServerSecret), "the same for both");
  const uint16_t port = port_of_line(ask(right + R"(, "client": {"password": "VwMk7f3a"})"));
  f.check(FakeViewer(port).log_in(kServerSecret) == Verdict::refused, "the viewer has one of its own");
  f.check(session_works(kPlain, port), "and this one is it");
  f.check(ask(kWithPassword) == "FAILED\r\n", "the backend refuses");
  f.check(ask("") == "FAILED\r\n", "the backend asks in vain");
}

bool is_made(const std::string& password) {
  return password.size() == 8 && password.find_first_not_of(
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789") == std::string::npos;
}

void the_proxy_makes_passwords(Fixture& f) {
  std::vector<std::string> made;
  for (const char* more : {"", R"("password": null)"}) {
    for (const Reply& reply :
         {f.daemon.request(request_with_login(f.echo_backend, more)),
          parse_reply(exchange(f.at_control_path(), local_request(f.echo_backend, more)))}) {
      f.check(reply.ok() && is_made(reply.password) && reply.warning.empty(), reply.text);
      f.check(session_works(kPlain, reply.port, reply.password), "the viewer's");
      made.push_back(reply.password);
    }
    const std::string line = exchange(f.at_vncap(), vncap_line(f.echo_backend, more));
    const size_t blank = line.find(' ');
    if (!f.check(blank != line.npos && line.ends_with("\r\n"), line)) return;
    made.push_back(line.substr(blank + 1, line.size() - blank - 3));
    f.check(is_made(made.back()), line);
    f.check(session_works(kPlain, python_int(line.substr(0, blank)), made.back()), "the viewer's");
  }
  for (const std::string& password : made)
    f.check(f.daemon.log().find(password) == std::string::npos, "in the log");
  f.check(made[0] != made[1] && made[1] != made[2], "each another");
}

void long_and_empty_passwords(Fixture& f) {
  const Reply whole = f.daemon.request(Request{.destination_port = f.echo_backend.port()});
  f.check(whole.warning.empty() && whole.password.empty(), whole.text);
  for (const char* viewers : {"VwMk7f3aMore", "VwMk7f3a"}) {
    const Reply reply =
        f.daemon.request(Request{.destination_port = f.echo_backend.port(), .password = "VwMk7f3aMore"});
    f.check(!reply.warning.empty() && reply.password.empty(), reply.text);
    f.check(session_works(kPlain, reply.port, viewers), viewers);
  }
  const std::string empty = R"("password": "")";
  f.check(f.daemon.request(request_with_login(f.echo_backend, empty)).failed("bad_request"));
  f.check(
      parse_reply(exchange(f.at_control_path(), local_request(f.echo_backend, empty))).failed("bad_request"));
  f.check(exchange(f.at_vncap(), vncap_line(f.echo_backend, empty)) == "FAILED\r\n");
}

// Viewers disagree on what comes beyond ASCII: TigerVNC takes the bytes of UTF-8, noVNC the characters'
// codes.
void a_password_beyond_ascii_has_two_forms(Fixture& f) {
  const struct {
    std::string password, as_codes, wrong;
  } rows[] = {{"p\xc3\xa4sswort", "p\xe4sswort", "p?sswort"},
              {"\xe2\x82\xac", "\xac", "\x82"},
              {"\xf0\x9f\x98\x80x", std::string("\x3d\0x", 3), "\xf0\x9fx"}};
  const auto warns = [](const Reply& reply) { return reply.warning.find("ASCII") != std::string::npos; };
  for (const auto& row : rows) {
    for (const std::string& viewers : {row.password, row.as_codes}) {
      for (const Kind& kind : {kPlain, kWs}) {
        const Reply reply = f.daemon.request(
            Request{.destination_port = f.echo_backend.port(), .password = row.password, .type = kind.type});
        f.check_kind(warns(reply), kind, reply.text);
        f.check_kind(session_works(kind, reply.port, viewers), kind, viewers);
      }
    }
    const Reply reply =
        f.daemon.request(Request{.destination_port = f.echo_backend.port(), .password = row.password});
    f.check(FakeViewer(reply.port).log_in(row.wrong) == Verdict::refused, row.wrong);
  }
  // Behind the eighth byte it makes no difference.
  const Reply far =
      f.daemon.request(Request{.destination_port = f.echo_backend.port(), .password = "VwMk7f3a\xc3\xa4"});
  f.check(far.ok() && !warns(far) && !far.warning.empty(), far.text);
}

// ---- ports

void a_port_is_a_wish(Fixture& f) {
  const auto wish = [&](const std::string& port) {
    return vncap_port_for(f, std::string(kWithPassword) + ", \"sport\": " + port);
  };
  const uint16_t wanted = f.daemon.max_port();
  f.check(wish(std::to_string(wanted)) == wanted, "a free one");
  const uint16_t instead = wish(std::to_string(wanted));
  f.check(instead != wanted && session_works(kPlain, instead), "leased");
  const Listener foreign("0.0.0.0", static_cast<uint16_t>(wanted - 1));
  const uint16_t beside = wish(std::to_string(foreign.port()));
  f.check(beside != foreign.port() && session_works(kPlain, beside), "taken by somebody else");
  for (const std::string& port :
       {std::string("0"), std::string("-1"), std::string("80"), std::string("70000"),
        std::to_string(f.daemon.min_port() - 1), std::to_string(wanted + 1)}) {
    const uint16_t given = wish(port);
    f.check(given >= f.daemon.min_port() && given <= wanted && session_works(kPlain, given), port);
  }
}

// ---- times

milliseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

void times_that_are_cut_are_warned_of(Fixture& f) {
  const auto ask = [&](const std::string& more) {
    return f.daemon.request(request_with_login(f.echo_backend, std::string(kWithPassword) + ", " + more));
  };
  const auto says = [&](const std::string& more, const std::string& warning) {
    const Reply reply = ask(more);
    f.check(reply.ok() && reply.warning == warning, reply.text);
  };
  says(R"("connect_timeout": 31)", "connect_timeout is cut to 30 seconds");
  says(R"("connect_timeout": 1e300)", "connect_timeout is cut to 30 seconds");
  says(R"("connect_timeout": 30)", "");
  says(R"("auth_timeout": 60.5)", "auth_timeout is cut to 60 seconds");
  says(R"("connect_timeout": 31, "auth_timeout": 61)",
       "connect_timeout is cut to 30 seconds; auth_timeout is cut to 60 seconds");
  const Reply all = f.daemon.request(
      request_with_login(f.echo_backend, R"("password": "VwMk7f3aMore", "connect_timeout": 31)"));
  f.check(all.warning == "only the first 8 bytes of the password count; connect_timeout is cut to 30 seconds",
          all.text);
  // A line has no room for it.
  const size_t from = f.daemon.log_size();
  f.check(vncap_port_for(f, R"("password": "VwMk7f3aMore")") != 0);
  f.check(f.daemon.wait_log("only the first 8 bytes of the password count", {}, from), "but the log has it");
}

void a_forwarding_has_its_own_connect_timeout(Fixture& f) {
  const auto begin = Clock::now();
  const std::vector<std::function<uint16_t()>> ways = {
      [&] { return vncap_port_for(f, std::string(kWithPassword) + R"(, "timeout": 1)"); },
      [&] {
        return f.daemon
            .request(
                request_with_login(f.echo_backend, std::string(kWithPassword) + R"(, "connect_timeout": 1)"))
            .port;
      }};
  for (const auto& ask : ways) {
    const size_t from = f.daemon.log_size();
    const uint16_t port = ask();
    f.check(port != 0 && f.daemon.wait_log("Timed out, no connection after 1 sec", {}, from));
    f.check(connection_refused("127.0.0.1", port), "the port is closed");
  }
  f.check(since(begin) >= milliseconds(2000) && since(begin) < milliseconds(15000), "a second each, not 30");
}

void only_vncap_may_wait_longer_than_the_daemon(Hurried& f) {
  const uint16_t patient = vncap_port_for(f, std::string(kWithPassword) + R"(, "timeout": 60)");
  const Reply capped = f.daemon.request(
      request_with_login(f.echo_backend, std::string(kWithPassword) + R"(, "connect_timeout": 60)"));
  f.check(capped.ok() && f.daemon.wait_log("Timed out, no connection after 1 sec"), "capped");
  f.check(connection_refused("127.0.0.1", capped.port), "closed");
  f.check(session_works(kPlain, patient), "its own time");
}

// From the challenge to the end of the connection.
milliseconds time_to_authenticate(Fixture& f, const std::string& more) {
  const Reply reply = f.daemon.request(request_with_login(f.echo_backend, kWithPassword + more));
  FakeViewer viewer(reply.port);
  if (!viewer.to_challenge()) return {};
  const auto begin = Clock::now();
  Got how = Got::nothing;
  viewer.socket.read_to_end(&how);
  f.check(how != Got::nothing, "closed");
  return since(begin);
}

void a_forwarding_has_its_own_auth_timeout(Fixture& f) {
  const milliseconds took = time_to_authenticate(f, R"(, "auth_timeout": 1.5)");
  f.check(took > milliseconds(1000) && took < milliseconds(15000), std::to_string(took.count()));
}

void the_daemon_caps_the_auth_timeout(Hurried& f) {
  const milliseconds took = time_to_authenticate(f, R"(, "auth_timeout": 60)");
  f.check(took > milliseconds(500) && took < milliseconds(15000), std::to_string(took.count()));
}

void web_pages_do_not_wait_for_slow_backends(Hurried& f) {
  FakeBackend mute(silent());
  Socket patient = f.daemon.connect();
  patient.send(Request{.destination_port = mute.port()}.json());
  f.check(mute.wait_connections(1));
  const auto begin = Clock::now();
  f.check(exchange(f.at_vncap(), vncap_line(mute)) == "FAILED\r\n");
  f.check(since(begin) < milliseconds(15000), "long before server-timeout");
  f.check(patient.silent_for(milliseconds(0)), "which others still have");
  mute.end_all();
  f.check(!parse_reply(patient.read_to_end()).ok());
}

// ---- where viewers come from

FakeViewer viewer_from(const std::string& source, uint16_t port) {
  FakeViewer viewer;
  viewer.socket = Socket::connect(source == "::1" ? "::1" : "127.0.0.1", port, {}, 0, source);
  return viewer;
}

void check_pin(Fixture& f, const std::string& pin, uint16_t port, const char* inside, const char* outside) {
  f.check(port != 0, pin);
  // More often than there are attempts, and the port stays.
  for (int i = 0; i < 20; ++i) f.check(viewer_from(outside, port).socket.ended(), pin + " lets others in");
  FakeViewer viewer = viewer_from(inside, port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("ping"), pin);
}

void viewers_come_from_where_they_have_to(Fixture& f) {
  struct {
    const char* pin;
    const char* inside;
    const char* outside;
    bool one_address;
  } const rows[] = {
      {"127.0.0.2", "127.0.0.2", "127.0.0.1", true},     {"::ffff:127.0.0.2", "127.0.0.2", "127.0.0.3", true},
      {"127.0.0.4/30", "127.0.0.7", "127.0.0.8", false}, {"::1", "::1", "127.0.0.1", true},
      {"0:0:0:0:0:0:0:1", "::1", "127.0.0.1", true},     {"::/127", "::1", "127.0.0.1", false},
      {"127.0.0.1", "127.0.0.1", "::1", true},
  };
  for (const auto& row : rows) {
    const std::string pin = row.pin, quoted = '"' + pin + '"';
    const bool needs_v6 = std::string_view(row.inside) == "::1" || std::string_view(row.outside) == "::1";
    if (needs_v6 && !ipv6_works()) continue;
    const Reply reply = f.daemon.request(
        request_with_login(f.echo_backend, std::string(kWithPassword) + R"(, "client_address": )" + quoted));
    check_pin(f, pin, reply.port, row.inside, row.outside);
    if (!row.one_address) continue;
    const std::string client = std::string(kWithPassword) + R"(, "client": {"ip": )" + quoted + "}";
    check_pin(f, "vncap " + pin, vncap_port_for(f, client), row.inside, row.outside);
  }
}

// ---- bad input

void what_is_no_request_is_never_met_with_silence(Fixture& f) {
  const std::string port = std::to_string(f.echo_backend.port());
  const std::string big(1'000'000, 'x');
  const std::string rows[] = {
      "\r\n",
      "{}\r\n",
      "[]\r\n",
      "17\r\n",
      "null\r\n",
      "\"daddr\"\r\n",
      "{\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "RFB 003.008\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12),
      "{\"daddr\": \"\xff\xfe\"}\r\n",
      std::string(64, '\0') + "\r\n",
      std::string(20'000, '{') + "\r\n",
      R"({"daddr": "127.0.0.1", "password": "VwMk7f3a"})"
      "\r\n",
      R"({"dport": )" + port +
          R"(, "password": "VwMk7f3a"})"
          "\r\n",
      R"({"daddr": 5, "dport": )" + port +
          R"(, "password": "VwMk7f3a"})"
          "\r\n",
      R"({"daddr": "127.0.0.1", "dport": 0, "password": "VwMk7f3a"})"
      "\r\n",
      R"({"daddr": "127.0.0.1", "dport": 65536, "password": "VwMk7f3a"})"
      "\r\n",
      R"({"daddr": "127.0.0.1", "dport": -1, "password": "VwMk7f3a"})"
      "\r\n",
      R"({"daddr": "127.0.0.1", "dport": 99999999999999999999, "password": "VwMk7f3a"})"
      "\r\n",
      R"({"daddr": "127.0.0.1\u0000.example.org", "dport": )" + port +
          R"(, "password": "VwMk7f3a"})"
          "\r\n",
      vncap_line(f.echo_backend, R"("password": ["VwMk7f3a"])"),
      vncap_line(f.echo_backend, std::string(kWithPassword) + R"(, "client": "127.0.0.1")"),
      vncap_line(f.echo_backend, std::string(kWithPassword) + R"(, "client": {"ip": "elsewhere"})"),
      vncap_line(f.echo_backend, std::string(kWithPassword) + R"(, "timeout": "soon")"),
      vncap_line(f.echo_backend, std::string(kWithPassword) + ", " + kWithPassword),
      vncap_line(f.echo_backend,
                 std::string(kWithPassword) + R"(, "padding": ")" + big.substr(0, 16384) + '"'),
      "{\"daddr\": \"" + big + "\"}\r\n",
      "{\"daddr\": \"" + big,  // and no end
      big,
  };
  for (const std::string& row : rows)
    for (const auto& connect : {&Fixture::at_vncap, &Fixture::at_vncap_path}) {
      const std::string answer = exchange((f.*connect)(), row);
      f.check(answer == "FAILED\r\n", row.substr(0, 60) + " -> " + answer);
    }
  f.check(f.daemon.workers().size() == 1, "nobody was sent to a backend");
}

void a_line_that_is_not_ended_fails(Fixture& f) {
  const std::string whole = vncap_line(f.echo_backend);
  for (const size_t missing : {size_t{1}, size_t{2}, size_t{3}, whole.size() / 2, whole.size() - 1}) {
    Socket control = f.at_vncap();
    control.send(std::string_view(whole).substr(0, whole.size() - missing));
    control.finish_sending();
    const std::string answer = control.read_to_end();
    // "\r" without "\n" is the end of nothing.
    f.check(answer == "FAILED\r\n", std::to_string(missing) + " missing -> " + answer);
  }
}

void the_local_socket_tells_what_is_wrong(Fixture& f) {
  const std::string big(1'000'000, 'x');
  for (const std::string& row :
       {std::string("[]"), std::string("{}"), std::string("GET / HTTP/1.1\r\n\r\n"), "{\"a\": \"" + big, big,
        std::string(
            R"({"destination_address": "127.0.0.1", "destination_port": 5900, "password": "VwMk7f3a"})"),
        local_request(f.echo_backend, R"("password": 5)")}) {
    const Reply reply = parse_reply(exchange(f.at_control_path(), row));
    f.check(reply.failed("bad_request"), row.substr(0, 60) + " -> " + reply.text);
  }
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, request_forwarding),
      STAGED(Fixture, the_self_test_of_synnefo),
      STAGED(Fixture, ganeti_web_manager),
      STAGED(Fixture, request_ssh),
      STAGED(Fixture, ganetimgr),
      STAGED(Fixture, every_dialect_has_every_type),
      STAGED(Fixture, lines_end_in_lf_too_and_only_the_first_counts),
      STAGED(Fixture, a_login_cannot_be_gone_round),
      STAGED(Fixture, one_password_serves_both_sides),
      STAGED(Fixture, the_proxy_makes_passwords),
      STAGED(Fixture, long_and_empty_passwords),
      STAGED(Fixture, a_password_beyond_ascii_has_two_forms),
      STAGED(Fixture, a_port_is_a_wish),
      STAGED(Fixture, times_that_are_cut_are_warned_of),
      STAGED(Fixture, a_forwarding_has_its_own_connect_timeout),
      STAGED(Hurried, only_vncap_may_wait_longer_than_the_daemon),
      STAGED(Fixture, a_forwarding_has_its_own_auth_timeout),
      STAGED(Hurried, the_daemon_caps_the_auth_timeout),
      STAGED(Hurried, web_pages_do_not_wait_for_slow_backends),
      STAGED(Fixture, viewers_come_from_where_they_have_to),
      STAGED(Fixture, what_is_no_request_is_never_met_with_silence),
      STAGED(Fixture, a_line_that_is_not_ended_fails),
      STAGED(Fixture, the_local_socket_tells_what_is_wrong),
  };
  return run_group("dialects", tests);
}
