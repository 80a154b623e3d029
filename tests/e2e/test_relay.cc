// SPDX-License-Identifier: GPL-2.0-or-later
// The relay of the built daemon: every byte once and in order, both ways at once, whatever the two ends do:
// early bytes, half-close, reset, a peer that does not read.
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/pattern.h"

#include "tests/support/stage.h"

namespace vncauthproxy::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t kMiB = 1024 * 1024;

struct Fixture : Stage {
  // The newest forwarding's worker: the child that is not the witness's.
  pid_t worker_of_newest() const {
    const std::vector<pid_t> all = daemon.workers();
    return all.empty() ? -1 : all.back();
  }
};

bool send_pattern(Socket& socket, uint64_t count, uint64_t seed) {
  Pattern stream(seed);
  std::vector<uint8_t> room(65536);
  while (stream.position() < count) {
    const std::span<uint8_t> piece(room.data(), std::min<uint64_t>(room.size(), count - stream.position()));
    stream.fill(piece);
    if (!socket.send(std::span<const uint8_t>(piece), seconds(60))) return false;
  }
  return true;
}

// All of Pattern(seed) until the end of the stream: how many bytes came intact, and how it ended.
uint64_t read_pattern(Socket& socket, uint64_t seed, Got* how) {
  Pattern expected(seed);
  std::vector<uint8_t> room(65536);
  size_t got = 0;
  while ((*how = socket.read_some(room, &got, seconds(60))) == Got::data)
    if (!expected.check({room.data(), got})) return 0;
  return expected.position();
}

