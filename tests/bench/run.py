#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench: starts the daemon and the other proxies on loopback, has tests/bench/load measure each of them in turn,
several times round, and prints tables and the ratios this project promises. The raw figures go to bench.json.

Every figure of one table is from one run on one machine, repetitions interleaved: compare within a table, not between
machines. A machine's speed changes within a second and by where the scheduler puts whom, so a repetition goes round
many times, for a moment each; its figure is that of all those moments, its ratio that of two such figures. Round trips
are those of sessions that have rested: until then the scheduler takes a new process for a busy one and keeps it apart,
where a round trip takes three times as long. In addition those of plain sessions are measured with the places given,
to all alike (cores.h).

CPU is that of the proxy's whole process tree; the generator plays backends and viewers, for bulk in one process each."""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from progress import Progress  # noqa: E402 (no bytecode beside the sources)
from proxies import Failed, Proxy, Stage, wait_for  # noqa: E402

OURS = "vncauthproxy"
WRAPPINGS = ("plain", "ws", "tls", "wss")
GROUPS = (("plain", ("plain",)), ("WebSocket", ("ws",)), ("TLS", ("tls", "wss")))  # what is compared with what
# What a promise compares is measured one right after the other; the first ones several times in each round, since
# their ratios are promised to a few percent.
NEIGHBOURS = ("haproxy splice 1M", OURS, "direct", f"{OURS} ws", "lighttpd", "haproxy", f"{OURS} wss", "stunnel")
CLOSE = NEIGHBOURS[:5]
# Between two cores it is above all the time that an idle one takes to wake up; on one core, the work.
TRIPS = (("idle otherwise", 0, "any"), ("idle, on one core", 0, "one"), ("idle, between two cores", 0, "two"),
         ("beside a bulk session", 1, "any"))
# Seconds that a repetition usually takes.
SECTIONS = {"bulk": 110, "trip": 60, "setup": 40, "burst": 3, "memory": 60, "growth": 50, "crowd": 15}


def say(text=""):
    print(text, flush=True)


class Full:
    """How much of everything a real run does: rounds in a repetition, and the rest in each round."""
    repetitions = 3
    bulk = ((1, 8, 0.2), (16, 2, 0.8))  # sessions, rounds, seconds
    close_ones = 4
    verify = 0
    trip_rounds, trips, trip_seconds, rest = 4, 1750, 0.2, 0.3
    lanes = (1, 16, 64)
    setup_rounds, setups, uncached = 10, 250, 50
    burst = 1000
    seconds = 1.6
    levels = (10, 100, 1000, 5000)
    growth_rounds = 4
    others_level = 100
    probes = 200
    crowd = 500


class Smoke:
    """And how much shows that it all works: bytes are compared, times are not looked at."""
    repetitions = 1
    bulk = ((1, 1, 0.05), (3, 1, 0.05))
    close_ones = 1
    verify = 1
    trip_rounds, trips, trip_seconds, rest = 1, 50, 0.05, 0.001
    lanes = (1, 2, 4)
    setup_rounds, setups, uncached = 1, 8, 4
    burst = 20
    seconds = 0.05
    levels = (2, 5)
    growth_rounds = 1
    others_level = 3
    probes = 2
    crowd = 6


