// SPDX-License-Identifier: GPL-2.0-or-later
// One control connection beside a server that only takes notes: a request in any pieces, one reply, the end;
// deadlines that no dribble extends; peers that leave at any moment.
#include "master/control_conn.h"

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/loop_until.h"
#include "tests/support/peer.h"
#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using std::chrono::milliseconds;
using testing::Deadline;
using testing::Peer;
using testing::run_for;
using testing::run_until;
using testing::turn;

constexpr std::string_view kRequest =
    R"({"source_port": 0, "destination_address": "node", "destination_port": 5900, )"
    R"("password": "vnc", "auth_user": "user", "auth_password": "secret}\"{", "console_type": "vnc"})";
constexpr ControlTimes kShort{milliseconds(150), milliseconds(150), milliseconds(150)};

struct Fixture : ControlHost {
  Fixture() {
    base::set_log_sink([this](base::LogLevel, std::string_view line) { log.append(line).append("\n"); });
  }
  virtual ~Fixture() { base::set_log_sink({}); }

  void make(const ControlTimes& times = {}, proto::Speech speech = {}) {
    auto pair = testing::tcp_pair();
    peer = Peer(std::move(pair.second));
    room.assign(proto::kMaxRequestBytes, '\0');
    conn = std::make_unique<ControlConn>(loop, *this, 7, net::Stream(std::move(pair.first)),
                                         testing::endpoint_of("192.0.2.7", 5), room, speech, times);
    asked = over = ends = 0;
    request.reset();
  }

  // ControlHost
  bool login_ok(const proto::Request& r) override { return r.auth_password.reveal() == "secret}\"{"; }
  milliseconds login_failed(const base::Endpoint&) override { return penalty; }
  void requested(ControlConn&, proto::Request r) override {
    ++asked;
    request = std::move(r);
    if (answer_at_once) conn->reply(reply);
  }
  void request_over(ControlConn&) override { ++over; }
  void closed(ControlConn&) override {
    ++ends;
    conn.reset();
  }

  bool until_asked() {
    return run_until(loop, [this] { return asked > 0; });
  }
  // True once the connection is over on our side and the peer has seen what kind of end it is.
  bool until_over() {
    return run_until(loop, [this] { return ends > 0 && peer.pull().over(); });
  }
  bool failed_with(std::string_view code) const {
    return peer.got.find("\"status\": \"FAILED\"") != std::string::npos &&
           peer.got.find("\"code\": \"" + std::string(code) + "\"") != std::string::npos &&
           peer.got.back() == '}' && peer.got.find('}') == peer.got.size() - 1;
  }
  bool logged(std::string_view text) const { return log.find(text) != log.npos; }

  net::Loop loop;
  Peer peer;
  std::vector<char> room;
  std::unique_ptr<ControlConn> conn;
  std::optional<proto::Request> request;
  unsigned asked = 0, over = 0, ends = 0;
  milliseconds penalty{0};
  bool answer_at_once = false;
  proto::Reply reply = proto::Success{25000, "proxy"};
  std::string answer = R"({"source_port": 25000, "status": "OK", "proxy_address": "proxy"})";
  std::string log;
};

// ---- a request

void a_request_in_one_piece(Fixture& f) {
  f.make();
  assert_true(f.conn->waiting());
  f.peer.send_all(kRequest);
  const bool asked = f.until_asked();
  const bool fields = f.request && f.request->destination_address == "node" &&
                      f.request->destination_port == 5900 && f.request->password.reveal() == "vnc";
  assert_true(asked && fields);
  assert_int_equal(f.over, 1);
  assert_false(f.conn->waiting());
  const bool replied = f.conn->reply(f.reply);
  const bool over = f.until_over();
  const bool same = f.peer.got == f.answer;
  assert_true(replied && over && same);
  assert_true(f.peer.ended);
  assert_int_equal(f.ends, 1);
}

void a_request_byte_by_byte(Fixture& f) {
  f.make();
  for (size_t i = 0; i < kRequest.size(); ++i) {
    assert_int_equal(f.asked, 0);
    f.peer.send_all(kRequest.substr(i, 1));
    turn(f.loop);
  }
  assert_true(f.until_asked());
}

