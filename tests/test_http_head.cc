// SPDX-License-Identifier: GPL-2.0-or-later
// The request head: every rule of its grammar as a row, fed whole, byte by byte and cut at every point; and
// the refusals and page heads that answer it.
#include "vncauthproxy/proto/http_head.h"

#include <string>
#include <vector>

#include "vncauthproxy/proto/http_answer.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using Progress = HeadParser::Progress;

enum class Kind { more, done, invalid, too_large, odd };
struct Outcome {
  Kind kind;
  size_t taken;  // bytes, when it was decided
  bool operator==(const Outcome&) const = default;
};

struct Fixture {
  HeadParser parser;
  std::string text, other;
};

// Feeds pieces of `step` bytes, the first one of `first`.
Outcome feed(HeadParser& parser, std::string_view text, size_t first, size_t step) {
  parser.clear();
  size_t taken = 0;
  for (size_t piece = first; taken < text.size(); piece = step) {
    base::ByteReader in(base::as_bytes(text.substr(taken, piece)));
    const size_t size = in.size();
    const auto result = parser.advance(in);
    taken += size - in.size();
    if (!result && result.error().code == base::ErrorCode::invalid) return {Kind::invalid, taken};
    if (!result && result.error().code == base::ErrorCode::too_large) return {Kind::too_large, taken};
    if (!result || (*result == Progress::need_more && in.size() != 0)) return {Kind::odd, taken};
    if (*result == Progress::done) return {Kind::done, taken};
  }
  return {Kind::more, taken};
}

// Every way to cut the text leads to the same end, after the same byte.
Outcome feed_all_ways(HeadParser& parser, std::string_view text) {
  const Outcome whole = feed(parser, text, text.size(), text.size());
  if (feed(parser, text, 1, 1) != whole) return {Kind::odd, 1};
  const size_t stride = text.size() > 10'000 ? 997 : text.size() > 1000 ? 97 : 1;
  for (size_t cut = 1; cut < text.size(); cut += stride)
    if (feed(parser, text, cut, text.size()) != whole) return {Kind::odd, cut};
  return feed(parser, text, text.size(), text.size());
}

void reads_a_browsers_head(Fixture& f) {
  constexpr std::string_view kHead =
      "GET /websockify?token=a%20b HTTP/1.1\r\n"
      "Host: proxy.example:25123\r\n"
      "User-Agent: Mozilla/5.0 (\xC3\xA9)\r\n"
      "Connection: keep-alive, Upgrade\r\n"
      "empty:\r\n"
      "Blanks: \t  a b\t \r\n"
      "List: one,, two ,\t\r\n"
      "LIST: Three\r\n"
      "\r\n";
  f.text = std::string(kHead) + "\x82\x80";
  const Outcome outcome = feed_all_ways(f.parser, f.text);
  assert_int_equal(outcome.kind, Kind::done);
  assert_int_equal(outcome.taken, kHead.size());  // the frames behind it stay

  const RequestHead& head = f.parser.head();
  const bool line = head.method() == "GET" && head.target() == "/websockify?token=a%20b" &&
                    head.minor_version() == 1 && head.field_count() == 7;
  assert_true(line);
  const bool fields = head.name(0) == "Host" && head.value(0) == "proxy.example:25123" &&
                      head.value(1) == "Mozilla/5.0 (\xC3\xA9)" && head.first("EMPTY").empty() &&
                      head.count("Empty") == 1 && head.first("blanks") == "a b" && head.count("list") == 2 &&
                      head.count("absent") == 0 && head.first("absent").empty();
  assert_true(fields);
  const bool lists = head.list("list") == std::vector<std::string_view>{"one", "two", "Three"} &&
                     head.lists("connection", "upgrade") && head.lists("List", "three") &&
                     !head.lists("List", "thre") && !head.lists("empty", "");
  assert_true(lists);
}

#define REQUEST "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

