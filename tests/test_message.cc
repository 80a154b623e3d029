// SPDX-License-Identifier: GPL-2.0-or-later
// What the master believes of a worker's packets: every message there and back, and nothing that is none.
#include "vncauthproxy/ipc/message.h"

#include <iterator>
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
      Stop{std::chrono::milliseconds(2000)},
      Fork{7},
      Kill{4711},
      Born{4711, 3},
      NotBorn{11},
      Died{4711, 9}};
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
      {"another version", {1, 0, 0, 0, 0, 0}},
      {"an unknown number", {2, 13, 0, 0, 0, 0}},
      {"the highest number", {2, 255, 0, 0, 0, 0}},
      {"a failure code beyond the last", {2, 1, 0, 0, 0, 1, 200}},
      {"a log level beyond the last", {2, 4, 0, 0, 0, 1, 4}},
      {"Ready with a body", {2, 0, 0, 0, 0, 1, 0}},
      {"Stop too short", {2, 5, 0, 0, 0, 3, 0, 0, 0}},
      {"Ended without its counts", {2, 3, 0, 0, 0, 2, 0, 0}},
      {"Kill of a group", {2, 7, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff}},
      {"Born without a number", {2, 8, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1}},
      {"Died of everybody", {2, 10, 0, 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 1}},
      {"a Handover, which has a decoder of its own", {2, 11, 0, 0, 0, 1, 0}},
      {"a length of 4 GiB", {2, 4, 0xff, 0xff, 0xff, 0xff, 1}},
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

// The table is what the receivers go by: each message has a place, and nobody hears what is another's.
void each_message_has_its_receivers(Fixture& f) {
  struct {
    size_t index;
    unsigned receivers;
  } const rows[] = {
      {0, kMasterOfStarting},
      {1, kMasterOfStarting},
      {2, kMasterOfWaiting},
      {3, kMasterOfWaiting | kMasterOfLive},
      {4, kMasterOfStarting | kMasterOfWaiting | kMasterOfLive | kMasterOfEnding | kMasterOfNursery},
      {5, kWorker},
      {6, kNursery},
      {7, kNursery},
      {8, kMasterOfNursery},
      {9, kMasterOfNursery},
      {10, kMasterOfNursery}};
  assert_int_equal(std::size(rows), f.all.size());
  for (const auto& row : rows) {
    for (unsigned bit = 1; bit <= kNursery; bit *= 2) {
      const bool may = may_arrive(f.all[row.index], static_cast<Receiver>(bit));
      if (may != ((row.receivers & bit) != 0)) fail_msg("message %zu, receiver %u: %d", row.index, bit, may);
    }
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
      TEST(Fixture, each_message_has_its_receivers),
  };
  return vncauthproxy::testing::run_group("message", tests);
}
