// SPDX-License-Identifier: GPL-2.0-or-later
// The line of Twisted VNC AuthProxy's dialect: what each key means, what is refused, and the answers byte by
// byte.
#include "vncauthproxy/proto/vncap.h"

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using testing::NoFixture;

struct Fixture {
  std::string text, seen;
};

std::string describe(const Request& request) {
  std::string text = std::string(to_string(request.type)) + " " + std::to_string(request.source_port) +
                     " -> " + request.destination_address + ":" + std::to_string(request.destination_port) +
                     " viewer " + std::string(request.password.reveal()) + " backend " +
                     std::string(request.server_password.reveal());
  if (request.client_address)
    text += " from " + request.client_address->address.host() + "/" +
            std::to_string(request.client_address->bits);
  if (request.connect_timeout.count() > 0)
    text += " within " + std::to_string(request.connect_timeout.count()) + " ms";
  const bool as_always = request.dialect == Dialect::vncap && request.source_port_is_a_wish &&
                         request.auth_user.empty() && request.auth_timeout.count() == 0;
  return text + (as_always ? "" : " and that is not all");
}

std::string parse(std::string_view line) {
  const auto parsed = parse_vncap(line);
  if (!parsed) return std::string(to_string(parsed.error().code)) + ": " + parsed.error().reason;
  return describe(*parsed);
}

// A good line but for one key, which has this value, or is not there when the value is empty.
std::string line_with(std::string_view key, std::string_view value) {
  std::vector<std::pair<std::string, std::string>> keys = {
      {"daddr", R"("h")"}, {"dport", "11000"}, {"password", R"("s")"}};
  std::erase_if(keys, [key](const auto& entry) { return entry.first == key; });
  if (!value.empty()) keys.emplace_back(key, value);
  std::string text;
  for (const auto& [name, json] : keys) text += (text.empty() ? "{\"" : ", \"") + name + "\": " + json;
  return text + "}";
}

