#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# How run-tests.sh and run.py tell how far they are, and how long it will still take.
set -eu

bad=0
complain() {
  echo "$*"
  bad=1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM
printf '#!/bin/sh\nexit 1\n' >"$root/fails"
printf '#!/bin/sh\necho no program\nexit 77\n' >"$root/skips"
chmod +x "$root/fails" "$root/skips"
run() { tests/scripts/run-tests.sh "$root/check" "$@" >"$root/said" 2>&1 || :; }
said() {  # LINE PATTERN
  sed -n "$1p" "$root/said" | grep -qx "$2" || complain "line $1 is not '$2': $(cat "$root/said")"
}

# Nothing is known about an end-to-end test: a usual time of its kind counts.
run unit/one=true e2e/two=true
said 1 '\[1/2\] ok    unit/one  *0.[0-9]* s  *, about [0-9]* s left'
said 2 '\[2/2\] ok    e2e/two  *0.[0-9]* s *'
said 3 '2 passed, 0 failed'

# What took long the last time is expected to take as long again.
printf 'unit/one 10\ne2e/two 30000\nunit/gone 99999\n' >"$root/check.times"
run unit/one=true e2e/two=true
said 1 '.*, about 5 min left'
# And that run is the last one now; what is not run keeps its time.
grep -qx 'e2e/two [0-9]\{1,3\}' "$root/check.times" || complain "no new time: $(cat "$root/check.times")"
grep -qx 'unit/gone 99999' "$root/check.times" || complain "the time of another test is gone: $(cat "$root/check.times")"
[ "$(grep -c . "$root/check.times")" -eq 3 ] || complain "a name twice: $(cat "$root/check.times")"

# A slower machine: what has passed so far took longer than the last time.
printf 'unit/one 1\ne2e/two 30000\n' >"$root/check.times"
run unit/one='sleep 2' e2e/two=true
said 1 '.*, about [6-9] min left'

# Each line is counted. The time of a test that failed or was skipped says nothing.
printf 'unit/one 7\n' >"$root/check.times"
run unit/one="$root/fails" unit/two="$root/skips" unit/three=true
said 1 '\[1/3\] FAIL  unit/one  *0.[0-9]* s  *, exit 1, about [0-9]* s left'
grep -qx '\[2/3\] skip  unit/two  *no program, about [0-9]* s left' "$root/said" || complain "no skip: $(cat "$root/said")"
[ "$(tail -n 1 "$root/said")" = '1 passed, 1 failed, 1 skipped' ] || complain "the sum: $(tail -n 1 "$root/said")"
grep -qx 'unit/one 7' "$root/check.times" || complain "a failed test's time: $(cat "$root/check.times")"

# The bench: sections and repetitions, by last times.
cat >"$root/bench.py" <<'END'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "tests/bench")
from progress import Progress
now = 0
progress = Progress(sys.argv[1], "full", {"bulk": 200, "trip": 100}, 3, print, lambda: now)
for section in ("bulk", "trip"):
    progress.section(section)
    for repetition in range(3):
        progress.repetition(repetition)
        now += {"bulk": 100, "trip": 50}[section]
progress.done()
END
"${PYTHON3:-python3}" "$root/bench.py" "$root/bench.times" >"$root/said"
cat >"$root/wanted" <<'END'
measuring: bulk (1 of 2), about 15 minutes left
measuring: bulk (1 of 2), repetition 2 of 3, about 6 minutes left
measuring: bulk (1 of 2), repetition 3 of 3, about 4 minutes left
measuring: trip (2 of 2), about 3 minutes left
measuring: trip (2 of 2), repetition 2 of 3, about 100 seconds left
measuring: trip (2 of 2), repetition 3 of 3, about 50 seconds left
END
diff "$root/wanted" "$root/said" || complain 'the bench tells something else'
"${PYTHON3:-python3}" "$root/bench.py" "$root/bench.times" >"$root/said"
[ "$(head -n 1 "$root/said")" = 'measuring: bulk (1 of 2), about 8 minutes left' ] || complain "the second time: $(cat "$root/said")"

exit $bad