class Bench:
    def __init__(self, build, size):
        self.build, self.size = os.path.abspath(build), size
        self.results = {}  # section -> case -> row -> for each repetition what its rounds measured
        self.repetition = 0
        self.remarks = []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(4096)
        self.folder = tempfile.mkdtemp(prefix="vncauthproxy-bench-")
        os.chmod(self.folder, 0o755)
        self.stage = Stage(self.folder, self.build, self.listener.getsockname()[1])
        self.progress = None
        self.broken = False

    def remark(self, text):
        if text not in self.remarks:
            self.remarks.append(text)
            say("  ! " + text)

    # ---- measuring

    def load(self, proxy, wrap, mode, **keys):
        command = [os.path.join(self.build, "bench/load"), mode, f"via={proxy.via[wrap]}", f"wrap={wrap}",
                   f"backend_fd={self.listener.fileno()}", f"pid={proxy.pid}"]
        command += [f"{key}={value}" for key, value in keys.items()]
        done = subprocess.run(command, pass_fds=[self.listener.fileno()], capture_output=True, text=True, check=False,
                              timeout=600)
        if done.returncode != 0:
            raise Failed(done.stderr.strip() or f"load ended with {done.returncode}")
        return json.loads(done.stdout)

    def measure(self, section, case, proxy, wrap, mode, **keys):
        """Once, kept under its row and the repetition. A row that failed once is left out from then on."""
        rows = self.results.setdefault(section, {}).setdefault(case, {})
        row = row_name(proxy, wrap)
        if rows.get(row, []) is None:
            return
        try:
            repetitions = rows.setdefault(row, [])
            repetitions += [[] for _ in range(len(repetitions), self.repetition + 1)]
            repetitions[self.repetition].append(self.load(proxy, wrap, mode, **keys))
        except Failed as reason:
            rows[row] = None
            self.broken = self.broken or proxy.name in (OURS, "direct", "floor")
            self.remark(f"{section}, {case}: no row '{row}': {reason}")

    def settled(self, proxy):
        """The sessions of the last measurement are over: the daemon is alone again."""
        if proxy.name != OURS:
            return
        wait_for(lambda: not any(map(is_worker, descendants(proxy.pid))), "the workers' end", 60)

    def rows_of(self, proxies, wraps):
        rows = [(proxy, wrap) for wrap in wraps for proxy in proxies if wrap in proxy.via]
        near = {name: place for place, name in enumerate(NEIGHBOURS)}
        return sorted(rows, key=lambda row: near.get(row_name(*row), len(near)))

    def repetitions(self):
        for self.repetition in range(self.size.repetitions):
            self.progress.repetition(self.repetition)
            yield self.repetition

    def rounds(self, count):
        for _ in self.repetitions():
            yield from range(count)

    def bulk(self, proxies):
        def measure(group, rows, count, seconds):
            for proxy, wrap in rows:
                self.measure("bulk", f"{group}, {count} session{'s'[:count > 1]}", proxy, wrap, "bulk",
                             sessions=count, seconds=seconds, verify=self.size.verify)

        for _ in self.repetitions():
            for count, rounds, seconds in self.size.bulk:
                for group, wraps in GROUPS * rounds:
                    rows = self.rows_of(proxies, wraps)
                    close = [row for row in rows if row_name(*row) in CLOSE] if count == 1 and group != "TLS" else []
                    measure(group, close * (self.size.close_ones - 1) + rows, count, seconds)

    def trip(self, proxies):
        for _ in self.rounds(self.size.trip_rounds):
            for when, beside, cores in TRIPS:
                for group, wraps in GROUPS if cores == "any" else GROUPS[:1]:
                    for proxy, wrap in self.rows_of(proxies, wraps):
                        self.measure("trip", f"{group}, {when}", proxy, wrap, "trip", rounds=self.size.trips,
                                     seconds=self.size.trip_seconds, rest=self.size.rest, beside=beside, cores=cores)

    def setup(self, daemon, floor):
        uncached = self.size.uncached
        for turn in self.rounds(self.size.setup_rounds):
            for lanes in self.size.lanes:
                for proxy in (daemon, floor) if turn % 2 else (floor, daemon):
                    self.measure("setup", f"login cached, {lanes} at once", proxy, "plain", "setup",
                                 count=self.size.setups, lanes=lanes)
                fresh = self.stage.start_daemon(users=uncached)
                if lanes == 1:
                    self.measure("login", "1 at once", fresh, "plain", "login", users=uncached)
                    self.stage.stop(fresh)
                    fresh = self.stage.start_daemon(users=uncached)
                self.measure("setup", f"login not cached, {lanes} at once", fresh, "plain", "setup", count=uncached,
                             lanes=lanes, users=uncached)
                self.stage.stop(fresh)

    def burst(self):
        for _ in self.repetitions():
            # A fresh one each time: the forwardings of the last burst still wait for their viewers.
            fresh = self.stage.start_daemon()
            self.measure("burst", f"{self.size.burst} requests at once", fresh, "plain", "burst", count=self.size.burst)
            self.stage.stop(fresh)

    def levels(self):
        return ",".join(str(level) for level in self.size.levels)

    def memory(self, daemon, others):
        for wrap in WRAPPINGS:
            for state in ("waiting", "live") if daemon and wrap in daemon.via else ():
                # A fresh one each time: what the master grew by before would hide what it grows by now.
                fresh = self.stage.start_daemon()
                self.measure("memory", state, fresh, wrap, "hold", state=state, levels=self.levels())
                self.stage.stop(fresh)
        for proxy, wrap in self.rows_of(others, WRAPPINGS):
            self.measure("memory", f"live, {wrap}, others", proxy, wrap, "hold", state="live",
                         levels=self.size.others_level)

    def growth(self, daemon):
        for _ in self.rounds(self.size.growth_rounds):
            self.measure("growth", "live", daemon, "plain", "hold", state="live", levels=self.levels(),
                         probes=self.size.probes, seconds=self.size.seconds)
            self.settled(daemon)

    def crowd(self, daemon):
        for _ in self.repetitions():
            for count in (1, self.size.crowd):
                self.measure("crowd", f"{count} sessions with bulk", daemon, "plain", "bulk", sessions=count,
                             seconds=2 * self.size.seconds, verify=self.size.verify)
                self.settled(daemon)

    def run(self, sections):
        direct = Proxy("direct", {"plain": "direct"})
        kind = "smoke" if self.size is Smoke else "full"
        self.progress = Progress(os.path.join(self.build, "bench.times"), kind,
                                 {section: SECTIONS[section] for section in sections}, self.size.repetitions, say)
        try:
            others = self.stage.start_others(self.remark)
            daemon = None
            if os.access(os.path.join(self.build, "vncauthproxy"), os.X_OK):
                daemon = self.stage.start_daemon()
            else:
                self.remark("vncauthproxy is not built: no rows of its own")
                self.broken = True
            ours = [daemon] if daemon else []
            for section in sections:
                self.progress.section(section)
                self.repetition = 0
                if section == "bulk":
                    self.bulk([direct, *others, *ours])
                elif section == "trip":
                    self.trip([direct, *others, *ours])
                elif section == "memory":
                    self.memory(daemon, others)
                elif daemon is None:
                    continue
                elif section == "setup":
                    self.setup(daemon, self.stage.start_floor())
                elif section == "burst":
                    self.burst()
                elif section == "growth":
                    self.growth(daemon)
                elif section == "crowd":
                    self.crowd(daemon)
            self.progress.done()
        finally:
            self.stage.stop_all()
            self.listener.close()
            shutil.rmtree(self.folder)

    # ---- looking at results

    def row(self, section, case, row):
        """The repetitions."""
        return self.results.get(section, {}).get(case, {}).get(row) or []

    def measured(self, section, case, row):
        """All that was measured, for what is measured once in a repetition."""
        return [result for rounds in self.row(section, case, row) for result in rounds]

    def ratio(self, section, case, row, other, value):
        """Median, least and greatest of the repetitions' ratios."""
        pairs = [(value(a), value(b)) for a, b in zip(self.row(section, *case_row(case, row)),
                                                      self.row(section, *case_row(case, other)))]
        return spread([a / b for a, b in pairs if b])


