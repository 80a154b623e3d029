// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz entry: the handshake toward a backend that says anything. With bit 3 of the flags there is a password.
#include "tests/fuzz/cuts.h"
#include "tests/support/handshakes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vncauthproxy;
  static const bool prepared = static_cast<bool>(proto::prepare_vnc_auth());
  testing::insist(prepared, "the cipher is there");
  const testing::FuzzInput input = testing::read_input({data, size});
  const base::Secret password((input.flags & 8) != 0 ? "password" : "");
  const std::string outcome = testing::same_in_any_pieces(
      input, [&](const testing::Pieces& pieces) { return testing::talk_to_backend(password, pieces); });
  testing::insist(outcome != "too much output", "64 bytes of room suffice for a call");
  return 0;
}
