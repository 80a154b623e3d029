// SPDX-License-Identifier: GPL-2.0-or-later
// The opening handshake: RFC 6455's own example, what browsers and the noVNCs of fifteen years send, and
// every head that is refused. Base64 is tested here too.
#include "vncauthproxy/proto/ws_upgrade.h"

#include <string>
#include <utility>
#include <vector>

#include "vncauthproxy/proto/base64.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using namespace std::literals;
using testing::NoFixture;

constexpr std::string_view kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr std::string_view kVersion = "Sec-WebSocket-Version: 13\r\n";
constexpr std::string_view kUpgrade = "Upgrade: websocket\r\n";
constexpr std::string_view kConnection = "Connection: Upgrade\r\n";

struct Fixture {
  HeadParser parser;
  std::string text;
};

bool parse(HeadParser& parser, std::string_view text) {
  parser.clear();
  base::ByteReader in(base::as_bytes(text));
  const auto result = parser.advance(in);
  return result && *result == HeadParser::Progress::done && in.size() == 0;
}

std::string request(std::string_view line, std::initializer_list<std::string_view> fields) {
  std::string text(line);
  text += " HTTP/1.1\r\nHost: proxy.example\r\n";
  for (const auto field : fields) text += field;
  return text + "\r\n";
}

struct Decision {
  unsigned status;
  Subprotocol subprotocol;
  bool attempt;
};
Decision decide(Fixture& f, std::string text) {
  f.text.clear();
  if (!parse(f.parser, text)) return {0, Subprotocol::none, false};
  const bool attempt = wants_websocket(f.parser.head());
  const auto decision = decide_upgrade(f.parser.head());
  if (!decision) {
    f.text = to_text(decision.error());
    return {decision.error().status, Subprotocol::none, attempt};
  }
  f.text = decision->answer;
  return {101, decision->subprotocol, attempt};
}

void answers_the_example_of_the_rfc(Fixture& f) {  // section 1.3; its "chat, superchat" is nothing we speak
  const Decision decision =
      decide(f,
             "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
             "Sec-WebSocket-Version: 13\r\n\r\n");
  assert_int_equal(decision.status, 101);
  assert_int_equal(decision.subprotocol, Subprotocol::none);
  const bool answer = f.text ==
                      "HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                      "\r\n";
  assert_true(answer);
}

void answers_no_extension(Fixture& f) {
  const Decision decision = decide(
      f, request("GET /", {kUpgrade, kConnection, kKey, kVersion,
                           "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"}));
  assert_int_equal(decision.status, 101);
  const bool silent = f.text.find("xtensions") == f.text.npos;
  assert_true(silent);
}

