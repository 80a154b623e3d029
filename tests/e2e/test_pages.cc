// SPDX-License-Identifier: GPL-2.0-or-later
// --web: the pages of the console on the one-time port itself. A browser gets what is below the folder and
// nothing else, on as many connections as it likes, for as long as the port waits for its viewer.
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <jansson.h>

#include "tests/support/pattern.h"
#include "tests/support/ws_stage.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::testing {
namespace {

constexpr std::string_view kPage = "<!DOCTYPE html><title>console</title>\n";
constexpr std::string_view kForbidden = "nobody may read this";
constexpr size_t kBig = 24 << 20;

std::string big_file() {
  std::string bytes(kBig, '\0');
  Pattern(11).fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

// 90 KB that compress well, as scripts do.
std::string long_script() {
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += "const value" + std::to_string(i) + " = " + std::to_string(i * i) + ";\n";
  return text;
}

std::string unzipped(std::string_view bytes) {
  std::string text(4 << 20, '\0');
  z_stream stream{};
  if (::inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return "";
  std::string in(bytes);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const bool whole = ::inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0;
  text.resize(whole ? stream.total_out : 0);
  ::inflateEnd(&stream);
  return text;
}

// A folder of pages with everything beside it that must stay out of reach.
class WebFolder {
 public:
  WebFolder() {
    namespace fs = std::filesystem;
    for (const char* folder : {"web", "web/app", "web/app/styles", "web/.git", "web-private", "other"})
      fs::create_directory(folder_.file(folder));
    for (const char* page :
         {"vnc.html", "app/ui.js", "app/styles/base.css", "app/module.mjs", "app/data.json",
          "app/picture.png", "app/icon.svg", "app/sound.oga", "app/sound.mp3", "app/font.woff2",
          "app/icon.ico", "app/code.wasm", "app/what", "app/A B.txt", "app/upper.HTML"})
      put(std::string("web/") + page, kPage);
    put("web/empty.txt", "");
    put("web/app/long.js", long_script());
    put("web/app/long.png", long_script());
    put("web/app/huge.js", std::string(2 << 20, 'x'));
    put("web/big.bin", big_file());
    for (const char* forbidden :
         {"outside.txt", "web-private/outside.txt", "other/outside.txt", "web/.git/config", "web/.htpasswd"})
      put(forbidden, kForbidden);
    const auto link = [this](const std::string& to, const char* at) {
      fs::create_symlink(to, folder_.file(at));
    };
    link("vnc.html", "web/inside-link.html");
    link("../outside.txt", "web/relative-link");
    link(folder_.file("outside.txt"), "web/absolute-link");
    link(folder_.file("web/vnc.html"), "web/absolute-link-inside");
    link("../other", "web/folder-link");
    link("/", "web/root-link");
    link("/proc/self", "web/proc-link");
    link("loop", "web/loop");
    ::mkfifo(folder_.file("web/fifo").c_str(), 0644);
  }
  std::string web() const { return folder_.file("web"); }

 private:
  void put(const std::string& name, std::string_view text, unsigned mode = 0644) {
    write_file(folder_.file(name), text, mode);
  }
  Folder folder_;
};

struct Fixture : WebFolder, WsStage {
  Fixture() : WsStage({"--web", web()}) {}
};
struct NoPages : WsStage {};

std::string request_for(const std::string& target, const std::string& method = "GET",
                        const std::string& more = "") {
  return method + " " + target + " HTTP/1.1\r\nHost: a\r\n" + more + "\r\n";
}

HttpAnswer ask(Wire& wire, const std::string& target, const std::string& method = "GET",
               const std::string& more = "") {
  wire.send(request_for(target, method, more));
  return read_answer(wire, method != "HEAD");
}

// An address with a query may hold a password: what answers it is not kept. Neither is a refusal.
bool has_the_fields(const HttpAnswer& answer, std::string_view target) {
  const bool may_be_kept =
      (answer.status == 200 || answer.status == 304) && target.find('?') == std::string_view::npos;
  return answer.field("Cache-Control") == (may_be_kept ? "private, max-age=3600" : "no-store") &&
         answer.field("Referrer-Policy") == "no-referrer" &&
         answer.field("X-Content-Type-Options") == "nosniff";
}

bool keeps_alive(const HttpAnswer& answer) {
  return answer.field("Connection") == "keep-alive";
}

void pages_have_types_and_fields(Fixture& f) {
  struct Row {
    const char *target, *type;
  };
  static constexpr Row kRows[] = {
      {"/vnc.html", "text/html; charset=utf-8"},
      {"/vnc.html?autoconnect=true&password=VwMk7f3a", "text/html; charset=utf-8"},
      {"/", "text/html; charset=utf-8"},
      {"http://proxy.example:25123/vnc.html", "text/html; charset=utf-8"},
      {"//vnc.html", "text/html; charset=utf-8"},
      {"/inside-link.html", "text/html; charset=utf-8"},
      {"/app/upper.HTML", "text/html; charset=utf-8"},
      {"/app/ui.js", "text/javascript; charset=utf-8"},
      {"/app/%75i.js", "text/javascript; charset=utf-8"},
      {"/app/module.mjs", "text/javascript; charset=utf-8"},
      {"/app/styles/base.css", "text/css; charset=utf-8"},
      {"/app/data.json", "application/json"},
      {"/app/picture.png", "image/png"},
      {"/app/icon.svg", "image/svg+xml"},
      {"/app/icon.ico", "image/vnd.microsoft.icon"},
      {"/app/sound.oga", "audio/ogg"},
      {"/app/sound.mp3", "audio/mpeg"},
      {"/app/font.woff2", "font/woff2"},
      {"/app/code.wasm", "application/wasm"},
      {"/app/A%20B.txt", "text/plain; charset=utf-8"},
      {"/app/what", "application/octet-stream"},
  };
  for (const Kind& kind : kWebSockets) {
    Wire wire = f.connect(kind, f.forwarding(kind));  // one connection for all of them
    for (const Row& row : kRows) {
      const HttpAnswer answer = ask(wire, row.target);
      f.check_kind(answer.status == 200 && answer.body == kPage, kind, row.target);
      f.check_kind(answer.field("Content-Type") == row.type, kind, row.target);
      f.check_kind(has_the_fields(answer, row.target) && keeps_alive(answer), kind, row.target);
      const HttpAnswer head = ask(wire, row.target, "HEAD");
      f.check_kind(head.head == answer.head, kind, row.target);
    }
    f.check_kind(ask(wire, "/empty.txt").field("Content-Length") == "0", kind, "an empty file");
    f.check_kind(ask(wire, "/vnc.html").body == kPage, kind, "and the next one");
  }
}

// ---- compressed, and kept

const std::string kTakesGzip = "Accept-Encoding: gzip, deflate, br\r\n";

void pages_come_compressed(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    Wire wire = f.connect(kind, f.forwarding(kind));
    const std::string script = long_script();
    const HttpAnswer plain = ask(wire, "/app/long.js");
    f.check_kind(plain.body == script && plain.count("Content-Encoding") == 0, kind, "as it is");
    for (int i = 0; i < 3; ++i) {
      const HttpAnswer zipped = ask(wire, "/app/long.js", "GET", kTakesGzip);
      f.check_kind(zipped.field("Content-Encoding") == "gzip" && unzipped(zipped.body) == script, kind,
                   "zipped");
      f.check_kind(zipped.body.size() < script.size() / 3, kind, std::to_string(zipped.body.size()));
      f.check_kind(zipped.field("Content-Type") == plain.field("Content-Type"), kind, "its type");
      f.check_kind(zipped.field("ETag") != plain.field("ETag"), kind, "two forms, two tags");
      f.check_kind(ask(wire, "/app/long.js", "HEAD", kTakesGzip).head == zipped.head, kind, "HEAD");
    }
    // Caches in between are told what the answer depends on.
    for (const char* target : {"/app/long.js", "/app/long.png", "/vnc.html"})
      f.check_kind(ask(wire, target).field("Vary") == "Accept-Encoding", kind, target);
    struct Row {
      const char *target, *accepts;
      bool is_zipped;
    };
    static constexpr Row kRows[] = {
        {"/app/long.js", "gzip", true},           {"/app/long.js", "br;q=1.0, GZIP;q=0.8", true},
        {"/app/long.js", "gzip ; q=0.001", true}, {"/app/long.js", "gzip;q=0", false},
        {"/app/long.js", "gzip; Q=0.000", false}, {"/app/long.js", "br, deflate", false},
        {"/app/long.js", "identity", false},      {"/app/long.js", "", false},
        {"/app/long.js", "notgzip", false},       {"/app/long.png", "gzip", false},
        {"/app/huge.js", "gzip", false},          {"/empty.txt", "gzip", false},
    };
    for (const Row& row : kRows) {
      const HttpAnswer answer =
          ask(wire, row.target, "GET", "Accept-Encoding: " + std::string(row.accepts) + "\r\n");
      f.check_kind(answer.status == 200 && (answer.count("Content-Encoding") == 1) == row.is_zipped, kind,
                   std::string(row.target) + " for " + row.accepts);
    }
  }
}

// A reload asks whether what the browser has is still good.
void what_a_browser_has_is_not_sent_again(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    Wire wire = f.connect(kind, f.forwarding(kind));
    for (const std::string& accepts : {std::string(), kTakesGzip})
      for (const char* target : {"/app/long.js", "/vnc.html?autoconnect=true"}) {
        const HttpAnswer first = ask(wire, target, "GET", accepts);
        const std::string tag = first.field("ETag");
        f.check_kind(tag.size() > 2 && tag.front() == '"' && tag.back() == '"', kind, tag);
        for (const std::string& known : {tag, "W/" + tag, "\"x\", " + tag, std::string("*")}) {
          wire.send(request_for(target, "GET", accepts + "If-None-Match: " + known + "\r\n"));
          const HttpAnswer again = read_answer(wire, false);
          f.check_kind(again.status == 304 && again.field("ETag") == tag && keeps_alive(again), kind, known);
          f.check_kind(has_the_fields(again, target) && again.count("Content-Type") == 0, kind, known);
        }
        f.check_kind(ask(wire, target, "GET", accepts + "If-None-Match: \"x\"\r\n").body == first.body, kind,
                     "another");
      }
    const std::string tag = ask(wire, "/app/data.json").field("ETag");
    write_file(f.web() + "/app/data.json", "{}", 0644);
    f.check_kind(ask(wire, "/app/data.json", "GET", "If-None-Match: " + tag + "\r\n").body == "{}", kind,
                 "a new one");
    write_file(f.web() + "/app/data.json", kPage, 0644);
  }
}

// What was compressed once is sent again; what changed meanwhile is compressed anew.
void a_page_that_changes_while_it_is_kept(Fixture& f) {
  Wire wire = f.connect(kWs, f.forwarding(kWs));
  for (int i = 0; i < 5; ++i) {
    const std::string text =
        long_script() + std::string(1000 + static_cast<size_t>(i), static_cast<char>('a' + i));
    write_file(f.web() + "/app/changing.js", text, 0644);
    for (int j = 0; j < 2; ++j)
      f.check(unzipped(ask(wire, "/app/changing.js", "GET", kTakesGzip).body) == text, "the text of now");
  }
}

// What a worker has of its own, without the program's text.
long own_memory_kib(const Fixture& f) {
  return std::strtol(status_field(f.worker, "RssAnon").c_str(), nullptr, 10);
}

// Of a session whose viewer asked for no pages.
long session_memory_kib(Fixture& f) {
  WsViewer viewer = f.session(kWs);
  f.check(viewer.echoes("hello"), "a session");
  return own_memory_kib(f);
}

// However much a folder holds, a worker keeps a megabyte of it.
void many_pages_cost_little_memory(Fixture& f) {
  for (int i = 0; i < 200; ++i) {
    std::string text(40'000, '\0');
    Pattern(static_cast<uint64_t>(i)).fill({reinterpret_cast<uint8_t*>(text.data()), text.size()});
    for (char& c : text) c = "0123456789abcdef"[c & 15];  // half of it is left when compressed
    write_file(f.web() + "/app/noise" + std::to_string(i) + ".js", text, 0644);
  }
  const long session = session_memory_kib(f);
  Wire wire = f.connect(kWs, f.forwarding(kWs));
  const long before = own_memory_kib(f);
  for (int i = 0; i < 200; ++i) {
    const std::string target = "/app/noise" + std::to_string(i) + ".js";
    const HttpAnswer answer = ask(wire, target, "GET", kTakesGzip);
    const std::string body = answer.field("Content-Encoding") == "gzip" ? unzipped(answer.body) : answer.body;
    if (!f.check(body == read_file(f.web() + target), target)) break;
  }
  f.check(own_memory_kib(f) < before + 1024 + kMemorySlackKib, std::to_string(own_memory_kib(f) - before));
  WsViewer viewer(std::move(wire));
  f.check(viewer.upgrade() && viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"),
          "the viewer");
  f.check(own_memory_kib(f) < session + kLeftOverKib,
          "given back: " + std::to_string(own_memory_kib(f) - session));
}

// ---- requests as odd clients make them

void http_1_0_gets_pages(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    for (const char* fields : {"", "Host: a\r\n", "Connection: keep-alive\r\n"})
      for (const char* method : {"GET", "HEAD"}) {
        Wire wire = f.connect(kind, port);
        wire.send(std::string(method) + " /vnc.html HTTP/1.0\r\n" + fields + "\r\n");
        const bool has_body = *method == 'G';
        const HttpAnswer answer = read_answer(wire, has_body);
        f.check_kind(answer.status == 200 && answer.body == (has_body ? kPage : ""), kind, fields);
        f.check_kind(answer.field("Connection") == "close", kind, fields);
        Got how = Got::nothing;
        f.check_kind(wire.read_to_end(&how).empty() && how == Got::end, kind, "closed then");
      }
  }
}

// A panel on the same host has its cookies sent along, whatever the port.
void cookies_of_a_panel_come_along(Fixture& f) {
  const std::string cookies = "Cookie: " + std::string(32 * 1024, 'c') + "\r\n";
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    Wire wire = f.connect(kind, port);
    f.check_kind(ask(wire, "/vnc.html", "GET", cookies).body == kPage, kind, "a page");
    wire.send("\r\n" + request_for("/vnc.html"));
    f.check_kind(read_answer(wire).body == kPage, kind, "behind an empty line");
    WsViewer viewer(std::move(wire));
    f.check_kind(viewer.upgrade({.more = cookies}), kind, "the upgrade");
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind,
                 "the viewer");
  }
}

