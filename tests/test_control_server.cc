// SPDX-License-Identifier: GPL-2.0-or-later
// The control port: who gets in when many want to, over plain connections and TLS, and that nobody who waits,
// leaves or lies keeps an honest client out.
#include "master/control_server.h"

#include <crypt.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/certificate.h"
#include "tests/support/descriptors.h"
#include "tests/support/loop_until.h"
#include "tests/support/peer.h"
#include "tests/support/tls_client.h"
#include "vncauthproxy/base/log.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::master {
namespace {

using std::chrono::milliseconds;
using testing::connect_loopback;
using testing::Deadline;
using testing::Peer;
using testing::run_for;
using testing::run_until;
using testing::TlsClient;

constexpr std::string_view kRequest =
    R"({"source_port": 0, "destination_address": "node", "destination_port": 5900, )"
    R"("password": "vnc", "auth_user": "user", "auth_password": "secret"})";
constexpr std::string_view kAnswer = R"({"source_port": 25000, "status": "OK", "proxy_address": "p"})";
constexpr uint32_t kLoopback = 0x7f000001;
// A host of loopback addresses is like any other here, unless a test says otherwise.
constexpr size_t kAll = 64, kPerHost = 16;
constexpr std::string_view kBusy = "\"code\": \"busy\"";

std::string temporary_file(const std::string& text) {
  char name[] = "/tmp/test_control_server.XXXXXX";
  const base::Fd file(::mkstemp(name));
  (void)!::write(file.get(), text.data(), text.size());
  return name;
}

users::Users users() {
  static crypt_data data;
  const std::string path =
      temporary_file(std::string("user:") + ::crypt_rn("secret", "$5$rounds=1000$salt$", &data, sizeof data));
  auto loaded = users::Users::load(path);
  ::unlink(path.c_str());
  return std::move(*loaded);
}

net::TlsServer tls_server() {
  const auto key = testing::make_ec_key();
  const std::string cert_file = temporary_file(testing::certificate_pem(key.get()));
  const std::string key_file = temporary_file(testing::key_pem(key.get()));
  auto tls = net::load_tls_server({::geteuid(), cert_file, key_file, "1.2", "ECDHE+AESGCM", ""});
  ::unlink(cert_file.c_str());
  ::unlink(key_file.c_str());
  return std::move(*tls);
}

struct Fixture {
  Fixture() {
    base::set_log_sink([this](base::LogLevel, std::string_view line) { log.append(line).append("\n"); });
  }
  ~Fixture() { base::set_log_sink({}); }

  void serve(bool with_tls = false, proto::Speech speech = {}) {
    if (with_tls) tls = tls_server();
    auto fds = std::move(*net::listen_on_all(testing::endpoints_of({"127.0.0.1"}), 0));
    port = base::local_of(fds[0].get())->port();
    std::vector<ControlListener> listeners;
    listeners.push_back({std::move(fds[0]), speech, with_tls});
    serve_at(std::move(listeners));
  }
  void serve_at(std::vector<ControlListener> listeners) {
    server = std::make_unique<ControlServer>(loop, std::move(listeners), login, &tls, limits,
                                             [this](uint64_t conn, const std::string& from, proto::Request) {
                                               pending.push_back(conn);
                                               who = from;
                                               if (!keep_pending) server->reply(conn, success("p"));
                                             });
  }
  static proto::Reply success(const char* name) { return proto::Success{25000, name}; }

