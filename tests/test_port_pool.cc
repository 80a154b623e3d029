// SPDX-License-Identifier: GPL-2.0-or-later
// Which port a forwarding gets: at random, rested, never a stranger's, never one twice.
#include "master/port_pool.h"

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/descriptors.h"
#include "tests/support/peer.h"
#include "tests/support/socket.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using proto::FailureCode;
using testing::endpoints_of;
using testing::find_free_range;
using testing::Listener;
using testing::NoMoreDescriptors;

struct Fixture {
  // A pool of `count` ports at 127.0.0.1 that nobody uses.
  void make(uint16_t count) {
    first = find_free_range(count);
    last = static_cast<uint16_t>(first + count - 1);
    if (first == 0) throw std::runtime_error("no free ports");
    renew();
  }
  void renew(std::initializer_list<const char*> hosts = {"127.0.0.1"}) {
    pool = std::make_unique<PortPool>(endpoints_of(hosts), first, last);
  }

  // The port, whose sockets are then in `leases`; 0 and `failure`.
  uint16_t grant(uint16_t wanted = 0) {
    auto granted = pool->grant(wanted);
    if (granted) {
      leases.push_back(std::move(*granted));
      return leases.back().port;
    }
    failure = granted.error();
    return 0;
  }
  // As when a worker has ended.
  void give_back(uint16_t port) {
    std::erase_if(leases, [port](const Lease& lease) { return lease.port == port; });
    pool->give_back(port);
  }
  bool failed_with(FailureCode code, std::string_view text) const {
    return failure && failure->code == code && failure->reason.find(text) != std::string::npos;
  }

  uint16_t first = 0, last = 0;
  std::unique_ptr<PortPool> pool;
  std::vector<Lease> leases;
  std::optional<proto::Failure> failure;
  std::vector<std::unique_ptr<Listener>> strangers;
  std::optional<NoMoreDescriptors> shortage;
  std::set<uint16_t> seen;
};

void a_lease_is_a_port_that_listens(Fixture& f) {
  f.make(5);
  const uint16_t port = f.grant();
  assert_in_range(port, f.first, f.last);
  assert_int_equal(f.leases[0].listeners.size(), 1);
  const uint16_t bound = base::local_of(f.leases[0].listeners[0].get())->port();
  assert_int_equal(bound, port);
  const bool reachable = static_cast<bool>(testing::connect_loopback(port));
  assert_true(reachable);
  assert_int_equal(f.pool->leased(), 1);
}

void a_lease_covers_every_address(Fixture& f) {
  f.make(5);
  f.pool = std::make_unique<PortPool>(endpoints_of({"127.0.0.1", "127.0.0.2"}), f.first, f.last);
  const uint16_t port = f.grant();
  assert_true(port != 0);
  assert_int_equal(f.leases[0].listeners.size(), 2);
}

// Chi-square over the first grant of 1000 fresh pools: 19 degrees of freedom, of which a fair choice passes
// 90 once in 10^10 runs; choosing in order, or a modulo of a biased source, is far above.
void the_choice_is_random(Fixture& f) {
  constexpr unsigned kPorts = 20, kRounds = 1000;
  f.make(kPorts);
  std::array<unsigned, kPorts> counts{};
  unsigned bad = 0;
  for (unsigned i = 0; i < kRounds; ++i) {
    f.renew();
    const uint16_t port = f.grant();
    f.leases.clear();
    if (port < f.first || port > f.last)
      ++bad;
    else
      ++counts[port - f.first];
  }
  double chi_square = 0;
  constexpr double kExpected = static_cast<double>(kRounds) / kPorts;
  for (const unsigned count : counts) chi_square += (count - kExpected) * (count - kExpected) / kExpected;
  assert_int_equal(bad, 0);
  assert_true(chi_square < 90);
}

void ports_are_not_given_in_order(Fixture& f) {
  f.make(30);
  unsigned next_to_the_last = 0;
  uint16_t before = f.grant();
  for (int i = 0; i < 29; ++i) {
    const uint16_t port = f.grant();
    if (port == before + 1 || port + 1 == before) ++next_to_the_last;
    before = port;
  }
  assert_true(next_to_the_last < 15);
}