void a_request_cut_at_every_point(Fixture& f) {
  for (size_t cut = 1; cut < kRequest.size(); ++cut) {
    f.make();
    f.peer.send_all(kRequest.substr(0, cut));
    turn(f.loop);
    const bool too_early = f.asked > 0;
    f.peer.send_all(kRequest.substr(cut));
    const bool asked = f.until_asked();
    if (too_early || !asked) fail_msg("cut at %zu: too early %d, asked %d", cut, too_early, asked);
  }
}

void blanks_around_a_request_are_fine(Fixture& f) {
  f.make();
  f.answer_at_once = true;
  f.peer.send_all(" \r\n\t");
  f.peer.send_all(kRequest);
  f.peer.send_all("\r\n");
  const bool over = f.until_over();
  const bool same = f.peer.got == f.answer;
  assert_true(over && same);
  assert_true(f.peer.ended);
}

void the_half_close_of_a_client_is_no_end(Fixture& f) {
  f.make();
  f.peer.send_all(kRequest);
  f.peer.finish();
  assert_true(f.until_asked());
  run_for(f.loop, milliseconds(20));
  assert_int_equal(f.ends, 0);
  f.conn->reply(f.reply);
  const bool over = f.until_over();
  const bool same = f.peer.got == f.answer;
  assert_true(over && same);
}

// ---- what comes behind a request

void a_second_request_behind_the_first_is_ignored(Fixture& f) {
  f.make();
  f.peer.send_all(std::string(kRequest) + std::string(kRequest));
  f.until_asked();
  f.conn->reply(f.reply);
  f.peer.finish();
  const bool over = f.until_over();
  const bool same = f.peer.got == f.answer;
  assert_true(over && same);
  assert_int_equal(f.asked, 1);
  assert_true(f.peer.ended);
}

// A socket closed with unread input resets the connection: the client would see an error behind its reply,
// and other systems than Linux lose the reply.
void what_comes_later_does_not_spoil_the_reply(Fixture& f) {
  f.make();
  f.peer.send_all(kRequest);
  f.until_asked();
  f.peer.send_all("\r\n");
  f.peer.send_all(kRequest);
  run_for(f.loop, milliseconds(10));
  f.conn->reply(f.reply);
  const bool ended = run_until(f.loop, [&f] { return f.peer.pull().over(); });
  const bool same = f.peer.got == f.answer;
  assert_true(ended && same);
  assert_true(f.peer.ended);
  f.peer.close();
  const bool gone = run_until(f.loop, [&f] { return f.ends == 1; });
  assert_true(gone);
  assert_int_equal(f.asked, 1);
}

// ---- what is no request

void what_is_no_request_is_told_why(Fixture& f) {
  static const std::string deep(33, '{'), large = "{\"a\": \"" + std::string(70000, 'x');
  static const std::string endless = "{\"a\": \"" + std::string(400000, 'x');
  struct {
    const char* name;
    std::string_view text;
  } const rows[] = {
      {"no JSON", "GET / HTTP/1.1\r\n\r\n"},
      {"an array", "[1, 2]"},
      {"a byte of zero", {"\0", 1}},
      {"TLS", "\x16\x03\x01\x02\x01"},
      {"an empty object", "{}"},
      {"broken inside", "{\"source_port\": 0,,}"},
      {"no UTF-8", "{\"auth_user\": \"\xff\xfe\"}"},
      {"too deep", deep},
      {"too large", large},
      {"much too large", endless},
      {"a type nobody knows",
       R"({"source_port": 0, "destination_address": "n", "destination_port": 1, "password": "p",
           "auth_user": "u", "auth_password": "p", "type": "telnet"})"},
  };
  for (const auto& row : rows) {
    f.make();
    std::string_view left = row.text;
    const bool told = run_until(f.loop, [&] {
      left.remove_prefix(f.peer.send(left));
      return f.peer.pull().over();
    });
    const bool bad = f.failed_with("bad_request") || f.failed_with("unsupported_type");
    const bool clean = f.peer.ended;
    f.peer.close();
    const bool gone = run_until(f.loop, [&f] { return f.ends > 0; });
    if (!told || !bad || !clean || !gone || f.asked != 0 || f.over == 0)
      fail_msg("%s: told %d, bad %d, clean %d, gone %d, asked %u: %s", row.name, told, bad, clean, gone,
               f.asked, f.peer.got.c_str());
  }
}

