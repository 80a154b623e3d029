// SPDX-License-Identifier: GPL-2.0-or-later
// The Flash policy server of the built daemon: its one answer, everybody else's end, crowds that say nothing,
// and the port that only root may open.
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <list>
#include <string>
#include <string_view>

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

using namespace std::string_view_literals;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kRequest = "<policy-file-request/>\0"sv;

struct Fixture : Stage {
  explicit Fixture(DaemonSetup setup = {.options = {"--flash-policy-listen", "127.0.0.1:0"}})
      : Stage(std::move(setup)), flash_port(daemon.port_for("Flash players")) {}

  Socket connect() const { return Socket::connect("127.0.0.1", flash_port); }
  std::string policy() const {
    return "<?xml version=\"1.0\"?>\n"
           "<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\">\n"
           "<cross-domain-policy>\n"
           "  <site-control permitted-cross-domain-policies=\"master-only\"/>\n"
           "  <allow-access-from domain=\"*\" to-ports=\"" +
           std::to_string(daemon.min_port()) + "-" + std::to_string(daemon.max_port()) +
           "\"/>\n</cross-domain-policy>\n" + '\0';
  }
  // The answer to a request of its own.
  bool answers() const {
    Socket player = connect();
    return player.send(kRequest) && player.read_to_end() == policy();
  }

  uint16_t flash_port;
};

// As Ganeti Web Manager's players expect it, at an address that nobody else uses.
constexpr const char* kOtherLoopback = "127.8.4.3";
struct AtPort843 : Fixture {
  AtPort843()
      : Fixture(
            {.options = {"--flash-policy-listen", std::string(kOtherLoopback) + (is_root() ? ":843" : ":0")},
             .user = is_root() ? "nobody" : "root"}) {}
  static bool is_root() { return ::geteuid() == 0 && ::getpwnam("nobody") != nullptr; }
};

void the_policy_is_told(Fixture& f) {
  f.check(f.answers(), "in one piece");
  Socket slow = f.connect();
  slow.send_each_byte(kRequest);
  f.check(slow.read_to_end() == f.policy(), "byte by byte");
  Socket more = f.connect();
  more.send(std::string(kRequest) + std::string(kRequest) + "and more");
  f.check(more.read_to_end() == f.policy(), "once, whatever follows");
}

void anything_else_ends_at_once(Fixture& f) {
  const auto begin = Clock::now();
  for (const std::string_view bytes :
       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n"sv, "\0"sv, "<policy-file-request />\0"sv,
        "<policy-file-request/>\n"sv, "<policy-file-requesT/>\0"sv, " <policy-file-request/>\0"sv,
        "RFB 003.008\n"sv, "\x16\x03\x01\x02"sv}) {
    Socket other = f.connect();
    other.send(bytes);
    f.check(other.ended(), std::string(bytes.substr(0, 30)));
  }
  Socket large = f.connect();
  large.send(std::string(1'000'000, '<'), milliseconds(1000));
  f.check(large.ended(), "1 MB");
  f.check(Clock::now() - begin < seconds(4), "without a wait");
  f.check(f.answers());
}

// In real time: silence, half a request, one byte after the other, and one that has its answer and stays.
void five_seconds_are_the_limit(Fixture& f) {
  const auto begin = Clock::now();
  Socket mute = f.connect(), half = f.connect(), dribble = f.connect(), served = f.connect();
  half.send(kRequest.substr(0, 10));
  served.send(kRequest);
  f.check(served.read_to_end() == f.policy());
  size_t sent = 0;
  while (!wait_fd(dribble.get(), POLLIN, milliseconds(500)) && Clock::now() - begin < seconds(9))
    if (sent + 1 < kRequest.size()) dribble.send(kRequest.substr(sent++, 1));
  const auto took = Clock::now() - begin;
  f.check(took > seconds(4) && took < seconds(8), "a byte does not move the limit");
  for (Socket* socket : {&mute, &half, &dribble}) f.check(socket->ended(seconds(3)), "ended without a word");
  f.check(wait_until([&] { return !served.send("x"); }, seconds(3)), "who has the answer is sent away too");
}

void a_thousand_silent_clients_keep_nobody_out(Fixture& f) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  std::list<Socket> silent;
  for (int i = 0; i < 1000; ++i) {
    silent.push_back(f.connect());
    if (!f.check(static_cast<bool>(silent.back()), "connection " + std::to_string(i))) return;
    if (i % 100 == 99) f.check(f.answers(), "beside " + std::to_string(i + 1));
  }
  f.check(f.witness.echoes("and sessions go on"));
  f.check(f.session_to(f.echo_backend).echoes("and new ones come"));
  const auto open = f.daemon.open_descriptors();
  f.check(!open || *open < 400, "most of them were sent away");
  silent.clear();
  f.check(f.answers());
}

void clients_that_break_off(Fixture& f) {
  for (int i = 0; i < 300; ++i) {
    Socket player = f.connect();
    if (i % 3 == 1) player.send(kRequest.substr(0, 7));
    if (i % 3 == 2) player.send(kRequest);
    player.reset();
  }
  f.check(f.answers());
}

void root_opens_the_port_and_goes(AtPort843& f) {
  if (!AtPort843::is_root()) return;
  const std::string uid = std::to_string(::getpwnam("nobody")->pw_uid);
  f.check(f.flash_port == 843, "the port");
  f.check(status_field(f.daemon.pid(), "Uid") == uid + "\t" + uid + "\t" + uid + "\t" + uid, "the user");
  f.check(status_field(f.daemon.pid(), "CapEff") == "0000000000000000", "no capabilities");
  Socket player = Socket::connect(kOtherLoopback, 843);
  player.send(kRequest);
  f.check(player.read_to_end() == f.policy());
}

void there_is_none_unless_asked_for(Stage& f) {
  f.check(f.daemon.log().find("Flash") == std::string::npos);
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, the_policy_is_told),
      STAGED(Fixture, anything_else_ends_at_once),
      STAGED(Fixture, five_seconds_are_the_limit),
      STAGED(Fixture, a_thousand_silent_clients_keep_nobody_out),
      STAGED(Fixture, clients_that_break_off),
      STAGED(AtPort843, root_opens_the_port_and_goes),
      STAGED(Stage, there_is_none_unless_asked_for),
  };
  return run_group("flash", tests);
}
