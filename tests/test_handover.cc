// SPDX-License-Identifier: GPL-2.0-or-later
// All that a spare gets to know: every field there and back, cut at each byte, with too few and too many
// descriptors.
#include "vncauthproxy/ipc/handover.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::ipc {
namespace {

using base::Bytes;
using std::chrono::milliseconds;

base::Fd some_fd() {
  return base::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

struct Fixture {
  Fixture() : room(kMaxLongBytes) {
    sent.id = 4000000000U;
    sent.type = proto::ViewerType::vnc_wss;
    sent.destination_address = "node1.example.org";
    sent.destination_port = 5900;
    sent.server_password = base::Secret("of the server");
    sent.server_timeout = milliseconds(30000);
    sent.connect_retries = 3;
    sent.retry_wait = milliseconds(100);
    sent.password = base::Secret("of the viewer");
    sent.listeners.push_back(some_fd());
    sent.listeners.push_back(some_fd());
    sent.client_address = *base::parse_network("192.0.2.0/24");
    sent.connect_timeout = milliseconds(31000);
    sent.auth_timeout = milliseconds(61000);
    sent.auth_attempts = 5;
    sent.viewers_per_address = 6;
    sent.tls_key = base::Secret(std::string_view("a key\0with a NUL", 16));
    sent.web = some_fd();
    sent.ws_ping_interval = milliseconds(15000);
    sent.ws_timeout = milliseconds(120000);
    settings.number = 7;
    settings.debug = true;
    settings.log = "-";
    settings.tls = {"-----BEGIN CERTIFICATE-----", "1.2", "ECDHE", ""};
  }

  std::vector<base::Fd> fds(size_t count) {
    std::vector<base::Fd> made;
    while (made.size() < count) made.push_back(some_fd());
    return made;
  }
  Bytes packet() {
    auto encoded = encode(sent, room);
    return encoded ? *encoded : Bytes();
  }
  bool accepts(Bytes bytes, size_t count) { return static_cast<bool>(decode_handover(bytes, fds(count))); }

  std::vector<uint8_t> room;
  Handover sent;
  Settings settings;
  std::vector<uint8_t> copy;
};

void every_field_comes_back(Fixture& f) {
  const Bytes packet = f.packet();
  const size_t descriptors_sent = descriptors(f.sent).size();
  bool same = false;
  size_t listeners = 0;
  if (auto got = decode_handover(packet, f.fds(3))) {
    const Handover& h = *got;
    listeners = h.listeners.size();
    same =
        h.id == f.sent.id && h.type == f.sent.type && h.destination_address == f.sent.destination_address &&
        h.destination_port == 5900 && h.server_password.reveal() == "of the server" &&
        h.server_timeout == f.sent.server_timeout && h.connect_retries == 3 &&
        h.retry_wait == f.sent.retry_wait && h.password.reveal() == "of the viewer" && h.client_address &&
        h.client_address->bits == f.sent.client_address->bits &&
        h.client_address->address.to_string() == f.sent.client_address->address.to_string() &&
        h.connect_timeout == f.sent.connect_timeout && h.auth_timeout == f.sent.auth_timeout &&
        h.auth_attempts == 5 && h.viewers_per_address == 6 && h.tls_key.reveal() == f.sent.tls_key.reveal() &&
        h.web && h.ws_ping_interval == f.sent.ws_ping_interval && h.ws_timeout == f.sent.ws_timeout;
  }
  assert_int_equal(descriptors_sent, 3);
  assert_true(same);
  assert_int_equal(listeners, 2);
}

void what_is_left_out_stays_empty(Fixture& f) {
  f.sent = Handover();
  const Bytes packet = f.packet();
  bool empty = false;
  if (auto got = decode_handover(packet, {}))
    empty = got->password.empty() && got->tls_key.empty() && !got->client_address && !got->web &&
            got->listeners.empty();
  assert_true(empty);
}

// A field that is new in the struct and not in the list of fields makes both ends forget it: the byte count
// tells.
void every_cut_and_every_extra_byte_is_refused(Fixture& f) {
  const Bytes packet = f.packet();
  assert_true(f.accepts(packet, 3));
  for (size_t size = 0; size < packet.size(); ++size)
    if (f.accepts(packet.first(size), 3)) fail_msg("accepted %zu of %zu bytes", size, packet.size());
  // Cut, with a length in the header that agrees.
  for (size_t size = kHeaderSize; size < packet.size(); ++size) {
    f.copy.assign(packet.begin(), packet.begin() + static_cast<long>(size));
    base::ByteWriter header(std::span(f.copy).first(kHeaderSize));
    put_header(header, Number::handover, size - kHeaderSize);
    if (f.accepts(f.copy, 3))
      fail_msg("accepted %zu of %zu bytes with a fitting header", size, packet.size());
  }
  f.copy.assign(packet.begin(), packet.end());
  f.copy.push_back(0);
  base::ByteWriter header(std::span(f.copy).first(kHeaderSize));
  put_header(header, Number::handover, f.copy.size() - kHeaderSize);
  assert_false(f.accepts(f.copy, 3));
}

void the_descriptors_are_counted(Fixture& f) {
  const Bytes packet = f.packet();
  for (const size_t count : {0UL, 1UL, 2UL, 4UL, 8UL})
    if (f.accepts(packet, count)) fail_msg("accepted %zu descriptors", count);
}

// No byte of it makes the decoder read what is not there or hold what it did not get.
void no_changed_byte_breaks_it(Fixture& f) {
  const Bytes packet = f.packet();
  for (size_t at = 0; at < packet.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      f.copy.assign(packet.begin(), packet.end());
      f.copy[at] = static_cast<uint8_t>(value);
      (void)f.accepts(f.copy, 3);
    }
  }
}

void too_much_is_refused(Fixture& f) {
  f.sent.destination_address = std::string(kMaxLongBytes, 'x');
  const bool refused = f.packet().empty();
  assert_true(refused);
}

void settings_come_back(Fixture& f) {
  bool same = false;
  if (auto packet = encode(f.settings, f.room)) {
    if (auto got = decode_settings(*packet))
      same = got->number == 7 && got->debug && got->log == "-" && got->tls.chain == f.settings.tls.chain &&
             got->tls.min_version == "1.2" && got->tls.ciphers == "ECDHE" && got->tls.ciphersuites.empty();
  }
  assert_true(same);
}

void every_cut_of_settings_is_refused(Fixture& f) {
  auto packet = encode(f.settings, f.room);
  const Bytes bytes = packet ? *packet : Bytes();
  assert_true(bytes.size() > kHeaderSize);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const bool accepted = static_cast<bool>(decode_settings(bytes.first(size)));
    if (accepted) fail_msg("accepted %zu of %zu bytes", size, bytes.size());
  }
}

}  // namespace
}  // namespace vncauthproxy::ipc

int main() {
  using namespace vncauthproxy::ipc;
  const CMUnitTest tests[] = {
      TEST(Fixture, every_field_comes_back),
      TEST(Fixture, what_is_left_out_stays_empty),
      TEST(Fixture, every_cut_and_every_extra_byte_is_refused),
      TEST(Fixture, the_descriptors_are_counted),
      TEST(Fixture, no_changed_byte_breaks_it),
      TEST(Fixture, too_much_is_refused),
      TEST(Fixture, settings_come_back),
      TEST(Fixture, every_cut_of_settings_is_refused),
  };
  return vncauthproxy::testing::run_group("handover", tests);
}
