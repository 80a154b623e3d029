// SPDX-License-Identifier: GPL-2.0-or-later
// Who gets a port: all addresses or none, never a stranger beside us; and an accepting side that rests when
// there are no descriptors instead of spinning.
#include "vncauthproxy/net/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/descriptors.h"
#include "tests/support/loop_until.h"
#include "tests/support/peer.h"
#include "tests/support/socket.h"
#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::net {
namespace {

using base::Endpoint;
using base::ErrorCode;
using base::Fd;
using std::chrono::milliseconds;
using testing::connect_loopback;
using testing::endpoint_of;
using testing::endpoints_of;
using testing::NoMoreDescriptors;
using testing::Peer;
using testing::run_for;
using testing::run_until;

constexpr int kOk = -1;

// Another program that tries for a port.
struct Attempt {
  const char* host;
  bool v6_only = false;
  bool reuse_port = false;
};
Fd stranger(const Attempt& attempt, uint16_t port) {
  const Endpoint endpoint = endpoint_of(attempt.host, port);
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1, only = attempt.v6_only;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (attempt.reuse_port) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (endpoint.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  if (::bind(fd.get(), endpoint.get(), endpoint.length) != 0 || ::listen(fd.get(), 5) != 0) return {};
  return fd;
}

bool has_ipv6() {
  return static_cast<bool>(stranger({"::1", true}, 0));
}

int int_option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

std::string congestion_control(int fd) {
  char name[16] = "";  // TCP_CA_NAME_MAX
  socklen_t size = sizeof name;
  ::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size);
  return name;
}

struct Fixture {
  Fixture() {
    base::set_log_sink([this](base::LogLevel level, std::string_view line) {
      if (level == base::LogLevel::error) complaints.emplace_back(line);
    });
  }
  ~Fixture() { base::set_log_sink({}); }

  // kOk, or the code of the error.
  int listen(std::initializer_list<const char*> hosts, uint16_t at) {
    auto result = listen_on_all(endpoints_of(hosts), at);
    if (!result) {
      detail = result.error().detail;
      return static_cast<int>(result.error().code);
    }
    ours = std::move(*result);
    return kOk;
  }
  uint16_t port_of(size_t i) const { return base::local_of(ours[i].get())->port(); }
  bool says(std::string_view text) const { return detail.find(text) != detail.npos; }

  // Accepts at 127.0.0.1, up to `most` and then no more.
  void accept_connections(uint16_t at = 0) {
    listen({"127.0.0.1"}, at);
    port = port_of(0);
    acceptor = std::make_unique<Acceptor>(loop, std::move(ours[0]), [this](Fd fd, const Endpoint& peer) {
      accepted.push_back(std::move(fd));
      peers.push_back(peer.to_string());
    });
  }
  void connect(int count) {
    for (int i = 0; i < count; ++i) clients.push_back(connect_loopback(port));
  }

  Loop loop;
  std::vector<Fd> ours;
  std::string detail;
  std::vector<std::string> complaints;

