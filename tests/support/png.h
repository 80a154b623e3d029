// SPDX-License-Identifier: GPL-2.0-or-later
// A picture in memory, written as PNG (ISO 15948) without compression, and read from PPM.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vncauthproxy::testing {

struct Image {
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // three bytes a pixel, rows from the top

  uint32_t pixel(uint32_t x, uint32_t y) const {  // 0xRRGGBB
    const size_t at = 3 * (size_t{y} * width + x);
    return static_cast<uint32_t>(rgb[at]) << 16 | static_cast<uint32_t>(rgb[at + 1]) << 8 | rgb[at + 2];
  }
};

std::string to_png(const Image& image);
// Binary PPM of 8 bits a channel ("P6"), as netpbm writes it.
std::optional<Image> from_ppm(std::string_view bytes);
// Whether two colours differ by no more than `tolerance` in each channel.
bool similar(uint32_t a, uint32_t b, int tolerance = 24);

}  // namespace vncauthproxy::testing
