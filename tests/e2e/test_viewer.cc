// SPDX-License-Identifier: GPL-2.0-or-later
// The open port of a forwarding: who gets in, who does not, what each attempt costs, and what the backend
// sees of it (nothing, before a right response).
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

using Clock = std::chrono::steady_clock;

// A stage whose forwardings lead to a backend that records.
struct Fixture : Stage {
  explicit Fixture(std::vector<std::string> options = {})
      : Stage({.options = std::move(options)}), backend(record(&recorder)) {}

  uint16_t open_port() const { return daemon.forwarding_to(backend.port()); }
  // The forwarding is as good as new: a viewer with the password gets in, and the backend has seen only its
  // bytes.
  bool still_good(uint16_t port) {
    FakeViewer viewer(port);
    const size_t before = recorder.bytes().size();
    return viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.socket.send("first bytes") &&
           recorder.wait_size(before + 11) && recorder.bytes().substr(before) == "first bytes";
  }

  Recorder recorder;
  FakeBackend backend;
};

struct OneAttempt : Fixture {
  OneAttempt() : Fixture({"--auth-attempts", "1"}) {}
};
struct QuickPort : Fixture {
  QuickPort() : Fixture({"--connect-timeout", "1"}) {}
};
struct QuickAuth : Fixture {
  QuickAuth() : Fixture({"--auth-timeout", "1"}) {}
};
struct QuickRetry : Fixture {
  QuickRetry() : Fixture({"--connect-timeout", "1", "--auth-timeout", "3"}) {}
};
struct OnlyV4 : Fixture {
  OnlyV4() : Fixture({"--proxy-listen-address", "127.0.0.1"}) {}
};

const char* const kVersions[] = {"RFB 003.003\n", "RFB 003.007\n", "RFB 003.008\n"};

void every_version_gets_in(Fixture& f) {
  for (const char* version :
       {"RFB 003.003\n", "RFB 003.004\n", "RFB 003.005\n", "RFB 003.006\n", "RFB 003.007\n", "RFB 003.008\n",
        "RFB 003.014\n", "RFB 003.016\n", "RFB 003.889\n"}) {
    for (const bool by_byte : {false, true}) {
      FakeViewer viewer(f.daemon.forwarding_to(f.echo_backend.port()));
      f.check(viewer.log_in(kViewerSecret, version, by_byte) == Verdict::admitted, version);
      f.check(viewer.echoes("hello"), version);
    }
  }
}

void each_message_comes_whole(Fixture& f) {
  // What Synnefo's self-test asks for: each in one read, byte for byte.
  FakeViewer viewer(f.open_port());
  const auto one_read = [&] {
    uint8_t room[100];
    size_t got = 0;
    viewer.socket.read_some(room, &got);
    return std::string(reinterpret_cast<const char*>(room), got);
  };
  f.check(one_read() == "RFB 003.008\n", "version");
  viewer.socket.send("RFB 003.008\n");
  f.check(one_read() == "\1\2", "one type");
  viewer.socket.send("\2");
  viewer.challenge = one_read();
  f.check(viewer.challenge.size() == 16, "challenge");
  viewer.send_response(kViewerSecret);
  f.check(one_read() == std::string(4, '\0'), "result");
}

void odd_versions_cost_nothing(Fixture& f) {
  const uint16_t port = f.open_port();
  for (const std::string& version :
       {std::string("RFB 000.000\n"), std::string("RFB 002.009\n"), std::string("RFB 003.00x\n"),
        std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), std::string("SSH-2.0-x\r\n"),
        std::string("\x16\x03\x01\2\0\1\0\1\xfc\x03\x03\0", 12), std::string(12, '\0'), std::string("x")}) {
    FakeViewer viewer(port);
    f.check(viewer.read_greeting());
    viewer.socket.send(version);
    Got how = Got::nothing;
    viewer.socket.read_to_end(&how);
    f.check(how != Got::nothing, "closed at once: " + version.substr(0, 11));
  }
  // Taken for the nearest version or refused: both are right, but never admitted without a password.
  for (const char* version : {"RFB 004.000\n", "RFB 005.000\n", "RFB 999.999\n", "RFB 003.002\n"}) {
    FakeViewer viewer(port);
    viewer.read_greeting();
    viewer.send_version(version);
    const auto next = viewer.socket.read(2);
    f.check(!next || *next == "\1\2" || *next == std::string(2, '\0'), version);
  }
  f.check(f.still_good(port), "the forwarding");
}

