// SPDX-License-Identifier: GPL-2.0-or-later
// The load generator: one epoll loop with fake backends and viewers both, so that on a machine with two cores
// the other one is the proxy's. Two parts have a process of their own: the backends of a bulk measurement,
// and the flood that a round trip is measured beside. One call is one measurement, printed as one JSON
// object; run.py calls it for every proxy in turn and makes the tables.
//
//   load MODE KEY=VALUE...
//
//   bulk   sessions=N seconds=S [verify=1]       flood toward the viewers: bytes, seconds, CPU of the proxy
//   trip   rounds=N seconds=S [rest=S beside=1]  round trips of 64 bytes, as many as there is time for, after
//                                                a rest, alone or beside a flood
//   setup  count=N lanes=N [users=N]             forwardings asked for, reached and left again
//   burst  count=N                               as many requests at once, of one client: how many were
//   granted,
//                                                how many refused and why, and when the last was answered
//   login  users=N                               each user's first request beside crypt(3) and the second one
//   hold   state=waiting|live levels=N,N... [probes=N seconds=S]
//                                                memory at each level; live ones echo; with probes also the
//                                                set-up and the relay cost of others beside them, and the
//                                                set-up while all of them end
//   users  file=PATH count=N                     a users file with the logins that setup uses
//
//   all:   via=direct | via=port:N | via=control:N    how viewers come to the backend
//          wrap=plain|ws|tls|wss    backend_fd=N (a listening socket; else an own one)    pid=N (the proxy)
//          cores=any|one|two        where generator and proxy run (cores.h)

#include <fcntl.h>
#include <jansson.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backend.h"
#include "cores.h"
#include "fleet.h"
#include "process_tree.h"
#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/proto/handles.h"
#include "vncauthproxy/proto/vnc_auth.h"
#include "vncauthproxy/users/crypt_hash.h"

namespace vncauthproxy::bench {
namespace {

using base::to_milliseconds;
using Json = base::Handle<json_t>;

class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
      const std::string_view argument = argv[i];
      const size_t equals = argument.find('=');
      if (equals == std::string_view::npos) die("'%s' is not KEY=VALUE", argv[i]);
      values_.emplace(argument.substr(0, equals), argument.substr(equals + 1));
    }
  }

  std::string text(const char* key, const char* otherwise) {
    const auto found = values_.find(key);
    if (found == values_.end()) return otherwise;
    std::string value = found->second;
    values_.erase(found);
    return value;
  }
  unsigned long number(const char* key, const char* otherwise) {
    return to_number(key, text(key, otherwise));
  }
  double seconds(const char* key, const char* otherwise) {
    const std::string value = text(key, otherwise);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (end == value.c_str() || *end != '\0' || number <= 0) die("%s=%s is not a time", key, value.c_str());
    return number;
  }
  std::vector<unsigned long> numbers(const char* key, const char* otherwise) {
    std::vector<unsigned long> list;
    std::string rest = text(key, otherwise);
    for (size_t comma = rest.find(','); comma != std::string::npos; comma = rest.find(',')) {
      list.push_back(to_number(key, rest.substr(0, comma)));
      rest.erase(0, comma + 1);
    }
    list.push_back(to_number(key, rest));
    return list;
  }
  // Every mode takes what it knows; what is left was misspelt.
  void all_taken() const {
    if (!values_.empty()) die("unknown key '%s'", values_.begin()->first.c_str());
  }

 private:
  static unsigned long to_number(const char* key, const std::string& value) {
    char* end = nullptr;
    const unsigned long number = std::strtoul(value.c_str(), &end, 10);
    if (end == value.c_str() || *end != '\0') die("%s=%s is not a number", key, value.c_str());
    return number;
  }

  std::map<std::string, std::string, std::less<>> values_;
};

Wrapping to_wrapping(const std::string& name) {
  if (name == "plain") return Wrapping::plain;
  if (name == "ws") return Wrapping::ws;
  if (name == "tls") return Wrapping::tls;
  if (name == "wss") return Wrapping::wss;
  die("wrap=%s is not plain, ws, tls or wss", name.c_str());
}