void other_methods_are_refused(Fixture& f) {
  const uint16_t port = f.forwarding(kWs);
  for (const char* method : {"POST", "PUT", "DELETE", "TRACE", "OPTIONS", "PROPFIND"}) {
    Wire wire = f.connect(kWs, port);
    f.check(ask(wire, "/vnc.html", method).status == 405, method);
  }
  Wire wire = f.connect(kWs, port);
  f.check(ask(wire, "/vnc.html", "GET", "Content-Length: 3\r\n").status == 400, "a body");
}

void connections_are_kept_or_not(Fixture& f) {
  const uint16_t port = f.forwarding(kWs);
  Wire closing = f.connect(kWs, port);
  const HttpAnswer last = ask(closing, "/vnc.html", "GET", "Connection: close\r\n");
  f.check(last.body == kPage && last.field("Connection") == "close", "as asked for");
  Got how = Got::nothing;
  closing.read_to_end(&how);
  f.check(how == Got::end, "closed then");
  // Requests may come before the answers, in one piece and cut anywhere.
  Wire wire = f.connect(kWs, port);
  const std::string three =
      request_for("/vnc.html") + request_for("/app/ui.js", "HEAD") + request_for("/app/what");
  for (const bool by_byte : {false, true}) {
    by_byte ? wire.send_each_byte(three) : wire.send(three);
    f.check(read_answer(wire).body == kPage, "the first");
    f.check(read_answer(wire, false).status == 200, "the second");
    f.check(read_answer(wire).body == kPage, "the third");
  }
  // And the same connection may become the viewer's.
  WsViewer viewer(std::move(wire));
  f.check(viewer.upgrade() && viewer.log_in(kViewerSecret) == Verdict::admitted, "it becomes the viewer");
  f.check(viewer.echoes("hello"), "it becomes the viewer");
}

