#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make install and make uninstall below a DESTDIR: everything in its place, edited configuration kept, nothing left
# behind; and the programs as hardened as the Makefile promises, and linked as configure was told.
set -eu

BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
bad=0
complain() {
  echo "$*"
  bad=1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM

run_make() {  # what the make that started this was given (CXX, SANITIZE) is in MAKEFLAGS
  if ! "$MAKE" --no-print-directory BUILD="$BUILD" DESTDIR="$root/to" "$@" >"$root/log" 2>&1; then
    cat "$root/log"
    exit 1
  fi
}
folder() { sed -n "s/.*\\(^\\| \\)$1=\\([^ ]*\\).*/\\2/p" "$BUILD/folders"; }
files() { find "$root/to" -type f | sort; }

run_make install
etc=$root/to$(folder sysconfdir)
man=$root/to$(folder mandir)

# ---- in place

for file in \
  "$root/to$(folder sbindir)/vncauthproxy" \
  "$root/to$(folder bindir)/vncauthproxy-passwd" \
  "$root/to$(folder bindir)/vncauthproxy-client" \
  "$etc/init.d/vncauthproxy"; do
  [ -x "$file" ] || complain "not installed, or not executable: ${file#"$root/to"}"
done
for file in \
  "$etc/vncauthproxy/vncauthproxy.conf" "$etc/default/vncauthproxy" \
  "$man/man8/vncauthproxy.8" "$man/man5/vncauthproxy.conf.5" "$man/man5/vncauthproxy-users.5" \
  "$man/man1/vncauthproxy-passwd.1" "$man/man1/vncauthproxy-client.1" "$man/man7/vncauthproxy-control.7"; do
  [ -r "$file" ] || complain "not installed: ${file#"$root/to"}"
done

for file in COPYING README.md NEWS.md doc/performance.md; do
  cmp -s "$file" "$root/to$(folder docdir)/$file" || complain "not installed as it is: $file"
done

# ---- the Python package, as Python finds it; it leaves compiled files behind, which uninstall has to find

pythondir=$(folder pythondir)
if [ -n "$pythondir" ] && [ -n "${PYTHON3:-}" ]; then
  PYTHONPATH=$root/to$pythondir "$PYTHON3" -c '
import importlib.metadata, sys
import vncauthproxy
from vncauthproxy import client, d3des, vapclient
assert client.__file__.startswith(sys.argv[1]), client.__file__
assert importlib.metadata.version("vncauthproxy") == sys.argv[2], importlib.metadata.version("vncauthproxy")
assert vncauthproxy.__version__ == sys.argv[2], vncauthproxy.__version__
' "$root/to$pythondir" "$(sed -n 's/^VERSION = //p' config.mk)" || complain "the Python package does not work (above)"
fi

# ---- edited configuration

files >"$root/fresh"
run_make install
files | diff "$root/fresh" - || complain "a second install changed the list of files (above)"
echo '# edited' >>"$etc/default/vncauthproxy"
run_make install
[ "$(tail -n 1 "$etc/default/vncauthproxy")" = '# edited' ] || complain "an edited file was overwritten"
[ -e "$etc/default/vncauthproxy.new" ] || complain "no .new beside an edited file"
if grep -q '# edited' "$etc/default/vncauthproxy.new"; then complain "the .new file is not the new one"; fi
run_make uninstall
[ "$(files)" = "$etc/default/vncauthproxy" ] || complain "uninstall should leave the edited file alone, but: $(files)"
rm -f "$etc/default/vncauthproxy"

run_make install
run_make uninstall
[ -z "$(files)" ] || complain "uninstall left: $(files)"
for left in "$etc/vncauthproxy" "$root/to$(folder docdir)" "$root/to$pythondir/vncauthproxy"; do
  [ ! -e "$left" ] || complain "uninstall left the folder $left"
done

run_make install pythondir=
if files | grep python; then complain "installed without --with-pythondir (above)"; fi
run_make uninstall pythondir=

# ---- install-strip: the programs, and nothing that is a script

built=$(cksum "$BUILD"/vncauthproxy*)
run_make install-strip
for program in "$root/to$(folder sbindir)/vncauthproxy" "$root/to$(folder bindir)/vncauthproxy-passwd" \
  "$root/to$(folder bindir)/vncauthproxy-client"; do
  if readelf -W -S "$program" | grep -q ' \.symtab '; then complain "not stripped: $program"; fi
  "$program" --version >/dev/null || complain "it does not run when stripped: $program"
done
grep -v '/__pycache__/' "$root/fresh" >"$root/installed"
files | diff "$root/installed" - || complain "install-strip installs other files than install (above)"
[ "$(cksum "$BUILD"/vncauthproxy*)" = "$built" ] || complain "install-strip has changed what was built"
run_make uninstall

# ---- a daemon that runs what is replaced, or taken away

run_make install
if grep -q restart "$root/log"; then complain "install speaks of a restart, but nothing runs: $(cat "$root/log")"; fi
user=
if [ "$(id -u)" -eq 0 ]; then user=--user=root; fi
mkfifo "$root/said"
: >"$root/empty"
"$root/to$(folder sbindir)/vncauthproxy" --foreground --log=- --config="$root/empty" --pid-file= --listen-port=0 \
  --proxy-listen-address=127.0.0.1 --auth-file="$root/empty" $user 2>"$root/said" &
daemon=$!
trap 'kill $daemon 2>/dev/null || :; rm -rf "$root"' EXIT
exec 3<"$root/said"
sed '/Listening for control clients/q' <&3 >"$root/log"
kill -0 $daemon || complain "the daemon does not run: $(cat "$root/log")"
# The first one replaces its file; the second finds a daemon whose file is gone.
for turn in first second; do
  run_make install
  for line in "(process $daemon) is still" "^  $(folder sysconfdir)/init.d/vncauthproxy restart$"; do
    grep -q "$line" "$root/log" || complain "the $turn install over a running daemon does not say $line: $(cat "$root/log")"
  done
done
files >"$root/before"
if "$MAKE" --no-print-directory BUILD="$BUILD" DESTDIR="$root/to" uninstall >"$root/log" 2>&1; then
  complain "uninstall does not mind the daemon that runs: $(cat "$root/log")"
fi
grep -q "(process $daemon).*$(folder sysconfdir)/init.d/vncauthproxy stop" "$root/log" ||
  complain "uninstall does not say how to stop the daemon: $(cat "$root/log")"
files | diff "$root/before" - || complain "uninstall refused, and yet removed files (above)"
run_make install DESTDIR="$root/other"
run_make uninstall DESTDIR="$root/other"  # it is not in the way there
kill $daemon
wait $daemon || :
exec 3<&-

# ---- what belongs to people stays, and uninstall says so

state=$root/to$(folder localstatedir)
mkdir -p "$etc/rc2.d" "$state/log/vncauthproxy" "$state/run/vncauthproxy"
ln -s ../init.d/vncauthproxy "$etc/rc2.d/S01vncauthproxy"
for left in lib/vncauthproxy/users lib/vncauthproxy/key.pem log/vncauthproxy/vncauthproxy.log; do echo x >"$state/$left"; done
run_make uninstall
for left in "$etc/rc2.d/S01vncauthproxy" "$state/lib/vncauthproxy/users" "$state/lib/vncauthproxy/key.pem" \
  "$state/log/vncauthproxy/vncauthproxy.log"; do
  grep -q "^  KEPT  $left" "$root/log" || complain "uninstall does not say that $left stays: $(cat "$root/log")"
done
[ "$(files | grep -c .)" -eq 3 ] || complain "uninstall left more than it should: $(files)"
rm -rf "$root/to"

# The user is the system's, so these can only be read.
"$MAKE" -n --no-print-directory BUILD="$BUILD" DESTDIR= install uninstall >"$root/log" 2>&1 || complain "$(cat "$root/log")"
grep -q 'useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin vncauthproxy' "$root/log" ||
  complain "install has another command to make the user than the README"
grep -q 'userdel vncauthproxy' "$root/log" || complain "uninstall does not say that the user stays"

# ---- make prefix=DIR holds, in a build folder of its own: only the text is looked at, not the programs

run_make BUILD="$root/build" prefix=/elsewhere "$root/build/placed/contrib/init.d/vncauthproxy"
grep -q '^DAEMON=/elsewhere/sbin/vncauthproxy$' "$root/build/placed/contrib/init.d/vncauthproxy" ||
  complain "make prefix=/elsewhere does not reach the init script"
grep -q '^DEFAULTS=/elsewhere/etc/default/vncauthproxy$' "$root/build/placed/contrib/init.d/vncauthproxy" ||
  complain "make prefix=/elsewhere does not reach the init script's default file"
run_make BUILD="$root/build" prefix=/usr "$root/build/placed/contrib/init.d/vncauthproxy"
grep -q '^DEFAULTS=/etc/default/vncauthproxy$' "$root/build/placed/contrib/init.d/vncauthproxy" ||
  complain "with prefix=/usr the default file belongs into /etc"

# ---- hardening

for program in vncauthproxy vncauthproxy-passwd vncauthproxy-client; do
  file=$BUILD/$program
  [ -x "$file" ] || continue  # complained about above
  headers=$(readelf -W -h -l -d "$file")
  symbols=$(readelf -W --dyn-syms "$file")
  has() {  # TEXT EXPRESSION WHAT
    echo "$1" | grep -qE "$2" || complain "$file: $3"
  }
  has "$headers" 'Type: +DYN' 'not position independent'
  has "$headers" 'GNU_RELRO' 'no RELRO'
  has "$headers" 'BIND_NOW|Flags:.* NOW' 'not linked with -z now'
  has "$headers" 'GNU_STACK .* RW +0x' 'its stack is executable'
  if [ -z "$(sed -n 's/^RUNTIME = *//p' config.mk)" ]; then
    has "$headers" 'NEEDED.*lib(std)?c\+\+' 'the C++ library is not shared'
    if [ "$program" = vncauthproxy ]; then
      has "$headers" 'NEEDED.*libevent_core' 'libevent is not shared'
      has "$headers" 'NEEDED.*libjansson' 'Jansson is not shared'
    fi
  fi
  if [ -z "${SANITIZE:-}" ]; then
    has "$symbols" '__stack_chk_fail' 'no stack protector'
    has "$symbols" '_chk(@|$| )' 'not fortified'
  fi
done

exit $bad
