// SPDX-License-Identifier: GPL-2.0-or-later
// The fake viewer and the fake backend against each other, and the helpers around them: what the end-to-end
// tests lean on must hold by itself.
#include <string>

#include "tests/support/fake_backend.h"
#include "tests/support/fake_viewer.h"
#include "tests/support/pattern.h"
#include "tests/support/png.h"
#include "tests/support/program.h"
#include "vncauthproxy/proto/vnc_auth.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture {
  FakeBackend backend{echo({.types = {2}, .password = "rightone"})};
};

void viewer_and_backend_agree(Fixture& f) {
  for (const char* version : {"RFB 003.003\n", "RFB 003.007\n", "RFB 003.008\n"}) {
    bool good = false;
    {
      FakeViewer viewer(f.backend.port());
      good = viewer.log_in("rightone", version) == Verdict::admitted && viewer.echoes("hello");
    }
    assert_true(good);
  }
}

void a_wrong_password_is_refused(Fixture& f) {
  bool refused = false, with_reason = false;
  {
    FakeViewer viewer(f.backend.port());
    refused = viewer.log_in("wrongone") == Verdict::refused;
    with_reason = viewer.reason == "wrong backend password" && viewer.socket.ended();
  }
  assert_true(refused);
  assert_true(with_reason);
}

void deadlines_hold(Fixture& f) {
  bool nothing = false, not_ended = false;
  {
    Socket socket = Socket::connect("127.0.0.1", f.backend.port());
    nothing = !socket.read(13, milliseconds(50));  // twelve bytes come
    not_ended = !socket.ended(milliseconds(50));
  }
  assert_true(nothing);
  assert_true(not_ended);
}

void patterns_show_any_change(NoFixture&) {
  uint8_t bytes[100], more[100];
  Pattern a(7), b(7), c(7);
  a.fill(bytes);
  a.fill(more);
  assert_true(b.check(bytes) && b.check(more));
  more[42] ^= 1;
  assert_true(c.check(bytes));
  assert_false(c.check(more));
}

void programs_are_run(NoFixture&) {
  int status = 0;
  bool output = false;
  {
    const Outcome outcome = run({"sh", "-c", "read x; echo out $x; echo err >&2; exit 3"}, {.input = "in\n"});
    status = outcome.status;
    output = outcome.out == "out in\n" && outcome.err == "err\n";
  }
  assert_int_equal(status, 3);
  assert_true(output);
  {
    const Outcome outcome = run({"sleep", "100"}, {}, milliseconds(50));
    status = outcome.status;
  }
  assert_int_equal(status, -1);
}

void pictures_pass_netpbm(NoFixture&) {
  if (!installed("pngtopnm")) skip();
  bool same = false;
  {
    const Picture picture;
    Image image{picture.width, picture.height, {}};
    for (uint32_t y = 0; y < image.height; ++y)
      for (uint32_t x = 0; x < image.width; ++x)
        for (const int shift : {16, 8, 0})
          image.rgb.push_back(static_cast<uint8_t>(picture.pixel(x, y) >> shift));
    const Folder folder;
    write_file(folder.file("a.png"), to_png(image));
    const auto again = from_ppm(run({"pngtopnm", folder.file("a.png")}).out);
    same = again && again->width == 320 && again->rgb == image.rgb;
  }
  assert_true(same);
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;
  const CMUnitTest tests[] = {
      TEST(Fixture, viewer_and_backend_agree), TEST(Fixture, a_wrong_password_is_refused),
      TEST(Fixture, deadlines_hold),           TEST(NoFixture, patterns_show_any_change),
      TEST(NoFixture, programs_are_run),       TEST(NoFixture, pictures_pass_netpbm),
  };
  return run_group("support", tests);
}