void six_connections_of_a_browser(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    std::vector<Wire> six;
    for (int i = 0; i < 6; ++i) six.push_back(f.connect(kind, port));
    for (int round = 0; round < 20; ++round) {
      for (Wire& wire : six) wire.send(request_for(round % 2 == 0 ? "/vnc.html" : "/app/ui.js"));
      for (Wire& wire : six) f.check_kind(read_answer(wire).body == kPage, kind, "each one is answered");
    }
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind,
                 "beside them the viewer");
    for (Wire& wire : six) {
      Got how = Got::nothing;
      f.check_kind(wire.read_to_end(&how).empty() && how != Got::nothing, kind, "its success ends them");
    }
    f.check_kind(connection_refused("127.0.0.1", port), kind, "and the port");
  }
}

void no_spelling_leads_out(Fixture& f) {
  static constexpr const char* kTargets[] = {
      "/../outside.txt",
      "/app/../../outside.txt",
      "/app/../vnc.html",  // even where it would stay inside
      "/..%2foutside.txt",
      "/%2e%2e/outside.txt",
      "/%2E%2E%2Foutside.txt",
      "/.%2e/outside.txt",
      "/%2e./outside.txt",
      "/..%5coutside.txt",
      "/..\\outside.txt",
      "/%5c..%5coutside.txt",
      "/%252e%252e/outside.txt",
      "/%252e%252e%252foutside.txt",
      "/..;/outside.txt",
      "/..%00/outside.txt",
      "/vnc.html%00.png",
      "/%c0%ae%c0%ae/outside.txt",
      "/%e0%80%ae%e0%80%ae/outside.txt",
      "/%u002e%u002e/outside.txt",
      "/%uff0e%uff0e/outside.txt",
      "/..%c0%afoutside.txt",
      "/....//outside.txt",
      "/./../outside.txt",
      "//../outside.txt",
      "/../web-private/outside.txt",
      "/..-private/outside.txt",
      "http://a/../outside.txt",
      "http://../outside.txt",
      "file:///etc/passwd",
      "/etc/passwd",
      "//etc/passwd",
      "/relative-link",
      "/absolute-link",
      "/absolute-link-inside",
      "/folder-link/outside.txt",
      "/root-link/etc/passwd",
      "/proc-link/environ",
      "/proc-link/cwd/etc/passwd",
      "/loop",
      "/fifo",
      "/app",
      "/app/",
      "/vnc.html/",
      "/vnc.html/../../outside.txt",
      "/.git/config",
      "/.htpasswd",
      "/%2egit/config",
      "/no-such-file",
      "/%",
      "/%2",
      "/%zz",
  };
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    for (const char* target : kTargets) {
      Wire wire = f.connect(kind, port);
      const HttpAnswer answer = ask(wire, target);
      f.check_kind(answer.status == 404 || answer.status == 400, kind,
                   target + (": " + std::to_string(answer.status)));
      f.check_kind(answer.body.find(kForbidden) == std::string::npos &&
                       answer.body.find("root:") == std::string::npos && has_the_fields(answer, target),
                   kind, target);
    }
    Wire wire = f.connect(kind, port);
    f.check_kind(ask(wire, "/vnc.html").body == kPage, kind, "and then a page");
  }
}

