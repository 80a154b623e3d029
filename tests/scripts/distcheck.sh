#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Proves the tarball: unpacked in a fresh folder it configures, builds, passes its tests, installs and uninstalls
# without leaving a file, and `make distclean` gives back what was unpacked; all of it without autoconf.
# Of the end-to-end tests only two run here, the tools and the daemon as a service: the long ones have run in
# `make check`, on a program built from the same files.
#
#   distcheck.sh TARBALL FOLDER [-jN]
set -eu

tarball=$(readlink -f "$1")
rm -rf "$2"
mkdir -p "$2/no-autoconf" "$2/destination"
folder=$(readlink -f "$2")
jobs=${3:-}

complain() {
  echo "distcheck: $*" >&2
  exit 1
}

# Whoever asks for one of these fails, and leaves a trace.
for tool in autoconf autoheader autoreconf autom4te automake aclocal; do
  # shellcheck disable=SC2016
  printf '#!/bin/sh\necho "$0 $*" >>%s/called\nexit 1\n' "$folder" >"$folder/no-autoconf/$tool"
  chmod +x "$folder/no-autoconf/$tool"
done
PATH=$folder/no-autoconf:$PATH
export PATH
# Nothing of the make that started this may leak in: neither its variables nor its job server.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL BUILD SANITIZE CHECK DESTDIR

tar -x -z -f "$tarball" -C "$folder"
name=$(basename "$tarball" .tar.gz)
cd "$folder/$name"
files() { find . -type f | sort; }
files >"$folder/unpacked"

# As a distribution does it.
./configure --quiet --prefix=/usr
make $jobs
make $jobs check CHECK="unit fuzz script test_client test_service"

make install DESTDIR="$folder/destination" >/dev/null
[ -n "$(find "$folder/destination" -type f)" ] || complain "nothing was installed"
make uninstall DESTDIR="$folder/destination" >/dev/null
left=$(find "$folder/destination" -type f -o -type l)
[ -z "$left" ] || complain "uninstall left: $left"

# Here bootstrap has nothing to generate.
./bootstrap
make distclean >/dev/null
files | diff "$folder/unpacked" - || complain "distclean did not give back the tarball (above)"
[ ! -e "$folder/called" ] || complain "autoconf was called: $(cat "$folder/called")"

cd /
rm -rf "$folder"
echo "distcheck: $name.tar.gz is good"
