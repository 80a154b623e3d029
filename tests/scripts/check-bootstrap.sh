#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# bootstrap on pretended machines: PATH holds a handful of harmless tools and stubs that write down how they were called,
# so that nothing is installed. What shows: only the missing is installed, once, and a second run does nothing.
set -eu

bad=0
complain() {
  echo "$machine: $*"
  bad=1
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM
tree=$root/tree
bin=$root/bin
calls=$root/calls
source=$PWD/bootstrap
export calls bin

stub() {  # NAME, the body on stdin
  { echo '#!/bin/sh'; cat; } >"$bin/$1"
  chmod +x "$bin/$1"
}

# A fresh tree and a machine with neither compiler nor make; libraries are those of the machine this runs on.
machine() {
  machine=$1
  rm -rf "$tree" "$bin" "$calls"
  mkdir -p "$tree" "$bin"
  : >"$calls"
  for tool in sh cat chmod cut dirname env find grep head ln mkdir printf rm sed sort touch tr true; do
    ln -s "$(command -v $tool)" "$bin/$tool" 2>/dev/null || ln -s "/bin/$tool" "$bin/$tool"
  done
  echo 'echo 0' | stub id
  cp "$source" "$tree/bootstrap"
  touch -d '2001-01-01' "$tree/configure.ac" "$tree/config.mk.in" "$tree/config.h.in"
  cat >"$tree/configure" <<'END'
#!/bin/sh
echo "configure $*" >>"$calls"
echo 'CMOCKA_LIBS = -lcmocka' >config.mk
touch config.h
printf '#!/bin/sh\necho "config.status $*" >>"$calls"; touch config.mk\n' >config.status
chmod +x config.status
END
  chmod +x "$tree/configure"
  touch -d '2001-01-02' "$tree/configure"
}

with_apt() {  # packages this distribution does not have
  echo "case ' $* ' in *\" \$2 \"*) echo '  Candidate: (none)' ;; *) echo '  Candidate: 1' ;; esac" | stub apt-cache
  echo 'exit 1' | stub dpkg-query
  stub apt-get <<'END'
echo "apt-get $*" >>"$calls"
for word in "$@"; do
  case $word in
    g++ | make | pkg-config) ln -s /bin/true "$bin/$word" ;;
  esac
done
END
}

run() {  # EXPECTED-CODE ARGUMENTS
  expected=$1
  shift
  code=0
  (cd "$root" && env -i PATH="$bin" calls="$calls" bin="$bin" "$bin/sh" "$tree/bootstrap" "$@") >"$root/said" 2>&1 || code=$?
  [ "$code" -eq "$expected" ] || complain "bootstrap $* gave $code instead of $expected: $(cat "$root/said")"
}
said() { grep -q -e "$1" "$root/said" || complain "expected \"$1\" in: $(cat "$root/said")"; }
called() { grep -qx -e "$1" "$calls" || complain "expected a call of \"$1\", there were: $(cat "$calls")"; }
count() { grep -c -e "$1" "$calls" || :; }

machine 'apt, as root'
with_apt
run 0 -- --prefix=/usr
said '^bootstrap: missing: g++ make pkg-config'
called 'apt-get -q -y install --no-install-recommends g++ make pkg-config.*'
called 'configure --prefix=/usr'
[ "$(count 'update')" -eq 1 ] || complain "apt-get update ran $(count 'update') times"
cp "$calls" "$root/before"
run 0
cmp -s "$root/before" "$calls" || complain "a second run did something: $(cat "$calls")"

nothing_called() { [ "$(count .)" -eq 0 ] || complain "it called $(cat "$calls")"; }
all_commands() {  # of apt, to be typed by somebody who is root
  said '^  apt-get .*update$'
  said '^  env DEBIAN_FRONTEND=noninteractive apt-get .*install .* g++ make pkg-config'
}