void echoes_any_size(Fixture& f) {
  FakeViewer viewer = f.session_to(f.echo_backend);
  for (const size_t size : {1u, 2u, 3u, 100u, 4095u, 4096u, 4097u, 65536u, 300'000u}) {
    std::string text(size, '\0');
    Pattern(size).fill({reinterpret_cast<uint8_t*>(text.data()), size});
    f.check(viewer.echoes(text), std::to_string(size));
  }
  for (int i = 0; i < 500; ++i)
    if (!f.check(viewer.echoes("x"), "a key press")) return;
}

void carries_much_both_ways_at_once(Fixture& f) {
  static constexpr uint64_t kMuch = 48 * kMiB;
  std::atomic<int64_t> received{0};
  FakeBackend backend(flood(kMuch, 1, &received));
  FakeViewer viewer = f.session_to(backend);
  bool sent = false;
  std::thread sender([&] {
    sent = send_pattern(viewer.socket, kMuch, 2);
    viewer.socket.finish_sending();
  });
  Got how = Got::nothing;
  const uint64_t intact = read_pattern(viewer.socket, 1, &how);
  sender.join();
  f.check(intact == kMuch && how == Got::end, "toward the viewer: " + std::to_string(intact));
  f.check(sent && backend.wait_all_ended() && received == static_cast<int64_t>(kMuch),
          "toward the backend: " + std::to_string(received));
}

void early_bytes_go_first_and_once(Fixture& f) {
  Recorder recorder;
  FakeBackend backend([&](Socket& socket) {
    // Types, result and the first of the session in one segment: nothing waits for the client's choice.
    if (!socket.send("RFB 003.008\n") || !socket.read(12)) return;
    socket.send(std::string("\1\1\0\0\0\0", 6) + "backend's first, ");
    if (!socket.read(1)) return;
    socket.send("then its second");
    uint8_t room[4096];
    size_t got = 0;
    while (socket.read_some(room, &got) == Got::data)
      recorder.add({reinterpret_cast<const char*>(room), got});
    recorder.end();
  });
  FakeViewer viewer(f.daemon.forwarding_to(backend.port()));
  f.check(viewer.to_challenge());
  viewer.socket.send(viewer.response(kViewerSecret) + "viewer's first, ");
  f.check(viewer.read_result() == Verdict::admitted);
  viewer.socket.send("then its second");
  f.check(viewer.socket.read(32) == "backend's first, then its second");
  f.check(recorder.wait_size(31) && recorder.bytes() == "viewer's first, then its second", recorder.bytes());
}

void much_early_output_is_kept_or_held(Fixture& f) {
  // More than anybody would buffer, long before a viewer comes.
  std::atomic<int64_t> received{0};
  FakeBackend backend(flood(4 * kMiB, 5, &received));
  const uint16_t port = f.daemon.forwarding_to(backend.port());
  FakeViewer viewer(port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted);
  Got how = Got::nothing;
  f.check(read_pattern(viewer.socket, 5, &how) == 4 * kMiB && how == Got::end);
}

void backend_leaves_and_all_is_delivered(Fixture& f) {
  FakeBackend backend([](Socket& socket) {
    if (shake_hands(socket) && socket.read(5)) send_pattern(socket, 8 * kMiB, 7);
  });
  FakeViewer viewer = f.session_to(backend);
  viewer.socket.send("hello");
  // The backend is done with it, as far as it goes, before the first byte is read here.
  f.check(wait_fd(viewer.socket.get(), POLLIN, {}));
  Got how = Got::nothing;
  f.check(read_pattern(viewer.socket, 7, &how) == 8 * kMiB && how == Got::end, "eight MiB, then the end");
  f.check(f.daemon.wait_workers(1), "the worker is gone");
}

void viewer_leaves_and_all_is_delivered(Fixture& f) {
  std::atomic<int64_t> received{0};
  FakeBackend backend(flood(0, 8, &received));
  FakeViewer viewer = f.session_to(backend);
  f.check(send_pattern(viewer.socket, 4 * kMiB, 9));
  viewer.socket.close();
  f.check(backend.wait_all_ended() && received == static_cast<int64_t>(4 * kMiB), std::to_string(received));
  f.check(f.daemon.wait_workers(1), "the worker is gone");
}

void half_close_leaves_the_other_half(Fixture& f) {
  FakeBackend backend([](Socket& socket) {
    if (!shake_hands(socket)) return;
    const std::string all = socket.read_to_end();  // to the viewer's half-close
    socket.send("you said " + std::to_string(all.size()));
  });
  FakeViewer viewer = f.session_to(backend);
  f.check(viewer.socket.send(std::string(100'000, 'v')));
  viewer.socket.finish_sending();
  Got how = Got::nothing;
  const std::string said = viewer.socket.read_to_end(&how);
  f.check(said == "you said 100000" && how == Got::end, said);

  Recorder recorder;
  FakeBackend other([&](Socket& socket) {
    if (!shake_hands(socket) || !socket.read(5)) return;
    socket.send("goodbye");
    socket.finish_sending();
    recorder.add(socket.read_to_end());
    recorder.end();
  });
  FakeViewer second = f.session_to(other);
  second.socket.send("hello");
  f.check(second.socket.read_to_end(&how) == "goodbye" && how == Got::end, "the backend's half");
  second.socket.send("and goodbye to you");
  second.socket.finish_sending();
  f.check(recorder.wait_end() && recorder.bytes() == "and goodbye to you", recorder.bytes());
  f.check(f.daemon.wait_workers(1), "the workers are gone");
}

void a_half_closed_session_does_not_linger(Fixture& f) {
  FakeBackend backend([](Socket& socket) {
    if (shake_hands(socket) && socket.read(5)) socket.finish_sending();
    socket.read_to_end(nullptr, std::chrono::hours(1));
  });
  FakeViewer viewer = f.session_to(backend);
  viewer.socket.send("hello");
  f.check(viewer.socket.ended(), "the backend's end");
  // This viewer keeps its half open and says nothing: five seconds are allowed.
  const auto begin = Clock::now();
  f.check(f.daemon.wait_workers(1), "the worker is gone");
  f.check(Clock::now() - begin < seconds(8), "in time");
}

// Sends until nobody takes any more, then resets: an orderly end would queue behind what the proxy does not
// read, unless the kernel's buffers happen to have room for all of it.
void overfill_and_reset(Socket& socket) {
  const std::string piece(65536, 'i');
  while (socket.send_some(piece) > 0 || wait_fd(socket.get(), POLLOUT, milliseconds(500))) {
  }
  socket.reset();
}

void undeliverable_bytes_are_given_up(Fixture& f) {
  FakeBackend backend([](Socket& socket) {
    if (shake_hands(socket) && socket.read(5)) overfill_and_reset(socket);
  });
  const uint16_t port = f.daemon.forwarding_to(backend.port());
  FakeViewer viewer("127.0.0.1", port, {}, 4096);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.socket.send("hello"));
  // Nothing is read here, ever.
  f.check(backend.wait_all_ended() && f.daemon.wait_workers(1), "the worker is gone");
}

void undeliverable_input_is_given_up(Fixture& f) {
  // The same toward a backend that takes no input and says nothing.
  Recorder recorder;
  FakeBackend backend([&](Socket& socket) {
    const int small = 4096;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (shake_hands(socket)) recorder.wait_end(seconds(60));
  });
  FakeViewer viewer = f.session_to(backend);
  overfill_and_reset(viewer.socket);
  f.check(f.daemon.wait_workers(1), "the worker is gone");
  recorder.end();
}

void resets_end_the_other_side(Fixture& f) {
  Recorder recorder;
  FakeBackend backend(record(&recorder));
  FakeViewer viewer = f.session_to(backend);
  viewer.socket.send("bytes");
  f.check(recorder.wait_size(5));
  viewer.socket.reset();
  f.check(recorder.wait_end(), "the backend hears of the viewer's reset");

  FakeBackend rude([](Socket& socket) {
    if (shake_hands(socket) && socket.read(5)) socket.reset();
  });
  FakeViewer second = f.session_to(rude);
  second.socket.send("bytes");
  Got how = Got::nothing;
  second.socket.read_to_end(&how);
  f.check(how != Got::nothing, "the viewer hears of the backend's reset");
  f.check(f.daemon.wait_workers(1), "the workers are gone");
}

long resident_kib(pid_t pid) {
  return std::strtol(status_field(pid, "VmRSS").c_str(), nullptr, 10);
}

void a_viewer_that_does_not_read_stops_the_backend(Fixture& f) {
  std::atomic<uint64_t> taken{0};
  std::atomic<bool> stop{false};
  FakeBackend backend([&](Socket& socket) {
    if (!shake_hands(socket)) return;
    Pattern stream(11);
    std::vector<uint8_t> room(65536);
    while (!stop) {
      stream.fill(room);
      if (!socket.send(std::span<const uint8_t>(room), seconds(60))) return;
      taken += room.size();
    }
  });
  FakeViewer viewer("127.0.0.1", f.daemon.forwarding_to(backend.port()), {}, 65536);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted);
  const pid_t worker = f.worker_of_newest();
  const long before = resident_kib(worker);
  // Until nothing moves for half a second.
  uint64_t last = 0;
  f.check(wait_until([&] {
            const uint64_t now = taken;
            ::poll(nullptr, 0, 500);
            const bool still = now == taken && now > 0;
            last = taken;
            return still;
          }),
          "it comes to a stop");
  f.check(last < 64 * kMiB, "what the buffers hold: " + std::to_string(last));
  f.check(resident_kib(worker) < before + 8 * 1024,
          "the worker's memory: " + std::to_string(resident_kib(worker)));
  f.check(f.witness.echoes("others flow"));
  stop = true;
  Pattern expected(11);
  std::vector<uint8_t> room(65536);
  size_t got = 0;
  Got how;
  while ((how = viewer.socket.read_some(room, &got, seconds(30))) == Got::data)
    expected.check({room.data(), got});
  f.check(how == Got::end && expected.intact() && expected.position() == taken, "all of it, in order");
}

void a_backend_that_does_not_read_stops_the_viewer(Fixture& f) {
  std::atomic<bool> read_now{false};
  std::atomic<uint64_t> intact{0};
  FakeBackend backend([&](Socket& socket) {
    if (!shake_hands(socket)) return;
    if (!wait_until([&] { return read_now.load(); }, seconds(60))) return;
    Got how = Got::nothing;
    intact = read_pattern(socket, 12, &how);
  });
  FakeViewer viewer = f.session_to(backend);
  Pattern stream(12);
  std::string piece(65536, '\0');
  const std::span<uint8_t> room(reinterpret_cast<uint8_t*>(piece.data()), piece.size());
  stream.fill(room);
  uint64_t sent = 0;
  size_t offset = 0;
  while (sent < 128 * kMiB) {
    const size_t count = viewer.socket.send_some(std::string_view(piece).substr(offset));
    if (count == 0 && !wait_fd(viewer.socket.get(), POLLOUT, milliseconds(500))) break;  // full
    sent += count;
    offset += count;
    if (offset == piece.size()) {
      stream.fill(room);
      offset = 0;
    }
  }
  f.check(sent < 64 * kMiB, "what the buffers hold: " + std::to_string(sent));
  f.check(f.witness.echoes("others flow"));
  read_now = true;
  viewer.socket.finish_sending();
  f.check(backend.wait_all_ended() && intact == sent, "all of it, in order");
}

void slow_readers_get_everything(Fixture& f) {
  std::atomic<int64_t> received{0};
  FakeBackend backend(flood(2 * kMiB, 13, &received));
  FakeViewer viewer("127.0.0.1", f.daemon.forwarding_to(backend.port()), {}, 4096);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted);
  Pattern expected(13);
  uint8_t room[777];
  size_t got = 0;
  Got how;
  while ((how = viewer.socket.read_some(room, &got)) == Got::data) expected.check({room, got});
  f.check(how == Got::end && expected.intact() && expected.position() == 2 * kMiB,
          std::to_string(expected.position()));
}

// Whether every connection (in this network namespace) with that remote port, or between these two ports, has
// its keepalive timer running: timer 2 of /proc/net/tcp.
bool keepalive_runs(uint16_t local, uint16_t remote) {
  std::ifstream table("/proc/net/tcp");
  size_t running = 0, all = 0;
  for (std::string line; std::getline(table, line);) {
    unsigned from = 0, to = 0, state = 0, timer = 0;
    if (std::sscanf(line.c_str(), " %*d: %*8x:%x %*8x:%x %x %*x:%*x %x:", &from, &to, &state, &timer) != 4)
      continue;
    if (to != remote || (local != 0 && from != local) || state != 1) continue;
    ++all;
    running += timer == 2 ? 1 : 0;
  }
  return all > 0 && running == all;
}

void keepalive_is_on_both_legs(Fixture& f) {
  const uint16_t port = f.daemon.forwarding_to(f.echo_backend.port());
  FakeViewer viewer(port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"));
  f.check(wait_until([&] { return keepalive_runs(port, viewer.socket.local_port()); }), "toward the viewer");
  f.check(wait_until([&] { return keepalive_runs(0, f.echo_backend.port()); }), "toward the backend");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, echoes_any_size),
      STAGED(Fixture, carries_much_both_ways_at_once),
      STAGED(Fixture, early_bytes_go_first_and_once),
      STAGED(Fixture, much_early_output_is_kept_or_held),
      STAGED(Fixture, backend_leaves_and_all_is_delivered),
      STAGED(Fixture, viewer_leaves_and_all_is_delivered),
      STAGED(Fixture, half_close_leaves_the_other_half),
      STAGED(Fixture, a_half_closed_session_does_not_linger),
      STAGED(Fixture, undeliverable_bytes_are_given_up),
      STAGED(Fixture, undeliverable_input_is_given_up),
      STAGED(Fixture, resets_end_the_other_side),
      STAGED(Fixture, a_viewer_that_does_not_read_stops_the_backend),
      STAGED(Fixture, a_backend_that_does_not_read_stops_the_viewer),
      STAGED(Fixture, slow_readers_get_everything),
      STAGED(Fixture, keepalive_is_on_both_legs),
  };
  return run_group("relay", tests);
}