  // Clients that connect and say nothing, each taken in by the server if it accepts it.
  void come(size_t count, uint32_t source = kLoopback) {
    for (size_t i = 0; i < count; ++i) {
      peers.push_back(std::make_unique<Peer>(connect_loopback(port, source)));
      testing::turn(loop);
    }
  }
  Peer& newest() { return *peers.back(); }
  TlsClient& come_with_tls(uint32_t source = kLoopback) {
    return *tls_clients.emplace_back(std::make_unique<TlsClient>(connect_loopback(port, source)));
  }
  // Whether a client that does all right is answered within a second.
  bool serves(uint32_t source = kLoopback) {
    Peer peer(connect_loopback(port, source));
    peer.send_all(kRequest);
    return run_until(
               loop, [&peer] { return peer.pull().over(); }, milliseconds(1000)) &&
           peer.got == kAnswer;
  }
  bool was_sent_away(Peer& peer) {
    return run_until(loop, [&peer] { return peer.pull().over(); }) &&
           peer.got.find(kBusy) != std::string::npos;
  }
  bool is_there(Peer& peer) { return !peer.pull().over(); }
  // Until a connection counts as one that has had its chance.
  void grow_old() { run_for(loop, ControlServer::kPatience + milliseconds(50)); }

  std::string log;
  net::Loop loop;
  Login login{users()};
  net::TlsServer tls;
  PendingLimits limits{kAll, kPerHost, {}};
  std::unique_ptr<ControlServer> server;
  uint16_t port = 0;
  std::vector<uint64_t> pending;
  std::string who;  // asked last
  bool keep_pending = false;
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<std::unique_ptr<TlsClient>> tls_clients;
};

// ---- serving

void a_request_is_answered(Fixture& f) {
  f.serve();
  for (int i = 0; i < 50; ++i) assert_true(f.serves());
  assert_int_equal(f.pending.size(), 50);
}

void answers_find_their_clients(Fixture& f) {
  f.serve();
  f.keep_pending = true;
  f.come(3);
  for (const size_t who : {2U, 0U, 1U}) {
    f.peers[who]->send_all(kRequest);
    const size_t before = f.pending.size();
    run_until(f.loop, [&] { return f.pending.size() > before; });
  }
  assert_int_equal(f.pending.size(), 3);
  const bool first = f.server->reply(f.pending[1], f.success("zero"));
  const bool second = f.server->reply(f.pending[0], f.success("two"));
  const bool twice = f.server->reply(f.pending[0], f.success("two again"));
  const bool nobody = f.server->reply(12345, f.success("x"));
  const bool third = f.server->reply(f.pending[2], f.success("one"));
  assert_true(first && second && third);
  assert_false(twice || nobody);
  const auto is_told = [&f](size_t who, const char* name) {
    return f.peers[who]->has(proto::to_text(proto::Dialect::main, f.success(name)));
  };
  const bool right =
      run_until(f.loop, [&] { return is_told(0, "zero") && is_told(1, "one") && is_told(2, "two"); });
  assert_true(right);
}

// ---- listeners without a login

constexpr proto::Speech kVncap{false, proto::Dialect::vncap};
constexpr std::string_view kLine = "{\"daddr\": \"n\", \"dport\": 1}\r\n";

void each_listener_has_its_own_speech(Fixture& f) {
  f.serve(false, kVncap);
  f.come(2);
  f.peers[0]->send_all(kLine);
  bool over = run_until(f.loop, [&f] { return f.peers[0]->pull().over(); });
  assert_true(over);
  assert_string_equal(f.peers[0]->got.c_str(), "25000\r\n");
  const bool named = f.who.starts_with("127.0.0.1:");
  assert_true(named);
  f.serve();
  f.come(1);
  f.newest().send_all(kLine);
  over = run_until(f.loop, [&f] { return f.newest().pull().over(); });
  const bool refused = f.newest().got.find("has no login and is not spoken here") != std::string::npos;
  assert_true(over && refused);
}

void local_clients_are_known_by_user_and_process(Fixture& f) {
  {
    char folder[] = "/tmp/test_control_server.XXXXXX";
    if (::mkdtemp(folder) == nullptr) throw std::runtime_error("mkdtemp");
    const std::string path = std::string(folder) + "/s";
    auto listener = net::listen_at_path(path, {});
    std::vector<ControlListener> listeners;
    listeners.push_back({std::move(listener->fd), {false, proto::Dialect::main}});
    f.serve_at(std::move(listeners));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)!::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    (void)listener->file.remove();
    ::rmdir(folder);
    f.peers.push_back(std::make_unique<Peer>(std::move(fd)));
  }
  f.newest().send_all(R"({"source_port": 0, "destination_address": "n", "destination_port": 1})");
  const bool over = run_until(f.loop, [&f] { return f.newest().pull().over(); });
  const bool same = f.newest().got == kAnswer;
  assert_true(over && same);
  const bool named = f.who == "uid " + std::to_string(::getuid()) + ", pid " + std::to_string(::getpid());
  assert_true(named);
}

