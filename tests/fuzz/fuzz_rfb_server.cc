// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz entry: the handshake toward a viewer that says anything. The challenge is always the same, so that an
// input can hold the right response; nothing without it may get in.
#include "tests/fuzz/cuts.h"
#include "tests/support/handshakes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vncauthproxy;
  static const bool prepared = static_cast<bool>(proto::prepare_vnc_auth());
  testing::insist(prepared, "the cipher is there");
  const testing::FuzzInput input = testing::read_input({data, size});
  const base::Secret password("password");
  const std::string outcome = testing::same_in_any_pieces(
      input, [&](const testing::Pieces& pieces) { return testing::talk_to_viewer(password, pieces); });
  testing::insist(outcome != "too much output", "the room of a call suffices");
  if (outcome.find("; verified") == outcome.npos) return 0;

  const std::string_view said = base::as_text(input.transcript);
  const bool has_type = said[10] >= '7' || said.substr(8, 2) != "00";
  testing::insist(said.starts_with("RFB 003."), "only RFB 3 gets in");
  testing::insist(!has_type || said[proto::kVersionSize] == '\2', "only our type leads in");
  testing::insist(said.substr(proto::kVersionSize + has_type).starts_with(testing::kKnownResponse),
                  "only the right response gets in");
  return 0;
}
