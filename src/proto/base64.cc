// SPDX-License-Identifier: GPL-2.0-or-later
// OpenSSL encodes; its decoder skips blanks and guesses at missing padding, so the strict one is ours.
#include "vncauthproxy/proto/base64.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace vncauthproxy::proto {
namespace {

constexpr uint8_t kNoDigit = 0xFF;

constexpr std::array<uint8_t, 256> digits() {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<uint8_t, 256> table{};
  table.fill(kNoDigit);
  for (size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  return table;
}
constexpr auto kDigits = digits();

}  // namespace

void put_base64(base::Bytes bytes, base::ByteWriter& out) {
  constexpr size_t kStep = 192;  // whole groups of three, so only the last step pads
  uint8_t text[base64_size(kStep) + 1];
  while (!bytes.empty()) {
    const size_t step = std::min(bytes.size(), kStep);
    const int size = ::EVP_EncodeBlock(text, bytes.data(), static_cast<int>(step));
    out.put(base::Bytes(text, static_cast<size_t>(size)));
    bytes = bytes.subspan(step);
  }
}

std::string to_base64(base::Bytes bytes) {
  std::string text(base64_size(bytes.size()), '\0');
  base::ByteWriter out({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  put_base64(bytes, out);
  return text;
}

bool Base64Decoder::take(uint8_t character, base::ByteWriter& out) {
  if (ended_) return false;
  const bool pad = character == '=';
  const uint8_t digit = pad ? 0 : kDigits[character];
  if (digit == kNoDigit || (pad && characters_ < 2) || (!pad && padding_ != 0)) return false;
  if (pad) ++padding_;
  bits_ = bits_ << 6 | digit;
  if (++characters_ < 4) return true;
  const uint8_t bytes[] = {static_cast<uint8_t>(bits_ >> 16), static_cast<uint8_t>(bits_ >> 8),
                           static_cast<uint8_t>(bits_)};
  out.put(base::Bytes(bytes, 3u - padding_));
  ended_ = padding_ != 0;
  bits_ = 0;
  characters_ = padding_ = 0;
  return true;
}

bool Base64Decoder::feed(base::Bytes text, base::ByteWriter& out) {
  for (const uint8_t character : text) {
    if (bad_) break;
    bad_ = !take(character, out);
  }
  return !bad_;
}

bool Base64Decoder::finish() {
  const bool whole = !bad_ && characters_ == 0;
  *this = Base64Decoder();
  return whole;
}

int base64_decoded_size(std::string_view text) {
  Base64Decoder decoder;
  int size = 0;
  for (const char character : text) {
    uint8_t room[3];
    base::ByteWriter out(room);
    if (!decoder.feed(base::as_bytes({&character, 1}), out)) return -1;
    size += static_cast<int>(out.size());
  }
  return decoder.finish() ? size : -1;
}

}  // namespace vncauthproxy::proto