void who_asks_by_login_is_named_with_it(Fixture& f) {
  f.serve();
  assert_true(f.serves());
  const bool named = f.who.starts_with("user at 127.0.0.1:");
  assert_true(named);
}

void a_full_house_says_so_in_each_dialect(Fixture& f) {
  f.serve(false, kVncap);
  f.come(kPerHost + 1);
  const bool over = run_until(f.loop, [&f] { return f.newest().pull().over(); });
  assert_true(over);
  assert_string_equal(f.newest().got.c_str(), "FAILED\r\n");
}

void wrong_logins_are_refused_and_cost_nobody_else(Fixture& f) {
  f.serve();
  for (int i = 0; i < 30; ++i) {
    f.come(1);
    f.newest().send_all(R"({"source_port": 0, "destination_address": "n", "destination_port": 1, )"
                        R"("password": "p", "auth_user": "user", "auth_password": "wrong"})");
    const bool over = run_until(f.loop, [&f] { return f.newest().pull().over(); });
    const bool told = f.newest().got.find("\"code\": \"auth_failed\"") != std::string::npos;
    assert_true(over && told);
  }
  assert_true(f.serves());
  assert_int_equal(f.pending.size(), 1);
}

void stop_listening_lets_those_inside_finish(Fixture& f) {
  f.serve();
  f.come(1);
  f.server->stop_listening();
  const bool refused = !connect_loopback(f.port);
  f.newest().send_all(kRequest);
  const bool answered = run_until(f.loop, [&f] { return f.newest().has(kAnswer); });
  assert_true(refused);
  assert_true(answered);
}

// ---- limits

void the_seventeenth_of_a_host_has_to_come_again(Fixture& f) {
  f.serve();
  f.come(kPerHost);
  f.come(1);
  const bool away = f.was_sent_away(f.newest());
  bool others = true;
  for (size_t i = 0; i < kPerHost; ++i) others &= f.is_there(*f.peers[i]);
  assert_true(away);
  assert_true(others);
  assert_true(f.serves(kLoopback + 1));  // other hosts do not suffer
}

// Its request came along, and closing on unread input would take the answer with it.
void who_has_to_come_again_is_told_so_whatever_it_sent(Fixture& f) {
  f.serve();
  f.come(kPerHost);
  f.peers.push_back(std::make_unique<Peer>(connect_loopback(f.port)));
  f.newest().send_all(kRequest);
  const bool away = f.was_sent_away(f.newest());
  assert_true(away);
  assert_true(f.newest().ended);
  assert_false(f.newest().was_reset);
  assert_int_equal(f.pending.size(), 0);
}

void who_has_to_come_again_is_told_so_in_tls_too(Fixture& f) {
  f.serve(true);
  f.come(kPerHost);
  for (const bool asks : {false, true}) {
    TlsClient& client = f.come_with_tls();
    const bool shaken = run_until(f.loop, [&] { return client.step().established(); });
    if (asks) client.write(kRequest);
    const bool over = run_until(f.loop, [&] { return client.step().peer.over(); });
    const bool told = client.got.find(kBusy) != std::string::npos;
    assert_true(shaken && over && told);
    assert_true(client.closed);
    assert_false(client.peer.was_reset);
  }
  assert_int_equal(f.pending.size(), 0);
  const bool others = f.is_there(*f.peers[0]) && f.is_there(*f.peers[kPerHost - 1]);
  assert_true(others);
}