void every_port_is_given_once(Fixture& f) {
  f.make(12);
  for (int i = 0; i < 12; ++i) {
    const uint16_t port = f.grant();
    assert_in_range(port, f.first, f.last);
    f.seen.insert(port);
  }
  assert_int_equal(f.seen.size(), 12);
  assert_int_equal(f.pool->leased(), 12);
  const uint16_t one_more = f.grant();
  const bool told = f.failed_with(FailureCode::no_port, "no free port between " + std::to_string(f.first) +
                                                            " and " + std::to_string(f.last));
  assert_int_equal(one_more, 0);
  assert_true(told);
  assert_int_equal(f.pool->leased(), 12);
}

void a_port_given_back_can_be_had_again(Fixture& f) {
  f.make(3);
  for (int i = 0; i < 3; ++i) f.grant();
  const uint16_t port = f.leases[1].port;
  f.give_back(port);
  assert_int_equal(f.pool->leased(), 2);
  const uint16_t again = f.grant();  // better one that rests than none
  assert_int_equal(again, port);
  const uint16_t more = f.grant();
  assert_int_equal(more, 0);
}

void a_port_given_back_rests_while_others_are_free(Fixture& f) {
  f.make(10);
  const uint16_t tired = f.grant();
  f.give_back(tired);
  bool met_again = false;
  for (int i = 0; i < 9; ++i) met_again |= f.grant() == tired;
  assert_false(met_again);
  const uint16_t last = f.grant();
  assert_int_equal(last, tired);
}

void the_longest_rest_ends_first(Fixture& f) {
  f.make(3);
  uint16_t order[3];
  for (uint16_t& port : order) port = f.grant();
  const uint16_t back[] = {order[1], order[0], order[2]};
  for (const uint16_t port : back) f.give_back(port);
  for (const uint16_t port : back) {
    const uint16_t next = f.grant();
    assert_int_equal(next, port);
  }
}

void a_stranger_costs_one_more_turn(Fixture& f) {
  f.make(6);
  for (uint16_t port = f.first; port < f.last; ++port)
    f.strangers.push_back(std::make_unique<Listener>("127.0.0.1", port));
  const uint16_t only = f.grant();
  assert_int_equal(only, f.last);
  const uint16_t none = f.grant();
  const bool told = f.failed_with(FailureCode::no_port, "no free port");
  assert_int_equal(none, 0);
  assert_true(told);
  f.strangers.clear();
  for (int i = 0; i < 5; ++i) f.seen.insert(f.grant());
  const bool all = f.seen.size() == 5 && !f.seen.contains(0);
  assert_true(all);
}

void without_descriptors_it_is_busy_and_loses_no_port(Fixture& f) {
  f.make(4);
  f.shortage.emplace();
  const uint16_t none = f.grant(), wanted = f.grant(f.first);
  f.shortage.reset();
  const bool told = f.failed_with(FailureCode::busy, "127.0.0.1");
  assert_int_equal(none, 0);
  assert_int_equal(wanted, 0);
  assert_true(told);
  assert_int_equal(f.pool->leased(), 0);
  for (int i = 0; i < 4; ++i) f.seen.insert(f.grant());
  const bool all = f.seen.size() == 4 && !f.seen.contains(0);
  assert_true(all);
}

bool fails_inside(Fixture& f, std::initializer_list<const char*> hosts) {
  f.make(4);
  f.renew(hosts);
  bool all = true;
  for (const uint16_t wanted : {uint16_t{0}, f.first})
    all = all && f.grant(wanted) == 0 &&
          f.failed_with(FailureCode::internal, "Cannot assign requested address");
  return all && f.pool->leased() == 0;
}

// To come again in a second is of no use then: no port can be had until somebody mends the address.
void an_address_of_another_machine_is_no_busyness(Fixture& f) {
  const bool v4 = fails_inside(f, {"192.0.2.1"});
  const bool v6 = !testing::ipv6_works() || fails_inside(f, {"2001:db8::1"});
  const bool second = fails_inside(f, {"127.0.0.1", "192.0.2.1"});
  assert_true(v4);
  assert_true(v6);
  assert_true(second);
}

