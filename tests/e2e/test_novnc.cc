// SPDX-License-Identifier: GPL-2.0-or-later
// The console as people see it: noVNC, as Debian packages it, in a headless Chromium. The pages come from the
// one-time port itself or from another origin, and the picture of the backend must show in a screenshot.
// Required where $CI is set, skipped elsewhere when a program is missing.
#include <jansson.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/browser.h"
#include "tests/support/png.h"
#include "tests/support/slow_link.h"

#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

constexpr const char* kPages = "/usr/share/novnc";

struct Fixture : WsStage {
  // The port waits longer than a page may take on a busy machine.
  explicit Fixture(const char* connect_timeout = "120")
      : WsStage({"--web", kPages, "--proxy-address", "127.0.0.1", "--connect-timeout", connect_timeout,
                 "--auth-timeout", "120"}) {}

  Reply ask(const Kind& kind) {
    return daemon.request(Request{.destination_port = painter.port(), .type = kind.type});
  }
  // Says with it all that may explain why the page is not as it should be.
  bool check_page(bool good, const Kind& kind, const std::string& what) {
    return good || check_kind(false, kind,
                              what + "; the page says: " + browser.novnc_words() +
                                  "; the browser: " + browser.complaints());
  }

  FakeBackend painter{paint()};
  Folder folder;
  Browser browser;
};

// The middles of the picture's quarters, in eighths of its width and height.
struct Place {
  uint32_t column, row;
};
constexpr Place kPlaces[] = {{1, 1}, {7, 1}, {1, 7}, {7, 7}};

// Where a place of the canvas stands in the window: "x y".
std::string script_for(const Place& place) {
  return "(()=>{const r=document.querySelector('canvas').getBoundingClientRect();"
         "return Math.round(r.left+r.width*" +
         std::to_string(place.column) + "/8)+' '+Math.round(r.top+r.height*" + std::to_string(place.row) +
         "/8)})()";
}

// What is wrong with a screenshot; "" when it shows the picture.
std::string difference(Fixture& f, const Image& shot) {
  const Picture picture;
  for (const Place& place : kPlaces) {
    uint32_t x = 0, y = 0;
    const std::string where = f.browser.evaluate(script_for(place));
    if (std::sscanf(where.c_str(), "%u %u", &x, &y) != 2 || x >= shot.width || y >= shot.height)
      return "the canvas is outside of the window: " + where;
    const uint32_t expected =
        picture.pixel(picture.width * place.column / 8u, picture.height * place.row / 8u);
    if (!similar(shot.pixel(x, y), expected)) {
      char text[64];
      std::snprintf(text, sizeof text, "(%u, %u) is %06x, not %06x", x, y, shot.pixel(x, y), expected);
      return text;
    }
  }
  return "";
}

std::string look(Fixture& f, Deadline deadline) {
  const std::string file = f.folder.file("shot.png");
  write_file(file, f.browser.screenshot(deadline));
  const auto shot = from_ppm(run({"pngtopnm", file}).out);
  return shot ? difference(f, *shot) : "no screenshot";
}

void shows_the_picture(Fixture& f, const Kind& kind, const std::string& url) {
  const Deadline deadline(kBrowserPatience);
  if (!f.check_page(f.browser.open(url, deadline), kind, "no page")) return;
  if (!f.check_page(f.browser.wait_for_picture(deadline), kind, "no picture")) return;
  f.check_kind(f.browser.evaluate("(c=>c.width+'x'+c.height)(document.querySelector('canvas'))") == "320x240",
               kind, "the size of the canvas");
  // What is on the screen follows what is on the canvas, a frame or two later.
  std::string wrong;
  f.check_kind(wait_until([&] { return (wrong = look(f, deadline)).empty(); }, deadline), kind, wrong);
  f.browser.close_page();
  f.check_kind(f.painter.wait_all_ended(), kind, "the session ends with its page");
}

std::string url_in(const Reply& reply) {
  const base::Handle<json_t> object(json_loadb(reply.text.data(), reply.text.size(), 0, nullptr));
  const char* url = json_string_value(json_object_get(object.get(), "url"));
  return url ? url : "";
}

void the_browser_is_gone(Fixture& f) {
  f.check(f.browser.close(), "processes of the browser are left");
}

// The address in the reply and the password: that is the whole console.
void pages_of_the_port_itself(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const Reply reply = f.ask(kind);
    const std::string url = url_in(reply);
    if (f.check_kind(url.starts_with(kind.tls ? "https://" : "http://"), kind, reply.text))
      shows_the_picture(f, kind, url + "&password=" + kViewerSecret);
  }
  the_browser_is_gone(f);
}

