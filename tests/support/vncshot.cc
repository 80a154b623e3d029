// SPDX-License-Identifier: GPL-2.0-or-later
// A VNC viewer that saves what it sees, for `make demo` on a machine without a real one:
//   vncshot HOST PORT FILE.png             logs in with $VNC_PASSWORD, asks for one full update
//   vncshot --password-file FILE           writes $VNC_PASSWORD as real viewers read it
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/fake_viewer.h"
#include "tests/support/png.h"
#include "tests/support/program.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::testing {
namespace {

unsigned u16_of(const std::string& bytes, size_t at) {
  return static_cast<unsigned>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

// The head of ServerInit; the desktop's name is read and dropped.
bool read_geometry(Socket& socket, Image* image) {
  const auto head = socket.read(24);
  if (!head) return false;
  image->width = u16_of(*head, 0);
  image->height = u16_of(*head, 2);
  const size_t name = size_t{u16_of(*head, 20)} << 16 | u16_of(*head, 22);
  return name < 65536 && socket.read(name).has_value();
}

// 32 bits a pixel: blue, green, red, nothing. Raw is the only encoding, which no request has to name.
bool ask_for_picture(Socket& socket, const Image& image) {
  const std::string format = std::string({0, 0, 0, 0, 32, 24, 0, 1}) + u16(255) + u16(255) + u16(255) +
                             std::string({16, 8, 0, 0, 0, 0});
  const std::string encodings = std::string({2, 0}) + u16(1) + std::string(4, '\0');
  const std::string request = std::string({3, 0}) + u16(0) + u16(0) + u16(image.width) + u16(image.height);
  return socket.send(format + encodings + request);
}

bool read_rectangle(Socket& socket, Image* image) {
  const auto head = socket.read(12);
  if (!head || u16_of(*head, 8) != 0 || u16_of(*head, 10) != 0) return false;
  const unsigned left = u16_of(*head, 0), top = u16_of(*head, 2), width = u16_of(*head, 4),
                 height = u16_of(*head, 6);
  if (left + width > image->width || top + height > image->height) return false;
  for (unsigned y = top; y < top + height; ++y) {
    const auto row = socket.read(size_t{width} * 4);
    if (!row) return false;
    for (unsigned x = 0; x < width; ++x)
      for (unsigned channel = 0; channel < 3; ++channel)
        image->rgb[3 * (size_t{y} * image->width + left + x) + channel] =
            static_cast<uint8_t>((*row)[4 * x + 2 - channel]);
  }
  return true;
}

// The one update that answers the request for all of the picture; a bell or a clipboard may come before it.
bool read_picture(Socket& socket, Image* image) {
  for (;;) {
    const auto type = socket.read(1);
    if (!type) return false;
    if (*type == "\3") {  // ServerCutText
      const auto head = socket.read(7);
      if (!head || !socket.read(size_t{u16_of(*head, 3)} << 16 | u16_of(*head, 5))) return false;
    } else if (*type == std::string(1, '\0')) {
      const auto head = socket.read(3);
      if (!head) return false;
      for (unsigned left = u16_of(*head, 1); left > 0; --left)
        if (!read_rectangle(socket, image)) return false;
      return true;
    } else if (*type != "\2") {  // Bell
      return false;
    }
  }
}

int take_picture(const std::string& host, uint16_t port, const std::string& file, const char* password) {
  FakeViewer viewer(host, port);
  if (!viewer.socket) {
    std::fprintf(stderr, "vncshot: cannot connect to %s:%u\n", host.c_str(), static_cast<unsigned>(port));
    return 1;
  }
  if (viewer.log_in(password) != Verdict::admitted) {
    std::fprintf(stderr, "vncshot: not admitted: %s\n", viewer.reason.c_str());
    return 1;
  }
  Image image;
  viewer.socket.send(std::string_view("\1", 1));  // ClientInit: shared
  if (!read_geometry(viewer.socket, &image)) return 1;
  image.rgb.resize(size_t{image.width} * image.height * 3);
  if (!ask_for_picture(viewer.socket, image) || !read_picture(viewer.socket, &image)) {
    std::fprintf(stderr, "vncshot: no picture came\n");
    return 1;
  }
  if (!write_file(file, to_png(image), 0644)) {
    std::perror(file.c_str());
    return 1;
  }
  std::printf("%ux%u\n", image.width, image.height);
  return 0;
}

}  // namespace
}  // namespace vncauthproxy::testing

int main(int argc, char** argv) {
  using namespace vncauthproxy::testing;
  const char* password = std::getenv("VNC_PASSWORD");
  if (!password || (argc != 4 && !(argc == 3 && std::strcmp(argv[1], "--password-file") == 0))) {
    std::fprintf(stderr, "usage: VNC_PASSWORD=... vncshot HOST PORT FILE.png | --password-file FILE\n");
    return 2;
  }
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;
  if (argc == 3) return write_file(argv[2], vnc_password_file(password)) ? 0 : 1;
  return take_picture(argv[1], static_cast<uint16_t>(std::strtoul(argv[2], nullptr, 10)), argv[3], password);
}