Cores to_cores(const std::string& name) {
  if (name == "any") return Cores::any;
  if (name == "one") return Cores::one;
  if (name == "two") return Cores::two;
  die("cores=%s is not any, one or two", name.c_str());
}

uint16_t to_port(const std::string& text) {
  const unsigned long port = std::strtoul(text.c_str(), nullptr, 10);
  if (port == 0 || port > UINT16_MAX) die("'%s' is not a port", text.c_str());
  return static_cast<uint16_t>(port);
}

Route to_route(const std::string& via, Wrapping wrapping, uint16_t backend_port) {
  Route route{.by_control = false, .port = backend_port, .wrapping = wrapping, .backend_port = backend_port};
  if (via == "direct") return route;
  const size_t colon = via.find(':');
  const std::string kind = via.substr(0, colon);
  if (colon == std::string::npos || (kind != "port" && kind != "control"))
    die("via=%s is not direct, port:N or control:N", via.c_str());
  route.by_control = kind == "control";
  route.port = to_port(via.substr(colon + 1));
  return route;
}

base::Fd backend_listener(unsigned long given) {
  if (given == 0) return listen_on_loopback();
  base::Fd fd(static_cast<int>(given));
  if (!base::set_nonblocking(fd.get())) die("backend_fd=%lu: %s", given, std::strerror(errno));
  return fd;
}

// What every measuring mode has.
struct Scene {
  explicit Scene(Arguments& arguments)
      : backend_listener(bench::backend_listener(arguments.number("backend_fd", "0"))),
        route(to_route(arguments.text("via", "direct"), to_wrapping(arguments.text("wrap", "plain")),
                       port_of(backend_listener.get()))),
        proxy(static_cast<pid_t>(arguments.number("pid", "0"))) {
    place(to_cores(arguments.text("cores", "any")), proxy);
  }

  Loop loop;
  base::Fd backend_listener;  // for a Backend or a backend_process() to take over
  Route route;
  ProcessTree proxy;
};

// A process of the generator's: what `prepare` sets up in its loop lives as long as this does, or the parent.
class Helper {
 public:
  template <typename Prepare>
  explicit Helper(Prepare prepare) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) die("fork: %s", std::strerror(errno));
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Loop loop;
    [[maybe_unused]] const auto prepared = prepare(loop);
    while (::getppid() == parent) loop.run_for(std::chrono::seconds(1));
    ::_exit(1);
  }
  ~Helper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

 private:
  pid_t pid_;
};

// Backends apart from the viewers, as they are in life. Were both ends of a flood one thread, the direct
// connection would be measured in one core's cache with nobody ever asleep, which no connection is.
std::unique_ptr<Helper> backend_process(base::Fd listener) {
  return std::make_unique<Helper>(
      [&listener](Loop& loop) { return std::make_unique<Backend>(loop, std::move(listener)); });
}

// Both ends of a session with bulk, apart from who looks at the clock: else each round trip would also take
// the generator's own time for as much of the bulk as has come in one piece. Returns when it flows.
std::unique_ptr<Helper> flood_process(const Scene& scene) {
  struct Flood {
    Flood(Loop& loop, base::Fd listener, const Route& route)
        : backend(loop, std::move(listener)), fleet(loop, route) {
      fleet.open(1, Behaviour::flood, Fleet::Goal::running);
      fleet.drain(16 * kFloodPeriod);
      backend.accept_no_more();
    }
    Backend backend;
    Fleet fleet;
  };
  base::Fd listener(::fcntl(scene.backend_listener.get(), F_DUPFD_CLOEXEC, 0));
  std::array<int, 2> ends{};
  if (!listener || ::pipe2(ends.data(), O_CLOEXEC) != 0) die("a pipe: %s", std::strerror(errno));
  const base::Fd told(ends[0]);
  base::Fd tell(ends[1]);
  auto process = std::make_unique<Helper>([&](Loop& loop) {
    auto flood = std::make_unique<Flood>(loop, std::move(listener), scene.route);
    if (::write(tell.get(), "!", 1) != 1) die("write: %s", std::strerror(errno));
    return flood;
  });
  tell.reset();
  char word = 0;
  if (::read(told.get(), &word, 1) != 1) die("the session with bulk has not come up");
  return process;
}

