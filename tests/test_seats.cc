// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/seats.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cmocka_cxx.h"
#include "tests/support/in_child.h"

namespace vncauthproxy::ipc {
namespace {

using testing::in_child;
using testing::NoFixture;

constexpr int kMany = 300;

// A channel and so many other descriptors, each the end of a pair whose other end tells who still has it.
struct Given {
  explicit Given(size_t listeners, bool web = false) {
    handover.channel = end();
    for (size_t i = 0; i < listeners; ++i) handover.listeners.push_back(end());
    if (web) handover.web = end();
  }
  base::Fd end() {
    auto pair = base::socket_pair(SOCK_STREAM);
    others.push_back(std::move(pair->second));
    return std::move(pair->first);
  }
  // What was written to all of them, one letter to each; '-' for one that nobody has any more, '?' for none.
  std::string heard() const {
    std::string all;
    for (const base::Fd& other : others) {
      char letter = '?';
      const ssize_t count = ::read(other.get(), &letter, 1);
      all += count == 0 ? '-' : letter;
    }
    return all;
  }

  Handover handover;
  std::vector<base::Fd> others;
};

bool say(Handover& handover) {
  bool said = true;
  for (const base::Fd* fd : descriptors(handover)) said = said && ::write(fd->get(), "x", 1) == 1;
  return said;
}

int open_above(int least) {
  int count = 0;
  for (int fd = least; fd < 2 * kMany; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

// The number of a child's descriptors that lie above the seats, once it has said something on its own; -1: it
// could not.
int child_with(const Seats::Taken& taken, Handover handover) {
  const pid_t child = fork_sharing_descriptors();
  if (child == 0) {
    if (!taken.settle(handover) || !say(handover)) ::_exit(99);
    for (const base::Fd* fd : descriptors(handover))
      if (fd->get() > kMany / 2 || ::fcntl(fd->get(), F_GETFD) != FD_CLOEXEC) ::_exit(98);
    ::_exit(open_above(kMany / 2));
  }
  // Here they go, while the child may still share the table.
  handover = {};
  int status = -1;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Each test in a child of its own, with many descriptors above the seats.
template <typename Body>
void with_seats(Body body) {
  assert_int_equal(in_child([&body] {
                     Seats seats;
                     std::vector<base::Fd> many;
                     while (many.empty() || many.back().get() < kMany)
                       many.emplace_back(::fcntl(0, F_DUPFD_CLOEXEC, 0));
                     return body(seats);
                   }),
                   0);
}

void a_child_has_its_own_and_no_more(NoFixture&) {
  for (const size_t listeners : {0U, 1U, 3U})
    with_seats([listeners](Seats& seats) {
      Given given(listeners);
      const Seats::Taken taken = seats.take(given.handover);
      if (!taken) return 1;
      if (child_with(taken, std::move(given.handover)) != 0) return 2;
      return given.heard() == std::string(1 + listeners, 'x') ? 0 : 3;
    });
  with_seats([](Seats& seats) {
    Given given(1, true);
    const Seats::Taken taken = seats.take(given.handover);
    if (child_with(taken, std::move(given.handover)) != 0) return 1;
    return given.heard() == "xxx" ? 0 : 2;
  });
}

void what_was_in_a_seat_is_closed_with_it(NoFixture&) {
  with_seats([](Seats& seats) {
    Given given(1);
    std::optional<Seats::Taken> taken = seats.take(given.handover);
    given.handover = {};
    if (given.heard() != "??") return 1;  // open still
    Seats::Taken moved = std::move(*taken);
    taken.reset();
    if (given.heard() != "??") return 2;
    moved = {};
    return given.heard() == "--" ? 0 : 3;
  });
}

void one_after_the_other_sits_down(NoFixture&) {
  with_seats([](Seats& seats) {
    for (size_t i = 0; i < 3 * Seats::kCount; ++i) {
      Given given(1);
      const Seats::Taken taken = seats.take(given.handover);
      if (!taken || child_with(taken, std::move(given.handover)) != 0 || given.heard() != "xx") return 1;
    }
    return 0;
  });
}

void without_a_free_seat_there_is_none(NoFixture&) {
  with_seats([](Seats& seats) {
    std::vector<Given> given;
    std::vector<Seats::Taken> taken;
    for (size_t i = 0; i < Seats::kCount / 2; ++i) {
      taken.push_back(seats.take(given.emplace_back(1).handover));
      if (!taken.back()) return 1;
    }
    Given late(0);
    if (seats.take(late.handover)) return 2;
    if (!say(late.handover)) return 3;  // it has them still
    taken.front() = {};
    const Seats::Taken first = seats.take(late.handover);
    const Seats::Taken second = seats.take(late.handover);
    return first && second && !seats.take(late.handover) ? 0 : 4;
  });
}

void who_needs_too_many_finds_none(NoFixture&) {
  with_seats([](Seats& seats) {
    Given most(Seats::kMostOfOne - 1), more(Seats::kMostOfOne);
    return seats.take(most.handover) && !seats.take(more.handover) ? 0 : 1;
  });
}

void few_descriptors_are_not_spent_on_seats(NoFixture&) {
  assert_int_equal(in_child([] {
                     const rlimit few{256, 256};
                     if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
                     Given given(0);
                     Seats seats;
                     return seats.take(given.handover) ? 2 : 0;
                   }),
                   0);
}

// As container runtimes do.
bool forbid_clone3() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(filter), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

void where_clone3_is_forbidden_there_are_none(NoFixture&) {
  assert_int_equal(in_child([] {
                     if (!forbid_clone3()) return 1;
                     Given given(0);
                     Seats seats;
                     return seats.take(given.handover) ? 2 : 0;
                   }),
                   0);
}

}  // namespace
}  // namespace vncauthproxy::ipc

int main() {
  using namespace vncauthproxy::ipc;
  const CMUnitTest tests[] = {
      TEST(NoFixture, a_child_has_its_own_and_no_more),
      TEST(NoFixture, what_was_in_a_seat_is_closed_with_it),
      TEST(NoFixture, one_after_the_other_sits_down),
      TEST(NoFixture, without_a_free_seat_there_is_none),
      TEST(NoFixture, who_needs_too_many_finds_none),
      TEST(NoFixture, few_descriptors_are_not_spent_on_seats),
      TEST(NoFixture, where_clone3_is_forbidden_there_are_none),
  };
  return vncauthproxy::testing::run_group("seats", tests);
}