void every_other_type_is_refused(Fixture& f) {
  const uint16_t port = f.open_port();
  for (const char* version : {"RFB 003.007\n", "RFB 003.008\n"}) {
    for (int type = 0; type < 256; ++type) {
      if (type == 2) continue;
      FakeViewer viewer(port);
      f.check(viewer.read_greeting() && viewer.send_version(version) && viewer.read_offer());
      viewer.choose(static_cast<uint8_t>(type));
      const std::string said = viewer.socket.read_to_end();
      const bool with_reason = std::string_view(version) == "RFB 003.008\n";
      f.check(said.substr(0, 4) == std::string("\0\0\0\1", 4) && (said.size() > 8) == with_reason,
              "type " + std::to_string(type));
    }
  }
  f.check(f.recorder.bytes().empty(), "nothing reached the backend");
  f.check(f.still_good(port), "the forwarding");
}

void wrong_responses_are_told_and_counted(Fixture& f) {
  for (const std::string_view version : kVersions) {
    const uint16_t port = f.open_port();
    for (int attempt = 0; attempt < 3; ++attempt) {
      FakeViewer viewer(port);
      f.check(viewer.log_in("wrong", version) == Verdict::refused, "refused");
      f.check(viewer.reason.empty() != (version == "RFB 003.008\n"), "a reason at 3.8 alone");
      f.check(viewer.socket.ended(), "and closed");
    }
    f.check(wait_until([&] { return connection_refused("127.0.0.1", port); }), "the third one was the last");
  }
  f.check(f.daemon.wait_workers(1), "their workers are gone");
}

void wrong_responses_count_whatever_follows(Fixture& f) {
  const uint16_t port = f.open_port();
  for (int attempt = 0; attempt < 3; ++attempt) {
    FakeViewer viewer(port);
    f.check(viewer.to_challenge(), "as far as the challenge");
    const size_t before = f.daemon.log_size();
    viewer.send_response("wrong");
    viewer.socket.reset();
    f.check(f.daemon.wait_log("refused: Authentication failed", {}, before), "the log");
  }
  f.check(wait_until([&] { return connection_refused("127.0.0.1", port); }), "the third one was the last");
}

void two_mistakes_are_forgiven(Fixture& f) {
  const uint16_t port = f.open_port();
  for (int attempt = 0; attempt < 2; ++attempt) {
    FakeViewer viewer(port);
    f.check(viewer.log_in("wrong") == Verdict::refused);
  }
  f.check(f.still_good(port));
}

void one_attempt_means_one(OneAttempt& f) {
  const uint16_t port = f.open_port();
  FakeViewer viewer(port);
  f.check(viewer.log_in("wrong") == Verdict::refused);
  f.check(wait_until([&] { return connection_refused("127.0.0.1", port); }), "closed");
}

void only_the_right_response_is_right(Fixture& f) {
  const auto verdict = [&](auto respond) {
    const uint16_t port = f.open_port();
    FakeViewer first(port), viewer(port);
    if (!first.to_challenge() || !viewer.to_challenge()) return Verdict::broken;
    viewer.socket.send(respond(first, viewer));
    return viewer.read_result();
  };
  const auto right = [](const FakeViewer&, const FakeViewer& me) { return me.response(kViewerSecret); };
  f.check(verdict(right) == Verdict::admitted, "the right one");
  f.check(verdict([](const FakeViewer& first, const FakeViewer&) { return first.response(kViewerSecret); }) ==
              Verdict::refused,
          "the right one of another connection");
  f.check(verdict([&](const FakeViewer& first, const FakeViewer& me) {
            return right(first, me).substr(0, 8) + std::string(8, 'x');
          }) == Verdict::refused,
          "half right");
  f.check(verdict([&](const FakeViewer& first, const FakeViewer& me) {
            return std::string(8, 'x') + right(first, me).substr(8);
          }) == Verdict::refused,
          "the other half");
  f.check(verdict([&](const FakeViewer& first, const FakeViewer& me) {
            std::string almost = right(first, me);
            almost[15] = static_cast<char>(almost[15] ^ 1);
            return almost;
          }) == Verdict::refused,
          "one bit");
  f.check(
      verdict([](const FakeViewer&, const FakeViewer&) { return std::string(16, '\0'); }) == Verdict::refused,
      "zeroes");
  f.check(verdict([](const FakeViewer&, const FakeViewer& me) { return me.challenge; }) == Verdict::refused,
          "the challenge itself");
  f.check(
      verdict([](const FakeViewer&, const FakeViewer& me) { return me.response(""); }) == Verdict::refused,
      "the empty password");
}

