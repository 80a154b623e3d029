// SPDX-License-Identifier: GPL-2.0-or-later
// The control protocol: where a request ends however it is cut, what is taken and what is refused with which
// words, and replies as Python's json.dumps would write them.
#include "vncauthproxy/proto/control.h"

#include <jansson.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/feeder.h"
#include "vncauthproxy/proto/handles.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::NoFixture;

constexpr std::string_view kSynnefoRequest =
    R"({"auth_user": "cyclades", "auth_password": "secret", "source_port": 0, )"
    R"("destination_address": "node1.example.com", "destination_port": 11000, )"
    R"("password": "v9Xk2LmQ", "type": "vnc-wss"})";

struct Fixture {
  std::string text;
  std::string seen;
  std::string expected;
};

// ---- where a request ends

std::string frame(const testing::Pieces& pieces) {
  ObjectFramer framer;
  for (const base::Bytes piece : pieces) {
    const base::Result<bool> complete = framer.feed(base::as_text(piece));
    if (!complete) {
      const base::Result<bool> again = framer.feed("{}");
      return again ? "an error that did not last" : testing::visible(complete.error());
    }
    if (*complete) return "ends at " + std::to_string(framer.end());
  }
  return "needs more after " + std::to_string(framer.end());
}

void finds_the_end_of_the_object(Fixture& f) {
  struct {
    const char* name;
    std::string_view text;
    std::string_view result;
  } const rows[] = {
      {"the least", "{}", "ends at 2"},
      {"nothing", "", "needs more after 0"},
      {"only blanks", " \t\r\n", "needs more after 4"},
      {"blanks before", " \t\r\n{}", "ends at 6"},
      {"more behind", "{}\r\n{}", "ends at 2"},
      {"nested", R"({"a":{"b":[{},[]]}}x)", "ends at 19"},
      {"braces in strings", R"({"a":"}]{[","}":1}x)", "ends at 18"},
      {"an escaped quote", R"({"a":"\"}"}x)", "ends at 11"},
      {"an escaped backslash", R"({"a":"\\"}x)", "ends at 10"},
      {"a backslash outside of strings", R"({\"a"}"})", "ends at 6"},
      {"NUL within", "{\0}"sv, "ends at 3"},
      {"unfinished", R"({"a":{})", "needs more after 7"},
      {"an unfinished string", R"({"a":"}})", "needs more after 8"},
      {"wrong kinds of brackets", "{]", "ends at 2"},
      {"an array", "[{}]", "invalid: not a JSON object"},
      {"a string", "\"{}\"", "invalid: not a JSON object"},
      {"a word", "null", "invalid: not a JSON object"},
      {"closed before opened", "}", "invalid: not a JSON object"},
      {"a byte order mark", "\xef\xbb\xbf{}x", "ends at 5"},
      {"a byte order mark and blanks", "\xef\xbb\xbf \r\n{}", "ends at 8"},
      {"a byte order mark alone", "\xef\xbb\xbf", "needs more after 3"},
      {"half a byte order mark", "\xef\xbb{}", "invalid: not a JSON object"},
      {"half a byte order mark and its end", "\xef{}", "invalid: not a JSON object"},
      {"two byte order marks", "\xef\xbb\xbf\xef\xbb\xbf{}", "invalid: not a JSON object"},
      {"a byte order mark behind a blank", " \xef\xbb\xbf{}", "invalid: not a JSON object"},
      {"a byte order mark out of order", "\xbb\xef\xbf{}", "invalid: not a JSON object"},
      {"NUL", "\0{}"sv, "invalid: not a JSON object"},
      {"TLS", "\x16\3\1\2\0\1"sv, "invalid: not a JSON object"},
      {"HTTP", "POST / HTTP/1.1\r\n\r\n{}", "invalid: not a JSON object"},
      {"blanks, then something else", "  x{}", "invalid: not a JSON object"},
      {"a whole request", kSynnefoRequest, "ends at 184"},
  };
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    f.seen = testing::feed_every_way(row.text, frame);
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void depth_is_limited(Fixture& f) {
  struct {
    size_t levels;
    std::string_view opening, closing;
    std::string_view result;
  } const rows[] = {
      {kMaxRequestDepth, "[", "]", "ends at 64"},
      {kMaxRequestDepth + 1, "[", "]", "too_large: a request of more than 32 levels"},
      {kMaxRequestDepth, "{", "}", "ends at 64"},
      {kMaxRequestDepth + 1, "{", "}", "too_large: a request of more than 32 levels"},
      {100000, "[", "]", "too_large: a request of more than 32 levels"},
  };
  for (const auto& row : rows) {
    f.text = "{";
    for (size_t i = 1; i < row.levels; ++i) f.text += row.opening;
    for (size_t i = 1; i < row.levels; ++i) f.text += row.closing;
    f.text += "}";
    f.seen = f.text.size() < 1000 ? testing::feed_every_way(f.text, frame) : frame({base::as_bytes(f.text)});
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void size_is_limited(Fixture& f) {
  constexpr std::string_view kTooLarge = "too_large: a request of more than 65536 bytes";
  f.text = R"({"a":")" + std::string(kMaxRequestBytes - 8, 'x') + R"("})";
  f.seen = frame({base::as_bytes(f.text)});
  assert_string_equal(f.seen.c_str(), "ends at 65536");
  f.text.insert(0, 1, ' ');
  f.seen = frame({base::as_bytes(f.text)});
  assert_string_equal(f.seen.c_str(), kTooLarge.data());
  f.text.assign(kMaxRequestBytes + 1, ' ');
  f.seen = frame(testing::cut(base::as_bytes(f.text), 1));
  assert_string_equal(f.seen.c_str(), kTooLarge.data());
}

// ---- what a request says

std::string describe(const Request& request) {
  std::string text = std::string(to_string(request.type)) + " " + request.auth_user + ":" +
                     std::string(request.auth_password.reveal()) + " " + std::to_string(request.source_port) +
                     " -> " + request.destination_address + ":" + std::to_string(request.destination_port) +
                     " with " + std::string(request.password.reveal());
  if (!request.server_password.empty()) text += " and " + std::string(request.server_password.reveal());
  if (request.client_address)
    text +=
        " for " + request.client_address->address.host() + "/" + std::to_string(request.client_address->bits);
  if (request.connect_timeout.count() + request.auth_timeout.count() > 0)
    text += " within " + std::to_string(request.connect_timeout.count()) + " and " +
            std::to_string(request.auth_timeout.count()) + " ms";
  return text;
}

std::string parse(std::string_view text, bool with_login = true) {
  const auto parsed = parse_request(text, with_login);
  if (!parsed) return std::string(to_string(parsed.error().code)) + ": " + parsed.error().reason;
  return describe(*parsed);
}

// A good request but for one key, which has this value, or is not there when the value is empty.
std::string request_with(std::string_view key, std::string_view value) {
  std::vector<std::pair<std::string, std::string>> keys = {
      {"auth_user", R"("u")"},           {"auth_password", R"("p")"},  {"source_port", "0"},
      {"destination_address", R"("h")"}, {"destination_port", "5900"}, {"password", R"("s")"}};
  std::erase_if(keys, [key](const auto& entry) { return entry.first == key; });
  if (!value.empty()) keys.emplace_back(key, value);
  std::string text;
  for (const auto& [name, json] : keys) text += (text.empty() ? "{\"" : ", \"") + name + "\": " + json;
  return text + "}";
}

void takes_whole_requests(Fixture& f) {
  struct {
    const char* name;
    std::string_view text;
    std::string_view result;
  } const rows[] = {
      {"Synnefo's", kSynnefoRequest, "vnc-wss cyclades:secret 0 -> node1.example.com:11000 with v9Xk2LmQ"},
      {"blanks around",
       "\r\n {\n\"auth_user\":\"u\",\"auth_password\":\"p\",\"source_port\":\"25000\",\t"
       "\"destination_address\":\"::1\",\"destination_port\":\"5900\",\"password\":\"12345678\"} ",
       "vnc u:p 25000 -> ::1:5900 with 12345678"},
      {"escapes and UTF-8",
       R"({"auth_user":"\u00fc","auth_password":"\"\\","source_port":0,"destination_address":"h\u002d1",)"
       R"("destination_port":1,"password":"é\ud83d\ude00","server_password":"\t"})",
       "vnc \xc3\xbc:\"\\ 0 -> h-1:1 with \xc3\xa9\xf0\x9f\x98\x80 and \t"},
      {"a byte order mark",
       "\xef\xbb\xbf{\"auth_user\":\"u\",\"auth_password\":\"p\",\"source_port\":0,"
       "\"destination_address\":\"h\",\"destination_port\":1,\"password\":\"s\"}",
       "vnc u:p 0 -> h:1 with s"},
      {"keys we do not know",
       R"({"auth_user":"u","auth_password":"","source_port":0,"destination_address":"h","destination_port":1,)"
       R"("password":"s","command":["a",{"b":null}],"x":"\u0000","":1.5})",
       "vnc u: 0 -> h:1 with s"},
  };
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    f.seen = parse(row.text);
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void checks_each_key(Fixture& f) {
  constexpr std::string_view kDestination =
      "bad_request: destination_port must be a port number from 1 to 65535";
  constexpr std::string_view kSource =
      "bad_request: source_port must be 0 or a port number from 1024 to 65535";
  constexpr std::string_view kNetwork =
      "bad_request: client_address is neither an IPv4 or IPv6 address nor a network of such";
  constexpr std::string_view kBlank =
      "bad_request: destination_address must not contain blanks or control characters";
  struct {
    const char* key;
    std::string_view value;  // as JSON; empty: the key is missing
    std::string_view result;
  } const rows[] = {
      {"type", "", "vnc u:p 0 -> h:5900 with s"},
      {"type", R"("vnc")", "vnc u:p 0 -> h:5900 with s"},
      {"type", R"("vnc-ws")", "vnc-ws u:p 0 -> h:5900 with s"},
      {"type", R"("vnc-wss")", "vnc-wss u:p 0 -> h:5900 with s"},
      {"type", R"("vnc-tls")", "vnc-tls u:p 0 -> h:5900 with s"},
      {"type", R"("")", "unsupported_type:  not supported: the types are vnc, vnc-ws, vnc-wss and vnc-tls"},
      {"type", R"("VNC")",
       "unsupported_type: VNC not supported: the types are vnc, vnc-ws, vnc-wss and vnc-tls"},
      {"type", R"("spice")",
       "unsupported_type: spice not supported: the types are vnc, vnc-ws, vnc-wss and vnc-tls"},
      {"type", R"("a\n\"%n\u001b")",
       R"(unsupported_type: a\n\"%n\x1b not supported: the types are vnc, vnc-ws, vnc-wss and vnc-tls)"},
      {"type", "null", "vnc u:p 0 -> h:5900 with s"},
      {"type", "1", "bad_request: type must be a string"},
      {"type", R"(["vnc"])", "bad_request: type must be a string"},
      {"type", R"("vnc\u0000")", "bad_request: type must not contain a NUL character"},

      {"auth_user", "", "bad_request: missing key: auth_user"},
      {"auth_user", "null", "bad_request: auth_user must be a string"},
      {"auth_user", "{}", "bad_request: auth_user must be a string"},
      {"auth_user", R"("a\u0000b")", "bad_request: auth_user must not contain a NUL character"},
      {"auth_password", "", "bad_request: missing key: auth_password"},
      {"auth_password", "17", "bad_request: auth_password must be a string"},
      {"auth_password", R"("\u0000")", "bad_request: auth_password must not contain a NUL character"},

      {"source_port", "", "bad_request: missing key: source_port"},
      {"source_port", "25000", "vnc u:p 25000 -> h:5900 with s"},
      {"source_port", R"("25000")", "vnc u:p 25000 -> h:5900 with s"},
      {"source_port", R"(" 0025000\t\n")", "vnc u:p 25000 -> h:5900 with s"},
      {"source_port", R"("0")", "vnc u:p 0 -> h:5900 with s"},
      {"source_port", "1024", "vnc u:p 1024 -> h:5900 with s"},
      {"source_port", "65535", "vnc u:p 65535 -> h:5900 with s"},
      {"source_port", "1", kSource},
      {"source_port", "843", kSource},
      {"source_port", "1023", kSource},
      {"source_port", "65536", kSource},
      {"source_port", "-1", kSource},
      {"source_port", "4294967296", kSource},
      {"source_port", "null", kSource},
      {"source_port", "true", kSource},
      {"source_port", "25000.0", "vnc u:p 25000 -> h:5900 with s"},
      {"source_port", "2.5e4", "vnc u:p 25000 -> h:5900 with s"},
      {"source_port", "0.0", "vnc u:p 0 -> h:5900 with s"},
      {"source_port", "-0.0", "vnc u:p 0 -> h:5900 with s"},
      {"source_port", "25000.5", kSource},
      {"source_port", "0.25", kSource},
      {"source_port", "65536.0", kSource},
      {"source_port", "-25000.0", kSource},
      {"source_port", "1e300", kSource},
      {"source_port", "-1e300", kSource},
      {"source_port", "[25000]", kSource},
      {"source_port", R"("")", kSource},
      {"source_port", R"(" ")", kSource},

      {"destination_port", "", "bad_request: missing key: destination_port"},
      {"destination_port", "1", "vnc u:p 0 -> h:1 with s"},
      {"destination_port", "65535", "vnc u:p 0 -> h:65535 with s"},
      {"destination_port", R"("5900")", "vnc u:p 0 -> h:5900 with s"},
      {"destination_port", R"("\u000b5900\f")", "vnc u:p 0 -> h:5900 with s"},
      {"destination_port", "0", kDestination},
      {"destination_port", "65536", kDestination},
      {"destination_port", "-5900", kDestination},
      {"destination_port", R"("-5900")", kDestination},
      {"destination_port", R"("+5900")", kDestination},
      {"destination_port", R"("5_900")", kDestination},
      {"destination_port", R"("59 00")", kDestination},
      {"destination_port", R"("0x170c")", kDestination},
      {"destination_port", R"("5900.0")", kDestination},
      {"destination_port", R"("vnc")", kDestination},
      {"destination_port", R"("5900\u0000")", kDestination},
      {"destination_port", R"("99999999999999999999")", kDestination},
      {"destination_port", "5900.0", "vnc u:p 0 -> h:5900 with s"},
      {"destination_port", "5.9e3", "vnc u:p 0 -> h:5900 with s"},
      {"destination_port", "5900.5", kDestination},
      {"destination_port", "0.0", kDestination},
      {"destination_port", "9.3e18", kDestination},
      {"destination_port", "{}", kDestination},

      {"destination_address", "", "bad_request: missing key: destination_address"},
      {"destination_address", R"("")", "bad_request: destination_address must not be empty"},
      {"destination_address", "1", "bad_request: destination_address must be a string"},
      {"destination_address", R"("fe80::1%eth0")", "vnc u:p 0 -> fe80::1%eth0:5900 with s"},
      {"destination_address", R"(" h")", kBlank},
      {"destination_address", R"("h\n")", kBlank},
      {"destination_address", R"("a b")", kBlank},
      {"destination_address", R"("a\u007f")", kBlank},
      {"destination_address", R"("a\u0000b")",
       "bad_request: destination_address must not contain a NUL character"},

      {"password", "", "vnc u:p 0 -> h:5900 with "},
      {"password", "null", "vnc u:p 0 -> h:5900 with "},
      {"password", "12345678", "bad_request: password must be a string"},
      {"password", R"("")", "bad_request: password must not be empty"},
      {"password", R"("secr\u0000et")", "bad_request: password must not contain a NUL character"},

      {"server_password", R"("b")", "vnc u:p 0 -> h:5900 with s and b"},
      {"server_password", "null", "vnc u:p 0 -> h:5900 with s"},
      {"server_password", R"("")", "bad_request: server_password must not be empty"},
      {"server_password", "false", "bad_request: server_password must be a string"},
      {"server_password", R"("b\u0000")", "bad_request: server_password must not contain a NUL character"},

      {"client_address", "null", "vnc u:p 0 -> h:5900 with s"},
      {"client_address", R"("192.0.2.7")", "vnc u:p 0 -> h:5900 with s for 192.0.2.7/128"},
      {"client_address", R"("192.0.2.0/24")", "vnc u:p 0 -> h:5900 with s for 192.0.2.0/120"},
      {"client_address", R"("2001:db8::/32")", "vnc u:p 0 -> h:5900 with s for 2001:db8::/32"},
      {"client_address", R"("")", kNetwork},
      {"client_address", R"("panel.example.com")", kNetwork},
      {"client_address", "7", "bad_request: client_address must be a string"},
      {"client_address", R"(["192.0.2.7"])", "bad_request: client_address must be a string"},
      {"client_address", R"("192.0.2.7/33")",
       "bad_request: client_address has no number from 0 to 32 behind its slash"},

      {"connect_timeout", "null", "vnc u:p 0 -> h:5900 with s"},
      {"connect_timeout", "10", "vnc u:p 0 -> h:5900 with s within 10000 and 0 ms"},
      {"connect_timeout", "0.25", "vnc u:p 0 -> h:5900 with s within 250 and 0 ms"},
      {"connect_timeout", "1e-9", "vnc u:p 0 -> h:5900 with s within 1 and 0 ms"},
      {"connect_timeout", "1e300", "vnc u:p 0 -> h:5900 with s within 1000000000 and 0 ms"},
      {"connect_timeout", "0", "bad_request: connect_timeout must be a number of seconds above 0"},
      {"connect_timeout", "-1", "bad_request: connect_timeout must be a number of seconds above 0"},
      {"connect_timeout", R"("10")", "bad_request: connect_timeout must be a number of seconds above 0"},
      {"connect_timeout", "true", "bad_request: connect_timeout must be a number of seconds above 0"},
      {"auth_timeout", "90", "vnc u:p 0 -> h:5900 with s within 0 and 90000 ms"},
      {"auth_timeout", "0.0", "bad_request: auth_timeout must be a number of seconds above 0"},
      {"auth_timeout", "{}", "bad_request: auth_timeout must be a number of seconds above 0"},
  };
  for (const auto& row : rows) {
    f.text = request_with(row.key, row.value);
    f.seen = parse(f.text);
    f.expected = row.result;
    if (f.seen != f.expected) print_message("  %s\n", f.text.c_str());
    assert_string_equal(f.seen.c_str(), f.expected.c_str());
  }
}

// The socket's permissions are the login, where there is one.
void a_login_is_looked_at_only_where_there_is_one(Fixture& f) {
  struct {
    std::string_view text;
    bool with_login;
    std::string_view result;
  } const rows[] = {
      {R"({"source_port": 0, "destination_address": "h", "destination_port": 1, "password": "s"})", false,
       "vnc : 0 -> h:1 with s"},
      {R"({"source_port": 0, "destination_address": "h", "destination_port": 1, "password": "s"})", true,
       "bad_request: missing key: auth_user"},
      {R"({"auth_user": 1, "auth_password": "p", "source_port": 0, "destination_address": "h",)"
       R"( "destination_port": 1, "password": "s", "type": "vnc-ws"})",
       false, "vnc-ws : 0 -> h:1 with s"},
      {R"({"daddr": "h", "dport": 5900, "password": "s"})", true,
       "bad_request: this dialect (daddr) has no login and is not spoken here"},
      {R"({"daddr": "h", "destination_address": "h", "dport": 5900})", true,
       "bad_request: missing key: auth_user"},
  };
  for (const auto& row : rows) {
    f.seen = parse(row.text, row.with_login);
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void checks_lengths(Fixture& f) {
  struct {
    const char* key;
    size_t fits;
    std::string_view complaint;
  } const rows[] = {
      {"auth_user", 255, "bad_request: auth_user must be at most 255 bytes long"},
      {"destination_address", 255, "bad_request: destination_address must be at most 255 bytes long"}};
  for (const auto& row : rows) {
    f.text = request_with(row.key, '"' + std::string(row.fits, 'x') + '"');
    f.seen = parse(f.text);
    assert_int_equal(f.seen.compare(0, 4, "vnc "), 0);
    f.text = request_with(row.key, '"' + std::string(row.fits + 1, 'x') + '"');
    f.seen = parse(f.text);
    assert_string_equal(f.seen.c_str(), row.complaint.data());
  }
  f.text = request_with("auth_password", '"' + std::string(60000, 'x') + '"');
  f.seen = parse(f.text);
  assert_int_equal(f.seen.compare(0, 4, "vnc "), 0);
}

void complains_of_one_thing_in_a_fixed_order(Fixture& f) {
  struct {
    std::string_view text, result;
  } const rows[] = {
      {"{}", "bad_request: missing key: auth_user"},
      {R"({"type": "x"})",
       "unsupported_type: x not supported: the types are vnc, vnc-ws, vnc-wss and vnc-tls"},
      {R"({"type": 1, "auth_user": 1})", "bad_request: type must be a string"},
      {R"({"auth_user": "u", "password": ""})", "bad_request: missing key: auth_password"},
      {R"({"auth_user": "u", "auth_password": "p", "destination_port": 0})",
       "bad_request: missing key: source_port"},
  };
  for (const auto& row : rows) {
    f.seen = parse(row.text);
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void says_where_json_is_bad_and_quotes_nothing(Fixture& f) {
  struct {
    std::string_view text, result;
  } const rows[] = {
      {"", "bad_request: not valid JSON (line 1, column 0)"},
      {"{", "bad_request: not valid JSON (line 1, column 1)"},
      {"{]", "bad_request: not valid JSON (line 1, column 2)"},
      {R"({"password": "MARKER" "x"})", "bad_request: not valid JSON (line 1, column 25)"},
      {"{\"password\":\n \"MARKER\n\"}", "bad_request: not valid JSON (line 2, column 8)"},
      {R"({'password': 'MARKER'})", "bad_request: not valid JSON (line 1, column 2)"},
      {R"({"password": MARKER})", "bad_request: not valid JSON (line 1, column 19)"},
      {R"({"password": "MARKER\ud800"})", "bad_request: not valid JSON (line 1, column 27)"},
      {"{\"password\": \"MARKER\xff\"}", "bad_request: not valid JSON (line 1, column 20)"},
      {R"({"password": "MARKER", "password": "MARKER"})", "bad_request: duplicate key (line 1, column 33)"},
      {R"({"source_port": 99999999999999999999})", "bad_request: not valid JSON (line 1, column 36)"},
      {"[]", "bad_request: not a JSON object"},
      {"{} {}", "bad_request: not valid JSON (line 1, column 4)"},
  };
  for (const auto& row : rows) {
    f.seen = parse(row.text);
    if (f.seen != row.result) print_message("  %s\n", row.text.data());
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

// ---- replies

void replies_are_what_python_would_write(Fixture& f) {
  f.seen = to_json(Success{25123, "vnc.example.com"});
  assert_string_equal(f.seen.c_str(),
                      R"({"source_port": 25123, "status": "OK", "proxy_address": "vnc.example.com"})");
  f.seen = to_json(Failure{FailureCode::auth_failed, "no"});
  assert_string_equal(
      f.seen.c_str(),
      R"({"source_port": 0, "status": "FAILED", "proxy_address": null, "reason": "no", "code": "auth_failed"})");
}

void a_reply_holds_what_was_made_and_warns(Fixture& f) {
  f.seen = to_json(Success{25123, "h", "http://h:25123/", "Abc12345", "a; b"});
  assert_string_equal(
      f.seen.c_str(),
      R"({"source_port": 25123, "status": "OK", "proxy_address": "h", "url": "http://h:25123/", )"
      R"("warning": "a; b", "password": "Abc12345"})");
  f.seen = to_json(Success{25123, "h", {}, "Abc12345"});
  assert_string_equal(
      f.seen.c_str(),
      R"({"source_port": 25123, "status": "OK", "proxy_address": "h", "password": "Abc12345"})");
}

// The address is cut, then the page's is left out; what the caller cannot do without stays.
void long_addresses_leave_room_for_a_password(Fixture& f) {
  for (const size_t size : {10u, 500u, 580u, 2000u}) {
    f.text.assign(size, 'x');
    f.seen = to_json(Success{1, std::string(5000, 'y'), f.text, "Abc12345", std::string(210, 'w')});
    assert_in_range(f.seen.size(), kMaxReplyBytes, kMaxReplyBytes);
    assert_true(f.seen.ends_with(R"("password": "Abc12345"})"));
    const bool has_url = f.seen.find('"' + f.text + '"') != f.seen.npos;
    assert_int_equal(has_url, size < 590);
  }
}

// Chi-square over 62 characters: 61 degrees of freedom, and a bound that chance crosses once in ten million.
void made_passwords_are_unbiased(Fixture& f) {
  constexpr size_t kPasswords = 20000;
  size_t counts[256] = {};
  bool all_have_8 = true;
  for (size_t i = 0; i < kPasswords; ++i) {
    const base::Secret password = one_time_password();
    all_have_8 &= password.size() == 8;
    for (const char c : password.reveal()) ++counts[static_cast<unsigned char>(c)];
  }
  assert_true(all_have_8);
  double chi_square = 0;
  size_t seen = 0;
  f.text = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const double expected = 8.0 * kPasswords / static_cast<double>(f.text.size());
  for (const char c : f.text) {
    const size_t count = counts[static_cast<unsigned char>(c)];
    seen += count;
    chi_square +=
        (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
  }
  assert_int_equal(seen, 8 * kPasswords);
  assert_true(chi_square < 130);
}

void every_character_is_escaped_as_python_does(Fixture& f) {
  struct {
    const char* name;
    std::string_view reason, json;
  } const rows[] = {
      {"nothing", "", ""},
      {"quotes and backslashes", R"("\/)", R"(\"\\/)"},
      {"short escapes", "\b\f\n\r\t", R"(\b\f\n\r\t)"},
      {"controls", "\0\x01\x1f\x7f"sv, R"(\u0000\u0001\u001f\u007f)"},
      {"two bytes", "\xc2\x80\xc3\xa9\xdf\xbf", R"(\u0080\u00e9\u07ff)"},
      {"three bytes", "\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbf", R"(\u0800\u20ac\uffff)"},
      {"four bytes", "\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
       R"(\ud800\udc00\ud83d\ude00\udbff\udfff)"},
      {"no UTF-8", "\x80\xff.", R"(\ufffd\ufffd.)"},
      {"cut short", "\xe2\x82", R"(\ufffd\ufffd)"},
      {"cut by another", "\xe2\x82.\xc3\xc3\xa9", R"(\ufffd\ufffd.\ufffd\u00e9)"},
      {"longer than it need be", "\xc0\x80\xe0\x80\xaf", R"(\ufffd\ufffd\ufffd\ufffd\ufffd)"},
      {"a surrogate", "\xed\xa0\x80", R"(\ufffd\ufffd\ufffd)"},
      {"above Unicode", "\xf4\x90\x80\x80", R"(\ufffd\ufffd\ufffd\ufffd)"},
  };
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    f.seen = to_json(Success{1, std::string(row.reason)});
    f.expected = R"({"source_port": 1, "status": "OK", "proxy_address": ")" + std::string(row.json) + "\"}";
    assert_string_equal(f.seen.c_str(), f.expected.c_str());
  }
}

// Whatever the reason: small enough, one JSON object still, and no more cut off than there is need for.
std::string check_cut(std::string_view repeated, size_t encoded) {
  std::string reason;
  while (reason.size() < 5000) reason += repeated;
  const std::string reply = to_json(Failure{FailureCode::backend_refused, reason});
  if (reply.size() > kMaxReplyBytes) return "too long";
  if (reply.size() + encoded <= kMaxReplyBytes) return "cut too early";
  if (!reply.ends_with(R"(", "code": "backend_refused"})")) return "no code";
  const base::Handle<json_t> root(::json_loadb(reply.data(), reply.size(), JSON_ALLOW_NUL, nullptr));
  if (root == nullptr) return "no JSON";
  const std::string_view kept(::json_string_value(::json_object_get(root.get(), "reason")),
                              ::json_string_length(::json_object_get(root.get(), "reason")));
  return reason.starts_with(kept) && kept.size() % repeated.size() == 0 ? "" : "cut within a character";
}

void long_reasons_are_cut_at_a_character(Fixture& f) {
  struct {
    std::string_view repeated;
    size_t encoded;
  } const rows[] = {{"x", 1},        {"\"", 2},           {"\0"sv, 6},
                    {"\xc3\xa9", 6}, {"\xe2\x82\xac", 6}, {"\xf0\x9f\x98\x80", 12}};
  for (const auto& row : rows) {
    f.seen = check_cut(row.repeated, row.encoded);
    assert_string_equal(f.seen.c_str(), "");
  }
}

void words_of_the_protocol_do_not_change(NoFixture&) {
  const std::string_view codes[] = {
      "bad_request",     "unsupported_type", "auth_failed",  "no_port", "port_in_use", "backend_unreachable",
      "backend_timeout", "backend_refused",  "backend_auth", "busy",    "internal"};
  assert_int_equal(std::size(codes), static_cast<size_t>(kLastFailureCode) + 1);
  for (size_t i = 0; i < std::size(codes); ++i)
    assert_string_equal(to_string(static_cast<FailureCode>(i)).data(), codes[i].data());
  assert_string_equal(to_string(ViewerType::vnc).data(), "vnc");
  assert_string_equal(to_string(ViewerType::vnc_ws).data(), "vnc-ws");
  assert_string_equal(to_string(ViewerType::vnc_wss).data(), "vnc-wss");
  assert_string_equal(to_string(ViewerType::vnc_tls).data(), "vnc-tls");
}

// `make check` runs in the top folder of the source.
std::string read_manual() {
  std::ifstream file("man/vncauthproxy-control.7");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void the_manual_has_every_word(Fixture& f) {
  f.text = read_manual();
  const auto check = [&f](std::string_view word) {
    f.expected.assign("\n.It Cm ").append(word).append("\n");
    if (f.text.find(f.expected) == f.text.npos) f.seen.append(word).append(" ");
  };
  for (size_t i = 0; i <= static_cast<size_t>(kLastFailureCode); ++i)
    check(to_string(static_cast<FailureCode>(i)));
  for (const ViewerType type :
       {ViewerType::vnc, ViewerType::vnc_ws, ViewerType::vnc_wss, ViewerType::vnc_tls})
    check(to_string(type));
  for (const char* key : {"auth_user",
                          "auth_password",
                          "source_port",
                          "destination_address",
                          "destination_port",
                          "password",
                          "server_password",
                          "client_address",
                          "connect_timeout",
                          "auth_timeout",
                          "type",
                          "status",
                          "proxy_address",
                          "warning",
                          "reason",
                          "code",
                          "daddr",
                          "dport",
                          "sport",
                          "ws",
                          "tls",
                          "client",
                          "ip",
                          "timeout"})
    check(key);
  assert_string_equal(f.seen.c_str(), "");
}

// ---- secrets

// malloc gives the block freed last back first, so what it holds is what free left there. Under a sanitizer
// it is another block, and this looks at nothing.
void freed_json_is_wiped(NoFixture&) {
  constexpr size_t kSize = 200;
  json_malloc_t allocate = nullptr;
  json_free_t release = nullptr;
  ::json_get_alloc_funcs(&allocate, &release);
  void* held = allocate(kSize);
  assert_non_null(held);
  std::memset(held, 'S', kSize);
  release(held);
  volatile char* const again = static_cast<volatile char*>(std::malloc(kSize));
  assert_non_null(again);
  size_t left = 0;
  for (size_t i = 0; i < kSize; ++i) left += again[i] == 'S';
  std::free(const_cast<char*>(again));
  assert_in_range(left, 0, 16);  // malloc's own pointers stand in the first bytes
  release(nullptr);
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  using vncauthproxy::testing::NoFixture;
  use_wiping_json_allocator();
  const CMUnitTest tests[] = {
      TEST(Fixture, finds_the_end_of_the_object),
      TEST(Fixture, depth_is_limited),
      TEST(Fixture, size_is_limited),
      TEST(Fixture, takes_whole_requests),
      TEST(Fixture, checks_each_key),
      TEST(Fixture, a_login_is_looked_at_only_where_there_is_one),
      TEST(Fixture, checks_lengths),
      TEST(Fixture, complains_of_one_thing_in_a_fixed_order),
      TEST(Fixture, says_where_json_is_bad_and_quotes_nothing),
      TEST(Fixture, replies_are_what_python_would_write),
      TEST(Fixture, a_reply_holds_what_was_made_and_warns),
      TEST(Fixture, long_addresses_leave_room_for_a_password),
      TEST(Fixture, made_passwords_are_unbiased),
      TEST(Fixture, every_character_is_escaped_as_python_does),
      TEST(Fixture, long_reasons_are_cut_at_a_character),
      TEST(NoFixture, words_of_the_protocol_do_not_change),
      TEST(Fixture, the_manual_has_every_word),
      TEST(NoFixture, freed_json_is_wiped),
  };
  return vncauthproxy::testing::run_group("control", tests);
}
