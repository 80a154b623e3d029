// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/png.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace vncauthproxy::testing {
namespace {

std::string u32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

uint32_t crc32(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::string chunk(std::string_view type, std::string_view content) {
  const std::string body = std::string(type) + std::string(content);
  return u32(static_cast<uint32_t>(content.size())) + body + u32(crc32(body));
}

// zlib's container around stored blocks: no compressor is needed to be valid.
std::string stored(std::string_view bytes) {
  static constexpr size_t kMaxBlock = 65535;
  uint32_t a = 1, b = 0;
  for (const char c : bytes) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  std::string out = "\x78\x01";
  do {
    const std::string_view block = bytes.substr(0, kMaxBlock);
    bytes.remove_prefix(block.size());
    const auto size = static_cast<uint16_t>(block.size());
    const auto inverse = static_cast<uint16_t>(~size);
    out += bytes.empty() ? '\1' : '\0';
    for (const uint16_t word : {size, inverse}) {
      out += static_cast<char>(word & 255);
      out += static_cast<char>(word >> 8);
    }
    out += block;
  } while (!bytes.empty());
  return out + u32(b << 16 | a);
}

}  // namespace

std::string to_png(const Image& image) {
  std::string rows;
  for (size_t y = 0; y < image.height; ++y) {
    rows += '\0';  // no filter
    rows.append(reinterpret_cast<const char*>(image.rgb.data()) + y * image.width * 3,
                size_t{image.width} * 3);
  }
  const std::string header =
      u32(image.width) + u32(image.height) + std::string("\10\2\0\0\0", 5);  // RGB, 8 bits
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", stored(rows)) + chunk("IEND", "");
}

std::optional<Image> from_ppm(std::string_view bytes) {
  Image image;
  unsigned max = 0;
  int used = 0;
  const std::string head(bytes.substr(0, 64));
  if (std::sscanf(head.c_str(), "P6 %u %u %u%n", &image.width, &image.height, &max, &used) != 3 || max != 255)
    return std::nullopt;
  bytes.remove_prefix(static_cast<size_t>(used) + 1);  // one blank after the head
  if (image.width > 20000 || image.height > 20000 || bytes.size() != size_t{image.width} * image.height * 3)
    return std::nullopt;
  image.rgb.assign(bytes.begin(), bytes.end());
  return image;
}

bool similar(uint32_t a, uint32_t b, int tolerance) {
  for (int shift = 0; shift <= 16; shift += 8) {
    const int difference = static_cast<int>(a >> shift & 255) - static_cast<int>(b >> shift & 255);
    if (std::abs(difference) > tolerance) return false;
  }
  return true;
}

}  // namespace vncauthproxy::testing