void challenges_are_never_the_same(Fixture& f) {
  const uint16_t port = f.open_port();
  std::vector<std::string> seen;
  for (int i = 0; i < 40; ++i) {
    FakeViewer viewer(port);
    f.check(viewer.to_challenge());
    for (const std::string& other : seen) f.check(other != viewer.challenge, "a challenge came twice");
    seen.push_back(viewer.challenge);
  }
}

void nothing_before_success_reaches_the_backend(Fixture& f) {
  const uint16_t port = f.open_port();
  const std::string flood(64 * 1024, 'f');
  FakeViewer wrong(port);
  f.check(wrong.to_challenge());
  wrong.socket.send(std::string(16, 'w') + flood, milliseconds(500));
  wrong.socket.read_to_end();
  FakeViewer early(port);  // all at once, before a word of ours
  early.socket.send("RFB 003.008\n\2" + std::string(16, 'w') + flood, milliseconds(500));
  early.socket.read_to_end();
  FakeViewer none(port);  // as CVE-2022-36436 had it
  none.socket.send("RFB 003.008\n\1\1" + flood, milliseconds(500));
  none.socket.read_to_end();
  f.check(f.recorder.bytes().empty(), "nothing reached the backend");
  FakeViewer right(port);
  f.check(right.to_challenge());
  right.socket.send(right.response(kViewerSecret) + "in the same segment");
  f.check(right.read_result() == Verdict::admitted);
  f.check(f.recorder.wait_size(19) && f.recorder.bytes() == "in the same segment",
          "what followed the response did");
}

void probes_cost_nothing(Fixture& f) {
  const uint16_t port = f.open_port();
  for (int i = 0; i < 40; ++i) Socket::connect("127.0.0.1", port).close();
  for (int i = 0; i < 40; ++i) Socket::connect("127.0.0.1", port).reset();
  for (size_t size = 0; size < 12; ++size) {
    FakeViewer viewer(port);
    viewer.socket.send(std::string("RFB 003.008\n").substr(0, size));
    if (size % 2) viewer.socket.reset();
  }
  for (size_t size = 0; size < 16; ++size) {
    FakeViewer viewer(port);
    f.check(viewer.to_challenge());
    viewer.socket.send(std::string(size, 'x'));
    if (size % 2)
      viewer.socket.reset();
    else
      viewer.socket.finish_sending();
  }
  f.check(f.recorder.bytes().empty(), "nothing reached the backend");
  f.check(f.still_good(port), "the forwarding");
}

void the_first_to_authenticate_wins(Fixture& f) {
  const uint16_t port = f.open_port();
  FakeViewer early(port), winner(port), late(port), mute(port);
  f.check(early.to_challenge() && winner.to_challenge() && late.to_challenge());
  f.check(winner.send_response(kViewerSecret) && winner.read_result() == Verdict::admitted, "admitted");
  f.check(connection_refused("127.0.0.1", port), "closed to others at that moment");
  Got how = Got::nothing;
  mute.socket.read_to_end(&how);
  f.check(how != Got::nothing, "who is not at the password is closed");
  // Who is there is told in the place of the result: viewers show nothing that comes before.
  f.check(early.socket.silent_for(milliseconds(100)) && late.socket.silent_for(milliseconds(100)), "not yet");
  early.send_response(kViewerSecret);
  f.check(early.read_result() == Verdict::refused && early.reason == "Another viewer was first",
          "a right response, but too late: " + early.reason);
  late.send_response("wrong");
  f.check(late.read_result() == Verdict::refused && late.reason == "Another viewer was first",
          "a wrong one: " + late.reason);
  f.check(early.socket.ended() && late.socket.ended(), "and closed");
  winner.socket.send("mine");
  f.check(f.recorder.wait_size(4) && f.recorder.bytes() == "mine");
}

void losers_of_every_version_are_refused(Fixture& f) {
  for (const std::string_view version : kVersions) {
    const uint16_t port = f.daemon.forwarding_to(f.echo_backend.port());
    FakeViewer loser(port), winner(port), garbage(port);
    f.check(loser.to_challenge(version) && winner.to_challenge() && garbage.to_challenge(), version);
    f.check(winner.send_response(kViewerSecret) && winner.read_result() == Verdict::admitted, version);
    garbage.socket.send(std::string(64 * 1024, 'x'), milliseconds(500));
    loser.send_response(kViewerSecret);
    f.check(loser.read_result() == Verdict::refused && loser.socket.ended(), version);
    f.check(winner.echoes("the session goes on"), version);
  }
}