void keeps_the_grammar(Fixture& f) {
  struct {
    const char* name;
    std::string_view text;
    Kind kind;
  } const rows[] = {
      {"least", REQUEST HOST "\r\n", Kind::done},
      {"no field value", REQUEST "Host:\r\n\r\n", Kind::done},
      {"higher minor version", "GET / HTTP/1.9\r\n" HOST "\r\n", Kind::done},
      {"other method", "BREW /pot HTTP/1.1\r\n" HOST "\r\n", Kind::done},
      {"absolute form", "GET http://a/b HTTP/1.1\r\n" HOST "\r\n", Kind::done},
      {"asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", Kind::done},
      {"odd but legal name", REQUEST HOST "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", Kind::done},
      {"colons in the value", REQUEST HOST "a: b: c:\r\n\r\n", Kind::done},
      {"empty line first", "\r\n" REQUEST HOST "\r\n", Kind::done},
      {"two empty lines first", "\r\n\r\n" REQUEST HOST "\r\n", Kind::done},
      {"HTTP/1.0", "GET / HTTP/1.0\r\n" HOST "\r\n", Kind::done},
      {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", Kind::done},
      {"nothing", "", Kind::more},
      {"no blank line", REQUEST HOST, Kind::more},
      {"half a line end", REQUEST HOST "\r", Kind::more},

      {"TLS record", "\x16\x03\x01\x02"sv, Kind::invalid},
      {"RFB", "RFB 003.008\n", Kind::invalid},
      {"NUL first", "\0"sv, Kind::invalid},
      {"blank first", " GET / HTTP/1.1\r\n", Kind::invalid},
      {"line feed alone first", "\n" REQUEST, Kind::invalid},
      {"carriage return alone first", "\r" REQUEST, Kind::invalid},
      {"empty line, then no HTTP", "\r\nRFB 003.008\n", Kind::invalid},
      {"byte of UTF-8 first", "\xC3\xA9", Kind::invalid},
      {"no target", "GET \r\n", Kind::invalid},
      {"two blanks", "GET  / HTTP/1.1\r\n", Kind::invalid},
      {"digit for a target", "GET 1 HTTP/1.1\r\n", Kind::invalid},
      {"HTTP/0.9", "GET /\r\n", Kind::invalid},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Kind::invalid},
      {"HTTP/1.10", "GET / HTTP/1.10\r\n", Kind::invalid},
      {"HTTP/1.x", "GET / HTTP/1.x\r\n", Kind::invalid},
      {"lower-case version", "GET / http/1.1\r\n", Kind::invalid},
      {"blank after the version", "GET / HTTP/1.1 \r\n", Kind::invalid},
      {"line feed alone after the version", "GET / HTTP/1.1\n", Kind::invalid},
      {"carriage return alone after the version", "GET / HTTP/1.1\rH", Kind::invalid},
      {"control character in the target", "GET /\x01 HTTP/1.1\r\n", Kind::invalid},
      {"tab in the target", "GET /\ta HTTP/1.1\r\n", Kind::invalid},
      {"DEL in the target", "GET /\x7F HTTP/1.1\r\n", Kind::invalid},
      {"raw UTF-8 in the target", "GET /\xC3\xA9 HTTP/1.1\r\n", Kind::invalid},
      {"NUL in the target", "GET /\0 HTTP/1.1\r\n"sv, Kind::invalid},
      {"no Host", REQUEST "a: b\r\n\r\n", Kind::invalid},
      {"no field at all", REQUEST "\r\n", Kind::invalid},
      {"two Hosts of HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", Kind::invalid},
      {"two Hosts", REQUEST HOST "hOST: a\r\n\r\n", Kind::invalid},
      {"blank before the colon", REQUEST "Host : a\r\n", Kind::invalid},
      {"tab before the colon", REQUEST "Host\t: a\r\n", Kind::invalid},
      {"line without a colon", REQUEST "Host\r\n", Kind::invalid},
      {"line without a name", REQUEST ": a\r\n", Kind::invalid},
      {"folded line", REQUEST HOST " folded\r\n", Kind::invalid},
      {"line folded with a tab", REQUEST HOST "\tfolded\r\n", Kind::invalid},
      {"blank line of blanks", REQUEST HOST " \r\n", Kind::invalid},
      {"slash in a name", REQUEST "Ho/st: a\r\n", Kind::invalid},
      {"NUL in a name", REQUEST "Ho\0st: a\r\n"sv, Kind::invalid},
      {"UTF-8 in a name", REQUEST "H\xC3\xB6st: a\r\n", Kind::invalid},
      {"NUL in a value", REQUEST "Host: a\0b\r\n"sv, Kind::invalid},
      {"control character in a value", REQUEST "Host: a\x1B[0m\r\n", Kind::invalid},
      {"DEL in a value", REQUEST "Host: a\x7F\r\n", Kind::invalid},
      {"bare CR in a value", REQUEST "Host: a\rb\r\n", Kind::invalid},
      {"two CRs", REQUEST "Host: a\r\r\n", Kind::invalid},
      {"bare LF in a value", REQUEST "Host: a\n", Kind::invalid},
      {"bare LF for the blank line", REQUEST HOST "\n", Kind::invalid},
      {"bare CR for the blank line", REQUEST HOST "\rx", Kind::invalid},
  };
  for (const auto& row : rows) {
    const Outcome outcome = feed_all_ways(f.parser, row.text);
    if (outcome.kind != row.kind)
      fail_msg("%s: outcome %d after %zu bytes", row.name, static_cast<int>(outcome.kind), outcome.taken);
  }
}