struct Window {
  uint64_t bytes = 0;
  double seconds = 0, cpu_seconds = 0;
};

// What passes, and what that costs the proxy, while the loop runs for a time. Reading the processes takes
// time too, and it is in neither figure's favour: time is taken between the two readings.
Window measure_flow(Scene& scene, const Fleet& fleet, double seconds) {
  Window window;
  const double cpu = scene.proxy.cpu_seconds();
  const uint64_t bytes = fleet.received();
  const Clock::time_point start = Clock::now();
  scene.loop.run_for(to_milliseconds(seconds));
  window.bytes = fleet.received() - bytes;
  window.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  window.cpu_seconds = scene.proxy.cpu_seconds() - cpu;
  return window;
}

double cpu_per_gib(const Window& window) {
  return window.bytes == 0 ? 0 : window.cpu_seconds / (static_cast<double>(window.bytes) / (1UL << 30));
}

// Floods one after the other, each with new sessions, that share the time. What one costs depends on which
// core the scheduler gave to whom, and that lasts as long as the flood does.
struct Floods {
  unsigned long count, sessions;
  Behaviour behaviour;
};

Window measure_floods(Scene& scene, const Floods& floods, double seconds) {
  Window sum;
  for (unsigned long i = 0; i < floods.count; ++i) {
    Fleet fleet(scene.loop, scene.route);
    fleet.open(floods.sessions, floods.behaviour, Fleet::Goal::running);
    fleet.drain(4 * kFloodPeriod);  // sockets and pipes have grown to their size by then
    const double share = seconds / static_cast<double>(floods.count);
    scene.loop.run_for(to_milliseconds(share / 4));
    const Window window = measure_flow(scene, fleet, share);
    fleet.drain(fleet.at(0).received() + 1);  // it still flows: nothing has come to a halt
    sum.bytes += window.bytes;
    sum.seconds += window.seconds;
    sum.cpu_seconds += window.cpu_seconds;
  }
  return sum;
}

Json bulk(Arguments& arguments) {
  const unsigned long sessions = arguments.number("sessions", "1");
  const double seconds = arguments.seconds("seconds", "2");
  const bool verified = arguments.number("verify", "0") != 0;
  Scene scene(arguments);
  arguments.all_taken();
  const auto backend = backend_process(std::move(scene.backend_listener));
  const Window window =
      measure_floods(scene, {1, sessions, verified ? Behaviour::verified_flood : Behaviour::flood}, seconds);
  return Json(::json_pack("{s:I, s:f, s:f}", "bytes", static_cast<json_int_t>(window.bytes), "seconds",
                          window.seconds, "cpu_seconds", window.cpu_seconds));
}

json_t* packed(const Percentiles& p) {
  return ::json_pack("{s:f, s:f, s:f}", "p50", p.p50, "p99", p.p99, "p999", p.p999);
}

class RoundTrips : public Viewer::Observer {
 public:
  std::vector<double> times;

  void send(Viewer& viewer) {
    sent_ = Clock::now();
    viewer.send_message("round trip: sixty-four bytes there, and sixty-four bytes back. ");
  }
  void replied(Viewer& viewer) override { viewer.connect(); }
  void running(Viewer& viewer) override { send(viewer); }
  void echoed(Viewer& viewer) override {
    times.push_back(microseconds(Clock::now() - sent_));
    send(viewer);
  }

 private:
  Clock::time_point sent_;
};

