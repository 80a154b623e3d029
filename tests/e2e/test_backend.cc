// SPDX-License-Identifier: GPL-2.0-or-later
// The backend side of the built daemon: versions, addresses, passwords, and every odd server there is. A
// request fails in time, with the right code and the server's own words; nothing else is touched.
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::string;

struct Fixture : Stage {
  explicit Fixture(std::vector<std::string> options = {}) : Stage({.options = std::move(options)}) {}

  Reply ask(uint16_t port, const std::string& server_password = {}) const {
    return daemon.request(Request{.destination_port = port, .server_password = server_password});
  }
  bool works(const Reply& reply) const {
    FakeViewer viewer(reply.port);
    return reply.ok() && viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("ping");
  }
};

struct Hasty : Fixture {
  Hasty() : Fixture({"--server-timeout", "1.5", "--connect-retries", "1"}) {}
};

// Names of several addresses, and a resolver that never answers, where this test may have them.
struct Named : Stage {
  Named()
      : Stage({.options = {"--server-timeout", "4", "--connect-retries", "1"},
               .names = {.hosts = works ? "127.0.0.1 localhost\n127.0.0.2 two\n127.0.0.3 two\n127.0.0.3 owt\n"
                                          "127.0.0.2 owt\n"
                                        : "",
                         .resolv_conf = works ? "nameserver 127.0.0.9\n" : ""}}) {}
  inline static const bool works = own_names_work();
};

struct Persistent : Fixture {
  Persistent() : Fixture({"--server-timeout", "20", "--connect-retries", "100", "--retry-wait", "0.1"}) {}
};

std::string u32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

// A backend that says `greeting`, and after the client's answer `then`, and so on; `end` closes at last.
FakeBackend::Session script(std::vector<std::pair<Bytes, size_t>> steps, bool end = true) {
  return [=](Socket& socket) {
    for (const auto& [say, read] : steps)
      if (!socket.send(say) || !socket.read(read)) return;
    if (!end) socket.read_to_end(nullptr, std::chrono::hours(1));
  };
}

void every_version_is_understood(Fixture& f) {
  const struct {
    const char *says, *answer;
  } rows[] = {{"RFB 003.003\n", "RFB 003.003\n"}, {"RFB 003.004\n", "RFB 003.003\n"},
              {"RFB 003.005\n", "RFB 003.003\n"}, {"RFB 003.006\n", "RFB 003.003\n"},
              {"RFB 003.007\n", "RFB 003.007\n"}, {"RFB 003.008\n", "RFB 003.008\n"},
              {"RFB 003.014\n", "RFB 003.008\n"}, {"RFB 003.016\n", "RFB 003.008\n"},
              {"RFB 003.889\n", "RFB 003.008\n"}, {"RFB 004.000\n", "RFB 003.008\n"},
              {"RFB 004.001\n", "RFB 003.008\n"}, {"RFB 005.000\n", "RFB 003.008\n"}};
  for (const auto& row : rows) {
    for (const Bytes& type : {Bytes("\1"), Bytes("\2")}) {
      std::mutex mutex;
      std::string answer;
      FakeBackend backend([&](Socket& socket) {
        const std::lock_guard lock(mutex);
        if (!shake_hands(socket, {.version = row.says, .types = type, .password = kServerSecret}, &answer))
          return;
        size_t got = 0;
        uint8_t room[256];
        while (socket.read_some(room, &got) == Got::data) socket.send(std::span<const uint8_t>(room, got));
      });
      f.check(f.works(f.ask(backend.port(), kServerSecret)), row.says);
      backend.end_all();
      const std::lock_guard lock(mutex);
      f.check(answer == row.answer, answer);
    }
  }
}

void all_in_one_segment_is_read_in_order(Fixture& f) {
  // A 3.3 server need not wait: its version, its scheme and the session's first bytes.
  FakeBackend backend(script({{"RFB 003.003\n" + u32(1) + "early bytes", 12}}, false));
  const Reply reply = f.ask(backend.port());
  FakeViewer viewer(reply.port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted, reply.text);
  f.check(viewer.socket.read(11) == "early bytes");
}

