// SPDX-License-Identifier: GPL-2.0-or-later
// Real programs on both sides of the built daemon: Xtigervnc as the backend, vncsnapshot and TigerVNC's
// viewer (in an Xvfb) as viewers; what they see is compared by colour. Required where $CI is set, skipped
// with a word where a program is not installed.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/png.h"

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

// What the real server shows: one colour.
constexpr uint32_t kColour = 0x3366cc;
constexpr uint32_t kWidth = 320, kHeight = 240;

bool required() {
  const char* ci = std::getenv("CI");
  return ci && *ci;
}

// The first of these programs that is not installed; empty: all are.
std::string missing(const std::vector<std::string>& programs) {
  for (const std::string& program : programs)
    if (!installed(program)) return program;
  return {};
}

// An X server on a display number of its own choice, which it writes to stdout.
class Display {
 public:
  explicit Display(std::vector<std::string> argv) {
    argv.insert(argv.end(), {"-displayfd", "1", "-nolisten", "tcp"});
    server_ = std::make_unique<Program>(argv);
    if (server_->wait_out("\n")) name_ = ":" + server_->out().substr(0, server_->out().find('\n'));
  }
  const std::string& name() const { return name_; }  // ":7"; empty: it did not start
  std::string environment() const { return "DISPLAY=" + name_; }
  std::string err() { return server_->err(); }

 private:
  std::unique_ptr<Program> server_;
  std::string name_;
};

struct Fixture : Stage {
  // A real VNC server filled with kColour.
  uint16_t start_server(const std::vector<std::string>& security) {
    const uint16_t port = find_free_range(1);
    const std::string size = std::to_string(kWidth) + "x" + std::to_string(kHeight);
    std::vector<std::string> argv = {
        "Xtigervnc", "-rfbport", std::to_string(port), "-localhost", "-geometry", size,
        "-depth",    "24",       "-desktop",           "test bench"};
    argv.insert(argv.end(), security.begin(), security.end());
    server = std::make_unique<Display>(argv);
    if (!check(!server->name().empty(), server->err())) return 0;
    const Outcome painted = run({"xsetroot", "-solid", "#3366cc"}, {.environment = {server->environment()}});
    return check(painted.status == 0, painted.err) ? port : uint16_t{0};
  }
  std::string password_file() const {
    write_file(folder.file("password"), vnc_password_file(kViewerSecret));
    return folder.file("password");
  }
  // What vncsnapshot sees on that port. Raw: asked for more, Xtigervnc sends an empty cursor, at which it
  // hangs.
  std::optional<Image> snapshot(uint16_t port) {
    const std::string picture = folder.file("picture.jpg");
    const Outcome taken = run({"vncsnapshot", "-encodings", "raw", "-passwd", password_file(),
                               "127.0.0.1::" + std::to_string(port), picture});
    check(taken.status == 0, taken.err + taken.out);
    return from_ppm(run({"jpegtopnm", picture}).out);
  }
  bool shows(const std::optional<Image>& image, uint32_t x, uint32_t y, uint32_t colour) {
    if (!check(image && x < image->width && y < image->height, "a picture")) return false;
    char text[64];
    std::snprintf(text, sizeof text, "(%u, %u) is %06x, not %06x", x, y, image->pixel(x, y), colour);
    return check(similar(image->pixel(x, y), colour), text);
  }

  Folder folder;
  std::unique_ptr<Display> server;
};

void snapshot_of_a_real_server(Fixture& f) {
  const uint16_t port = f.start_server({"-SecurityTypes", "None"});
  const auto image = f.snapshot(f.daemon.forwarding_to(port));
  if (f.shows(image, 5, 5, kColour)) f.check(image->width == kWidth && image->height == kHeight, "its size");
  f.shows(image, 160, 120, kColour);
}

void a_real_server_with_a_password(Fixture& f) {
  write_file(f.folder.file("server-password"), vnc_password_file(kServerSecret));
  const uint16_t port =
      f.start_server({"-SecurityTypes", "VncAuth", "-PasswordFile", f.folder.file("server-password")});
  const Reply none = f.daemon.request(Request{.destination_port = port});
  f.check(none.failed("backend_auth"), none.text);
  const Reply wrong = f.daemon.request(Request{.destination_port = port, .server_password = "wrong"});
  f.check(wrong.failed("backend_auth"), wrong.text);
  const Reply right = f.daemon.request(Request{.destination_port = port, .server_password = kServerSecret});
  f.check(right.ok(), right.text);
  f.shows(f.snapshot(right.port), 100, 100, kColour);
}

// TigerVNC's own words for the unwelcome: after five failures it says so at once.
void a_real_server_that_has_had_enough(Fixture& f) {
  write_file(f.folder.file("server-password"), vnc_password_file(kServerSecret));
  const uint16_t port =
      f.start_server({"-SecurityTypes", "VncAuth", "-PasswordFile", f.folder.file("server-password")});
  Reply reply;
  for (int i = 0; i < 8 && reply.code != "backend_refused"; ++i)
    reply = f.daemon.request(Request{.destination_port = port, .server_password = "wrong"});
  f.check(reply.failed("backend_refused"), reply.text);
  f.check(reply.reason.find("oo many") != std::string::npos, reply.text);
}

