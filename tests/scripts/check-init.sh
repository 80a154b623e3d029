#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The init script against the built daemon, below a temporary root: exit codes of LSB, folders and modes, and that
# start returns with the sockets bound and stop with the daemon gone.
set -eu

BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
bad=0
complain() {
  echo "$*"
  bad=1
}

root=$(mktemp -d)
chmod 755 "$root"  # the daemon gives up root and must still get in
script=$root/build/placed/contrib/init.d/vncauthproxy
# shellcheck disable=SC2317  # the trap calls it
finish() {
  if [ -x "$script" ]; then "$script" stop >/dev/null 2>&1 || :; fi
  rm -rf "$root"
}
trap finish EXIT
trap 'exit 1' INT TERM

if ! "$MAKE" --no-print-directory BUILD="$root/build" prefix="$root" DESTDIR= "$script" >"$root/log" 2>&1; then
  cat "$root/log"
  exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
  owner=nobody:$(id -gn nobody)
else
  owner=$(id -un):$(id -gn)
fi
pid_file=$root/var/run/vncauthproxy/vncauthproxy.pid
mkdir -p "$root/etc/default" "$root/var/lib/vncauthproxy"
default_file() {  # DAEMON OPTIONS
  cat >"$root/etc/default/vncauthproxy" <<END
DAEMON=$1
CHUID="$owner"
DAEMON_OPTS="--pid-file=\$PIDFILE $2"
END
}

as=
# expect CODE ACTION: runs the script as a boot would, with an empty environment
expect() {
  code=0
  # shellcheck disable=SC2086  # words or none
  env -i $as "$script" "$2" >"$root/said" 2>&1 </dev/null || code=$?
  if [ "$code" -ne "$1" ]; then
    complain "$2 gave $code instead of $1, and said:"
    cat "$root/said"
  fi
}
said() { grep -q "$1" "$root/said" || complain "expected \"$1\", but it said: $(cat "$root/said")"; }

# ---- the header, by which insserv and systemd order services

for key in Provides Required-Start Required-Stop Default-Start Default-Stop Short-Description Description; do
  sed -n '/^### BEGIN INIT INFO$/,/^### END INIT INFO$/p' "$script" | grep -q "^# $key: " || complain "no $key in the LSB header"
done

# systemd makes a unit of the script, and follows the process that this file names.
sed '/^### BEGIN INIT INFO$/,/^### END INIT INFO$/d' "$script" | grep -qx "# pidfile: $pid_file" ||
  complain "no '# pidfile: $pid_file' outside of the LSB header"
# Debian's hand most actions to systemctl where systemd runs, which knows less of them than this script.
if grep -q init-functions "$script"; then complain "it sources the functions of the distribution"; fi

# ---- without a daemon

default_file "$root/sbin/vncauthproxy" ''
expect 3 nonsense
said usage
expect 3 status
expect 0 stop
expect 7 reload
expect 5 start
expect 0 try-restart

default_file /bin/true ''
sed -i 's/^CHUID=.*/CHUID="nobody-of-that-name:nogroup"/' "$root/etc/default/vncauthproxy"
expect 6 start
said nobody-of-that-name

# One command makes the user, wherever it is looked up.
make_user() { echo "useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin $1"; }
said "$(make_user nobody-of-that-name)"
grep -qx "    $(make_user vncauthproxy)" README.md || complain "the README has another command to make the user"
"$BUILD/vncauthproxy" --config=/dev/null --user=nobody-of-that-name --check >"$root/said" 2>&1 || :
said "$(make_user nobody-of-that-name)"

default_file /bin/false ''
expect 1 start

# A pid file of a dead process, and of a process that is something else.
mkdir -p "${pid_file%/*}"
sh -c 'exit 0' &
dead=$!
wait $dead
for pid in $dead $$ nonsense; do
  echo $pid >"$pid_file"
  expect 1 status
done
echo $$ >"$pid_file"
expect 0 stop
[ ! -e "$pid_file" ] || complain "stop left a stale pid file"
: >"$pid_file"  # as a daemon leaves it that may not remove it
expect 3 status
rm "$pid_file"

# ---- with the built daemon

if [ ! -x "$BUILD/vncauthproxy" ]; then
  echo "there is no $BUILD/vncauthproxy"
  exit 1
fi
# Where everybody reaches it, as an installed one: the build may be below a home folder that is closed to others.
daemon=$root/bin/vncauthproxy
mkdir "$root/bin"
cp "$BUILD/vncauthproxy" "$daemon"
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listens() {  # PORT, on 127.0.0.1
  grep -q "^ *[0-9]*: 0100007F:$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp
}
port=$(free_port)
touch "$root/empty.conf"
options="--config=$root/empty.conf --listen-address=127.0.0.1 --auth-file=$root/var/lib/vncauthproxy/users"
options="$options --log=$root/var/log/vncauthproxy/vncauthproxy.log"
default_file "$daemon" "$options --listen-port=$port"
# shellcheck disable=SC2016  # a hash, not variables
echo 'someone:$6$saltsaltsaltsalt$notahash' >"$root/var/lib/vncauthproxy/users"
chmod 600 "$root/var/lib/vncauthproxy/users"

