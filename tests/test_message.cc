// SPDX-License-Identifier: GPL-2.0-or-later
// What the master believes of a worker's packets: every message there and back, and nothing that is none.
#include "vncauthproxy/ipc/message.h"

#include <string>
#include <vector>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::ipc {
namespace {

using base::Bytes;
using testing::NoFixture;

struct Fixture {
  std::vector<Message> all = {
      Ready{},
      Refused{proto::FailureCode::backend_auth, "no \"way\""},
      Authenticated{"[::1]:5123"},
      Ended{"Client connection closed", 1ULL << 40, 3, std::chrono::milliseconds(1500)},
      Log{base::LogLevel::warning, "F1 text"},
      Stop{std::chrono::milliseconds(2000)}};
  Packet packet;
  std::vector<uint8_t> bytes;

  bool accepts(Bytes content) { return static_cast<bool>(decode(content)); }
};

void comes_back_as_it_went(Fixture& f) {
  assert_int_equal(f.all.size(), std::variant_size_v<Message>);
  for (size_t i = 0; i < f.all.size(); ++i) {
    f.packet = encode(f.all[i]);
    bool same = false;
    if (auto message = decode(f.packet.content()); message && message->index() == i) {
      const Packet again = encode(*message);
      same = base::as_text(again.content()) == base::as_text(f.packet.content());
    }
    assert_true(same);
  }
}

void keeps_every_field(Fixture& f) {
  f.packet = encode(f.all[3]);
  uint64_t to = 0, from = 0;
  long long relayed = 0;
  bool reason = false;
  if (auto message = decode(f.packet.content())) {
    const auto& ended = std::get<Ended>(*message);
    to = ended.to_viewer;
    from = ended.from_viewer;
    relayed = ended.relayed.count();
    reason = ended.reason == "Client connection closed";
  }
  assert_true(to == 1ULL << 40);
  assert_int_equal(from, 3);
  assert_int_equal(relayed, 1500);
  assert_true(reason);
}

void refuses_every_cut_and_every_extra_byte(Fixture& f) {
  for (const Message& message : f.all) {
    f.packet = encode(message);
    for (size_t size = 0; size < f.packet.size; ++size)
      assert_false(f.accepts(f.packet.content().first(size)));
    f.bytes.assign(f.packet.content().begin(), f.packet.content().end());
    f.bytes.push_back(0);
    assert_false(f.accepts(f.bytes));
  }
}

void refuses_what_is_out_of_range(Fixture& f) {
  struct {
    const char* name;
    std::initializer_list<uint8_t> bytes;
  } const rows[] = {
      {"another version", {2, 0, 0, 0}},
      {"an unknown type", {1, 6, 0, 0}},
      {"the highest type", {1, 255, 0, 0}},
      {"a failure code beyond the last", {1, 1, 0, 1, 11}},
      {"a log level beyond the last", {1, 4, 0, 1, 4}},
      {"Ready with a body", {1, 0, 0, 1, 0}},
      {"Stop too short", {1, 5, 0, 3, 0, 0, 0}},
      {"Ended without its counts", {1, 3, 0, 2, 0, 0}},
  };
  for (const auto& row : rows) {
    f.bytes.assign(row.bytes.begin(), row.bytes.end());
    const bool accepted = f.accepts(f.bytes);
    if (accepted) fail_msg("accepted: %s", row.name);
  }
}

void cuts_a_long_text(Fixture& f) {
  f.all = {Refused{proto::FailureCode::internal, std::string(5000, 'x')},
           Log{base::LogLevel::info, std::string(5000, 'x')},
           Ended{std::string(5000, 'x'), 1, 2, std::chrono::milliseconds(3)},
           Authenticated{std::string(5000, 'x')}};
  for (const Message& message : f.all) {
    f.packet = encode(message);
    assert_in_range(f.packet.size, kMaxMessageText, kMaxMessageBytes);
    assert_true(f.accepts(f.packet.content()));
  }
}

}  // namespace
}  // namespace vncauthproxy::ipc

int main() {
  using namespace vncauthproxy::ipc;
  const CMUnitTest tests[] = {
      TEST(Fixture, comes_back_as_it_went),
      TEST(Fixture, keeps_every_field),
      TEST(Fixture, refuses_every_cut_and_every_extra_byte),
      TEST(Fixture, refuses_what_is_out_of_range),
      TEST(Fixture, cuts_a_long_text),
  };
  return vncauthproxy::testing::run_group("message", tests);
}