void a_slow_reader_of_a_big_file(Fixture& f) {
  const std::string expected = big_file();
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    Wire slow = f.connect(kind, port, 16 * 1024);
    slow.send(request_for("/big.bin"));
    std::string came = slow.read(100'000).value_or("");
    const long memory = f.memory_kib();
    Wire other = f.connect(kind, port);
    for (int i = 0; i < 50; ++i) f.check_kind(ask(other, "/vnc.html").body == kPage, kind, "others go on");
    f.check_kind(f.memory_kib() < memory + kMemorySlackKib, kind, "memory");
    const size_t body = came.find("\r\n\r\n") + 4;
    came += slow.read(kBig + body - came.size()).value_or("");
    f.check_kind(came.substr(body) == expected, kind, "the file is whole");
    f.check_kind(ask(slow, "/vnc.html").body == kPage, kind, "and the next page");
    // A viewer's success ends a download too.
    slow.send(request_for("/big.bin"));
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind, "viewer");
    Got how = Got::nothing;
    f.check_kind(slow.read_to_end(&how).size() < kBig && how != Got::nothing, kind, "ended");
  }
}

void pages_cost_the_forwarding_nothing(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    std::vector<Wire> idle;
    for (int i = 0; i < 200; ++i) {
      idle.push_back(f.connect(kind, port));
      const HttpAnswer answer = ask(idle.back(), i % 3 == 0 ? "/nothing-here" : "/vnc.html");
      f.check_kind(answer.status == (i % 3 == 0 ? 404u : 200u), kind, "a page");
    }
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind,
                 "and then the viewer");
  }
  // Consoles ask for files that their packages leave out: no event for the log.
  f.check(f.daemon.log().find("no such page") == std::string::npos, "missing pages are quiet");
}