// They hold a descriptor until they are told.
void of_those_who_are_told_only_so_many_are_kept(Fixture& f) {
  f.serve(true);
  const unsigned before = testing::count_descriptors("socket:");
  f.come(kPerHost + 3 * ControlServer::kMaxTurnedAway);
  const unsigned ours =
      testing::count_descriptors("socket:") - before - static_cast<unsigned>(f.peers.size());
  assert_int_equal(ours, kPerHost + ControlServer::kMaxTurnedAway);
  const bool first_left = run_until(f.loop, [&f] { return f.peers[kPerHost]->pull().over(); });
  const bool last_stayed = f.is_there(f.newest());
  assert_true(first_left);
  assert_true(last_stayed);
}

void some_networks_have_no_limit_per_address(Fixture& f) {
  f.limits.exempt = {*base::parse_network("127.0.0.8/29")};
  f.serve();
  f.come(kPerHost + 10, kLoopback + 8);
  f.come(kPerHost, kLoopback);
  bool all_there = true;
  for (const auto& peer : f.peers) all_there &= f.is_there(*peer);
  assert_true(all_there);
  assert_true(f.serves(kLoopback + 8));
  f.come(1, kLoopback);
  const bool away = f.was_sent_away(f.newest());
  assert_true(away);
}

void options_set_the_limits(Fixture&) {
  config::Options options = config::default_options();
  const PendingLimits usual = limits_of(options);
  const bool as_documented = usual.all == 256 && usual.per_address == 16;
  options.max_pending = 3;
  options.max_pending_per_address = 2;
  options.exempt_networks = {*base::parse_network("192.0.2.0/24")};
  const PendingLimits chosen = limits_of(options);
  const bool taken = chosen.all == 3 && chosen.per_address == 2;
  unsigned exempt = 0;
  for (const char* host : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "192.0.2.7", "192.0.3.7",
                           "2001:db8::1", "126.0.0.1"})
    exempt = exempt * 2 + (base::any_contains(chosen.exempt, testing::endpoint_of(host)) ? 1 : 0);
  assert_true(as_documented);
  assert_true(taken);
  assert_int_equal(exempt, 0b11111000);
}

void the_oldest_of_a_host_gives_way(Fixture& f) {
  f.serve();
  f.come(kPerHost);
  f.come(1, kLoopback + 1);  // as old, but of another host
  f.grow_old();
  assert_true(f.serves());
  const bool oldest_left = f.was_sent_away(*f.peers[0]);
  const bool second_stayed = f.is_there(*f.peers[1]);
  const bool other_host_stayed = f.is_there(*f.peers[kPerHost]);
  assert_true(oldest_left);
  assert_true(second_stayed);
  assert_true(other_host_stayed);
}

void many_hosts_share_the_last_limit(Fixture& f) {
  f.serve();
  constexpr size_t kHosts = kAll / kPerHost;
  for (uint32_t host = 0; host < kHosts; ++host) f.come(kPerHost, kLoopback + host);
  assert_int_equal(f.peers.size(), kAll);
  f.grow_old();
  assert_true(f.serves(kLoopback + kHosts));
  const bool oldest_left = f.was_sent_away(*f.peers[0]);
  const bool second_stayed = f.is_there(*f.peers[1]);
  assert_true(oldest_left);
  assert_true(second_stayed);
}

// Nobody is sent away where all places are taken: the next one stays in the listen queue until one is free.
void a_full_house_lets_the_next_one_wait(Fixture& f) {
  f.serve();
  for (uint32_t host = 0; host < kAll / kPerHost; ++host) f.come(kPerHost, kLoopback + host);
  f.peers.push_back(std::make_unique<Peer>(connect_loopback(f.port, kLoopback + 100)));
  f.newest().send_all(kRequest);
  const unsigned turns = run_for(f.loop, milliseconds(100));
  const bool waits = f.is_there(f.newest()) && f.newest().got.empty();
  assert_true(waits);
  assert_int_equal(f.pending.size(), 0);
  assert_true(turns < 60);
  f.peers[7]->close();
  const bool served = run_until(
      f.loop, [&f] { return f.newest().has(kAnswer); }, milliseconds(500));
  assert_true(served);
}