// ---- ports that browsers refuse

void knows_the_ports_that_browsers_refuse(Fixture&) {
  for (const unsigned bad : {1u, 22u, 995u, 1719u, 1720u, 1723u, 2049u, 3659u, 4045u, 4190u, 5060u, 5061u,
                             6000u, 6566u, 6665u, 6669u, 6679u, 6697u, 10080u})
    assert_true(is_bad_for_browsers(static_cast<uint16_t>(bad)));
  for (const unsigned good :
       {1024u, 5900u, 5901u, 6001u, 6664u, 6670u, 8080u, 10079u, 10081u, 25000u, 65535u})
    assert_false(is_bad_for_browsers(static_cast<uint16_t>(good)));
}

// 6665 to 6669 are bad, 6664 and 6670 are not.
void browsers_get_no_port_that_they_refuse(Fixture& f) {
  const auto grant = [&f](uint16_t wanted, PortPool::For whom) -> uint16_t {
    auto granted = f.pool->grant(wanted, whom);
    if (!granted) {
      f.failure = granted.error();
      return 0;
    }
    f.leases.push_back(std::move(*granted));
    return f.leases.back().port;
  };
  constexpr uint16_t kFirst = 6664, kLast = 6670;
  for (uint16_t port = kFirst; port <= kLast; ++port)
    if (!testing::port_is_free(port)) skip();
  f.pool = std::make_unique<PortPool>(endpoints_of({"127.0.0.1"}), kFirst, kLast);
  f.seen = {grant(0, PortPool::For::browsers), grant(0, PortPool::For::browsers)};
  const bool good = f.seen == std::set<uint16_t>{kFirst, kLast};
  assert_true(good);
  const uint16_t third = grant(0, PortPool::For::browsers);
  const bool told =
      f.failed_with(FailureCode::no_port, "no free port that browsers take between 6664 and 6670");
  assert_int_equal(third, 0);
  assert_true(told);
  const uint16_t wanted = grant(6667, PortPool::For::browsers);
  const bool refused = f.failed_with(FailureCode::bad_request, "browsers refuse to connect to port 6667");
  assert_int_equal(wanted, 0);
  assert_true(refused);
  // One that rests is good enough, and others may have the rest.
  f.give_back(kFirst);
  const uint16_t again = grant(0, PortPool::For::browsers);
  assert_int_equal(again, kFirst);
  for (int i = 0; i < 5; ++i) f.seen.insert(grant(0, PortPool::For::viewers));
  assert_int_equal(f.seen.size(), 7);
  f.give_back(6667);
  const uint16_t bad = grant(6667, PortPool::For::viewers);
  assert_int_equal(bad, 6667);
  f.give_back(6667);
  const bool is_none = !f.pool->grant_if_free(6667, PortPool::For::browsers);
  assert_int_equal(f.pool->leased(), 6);
  assert_true(is_none);
}

// ---- a port that was asked for

void a_wanted_port_is_given_or_nothing(Fixture& f) {
  f.make(8);
  const auto wanted = static_cast<uint16_t>(f.first + 3);
  const uint16_t got = f.grant(wanted);
  assert_int_equal(got, wanted);
  const uint16_t twice = f.grant(wanted);
  const bool told = f.failed_with(FailureCode::port_in_use, "port " + std::to_string(wanted));
  assert_int_equal(twice, 0);
  assert_true(told);
  bool met_again = false;
  for (int i = 0; i < 7; ++i) met_again |= f.grant() == wanted;
  assert_false(met_again);
  f.give_back(wanted);
  const uint16_t again = f.grant(wanted);  // who asks for it may have it although it rests
  assert_int_equal(again, wanted);
  assert_int_equal(f.pool->leased(), 8);
}

// A forwarding whose viewer is in listens no more, but its port is its own until it is given back.
void a_leased_port_that_listens_no_more_is_not_given(Fixture& f) {
  f.make(2);
  const uint16_t port = f.grant();
  f.leases.clear();
  const uint16_t wanted = f.grant(port);
  const bool told = f.failed_with(FailureCode::port_in_use, "is leased");
  assert_int_equal(wanted, 0);
  assert_true(told);
}