void the_first_impossible_byte_decides(Fixture& f) {
  struct {
    std::string_view text;
    size_t taken;
  } const rows[] = {{"\x16\x03\x01", 1}, {"RFB 003.008\n", 5}, {"GET / HTTP/2", 12}, {REQUEST "A b", 18}};
  for (const auto& row : rows) {
    const Outcome outcome = feed_all_ways(f.parser, row.text);
    assert_int_equal(outcome.kind, Kind::invalid);
    assert_int_equal(outcome.taken, row.taken);
  }
}

void an_error_is_for_good(Fixture& f) {
  feed(f.parser, "\x16", 1, 1);
  base::ByteReader in(base::as_bytes(REQUEST HOST "\r\n"));
  const size_t size = in.size();
  const bool refused = !f.parser.advance(in);
  assert_true(refused);
  assert_int_equal(in.size(), size);
}

// The cookies of a panel on the same host come along.
void takes_cookies_of_32_kib(Fixture& f) {
  f.text = REQUEST HOST;
  for (int i = 0; i < 8; ++i) f.text += "Cookie: " + std::string(4 * 1024, 'x') + "\r\n";
  f.text += "\r\n";
  assert_int_equal(feed_all_ways(f.parser, f.text).kind, Kind::done);
  const bool whole = f.parser.head().field_count() == 9 && f.parser.head().value(8).size() == 4 * 1024;
  assert_true(whole);
}

// What an empty line takes counts, so that a peer cannot send them for ever.
void takes_48_kib_and_not_a_byte_more(Fixture& f) {
  assert_int_equal(kMaxHeadBytes, 48 * 1024);
  f.text.clear();
  while (f.text.size() < 2 * kMaxHeadBytes) f.text += "\r\n";
  assert_int_equal(feed(f.parser, f.text, f.text.size(), 1).kind, Kind::too_large);
  f.text = REQUEST HOST "Long: ";
  f.text.append(kMaxHeadBytes - f.text.size() - 4, 'x').append("\r\n\r\n");
  assert_int_equal(f.text.size(), kMaxHeadBytes);
  assert_int_equal(feed_all_ways(f.parser, f.text).kind, Kind::done);

  f.text.insert(f.text.size() - 4, "x");
  Outcome outcome = feed_all_ways(f.parser, f.text);
  assert_int_equal(outcome.kind, Kind::too_large);
  assert_int_equal(outcome.taken, kMaxHeadBytes);

  f.text = "GET /" + std::string(200 * 1024, 'x');
  outcome = feed(f.parser, f.text, f.text.size(), 1);
  assert_int_equal(outcome.kind, Kind::too_large);
  assert_int_equal(outcome.taken, kMaxHeadBytes);
}

void takes_100_lines_and_not_one_more(Fixture& f) {
  f.text = REQUEST HOST;
  for (size_t line = 2; line < kMaxHeadLines; ++line) f.text += "a: b\r\n";
  f.other = f.text + "a: b\r\n\r\n";
  f.text += "\r\n";
  assert_int_equal(feed_all_ways(f.parser, f.text).kind, Kind::done);
  assert_int_equal(f.parser.head().field_count(), kMaxHeadLines - 1);
  assert_int_equal(feed_all_ways(f.parser, f.other).kind, Kind::too_large);
}