void a_request_without_its_end_is_told_so(Fixture& f) {
  f.make();
  f.peer.send_all(kRequest.substr(0, 40));
  f.peer.finish();
  const bool over = f.until_over();
  const bool told = f.failed_with("bad_request") && f.peer.got.find("not complete") != std::string::npos;
  assert_true(over && told);
}

void who_says_nothing_hears_nothing(Fixture& f) {
  f.make();
  f.peer.finish();
  const bool over = f.until_over();
  assert_true(over);
  assert_int_equal(f.peer.got.size(), 0);
  assert_true(f.log.empty());
}

// ---- logins

std::string wrong_request() {
  std::string text(kRequest);
  text.replace(text.find("secret"), 6, "Secret");
  return text;
}

void a_wrong_login_is_told_at_once_or_later(Fixture& f) {
  for (const int wait : {0, 150}) {
    f.make();
    f.penalty = milliseconds(wait);
    f.peer.send_all(wrong_request());
    const auto before = std::chrono::steady_clock::now();
    const bool over = f.until_over();
    const auto took = std::chrono::steady_clock::now() - before;
    const bool told = f.failed_with("auth_failed");
    assert_true(over && told);
    assert_int_equal(f.asked, 0);
    if (wait > 0) assert_true(took >= milliseconds(wait - 10));
  }
  const bool named = f.logged("wrong user or password (user \"user\")");
  const bool not_told = f.peer.got.find("(user") == std::string::npos;
  assert_true(named);
  assert_true(not_told);
  const bool secret = f.logged("ecret") || f.peer.got.find("ecret") != std::string::npos;
  assert_false(secret);
}

void what_can_be_no_name_is_not_in_the_log(Fixture& f) {
  f.make();
  f.peer.send_all(R"({"source_port": 0, "destination_address": "n", "destination_port": 1, )"
                  R"("auth_user": "a\")\nF1 b\u001b", "auth_password": "x"})");
  const bool over = f.until_over();
  const bool told = f.logged("wrong user or password (the user is not shown: no valid name)");
  const bool shown = f.logged("F1 b");
  assert_true(over && told);
  assert_false(shown);
}

void a_penalty_is_waited_out_in_silence(Fixture& f) {
  f.make();
  f.penalty = milliseconds(300);
  f.peer.send_all(wrong_request());
  run_until(f.loop, [&f] { return f.over > 0; });
  f.peer.send_all(kRequest);  // a right one does not help now
  const unsigned turns = run_for(f.loop, milliseconds(100));
  assert_int_equal(f.peer.pull().got.size(), 0);
  assert_true(turns < 60);
  const bool ended = run_until(f.loop, [&f] { return f.peer.pull().over(); });
  const bool told = f.failed_with("auth_failed");
  assert_true(ended && told);
  assert_true(f.peer.ended);
  assert_int_equal(f.asked, 0);
}

// ---- time

void silence_ends_at_the_deadline(Fixture& f) {
  f.make(kShort);
  const bool over = f.until_over();
  assert_true(over);
  assert_int_equal(f.peer.got.size(), 0);
  const bool told = f.logged("closed idle control connection from ");
  assert_true(told);
}

// The deadline is for the whole request: a byte now and then does not move it.
void a_dribble_ends_at_the_deadline(Fixture& f) {
  f.make(kShort);
  const auto before = std::chrono::steady_clock::now();
  size_t at = 0;
  const bool told = run_until(f.loop, [&] {
    if (at < kRequest.size() - 1) at += f.peer.send(kRequest.substr(at, 1));
    run_for(f.loop, milliseconds(10));
    return f.peer.pull().over();
  });
  const auto took = std::chrono::steady_clock::now() - before;
  const bool bad = f.failed_with("bad_request") && f.peer.got.find("in time") != std::string::npos;
  assert_true(told && bad);
  assert_true(took >= milliseconds(140));
  assert_true(at < kRequest.size() - 1);
}

void a_pending_request_has_no_deadline_here(Fixture& f) {
  f.make(kShort);
  f.peer.send_all(kRequest);
  f.until_asked();
  run_for(f.loop, milliseconds(300));
  assert_int_equal(f.ends, 0);
  f.conn->reply(f.reply);
  assert_true(f.until_over());
}