void handshakes_arrive_in_any_pieces(Fixture& f) {
  FakeBackend backend([](Socket& socket) {
    const auto challenge = Bytes(16, 'c');
    if (!socket.send_each_byte("RFB 003.008\n") || !socket.read(12) || !socket.send_each_byte("\2\2\1") ||
        !socket.read(1) || !socket.send_each_byte(u32(0) + "welcome"))
      return;
    socket.read_to_end();
  });
  const Reply reply = f.ask(backend.port());
  FakeViewer viewer(reply.port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted, reply.text);
  f.check(viewer.socket.read(7) == "welcome");
}

void the_right_type_is_chosen(Fixture& f) {
  Bytes all;
  for (int i = 0; i < 255; ++i) all += static_cast<char>(i % 40);
  for (const Bytes& types : {Bytes("\2\1"), Bytes("\1\2"), Bytes("\x13\x10\1"), Bytes("\0\1", 2), all,
                             Bytes("\1\1\1\1"), Bytes("\5\6\x81\x82\1")}) {
    FakeBackend backend([types](Socket& socket) {
      BackendHandshake handshake{.types = types};
      // None is preferred to a password wherever both are offered.
      if (socket.send(handshake.version) && socket.read(12) &&
          socket.send(static_cast<char>(types.size()) + types) && socket.read(1) == "\1" &&
          socket.send(u32(0)))
        socket.send("chosen");
    });
    const Reply reply = f.ask(backend.port(), kServerSecret);
    FakeViewer viewer(reply.port);
    f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.socket.read(6) == "chosen",
            reply.text);
  }
}

void passwords_are_given_where_asked_for(Fixture& f) {
  for (const char* version : {"RFB 003.003\n", "RFB 003.007\n", "RFB 003.008\n"}) {
    FakeBackend backend(echo({.version = version, .types = "\2", .password = kServerSecret}));
    f.check(f.works(f.ask(backend.port(), kServerSecret)), version);
    f.check(f.works(f.ask(backend.port(), std::string(kServerSecret) + "longer")), "eight characters count");
    const Reply wrong = f.ask(backend.port(), "wrong");
    f.check(wrong.failed("backend_auth"), wrong.text);
    if (std::string_view(version) == "RFB 003.008\n")
      f.check(wrong.reason.find("wrong backend password") != std::string::npos, wrong.text);
    const Reply none = f.ask(backend.port());
    f.check(none.failed("backend_auth"), none.text);
  }
}

void unknown_types_are_named(Fixture& f) {
  FakeBackend backend(script({{"RFB 003.008\n", 12}, {"\3\x10\x13\x1e", 1}}));
  const Reply reply = f.ask(backend.port(), kServerSecret);
  f.check(!reply.ok() && reply.code.starts_with("backend_"), reply.text);
  for (const char* type : {"16", "19", "30"})
    f.check(reply.reason.find(type) != std::string::npos, reply.text);
  FakeBackend old(script({{"RFB 003.003\n" + u32(16), 12}}));
  const Reply from_old = f.ask(old.port());
  f.check(!from_old.ok() && from_old.code.starts_with("backend_"), from_old.text);
}

void refusals_come_with_their_reason(Fixture& f) {
  const std::string reason = "Too many security failures";
  const Bytes counted = u32(static_cast<uint32_t>(reason.size())) + reason;
  const std::vector<FakeBackend::Session> rows = {
      script({{"RFB 003.003\n", 12}, {u32(0) + counted, 0}}),
      // TigerVNC's way with the unwelcome: all at once, without a word from the client.
      script({{"RFB 003.003\n" + u32(0) + counted, 0}}),
      script({{"RFB 003.007\n", 12}, {Bytes(1, '\0') + counted, 0}}),
      script({{"RFB 003.008\n", 12}, {Bytes(1, '\0') + counted, 0}}),
      script({{"RFB 003.008\n", 12}, {Bytes(1, '\0') + counted, 0}}, false),  // and stays
      script({{"RFB 003.008\n", 12}, {"\1\1", 1}, {u32(1) + counted, 0}}),
      script({{"RFB 003.008\n", 12}, {"\1\1", 1}, {u32(2) + counted, 0}}, false),
      script({{"RFB 003.008\n", 12}, {"\1\1", 1}, {u32(0xdeadbeef) + counted, 0}}),
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    FakeBackend backend(rows[i]);
    const Reply reply = f.ask(backend.port());
    f.check(reply.failed("backend_refused") && reply.reason.find(reason) != std::string::npos,
            std::to_string(i) + ": " + reply.text);
  }
}

