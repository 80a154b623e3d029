#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# `make demo`: a VNC server, the daemon with a fresh user, a forwarding asked for as a cloud panel would, and a viewer
# that comes through it. Real programs where they are installed, the test suite's own where not. Then the same server in
# a browser: in noVNC, which the one-time port serves. Ends by itself.
set -eu

BUILD=${BUILD:-build}
support=$BUILD/tests
room=$(mktemp -d "${TMPDIR:-/tmp}/vncauthproxy-demo.XXXXXX")
picture=$BUILD/demo-viewer.png
browser_picture=$BUILD/demo-browser.png
pages=/usr/share/novnc
patience=60 # seconds that a person without a browser on this machine gets
server_pid='' daemon_pid=''
rm -f "$picture" "$browser_picture"

finish() {
  for pid in $daemon_pid $server_pid; do kill "$pid" 2>/dev/null || :; done
  wait
  rm -rf "$room"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() { printf '\n==> %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
# within SECONDS COMMAND...: asks again and again
within() {
  tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then return 1; fi
    sleep 0.1
  done
}
until_true() { # WHAT COMMAND...
  what=$1
  shift
  if within 10 "$@"; then return; fi
  echo "$what did not come up; the log of the daemon:"
  cat "$room/log" "$room/stderr" 2>/dev/null || :
  exit 1
}

# ---- a VNC server, as a virtual machine would have one

start_xtigervnc() {
  for display in 71 72 73 74 75 76 77 78 79; do
    [ -e "/tmp/.X11-unix/X$display" ] && continue
    server_port=$((5900 + display))
    Xtigervnc ":$display" -rfbport "$server_port" -localhost -SecurityTypes None -geometry 640x480 -depth 24 \
      >"$room/server.log" 2>&1 &
    server_pid=$!
    until_true Xtigervnc test -S "/tmp/.X11-unix/X$display"
    if have xsetroot; then DISPLAY=":$display" xsetroot -solid '#2060a0'; fi
    if have xlogo; then DISPLAY=":$display" xlogo -geometry 200x200+220+140 >/dev/null 2>&1 & fi
    return
  done
  echo "every display from :71 to :79 is taken"
  exit 1
}

start_painter() {
  mkfifo "$room/hold"
  "$support/painter" <"$room/hold" >"$room/painter" &
  server_pid=$!
  exec 9>"$room/hold"
  until_true "the painter" test -s "$room/painter"
  server_port=$(tr -dc 0-9 <"$room/painter")
}

if have Xtigervnc; then
  say "A real VNC server: Xtigervnc, without a password, on the loopback only"
  start_xtigervnc
else
  say "A VNC server: the test suite's own, since Xtigervnc is not installed"
  start_painter
fi
echo "it listens on 127.0.0.1:$server_port"

# ---- the daemon, with one user

say "A user for the control port, made by vncauthproxy-passwd"
login=demo-$$-login
printf '%s\n' "$login" | "$BUILD/vncauthproxy-passwd" --stdin "$room/users" demo

: >"$room/empty.conf"
"$support/webshot" --certificate "$room/cert.pem" "$room/key.pem"
web=
if [ -e "$pages/vnc.html" ]; then web="--web $pages"; fi

say "The daemon"
# shellcheck disable=SC2046,SC2086  # two words or none
"$BUILD/vncauthproxy" --foreground --log "$room/log" --config "$room/empty.conf" --pid-file '' \
  --listen-port 0 --proxy-listen-address 127.0.0.1 --auth-file "$room/users" \
  --cert-file "$room/cert.pem" --key-file "$room/key.pem" $web --connect-timeout "$patience" \
  $([ "$(id -u)" -ne 0 ] || echo --user root) 2>"$room/stderr" &
daemon_pid=$!
until_true "the daemon" grep -q 'Listening for control clients' "$room/log"
control_port=$(sed -n 's/.*Listening for control clients at .*:\([0-9]*\)$/\1/p' "$room/log" | head -n 1)
echo "it waits for control clients at 127.0.0.1:$control_port"

# ---- a forwarding

say "A forwarding to that server, asked for with vncauthproxy-client"
VNC_PASSWORD=$(LC_ALL=C tr -dc 'a-z0-9' </dev/urandom | head -c 8)
export VNC_PASSWORD
ask() { # TYPE
  VNCAUTHPROXY_PASSWORD=$VNC_PASSWORD VNCAUTHPROXY_AUTH_PASSWORD=$login "$BUILD/vncauthproxy-client" --json \
    --server-port "$control_port" --auth-user demo --type "$1" -d 127.0.0.1 -p "$server_port"
}
newest_forwarding() {
  sed -n 's/.* \(F[0-9]*\) requested by .*/\1/p' "$room/log" | tail -n 1
}
reply=$(ask vnc)
echo "the control reply: $reply"
port=$(printf '%s' "$reply" | sed -n 's/.*"source_port": *\([0-9]*\).*/\1/p')

# ---- a viewer

if have vncsnapshot && have jpegtopnm && have pnmtopng; then
  say "A real viewer comes through the proxy: vncsnapshot, with the one-time password"
  "$support/vncshot" --password-file "$room/password"
  timeout 30 vncsnapshot -encodings raw -passwd "$room/password" "127.0.0.1::$port" "$room/shot.jpg" >"$room/viewer.log" 2>&1 || {
    cat "$room/viewer.log"
    exit 1
  }
  jpegtopnm -quiet "$room/shot.jpg" | pnmtopng -quiet >"$picture"
else
  say "A viewer comes through the proxy: the test suite's own, since vncsnapshot and netpbm are not installed"
  "$support/vncshot" 127.0.0.1 "$port" "$picture"
fi
echo "what the viewer saw: $picture"

say "What the log says about it"
number=$(newest_forwarding)
until_true "the end of the session" grep -q " $number ended: " "$room/log"
grep " $number " "$room/log"

# ---- the same in a browser

take_browser_picture() {
  say "noVNC in a headless Chromium, with the page and the password"
  "$support/webshot" "$url" "$browser_picture" || {
    grep " $number " "$room/log"
    exit 1
  }
  echo "what the browser showed: $browser_picture"
  until_true "the end of the session" grep -q " $number ended: " "$room/log"
}

wait_for_a_person() {
  say "Chromium is not installed: open this address within $patience seconds"
  echo "  $url&password=$VNC_PASSWORD"
  echo "The browser will warn of the certificate, which the demo has made itself. Close the page to go on."
  within "$patience" grep -q " $number ended: " "$room/log" || echo "That was $patience seconds."
}

if [ -n "$web" ]; then
  say "A forwarding for a browser: WebSocket in TLS, and the pages of noVNC on the same one-time port"
  reply=$(ask vnc-wss)
  echo "the control reply: $reply"
  number=$(newest_forwarding)
  url=$(printf '%s' "$reply" | sed -n 's/.*"url": *"\([^"]*\)".*/\1/p')
  if have chromium || have chromium-browser; then take_browser_picture; else wait_for_a_person; fi
  say "What the log says about it"
  grep " $number " "$room/log"
else
  say "The console in a browser is left out: noVNC is not installed (package novnc)"
fi

say "By hand"
cat <<END
Any forwarding is made and used like this one:
  $BUILD/vncauthproxy-client --auth-user USER --type vnc -d HOST -p PORT
  vncviewer PROXY::SOURCE_PORT        (with the password that the client has printed)
With --type vnc-wss it prints the address of the page, too: open it, give the password.
END
echo "What the viewer saw:     $picture"
if [ -n "$web" ] && [ -e "$browser_picture" ]; then echo "What the browser showed: $browser_picture"; fi