Json trip(Arguments& arguments) {
  const unsigned long rounds = arguments.number("rounds", "20000");
  const double seconds = arguments.seconds("seconds", "3");
  const double rest = arguments.seconds("rest", "0.3");
  const bool beside = arguments.number("beside", "0") != 0;
  Scene scene(arguments);
  arguments.all_taken();
  const auto flood = beside ? flood_process(scene) : nullptr;
  const Backend backend(scene.loop, std::move(scene.backend_listener));
  RoundTrips trips;
  Viewer viewer(scene.loop, scene.route, Behaviour::echo, trips);
  if (scene.route.by_control)
    viewer.ask(0, 1);
  else
    viewer.connect();
  const auto made = [&](unsigned long wanted) {
    const Clock::time_point end = Clock::now() + to_milliseconds(seconds);
    scene.loop.run_until(
        [&] { return trips.times.size() >= wanted || (Clock::now() > end && !trips.times.empty()); },
        kPatience, [] { return "no round trip was made"; });
  };
  made(1);
  // What a person's session does between two keys. It also lets the scheduler forget that a process is new:
  // until then it counts as busy, and gets a core of its own.
  std::this_thread::sleep_for(to_milliseconds(rest));
  made(rounds / 10);
  trips.times.clear();  // they were the warm-up
  made(rounds);
  return Json(packed(percentiles(trips.times)));
}

Json setup(Arguments& arguments) {
  const unsigned long count = arguments.number("count", "1000");
  const auto lanes = static_cast<unsigned>(arguments.number("lanes", "1"));
  const auto users = static_cast<unsigned>(arguments.number("users", "1"));
  Scene scene(arguments);
  arguments.all_taken();
  if (!scene.route.by_control || lanes == 0 || users == 0) die("setup needs via=control:N, lanes and users");
  const Backend backend(scene.loop, std::move(scene.backend_listener));
  if (users == 1) SetUp(scene.loop, scene.route, 1).run(lanes, lanes);  // the login is known from here on
  const double cpu = scene.proxy.cpu_seconds();
  const SetUp::Outcome outcome = SetUp(scene.loop, scene.route, users).run(count, lanes);
  // Workers of sessions that are over are part of the price: let them end before the last look.
  scene.loop.run_until([&] { return backend.connections() == 0; }, kPatience,
                       [] { return "the proxy keeps connections to the backend"; });
  return Json(::json_pack("{s:f, s:f, s:o, s:o}", "per_second", static_cast<double>(count) / outcome.seconds,
                          "cpu_us_each", (scene.proxy.cpu_seconds() - cpu) * 1e6 / static_cast<double>(count),
                          "reply_us", packed(percentiles(outcome.reply)), "authenticated_us",
                          packed(percentiles(outcome.authenticated))));
}

// Asks for all forwardings at once and takes whatever is answered.
class Burst : public Viewer::Observer {
 public:
  Burst(Loop& loop, const Route& route) : loop_(loop), route_(route) {}