// Those who say nothing do not hold it up for long.
void a_full_house_of_the_silent_makes_room(Fixture& f) {
  f.serve();
  for (uint32_t host = 0; host < kAll / kPerHost; ++host) f.come(kPerHost, kLoopback + host);
  f.peers.push_back(std::make_unique<Peer>(connect_loopback(f.port, kLoopback + 100)));
  f.newest().send_all(kRequest);
  const bool served = run_until(f.loop, [&f] { return f.newest().has(kAnswer); });
  const bool oldest_left = f.was_sent_away(*f.peers[0]);
  const bool second_stayed = f.is_there(*f.peers[1]);
  assert_true(served);
  assert_true(oldest_left);
  assert_true(second_stayed);
}

void those_who_logged_in_do_not_count(Fixture& f) {
  f.serve();
  f.keep_pending = true;
  for (size_t i = 0; i < 3 * kPerHost; ++i) {
    f.come(1);
    f.newest().send_all(kRequest);
    run_until(f.loop, [&f, i] { return f.pending.size() > i; });
  }
  assert_int_equal(f.pending.size(), 3 * kPerHost);
  f.come(kPerHost);
  bool all_there = true;
  for (const auto& peer : f.peers) all_there &= f.is_there(*peer);
  assert_true(all_there);
}

// Who was refused and does not leave holds a connection too, and has not logged in.
void those_who_were_refused_count_until_they_leave(Fixture& f) {
  f.serve();
  f.come(kPerHost);
  for (const auto& peer : f.peers) peer->send_all("nonsense");
  const bool refused = run_until(f.loop, [&f] { return f.peers.back()->pull().ended; });
  f.come(1);
  const bool away = f.was_sent_away(f.newest());
  assert_true(refused);
  assert_true(away);
  f.peers.clear();
  run_for(f.loop, milliseconds(20));
  assert_true(f.serves());
}

void scanners_do_not_keep_a_client_out(Fixture& f) {
  f.serve();
  const unsigned before = testing::count_descriptors("socket:");
  for (int round = 0; round < 40; ++round) {
    f.come(10);
    for (size_t i = 0; i < f.peers.size(); ++i) {
      if (i % 3 == 0) f.peers[i]->send_all("\x16\x03\x01");
      if (i % 3 == 1) f.peers[i]->send_all(kRequest.substr(0, 50));
      if (i % 2 == 0)
        f.peers[i]->reset();
      else
        f.peers[i]->close();
    }
    f.peers.clear();
  }
  assert_true(f.serves());
  const bool all_gone =
      run_until(f.loop, [before] { return testing::count_descriptors("socket:") == before; });
  assert_true(all_gone);
}

void without_descriptors_it_rests_and_recovers(Fixture& f) {
  f.serve();
  f.peers.push_back(std::make_unique<Peer>(connect_loopback(f.port)));
  f.newest().send_all(kRequest);
  {
    const testing::NoMoreDescriptors shortage;
    run_for(f.loop, milliseconds(50));
  }
  const bool answered = run_until(f.loop, [&f] { return f.newest().has(kAnswer); });
  const bool told = f.log.find("cannot accept connections") != f.log.npos;
  assert_true(answered);
  assert_true(told);
}

// ---- TLS

void a_request_over_tls_is_answered(Fixture& f) {
  f.serve(true);
  TlsClient& client = *f.tls_clients.emplace_back(std::make_unique<TlsClient>(connect_loopback(f.port)));
  const bool shaken = run_until(f.loop, [&] { return client.step().established(); });
  client.write(kRequest.substr(0, 20));
  run_for(f.loop, milliseconds(10));
  client.write(kRequest.substr(20));
  const bool over = run_until(f.loop, [&] { return client.step().peer.over(); });
  const bool same = client.got == kAnswer;
  assert_true(shaken && over && same);
  assert_true(client.closed);  // with a close_notify before the FIN
}

