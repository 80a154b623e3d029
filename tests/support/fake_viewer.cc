// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/fake_viewer.h"

#include <algorithm>

#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::testing {
namespace {

uint32_t u32_of(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

std::string text_of(const proto::Response& bytes) {
  return {bytes.begin(), bytes.end()};
}

proto::Challenge challenge_of(std::string_view bytes) {
  proto::Challenge challenge{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), challenge.size()), challenge.begin());
  return challenge;
}

}  // namespace

bool FakeViewer::is_3_3() const {
  return version_ >= "RFB 003.003\n" && version_ < "RFB 003.007\n";
}
bool FakeViewer::is_3_8() const {
  return version_ >= "RFB 003.008\n";
}

bool FakeViewer::put(std::string_view bytes) {
  return by_byte_ ? socket.send_each_byte(bytes) : socket.send(bytes);
}

bool FakeViewer::read_greeting() {
  const auto bytes = socket.read(12);
  if (bytes) greeting = *bytes;
  return greeting == "RFB 003.008\n";
}

bool FakeViewer::send_version(std::string_view version) {
  version_ = version;
  return put(version);
}

bool FakeViewer::read_offer() {
  const auto first = socket.read(1);
  if (!first) return false;
  if (is_3_3()) {
    const auto rest = socket.read(3);
    return rest && *first + *rest == std::string("\0\0\0\2", 4);
  }
  if (*first != "\1") return false;
  return socket.read(1) == "\2";
}

bool FakeViewer::choose(uint8_t type) {
  const char byte = static_cast<char>(type);
  return is_3_3() || put({&byte, 1});
}

bool FakeViewer::read_challenge() {
  const auto bytes = socket.read(proto::kChallengeSize);
  if (bytes) challenge = *bytes;
  return bytes.has_value();
}

bool FakeViewer::to_challenge(std::string_view version) {
  return read_greeting() && send_version(version) && read_offer() && choose() && read_challenge();
}

std::string FakeViewer::response(std::string_view password) const {
  return text_of(proto::vnc_response(base::Secret(password), challenge_of(challenge)));
}

bool FakeViewer::send_response(std::string_view password) {
  return put(response(password));
}

std::string FakeViewer::read_reason() {
  const auto size = socket.read(4);
  if (!size || u32_of(*size) > 4096) return {};
  return socket.read(u32_of(*size)).value_or("");
}

Verdict FakeViewer::read_result() {
  const auto result = socket.read(4);
  if (!result) return Verdict::broken;
  if (u32_of(*result) == 0) return Verdict::admitted;
  if (is_3_8()) reason = read_reason();
  return Verdict::refused;
}

Verdict FakeViewer::log_in(std::string_view password, std::string_view version, bool by_byte) {
  by_byte_ = by_byte;
  if (!to_challenge(version) || !send_response(password)) return Verdict::broken;
  return read_result();
}

bool FakeViewer::echoes(std::string_view text, Deadline deadline) {
  return socket.send(text, deadline) && socket.read(text.size(), deadline) == text;
}

std::string vnc_password_file(std::string_view password) {
  static constexpr std::string_view kKnownKey = "\x17\x52\x6b\x06\x23\x4e\x58\x07";
  const auto bytes = proto::vnc_response(base::Secret(kKnownKey), challenge_of(password.substr(0, 8)));
  return text_of(bytes).substr(0, 8);  // two blocks, each by itself: the first is the password's
}

}  // namespace vncauthproxy::testing
