#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What configure decides: libraries are shared ones unless --with-static-libs asks for archives, and a system that is
# not Linux is refused. It runs in a folder of its own; nothing is built.
set -eu

bad=0
complain() {
  echo "$*"
  bad=1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM
tree=$PWD
unset CPPFLAGS CXXFLAGS LDFLAGS LIBS MAKEFLAGS

configure() {
  rm -f "$root/config.mk"
  (cd "$root" && "$tree/configure" "$@") >"$root/said" 2>&1
}
value() { sed -n "s/^$1 = *//p" "$root/config.mk"; }

configure || complain "configure fails: $(tail -n 3 "$root/said")"
for list in EVENT_LIBS JANSSON_LIBS RUNTIME; do
  if value $list | grep -qe 'lib[^ ]*\.a' -e '-static'; then complain "by default $list is static: $(value $list)"; fi
done

if configure --with-static-libs; then
  for list in EVENT_LIBS JANSSON_LIBS RUNTIME; do
    value $list | grep -qe 'lib[^ ]*\.a' -e '-static' || complain "--with-static-libs: $list is shared: $(value $list)"
  done
else
  grep -q 'error: .*leave out --with-static-libs' "$root/said" || complain "--with-static-libs: $(tail -n 3 "$root/said")"
fi

if configure CPPFLAGS=-U__linux__; then complain "configure accepts a system that is not Linux"; fi
grep -q 'error: .* Linux' "$root/said" || complain "elsewhere than on Linux: $(tail -n 3 "$root/said")"

exit $bad
