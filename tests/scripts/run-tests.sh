#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs test programs one after the other, a line for each; what a failed one said is shown in full. The last line is
# the sum, "N passed, N failed". Exit 77 of a program, or a CMocka group with nothing but skipped tests, is a skip.
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

now() { date +%s%N; }

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

for test in "$@"; do
  name=${test%%=*}
  command=${test#*=}
  log=$logs/$(printf %s "$name" | tr / -).log
  begin=$(now)
  # A program that hangs is a failure; timeout ends its whole process group.
  # shellcheck disable=SC2086  # a command may have arguments
  timeout -k 10 "${TEST_TIMEOUT:-600}" $command >"$log" 2>&1 </dev/null
  code=$?
  took=$((($(now) - begin) / 10000000))
  took=$((took / 100)).$(printf %02d $((took % 100)))
  said=$(summary_of "$log" | tr -d '\n')
  if [ "$code" -eq 77 ] || { [ "$code" -eq 0 ] && all_skipped "$log"; }; then
    skipped=$((skipped + 1))
    printf 'skip  %-36s %s\n' "$name" "$(tail -n 1 "$log")"
  elif [ "$code" -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok    %-36s %6s s  %s\n' "$name" "$took" "$said"
  else
    failed=$((failed + 1))
    if [ "$code" -eq 124 ]; then reason=', ran out of time'; else reason=", exit $code"; fi
    printf 'FAIL  %-36s %6s s  %s%s\n' "$name" "$took" "$said" "$reason"
    echo "---- $command says:"
    cat "$log"
    echo "---- end of $name"
  fi
done

sum="$passed passed, $failed failed"
if [ "$skipped" -gt 0 ]; then sum="$sum, $skipped skipped"; fi
echo "$sum"
[ "$failed" -eq 0 ]
