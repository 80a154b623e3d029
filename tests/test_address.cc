// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/address.h"

#include <sys/un.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"
#include "vncauthproxy/base/fd.h"

namespace vncauthproxy::base {
namespace {

using testing::NoFixture;

Endpoint numeric(const char* host, const char* service = "5900") {
  Result<std::vector<Endpoint>> found = resolve(host, service, ResolveFor::connect);
  return found && found->size() == 1 ? found->front() : Endpoint();
}

// The error of resolve() as an integer, or -1 when it succeeds.
int code_of(const std::string& host, const std::string& service, ResolveFor purpose) {
  Result<std::vector<Endpoint>> found = resolve(host, service, purpose);
  return found ? -1 : static_cast<int>(found.error().code);
}

void prints_endpoints(NoFixture&) {
  struct {
    const char *host, *service, *text;
  } const rows[] = {
      {"192.0.2.7", "5900", "192.0.2.7:5900"},     {"2001:db8::1", "65535", "[2001:db8::1]:65535"},
      {"2001:DB8:0:0::1", "1", "[2001:db8::1]:1"}, {"::ffff:192.0.2.7", "5900", "192.0.2.7:5900"},
      {"fe80::1%lo", "5900", "[fe80::1%lo]:5900"},
  };
  for (const auto& row : rows) {
    const bool same = numeric(row.host, row.service).to_string() == row.text;
    if (!same) print_error("row %s\n", row.text);
    assert_true(same);
  }
}

void changes_ports_of_both_families(NoFixture&) {
  for (const char* host : {"192.0.2.7", "2001:db8::1"}) {
    Endpoint endpoint = numeric(host, "5900");
    assert_int_equal(endpoint.port(), 5900);
    endpoint.set_port(65535);
    assert_int_equal(endpoint.port(), 65535);
    const bool host_kept = endpoint.host() == host;
    assert_true(host_kept);
  }
}

void other_families_have_no_port(NoFixture&) {
  Endpoint empty;
  empty.set_port(5900);
  assert_int_equal(empty.port(), 0);
  const bool named = empty.host() == "unknown" && empty.to_string() == "unknown";
  assert_true(named);
  assert_false(empty.is_loopback());
  assert_false(same_host(empty, empty));
}

void knows_loopback(NoFixture&) {
  struct {
    const char* host;
    bool loopback;
  } const rows[] = {{"127.0.0.1", true},        {"127.255.0.9", true}, {"126.0.0.1", false},
                    {"128.0.0.1", false},       {"::1", true},         {"::2", false},
                    {"::ffff:127.0.0.1", true}, {"0.0.0.0", false},    {"::ffff:10.0.0.1", false}};
  for (const auto& row : rows) assert_int_equal(numeric(row.host).is_loopback(), row.loopback);
}

void compares_hosts_without_ports(NoFixture&) {
  struct {
    const char *a, *b;
    bool same;
  } const rows[] = {{"192.0.2.7", "192.0.2.7", true},        {"192.0.2.7", "192.0.2.8", false},
                    {"::ffff:192.0.2.7", "192.0.2.7", true}, {"192.0.2.7", "::ffff:192.0.2.7", true},
                    {"::192.0.2.7", "192.0.2.7", false},     {"2001:db8::1", "2001:db8:0::1", true},
                    {"2001:db8::1", "2001:db8::2", false},   {"fe80::1%lo", "fe80::1", false}};
  for (const auto& row : rows)
    assert_int_equal(same_host(numeric(row.a, "1"), numeric(row.b, "2")), row.same);
}

void takes_a_network_of_ipv6_for_one_source(NoFixture&) {
  struct {
    const char *a, *b;
    bool same;
  } const rows[] = {{"192.0.2.7", "192.0.2.7", true},
                    {"192.0.2.7", "192.0.2.8", false},
                    {"::ffff:192.0.2.7", "192.0.2.7", true},
                    {"::ffff:192.0.2.7", "::ffff:192.0.2.8", false},
                    {"::192.0.2.7", "192.0.2.7", false},
                    {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
                    {"2001:db8:0:1::1", "2001:db8:0:2::1", false}};
  for (const auto& row : rows) {
    assert_int_equal(same_source(numeric(row.a, "1"), numeric(row.b, "2")), row.same);
    assert_int_equal(same_source(numeric(row.b, "1"), numeric(row.a, "2")), row.same);
  }
}

struct Listening {
  Result<std::vector<Endpoint>> star = resolve("*", "0", ResolveFor::listen);
  Result<std::vector<Endpoint>> empty = resolve("", "24999", ResolveFor::listen);
  Result<std::vector<Endpoint>> loopback = resolve("localhost", "0", ResolveFor::listen);

  static bool has(Result<std::vector<Endpoint>>& found, const char* text) {
    if (!found) return false;
    for (const Endpoint& endpoint : *found)
      if (endpoint.to_string() == text) return true;
    return false;
  }
};

void listens_on_every_address(Listening& f) {
  const bool star = Listening::has(f.star, "0.0.0.0:0") && Listening::has(f.star, "[::]:0");
  const bool empty = Listening::has(f.empty, "0.0.0.0:24999") && Listening::has(f.empty, "[::]:24999");
  assert_true(star && f.star->size() == 2);
  assert_true(empty && f.empty->size() == 2);
}

void resolves_names_each_address_once(Listening& f) {
  assert_true(static_cast<bool>(f.loopback));
  assert_true(f.loopback->size() >= 1);
  for (size_t i = 0; i < f.loopback->size(); ++i) {
    assert_true((*f.loopback)[i].is_loopback());
    for (size_t j = 0; j < i; ++j) {
      const bool twice = (*f.loopback)[i].to_string() == (*f.loopback)[j].to_string();
      assert_false(twice);
    }
  }
}

void refuses_bad_services_and_hosts(NoFixture&) {
  constexpr int good = -1;
  constexpr int invalid = static_cast<int>(ErrorCode::invalid);
  constexpr int unreachable = static_cast<int>(ErrorCode::unreachable);
  struct {
    const char *host, *service;
    ResolveFor purpose;
    int code;
  } const rows[] = {
      {"127.0.0.1", "65535", ResolveFor::connect, good},
      {"127.0.0.1", "http", ResolveFor::connect, good},
      {"127.0.0.1", "0", ResolveFor::listen, good},
      {"127.0.0.1", "0", ResolveFor::connect, invalid},
      {"127.0.0.1", "65536", ResolveFor::connect, invalid},
      {"127.0.0.1", "99999999999999999999999", ResolveFor::connect, invalid},
      {"127.0.0.1", "-1", ResolveFor::connect, invalid},
      {"127.0.0.1", " 80", ResolveFor::connect, invalid},
      {"127.0.0.1", "80 ", ResolveFor::connect, invalid},
      {"127.0.0.1", "0x50", ResolveFor::connect, invalid},
      {"127.0.0.1", "", ResolveFor::listen, invalid},
      {"127.0.0.1", "no-such-service", ResolveFor::connect, invalid},
      {"", "80", ResolveFor::connect, invalid},
      {"*", "80", ResolveFor::connect, invalid},
      {"bad..name", "80", ResolveFor::connect, unreachable},
  };
  for (const auto& row : rows) {
    const int code = code_of(row.host, row.service, row.purpose);
    if (code != row.code) print_error("row '%s' '%s': %d\n", row.host, row.service, code);
    assert_int_equal(code, row.code);
  }
}

struct OddNames {
  std::string too_long = std::string(256, 'a');
  std::string with_nul = std::string("127.0.0.1\0.example", 18);
};

void refuses_hosts_no_name_can_have(OddNames& f) {
  const int invalid = static_cast<int>(ErrorCode::invalid);
  assert_int_equal(code_of(f.too_long, "80", ResolveFor::connect), invalid);
  assert_int_equal(code_of(f.with_nul, "80", ResolveFor::connect), invalid);
  assert_int_equal(code_of(f.with_nul, "80", ResolveFor::listen), invalid);
}

void every_spelling_of_an_address_ends_as_the_address(NoFixture&) {
  for (const char* spelling : {"127.1", "0x7f000001", "2130706433", "0177.0.0.1"}) {
    const bool same = numeric(spelling).host() == "127.0.0.1";
    assert_true(same);
  }
}

struct Sockets {
  Fd listener{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Fd client{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Result<FdPair> local = socket_pair(SOCK_STREAM);
  bool connected = false;

  Sockets() {
    Endpoint here = numeric("::1", "1");
    here.set_port(0);
    if (::bind(listener.get(), here.get(), here.length) != 0 || ::listen(listener.get(), 1) != 0) return;
    Result<Endpoint> bound = local_of(listener.get());
    connected = bound && ::connect(client.get(), bound->get(), bound->length) == 0;
  }
};

bool ends_agree(int listener, int client) {
  Result<Endpoint> bound = local_of(listener), peer = peer_of(client);
  return bound && peer && bound->to_string() == peer->to_string() && peer->port() != 0 && peer->is_loopback();
}

void names_both_ends_of_a_socket(Sockets& f) {
  if (!f.connected) skip();  // a machine without IPv6
  assert_true(ends_agree(f.listener.get(), f.client.get()));
}

int peer_code(int fd) {
  Result<Endpoint> peer = peer_of(fd);
  return peer ? -1 : static_cast<int>(peer.error().code);
}
bool peer_is(int fd, const char* text) {
  Result<Endpoint> peer = peer_of(fd);
  return peer && peer->to_string() == text;
}

void says_when_there_is_no_peer(Sockets& f) {
  assert_int_equal(peer_code(f.listener.get()), static_cast<int>(ErrorCode::closed));
  assert_int_equal(peer_code(-1), static_cast<int>(ErrorCode::system));
  assert_true(peer_is(f.local->first.get(), "local"));
}

// "inside", "outside", or what is wrong with the network; a temporary must not live at an assertion.
bool place_is(const std::string& network, const char* host, std::string_view expected) {
  const Result<Network> parsed = parse_network(network);
  if (!parsed) return parsed.error().code == ErrorCode::invalid && parsed.error().detail == expected;
  return (parsed->contains(numeric(host)) ? "inside" : "outside") == expected;
}

void networks_compare_addresses_not_text(NoFixture&) {
  constexpr const char* kNoAddress = "is neither an IPv4 or IPv6 address nor a network of such";
  constexpr const char* kNoBits = "has no number from 0 to 32 behind its slash";
  struct {
    const char *network, *host, *place;
  } const rows[] = {
      {"192.0.2.7", "192.0.2.7", "inside"},
      {"192.0.2.7", "192.0.2.8", "outside"},
      {"192.0.2.7", "::ffff:192.0.2.7", "inside"},
      {"::ffff:192.0.2.7", "192.0.2.7", "inside"},
      {"::FFFF:c000:207", "192.0.2.7", "inside"},
      {"192.0.2.7", "2001:db8::1", "outside"},
      {"192.0.2.0/24", "192.0.2.255", "inside"},
      {"192.0.2.99/24", "192.0.2.1", "inside"},
      {"192.0.2.0/24", "192.0.3.0", "outside"},
      {"192.0.2.0/25", "192.0.2.127", "inside"},
      {"192.0.2.0/25", "192.0.2.128", "outside"},
      {"192.0.2.0/31", "192.0.2.1", "inside"},
      {"192.0.2.0/31", "192.0.2.2", "outside"},
      {"0.0.0.0/0", "203.0.113.1", "inside"},
      {"0.0.0.0/0", "::1", "outside"},
      {"::/0", "::1", "inside"},
      {"::/0", "192.0.2.7", "outside"},
      {"::/64", "192.0.2.7", "outside"},
      {"::/80", "::ffff:192.0.2.7", "outside"},
      {"::ffff:192.0.2.0/120", "192.0.2.9", "inside"},
      {"2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "inside"},
      {"2001:db8::/32", "2001:db8:ffff::1", "inside"},
      {"2001:db8::/32", "2001:db9::1", "outside"},
      {"2001:db8::/33", "2001:db8:8000::1", "outside"},
      {"fe80::/10", "fe80::1%lo", "inside"},
      {"::1/128", "::1", "inside"},
      {"", "::1", kNoAddress},
      {"/24", "::1", kNoAddress},
      {"localhost", "::1", kNoAddress},
      {"127.1", "127.0.0.1", kNoAddress},
      {"0x7f000001", "127.0.0.1", kNoAddress},
      {"192.0.2.7:5900", "::1", kNoAddress},
      {"[::1]", "::1", kNoAddress},
      {"fe80::1%lo", "fe80::1%lo", kNoAddress},
      {" 192.0.2.7", "192.0.2.7", kNoAddress},
      {"192.0.2.0/", "::1", kNoBits},
      {"192.0.2.0/33", "::1", kNoBits},
      {"192.0.2.0/-1", "::1", kNoBits},
      {"192.0.2.0/24 ", "::1", kNoBits},
      {"192.0.2.0/255.255.255.0", "::1", kNoBits},
      {"::/129", "::1", "has no number from 0 to 128 behind its slash"},
  };
  for (const auto& row : rows) {
    const bool good = place_is(row.network, row.host, row.place);
    if (!good) print_error("%s and %s\n", row.network, row.host);
    assert_true(good);
  }
  assert_true(place_is(std::string("::1\0", 4), "::1", kNoAddress));
}

void nobody_is_in_a_network_without_an_address(NoFixture&) {
  const Network anywhere{numeric("::"), 0};
  assert_false(anywhere.contains(Endpoint()));
}

bool parts_are(const char* text, std::string_view expected) {
  const Result<HostAndPort> parts = parse_host_and_port(text);
  return (parts ? parts->host + " and " + parts->port : parts.error().detail) == expected;
}

void takes_hosts_and_ports_apart(NoFixture&) {
  struct {
    const char *text, *parts;
  } const rows[] = {
      {"192.0.2.7:8888", "192.0.2.7 and 8888"},
      {"localhost:http", "localhost and http"},
      {"[::1]:0", "::1 and 0"},
      {"*:843", "* and 843"},
      {"", "has no port behind a colon"},
      {"8888", "has no port behind a colon"},
      {"localhost:", "has no port behind a colon"},
      {":8888", "has no address before the colon"},
      {"[]:8888", "has no address before the colon"},
      {"::1:8888", "needs brackets around its IPv6 address"},
      {"localhost:65536", "has no good port: no port has the number 65536"},
      {"tcp:8888:interface=localhost", "needs brackets around its IPv6 address"},
      {"localhost:80 80", "has no good port: '80 80' is neither a port number nor the name of a service"},
  };
  for (const auto& row : rows) {
    const bool good = parts_are(row.text, row.parts);
    if (!good) print_error("row %s\n", row.text);
    assert_true(good);
  }
}

}  // namespace
}  // namespace vncauthproxy::base

int main() {
  using namespace vncauthproxy::base;
  using vncauthproxy::testing::NoFixture;
  const CMUnitTest tests[] = {
      TEST(NoFixture, prints_endpoints),
      TEST(NoFixture, changes_ports_of_both_families),
      TEST(NoFixture, other_families_have_no_port),
      TEST(NoFixture, knows_loopback),
      TEST(NoFixture, compares_hosts_without_ports),
      TEST(NoFixture, takes_a_network_of_ipv6_for_one_source),
      TEST(Listening, listens_on_every_address),
      TEST(Listening, resolves_names_each_address_once),
      TEST(NoFixture, refuses_bad_services_and_hosts),
      TEST(OddNames, refuses_hosts_no_name_can_have),
      TEST(NoFixture, every_spelling_of_an_address_ends_as_the_address),
      TEST(Sockets, names_both_ends_of_a_socket),
      TEST(Sockets, says_when_there_is_no_peer),
      TEST(NoFixture, networks_compare_addresses_not_text),
      TEST(NoFixture, nobody_is_in_a_network_without_an_address),
      TEST(NoFixture, takes_hosts_and_ports_apart),
  };
  return vncauthproxy::testing::run_group("address", tests);
}