def descendants(pid):
    """All processes below that one, as far as they can be seen; /proc tells children of the main thread alone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            below = [int(child) for child in children.read().split()]
    except OSError:
        return []
    return below + [deeper for child in below for deeper in descendants(child)]


def is_worker(pid):
    """Has a forwarding, which its title tells; nursery and spares stay for as long as the daemon."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as title:
            return title.read().startswith(b"vncauthproxy: F")
    except OSError:
        return False


def row_name(proxy, wrap):
    return proxy.name if proxy.name != OURS or wrap == "plain" else f"{OURS} {wrap}"


def case_row(case, row):
    """A row may name a case of its own: ratios between cases."""
    return row if isinstance(row, tuple) else (case, row)


def spread(values):
    values = sorted(values)
    return (statistics.median(values), values[0], values[-1]) if values else None


def show(found, digits=2):
    if found is None:
        return "-"
    middle, least, most = (f"{number:.{digits}f}" for number in found)
    return middle if least == most else f"{middle} ({least}-{most})"


def table(title, head, rows):
    say()
    say(title)
    lines = [head] + rows
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        first = line[0].ljust(widths[0])
        say("  " + "  ".join([first] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]).rstrip())


# The figure of a repetition's rounds.


def per_gib(rounds):
    gib = sum(result["bytes"] for result in rounds) / (1 << 30)
    return sum(result["cpu_seconds"] for result in rounds) / gib if gib else 0