void a_wanted_port_may_lie_outside_the_pool(Fixture& f) {
  f.make(4);
  f.pool =
      std::make_unique<PortPool>(endpoints_of({"127.0.0.1"}), f.first, static_cast<uint16_t>(f.first + 1));
  const uint16_t got = f.grant(f.last);
  assert_int_equal(got, f.last);
  const uint16_t twice = f.grant(f.last);
  const bool told = f.failed_with(FailureCode::port_in_use, "is in use");
  assert_int_equal(twice, 0);
  assert_true(told);
  f.give_back(f.last);
  assert_int_equal(f.pool->leased(), 0);
  f.seen = {f.grant(), f.grant()};
  const bool pool_alone = !f.seen.contains(f.last) && f.grant() == 0;  // it did not become one of the pool
  assert_true(pool_alone);
}

void a_wanted_port_of_a_stranger_is_in_use(Fixture& f) {
  f.make(3);
  for (const uint16_t wanted : {f.first, static_cast<uint16_t>(f.last + 1)}) {
    f.strangers.push_back(std::make_unique<Listener>("127.0.0.1", wanted));
    const uint16_t got = f.grant(wanted);
    const bool told = f.failed_with(FailureCode::port_in_use, "is in use");
    f.strangers.clear();
    const uint16_t after = f.grant(wanted);
    assert_int_equal(got, 0);
    assert_true(told);
    assert_int_equal(after, wanted);
  }
}

// A wish for one that others have, or that is not ours to give, is granted with another.
void a_wished_port_is_given_if_it_is_free(Fixture& f) {
  f.make(6);
  const auto wish = [&f](uint16_t port) -> uint16_t {
    auto granted = f.pool->grant_if_free(port);
    if (!granted) return 0;
    f.leases.push_back(std::move(*granted));
    return f.leases.back().port;
  };
  const auto stranger_port = static_cast<uint16_t>(f.first + 1);
  f.strangers.push_back(std::make_unique<Listener>("127.0.0.1", stranger_port));
  assert_int_equal(wish(f.first), f.first);
  const uint16_t leased = wish(f.first), taken = wish(stranger_port), outside = wish(80), any = wish(0);
  for (const uint16_t port : {leased, taken, outside, any}) {
    assert_in_range(port, f.first + 2, f.last);
    f.seen.insert(port);
  }
  assert_int_equal(f.seen.size(), 4);
  assert_int_equal(wish(f.last), 0);
  f.give_back(f.last);
  assert_int_equal(wish(f.last), f.last);
  assert_int_equal(f.pool->leased(), 5);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_lease_is_a_port_that_listens),
      TEST(Fixture, a_lease_covers_every_address),
      TEST(Fixture, the_choice_is_random),
      TEST(Fixture, ports_are_not_given_in_order),
      TEST(Fixture, every_port_is_given_once),
      TEST(Fixture, a_port_given_back_can_be_had_again),
      TEST(Fixture, a_port_given_back_rests_while_others_are_free),
      TEST(Fixture, the_longest_rest_ends_first),
      TEST(Fixture, a_stranger_costs_one_more_turn),
      TEST(Fixture, without_descriptors_it_is_busy_and_loses_no_port),
      TEST(Fixture, an_address_of_another_machine_is_no_busyness),
      TEST(Fixture, knows_the_ports_that_browsers_refuse),
      TEST(Fixture, browsers_get_no_port_that_they_refuse),
      TEST(Fixture, a_wanted_port_is_given_or_nothing),
      TEST(Fixture, a_leased_port_that_listens_no_more_is_not_given),
      TEST(Fixture, a_wanted_port_may_lie_outside_the_pool),
      TEST(Fixture, a_wanted_port_of_a_stranger_is_in_use),
      TEST(Fixture, a_wished_port_is_given_if_it_is_free),
  };
  return vncauthproxy::testing::run_group("port_pool", tests);
}