void accepts_what_browsers_send(Fixture& f) {
  struct {
    const char* name;
    std::string_view line, upgrade, connection;
  } const rows[] = {
      {"Firefox", "GET /websockify", "Upgrade: websocket\r\n", "Connection: keep-alive, Upgrade\r\n"},
      {"Chromium", "GET /", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"},
      {"old Internet Explorer", "GET /", "Upgrade: Websocket\r\n", "Connection: Upgrade\r\n"},
      {"small letters", "GET /", "upgrade: websocket\r\n", "connection: upgrade\r\n"},
      {"any path", "GET /a/b/../c?d=%00&token=1", "Upgrade: WebSocket\r\n", "Connection: UPGRADE\r\n"},
      {"lists and two lines", "GET /", "Upgrade: h2c, websocket\r\n",
       "Connection: x\r\nConnection: upgrade\r\n"},
      {"absolute form", "GET http://proxy.example/x", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"},
      {"no body, said aloud", "GET /", "Upgrade: websocket\r\nContent-Length: 0\r\n",
       "Connection: Upgrade\r\n"},
  };
  for (const auto& row : rows) {
    const Decision decision = decide(f, request(row.line, {row.upgrade, row.connection, kKey, kVersion}));
    if (decision.status != 101 || !decision.attempt) fail_msg("%s: %u", row.name, decision.status);
  }
}

void chooses_the_subprotocol(Fixture& f) {
  struct {
    const char* name;
    std::string_view fields;
    unsigned status;
    Subprotocol subprotocol;
    std::string_view answer;
  } const rows[] = {
      {"noVNC 1.2 and later", "", 101, Subprotocol::none, ""},
      {"noVNC 1.0", "Sec-WebSocket-Protocol: binary\r\n", 101, Subprotocol::binary, "binary"},
      {"noVNC 0.5", "Sec-WebSocket-Protocol: binary, base64\r\n", 101, Subprotocol::binary, "binary"},
      {"the other order", "Sec-WebSocket-Protocol: base64,binary\r\n", 101, Subprotocol::binary, "binary"},
      {"noVNC 0.4", "Sec-WebSocket-Protocol: base64\r\n", 101, Subprotocol::base64, "base64"},
      {"two lines", "Sec-WebSocket-Protocol: base64\r\nSec-WebSocket-Protocol: binary\r\n", 101,
       Subprotocol::binary, "binary"},
      {"others beside", "Sec-WebSocket-Protocol: chat ,\tbase64\t, x\r\n", 101, Subprotocol::base64,
       "base64"},
      {"empty list", "Sec-WebSocket-Protocol: ,\r\n", 101, Subprotocol::none, ""},
      {"only unknown ones", "Sec-WebSocket-Protocol: chat, superchat\r\n", 400, Subprotocol::none, ""},
      {"case matters", "Sec-WebSocket-Protocol: Binary\r\n", 400, Subprotocol::none, ""},
      {"a longer word", "Sec-WebSocket-Protocol: binary2\r\n", 400, Subprotocol::none, ""},
  };
  for (const auto& row : rows) {
    const Decision decision =
        decide(f, request("GET /", {kUpgrade, kConnection, kKey, kVersion, row.fields}));
    const size_t at = f.text.find("Sec-WebSocket-Protocol: ");
    const bool answered =
        row.answer.empty()
            ? at == f.text.npos
            : at != f.text.npos && std::string_view(f.text).substr(at + 24).starts_with(row.answer);
    if (decision.status != row.status || decision.subprotocol != row.subprotocol || !answered)
      fail_msg("%s: %u", row.name, decision.status);
  }
}

void refuses_all_else(Fixture& f) {
  struct {
    const char* name;
    std::string_view line;
    std::initializer_list<std::string_view> fields;
    unsigned status;
    std::string_view in_answer;
  } const rows[] = {
      {"a page", "GET /vnc.html", {"Connection: keep-alive\r\n"}, 404, "no pages"},
      {"a page by HEAD", "HEAD /", {}, 404, "no pages"},
      {"another upgrade", "GET /", {"Upgrade: h2c\r\n", kConnection}, 404, "no pages"},
      {"POST", "POST /", {kUpgrade, kConnection, kKey, kVersion}, 405, "\r\nAllow: GET"},
      {"CONNECT", "CONNECT a:1", {}, 405, "\r\nAllow: GET"},
      {"HEAD", "HEAD /", {kUpgrade, kConnection, kKey, kVersion}, 405, "\r\nAllow: GET\r\n"},
      {"no Upgrade", "GET /", {kConnection, kKey, kVersion}, 400, "Upgrade: websocket"},
      {"wrong Upgrade", "GET /", {"Upgrade: websockets\r\n", kConnection, kKey, kVersion}, 400, ""},
      {"no Connection", "GET /", {kUpgrade, kKey, kVersion}, 400, "Connection: Upgrade"},
      {"wrong Connection", "GET /", {kUpgrade, "Connection: close\r\n", kKey, kVersion}, 400, ""},
      {"no version", "GET /", {kUpgrade, kConnection, kKey}, 426, "\r\nSec-WebSocket-Version: 13\r\n"},
      {"version 8",
       "GET /",
       {kUpgrade, kConnection, kKey, "Sec-WebSocket-Version: 8\r\n"},
       426,
       "\r\nSec-WebSocket-Version: 13\r\n"},
      {"two versions", "GET /", {kUpgrade, kConnection, kKey, kVersion, kVersion}, 426, ""},
      {"version in words",
       "GET /",
       {kUpgrade, kConnection, kKey, "Sec-WebSocket-Version: 13, 8\r\n"},
       426,
       ""},
      {"no key", "GET /", {kUpgrade, kConnection, kVersion}, 400, "Sec-WebSocket-Key"},
      {"two keys", "GET /", {kUpgrade, kConnection, kVersion, kKey, kKey}, 400, ""},
      {"empty key", "GET /", {kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key:\r\n"}, 400, ""},
      {"short key",
       "GET /",
       {kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n"},
       400,
       ""},
      {"long key",
       "GET /",
       {kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n"},
       400,
       ""},
      {"key without padding",
       "GET /",
       {kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n"},
       400,
       ""},
      {"key of another alphabet",
       "GET /",
       {kUpgrade, kConnection, kVersion, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-_==\r\n"},
       400,
       ""},
      {"a body", "GET /", {kUpgrade, kConnection, kKey, kVersion, "Content-Length: 5\r\n"}, 400, "body"},
      {"a chunked body",
       "GET /",
       {kUpgrade, kConnection, kKey, kVersion, "Transfer-Encoding: chunked\r\n"},
       400,
       "body"},
  };
  for (const auto& row : rows) {
    const Decision decision = decide(f, request(row.line, row.fields));
    const bool closes = f.text.find("\r\nConnection: close\r\n") != f.text.npos &&
                        f.text.find("\r\nContent-Length: ") != f.text.npos &&
                        f.text.find("\r\nServer:") == f.text.npos;
    const bool said = f.text.find(row.in_answer) != f.text.npos;
    if (decision.status != row.status || !closes || !said) fail_msg("%s: %u", row.name, decision.status);
  }
}

void tells_pages_from_websockets(Fixture& f) {
  struct {
    std::string_view fields;
    bool attempt;
  } const rows[] = {{"", false},          {"Upgrade: h2c\r\n", false},
                    {kConnection, false}, {kUpgrade, true},
                    {kKey, true},         {kVersion, true}};
  for (const auto& row : rows) {
    const Decision decision = decide(f, request("GET /", {row.fields}));
    assert_int_equal(decision.attempt, row.attempt);
  }
}

void encodes_base64(Fixture& f) {
  struct {
    std::string_view plain, text;  // RFC 4648 section 10
  } const rows[] = {{"", ""},
                    {"f", "Zg=="},
                    {"fo", "Zm8="},
                    {"foo", "Zm9v"},
                    {"foob", "Zm9vYg=="},
                    {"fooba", "Zm9vYmE="},
                    {"foobar", "Zm9vYmFy"},
                    {"\xFB\xFF\xBF", "+/+/"}};
  for (const auto& row : rows) {
    f.text = to_base64(base::as_bytes(row.plain));
    const bool same =
        f.text == row.text && base64_decoded_size(row.text) == static_cast<int>(row.plain.size());
    assert_true(same);
  }
  f.text = to_base64(base::as_bytes(std::string(1000, 'a')));  // several steps
  const int size = base64_decoded_size(f.text);
  assert_int_equal(f.text.size(), base64_size(1000));
  assert_int_equal(size, 1000);
}

void refuses_what_is_no_base64(NoFixture&) {
  const std::string_view rows[] = {"Z",    "Zg",     "Zg=",        "Zg===", "=",       "Z===",
                                   "====", "Zm=v",   "Zg==Zg==",   "Zm9v=", "Zm 9v",   "Zm9-",
                                   "Zm9_", "Zm9v\n", "\xC3\xA9==", "Zm8=Z", "Zm9v\0"sv};
  for (const auto& row : rows)
    if (base64_decoded_size(row) != -1) fail_msg("\"%s\" was accepted", row.data());
}

void decodes_base64_in_any_pieces(NoFixture&) {
  constexpr std::string_view kText = "AAECAwQFBgcICQ==";
  for (size_t cut = 0; cut <= kText.size(); ++cut) {
    uint8_t room[16 + 2 * Base64Decoder::kSlack];
    base::ByteWriter out(room);
    Base64Decoder decoder;
    bool ok = decoder.feed(base::as_bytes(kText.substr(0, cut)), out);
    ok = decoder.feed(base::as_bytes(kText.substr(cut)), out) && ok;
    ok = decoder.finish() && ok && out.ok();
    assert_true(ok);
    assert_int_equal(out.size(), 10);
    for (size_t i = 0; i < 10; ++i) assert_int_equal(room[i], i);
  }
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(Fixture, answers_the_example_of_the_rfc),
      TEST(Fixture, answers_no_extension),
      TEST(Fixture, accepts_what_browsers_send),
      TEST(Fixture, chooses_the_subprotocol),
      TEST(Fixture, refuses_all_else),
      TEST(Fixture, tells_pages_from_websockets),
      TEST(Fixture, encodes_base64),
      TEST(NoFixture, refuses_what_is_no_base64),
      TEST(NoFixture, decodes_base64_in_any_pieces),
  };
  return vncauthproxy::testing::run_group("ws_upgrade", tests);
}