def rate(rounds):
    return sum(result["bytes"] for result in rounds) / sum(result["seconds"] for result in rounds) / 1e6


def per_second(rounds):
    """Each round sets up as many."""
    return statistics.harmonic_mean([result["per_second"] for result in rounds])


def middle(*keys):
    def value(result):
        for key in keys:
            result = result[key]
        return result

    return lambda rounds: statistics.median(value(result) for result in rounds)


def mean_of_level(rounds, level):
    """CPU seconds per GiB, from floods of the same length."""
    return statistics.mean(result["levels"][level]["cpu_seconds_per_gib"] for result in rounds)


def print_bulk(bench):
    for case, rows in bench.results.get("bulk", {}).items():
        base = next((name for name in ("haproxy", "websockify") if name in rows), next(iter(rows)))
        lines = []
        for row, results in rows.items():
            if results:
                ratio = bench.ratio("bulk", case, row, base, per_gib) if row != "direct" else None
                cpu = None if row == "direct" else spread([per_gib(r) for r in results])
                lines.append([row, show(spread([rate(r) for r in results]), 0), show(cpu, 3), show(ratio)])
        table(f"Bulk toward the viewer, {case}", ["", "MB/s", "CPU s/GiB", f"x {base}"], lines)


def print_trip(bench):
    for case, rows in bench.results.get("trip", {}).items():
        lines = [[row] + [show(spread(map(middle(key), results)), 1) for key in ("p50", "p99", "p999")]
                 for row, results in rows.items() if results]
        table(f"Round trip of 64 bytes, {case}, microseconds", ["", "p50", "p99", "p99.9"], lines)


def print_setup(bench):
    for case, rows in bench.results.get("setup", {}).items():
        lines = []
        for row, results in rows.items():
            if results:
                cells = [show(spread(map(per_second, results)), 0)]
                for what in ("reply_us", "authenticated_us"):
                    cells += [show(spread(map(middle(what, key), results)), 0) for key in ("p50", "p99")]
                lines.append([row] + cells + [show(spread(map(middle("cpu_us_each"), results)), 0)])
        table(f"Set-up of a forwarding, {case}, microseconds",
              ["", "per second", "reply p50", "p99", "viewer in p50", "p99", "CPU each"], lines)


def print_burst(bench):
    for case, rows in bench.results.get("burst", {}).items():
        for results in filter(None, rows.values()):
            cells = [show(spread(map(middle(key), results)), 0) for key in ("granted", "refused")]
            cells.append(show(spread(map(middle("seconds"), results))))
            cells += [show(spread(map(middle("reply_us", key), results)), 0) for key in ("p50", "p99")]
            table(f"A burst: {case}, of one client", ["", "granted", "refused", "all answered in s", "reply p50 us", "p99"],
                  [[OURS] + cells])
            for reason in {result["first_refusal"] for rounds in results for result in rounds} - {""}:
                bench.remark(f"burst: a request was refused: {reason}")


def spare_kib(level):
    memory = level["memory"]
    return memory["spares_pss_kib"] / memory["spares"] if memory["spares"] else None


