#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs test programs one after the other, a line for each; what a failed one said is shown in full. The last line is
# the sum, "N passed, N failed". Exit 77 of a program, or a CMocka group with nothing but skipped tests, is a skip.
#
# Each line tells how far the run is and how long it will still take: by the times of the last run, in LOGDIR.times, or
# those that are usual for a test of its kind, and by how much faster or slower this run has been so far.
#
#   run-tests.sh LOGDIR NAME=COMMAND...     TEST_TIMEOUT=SECONDS for each (600)
set -u

logs=$1
shift
rm -rf "$logs"
mkdir -p "$logs"
passed=0
failed=0
skipped=0

# Tests bound the memory of a process, and AddressSanitizer keeps what is freed: so much of it, not 256 MiB.
export ASAN_OPTIONS="quarantine_size_mb=8:${ASAN_OPTIONS:-}"

now() { date +%s%N; }

times=$logs.times
touch "$times"
# Centiseconds that a test is likely to take.
expected() {  # NAME
  case $1 in e2e/*) usual=3000 ;; script/*) usual=800 ;; *) usual=50 ;; esac
  awk -v name="$1" -v time=$usual '$1 == name { time = $2 } END { print time }' "$times"
}
remember() {  # NAME CENTISECONDS
  { awk -v name="$1" '$1 != name' "$times"; echo "$1 $2"; } >"$times.new" && mv "$times.new" "$times"
}

left=0
for test in "$@"; do left=$((left + $(expected "${test%%=*}"))); done
foreseen=0
spent=0
# ", about 6 min left", or nothing behind the last one. How fast this run is counts the more, the longer it has lasted.
time_left() {
  [ "$number" -lt $# ] || return 0
  seconds=$((left * (spent + 1000) / (foreseen + 1000) / 100))
  if [ $seconds -ge 90 ]; then echo ", about $(((seconds + 30) / 60)) min left"; else echo ", about $seconds s left"; fi
}

# "12 tests", ", 2 skipped": what the summary of CMocka or of Python's unittest says, when there is one.
summary_of() {
  sed -n 's/^\[==========\] \(.*: \)\{0,1\}\([0-9][0-9]*\) test(s) run\.$/\2 tests/p' "$1" | tail -n 1
  sed -n 's/^\[  SKIPPED \] \(.*: \)\{0,1\}\([0-9][0-9]*\) test(s).*/, \2 skipped/p' "$1" | tail -n 1
  sed -n 's/^Ran \([0-9][0-9]*\) tests\{0,1\} in .*/\1 tests/p' "$1" | tail -n 1
  sed -n 's/^OK (skipped=\([0-9][0-9]*\))$/, \1 skipped/p' "$1" | tail -n 1
}

all_skipped() {
  grep -q '^\[  SKIPPED \] .*test(s)' "$1" && grep -q '^\[  PASSED  \] 0 test(s)' "$1"
}

number=0
for test in "$@"; do
  number=$((number + 1))
  name=${test%%=*}
  command=${test#*=}
  log=$logs/$(printf %s "$name" | tr / -).log
  begin=$(now)
  # A program that hangs is a failure; timeout ends its whole process group.
  # shellcheck disable=SC2086  # a command may have arguments
  timeout -k 10 "${TEST_TIMEOUT:-600}" $command >"$log" 2>&1 </dev/null
  code=$?
  centiseconds=$((($(now) - begin) / 10000000))
  took=$((centiseconds / 100)).$(printf %02d $((centiseconds % 100)))
  wanted=$(expected "$name")
  left=$((left - wanted))
  foreseen=$((foreseen + wanted))
  spent=$((spent + centiseconds))
  later=$(time_left "$@")
  said=$(summary_of "$log" | tr -d '\n')
  if [ "$code" -eq 77 ] || { [ "$code" -eq 0 ] && all_skipped "$log"; }; then
    skipped=$((skipped + 1))
    printf '%s skip  %-36s %s%s\n' "[$number/$#]" "$name" "$(tail -n 1 "$log")" "$later"
  elif [ "$code" -eq 0 ]; then
    passed=$((passed + 1))
    remember "$name" $centiseconds
    printf '%s ok    %-36s %6s s  %s%s\n' "[$number/$#]" "$name" "$took" "$said" "$later"
  else
    failed=$((failed + 1))
    if [ "$code" -eq 124 ]; then reason=', ran out of time'; else reason=", exit $code"; fi
    printf '%s FAIL  %-36s %6s s  %s%s\n' "[$number/$#]" "$name" "$took" "$said" "$reason$later"
    echo "---- $command says:"
    cat "$log"
    echo "---- end of $name"
  fi
done

sum="$passed passed, $failed failed"
if [ "$skipped" -gt 0 ]; then sum="$sum, $skipped skipped"; fi
echo "$sum"
[ "$failed" -eq 0 ]
