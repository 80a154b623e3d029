#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# How `make demo` and `make check` build: on all cores, each step with its number of how many. A stub in the place of the
# compiler notes how it was called, so that this takes a moment.
set -eu

MAKE=${MAKE:-make}
bad=0
complain() {
  echo "$*"
  bad=1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM
cat >"$root/stub" <<'END2'
#!/bin/sh
# Compiler and archiver: makes the file that -o or the word behind crs names.
echo "$MAKEFLAGS" >>"$STUB_LOG"
while [ $# -gt 1 ]; do
  case $1 in -o | crs) echo >"$2" ;; esac
  shift
done
END2
chmod +x "$root/stub"
STUB_LOG=$root/log
export STUB_LOG

build() {  # ARGUMENTS... : not with the options of the make that runs the tests
  : >"$STUB_LOG"
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$MAKE" BUILD="$root/build" CXX="$root/stub" AR="$root/stub" "$@" >"$root/said" 2>&1 ||
    complain "make $* failed: $(cat "$root/said")"
  calls=$(grep -c . "$STUB_LOG" || :)
}
counted() {  # from 1 to as many as there were calls; those that begin together may be told in either order
  sed -n 's/^ *\[\([0-9]*\/[0-9]*\)\] .*/\1/p' "$root/said" | sort -n >"$root/numbers"
  seq 1 "$calls" | sed "s|\$|/$calls|" | cmp -s - "$root/numbers" ||
    complain "make $*: $calls steps were counted as $(tr '\n' ' ' <"$root/numbers")"
}
jobs() { sed -n 's/^\(.* \)\{0,1\}-j\([0-9][0-9]*\).*/\2/p' "$STUB_LOG" | sort -u; }

build demo-programs
[ "$calls" -gt 50 ] || complain "only $calls steps"
counted demo-programs
[ "$(nproc)" -eq 1 ] || [ "$(jobs)" = "$(nproc)" ] || complain "demo builds with -j '$(jobs)' on $(nproc) cores"

# A second time nothing is left to do; one file more is one step and what hangs on it.
build demo-programs
[ "$calls" -eq 0 ] || complain "a second run made $calls steps"
[ ! -s "$root/said" ] || complain "a second run has something to say: $(cat "$root/said")"
rm "$root/build/obj/src/client/main.o"
build demo-programs
[ "$calls" -eq 2 ] || complain "one object and its program were $calls steps"
counted demo-programs
build demo-programs CXXFLAGS=-O3  # other flags: all of it again
[ "$calls" -gt 50 ] || complain "other flags were only $calls steps"
counted demo-programs

# Whoever names a number gets it. A few tests only.
rm -rf "$root/build"
build -j3 check-programs CHECK=e2e/test_support
counted check-programs
[ "$(jobs)" = 3 ] || complain "with -j3 check builds with -j '$(jobs)'"

exit $bad