void takes_whole_lines(Fixture& f) {
  struct {
    const char* name;
    std::string_view line, result;
  } const rows[] = {
      {"Ganeti Web Manager's",
       "{\"daddr\": \"node1\", \"dport\": 11000, \"password\": \"abcdefghijkl\", \"ws\": true, \"tls\": "
       "true}\r\n",
       "vnc-wss 0 -> node1:11000 viewer abcdefghijkl backend abcdefghijkl"},
      {"its request_ssh",
       R"({"daddr": "node1", "dport": 22, "password": "s", "command": "gnt-instance console", "sport": 7001})",
       "vnc 7001 -> node1:22 viewer s backend s"},
      {"all there is",
       R"({"sport": 5801, "daddr": "::1", "dport": "5900", "password": "s", "ws": true, "tls": false,)"
       R"( "client": {"ip": "192.0.2.7", "password": "c"}, "timeout": 12.5})",
       "vnc-ws 5801 -> ::1:5900 viewer c backend s from 192.0.2.7/128 within 12500 ms"},
      {"the least", R"({"daddr":"h","dport":1})", "vnc 0 -> h:1 viewer  backend "},
  };
  for (const auto& row : rows) {
    print_message("  %s\n", row.name);
    f.seen = parse(row.line);
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void checks_each_key(Fixture& f) {
  constexpr std::string_view kGood = "vnc 0 -> h:11000 viewer s backend s";
  constexpr std::string_view kPort = "bad_request: dport must be a port number from 1 to 65535";
  constexpr std::string_view kWish = "bad_request: sport must be a port number";
  constexpr std::string_view kTimeout = "bad_request: timeout must be a number of seconds above 0";
  constexpr std::string_view kAddress = "bad_request: client.ip must be an IPv4 or IPv6 address";
  struct {
    const char* key;
    std::string_view value;  // as JSON; empty: the key is missing
    std::string_view result;
  } const rows[] = {
      {"daddr", "", "bad_request: missing key: daddr"},
      {"daddr", "null", "bad_request: daddr must be a string"},
      {"daddr", R"("")", "bad_request: daddr must not be empty"},
      {"daddr", R"("a b")", "bad_request: daddr must not contain blanks or control characters"},
      {"dport", "", "bad_request: missing key: dport"},
      {"dport", R"("11000")", kGood},
      {"dport", "0", kPort},
      {"dport", "65536", kPort},
      {"dport", "-1", kPort},
      {"dport", "11000.0", kGood},
      {"dport", "11000.5", kPort},
      {"dport", "null", kPort},
      {"dport", "[]", kPort},
      {"password", "", "vnc 0 -> h:11000 viewer  backend "},
      {"password", "null", "vnc 0 -> h:11000 viewer  backend "},
      {"password", R"("")", "bad_request: password must not be empty"},
      {"password", "17", "bad_request: password must be a string"},
      {"sport", "null", kGood},
      {"sport", "0", kGood},
      {"sport", "-7", kGood},
      {"sport", "70000", kGood},
      {"sport", "80", "vnc 80 -> h:11000 viewer s backend s"},
      {"sport", R"("5801")", "vnc 5801 -> h:11000 viewer s backend s"},
      {"sport", "5801.0", "vnc 5801 -> h:11000 viewer s backend s"},
      {"sport", "5801.5", kWish},
      {"sport", R"("any")", kWish},
      {"sport", "true", kWish},
      {"sport", "{}", kWish},
      {"ws", "null", kGood},
      {"ws", "false", kGood},
      {"ws", "true", "vnc-ws 0 -> h:11000 viewer s backend s"},
      {"ws", "1", "bad_request: ws must be true or false"},
      {"ws", R"("true")", "bad_request: ws must be true or false"},
      {"tls", "null", kGood},
      {"tls", "true", "vnc-tls 0 -> h:11000 viewer s backend s"},
      {"tls", "0", "bad_request: tls must be true or false"},
      {"timeout", "null", kGood},
      {"timeout", "60", "vnc 0 -> h:11000 viewer s backend s within 60000 ms"},
      {"timeout", "1e9", "vnc 0 -> h:11000 viewer s backend s within 3600000 ms"},
      {"timeout", "0", kTimeout},
      {"timeout", "-30", kTimeout},
      {"timeout", R"("30")", kTimeout},
      {"client", "null", kGood},
      {"client", "{}", kGood},
      {"client", R"({"ip": null, "password": null, "x": 1})", kGood},
      {"client", R"({"password": "c"})", "vnc 0 -> h:11000 viewer c backend s"},
      {"client", R"({"password": ""})", "bad_request: client.password must not be empty"},
      {"client", R"({"password": 1})", "bad_request: client.password must be a string"},
      {"client", R"({"ip": "2001:db8::1"})", "vnc 0 -> h:11000 viewer s backend s from 2001:db8::1/128"},
      {"client", R"({"ip": "192.0.2.0/24"})", kAddress},
      {"client", R"({"ip": "panel"})", kAddress},
      {"client", R"({"ip": ""})", kAddress},
      {"client", R"({"ip": 7})", "bad_request: client.ip must be a string"},
      {"client", R"("192.0.2.7")", "bad_request: client must be an object"},
      {"client", "[]", "bad_request: client must be an object"},
      {"later", R"({"a": [1]})", kGood},
  };
  for (const auto& row : rows) {
    f.text = line_with(row.key, row.value);
    f.seen = parse(f.text);
    if (f.seen != row.result) print_message("  %s\n", f.text.c_str());
    assert_string_equal(f.seen.c_str(), row.result.data());
  }
}

void only_the_viewer_may_have_a_password(Fixture& f) {
  f.seen = parse(R"({"daddr": "h", "dport": 1, "client": {"password": "c"}})");
  assert_string_equal(f.seen.c_str(), "vnc 0 -> h:1 viewer c backend ");
}

void refuses_what_is_no_object(Fixture& f) {
  for (const char* line : {"", "\r\n", "null", "17", "[]", "\"{}\"", "{", "{}{}", "PORT 5801", "\xff\xfe"}) {
    f.seen = parse(line);
    assert_int_equal(f.seen.find("bad_request: not "), 0);
  }
}

void answers_byte_by_byte(Fixture& f) {
  f.seen = to_vncap(Success{5801, "h", "", "", "a warning"});
  assert_string_equal(f.seen.c_str(), "5801\r\n");
  f.seen = to_vncap(Success{25123, "h", "", "Abc12345"});
  assert_string_equal(f.seen.c_str(), "25123 Abc12345\r\n");
  f.seen = to_vncap(Failure{FailureCode::no_port, "no free port"});
  assert_string_equal(f.seen.c_str(), "FAILED\r\n");
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  use_wiping_json_allocator();
  const CMUnitTest tests[] = {
      TEST(Fixture, takes_whole_lines),
      TEST(Fixture, checks_each_key),
      TEST(Fixture, only_the_viewer_may_have_a_password),
      TEST(Fixture, refuses_what_is_no_object),
      TEST(Fixture, answers_byte_by_byte),
  };
  return vncauthproxy::testing::run_group("vncap", tests);
}