# The daemon's program must be reachable for the user it becomes only while it is root: it is run, then drops.
expect 0 start
listens "$port" || complain "start returned, but nothing listens on port $port"
first=$(cat "$pid_file")
expect 0 status
said "$first"
expect 0 start
said 'already running'
[ "$(cat "$pid_file")" = "$first" ] || complain "a second start replaced the daemon"

mode() { stat -c '%a %U:%G' "$1"; }
# Monitoring reads the pid file; who may use a control socket in there is said by the socket's own mode.
[ "$(mode "$root/var/run/vncauthproxy")" = "755 $owner" ] || complain "run folder: $(mode "$root/var/run/vncauthproxy")"
[ "$(mode "$root/var/log/vncauthproxy")" = "750 $owner" ] || complain "log folder: $(mode "$root/var/log/vncauthproxy")"
[ "$(stat -c '%a %G' "$root/var/lib/vncauthproxy/users")" = "640 ${owner#*:}" ] ||
  complain "users file: $(mode "$root/var/lib/vncauthproxy/users")"
if [ "$(id -u)" -eq 0 ]; then
  runs_as=$(awk '$1 == "Uid:" { print $2, $3, $4 }' "/proc/$first/status")
  nobody=$(id -u nobody)
  [ "$runs_as" = "$nobody $nobody $nobody" ] || complain "the daemon runs as uid $runs_as"
fi

expect 0 reload
[ "$(cat "$pid_file")" = "$first" ] || complain "reload replaced the daemon"
listens "$port" || complain "after reload nothing listens"

# What somebody without rights learns, and must not be told.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
  as="setpriv --reuid=1 --regid=1 --clear-groups"
  expect 0 status
  said "$first"
  for action in stop restart try-restart force-reload reload; do expect 4 $action; done
  listens "$port" || complain "somebody without rights has stopped the daemon"
  : >"$pid_file"
  for action in status stop reload; do expect 4 $action; done
  chmod 700 "$root/var/run/vncauthproxy"
  for action in status stop reload; do expect 4 $action; done
  chmod 755 "$root/var/run/vncauthproxy"
  as=
fi

# An emptied pid file: the daemon that holds its lock is found all the same.
: >"$pid_file"
expect 0 status
said "$first"
expect 0 start
said "already running (pid $first)"
expect 0 reload
expect 0 stop
if listens "$port"; then complain "stop lost the daemon whose pid file was emptied"; fi
[ ! -e "$pid_file" ] || complain "stop left the emptied pid file"
expect 0 start
first=$(cat "$pid_file")

expect 0 restart
second=$(cat "$pid_file")
[ "$second" != "$first" ] || complain "restart did not replace the daemon"
listens "$port" || complain "after restart nothing listens"
expect 0 force-reload
expect 0 try-restart
third=$(cat "$pid_file")

# What the new daemon could not start with must not cost the running one.
hold() {  # PORT: listens on it; sets holder
  python3 - "$1" >"$root/held" <<'END' &
import signal, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("held", flush=True)
signal.pause()
END
  holder=$!
  deadline=$(($(date +%s) + 20))
  until grep -q held "$root/held" || [ "$(date +%s)" -ge $deadline ]; do sleep 0.05; done
}
let_go() {
  kill $holder
  wait $holder 2>/dev/null || :
}
busy=$(free_port)
hold "$busy"
for fault in --min-port=nonsense "--listen-port=$busy" --listen-address=192.0.2.1 --proxy-listen-address=192.0.2.1 \
  "--log=$root/none/log" --control-socket-group=no-such-group "--auth-file=$root"; do
  default_file "$daemon" "$options --listen-port=$port $fault"
  expect 6 restart
  [ "$(cat "$pid_file")" = "$third" ] || complain "$fault replaced the running daemon"
  listens "$port" || complain "$fault cost the running daemon"
done
let_go
default_file "$daemon" "$options --listen-port=$port"

expect 0 stop
if listens "$port"; then complain "stop returned, but the port is still open"; fi
[ ! -e "$pid_file" ] || complain "stop left the pid file"
expect 3 status

# A port that is taken: start says so and fails.
hold "$port"
expect 1 start
said "$port"
let_go
expect 3 status

