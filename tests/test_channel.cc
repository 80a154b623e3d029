// SPDX-License-Identifier: GPL-2.0-or-later
// The socketpair between master and worker: whole messages, the end of the peer, and what a hostile peer can
// send in their place.
#include "vncauthproxy/ipc/channel.h"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/loop_until.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::ipc {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;
using testing::NoFixture;
using testing::run_for;
using testing::run_until;
using testing::turn;

struct Fixture {
  Fixture() {
    auto pair = std::move(*base::socket_pair(SOCK_SEQPACKET));
    other = std::move(pair.second);
    channel = std::make_unique<Channel>(
        loop, std::move(pair.first),
        [this](Message message) {
          messages.push_back(std::move(message));
          if (leave) channel.reset();
        },
        [this](const base::Error& error) {
          ++lost;
          lost_code = error.code;
          if (leave) channel.reset();
        });
  }

  bool put(const std::vector<uint8_t>& packet) {
    return ::send(other.get(), packet.data(), packet.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(packet.size());
  }
  bool put(const Message& message) {
    const Packet packet = encode(message);
    return put(std::vector<uint8_t>(packet.content().begin(), packet.content().end()));
  }
  // The next packet at the other end, as a message; index npos: none, or no message.
  size_t next() {
    uint8_t room[1024];
    const ssize_t count = ::recv(other.get(), room, sizeof room, 0);
    if (count <= 0) return std::variant_npos;
    auto message = decode(base::Bytes(room, static_cast<size_t>(count)));
    return message ? message->index() : std::variant_npos;
  }

  net::Loop loop;
  base::Fd other;
  std::unique_ptr<Channel> channel;
  std::vector<Message> messages;
  unsigned lost = 0;
  ErrorCode lost_code = ErrorCode::system;
  bool leave = false;
};

void messages_arrive_whole_and_in_order(Fixture& f) {
  bool sent = f.put(Ready{});
  sent &= f.put(Log{base::LogLevel::info, "one"});
  sent &= f.put(Authenticated{"127.0.0.1:5"});
  sent &= f.put(Ended{"over", 1, 2, milliseconds(3)});
  assert_true(sent);
  const bool all = run_until(f.loop, [&f] { return f.messages.size() == 4; });
  assert_true(all);
  const size_t order[] = {f.messages[0].index(), f.messages[1].index(), f.messages[2].index(),
                          f.messages[3].index()};
  assert_int_equal(order[0], 0);
  assert_int_equal(order[1], 4);
  assert_int_equal(order[2], 2);
  assert_int_equal(order[3], 3);
  const bool text = std::get<Log>(f.messages[1]).text == "one";
  assert_true(text);
  assert_int_equal(f.lost, 0);
}

void the_largest_message_arrives(Fixture& f) {
  assert_true(f.put(Log{base::LogLevel::debug, std::string(5000, 'x')}));
  const bool arrived = run_until(f.loop, [&f] { return !f.messages.empty(); });
  assert_true(arrived);
  const size_t size = std::get<Log>(f.messages[0]).text.size();
  assert_int_equal(size, kMaxMessageText);
}

void sends_a_packet_for_each_message(Fixture& f) {
  bool sent = f.channel->send(Ready{});
  sent &= f.channel->send(Stop{milliseconds(2000)});
  assert_true(sent);
  const size_t first = f.next(), second = f.next(), third = f.next();
  assert_int_equal(first, 0);
  assert_int_equal(second, 5);
  assert_true(third == std::variant_npos);
}

void sending_to_nobody_is_told(Fixture& f) {
  f.other.reset();
  const bool sent = f.channel->send(Ready{});
  assert_false(sent);
}

void sending_never_waits(Fixture& f) {
  unsigned sent = 0;
  while (sent < 100000 && f.channel->send(Log{base::LogLevel::info, "a peer that does not read"})) ++sent;
  assert_in_range(sent, 10, 99999);
  unsigned arrived = 0;
  while (f.next() == 4) ++arrived;
  assert_int_equal(arrived, sent);
  const bool again = f.channel->send(Ready{});
  assert_true(again);
}

void what_was_sent_before_the_end_counts(Fixture& f) {
  f.put(Ready{});
  f.put(Authenticated{"x"});
  f.other.reset();
  const bool told = run_until(f.loop, [&f] { return f.lost > 0; });
  assert_true(told);
  assert_int_equal(f.messages.size(), 2);
  assert_int_equal(f.lost_code, ErrorCode::closed);
  const unsigned turns = run_for(f.loop, milliseconds(30));
  assert_int_equal(f.lost, 1);
  assert_true(turns < 100);  // an end of stream stays readable for ever
}

void an_empty_packet_is_an_end(Fixture& f) {
  f.put(std::vector<uint8_t>());
  f.put(Ready{});
  const bool told = run_until(f.loop, [&f] { return f.lost > 0; });
  assert_true(told);
  run_for(f.loop, milliseconds(10));
  assert_int_equal(f.messages.size(), 0);
  assert_int_equal(f.lost, 1);
}

void what_is_no_message_ends_the_channel(NoFixture&) {
  struct {
    const char* name;
    size_t size;
    std::initializer_list<uint8_t> begin;
  } const rows[] = {
      {"one byte", 1, {1}},
      {"a wrong version", 4, {9, 0, 0, 0}},
      {"an unknown type", 4, {1, 77, 0, 0}},
      {"a length beyond the packet", 4, {1, 4, 0, 9}},
      {"a length short of the packet", 9, {1, 4, 0, 1}},
      {"zeroes", 100, {}},
      {"a packet of the greatest size, no message", kMaxMessageBytes, {1, 4, 1, 0xfc}},
      {"one byte too long", kMaxMessageBytes + 1, {1, 4, 1, 0xfd}},
      {"much too long", 100000, {1, 0, 0, 0}},
      {"a long packet that begins like a message", 5000, {1, 4, 1, 0xe1}},
  };
  for (const auto& row : rows) {
    unsigned lost = 0, messages = 0;
    ErrorCode code = ErrorCode::system;
    bool put = false;
    {
      Fixture f;
      std::vector<uint8_t> packet(row.begin);
      packet.resize(row.size, 2);
      put = f.put(packet);
      f.put(Ready{});
      run_until(f.loop, [&f] { return f.lost > 0; });
      run_for(f.loop, milliseconds(6));
      lost = f.lost;
      code = f.lost_code;
      messages = static_cast<unsigned>(f.messages.size());
    }
    if (!put || lost != 1 || code != ErrorCode::invalid || messages != 0)
      fail_msg("%s: put %d, lost %u (code %d), messages %u", row.name, put, lost, static_cast<int>(code),
               messages);
  }
}

void received_may_destroy_the_channel(Fixture& f) {
  f.leave = true;
  f.put(Log{base::LogLevel::info, "a text that does not fit into the string object itself"});
  f.put(Ready{});
  const bool gone = run_until(f.loop, [&f] { return f.channel == nullptr; });
  assert_true(gone);
  turn(f.loop);
  assert_int_equal(f.messages.size(), 1);
  assert_int_equal(f.lost, 0);
}

void lost_may_destroy_the_channel(Fixture& f) {
  f.leave = true;
  f.other.reset();
  const bool gone = run_until(f.loop, [&f] { return f.channel == nullptr; });
  assert_true(gone);
  turn(f.loop);
  assert_int_equal(f.lost, 1);
}

}  // namespace
}  // namespace vncauthproxy::ipc

int main() {
  using namespace vncauthproxy::ipc;
  const CMUnitTest tests[] = {
      TEST(Fixture, messages_arrive_whole_and_in_order),
      TEST(Fixture, the_largest_message_arrives),
      TEST(Fixture, sends_a_packet_for_each_message),
      TEST(Fixture, sending_to_nobody_is_told),
      TEST(Fixture, sending_never_waits),
      TEST(Fixture, what_was_sent_before_the_end_counts),
      TEST(Fixture, an_empty_packet_is_an_end),
      TEST(vncauthproxy::testing::NoFixture, what_is_no_message_ends_the_channel),
      TEST(Fixture, received_may_destroy_the_channel),
      TEST(Fixture, lost_may_destroy_the_channel),
  };
  return vncauthproxy::testing::run_group("channel", tests);
}
