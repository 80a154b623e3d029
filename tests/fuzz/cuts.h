// SPDX-License-Identifier: GPL-2.0-or-later
// What the fuzz entries share: an input that says by itself how it is cut, and the rule that no cut may
// change what comes of it. The first byte holds the flags of the entry (bits 3 to 7) and how many bytes of
// pattern follow (bits 0 to 2); each of these is the size of one piece, less one (bits 0 to 3), over and
// over. So an input that begins with the digit 0 is one piece.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/feeder.h"

namespace vncauthproxy::testing {

struct FuzzInput {
  uint8_t flags = 0;
  base::Bytes transcript;
  Pieces pieces;
};

inline FuzzInput read_input(base::Bytes data) {
  FuzzInput input;
  base::ByteReader reader(data);
  const uint8_t first = reader.u8();
  input.flags = static_cast<uint8_t>(first & 0xf8);
  const base::Bytes pattern = reader.take(first & 7);
  input.transcript = reader.rest();
  if (pattern.empty()) input.pieces.push_back(reader.take(reader.size()));
  for (size_t i = 0; reader.size() > 0; ++i)
    input.pieces.push_back(reader.take(size_t{1} + (pattern[i % pattern.size()] & 15)));
  return input;
}

inline void insist(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Tells what came of it, too.
template <typename Act>
std::string same_in_any_pieces(const FuzzInput& input, Act act) {
  const std::string whole = act(cut(input.transcript, 0));
  insist(act(input.pieces) == whole, "the pieces do not matter");
  insist(act(cut(input.transcript, 1)) == whole, "single bytes do not matter");
  return whole;
}

}  // namespace vncauthproxy::testing