machine 'apt, by sudo'
with_apt
echo 'echo 1000' | stub id
run 1
said 'no sudo'
all_commands
nothing_called
stub sudo <<'END'
echo "sudo $1" >>"$calls"
exec "$@"
END
run 0
called 'sudo apt-get'

machine 'apt, by a sudo that refuses'
with_apt
echo 'echo 1000' | stub id
echo 'echo "sorry" >&2; exit 1' | stub sudo
run 1
said 'sorry'
all_commands
nothing_called

# What is optional is not worth stopping for.
machine 'apt, without root, where only optional packages are missing'
with_apt chromium
echo 'echo 1000' | stub id
for tool in g++ make pkg-config git openssl python3 ps; do ln -s /bin/true "$bin/$tool"; done
run 0 --tests
said '^  env DEBIAN_FRONTEND=noninteractive apt-get .*install .* clang-format'
if grep -q '^  .*install .* chromium' "$root/said"; then complain "it names a package that does not exist"; fi
called 'configure '

# apt-get update fails for each server, and install must not be tried.
machine 'apt, offline'
with_apt
stub apt-get <<'END'
echo "apt-get $*" >>"$calls"
echo 'Err: no network'
case "$*" in *Error-Mode=any*update) exit 100 ;; esac
END
echo "echo '  Candidate: (none)'" | stub apt-cache
run 1 --tests
said 'bootstrap: this failed: apt-get .*update'
[ "$(count .)" -eq 1 ] || complain "it went on: $(cat "$calls")"
if grep -q skipped "$root/said"; then complain "it took the network for the distribution: $(cat "$root/said")"; fi

machine 'apt, offline after the update'
with_apt
stub apt-get <<'END'
echo "apt-get $*" >>"$calls"
case "$*" in *update) ;; *) exit 100 ;; esac
END
run 1
said 'bootstrap: this failed: .*apt-get .*install .* g++'
[ "$(count .)" -eq 2 ] || complain "it went on: $(cat "$calls")"

machine 'apt without some optional packages'
with_apt chromium vncsnapshot
run 0 --tests
said 'skipped, not in this distribution: chromium'
said 'skipped, not in this distribution: vncsnapshot'
if grep -q 'install.* chromium' "$calls"; then complain "it asked for a package that does not exist"; fi

machine 'dnf'
stub dnf <<'END'
echo "dnf $*" >>"$calls"
case $* in *xvfb* | *chromium*) exit 1 ;; esac
END
echo 'exit 1' | stub rpm
run 0 --tests
called 'dnf -y install .*gcc-c++ .*'
said 'skipped, not to be had: chromium'

machine 'dnf, offline'
stub dnf <<'END'
echo "dnf $*" >>"$calls"
exit 1
END
echo 'exit 1' | stub rpm
run 1 --tests
said 'bootstrap: this failed: .*dnf .*makecache'
[ "$(count .)" -eq 1 ] || complain "it went on: $(cat "$calls")"

machine 'dnf, without root'
echo 'echo 1000' | stub id
stub dnf <<'END'
echo "dnf $*" >>"$calls"
END
echo 'exit 1' | stub rpm
run 1 --tests
said '^  dnf -y install .*gcc-c++'
said '^  for package in .* chromium .*; do dnf -y install'
nothing_called

machine 'neither apt nor dnf'
run 1
said 'g++ make pkg-config'
[ "$(count .)" -eq 0 ] || complain "it should have stopped before: $(cat "$calls")"
for tool in g++ make pkg-config; do ln -s /bin/true "$bin/$tool"; done
run 0

machine 'a configure that is too old'
for tool in g++ make pkg-config; do ln -s /bin/true "$bin/$tool"; done
run 0
touch "$tree/configure.ac"
stub autoreconf <<'END'
echo "autoreconf $*" >>"$calls"
END
run 0
called 'autoreconf -fi'
called 'config.status --recheck'

machine 'arguments'
run 2 --nonsense
said '^usage:'
run 0 --help
said '^usage:'

exit $bad