def worker_kib(level, kind):
    memory = level["memory"]
    return memory[f"others_{kind}_kib"] / memory["others"] if memory["others"] else None


def master_growth_kib(result, level):
    return (level["memory"]["root_rss_kib"] - result["before"]["root_rss_kib"]) / level["sessions"]


def print_memory(bench):
    lines = []
    for state in ("waiting", "live"):
        for row in bench.results.get("memory", {}).get(state, {}):
            for result in bench.measured("memory", state, row):
                for level in result["levels"]:
                    if worker_kib(level, "pss") is None:
                        bench.remark("memory of the daemon's processes can be read by root only")
                        continue
                    memory, spare = level["memory"], spare_kib(level)
                    lines.append([f"{row}, {state}", str(level["sessions"]), f"{worker_kib(level, 'pss'):.0f}",
                                  f"{worker_kib(level, 'uss'):.0f}", "-" if spare is None else f"{spare:.0f}",
                                  str(memory["nursery_pss_kib"]), str(memory["root_pss_kib"]),
                                  str(memory["root_uss_kib"]), f"{master_growth_kib(result, level):.2f}"])
    if lines:
        table("Memory of the daemon, KiB", ["", "sessions", "PSS each", "USS each", "PSS of a spare", "of the nursery",
                                            "of the master", "its USS", "its growth each"], lines)
    lines = []
    for case, rows in bench.results.get("memory", {}).items():
        for row in rows if case.endswith("others") else ():
            for result in bench.measured("memory", case, row):
                last = result["levels"][-1]
                if last["memory"]["root_pss_kib"] == 0:
                    continue
                grown = [last["memory"][key] - result["before"][key] for key in ("root_pss_kib", "others_pss_kib")]
                lines.append([f"{row}, {case.split(', ')[1]}", str(last["sessions"]),
                              f"{sum(grown) / last['sessions']:.0f}"])
    if lines:
        table("Memory of the others, KiB by which the whole tree grows for each live session",
              ["", "sessions", "PSS each"], lines)


def print_growth(bench):
    repetitions = bench.row("growth", "live", OURS)
    if not repetitions:
        return

    def figures(*keys, level=None, digits=0):
        return show(spread([middle(*(("levels", level) if level is not None else ()), *keys)(rounds)
                            for rounds in repetitions]), digits)

    lines = [[figures("sessions", level=i), figures("opened_in_s", level=i, digits=2),
              figures("reply_us", "p50", level=i), figures("authenticated_us", "p50", level=i),
              figures("master_cpu_us_each", level=i),
              show(spread([mean_of_level(rounds, i) for rounds in repetitions]), 3)]
             for i in range(len(bench.size.levels))]
    table("Growth: with so many sessions live, all of them echoing",
          ["sessions", "opened in s", "reply p50 us", "viewer in p50 us", "master CPU us each", "CPU s/GiB"], lines)
    say(f"  reply while all of them end: p50 {figures('while_all_end_us', 'p50')} us,"
        f" p99 {figures('while_all_end_us', 'p99')} us")


def print_crowd(bench):
    lines = []
    for case, rows in bench.results.get("crowd", {}).items():
        for results in rows.values():
            if results:
                lines.append([case, show(spread([rate(r) for r in results]), 0),
                              show(spread([per_gib(r) for r in results]), 3)])
    if lines:
        table("Bulk in every session, an unprivileged user's pipes run out", ["", "MB/s", "CPU s/GiB"], lines)