void the_line_after_an_empty_one_is_whole(Fixture& f) {
  f.text = "\r\nGET /a HTTP/1.1\r\n" HOST "\r\n";
  feed(f.parser, f.text, f.text.size(), 1);
  const bool right = f.parser.head().method() == "GET" && f.parser.head().target() == "/a" &&
                     f.parser.head().minor_version() == 1;
  assert_true(right);
}

void one_parser_reads_request_after_request(Fixture& f) {
  f.text = "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "X: y\r\n\r\n";
  const Outcome first = feed(f.parser, f.text, f.text.size(), 1);
  const bool a = f.parser.head().target() == "/a";
  const Outcome second = feed(f.parser, std::string_view(f.text).substr(first.taken), 7, 7);
  const bool b = f.parser.head().target() == "/b" && f.parser.head().field_count() == 2;
  assert_int_equal(first.kind, Kind::done);
  assert_int_equal(second.kind, Kind::done);
  assert_true(a && b);
}

void checks_what_all_requests_keep(Fixture& f) {
  struct {
    const char* name;
    std::string_view text;
    unsigned status;  // 0: none
  } const rows[] = {
      {"GET", REQUEST HOST "\r\n", 0},
      {"HEAD", "HEAD / HTTP/1.1\r\n" HOST "\r\n", 0},
      {"POST", "POST / HTTP/1.1\r\n" HOST "\r\n", 405},
      {"POST with a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n", 405},
      {"lower-case method", "get / HTTP/1.1\r\n" HOST "\r\n", 405},
      {"no length", REQUEST HOST "Content-Length: 0\r\n\r\n", 0},
      {"a length", REQUEST HOST "Content-Length: 1\r\n\r\n", 400},
      {"two lengths", REQUEST HOST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400},
      {"list of lengths", REQUEST HOST "Content-Length: 0, 5\r\n\r\n", 400},
      {"an empty length", REQUEST HOST "Content-Length:\r\n\r\n", 400},
      {"a negative length", REQUEST HOST "Content-Length: -0\r\n\r\n", 400},
      {"chunked", REQUEST HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
  };
  for (const auto& row : rows) {
    const Outcome outcome = feed_all_ways(f.parser, row.text);
    const auto refusal = check_request(f.parser.head());
    const unsigned status = refusal ? refusal->status : 0;
    if (outcome.kind != Kind::done || status != row.status) fail_msg("%s: %u", row.name, status);
  }
}

void tells_whether_the_connection_stays(Fixture& f) {
  struct {
    std::string_view text;
    bool stays;
  } const rows[] = {{REQUEST HOST "\r\n", true},
                    {REQUEST HOST "Connection: keep-alive\r\n\r\n", true},
                    {REQUEST HOST "Connection: foo, Close\r\n\r\n", false},
                    {"GET / HTTP/1.0\r\n\r\n", false},
                    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false}};
  for (const auto& row : rows) {
    feed(f.parser, row.text, row.text.size(), 1);
    assert_int_equal(keeps_alive(f.parser.head()), row.stays);
  }
}