void losers_have_their_time_and_no_more(QuickAuth& f) {
  const uint16_t port = f.daemon.forwarding_to(f.echo_backend.port());
  FakeViewer loser(port), winner(port);
  f.check(loser.to_challenge() && winner.log_in(kViewerSecret) == Verdict::admitted, "the race");
  f.check(loser.read_result() == Verdict::refused && loser.reason == "Another viewer was first",
          loser.reason);
  f.check(loser.socket.ended() && winner.echoes("hello"), "closed");
}

void losers_do_not_outlive_the_session(Fixture& f) {
  const uint16_t port = f.daemon.forwarding_to(f.echo_backend.port());
  FakeViewer loser(port), winner(port);
  f.check(loser.to_challenge() && winner.log_in(kViewerSecret) == Verdict::admitted, "the race");
  winner.socket.close();
  f.check(loser.read_result() == Verdict::refused && loser.reason == "Another viewer was first",
          loser.reason);
  f.check(f.daemon.wait_workers(1), "its worker is gone");
}

void crowds_of_scanners_keep_nobody_out(Fixture& f) {
  const uint16_t mute_port = f.open_port();
  std::list<FakeViewer> crowd;
  for (int i = 0; i < 100; ++i) crowd.emplace_back(mute_port);
  f.check(f.still_good(mute_port), "beside 100 that say nothing");
  crowd.clear();
  const uint16_t port = f.open_port();
  for (int i = 0; i < 100; ++i) {
    crowd.emplace_back(port);
    // Those beyond 64 push others out; they need not all get there.
    crowd.back().to_challenge();
  }
  f.check(f.still_good(port), "beside 100 at the challenge");
}

void those_at_the_challenge_outlive_the_port(QuickPort& f) {
  const uint16_t port = f.open_port();
  FakeViewer viewer(port);
  f.check(viewer.to_challenge());
  f.check(wait_until([&] { return connection_refused("127.0.0.1", port); }), "closed to new ones");
  f.check(viewer.send_response(kViewerSecret) && viewer.read_result() == Verdict::admitted,
          "but open to this one");
  viewer.socket.send("typed slowly");
  f.check(f.recorder.wait_size(12) && f.recorder.bytes() == "typed slowly");
  // The session lives on past every limit of the handshake.
  f.check(viewer.socket.silent_for(milliseconds(1500)), "nobody ends it");
  viewer.socket.send("!");
  f.check(f.recorder.wait_size(13), "it still flows");
}

// ---- once more, after a wrong password

bool port_shuts(uint16_t port) {
  return wait_until([&] { return connection_refused("127.0.0.1", port); });
}

// People mistype. Who was at the password when the port's time was over may come back.
void a_wrong_password_after_the_time_may_be_mended(QuickRetry& f) {
  const uint16_t port = f.open_port();
  FakeViewer first(port);
  f.check(first.to_challenge() && port_shuts(port), "the time is over");
  f.check(first.send_response("wrong") && first.read_result() == Verdict::refused, "refused");
  FakeViewer second(port);
  f.check(second.log_in("wrong again") == Verdict::refused, "refused again");
  f.check(f.still_good(port), "the third try");
}

void nobody_else_may_use_the_second_time(QuickRetry& f) {
  const uint16_t port = f.open_port();
  FakeViewer first(port);
  f.check(first.to_challenge() && port_shuts(port), "the time is over");
  f.check(first.send_response("wrong") && first.read_result() == Verdict::refused, "refused");
  for (int i = 0; i < 5; ++i) {
    FakeViewer stranger("127.0.0.2", port, {}, 0, "127.0.0.2");
    f.check(stranger.socket.ended(), "a stranger hears nothing");
  }
  f.check(f.daemon.wait_log("the port is open for another try of somebody else"), "the log");
  f.check(f.still_good(port), "the second try");
}