def promises(bench):
    """(where it is promised, what, the figure, the limit, whether more is better) for all that was measured."""
    (first, *_), (many, *_) = bench.size.bulk
    lanes = bench.size.lanes
    plain, ws, tls = (f"{group}, {first} session" for group in ("plain", "WebSocket", "TLS"))
    mine = {wrap: OURS if wrap == "plain" else f"{OURS} {wrap}" for wrap in WRAPPINGS}

    def bulk(row, other, case=plain, value=per_gib):
        return bench.ratio("bulk", case, row, other, value)

    def trip(case, key):
        return bench.ratio("trip", "plain, " + case, OURS, "haproxy", middle(key))

    def setup(lanes, value):
        return bench.ratio("setup", f"login cached, {lanes} at once", OURS, "floor", value)

    def memory(state, wrap, value, wanted=1000):
        found = [value(result, level) for result in bench.measured("memory", state, mine[wrap])
                 for level in result["levels"]
                 if level["sessions"] == wanted or (bench.size is Smoke and level is result["levels"][-1])]
        return spread([figure for figure in found if figure is not None])

    def pss(_, level):
        return worker_kib(level, "pss")

    def uss(_, level):
        return worker_kib(level, "uss")

    def spare(_, level):
        return spare_kib(level)

    def nursery(_, level):
        return level["memory"]["nursery_pss_kib"] or None

    def growth(value):
        return spread([value(rounds, -1) / value(rounds, 0) for rounds in bench.row("growth", "live", OURS)])

    def set_up(rounds, level):
        return middle("levels", level, "authenticated_us", "p50")(rounds)

    crowd = (f"{bench.size.crowd} sessions with bulk", OURS)
    rows = [
        ("2", "CPU/GiB: plain / HAProxy", bulk(OURS, "haproxy"), 0.45, False),
        ("2", "USS of a waiting session, KiB", memory("waiting", "plain", uss), 200, False),
        ("2", "USS of a live session, KiB", memory("live", "plain", uss), 200, False),
        ("3", "CPU/GiB: vnc-ws / plain", bulk(mine["ws"], (plain, OURS), ws), 1.5, False),
        ("3", "CPU/GiB: vnc-ws / websockify", bulk(mine["ws"], "websockify", ws), 0.5, False),
        ("3", "CPU/GiB: vnc-wss / websockify", bulk(mine["wss"], "websockify wss", tls), 0.7, False),
        ("5", "CPU/GiB: plain / HAProxy splice, 1 MiB pipes", bulk(OURS, "haproxy splice 1M"), 1.0, False),
        ("5", "CPU/GiB: plain / HAProxy", bulk(OURS, "haproxy"), 0.35, False),
        ("5", "throughput: plain / direct", bulk(OURS, "direct", value=rate), 0.65, True),
        ("5", "CPU/GiB: vnc-ws / plain", bulk(mine["ws"], (plain, OURS), ws), 1.3, False),
        ("5", "CPU/GiB: vnc-ws / websockify", bulk(mine["ws"], "websockify", ws), 0.4, False),
        ("5", "CPU/GiB: vnc-ws / lighttpd", bulk(mine["ws"], "lighttpd", ws), 0.2, False),
        ("5", "CPU/GiB: vnc-wss / HAProxy TLS", bulk(mine["wss"], "haproxy", tls), 0.8, False),
        ("5", "CPU/GiB: vnc-wss / stunnel", bulk(mine["wss"], "stunnel", tls), 0.6, False),
    ]
    for case, beside, _ in TRIPS:
        issue, limits = ("15", (1.1, 1.3)) if beside else ("5", (1.05, 1.2))
        rows += [(issue, f"round trip {key}, {case} / HAProxy", trip(case, key), limit, False)
                 for key, limit in zip(("p50", "p99"), limits)]
    rows += [
        ("15", f"CPU/GiB: {many} plain sessions / HAProxy splice, 1 MiB pipes",
         bulk(OURS, "haproxy splice 1M", f"plain, {many} sessions"), 1.1, False),
        ("15", f"CPU/GiB: {many} vnc-wss sessions / HAProxy TLS",
         bulk(mine["wss"], "haproxy", f"TLS, {many} sessions"), 0.85, False),
        ("15", "set-up p50, one at a time / floor", setup(lanes[0], middle("authenticated_us", "p50")), 1.15, False),
        ("15", f"set-ups per second, {lanes[1]} at once / floor", setup(lanes[1], per_second), 0.8, True),
        ("15", f"set-ups per second, {lanes[2]} at once / floor", setup(lanes[2], per_second), 0.75, True),
        ("5", "reply p50, login not cached / crypt's time and a cached one",
         spread(map(middle("ratio"), bench.row("login", "1 at once", OURS))), 1.1, False),
        ("15", f"requests granted of {bench.size.burst} at once",
         spread([r["granted"] for r in bench.measured("burst", f"{bench.size.burst} requests at once", OURS)]),
         bench.size.burst, True),
    ]
    for wrap, limit in (("plain", 80), ("ws", 110), ("wss", 340)):
        for state in ("waiting", "live"):
            rows.append(("15", f"PSS of a {state} session of 1000, {wrap}, KiB", memory(state, wrap, pss), limit, False))
    rows += [
        ("15", "PSS of a spare beside 1000 sessions, KiB", memory("live", "plain", spare), 80, False),
        ("15", "PSS of the nursery beside 1000 sessions, KiB", memory("live", "plain", nursery), 4096, False),
        ("15", "growth of the master for a forwarding, KiB", memory("live", "plain", master_growth_kib), 2, False),
        ("15", "live sessions at once, each echoing",
         spread([r["levels"][-1]["sessions"] for r in bench.measured("growth", "live", OURS)]), bench.size.levels[-1],
         True),
        ("15", "set-up p50 with the most sessions / the fewest", growth(set_up), 1.15, False),
        ("5", "CPU/GiB with the most sessions / the fewest", growth(mean_of_level), 1.1, False),
        ("5", f"CPU/GiB: {bench.size.crowd} sessions with bulk / one",
         bench.ratio("crowd", None, crowd, ("1 sessions with bulk", OURS), per_gib), 2, False),
    ]
    return rows


