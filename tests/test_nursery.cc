// SPDX-License-Identifier: GPL-2.0-or-later
// The nursery as its master sees it, in a process of its own: what is born, who is killed, what is told, and
// how all of it ends.
#include "nursery/nursery.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/support/idle_child.h"
#include "tests/support/socket.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/ipc/handover.h"
#include "vncauthproxy/ipc/message.h"
#include "vncauthproxy/ipc/packet.h"

#include "tests/support/cmocka_cxx.h"

namespace vncauthproxy::nursery {
namespace {

constexpr int kPatienceMs = 20000;

struct Child {
  pid_t pid = 0;
  uint32_t settings = 0;
  base::Fd channel;
};

// The next packet, or nullopt: the peer is gone or silent.
std::optional<ipc::ReceivedPacket> next_packet(int fd, std::vector<uint8_t>& room) {
  pollfd ready{fd, POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return std::nullopt;
  auto packet = ipc::receive_packet(fd, room);
  if (!packet) return std::nullopt;
  return std::move(*packet);
}

struct Fixture {
  Fixture() : room(ipc::kMaxLongBytes) {
    auto pair = base::socket_pair(SOCK_SEQPACKET);
    pid = ::fork();
    if (pid == 0) {
      for (const int signal : {SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS}) ::signal(signal, SIG_DFL);
      if (::dup2(pair->second.get(), kChannel) != kChannel) ::_exit(1);
      for (int fd = kChannel + 1; fd < 64; ++fd) ::close(fd);
      ::_exit(run());
    }
    channel = std::move(pair->first);
  }
  ~Fixture() {
    channel.reset();
    children.clear();
    if (pid > 0) ::waitpid(pid, nullptr, 0);
  }

  void tell(const ipc::Message& message) {
    const ipc::Packet packet = ipc::encode(message);
    (void)ipc::send_packet(channel.get(), packet.content());
  }
  void set(uint32_t number, const std::string& chain = "") {
    ipc::Settings settings;
    settings.number = number;
    settings.log = "-";
    settings.tls.chain = chain;
    settings.tls.min_version = "1.2";
    settings.tls.ciphers = "ECDHE";
    if (auto packet = ipc::encode(settings, room)) (void)ipc::send_packet(channel.get(), *packet);
  }
  // The next message of the kind; others are passed over.
  template <typename Kind>
  std::optional<Kind> hear(base::Fd* descriptor = nullptr) {
    while (auto packet = next_packet(channel.get(), room)) {
      auto message = ipc::decode(base::Bytes(room).first(packet->size));
      if (!message) return std::nullopt;
      if (!std::is_same_v<Kind, ipc::Died> && std::holds_alternative<ipc::Died>(*message)) ++deaths;
      if (const auto* wanted = std::get_if<Kind>(&*message)) {
        if (descriptor != nullptr && packet->descriptors.size() == 1)
          *descriptor = std::move(packet->descriptors[0]);
        return *wanted;
      }
    }
    return std::nullopt;
  }
  bool bear() {
    tell(ipc::Fork{1});
    Child child;
    const auto born = hear<ipc::Born>(&child.channel);
    if (!born || !child.channel) return false;
    child.pid = born->pid;
    child.settings = born->settings;
    children.push_back(std::move(child));
    return true;
  }
  // What a worker says to the master.
  std::optional<ipc::Message> words_of(size_t child) {
    auto packet = next_packet(children[child].channel.get(), room);
    if (!packet) return std::nullopt;
    auto message = ipc::decode(base::Bytes(room).first(packet->size));
    return message ? std::optional(std::move(*message)) : std::nullopt;
  }

  std::vector<uint8_t> room;
  pid_t pid = 0;
  base::Fd channel;
  std::vector<Child> children;
  size_t deaths = 0;  // that were passed over
};

void bears_what_it_is_asked_for(Fixture& f) {
  f.set(7);
  const bool both = f.bear() && f.bear();
  assert_true(both);
  assert_int_equal(f.children[0].settings, 7);
  assert_int_not_equal(f.children[0].pid, f.children[1].pid);
  f.set(8);
  const bool third = f.bear();
  assert_true(third);
  assert_int_equal(f.children[2].settings, 8);
}

void a_spare_ends_with_its_channel(Fixture& f) {
  const bool born = f.bear();
  assert_true(born);
  const pid_t pid = f.children[0].pid;
  f.children[0].channel.reset();
  const auto died = f.hear<ipc::Died>();
  assert_true(died.has_value());
  assert_int_equal(died->pid, pid);
  assert_int_equal(died->status, 0);
}

void kills_its_own_children_only(Fixture& f) {
  const bool born = f.bear();
  assert_true(born);
  const pid_t stranger = testing::idle_child();
  f.tell(ipc::Kill{stranger});
  f.tell(ipc::Kill{f.children[0].pid});
  const auto died = f.hear<ipc::Died>();
  const bool alive = ::waitpid(stranger, nullptr, WNOHANG) == 0;
  ::kill(stranger, SIGKILL);
  ::waitpid(stranger, nullptr, 0);
  assert_true(alive);
  assert_true(died.has_value());
  assert_int_equal(died->pid, f.children[0].pid);
  assert_true(WIFSIGNALED(died->status));
  // Once more: that number is nobody's now.
  f.tell(ipc::Kill{f.children[0].pid});
  const bool lives_on = f.bear();
  assert_true(lives_on);
}

void all_can_be_killed_at_once(Fixture& f) {
  constexpr size_t kMany = 30;
  size_t born = 0;
  while (born < kMany && f.bear()) ++born;
  assert_int_equal(born, kMany);
  f.tell(ipc::Kill{0});
  size_t dead = 0;
  while (dead < kMany && f.hear<ipc::Died>()) ++dead;
  assert_int_equal(dead, kMany);
}

// More than the socket holds: a birth or a death that is not told would be missed for good.
void a_slow_master_misses_nothing(Fixture& f) {
  constexpr uint32_t kMany = 400;
  f.tell(ipc::Fork{kMany});
  size_t born = 0;
  base::Fd end;
  while (born < kMany && f.hear<ipc::Born>(&end)) {
    ++born;
    end.reset();  // which dismisses the spare
  }
  assert_int_equal(born, kMany);
  size_t dead = 0;
  f.tell(ipc::Kill{0});
  while (f.deaths + dead < kMany && f.hear<ipc::Died>()) ++dead;
  assert_int_equal(f.deaths + dead, kMany);
}

void nonsense_is_logged_and_passed_over(Fixture& f) {
  const uint8_t nonsense[] = {9, 9, 9};
  (void)ipc::send_packet(f.channel.get(), nonsense);
  const auto first = f.hear<ipc::Log>();
  f.tell(ipc::Ready{});
  const auto second = f.hear<ipc::Log>();
  f.set(2, "no certificate");
  const auto third = f.hear<ipc::Log>();
  const bool lives = f.bear();
  const bool told = first && second && third && third->text.find("certificate") != std::string::npos;
  assert_true(told);
  assert_true(lives);
  assert_int_equal(f.children[0].settings, 0);  // those it could not use were not taken
}

void ends_with_its_master(Fixture& f) {
  const bool born = f.bear();
  assert_true(born);
  f.channel.reset();
  int status = -1;
  const bool ended = ::waitpid(f.pid, &status, 0) == f.pid;
  f.pid = 0;
  assert_true(ended);
  assert_int_equal(status, 0);
}

void a_broken_handover_ends_the_spare(Fixture& f) {
  const bool born = f.bear();
  assert_true(born);
  const uint8_t nonsense[] = {2, 11, 0, 0, 0, 1, 7};
  (void)ipc::send_packet(f.children[0].channel.get(), nonsense);
  bool told = false;
  if (const auto words = f.words_of(0))
    if (const auto* log = std::get_if<ipc::Log>(&*words))
      told = log->text.find("Handover") != std::string::npos;
  const auto died = f.hear<ipc::Died>();
  assert_true(told);
  assert_true(died.has_value());
}

// Each pipe of the usual 64 KiB would count against what the user may have (fs.pipe-user-pages-soft).
void a_spare_takes_a_page_of_the_users_pipes(Fixture& f) {
  if (::geteuid() != 0) skip();  // nobody else may look
  const bool born = f.bear();
  assert_true(born);
  const std::string folder = "/proc/" + std::to_string(f.children[0].pid) + "/fd";
  const bool small = testing::wait_until([&folder] {
    size_t pipes = 0, large = 0;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator(folder, gone)) {
      const bool is_standard = std::stoi(entry.path().filename()) <= STDERR_FILENO;
      if (is_standard || !std::filesystem::read_symlink(entry.path(), gone).native().starts_with("pipe:"))
        continue;
      const base::Fd pipe(::open(entry.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      ++pipes;
      large += ::fcntl(pipe.get(), F_GETPIPE_SZ) > 4096 ? 1 : 0;
    }
    return pipes > 0 && large == 0;
  });
  assert_true(small);
}

// Port 1 of this machine is nobody's: the worker's whole way up to its answer.
void a_spare_becomes_a_worker(Fixture& f) {
  const bool born = f.bear();
  assert_true(born);
  ipc::Handover handover;
  handover.id = 42;
  handover.destination_address = "127.0.0.1";
  handover.destination_port = 1;
  handover.server_timeout = std::chrono::milliseconds(10000);
  handover.password = base::Secret("secret");
  if (auto packet = ipc::encode(handover, f.room))
    (void)ipc::send_packet(f.children[0].channel.get(), *packet);
  int code = -1;
  while (const auto words = f.words_of(0)) {
    if (const auto* refused = std::get_if<ipc::Refused>(&*words)) code = static_cast<int>(refused->code);
    if (code >= 0) break;
  }
  const auto died = f.hear<ipc::Died>();
  assert_int_equal(code, static_cast<int>(proto::FailureCode::backend_unreachable));
  assert_true(died.has_value());
  assert_int_equal(died->status, 0);
}

}  // namespace
}  // namespace vncauthproxy::nursery

int main() {
  using namespace vncauthproxy::nursery;
  const CMUnitTest tests[] = {
      TEST(Fixture, bears_what_it_is_asked_for),   TEST(Fixture, a_spare_ends_with_its_channel),
      TEST(Fixture, kills_its_own_children_only),  TEST(Fixture, all_can_be_killed_at_once),
      TEST(Fixture, a_slow_master_misses_nothing), TEST(Fixture, nonsense_is_logged_and_passed_over),
      TEST(Fixture, ends_with_its_master),         TEST(Fixture, a_broken_handover_ends_the_spare),
      TEST(Fixture, a_spare_becomes_a_worker),     TEST(Fixture, a_spare_takes_a_page_of_the_users_pipes),
  };
  return vncauthproxy::testing::run_group("nursery", tests);
}