void lying_lengths_end_in_time(Fixture& f) {
  for (const uint32_t length : {0xffffffffu, 0x7fffffffu, 100'000u, 27u, 0u}) {
    for (const bool end : {true, false}) {
      FakeBackend backend(script(
          {{"RFB 003.008\n", 12}, {Bytes(1, '\0') + u32(length) + "this many bytes, no more", 0}}, end));
      const auto begin = Clock::now();
      const Reply reply = f.ask(backend.port());
      f.check(reply.failed("backend_refused"), reply.text);
      f.check(Clock::now() - begin < seconds(5), "in time");
    }
  }
  // A reason without end.
  FakeBackend endless([](Socket& socket) {
    if (!socket.send("RFB 003.008\n") || !socket.read(12) || !socket.send(Bytes(1, '\0') + u32(0xffffffff)))
      return;
    while (socket.send(Bytes(65536, 'x'))) {
    }
  });
  const Reply reply = f.ask(endless.port());
  f.check(reply.failed("backend_refused"), reply.text.substr(0, 200));
}

void foreign_words_are_only_data(Fixture& f) {
  const std::string reasons[] = {"two\nlines\r\nand \"quotes\" and \\ and \x1b[31mred",
                                 "%n%s%d%p%x",
                                 std::string("nul\0inside", 10),
                                 "\xff\xfe\xc3 broken \xe2\x80",
                                 "\xe2\x80\xae reversed \xc2\x9b c1 \x7f",
                                 "\", \"status\": \"OK\", \"source_port\": 1, \"x\": \"",
                                 std::string(3000, '"'),
                                 std::string(3000, '\1'),
                                 "gr\xc3\xbc\xc3\x9f dich"};
  for (const std::string& reason : reasons) {
    FakeBackend backend(script(
        {{"RFB 003.008\n", 12}, {Bytes(1, '\0') + u32(static_cast<uint32_t>(reason.size())) + reason, 0}}));
    const Reply reply = f.ask(backend.port());
    f.check(reply.failed("backend_refused"), reply.text);
    bool printable = true;
    for (const char c : reply.text)
      printable = printable && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    f.check(printable, reply.text);
  }
}

void what_is_no_rfb_fails_at_once(Fixture& f) {
  for (const Bytes& greeting :
       {Bytes("SSH-2.0-OpenSSH_9.2\r\n"), Bytes("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Bytes("220 mail ESMTP\r\n"), Bytes("RFB 003.00x\n"), Bytes("RFB  03.008\n"), Bytes("RFB -03.008\n"),
        Bytes("RFB 003.008\r"), Bytes("RFB 003,008\n"), Bytes("rfb 003.008\n"), Bytes("RFB 000.000\n"),
        Bytes("RFB 003.002\n"), Bytes("RFB 002.009\n"), Bytes(12, '\0'), Bytes("\x15\x03\x01\0\2\2\x28", 7),
        Bytes("x")}) {
    FakeBackend backend(blurt(greeting));
    const auto begin = Clock::now();
    const Reply reply = f.ask(backend.port());
    f.check(!reply.ok() && reply.code.starts_with("backend_") && !reply.reason.empty(), reply.text);
    f.check(Clock::now() - begin < seconds(5), "it does not wait for more");
  }
}

void leaving_at_any_step_fails_at_once(Fixture& f) {
  const std::vector<FakeBackend::Session> rows = {
      script({}),
      script({{"RFB", 0}}),
      script({{"RFB 003.008\n", 0}}),
      script({{"RFB 003.008\n", 12}}),
      script({{"RFB 003.008\n", 12}, {"\2", 0}}),
      script({{"RFB 003.008\n", 12}, {"\2\1", 0}}),
      script({{"RFB 003.008\n", 12}, {"\1\1", 1}}),
      script({{"RFB 003.008\n", 12}, {"\1\1", 1}, {Bytes(3, '\0'), 0}}),
      script({{"RFB 003.008\n", 12}, {"\1\2", 1}}),
      script({{"RFB 003.008\n", 12}, {"\1\2", 1}, {Bytes(15, 'c'), 0}}),
      script({{"RFB 003.008\n", 12}, {"\1\2", 1}, {Bytes(16, 'c'), 16}}),
      script({{"RFB 003.008\n", 12}, {"\1\2", 1}, {Bytes(16, 'c'), 16}, {u32(1).substr(0, 2), 0}}),
      script({{"RFB 003.008\n", 12}, {Bytes(1, '\0'), 0}}),
      // QEMU's answer to a version it does not like: a bare U32 0.
      script({{"RFB 003.008\n", 12}, {u32(0), 0}}),
      script({{"RFB 003.003\n", 12}, {u32(0).substr(0, 3), 0}}),
      script({{"RFB 003.007\n", 12}, {"\1\2", 1}, {Bytes(16, 'c'), 16}, {u32(1), 0}}),
      [](Socket& socket) { socket.reset(); },
      [](Socket& socket) {
        socket.send("RFB 003.008\n");
        socket.read(12);
        socket.reset();
      },
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    FakeBackend backend(rows[i]);
    const auto begin = Clock::now();
    const Reply reply = f.ask(backend.port(), kServerSecret);
    f.check(!reply.ok() && reply.code.starts_with("backend_") && !reply.reason.empty(),
            std::to_string(i) + ": " + reply.text);
    f.check(Clock::now() - begin < seconds(5), "at once");
  }
  f.check(f.daemon.wait_workers(1), "their workers are gone");
}

void silence_ends_at_the_deadline(Hasty& f) {
  const std::vector<FakeBackend::Session> rows = {
      silent(),
      script({{"RFB 003.008\n", 12}}, false),
      script({{"RFB 003.008\n", 12}, {"\2\1", 0}}, false),
      script({{"RFB 003.008\n", 12}, {"\1\1", 1}}, false),
      // One byte just under any limit of a single read, for ever.
      [](Socket& socket) {
        for (const char c : std::string("RFB 003.008\n\1\1\0\0\0\0", 18)) {
          if (!socket.send({&c, 1}) || wait_fd(socket.get(), POLLRDHUP, milliseconds(400))) break;
        }
        socket.read_to_end();
      },
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    FakeBackend backend(rows[i]);
    const auto begin = Clock::now();
    const Reply reply = f.ask(backend.port());
    const auto took = Clock::now() - begin;
    f.check(reply.failed("backend_timeout"), std::to_string(i) + ": " + reply.text);
    f.check(took > seconds(1) && took < seconds(4), std::to_string(i) + ": in time");
  }
}

void a_black_hole_ends_at_the_deadline(Hasty& f) {
  // A listener whose queue is full: further SYNs are dropped, as a firewall does it.
  const base::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!f.check(::bind(fd.get(), generic, size) == 0 && ::listen(fd.get(), 0) == 0 &&
               ::getsockname(fd.get(), generic, &size) == 0))
    return;
  const uint16_t port = ntohs(address.sin_port);
  std::list<Socket> queued;
  while (queued.size() < 10 && (queued.empty() || queued.back()))
    queued.push_back(Socket::connect("127.0.0.1", port, milliseconds(200)));
  if (!f.check(!queued.back(), "the queue is full")) return;
  const auto begin = Clock::now();
  const Reply reply = f.ask(port);
  f.check(reply.failed("backend_timeout") && reply.reason.ends_with("(step: connecting)"), reply.text);
  f.check(Clock::now() - begin < seconds(4), "in time");
}

void nobody_there_is_unreachable(Hasty& f) {
  const Reply refused = f.ask(find_free_range(1));
  f.check(refused.failed("backend_unreachable"), refused.text);
  Request wanted{.destination_port = 5900, .destination_address = "no-such-host.invalid"};
  const Reply unknown = f.daemon.request(wanted);
  f.check(unknown.failed("backend_unreachable") || unknown.failed("backend_timeout"), unknown.text);
  for (const char* odd : {"256.256.256.256", "not a name", "::1::2", "%n%s", "a..b", "-", "\x7f"}) {
    wanted.destination_address = odd;
    const Reply reply = f.daemon.request(wanted);
    f.check(
        !reply.ok() && reply.is_json && (reply.code.starts_with("backend_") || reply.code == "bad_request"),
        reply.text);
  }
}

void every_spelling_of_an_address_works(Fixture& f) {
  FakeBackend v6(echo(), "::1");
  const struct {
    const char* address;
    uint16_t port;
  } rows[] = {{"127.0.0.1", f.echo_backend.port()},
              {"localhost", f.echo_backend.port()},
              {"::ffff:127.0.0.1", f.echo_backend.port()},
              {"::1", v6.port()}};
  for (const auto& row : rows) {
    if (std::string_view(row.address).find(':') != std::string_view::npos && !ipv6_works()) continue;
    const Reply reply =
        f.daemon.request(Request{.destination_port = row.port, .destination_address = row.address});
    f.check(f.works(reply), std::string(row.address) + ": " + reply.text);
  }
}

// "localhost" is two addresses on most machines: wherever the server listens, it is found.
void every_address_of_a_name_is_tried(Fixture& f) {
  if (!ipv6_works() || read_file("/etc/hosts").find("::1") == std::string::npos) return;
  if (run({"getent", "ahostsv6", "localhost"}).out.find("::1") != 0) return;
  FakeBackend v6(echo(), "::1");
  const Reply reply =
      f.daemon.request(Request{.destination_port = v6.port(), .destination_address = "localhost"});
  f.check(f.works(reply), reply.text);
}

// What a server does that is only just booting, or a forwarder before one that is not there yet.
void a_server_that_is_none_yet_is_tried_again(Fixture& f) {
  const std::vector<std::pair<const char*, FakeBackend::Session>> rows = {
      {"hangs up", script({})},
      {"hangs up within its version", script({{"RFB 003", 0}})},
      {"resets", [](Socket& socket) { socket.reset(); }},
      {"no RFB", blurt("SSH-2.0-OpenSSH_9.2\r\n")},
      {"a web server", blurt("HTTP/1.1 503 Service Unavailable\r\n\r\n")},
      {"a repeater", blurt("RFB 000.000\n")}};
  for (const auto& [name, first] : rows) {
    std::atomic<int> count{0};
    FakeBackend backend(
        [&, usual = echo(), odd = first](Socket& socket) { count++ == 0 ? odd(socket) : usual(socket); });
    const Reply reply = f.ask(backend.port());
    f.check(f.works(reply), std::string(name) + ": " + reply.text);
    f.check(backend.connections() == 2, name);
  }
}

// Its silence takes no more than its share of the time.
void a_silent_server_is_tried_again(Fixture& f) {
  Daemon daemon({.options = {"--server-timeout", "6", "--retry-wait", "0"}});
  std::atomic<int> count{0};
  FakeBackend backend(
      [&, usual = echo(), odd = silent()](Socket& socket) { count++ == 0 ? odd(socket) : usual(socket); });
  const Reply reply = daemon.request(Request{.destination_port = backend.port()});
  f.check(f.works(reply), reply.text);
  f.check(backend.connections() == 2);
}

// But one that speaks RFB has said its word: to ask it again might lock the proxy out.
void what_an_rfb_server_says_is_final(Fixture& f) {
  const std::vector<std::pair<const char*, FakeBackend::Session>> rows = {
      {"refuses", script({{"RFB 003.008\n", 12}, {Bytes(1, '\0') + u32(2) + "no", 0}})},
      {"refuses in place of a greeting", script({{"RFB 003.003\n" + u32(0) + u32(2) + "no", 0}})},
      {"other types", script({{"RFB 003.008\n", 12}, {"\1\x13", 0}})},
      {"hangs up at the types", script({{"RFB 003.008\n", 12}})},
      {"wants a password", script({{"RFB 003.008\n", 12}, {"\1\2", 0}})},
      {"hangs up at the result", script({{"RFB 003.008\n", 12}, {"\1\1", 1}})}};
  for (const auto& [name, session] : rows) {
    FakeBackend backend(session);
    const Reply reply = f.ask(backend.port());
    f.check(!reply.ok() && reply.code.starts_with("backend_"), std::string(name) + ": " + reply.text);
    f.check(backend.connections() == 1, name);
  }
}

void the_last_of_all_failures_is_told(Fixture& f) {
  FakeBackend ssh(blurt("SSH-2.0-OpenSSH_9.2\r\n"));
  const Reply reply = f.ask(ssh.port());
  f.check(reply.failed("backend_refused") && reply.reason.find("does not speak RFB") != std::string::npos,
          reply.text);
  f.check(ssh.connections() == 3, "as often as --connect-retries says");
}

void the_next_address_has_its_turn(Named& f) {
  if (!f.works) return;
  FakeBackend good(echo(), "127.0.0.3");
  const auto serves = [&](const char* name) {
    const Reply reply =
        f.daemon.request(Request{.destination_port = good.port(), .destination_address = name});
    FakeViewer viewer(reply.port);
    f.check(reply.ok() && viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("ping"),
            std::string(name) + ": " + reply.text);
  };
  const auto with_bad = [&](const char* what, const FakeBackend::Session& session) {
    FakeBackend bad(session, "127.0.0.2", good.port());
    if (!f.check(bad.port() == good.port(), "a second server at the same port")) return;
    serves("two");
    serves("owt");
    f.check(bad.connections() > 0, what);
  };
  with_bad("hangs up", script({}));
  with_bad("silent", silent());
  with_bad("no RFB", blurt("220 mail ESMTP\r\n"));
}

void a_timeout_names_its_step(Hasty& f) {
  const struct {
    const char* step;
    FakeBackend::Session session;
  } rows[] = {
      {"greeting", silent()},
      {"greeting", script({{"RFB 003", 0}}, false)},
      {"security types", script({{"RFB 003.008\n", 12}}, false)},
      {"security types", script({{"RFB 003.003\n", 12}}, false)},
      {"security types", script({{"RFB 003.008\n", 12}, {"\2\1", 0}}, false)},
      {"challenge", script({{"RFB 003.008\n", 12}, {"\1\2", 1}}, false)},
      {"security result", script({{"RFB 003.008\n", 12}, {"\1\1", 1}}, false)},
  };
  for (const auto& row : rows) {
    FakeBackend backend(row.session);
    const Reply reply = f.ask(backend.port(), kServerSecret);
    f.check(
        reply.failed("backend_timeout") && reply.reason.ends_with(std::string("(step: ") + row.step + ")"),
        std::string(row.step) + ": " + reply.text);
  }
}

void a_timeout_of_the_resolver_is_named_too(Named& f) {
  if (!f.works) return;
  // A name server that hears and never answers.
  const base::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(0x7f000009);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  const auto begin = Clock::now();
  const Reply reply =
      f.daemon.request(Request{.destination_port = 5900, .destination_address = "node.example.net"});
  f.check(reply.failed("backend_timeout") && reply.reason.find("(step: resolving)") != std::string::npos,
          reply.text);
  f.check(Clock::now() - begin < seconds(8), "in time");
}

void a_late_backend_is_reached_by_a_retry(Persistent& f) {
  const uint16_t port = find_free_range(1);
  std::thread late;
  std::unique_ptr<Listener> listener;
  Socket client;
  late = std::thread([&] {
    // Not a wait for anything: the server is late by this much.
    ::poll(nullptr, 0, 500);
    listener = std::make_unique<Listener>("127.0.0.1", port);
    client = listener->accept();
    shake_hands(client);
    client.send("late but here");
  });
  const Reply reply = f.ask(port);
  FakeViewer viewer(reply.port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.socket.read(13) == "late but here",
          reply.text);
  late.join();
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, every_version_is_understood),
      STAGED(Fixture, all_in_one_segment_is_read_in_order),
      STAGED(Fixture, handshakes_arrive_in_any_pieces),
      STAGED(Fixture, the_right_type_is_chosen),
      STAGED(Fixture, passwords_are_given_where_asked_for),
      STAGED(Fixture, unknown_types_are_named),
      STAGED(Fixture, refusals_come_with_their_reason),
      STAGED(Fixture, lying_lengths_end_in_time),
      STAGED(Fixture, foreign_words_are_only_data),
      STAGED(Fixture, what_is_no_rfb_fails_at_once),
      STAGED(Fixture, leaving_at_any_step_fails_at_once),
      STAGED(Hasty, silence_ends_at_the_deadline),
      STAGED(Hasty, a_black_hole_ends_at_the_deadline),
      STAGED(Hasty, nobody_there_is_unreachable),
      STAGED(Fixture, every_spelling_of_an_address_works),
      STAGED(Fixture, every_address_of_a_name_is_tried),
      STAGED(Fixture, a_server_that_is_none_yet_is_tried_again),
      STAGED(Fixture, a_silent_server_is_tried_again),
      STAGED(Fixture, what_an_rfb_server_says_is_final),
      STAGED(Fixture, the_last_of_all_failures_is_told),
      STAGED(Named, the_next_address_has_its_turn),
      STAGED(Hasty, a_timeout_names_its_step),
      STAGED(Named, a_timeout_of_the_resolver_is_named_too),
      STAGED(Persistent, a_late_backend_is_reached_by_a_retry),
  };
  return run_group("backend", tests);
}