  double run(size_t count) {
    const Clock::time_point start = Clock::now();
    for (size_t i = 0; i < count; ++i) {
      viewers_.push_back(std::make_unique<Viewer>(loop_, route_, Behaviour::idle, *this));
      viewers_.back()->ask(0, 1);
    }
    loop_.run_until([&] { return reply.size() + refused == count; }, kPatience,
                    [&] {
                      return std::to_string(reply.size()) + " were granted and " + std::to_string(refused) +
                             " refused";
                    });
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  void replied(Viewer& viewer) override {
    reply.push_back(microseconds(viewer.replied_at - viewer.asked_at));
  }
  void failed(Viewer&, const std::string& why) override {
    if (refused++ == 0) first_refusal = why;
  }

  std::vector<double> reply;  // microseconds
  size_t refused = 0;
  std::string first_refusal;

 private:
  Loop& loop_;
  Route route_;
  std::vector<std::unique_ptr<Viewer>> viewers_;
};

Json burst(Arguments& arguments) {
  const unsigned long count = arguments.number("count", "1000");
  Scene scene(arguments);
  arguments.all_taken();
  if (!scene.route.by_control || count == 0) die("burst needs via=control:N and count");
  const auto backend = backend_process(std::move(scene.backend_listener));
  SetUp(scene.loop, scene.route, 1).run(1, 1);  // the login is known from here on
  Burst all(scene.loop, scene.route);
  const double seconds = all.run(count);
  return Json(::json_pack("{s:I, s:I, s:s, s:f, s:o}", "granted", static_cast<json_int_t>(all.reply.size()),
                          "refused", static_cast<json_int_t>(all.refused), "first_refusal",
                          all.first_refusal.c_str(), "seconds", seconds, "reply_us",
                          packed(percentiles(all.reply))));
}

// One request after the other, crypt(3) by itself in between: the four of a user meet the same speed of the
// machine, and each request the same pause before it.
Json login(Arguments& arguments) {
  const auto users = static_cast<unsigned>(arguments.number("users", "50"));
  Scene scene(arguments);
  arguments.all_taken();
  if (!scene.route.by_control || users == 0) die("login needs via=control:N and users");
  const Backend backend(scene.loop, std::move(scene.backend_listener));
  std::vector<double> crypt;
  const auto time_crypt = [&crypt] {
    const Clock::time_point start = Clock::now();
    if (!users::hash_password(base::Secret(kUserPassword))) die("no hash");
    crypt.push_back(microseconds(Clock::now() - start));
  };
  const SetUp::Outcome outcome = SetUp(scene.loop, scene.route, users, 2, time_crypt).run(2 * users, 1);
  std::vector<double> ratios, first, second;
  for (size_t i = 0; i < crypt.size(); i += 2) {
    first.push_back(outcome.reply[i]);
    second.push_back(outcome.reply[i + 1]);
    ratios.push_back(first.back() / ((crypt[i] + crypt[i + 1]) / 2 + second.back()));
  }
  return Json(::json_pack("{s:f, s:f, s:f, s:f}", "ratio", percentiles(ratios).p50, "crypt_us",
                          percentiles(crypt).p50, "first_reply_us", percentiles(first).p50, "second_reply_us",
                          percentiles(second).p50));
}

struct TreeMemory {
  Memory root;
  Memory nursery, spares, others;  // sums; the first two are of the daemon alone
  uint64_t spares_count = 0, count = 0;
  bool known = false;
};

void add(const Memory& one, Memory& sum) {
  sum.rss_kib += one.rss_kib;
  sum.pss_kib += one.pss_kib;
  sum.uss_kib += one.uss_kib;
}

TreeMemory memory_of(const ProcessTree& tree) {
  TreeMemory sum;
  for (const pid_t pid : tree.members()) {
    const std::optional<Memory> memory = ProcessTree::memory(pid);
    if (!memory) continue;
    if (pid == tree.root()) {
      sum.root = *memory;
      sum.known = true;
      continue;
    }
    const std::string title = ProcessTree::title(pid);
    if (title == "vncauthproxy: nursery") {
      add(*memory, sum.nursery);
    } else if (title == "vncauthproxy: spare") {
      add(*memory, sum.spares);
      ++sum.spares_count;
    } else {
      add(*memory, sum.others);
      ++sum.count;
    }
  }
  return sum;
}

json_t* packed(const TreeMemory& memory) {
  const auto whole = [](uint64_t kib) { return static_cast<json_int_t>(kib); };
  return ::json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "root_rss_kib",
                     whole(memory.root.rss_kib), "root_pss_kib", whole(memory.root.pss_kib), "root_uss_kib",
                     whole(memory.root.uss_kib), "others", whole(memory.count), "others_pss_kib",
                     whole(memory.others.pss_kib), "others_uss_kib", whole(memory.others.uss_kib),
                     "nursery_pss_kib", whole(memory.nursery.pss_kib), "spares", whole(memory.spares_count),
                     "spares_pss_kib", whole(memory.spares.pss_kib));
}

// What one more costs while others are held: set-up one at a time, and the relaying of one flood.
void probe(Scene& scene, json_t* row, unsigned long probes, double seconds) {
  const double before = ProcessTree::own_cpu_seconds(scene.proxy.root());
  const SetUp::Outcome outcome = SetUp(scene.loop, scene.route, 1).run(probes, 1);
  const double master = ProcessTree::own_cpu_seconds(scene.proxy.root()) - before;
  ::json_object_set_new(row, "reply_us", packed(percentiles(outcome.reply)));
  ::json_object_set_new(row, "authenticated_us", packed(percentiles(outcome.authenticated)));
  ::json_object_set_new(row, "master_cpu_us_each", ::json_real(master * 1e6 / static_cast<double>(probes)));

  constexpr unsigned long kFloods = 3;
  const Window window = measure_floods(scene, {kFloods, 1, Behaviour::flood}, kFloods * seconds / 4);
  ::json_object_set_new(row, "cpu_seconds_per_gib", ::json_real(cpu_per_gib(window)));
}