void nobody_lingers_for_ever(Fixture& f) {
  f.make(kShort);
  f.peer.send_all("nonsense");
  const auto before = std::chrono::steady_clock::now();
  const bool gone = run_until(f.loop, [&f] {
    f.peer.send("more");
    run_for(f.loop, milliseconds(10));
    return f.ends > 0;
  });
  const auto took = std::chrono::steady_clock::now() - before;
  assert_true(gone);
  assert_true(took >= milliseconds(140));
}

void nor_for_ever_many_bytes(Fixture& f) {
  f.make();
  f.peer.send_all("nonsense");
  static const std::string flood(65536, 'x');
  uint64_t sent = 0;
  const bool gone = run_until(f.loop, [&] {
    sent += f.peer.send(flood);
    return f.ends > 0;
  });
  assert_true(gone);
  assert_true(sent < 32u << 20);
}

// ---- the dialect without a login

constexpr proto::Speech kVncap{false, proto::Dialect::vncap};

void a_line_is_answered_with_a_line(Fixture& f) {
  constexpr std::string_view kLine = "{\"daddr\": \"node\", \"dport\": 5900}\r\n";
  for (size_t cut = 0; cut < kLine.size(); ++cut) {
    f.make({}, kVncap);
    f.peer.send_all(kLine.substr(0, cut));
    turn(f.loop);
    const bool too_early = f.asked > 0;
    f.peer.send_all(kLine.substr(cut));
    const bool asked = f.until_asked();
    if (asked) f.conn->reply(proto::Success{25000, "proxy", "", "Abc12345"});
    const bool over = f.until_over();
    if (too_early || !asked || !over || f.peer.got != "25000 Abc12345\r\n" || !f.peer.ended)
      fail_msg("cut at %zu: too early %d, asked %d, over %d: %s", cut, too_early, asked, over,
               f.peer.got.c_str());
  }
}

void the_main_dialect_without_a_login_is_heard_too(Fixture& f) {
  f.make({}, kVncap);
  f.peer.send_all(R"({"source_port": 0, "destination_address": "node", "destination_port": 5900})");
  const bool asked = f.until_asked();
  assert_true(asked);
  f.conn->reply(f.reply);
  const bool over = f.until_over();
  const bool same = f.peer.got == f.answer;
  assert_true(over && same);
}

void a_bad_line_is_never_met_with_silence(Fixture& f) {
  static const std::string long_line = "{\"daddr\": \"" + std::string(16384, 'x') + "\"}\r\n";
  static const std::string endless(1 << 20, 'x');
  struct {
    const char* name;
    std::string_view text;
  } const rows[] = {
      {"an empty line", "\r\n"},
      {"no JSON", "hello\r\n"},
      {"an array", "[]\r\n"},
      {"no object's end", "{\"daddr\": \"node\"\r\n"},
      {"a key missing", "{\"daddr\": \"node\"}\r\n"},
      {"a wrong type", "{\"daddr\": \"node\", \"dport\": 5900, \"password\": 1}\r\n"},
      {"no port", "{\"daddr\": \"node\", \"dport\": 65536}\r\n"},
      {"too long", long_line},
      {"a megabyte", endless},
  };
  for (const auto& row : rows) {
    f.make({}, kVncap);
    std::string_view left = row.text;
    const bool told = run_until(f.loop, [&] {
      left.remove_prefix(f.peer.send(left));
      return f.peer.pull().over();
    });
    f.peer.close();
    const bool gone = run_until(f.loop, [&f] { return f.ends > 0; });
    if (!told || !gone || f.asked != 0 || f.peer.got != "FAILED\r\n" || !f.peer.ended)
      fail_msg("%s: told %d, gone %d, asked %u: %s", row.name, told, gone, f.asked, f.peer.got.c_str());
  }
}

void a_line_without_its_end_fails_at_the_end_or_in_time(Fixture& f) {
  for (const bool half_closed : {true, false}) {
    f.make(kShort, kVncap);
    f.peer.send_all("{\"daddr\": \"node\", \"dport\": 5900}");
    if (half_closed) f.peer.finish();
    const bool told = run_until(f.loop, [&f] { return f.peer.pull().over(); });
    const bool failed = f.peer.got == "FAILED\r\n";
    assert_true(told && failed);
    assert_int_equal(f.asked, 0);
  }
}