void snapshot_of_the_painter(Fixture& f) {
  const Picture picture;
  FakeBackend painter(paint(picture));
  const auto image = f.snapshot(f.daemon.forwarding_to(painter.port()));
  for (const uint32_t x : {40u, 280u})
    for (const uint32_t y : {30u, 210u}) f.shows(image, x, y, picture.pixel(x, y));
}

void a_wrong_password_shows_nothing(Fixture& f) {
  const uint16_t port = f.start_server({"-SecurityTypes", "None"});
  write_file(f.folder.file("password"), vnc_password_file("wrong"));
  const Outcome taken =
      run({"vncsnapshot", "-passwd", f.folder.file("password"),
           "127.0.0.1::" + std::to_string(f.daemon.forwarding_to(port)), f.folder.file("picture.jpg")});
  f.check(taken.status != 0 && read_file(f.folder.file("picture.jpg")).empty(), taken.err);
}

// All that is of the server's colour on that screen is one rectangle of the server's size: its whole picture.
bool shows_the_whole_picture(const Image& screen) {
  uint32_t left = screen.width, top = screen.height, right = 0, bottom = 0, coloured = 0;
  for (uint32_t y = 0; y < screen.height; ++y)
    for (uint32_t x = 0; x < screen.width; ++x) {
      if (!similar(screen.pixel(x, y), kColour)) continue;
      ++coloured;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = std::max(bottom, y + 1);
    }
  return coloured == kWidth * kHeight && right - left == kWidth && bottom - top == kHeight;
}

// In a window: without a window manager, TigerVNC's viewer 1.15 that is to fill the screen opens its window
// again and again and never asks for a picture. Without a menu key nothing is written over the picture.
void tigervnc_shows_a_real_server(Fixture& f) {
  const uint16_t port = f.start_server({"-SecurityTypes", "None"});
  Display screen({"Xvfb", "-screen", "0", "640x480x24"});
  if (!f.check(!screen.name().empty(), screen.err())) return;
  const uint16_t forwarding = f.daemon.forwarding_to(port);
  Program viewer({"xtigervncviewer", "-passwd", f.password_file(), "-SecurityTypes", "VncAuth",
                  "-MenuKey=", "127.0.0.1::" + std::to_string(forwarding)},
                 {.environment = {screen.environment(), "HOME=" + f.folder.path()}});
  const bool shown = wait_until([&] {
    const std::string dump = f.folder.file("screen.xwd");
    run({"xwd", "-root", "-silent", "-out", dump}, {.environment = {screen.environment()}});
    const std::optional<Image> seen = from_ppm(run({"xwdtopnm", dump}).out);
    return seen && shows_the_whole_picture(*seen);
  });
  f.check(shown, "the viewer shows the server's picture: " + viewer.err());
}

const std::vector<std::string> kForSnapshot = {"Xtigervnc", "xsetroot", "vncsnapshot", "jpegtopnm"};
const std::vector<std::string> kForViewer = {"Xtigervnc",       "xsetroot", "Xvfb",
                                             "xtigervncviewer", "xwd",      "xwdtopnm"};

// The name of what is missing, for a text that outlives a skip.
const char* missing_for(const std::vector<std::string>& programs) {
  static std::string name;
  name = missing(programs);
  return name.empty() ? nullptr : name.c_str();
}

template <void (*body)(Fixture&), const std::vector<std::string>* programs>
void with_programs(void** state) {
  const char* absent = missing_for(*programs);
  if (absent) {
    print_message("%s is not installed%s\n", absent, required() ? ", and $CI requires it" : "");
    if (required()) fail();
    skip();
  }
  call_body<Fixture, staged<Fixture, body>>(state);
}

}  // namespace
}  // namespace vncauthproxy::testing

#define REAL(body, programs)                                                                   \
  CMUnitTest {                                                                                 \
#body, ::vncauthproxy::testing::with_programs < ::vncauthproxy::testing::body,             \
        &::vncauthproxy::testing::programs>, ::vncauthproxy::testing::make_fixture < Fixture>, \
        ::vncauthproxy::testing::delete_fixture < Fixture>, nullptr                            \
  }

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      REAL(snapshot_of_a_real_server, kForSnapshot),
      REAL(a_real_server_with_a_password, kForSnapshot),
      REAL(a_real_server_that_has_had_enough, kForSnapshot),
      REAL(snapshot_of_the_painter, kForSnapshot),
      REAL(a_wrong_password_shows_nothing, kForSnapshot),
      REAL(tigervnc_shows_a_real_server, kForViewer),
  };
  return run_group("real", tests);
}