void the_second_time_ends_too(QuickRetry& f) {
  const uint16_t port = f.open_port();
  FakeViewer first(port);
  f.check(first.to_challenge() && port_shuts(port), "the time is over");
  f.check(first.send_response("wrong") && first.read_result() == Verdict::refused, "refused");
  f.check(!connection_refused("127.0.0.1", port), "open again");
  const auto begin = Clock::now();
  f.check(port_shuts(port), "shut again");
  const auto took = Clock::now() - begin;
  f.check(took > milliseconds(2000) && took < seconds(6), "after the time for a password");
  f.check(f.daemon.wait_workers(1) && f.daemon.wait_log("Timed out after a wrong password"),
          "nothing is left");
}

// Told just before the port's time is over, one has no less time than just behind.
void a_wrong_password_before_the_time_is_over(QuickRetry& f) {
  const uint16_t port = f.open_port();
  FakeViewer first(port);
  f.check(first.log_in("wrong") == Verdict::refused, "refused");
  FakeViewer idle(port);
  f.check(idle.socket.silent_for(milliseconds(1)) || idle.read_greeting(), "there");
  f.check(wait_until([&] {
            FakeViewer stranger("127.0.0.2", port, {}, 0, "127.0.0.2");
            return stranger.socket.ended(milliseconds(100));
          }),
          "shut for strangers when the time is over");
  f.check(f.still_good(port), "the second try");
}

void the_attempts_end_the_second_time(QuickRetry& f) {
  const uint16_t port = f.open_port();
  FakeViewer first(port);
  f.check(first.to_challenge() && port_shuts(port), "the time is over");
  f.check(first.send_response("wrong") && first.read_result() == Verdict::refused, "one");
  for (int i = 0; i < 2; ++i) {
    FakeViewer viewer(port);
    f.check(viewer.log_in("wrong") == Verdict::refused, "two and three");
  }
  f.check(port_shuts(port) && f.daemon.wait_workers(1), "nothing is left");
}

void unused_forwardings_end(QuickPort& f) {
  const auto begin = Clock::now();
  const uint16_t port = f.open_port();
  f.check(f.recorder.wait_end(), "the backend is let go");
  const auto took = Clock::now() - begin;
  f.check(took > milliseconds(800) && took < seconds(4), "after a second");
  f.check(connection_refused("127.0.0.1", port) && f.daemon.wait_workers(1), "nothing is left");
}

void silent_viewers_are_dropped_one_by_one(QuickAuth& f) {
  const uint16_t port = f.open_port();
  FakeViewer viewer(port);
  f.check(viewer.to_challenge());
  Got how = Got::nothing;
  const auto begin = Clock::now();
  viewer.socket.read_to_end(&how);
  const auto took = Clock::now() - begin;
  f.check(how != Got::nothing && took > milliseconds(500) && took < seconds(5),
          "after a second at the challenge");
  f.check(f.still_good(port), "at no cost");
}

void the_version_must_come_in_ten_seconds(Fixture& f) {
  const uint16_t port = f.open_port();
  FakeViewer mute(port), half(port), dribble(port), no_type(port);
  half.socket.send("RFB 0");
  f.check(no_type.read_greeting() && no_type.send_version() && no_type.read_offer());
  const auto begin = Clock::now();
  f.check(dribble.read_greeting());
  for (const char c : std::string("RFB 003.008")) {
    if (wait_fd(dribble.socket.get(), POLLIN, milliseconds(1100))) break;
    dribble.socket.send({&c, 1});
  }
  Got how = Got::nothing;
  dribble.socket.read_to_end(&how, seconds(4));
  const auto took = Clock::now() - begin;
  f.check(how != Got::nothing && took > seconds(8) && took < seconds(13),
          "a byte now and then does not help");
  for (FakeViewer* viewer : {&mute, &half, &no_type}) {
    viewer->socket.read_to_end(&how, seconds(4));
    f.check(how != Got::nothing, "silence ends too");
  }
  f.check(f.still_good(port), "at no cost");
}

void a_backend_that_leaves_is_reached_again(Fixture& f) {
  const uint16_t port = f.daemon.forwarding_to(f.backend.port());
  f.check(port != 0 && f.backend.connections() == 1);
  f.backend.end_all();
  f.backend.wait_all_ended();
  f.check(f.still_good(port), "the viewer finds it");
  f.check(f.backend.connections() == 2, "on a second connection");
}

void a_backend_that_leaves_for_good_is_said_to_have(Fixture& f) {
  auto fickle = std::make_unique<FakeBackend>(echo());
  const uint16_t port = f.daemon.forwarding_to(fickle->port());
  f.check(port != 0);
  fickle.reset();
  f.check(f.daemon.wait_workers(1), "nothing is left");
  f.check(connection_refused("127.0.0.1", port));
}