# A pid file elsewhere: systemd, which has read the header, still finds it.
default_file "$daemon" "$options --listen-port=$port"
sed -i "s|\\\$PIDFILE|$root/var/run/vncauthproxy/other.pid|" "$root/etc/default/vncauthproxy"
expect 0 start
[ "$(cat "$pid_file")" = "$(cat "$root/var/run/vncauthproxy/other.pid")" ] || complain "no link to the moved pid file"
expect 0 stop
[ -z "$(find "${pid_file%/*}" -name "${pid_file##*/}")" ] || complain "stop left the link to the moved pid file"

# ---- what came of a reload, as the daemon writes it down beside its pid file: a stub says what the file is told to say

mkdir "$root/stub"
cat >"$root/stub/vncauthproxy" <<'END'
#!/bin/sh
for word in "$@"; do case $word in --pid-file=*) file=${word#*=} ;; esac; done
count=0
reload() {
  count=$((count + 1))
  case $(cat "${0%/*}/outcome") in
    ok) echo "reload $count ok" >"$file.reload" ;;
    failed) printf '%s\n' 'the old certificate stays in force: no such file' "reload $count failed" >"$file.reload" ;;
    slow) : >"$file.reload"; sleep 0.3; echo "reload $count ok" >"$file.reload" ;;
  esac
}
(
  trap reload HUP
  trap 'rm -f "$file" "$file.reload"; exit' TERM
  case $(cat "${0%/*}/outcome") in none) ;; *) echo 'reload 0 ok' >"$file.reload" ;; esac
  while :; do sleep 1 & wait $!; done
) >/dev/null 2>&1 &
echo $! >"$file"
END
chmod +x "$root/stub/vncauthproxy"
default_file "$root/stub/vncauthproxy" ''
echo 'RELOAD_SECONDS=2' >>"$root/etc/default/vncauthproxy"
outcome() { echo "$1" >"$root/stub/outcome"; }
outcome none  # a daemon of before, which writes nothing down
expect 0 start
expect 0 reload
expect 0 stop
outcome ok
expect 0 start
for _ in 1 2; do expect 0 reload; done
outcome failed
for _ in 1 2; do
  expect 1 reload
  said 'the old certificate stays in force: no such file'
  if grep -q 'reload [0-9]' "$root/said"; then complain "the last line of the report is for programs: $(cat "$root/said")"; fi
done
outcome slow
expect 0 reload
outcome silence
expect 1 reload
said 'see its log'
expect 0 stop
[ ! -e "$pid_file.reload" ] || complain "stop left the report of the last reload"

# ---- where systemd keeps the daemon: it starts and stops it, and nothing else is handed to it

mkdir -p "$root/bin" "$root/systemd" "$root/etc/init.d"
ln -s "$script" "$root/etc/init.d/vncauthproxy"
cat >"$root/bin/systemctl" <<END
#!/bin/sh
echo "\$*" >>"$root/calls"
case "\$*" in
  *show*) echo loaded ;;
  *restart*) systemd=none "$script" stop && systemd=none "$script" start ;;
  *stop*) systemd=none "$script" stop ;;
esac
END
chmod +x "$root/bin/systemctl"
default_file "$daemon" "$options --listen-port=$port"
cat >>"$root/etc/default/vncauthproxy" <<END
PATH=$root/bin:\$PATH
SYSTEMD=\${systemd:-$root/systemd}
END
calls() {  # EXPRESSION... : exactly these, questions aside
  grep -v show "$root/calls" >"$root/called" || :
  printf '%s\n' "$@" | grep . | diff - "$root/called" || complain "systemctl was called otherwise (above)"
  : >"$root/calls"
}
: >"$root/calls"
expect 0 start
calls 'restart --no-ask-password vncauthproxy.service'
first=$(cat "$pid_file")
expect 0 status
expect 0 reload
calls ''
sed -i 's/DAEMON_OPTS="/&--min-port=nonsense /' "$root/etc/default/vncauthproxy"
expect 6 restart
calls ''
[ "$(cat "$pid_file")" = "$first" ] || complain "a bad configuration replaced the running daemon"
sed -i 's/--min-port=nonsense//' "$root/etc/default/vncauthproxy"
expect 0 restart
calls 'stop --no-ask-password vncauthproxy.service' 'restart --no-ask-password vncauthproxy.service'
[ "$(cat "$pid_file")" != "$first" ] || complain "restart did not replace the daemon"
expect 0 stop
calls 'stop --no-ask-password vncauthproxy.service'
if listens "$port"; then complain "stop returned, but the port is still open"; fi
# One that was started by hand, or before systemd has heard of the script, is not its.
sed -i 's/\*stop\*/nothing/' "$root/bin/systemctl"
sed -i 's/\*restart\*/nothing/' "$root/bin/systemctl"
expect 1 start
said 'the daemon does not run'
systemd=none "$script" start >/dev/null
expect 0 stop
if listens "$port"; then complain "stop left a daemon that systemd does not know"; fi

exit $bad
