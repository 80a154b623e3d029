// SPDX-License-Identifier: GPL-2.0-or-later
// A VNC viewer under a test's control: each step of the handshake by itself or all of it, in any version,
// then plain bytes. Its programs need prepare_vnc_auth() of proto/ first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/socket.h"

namespace vncauthproxy::testing {

enum class Verdict : uint8_t {
  admitted,  // SecurityResult 0
  refused,   // SecurityResult other than 0, or zero types: `reason` is what came with it
  broken     // the stream ended or made no sense
};

class FakeViewer {
 public:
  FakeViewer() = default;
  FakeViewer(const std::string& host, uint16_t port, Deadline deadline = {}, int buffer = 0,
             const std::string& source = {})
      : socket(Socket::connect(host, port, deadline, buffer, source)) {}
  explicit FakeViewer(uint16_t port) : FakeViewer("127.0.0.1", port) {}

  // The whole handshake. `version` is sent as it is; `by_byte` puts each byte in a segment of its own.
  Verdict log_in(std::string_view password, std::string_view version = "RFB 003.008\n", bool by_byte = false);

  // Its steps. Each is false when the server did not do what the protocol asks for.
  bool read_greeting();
  bool send_version(std::string_view version = "RFB 003.008\n");
  bool read_offer();              // the type list `01 02`, or at 3.3 the scheme 2
  bool choose(uint8_t type = 2);  // nothing at 3.3
  bool read_challenge();
  std::string response(std::string_view password) const;  // to the challenge read
  bool send_response(std::string_view password);
  Verdict read_result();
  bool to_challenge(std::string_view version = "RFB 003.008\n");  // all before the response

  // Sends a text and reads it back.
  bool echoes(std::string_view text, Deadline deadline = {});

  Socket socket;
  std::string greeting;   // as the server sent it
  std::string challenge;  // 16 bytes
  std::string reason;     // of a refusal, if one came

 private:
  bool is_3_3() const;
  bool is_3_8() const;
  bool put(std::string_view bytes);
  std::string read_reason();

  std::string version_ = "RFB 003.008\n";
  bool by_byte_ = false;
};

// The content of a password file of vncviewer and vncsnapshot: the password enciphered with a key that all
// the world knows.
std::string vnc_password_file(std::string_view password);

}  // namespace vncauthproxy::testing