  uint16_t port = 0;
  std::unique_ptr<Acceptor> acceptor;
  std::vector<Fd> accepted, clients;
  std::vector<std::string> peers;
  std::optional<NoMoreDescriptors> shortage;
};

// ---- who gets the port

void both_families_share_one_port_of_the_kernels_choice(Fixture& f) {
  if (!has_ipv6()) skip();
  const int got = f.listen({"127.0.0.1", "::1"}, 0);
  assert_int_equal(got, kOk);
  assert_int_equal(f.ours.size(), 2);
  const uint16_t first = f.port_of(0), second = f.port_of(1);
  assert_true(first != 0);
  assert_int_equal(first, second);
}

void everywhere_is_both_families(Fixture& f) {
  if (!has_ipv6()) skip();
  const int got = f.listen({"*"}, 0);
  assert_int_equal(got, kOk);
  assert_int_equal(f.ours.size(), 2);
  assert_int_equal(f.port_of(0), f.port_of(1));
}

void listeners_are_ready_for_the_worker(Fixture& f) {
  f.listen({"127.0.0.1"}, 0);
  const int fd = f.ours[0].get();
  assert_true((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  assert_true((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  assert_int_equal(int_option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
  assert_int_equal(int_option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
}

void all_or_none(Fixture& f) {
  if (!has_ipv6()) skip();
  f.listen({"::1"}, 0);
  const uint16_t port = f.port_of(0);
  Fd theirs = std::move(f.ours[0]);
  f.ours.clear();
  const int got = f.listen({"127.0.0.1", "::1"}, port);
  const bool names_it = f.says("[::1]:" + std::to_string(port));
  const bool v4_is_free = static_cast<bool>(stranger({"127.0.0.1"}, port));
  theirs.reset();
  assert_int_equal(got, ErrorCode::in_use);
  assert_true(names_it);
  assert_true(v4_is_free);
  const int again = f.listen({"127.0.0.1", "::1"}, port);
  assert_int_equal(again, kOk);
}

// Whatever another program asks for, before or after us: one of us gets the port. Our own requests are for
// the addresses named in `ours`.
void a_check_tells_without_listening(Fixture& f) {
  const auto check = [&f](std::initializer_list<const char*> hosts, uint16_t port) {
    const auto checked = check_listen(endpoints_of(hosts), port);
    f.detail = checked ? "" : checked.error().detail;
    return checked ? kOk : static_cast<int>(checked.error().code);
  };
  assert_int_equal(check({"127.0.0.1"}, 0), kOk);
  assert_int_equal(check({"192.0.2.1"}, 0), ErrorCode::system);
  assert_true(f.says("192.0.2.1:0: this machine does not have the address"));
  assert_int_equal(f.listen({"127.0.0.1"}, 0), kOk);
  const uint16_t port = f.port_of(0);
  assert_int_equal(check({"127.0.0.1"}, port), ErrorCode::in_use);
  f.ours.clear();
  assert_int_equal(check({"127.0.0.1"}, port), kOk);
  assert_int_equal(f.listen({"127.0.0.1"}, port), kOk);  // it was not kept
}

void a_port_has_one_owner(Fixture& f) {
  if (!has_ipv6()) skip();
  struct {
    const char* name;
    const char* ours;
    Attempt theirs;
  } const rows[] = {
      {"everywhere / loopback", "*", {"127.0.0.1"}},
      {"everywhere / another loopback address", "*", {"127.0.0.2"}},
      {"everywhere / any v4", "*", {"0.0.0.0"}},
      {"everywhere / any v6", "*", {"::", true}},
      {"everywhere / any, both families in one", "*", {"::", false}},
      {"everywhere / v6 loopback", "*", {"::1", true}},
      {"everywhere / v4 mapped into v6", "*", {"::ffff:127.0.0.1", false}},
      {"loopback / loopback", "127.0.0.1", {"127.0.0.1"}},
      {"loopback / any v4", "127.0.0.1", {"0.0.0.0"}},
      {"loopback / both families in one", "127.0.0.1", {"::", false}},
      {"v6 loopback / any v6", "::1", {"::", true}},
      {"any v4 / both families in one", "0.0.0.0", {"::", false}},
      {"any v6 / both families in one", "::", {"::", false}},
      {"any v4 / loopback that would share", "0.0.0.0", {"127.0.0.1", false, true}},
      {"any v4 / any that would share", "0.0.0.0", {"0.0.0.0", false, true}},
  };
  for (const auto& row : rows) {
    // A connection of somebody else's may have the same number of a port by chance: the next one is taken
    // then.
    bool they_got_it = false, they_could = false;
    int first = kOk, second = kOk, third = kOk;
    for (int chance = 0; chance < 10 && !they_could; ++chance) {
      first = f.listen({row.ours}, 0);
      const uint16_t port = f.port_of(0);
      they_got_it = static_cast<bool>(stranger(row.theirs, port));
      f.ours.clear();
      {
        const Fd theirs = stranger(row.theirs, port);
        they_could = static_cast<bool>(theirs);
        second = f.listen({row.ours}, port);
        f.ours.clear();
      }
      third = f.listen({row.ours}, port);
      f.ours.clear();
    }
    if (first != kOk || they_got_it || !they_could || second != static_cast<int>(ErrorCode::in_use) ||
        third != kOk)
      fail_msg("%s: first %d, they beside us %d, they alone %d, we beside them %d, we after them %d",
               row.name, first, they_got_it, they_could, second, third);
  }
}

void a_bound_port_that_nobody_listens_on_is_free(Fixture& f) {
  // Two may bind with SO_REUSEADDR; whoever listens first has the port, and that is not told by bind().
  Fd bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(bound.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const Endpoint any = endpoint_of("127.0.0.1");
  const int could_bind = ::bind(bound.get(), any.get(), any.length);
  const uint16_t port = base::local_of(bound.get())->port();
  const int got = f.listen({"127.0.0.1"}, port);
  const int they = ::listen(bound.get(), 5);
  assert_int_equal(could_bind, 0);
  assert_int_equal(got, kOk);
  assert_int_equal(they, -1);
}

void live_sessions_do_not_keep_the_port(Fixture& f) {
  f.listen({"127.0.0.1"}, 0);
  const uint16_t port = f.port_of(0);
  const Fd client = connect_loopback(port);
  Fd session(::accept4(f.ours[0].get(), nullptr, nullptr, SOCK_CLOEXEC));
  f.ours.clear();
  const bool live = client && session;
  const int beside_live = f.listen({"127.0.0.1"}, port);
  f.ours.clear();
  session.reset();  // our side closes first: it is the one that rests in TIME_WAIT
  const int after = f.listen({"127.0.0.1"}, port);
  assert_true(live);
  assert_int_equal(beside_live, kOk);
  assert_int_equal(after, kOk);
}

void addresses_not_ours_are_refused_by_name(Fixture& f) {
  const int got = f.listen({"192.0.2.7"}, 0);
  const bool named = f.says("192.0.2.7:0");
  assert_int_equal(got, ErrorCode::system);
  assert_true(named);
}

// "localhost" where IPv6 is switched off.
void an_ipv6_address_may_be_missing_beside_another(Fixture& f) {
  const int v4_missing = f.listen({"127.0.0.1", "192.0.2.7"}, 0);
  const int v6_missing = f.listen({"2001:db8::7", "127.0.0.1"}, 0);
  const size_t listeners = f.ours.size();
  const int alone = f.listen({"2001:db8::7"}, 0);
  assert_int_equal(v4_missing, ErrorCode::system);
  assert_int_equal(v6_missing, kOk);
  assert_int_equal(listeners, 1);
  assert_int_equal(alone, ErrorCode::unsupported);
  assert_true(f.says("[2001:db8::7]:0"));
}

void no_address_is_an_error(Fixture&) {
  bool refused = false;
  { refused = !listen_on_all({}, 0); }
  assert_true(refused);
}

void without_descriptors_it_says_so(Fixture& f) {
  f.shortage.emplace();
  const int got = f.listen({"127.0.0.1"}, 0);
  f.shortage.reset();
  assert_int_equal(got, ErrorCode::exhausted);
  const unsigned before = testing::count_descriptors();
  f.shortage.emplace(1);  // enough for the first address only
  const int second = f.listen({"127.0.0.1", "127.0.0.2"}, 0);
  f.shortage.reset();
  const unsigned after = testing::count_descriptors();
  assert_int_equal(second, ErrorCode::exhausted);
  assert_int_equal(after, before);
}

// ---- accepting

void what_comes_during_a_pause_waits(Fixture& f) {
  f.accept_connections();
  f.acceptor->pause(true);
  f.connect(3);
  testing::run_for(f.loop, milliseconds(50));
  assert_int_equal(f.accepted.size(), 0);
  f.acceptor->pause(false);
  const bool got = run_until(f.loop, [&f] { return f.accepted.size() == 3; });
  assert_true(got);
}

void accepted_sockets_are_ready_for_use(Fixture& f) {
  f.accept_connections();
  f.connect(1);
  const bool got = run_until(f.loop, [&f] { return f.accepted.size() == 1; });
  assert_true(got);
  const int fd = f.accepted[0].get();
  assert_true((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  assert_true((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  assert_int_equal(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
  assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
  assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
  const bool its_address = f.peers[0] == base::local_of(f.clients[0].get())->to_string();
  assert_true(its_address);
}

// A system that paces its connections (bbr) means those to other machines.
void connections_of_this_machine_are_not_paced(Fixture& f) {
  f.accept_connections();
  f.connect(1);
  const bool got = run_until(f.loop, [&f] { return f.accepted.size() == 1; });
  assert_true(got);
  bool paced = congestion_control(f.accepted[0].get()) != "reno";
  assert_false(paced);
  f.listen({"0.0.0.0"}, 0);
  const bool as_usual = congestion_control(f.ours[0].get()) == congestion_control(f.clients[0].get());
  assert_true(as_usual);
  if (!has_ipv6()) return;
  f.listen({"::1"}, 0);
  paced = congestion_control(f.ours[0].get()) != "reno";
  assert_false(paced);
}

void accepts_one_each_turn(Fixture& f) {
  f.accept_connections();
  f.connect(3);
  for (size_t i = 1; i <= 3; ++i) {
    testing::turn(f.loop);
    assert_int_equal(f.accepted.size(), i);
  }
}

void peers_that_are_gone_do_no_harm(Fixture& f) {
  f.accept_connections();
  for (int i = 0; i < 5; ++i) Peer(connect_loopback(f.port)).reset();
  for (int i = 0; i < 5; ++i) Peer(connect_loopback(f.port)).close();
  f.connect(1);
  const std::string last = base::local_of(f.clients[0].get())->to_string();
  const bool reached = run_until(f.loop, [&] { return !f.peers.empty() && f.peers.back() == last; });
  f.peers.clear();
  assert_true(reached);
}

void shut_it_refuses_and_keeps_the_port(Fixture& f) {
  f.accept_connections(testing::find_free_range(1));
  for (int round = 0; round < 3; ++round) {
    f.connect(2);  // not accepted yet
    f.acceptor->shut();
    const unsigned turns = run_for(f.loop, milliseconds(100));
    assert_true(turns < 60);  // nothing wakes the loop
    const bool refused = !connect_loopback(f.port);
    assert_true(refused);
    const bool resumed = f.acceptor->reopen();
    assert_true(resumed);
    f.connect(1);
    const size_t expected = static_cast<size_t>(round) + 1;
    const bool accepted = run_until(f.loop, [&] { return f.accepted.size() == expected; });
    assert_true(accepted);
    assert_int_equal(int_option(f.accepted.back().get(), IPPROTO_TCP, TCP_NODELAY), 1);
  }
}

void shut_it_may_lose_the_port(Fixture& f) {
  f.accept_connections(testing::find_free_range(1));
  f.acceptor->shut();
  f.clients.push_back(stranger({"127.0.0.1"}, f.port));
  const bool theirs = static_cast<bool>(f.clients.back());
  const bool resumed = f.acceptor->reopen();
  f.clients.clear();
  const bool resumed_then = f.acceptor->reopen();
  assert_true(theirs);
  assert_false(resumed);
  assert_true(resumed_then);
}

void without_descriptors_it_rests_and_recovers(Fixture& f) {
  f.accept_connections();
  f.connect(3);
  f.shortage.emplace();
  const clock_t cpu_before = ::clock();
  const unsigned turns = run_for(f.loop, milliseconds(350));
  const double cpu = static_cast<double>(::clock() - cpu_before) / CLOCKS_PER_SEC;
  f.shortage.reset();
  assert_int_equal(f.accepted.size(), 0);
  assert_int_equal(f.complaints.size(), 1);
  // A turn is every 5 ms when nothing happens; a listener that does not rest turns hundreds of thousands of
  // times.
  assert_true(turns < 200);
  assert_true(cpu < 0.3);
  const bool all = run_until(f.loop, [&f] { return f.accepted.size() == 3; });
  assert_true(all);
  assert_int_equal(f.complaints.size(), 1);

  f.connect(1);
  f.shortage.emplace();  // the next time is news again
  const bool told = run_until(f.loop, [&f] { return f.complaints.size() == 2; });
  f.shortage.reset();
  assert_true(told);
  const bool fourth = run_until(f.loop, [&f] { return f.accepted.size() == 4; });
  assert_true(fourth);
}

void may_go_while_it_rests(Fixture& f) {
  f.accept_connections();
  f.connect(1);
  f.shortage.emplace();
  const bool told = run_until(f.loop, [&f] { return f.complaints.size() == 1; });
  f.shortage.reset();
  f.acceptor.reset();
  run_for(f.loop, milliseconds(150));
  assert_true(told);
  assert_int_equal(f.accepted.size(), 0);
  const bool refused = !connect_loopback(f.port);
  assert_true(refused);
}

}  // namespace
}  // namespace vncauthproxy::net

int main() {
  using namespace vncauthproxy::net;
  const CMUnitTest tests[] = {
      TEST(Fixture, both_families_share_one_port_of_the_kernels_choice),
      TEST(Fixture, everywhere_is_both_families),
      TEST(Fixture, listeners_are_ready_for_the_worker),
      TEST(Fixture, all_or_none),
      TEST(Fixture, a_check_tells_without_listening),
      TEST(Fixture, a_port_has_one_owner),
      TEST(Fixture, a_bound_port_that_nobody_listens_on_is_free),
      TEST(Fixture, live_sessions_do_not_keep_the_port),
      TEST(Fixture, addresses_not_ours_are_refused_by_name),
      TEST(Fixture, an_ipv6_address_may_be_missing_beside_another),
      TEST(Fixture, no_address_is_an_error),
      TEST(Fixture, without_descriptors_it_says_so),
      TEST(Fixture, what_comes_during_a_pause_waits),
      TEST(Fixture, accepted_sockets_are_ready_for_use),
      TEST(Fixture, connections_of_this_machine_are_not_paced),
      TEST(Fixture, accepts_one_each_turn),
      TEST(Fixture, peers_that_are_gone_do_no_harm),
      TEST(Fixture, shut_it_refuses_and_keeps_the_port),
      TEST(Fixture, shut_it_may_lose_the_port),
      TEST(Fixture, without_descriptors_it_rests_and_recovers),
      TEST(Fixture, may_go_while_it_rests),
  };
  return vncauthproxy::testing::run_group("listener", tests);
}