// ---- peers that leave

void a_reset_ends_it_in_every_phase(Fixture& f) {
  enum Phase { reading, half, lingering, last };
  for (int phase = reading; phase < last; ++phase) {
    f.make();
    if (phase == half) f.peer.send_all(kRequest.substr(0, 30));
    if (phase == lingering) f.peer.send_all("nonsense");
    turn(f.loop);
    f.peer.reset();
    const bool gone = run_until(f.loop, [&f] { return f.ends > 0; });
    if (!gone || f.ends != 1 || f.asked != 0) fail_msg("phase %d: gone %d, ends %u", phase, gone, f.ends);
  }
}

void a_reply_to_a_peer_that_was_reset_is_told(Fixture& f) {
  f.make();
  f.peer.send_all(kRequest);
  f.until_asked();
  f.peer.reset();
  const bool replied = f.conn->reply(f.reply);
  assert_false(replied);
  assert_int_equal(f.ends, 1);
}

void a_reset_during_the_penalty_ends_it(Fixture& f) {
  f.make();
  f.penalty = milliseconds(50);
  f.peer.send_all(wrong_request());
  run_until(f.loop, [&f] { return f.over > 0; });
  f.peer.reset();
  const bool gone = run_until(f.loop, [&f] { return f.ends > 0; });
  assert_true(gone);
  assert_int_equal(f.ends, 1);
}

void the_answer_may_come_within_the_request(Fixture& f) {
  f.make();
  f.answer_at_once = true;
  f.peer.send_all(kRequest);
  const bool over = f.until_over();
  const bool same = f.peer.got == f.answer;
  assert_true(over && same);
  assert_int_equal(f.ends, 1);
}

void who_is_sent_away_is_told(Fixture& f) {
  f.make();
  f.conn->refuse({proto::FailureCode::busy, "too many connections are waiting"});
  const bool ended = run_until(f.loop, [&f] { return f.peer.pull().over(); });
  const bool told = f.failed_with("busy");
  assert_true(ended && told);
  assert_int_equal(f.over, 1);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_request_in_one_piece),
      TEST(Fixture, a_request_byte_by_byte),
      TEST(Fixture, a_request_cut_at_every_point),
      TEST(Fixture, blanks_around_a_request_are_fine),
      TEST(Fixture, the_half_close_of_a_client_is_no_end),
      TEST(Fixture, a_second_request_behind_the_first_is_ignored),
      TEST(Fixture, what_comes_later_does_not_spoil_the_reply),
      TEST(Fixture, what_is_no_request_is_told_why),
      TEST(Fixture, a_request_without_its_end_is_told_so),
      TEST(Fixture, who_says_nothing_hears_nothing),
      TEST(Fixture, a_wrong_login_is_told_at_once_or_later),
      TEST(Fixture, what_can_be_no_name_is_not_in_the_log),
      TEST(Fixture, a_penalty_is_waited_out_in_silence),
      TEST(Fixture, silence_ends_at_the_deadline),
      TEST(Fixture, a_dribble_ends_at_the_deadline),
      TEST(Fixture, a_pending_request_has_no_deadline_here),
      TEST(Fixture, nobody_lingers_for_ever),
      TEST(Fixture, nor_for_ever_many_bytes),
      TEST(Fixture, a_line_is_answered_with_a_line),
      TEST(Fixture, the_main_dialect_without_a_login_is_heard_too),
      TEST(Fixture, a_bad_line_is_never_met_with_silence),
      TEST(Fixture, a_line_without_its_end_fails_at_the_end_or_in_time),
      TEST(Fixture, a_reset_ends_it_in_every_phase),
      TEST(Fixture, a_reply_to_a_peer_that_was_reset_is_told),
      TEST(Fixture, a_reset_during_the_penalty_ends_it),
      TEST(Fixture, the_answer_may_come_within_the_request),
      TEST(Fixture, who_is_sent_away_is_told),
  };
  return vncauthproxy::testing::run_group("control_conn", tests);
}
