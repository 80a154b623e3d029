// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds a transcript to a protocol machine in every way a network may cut it: whole, byte by byte, and in two
// pieces cut at every point. How bytes were cut must never show in what comes of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/result.h"

namespace vncauthproxy::testing {

using Pieces = std::vector<base::Bytes>;

// Plan 0 is whole, plan 1 byte by byte, each further one a cut one byte later.
inline size_t count_plans(base::Bytes transcript) {
  return transcript.size() < 2 ? 1 : 1 + transcript.size();
}

inline Pieces cut(base::Bytes transcript, size_t plan) {
  if (plan == 0) return {transcript};
  if (plan > 1) return {transcript.first(plan - 1), transcript.subspan(plan - 1)};
  Pieces pieces;
  for (size_t i = 0; i < transcript.size(); ++i) pieces.push_back(transcript.subspan(i, 1));
  return pieces;
}

// Bytes as they can stand in a test's text: printable ASCII, the rest as \xHH.
inline std::string visible(base::Bytes bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    if (byte >= ' ' && byte <= '~' && byte != '\\')
      text += static_cast<char>(byte);
    else
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  }
  return text;
}
inline std::string visible(std::string_view text) {
  return visible(base::as_bytes(text));
}

inline std::string visible(const base::Error& error) {
  constexpr const char* kNames[] = {"invalid", "too_large", "unsupported", "denied",
                                    "missing", "refused",   "unreachable", "timeout",
                                    "closed",  "in_use",    "exhausted",   "system"};
  return std::string(kNames[static_cast<size_t>(error.code)]) + ": " + error.detail;
}

// `act` takes Pieces and tells as text what came of them. Returns that text when it was always the same, else
// the first split that made a difference.
template <typename Act>
std::string feed_every_way(base::Bytes transcript, Act act) {
  const std::string whole = act(cut(transcript, 0));
  for (size_t plan = 1; plan < count_plans(transcript); ++plan) {
    const std::string other = act(cut(transcript, plan));
    if (other != whole)
      return (plan == 1 ? std::string("byte by byte") : "cut at " + std::to_string(plan - 1)) + ": " + other +
             ", but whole: " + whole;
  }
  return whole;
}
template <typename Act>
std::string feed_every_way(std::string_view transcript, Act act) {
  return feed_every_way(base::as_bytes(transcript), act);
}

// The input buffer of a connection: what a machine leaves is there again when more has come.
class Inbox {
 public:
  void add(base::Bytes piece) { bytes_.insert(bytes_.end(), piece.begin(), piece.end()); }
  base::ByteReader reader() const { return base::ByteReader(bytes_); }
  void leave(const base::ByteReader& reader) {
    bytes_.erase(bytes_.begin(), bytes_.end() - static_cast<std::ptrdiff_t>(reader.size()));
  }
  base::Bytes bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace vncauthproxy::testing