// A panel's own copy of noVNC, on a server of its own.
FakeBackend::Session static_server() {
  return [](Socket& socket) {
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
      const auto byte = socket.read(1);
      if (!byte) return;
      head += *byte;
    }
    const std::string path = head.substr(4, head.find_first_of(" ?", 4) - 4);
    const std::string body = read_file(kPages + path);
    const char* type = path.ends_with(".js")     ? "text/javascript"
                       : path.ends_with(".css")  ? "text/css"
                       : path.ends_with(".svg")  ? "image/svg+xml"
                       : path.ends_with(".json") ? "application/json"
                                                 : "text/html";
    socket.send(
        std::string("HTTP/1.1 ") + (body.empty() ? "404 Not Found" : "200 OK") + "\r\nContent-Type: " + type +
        "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
}

void pages_of_another_origin(Fixture& f) {
  FakeBackend panel(static_server());
  for (const Kind& kind : kWebSockets) {
    const Reply reply = f.ask(kind);
    if (!f.check_kind(reply.ok(), kind, reply.text)) continue;
    shows_the_picture(f, kind,
                      "http://127.0.0.1:" + std::to_string(panel.port()) +
                          "/vnc.html?autoconnect=true&host=127.0.0.1&port=" + std::to_string(reply.port) +
                          "&encrypt=" + (kind.tls ? "1" : "0") +
                          "&path=websockify&password=" + kViewerSecret);
  }
  the_browser_is_gone(f);
}

// The page shows the proxy's own words, and the forwarding is still there for who knows better.
void a_wrong_password_is_refused_in_words(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const std::string url = url_in(f.ask(kind));
    if (!f.check_page(f.browser.open(url + "&password=wrong"), kind, "no page")) continue;
    f.check_page(f.browser.wait_for("document.getElementById('noVNC_status').textContent.includes("
                                    "'rejected with reason: Authentication failed')"),
                 kind, "no reason");
    shows_the_picture(f, kind, url + "&password=" + kViewerSecret);
  }
  the_browser_is_gone(f);
}

// noVNC asks for a password that the address does not hold.
bool asks_for_the_password(Fixture& f) {
  return f.browser.wait_for(
      "document.getElementById('noVNC_credentials_dlg').classList.contains('noVNC_open')");
}
void type_password(Fixture& f, const std::string& password) {
  f.browser.evaluate("document.getElementById('noVNC_password_input').value='" + password +
                     "';document.getElementById('noVNC_credentials_button').click()");
}
bool is_rejected(Fixture& f, const std::string& reason) {
  return f.browser.wait_for(
      "document.getElementById('noVNC_status').textContent.includes('rejected with reason: " + reason + "')");
}

// The other tab shows why, although it says so only in the place of a result.
void the_second_tab_is_told(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const Reply reply = f.ask(kind);
    if (!f.check_page(f.browser.open(url_in(reply)), kind, "no page")) continue;
    f.check_page(asks_for_the_password(f), kind, "no dialog");
    WsViewer winner = f.viewer(kind, reply.port);
    f.check_kind(winner.log_in(kViewerSecret) == Verdict::admitted, kind, "another viewer is first");
    type_password(f, kViewerSecret);
    f.check_page(is_rejected(f, "Another viewer was first"), kind, "no reason");
    f.browser.close_page();
  }
  the_browser_is_gone(f);
}

struct Brief : Fixture {
  Brief() : Fixture("8") {}
};

// Typed when the port's time is over, and wrong: there is another try.
void a_wrong_password_typed_late(Brief& f) {
  for (const Kind& kind : kWebSockets) {
    const Reply reply = f.ask(kind);
    if (!f.check_page(f.browser.open(url_in(reply)), kind, "no page")) continue;
    f.check_page(asks_for_the_password(f), kind, "no dialog");
    f.check_kind(wait_until([&] { return connection_refused("127.0.0.1", reply.port); }, seconds(30)), kind,
                 "the port's time is over");
    type_password(f, "wrong");
    f.check_page(is_rejected(f, "Authentication failed"), kind, "no reason");
    f.browser.evaluate("document.getElementById('noVNC_connect_button').click()");
    f.check_page(asks_for_the_password(f), kind, "no second dialog");
    type_password(f, kViewerSecret);
    f.check_page(f.browser.wait_for_picture(), kind, "no picture");
    f.browser.close_page();
  }
  the_browser_is_gone(f);
}

struct Slow : Fixture {
  Slow() : Fixture("10") {}
};

// All of noVNC at 20 KB a second: that takes longer than the port waits for a viewer.
void pages_over_a_slow_network(Slow& f) {
  const Reply reply = f.ask(kWss);
  const SlowLink link(reply.port, 20'000);
  const auto begin = std::chrono::steady_clock::now();
  const std::string url = "https://127.0.0.1:" + std::to_string(link.port()) + "/vnc.html?autoconnect=true";
  shows_the_picture(f, kWss, url + "&password=" + kViewerSecret);
  f.check(std::chrono::steady_clock::now() - begin > seconds(10), "slowly");
  the_browser_is_gone(f);
}

// The first that is missing; nullptr: all are there.
const char* missing() {
  if (Browser::program().empty()) return "Chromium";
  if (!installed("pngtopnm")) return "netpbm";
  if (!std::filesystem::exists(std::string(kPages) + "/vnc.html")) return "noVNC";
  return nullptr;
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (const char* absent = missing()) {
    const char* ci = std::getenv("CI");
    const bool required = ci && *ci;
    std::printf("%s is not installed (./bootstrap --tests)%s\n", absent,
                required ? ", and $CI requires it" : "");
    return required ? 1 : 77;
  }
  const CMUnitTest tests[] = {
      STAGED(Fixture, pages_of_the_port_itself), STAGED(Fixture, pages_of_another_origin),
      STAGED(Fixture, the_second_tab_is_told),   STAGED(Brief, a_wrong_password_typed_late),
      STAGED(Slow, pages_over_a_slow_network),   STAGED(Fixture, a_wrong_password_is_refused_in_words),
  };
  return run_group("novnc", tests);
}