// A file that shrinks under a download: the connection ends, for its length was promised.
void a_file_that_shrinks(Fixture& f) {
  Wire wire = f.connect(kWs, f.forwarding(kWs), 16 * 1024);
  wire.send(request_for("/big.bin"));
  f.check(wire.read(100'000).has_value(), "it has begun");
  std::filesystem::resize_file(f.web() + "/big.bin", 1000);
  Got how = Got::nothing;
  f.check(wire.read_to_end(&how).size() < kBig && how != Got::nothing, "it ends");
}

struct Short : WebFolder, WsStage {
  Short() : WsStage({"--web", web(), "--connect-timeout", "1.5"}) {}
};
void the_deadline_ends_pages_too(Short& f) {
  const uint16_t port = f.forwarding(kWs);
  Wire idle = f.connect(kWs, port);
  f.check(ask(idle, "/vnc.html").status == 200, "a page");
  Wire slow = f.connect(kWs, port, 16 * 1024);
  slow.send(request_for("/big.bin"));
  f.check(slow.read(100'000).has_value(), "a download");
  f.check(wait_until([&] { return connection_refused("127.0.0.1", port); }), "no new connections");
  // Long before any time limit of their own.
  f.check(f.daemon.wait_workers(1, seconds(5)), "the worker is gone");
  for (Wire* wire : {&idle, &slow}) {
    Got how = Got::nothing;
    wire->read_to_end(&how);
    f.check(how != Got::nothing, "and the old connections ended");
  }
}

// ---- browsers that ask for all there is

// Sends requests and reads answers as fast as both go, without a pause between two of them.
class Greedy {
 public:
  Greedy(uint16_t port, const std::string& request) : socket_(Socket::connect("127.0.0.1", port)) {
    while (requests_.size() < 64 * 1024) requests_ += request;
    thread_ = std::thread([this] { eat(); });
  }
  ~Greedy() {
    stop_ = true;
    thread_.join();
  }
  size_t eaten() const { return eaten_; }
  bool cut_off() const { return cut_off_; }

 private:
  void eat() {
    std::vector<uint8_t> room(1 << 20);
    std::string unsent;
    while (!stop_) {
      if (unsent.empty()) unsent = requests_;
      unsent.erase(0, socket_.send_some(unsent));
      size_t count = 0;
      const Got got = socket_.read_some(room, &count, milliseconds(1));
      if (got == Got::data) eaten_ += count;
      if (got == Got::end || got == Got::reset) return void(cut_off_ = true);
    }
  }

  Socket socket_;
  std::string requests_;
  std::atomic<bool> stop_{false}, cut_off_{false};
  std::atomic<size_t> eaten_{0};
  std::thread thread_;
};

const std::string kGreed[] = {request_for("/vnc.html", "HEAD"), request_for("/vnc.html"),
                              request_for("/big.bin")};

void greedy_browsers_starve_nobody(Fixture& f) {
  for (const std::string& request : kGreed) {
    const uint16_t port = f.forwarding(kWs);
    Greedy first(port, request), second(port, request);
    f.check(wait_until([&] { return first.eaten() > 1 << 20 && second.eaten() > 1 << 20; }),
            "they eat: " + request);
    Wire wire = f.connect(kWs, port);
    for (int i = 0; i < 5; ++i) f.check(ask(wire, "/vnc.html").body == kPage, "another one's pages");
    WsViewer viewer = f.viewer(kWs, port);
    f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), "the viewer");
    f.check(wait_until([&] { return first.cut_off() && second.cut_off(); }), "and its success ends them");
  }
}

long processor_time_ms(pid_t pid) {
  const std::string line = read_file("/proc/" + std::to_string(pid) + "/stat");
  long user = 0, system = 0;
  std::sscanf(line.c_str() + line.rfind(')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
              &user, &system);
  return (user + system) * 1000 / ::sysconf(_SC_CLK_TCK);
}

// It asks on while nothing fits the way to it any more: its worker waits.
void a_browser_that_asks_on_and_does_not_read(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    Wire wire = f.connect(kind, port, 16 * 1024);
    for (int i = 0; i < 500; ++i) wire.send(request_for("/big.bin"));  // more than is read at once
    f.check_kind(wire.read(1000).has_value(), kind, "it has begun");
    const auto rests = [&f] {
      const long before = processor_time_ms(f.worker);
      std::this_thread::sleep_for(seconds(1));  // the time that is looked at
      return processor_time_ms(f.worker) - before < 20;
    };
    f.check_kind(wait_until(rests, seconds(5)), kind, "the worker waits");
  }
}

// ---- slow networks

struct OneSecond : WebFolder, WsStage {
  OneSecond() : WsStage({"--web", web(), "--connect-timeout", "1"}) {}
};

void greedy_browsers_do_not_hold_the_port(OneSecond& f) {
  for (const std::string& request : kGreed) {
    const uint16_t port = f.forwarding(kWs);
    const Greedy greedy(port, request);
    f.check(wait_until([&] { return greedy.eaten() > 1 << 20; }), "it eats: " + request);
    f.check(wait_until([&] { return greedy.cut_off(); }, seconds(8)),
            "and is cut off at three times the limit");
    f.check(connection_refused("127.0.0.1", port), "the port is closed");
  }
}

// Loads at 100 KB a second until the connection ends, `enough` says so or the time is over.
template <typename Enough>
void load_slowly(Wire& wire, milliseconds time, const Enough& enough) {
  const Deadline deadline(time);
  // The pause is the pace of the network, which is what this is about.
  while (!deadline.passed() && !enough() && wire.read(5'000)) std::this_thread::sleep_for(milliseconds(50));
}

void a_page_on_its_way_keeps_the_port_open(OneSecond& f) {
  for (const Kind& kind : kWebSockets) {
    const uint16_t port = f.forwarding(kind);
    Wire slow = f.connect(kind, port, 16 * 1024);
    slow.send(request_for("/big.bin"));
    load_slowly(slow, milliseconds(2200), [] { return false; });
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind,
                 "the viewer gets in after twice the limit");
  }
}

void a_page_keeps_the_port_open_for_three_times_the_limit(OneSecond& f) {
  const uint16_t port = f.forwarding(kWs);
  const auto begin = std::chrono::steady_clock::now();
  Wire slow = f.connect(kWs, port, 16 * 1024);
  slow.send(request_for("/big.bin"));
  load_slowly(slow, seconds(8), [&] { return connection_refused("127.0.0.1", port); });
  const auto took = std::chrono::steady_clock::now() - begin;
  f.check(took > milliseconds(2500) && took < milliseconds(5000), "cut off at three times the limit");
  f.check(f.daemon.wait_workers(1, seconds(5)), "the worker is gone");
}

// Neither one that does not read, nor one that had all it asked for long ago.
void a_page_that_stands_still_does_not(OneSecond& f) {
  const uint16_t port = f.forwarding(kWs);
  Wire stuck = f.connect(kWs, port, 16 * 1024);
  stuck.send(request_for("/big.bin"));
  f.check(stuck.read(1000).has_value(), "it has begun");
  const auto begin = std::chrono::steady_clock::now();
  f.check(wait_until([&] { return connection_refused("127.0.0.1", port); }), "the port closes");
  f.check(std::chrono::steady_clock::now() - begin < milliseconds(2700), "before three times the limit");
}

// ---- the address in the reply

std::string url_of(const Reply& reply) {
  const base::Handle<json_t> object(json_loadb(reply.text.data(), reply.text.size(), 0, nullptr));
  const char* url = json_string_value(json_object_get(object.get(), "url"));
  return url != nullptr ? url : "";
}

template <typename Stage>
Reply reply_for(Stage& f, const char* type) {
  return f.daemon.request(Request{.destination_port = f.echo_backend.port(), .type = type});
}

void replies_carry_the_address(Fixture& f) {
  for (const Kind& kind : kWebSockets) {
    const Reply reply = reply_for(f, kind.type);
    const std::string host = reply.proxy_address.find(':') == std::string::npos
                                 ? reply.proxy_address
                                 : "[" + reply.proxy_address + "]";
    const std::string expected = std::string(kind.tls ? "https://" : "http://") + host + ":" +
                                 std::to_string(reply.port) + "/vnc.html?autoconnect=true";
    f.check_kind(reply.ok() && url_of(reply) == expected, kind, reply.text);
    f.check_kind(reply.text.size() < 1000 && reply.text.find(kViewerSecret) == std::string::npos, kind,
                 reply.text);
    Wire wire = f.connect(kind, reply.port);
    f.check_kind(ask(wire, expected).body == kPage, kind, "and there is the page");
  }
  for (const char* type : {"vnc", "vnc-tls"}) {
    const Reply reply = reply_for(f, type);
    f.check(reply.ok() && reply.text.find("url") == std::string::npos, reply.text);
  }
}

void without_pages_there_is_no_address(NoPages& f) {
  for (const char* type : {"vnc", "vnc-ws", "vnc-wss", "vnc-tls"}) {
    const Reply reply = reply_for(f, type);
    f.check(reply.ok() && reply.text.find("url") == std::string::npos, reply.text);
  }
  Wire wire = f.connect(kWs, f.forwarding(kWs));
  f.check(ask(wire, "/vnc.html").status == 404, "no pages");
}

// The password of the console stands in the page's query; the daemon keeps it out of its log.
void queries_stay_out_of_the_log(Fixture& f) {
  Wire wire = f.connect(kWs, f.forwarding(kWs));
  ask(wire, std::string("/vnc.html?password=") + kViewerSecret);
  ask(wire, std::string("/nothing?password=") + kViewerSecret);
  WsViewer viewer =
      f.session(kWs, f.echo_backend, {.target = std::string("/websockify?password=") + kViewerSecret});
  f.check(viewer.echoes("hello"), "viewer");  // the log is looked at behind every body
}

void a_folder_that_is_none(Fixture& f) {
  for (const char* web : {"/no/such/folder", "/etc/passwd"}) {
    const Folder folder;
    std::vector<std::string> command =
        daemon_command(folder, find_free_range(4), {.options = {"--web", web}, .ports = 4});
    command.insert(command.begin() + 1, {"--foreground", "--log", "-"});
    const Outcome outcome = run(std::move(command));
    f.check(outcome.status == 1 && outcome.err.find(web) != std::string::npos, outcome.err);
  }
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, pages_have_types_and_fields),
      STAGED(Fixture, pages_come_compressed),
      STAGED(Fixture, what_a_browser_has_is_not_sent_again),
      STAGED(Fixture, a_page_that_changes_while_it_is_kept),
      STAGED(Fixture, many_pages_cost_little_memory),
      STAGED(Fixture, http_1_0_gets_pages),
      STAGED(Fixture, cookies_of_a_panel_come_along),
      STAGED(Fixture, other_methods_are_refused),
      STAGED(Fixture, connections_are_kept_or_not),
      STAGED(Fixture, six_connections_of_a_browser),
      STAGED(Fixture, no_spelling_leads_out),
      STAGED(Fixture, a_slow_reader_of_a_big_file),
      STAGED(Fixture, pages_cost_the_forwarding_nothing),
      STAGED(Fixture, a_file_that_shrinks),
      STAGED(Short, the_deadline_ends_pages_too),
      STAGED(Fixture, greedy_browsers_starve_nobody),
      STAGED(Fixture, a_browser_that_asks_on_and_does_not_read),
      STAGED(OneSecond, greedy_browsers_do_not_hold_the_port),
      STAGED(OneSecond, a_page_on_its_way_keeps_the_port_open),
      STAGED(OneSecond, a_page_keeps_the_port_open_for_three_times_the_limit),
      STAGED(OneSecond, a_page_that_stands_still_does_not),
      STAGED(Fixture, replies_carry_the_address),
      STAGED(NoPages, without_pages_there_is_no_address),
      STAGED(Fixture, queries_stay_out_of_the_log),
      STAGED(Fixture, a_folder_that_is_none),
  };
  return run_group("pages", tests);
}