void plain_bytes_on_the_tls_port_end_in_silence(Fixture& f) {
  f.serve(true);
  f.come(1);
  f.newest().send_all(kRequest);
  const bool over = run_until(f.loop, [&f] { return f.newest().pull().over(); });
  const bool leaked = f.newest().got.find("status") != std::string::npos;
  assert_true(over);
  assert_false(leaked);
  assert_int_equal(f.pending.size(), 0);
}

void tls_clients_may_leave_at_any_moment(Fixture& f) {
  f.serve(true);
  for (int steps = 0; steps < 6; ++steps) {
    for (const bool rude : {false, true}) {
      TlsClient& client = *f.tls_clients.emplace_back(std::make_unique<TlsClient>(connect_loopback(f.port)));
      for (int i = 0; i < steps; ++i) {
        client.step();
        testing::turn(f.loop);
      }
      if (client.established()) client.write(kRequest.substr(0, 30));
      if (rude) client.peer.reset();
      f.tls_clients.clear();
    }
  }
  a_request_over_tls_is_answered(f);
}

// One that has not shaken hands can be told nothing; trying to must not keep the daemon busy.
void a_silent_tls_client_gives_way_without_a_word(Fixture& f) {
  f.serve(true);
  f.come(kPerHost);
  f.grow_old();
  TlsClient& client = *f.tls_clients.emplace_back(std::make_unique<TlsClient>(connect_loopback(f.port)));
  const bool shaken = run_until(f.loop, [&] { return client.step().established(); });
  const bool oldest_left = run_until(
      f.loop, [&f] { return f.peers[0]->pull().over(); }, milliseconds(500));
  const unsigned turns = run_for(f.loop, milliseconds(100));
  assert_true(shaken);
  assert_true(oldest_left);
  assert_int_equal(f.peers[0]->got.size(), 0);
  assert_true(turns < 100);
}

}  // namespace
}  // namespace vncauthproxy::master

int main() {
  using namespace vncauthproxy::master;
  const CMUnitTest tests[] = {
      TEST(Fixture, a_request_is_answered),
      TEST(Fixture, answers_find_their_clients),
      TEST(Fixture, each_listener_has_its_own_speech),
      TEST(Fixture, local_clients_are_known_by_user_and_process),
      TEST(Fixture, who_asks_by_login_is_named_with_it),
      TEST(Fixture, a_full_house_says_so_in_each_dialect),
      TEST(Fixture, wrong_logins_are_refused_and_cost_nobody_else),
      TEST(Fixture, stop_listening_lets_those_inside_finish),
      TEST(Fixture, the_seventeenth_of_a_host_has_to_come_again),
      TEST(Fixture, who_has_to_come_again_is_told_so_whatever_it_sent),
      TEST(Fixture, who_has_to_come_again_is_told_so_in_tls_too),
      TEST(Fixture, of_those_who_are_told_only_so_many_are_kept),
      TEST(Fixture, some_networks_have_no_limit_per_address),
      TEST(Fixture, options_set_the_limits),
      TEST(Fixture, the_oldest_of_a_host_gives_way),
      TEST(Fixture, many_hosts_share_the_last_limit),
      TEST(Fixture, a_full_house_lets_the_next_one_wait),
      TEST(Fixture, a_full_house_of_the_silent_makes_room),
      TEST(Fixture, those_who_logged_in_do_not_count),
      TEST(Fixture, those_who_were_refused_count_until_they_leave),
      TEST(Fixture, scanners_do_not_keep_a_client_out),
      TEST(Fixture, without_descriptors_it_rests_and_recovers),
      TEST(Fixture, a_request_over_tls_is_answered),
      TEST(Fixture, plain_bytes_on_the_tls_port_end_in_silence),
      TEST(Fixture, tls_clients_may_leave_at_any_moment),
      TEST(Fixture, a_silent_tls_client_gives_way_without_a_word),
  };
  return vncauthproxy::testing::run_group("control_server", tests);
}