Json hold(Arguments& arguments) {
  const std::vector<unsigned long> levels = arguments.numbers("levels", "10,100");
  const std::string state = arguments.text("state", "live");
  const unsigned long probes = arguments.number("probes", "0");
  const double seconds = arguments.seconds("seconds", "1");
  Scene scene(arguments);
  arguments.all_taken();
  if (state != "live" && state != "waiting") die("state=%s is not live or waiting", state.c_str());
  const auto backend = backend_process(std::move(scene.backend_listener));
  const bool live = state == "live";
  const Json result(::json_pack("{s:o, s:[]}", "before", packed(memory_of(scene.proxy)), "levels"));
  Fleet fleet(scene.loop, scene.route);
  for (const unsigned long level : levels) {
    if (level <= fleet.size()) die("levels must rise");
    const Clock::time_point start = Clock::now();
    fleet.open(level - fleet.size(), Behaviour::echo, live ? Fleet::Goal::running : Fleet::Goal::granted);
    if (live) fleet.echo_all();
    const double opened = std::chrono::duration<double>(Clock::now() - start).count();
    json_t* row =
        ::json_pack("{s:I, s:f}", "sessions", static_cast<json_int_t>(level), "opened_in_s", opened);
    ::json_array_append_new(::json_object_get(result.get(), "levels"), row);
    scene.loop.run_for(to_milliseconds(0.3));  // what was used for the handshakes goes back by then
    ::json_object_set_new(row, "memory", packed(memory_of(scene.proxy)));
    if (probes != 0) probe(scene, row, probes, seconds);
    if (live) fleet.echo_all();
  }
  // All leave in the same moment; who asks just then must not wait for them to be cleared away.
  fleet.close_all();
  if (probes != 0) {
    const SetUp::Outcome outcome = SetUp(scene.loop, scene.route, 1).run(probes, 1);
    ::json_object_set_new(result.get(), "while_all_end_us", packed(percentiles(outcome.reply)));
  }
  return Json(::json_incref(result.get()));
}

// With hashes as vncauthproxy-passwd makes them.
Json users(Arguments& arguments) {
  const std::string path = arguments.text("file", "");
  const auto count = static_cast<unsigned>(arguments.number("count", "1"));
  arguments.all_taken();
  std::ofstream file(path);
  for (unsigned i = 0; i < count; ++i) {
    const base::Result<std::string> hash = users::hash_password(base::Secret(kUserPassword));
    if (!hash) die("%s", hash.error().detail.c_str());
    file << user_name(i) << ':' << *hash << '\n';
  }
  file.close();
  if (!file) die("cannot write '%s'", path.c_str());
  return Json(::json_pack("{s:I}", "users", static_cast<json_int_t>(count)));
}

// 5000 sessions are 10000 sockets here; the hard limit is the machine's word.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run(int argc, char** argv) {
  const std::map<std::string_view, Json (*)(Arguments&)> modes{
      {"bulk", bulk},   {"trip", trip}, {"setup", setup}, {"burst", burst},
      {"login", login}, {"hold", hold}, {"users", users}};
  const auto mode = argc < 2 ? modes.end() : modes.find(argv[1]);
  if (mode == modes.end()) die("usage: load bulk|trip|setup|burst|login|hold|users KEY=VALUE...");
  raise_descriptor_limit();
  if (const base::Result<void> prepared = proto::prepare_vnc_auth(); !prepared)
    die("%s", prepared.error().detail.c_str());
  Arguments arguments(argc, argv);
  const Json result = mode->second(arguments);
  if (!result || ::json_dumpf(result.get(), stdout, JSON_REAL_PRECISION(8)) != 0)
    die("cannot print the result");
  std::puts("");
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace vncauthproxy::bench

int main(int argc, char** argv) {
  return vncauthproxy::bench::run(argc, argv);
}