bool can_bind(int family, const char* address, uint16_t port) {
  const base::Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_port = htons(port);
    v6->sin6_addr = std::string_view(address) == "::1" ? in6addr_loopback : in6addr_any;
    size = sizeof *v6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_port = htons(port);
    v4->sin_addr.s_addr = htonl(std::string_view(address) == "127.0.0.1" ? INADDR_LOOPBACK : INADDR_ANY);
  }
  storage.ss_family = static_cast<sa_family_t>(family);
  return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0 && ::listen(fd.get(), 1) == 0;
}

void nobody_else_can_take_the_port(Fixture& f) {
  const uint16_t port = f.open_port();
  f.check(!can_bind(AF_INET, "0.0.0.0", port) && !can_bind(AF_INET, "127.0.0.1", port), "IPv4");
  if (ipv6_works()) f.check(!can_bind(AF_INET6, "::", port) && !can_bind(AF_INET6, "::1", port), "IPv6");
  f.check(f.still_good(port));
}

void both_families_get_in(Fixture& f) {
  for (const char* host : {"127.0.0.1", "127.0.0.2", "::1"}) {
    if (*host == ':' && !ipv6_works()) continue;
    FakeViewer viewer(host, f.daemon.forwarding_to(f.echo_backend.port()));
    f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), host);
  }
}

void one_address_means_one(OnlyV4& f) {
  const uint16_t port = f.open_port();
  f.check(connection_refused("127.0.0.2", port), "another address");
  if (ipv6_works()) f.check(connection_refused("::1", port), "another family");
  f.check(f.still_good(port));
}

void passwords_longer_than_eight_count_eight(Fixture& f) {
  const Reply reply = f.daemon.request(
      Request{.destination_port = f.backend.port(), .password = std::string(kViewerSecret) + "and more"});
  f.check(f.still_good(reply.port), reply.text);
  const Reply other =
      f.daemon.request(Request{.destination_port = f.echo_backend.port(), .password = "p\xc3\xa4ss"});
  FakeViewer viewer(other.port);
  f.check(viewer.log_in("p\xc3\xa4ss") == Verdict::admitted, "not only ASCII");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, every_version_gets_in),
      STAGED(Fixture, each_message_comes_whole),
      STAGED(Fixture, odd_versions_cost_nothing),
      STAGED(Fixture, every_other_type_is_refused),
      STAGED(Fixture, wrong_responses_are_told_and_counted),
      STAGED(Fixture, wrong_responses_count_whatever_follows),
      STAGED(Fixture, two_mistakes_are_forgiven),
      STAGED(OneAttempt, one_attempt_means_one),
      STAGED(Fixture, only_the_right_response_is_right),
      STAGED(Fixture, challenges_are_never_the_same),
      STAGED(Fixture, nothing_before_success_reaches_the_backend),
      STAGED(Fixture, probes_cost_nothing),
      STAGED(Fixture, the_first_to_authenticate_wins),
      STAGED(Fixture, losers_of_every_version_are_refused),
      STAGED(QuickAuth, losers_have_their_time_and_no_more),
      STAGED(Fixture, losers_do_not_outlive_the_session),
      STAGED(QuickRetry, a_wrong_password_after_the_time_may_be_mended),
      STAGED(QuickRetry, nobody_else_may_use_the_second_time),
      STAGED(QuickRetry, the_second_time_ends_too),
      STAGED(QuickRetry, a_wrong_password_before_the_time_is_over),
      STAGED(QuickRetry, the_attempts_end_the_second_time),
      STAGED(Fixture, crowds_of_scanners_keep_nobody_out),
      STAGED(QuickPort, those_at_the_challenge_outlive_the_port),
      STAGED(QuickPort, unused_forwardings_end),
      STAGED(QuickAuth, silent_viewers_are_dropped_one_by_one),
      STAGED(Fixture, the_version_must_come_in_ten_seconds),
      STAGED(Fixture, a_backend_that_leaves_is_reached_again),
      STAGED(Fixture, a_backend_that_leaves_for_good_is_said_to_have),
      STAGED(Fixture, nobody_else_can_take_the_port),
      STAGED(Fixture, both_families_get_in),
      STAGED(OnlyV4, one_address_means_one),
      STAGED(Fixture, passwords_longer_than_eight_count_eight),
  };
  return run_group("viewer", tests);
}