def print_promises(bench):
    lines, kept = [], []
    for issue, what, found, limit, more in promises(bench):
        if found is None:
            lines.append([what, "not measured", f"{'>=' if more else '<='} {limit}", ""])
            continue
        holds = found[0] >= limit if more else found[0] <= limit
        verdict = "" if bench.size is Smoke else "holds" if holds else "DOES NOT HOLD"
        lines.append([what, show(found), f"{'>=' if more else '<='} {limit}", verdict])
        kept.append({"promise": what, "issue": issue, "median": found[0], "min": found[1], "max": found[2],
                     "limit": limit, "at_least": more, "holds": holds})
    title = "a moment's run: no verdict" if bench.size is Smoke else "the median counts"
    table(f"What is promised ({title})", ["", "measured", "promised", ""], lines)
    return kept


def machine():
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        pass
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "system": platform.machine(),
            "root": os.geteuid() == 0}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--build", default="build", help="the build folder (build)")
    parser.add_argument("--smoke", action="store_true", help="every mode for a moment: correctness, not time")
    parser.add_argument("--repetitions", type=int, help="how many times round (3)")
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section is called {', '.join(sorted(unknown))}")
    smoke = arguments.smoke or os.environ.get("BENCH_QUICK", "") not in ("", "0")
    size = Smoke if smoke else Full
    if arguments.repetitions:
        size.repetitions = arguments.repetitions

    # Proxies live in process groups of their own, so an end from outside must pass by their stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(arguments.build, size)
    about = machine()
    say(f"{about['cpu'] or 'CPU unknown'}, {about['cores']} cores, Linux {about['kernel']}")
    try:
        bench.run(arguments.sections or SECTIONS)
    except Failed as reason:
        bench.broken = True
        bench.remark(f"stopped: {reason}")
    for print_section in (print_bulk, print_trip, print_setup, print_burst, print_memory, print_growth, print_crowd):
        print_section(bench)
    kept = print_promises(bench)
    with open(os.path.join(bench.build, "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": about, "smoke": smoke, "results": bench.results, "promises": kept,
                   "remarks": bench.remarks}, file, indent=1)
    if bench.remarks:
        say()
        say("Remarks")
        for text in bench.remarks:
            say("  " + text)
    return 1 if bench.broken else 0


if __name__ == "__main__":
    sys.exit(main())
