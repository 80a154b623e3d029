// SPDX-License-Identifier: GPL-2.0-or-later
// Where a request ends on each kind of listener and which dialect it is in, however it is cut.
#include "vncauthproxy/proto/request_reader.h"

#include <cstring>
#include <string>

#include "tests/support/feeder.h"
#include "vncauthproxy/proto/vncap.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::proto {
namespace {

using testing::NoFixture;

constexpr Speech kLogin{true, Dialect::main};
constexpr Speech kSocket{false, Dialect::main};
constexpr Speech kLine{false, Dialect::vncap};

struct Fixture {
  std::string text, seen;
};

const char* name_of(Dialect dialect) {
  return dialect == Dialect::vncap ? "vncap" : "main";
}

std::string describe(const RequestReader& reader, const RequestReader::Parsed& parsed) {
  const std::string text = std::string(name_of(reader.dialect())) + ": ";
  if (!parsed) return text + parsed.error().reason;
  return text + parsed->destination_address + ", dialect " + name_of(parsed->dialect) + ", end " +
         std::to_string(reader.end());
}

std::string read(Speech speech, const testing::Pieces& pieces) {
  RequestReader reader(speech);
  std::string all;
  for (const base::Bytes piece : pieces) {
    all += base::as_text(piece);
    if (const auto parsed = reader.advance(all)) return describe(reader, *parsed);
  }
  return std::string(name_of(reader.dialect())) + ": more";
}

std::string read_every_way(Speech speech, std::string_view text) {
  return testing::feed_every_way(text, [speech](const testing::Pieces& p) { return read(speech, p); });
}

constexpr char kMain[] =
    R"({"auth_user": "u", "auth_password": "p", "source_port": 0, "destination_address": "h",)"
    R"( "destination_port": 1, "password": "s"})";
constexpr char kBom[] = "\xef\xbb\xbf";
constexpr char kVncap[] = R"({"daddr": "h", "dport": 1, "password": "s"})";

void each_listener_hears_what_it_may(Fixture& f) {
  struct {
    const char* name;
    Speech speech;
    std::string text;
    const char* result;
  } const rows[] = {
      {"login, main", kLogin, kMain, "main: h, dialect main, end 126"},
      {"login, main and a line end", kLogin, std::string(kMain) + "\r\n", "main: h, dialect main, end 126"},
      {"login, main and a byte order mark", kLogin, kBom + std::string(kMain),
       "main: h, dialect main, end 129"},
      {"login, vncap", kLogin, std::string(kVncap) + "\r\n",
       "main: this dialect (daddr) has no login and is not spoken here"},
      {"login, no JSON", kLogin, "x\r\n", "main: not a JSON object"},
      {"login, a line alone", kLogin, "\r\n", "main: more"},
      {"login, half of it", kLogin, R"({"daddr")", "main: more"},

      {"socket, main", kSocket, kMain, "main: h, dialect main, end 126"},
      {"socket, main and a byte order mark", kSocket, kBom + std::string(kMain),
       "main: h, dialect main, end 129"},
      {"socket, main in lines", kSocket,
       "\n{\"source_port\": 0,\n\"destination_address\": \"h\",\n\"destination_port\": 1}\n",
       "main: h, dialect main, end 70"},
      {"socket, main and more behind it", kSocket, std::string(kMain) + " more\n",
       "main: h, dialect main, end 126"},
      {"socket, vncap", kSocket, std::string(kVncap) + "\r\n", "vncap: h, dialect vncap, end 45"},
      {"socket, vncap with LF alone", kSocket, std::string(kVncap) + "\n", "vncap: h, dialect vncap, end 44"},
      {"socket, vncap without its end", kSocket, kVncap, "vncap: more"},
      {"socket, vncap and more behind it", kSocket, std::string(kVncap) + " more\r\n",
       "vncap: not valid JSON (line 1, column 48)"},
      {"socket, both keys", kSocket, R"({"daddr": "h", "destination_address": "h"})",
       "main: missing key: source_port"},
      {"socket, neither key", kSocket, "{}", "main: missing key: source_port"},
      {"socket, no JSON", kSocket, "FAILED\r\n", "main: not a JSON object"},
      {"socket, bad JSON", kSocket, "{daddr}\r\n", "main: not valid JSON (line 1, column 6)"},

      {"line, vncap", kLine, std::string(kVncap) + "\r\n", "vncap: h, dialect vncap, end 45"},
      {"line, vncap with LF alone", kLine, std::string(kVncap) + "\n", "vncap: h, dialect vncap, end 44"},
      {"line, a byte order mark first", kLine, kBom + std::string(kVncap) + "\r\n",
       "vncap: h, dialect vncap, end 48"},
      {"line, half a byte order mark", kLine, "\xef\xbb" + std::string(kVncap) + "\r\n",
       "vncap: not a JSON object"},
      {"line, blanks around", kLine, " " + std::string(kVncap) + " \r\n", "vncap: h, dialect vncap, end 47"},
      {"line, vncap without its end", kLine, kVncap, "vncap: more"},
      {"line, CR alone", kLine, std::string(kVncap) + "\r", "vncap: more"},
      {"line, a second one", kLine, std::string(kVncap) + "\r\n{}\r\n", "vncap: h, dialect vncap, end 45"},
      {"line, main", kLine, kMain, "main: h, dialect main, end 126"},
      {"line, main and its end", kLine, std::string(kMain) + "\r\n", "main: h, dialect main, end 126"},
      {"line, in two lines", kLine, "{\"daddr\": \"h\",\n\"dport\": 1}\n",
       "vncap: not valid JSON (line 1, column 14)"},
      {"line, an empty one first", kLine, "\r\n" + std::string(kVncap) + "\r\n",
       "vncap: not valid JSON (line 1, column 0)"},
      {"line, not over within", kLine, "{\"daddr\": \"h\"\r\n", "vncap: not valid JSON (line 1, column 13)"},
      {"line, neither key", kLine, "{}\r\n", "vncap: missing key: daddr"},
      {"line, both keys", kLine, "{\"daddr\": \"h\", \"destination_address\": \"h\"}\r\n",
       "vncap: missing key: dport"},
      {"line, no object", kLine, "[]\r\n", "vncap: not a JSON object"},
      {"line, a number", kLine, "17\r\n", "vncap: not a JSON object"},
      {"line, nothing", kLine, "", "vncap: more"},
  };
  for (const auto& row : rows) {
    f.seen = read_every_way(row.speech, row.text);
    if (f.seen != row.result) print_message("  %s\n", row.name);
    assert_string_equal(f.seen.c_str(), row.result);
  }
}

std::string line_of(size_t size) {
  std::string line = R"({"daddr": "h", "dport": 1, "password": "s", "x": ""})";
  line.insert(line.size() - 2, size - line.size(), 'x');
  return line;
}

void lines_are_limited(Fixture& f) {
  constexpr const char* kTooLong = "vncap: a request of more than 16384 bytes";
  for (const Speech speech : {kLine, kSocket}) {
    f.text = line_of(kMaxVncapBytes) + "\r\n";
    f.seen = read(speech, testing::cut(base::as_bytes(f.text), 0));
    assert_string_equal(f.seen.c_str(), "vncap: h, dialect vncap, end 16386");
    f.text = line_of(kMaxVncapBytes + 1) + "\r\n";
    f.seen = read(speech, testing::cut(base::as_bytes(f.text), 0));
    assert_string_equal(f.seen.c_str(), kTooLong);
    f.text = line_of(kMaxVncapBytes) + std::string(2, ' ');
    f.seen = read(speech, testing::cut(base::as_bytes(f.text), 0));
    assert_string_equal(f.seen.c_str(), kTooLong);
  }
  f.text = "{\"daddr\": \"" + std::string(kMaxVncapBytes, 'x');
  f.seen = read(kLine, testing::cut(base::as_bytes(f.text), 1));
  assert_string_equal(f.seen.c_str(), kTooLong);
  // The limit of that listener holds for both dialects, however it comes.
  f.text = kMain;
  f.text.insert(1, kMaxVncapBytes, ' ');
  for (const size_t plan : {size_t{0}, size_t{1}}) {
    f.seen = read(kLine, testing::cut(base::as_bytes(f.text), plan));
    assert_string_equal(f.seen.c_str(), kTooLong);
    f.seen = read(kLogin, testing::cut(base::as_bytes(f.text), plan));
    assert_string_equal(f.seen.c_str(), "main: h, dialect main, end 16510");
  }
  f.text = "{\"daddr\": \"" + std::string(kMaxVncapBytes, 'x');
  // Only the line that is expected is so short: on a socket this may still become the main dialect.
  f.seen = read(kSocket, testing::cut(base::as_bytes(f.text), 0));
  assert_string_equal(f.seen.c_str(), "main: more");
}

void a_request_that_fills_its_room_is_refused(Fixture& f) {
  for (const Speech speech : {kLogin, kSocket}) {
    f.text.assign(kMaxRequestBytes - 1, ' ');
    f.seen = read(speech, testing::cut(base::as_bytes(f.text), 0));
    assert_string_equal(f.seen.c_str(), "main: more");
    f.text.assign(kMaxRequestBytes, ' ');
    f.seen = read(speech, testing::cut(base::as_bytes(f.text), 0));
    assert_string_equal(f.seen.c_str(), "main: a request of more than 65536 bytes");
  }
}

void replies_are_in_their_dialect(Fixture& f) {
  f.seen = to_text(Dialect::vncap, Success{5801, "h"});
  assert_string_equal(f.seen.c_str(), "5801\r\n");
  f.seen = to_text(Dialect::vncap, Failure{FailureCode::busy, "x"});
  assert_string_equal(f.seen.c_str(), "FAILED\r\n");
  f.seen = to_text(Dialect::main, Success{5801, "h"});
  assert_string_equal(f.seen.c_str(), R"({"source_port": 5801, "status": "OK", "proxy_address": "h"})");
  f.seen = to_text(Dialect::main, Failure{FailureCode::busy, "x"});
  assert_string_equal(
      f.seen.c_str(),
      R"({"source_port": 0, "status": "FAILED", "proxy_address": null, "reason": "x", "code": "busy"})");
}

}  // namespace
}  // namespace vncauthproxy::proto

int main() {
  using namespace vncauthproxy::proto;
  use_wiping_json_allocator();
  const CMUnitTest tests[] = {
      TEST(Fixture, each_listener_hears_what_it_may),
      TEST(Fixture, lines_are_limited),
      TEST(Fixture, a_request_that_fills_its_room_is_refused),
      TEST(Fixture, replies_are_in_their_dialect),
  };
  return vncauthproxy::testing::run_group("request_reader", tests);
}