void writes_refusals(Fixture& f) {
  f.text = to_text({405, "Because.", "Allow: GET\r\n"});
  constexpr std::string_view kHead =
      "HTTP/1.1 405 Method Not Allowed\r\n"
      "Content-Type: text/plain; charset=utf-8\r\n"
      "Content-Length: 9\r\n"
      "Cache-Control: no-store\r\n"
      "Referrer-Policy: no-referrer\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "Connection: close\r\n"
      "Allow: GET\r\n"
      "\r\n";
  const bool with_body = f.text == std::string(kHead) + "Because.\n";
  assert_true(with_body);
  f.text = to_text({405, "Because.", "Allow: GET\r\n"}, true);
  const bool without_body = f.text == kHead;
  assert_true(without_body);

  struct {
    unsigned status;
    std::string_view line;
  } const rows[] = {{400, "HTTP/1.1 400 Bad Request\r\n"},
                    {404, "HTTP/1.1 404 Not Found\r\n"},
                    {426, "HTTP/1.1 426 Upgrade Required\r\n"},
                    {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
                    {500, "HTTP/1.1 500 Internal Server Error\r\n"}};
  for (const auto& row : rows) {
    f.text = to_text({row.status, "x", ""});
    const bool right = f.text.starts_with(row.line);
    assert_true(right);
  }
  const unsigned large = refusal_of({base::ErrorCode::too_large, ""}).status;
  const unsigned invalid = refusal_of({base::ErrorCode::invalid, ""}).status;
  assert_int_equal(large, 431);
  assert_int_equal(invalid, 400);
}

void writes_the_head_of_a_page(Fixture& f) {
  constexpr std::string_view kAlways =
      "ETag: \"1-a\"\r\n"
      "Vary: Accept-Encoding\r\n"
      "Cache-Control: no-store\r\n"
      "Referrer-Policy: no-referrer\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "Connection: keep-alive\r\n"
      "\r\n";
  PageForm form{"image/png", 5'000'000'000, "\"1-a\"", false, false, true};
  f.text = page_head(form);
  const bool whole = f.text == std::string(
                                   "HTTP/1.1 200 OK\r\n"
                                   "Content-Type: image/png\r\n"
                                   "Content-Length: 5000000000\r\n")
                                   .append(kAlways);
  f.text = not_modified_head(form);
  const bool known = f.text == std::string("HTTP/1.1 304 Not Modified\r\n").append(kAlways);
  form = {"text/css", 0, "\"1-a\"", true, true, false};
  f.text = page_head(form);
  const bool close = f.text.find("\r\nConnection: close\r\n") != f.text.npos &&
                     f.text.find("\r\nContent-Encoding: gzip\r\n") != f.text.npos &&
                     f.text.find("\r\nCache-Control: private, max-age=3600\r\n") != f.text.npos;
  assert_true(whole && known && close);
}

void knows_what_a_browser_takes(Fixture& f) {
  struct {
    std::string_view fields;
    bool gzip, known;
  } const rows[] = {
      {"", false, false},
      {"Accept-Encoding: gzip, deflate, br\r\n", true, false},
      {"Accept-Encoding: br\r\naccept-encoding: GZip;q=0.5\r\n", true, false},
      {"Accept-Encoding: gzip ;q=0.001\r\n", true, false},
      {"Accept-Encoding: gzip;q=0\r\n", false, false},
      {"Accept-Encoding: gzip; q=0.000\r\n", false, false},
      {"Accept-Encoding: gzip;Q=0.\r\n", false, false},
      {"Accept-Encoding: gzipx, xgzip, x;gzip\r\n", false, false},
      {"Accept-Encoding:\r\n", false, false},
      {"If-None-Match: \"1-a\"\r\n", false, true},
      {"If-None-Match: \"x\", W/\"1-a\"\r\n", false, true},
      {"If-None-Match: *\r\n", false, true},
      {"If-None-Match: \"1-A\"\r\n", false, false},
      {"If-None-Match: 1-a\r\n", false, false},
  };
  for (const auto& row : rows) {
    f.text = REQUEST HOST + std::string(row.fields) + "\r\n";
    feed(f.parser, f.text, f.text.size(), 1);
    const bool gzip = accepts_gzip(f.parser.head()), known = has_already(f.parser.head(), "\"1-a\"");
    if (gzip != row.gzip || known != row.known) fail_msg("%s: %d, %d", row.fields.data(), gzip, known);
  }
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  const CMUnitTest tests[] = {
      TEST(Fixture, reads_a_browsers_head),
      TEST(Fixture, keeps_the_grammar),
      TEST(Fixture, the_first_impossible_byte_decides),
      TEST(Fixture, an_error_is_for_good),
      TEST(Fixture, takes_cookies_of_32_kib),
      TEST(Fixture, takes_48_kib_and_not_a_byte_more),
      TEST(Fixture, takes_100_lines_and_not_one_more),
      TEST(Fixture, the_line_after_an_empty_one_is_whole),
      TEST(Fixture, one_parser_reads_request_after_request),
      TEST(Fixture, checks_what_all_requests_keep),
      TEST(Fixture, tells_whether_the_connection_stays),
      TEST(Fixture, writes_refusals),
      TEST(Fixture, writes_the_head_of_a_page),
      TEST(Fixture, knows_what_a_browser_takes),
  };
  return vncauthproxy::testing::run_group("http_head", tests);
}
