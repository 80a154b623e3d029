#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Tries the two lines of README's "Try it" as a newcomer would, in a minimal Debian of each release: debootstrap, a clone
# of the last commit, nothing else. Too slow for CI (half an hour for each release); run it by hand, as root, before a release.
#
#   try-debian.sh [-k] [RELEASE...]     bookworm and trixie; -k keeps the systems for a look
#
# Logs are in build/try-debian/. The mirror is that of this machine's own apt configuration, or $MIRROR. Mounts and
# processes live in namespaces of their own, so that the kernel ends both with the script, however that ends.
# TMPDIR (/var/tmp) needs 5 GB for each release with -k, 5 GB in all without.
set -eu

complain() {
  echo "try-debian: $*" >&2
  exit 1
}

keep=no
while getopts k option; do
  case $option in
    k) keep=yes ;;
    *) sed -n 's/^#   \(try-debian.sh [^ ]* [^ ]*\).*/usage: \1/p' "$0" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- bookworm trixie
[ "$(id -u)" -eq 0 ] || complain "needs root, for debootstrap and chroot"
for tool in debootstrap git unshare; do
  command -v $tool >/dev/null 2>&1 || complain "$tool is missing"
done

cd "$(dirname "$0")/../.."
tree=$PWD
lines=$(sed -n 's/^    \(\.\/bootstrap .*&& make .*\)/\1/p' README.md)
[ "$(echo "$lines" | wc -l)" -eq 2 ] || complain "README.md has other than two lines to try: $lines"
[ -z "$(git status --porcelain)" ] || echo "try-debian: tries the last commit, without what is not committed here"
# shellcheck disable=SC2016  # apt-get expands it
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)}
[ -n "$mirror" ] || complain "this machine's apt has no mirror of Debian: set MIRROR"

logs=$tree/build/try-debian
rm -rf "$logs"
mkdir -p "$logs"
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/try-debian-XXXXXX")
inside=
clean_up() {
  # Its child, the first process in there, is killed with it, and all the others with that one.
  [ -z "$inside" ] || kill -KILL "$inside" 2>/dev/null || :
  if [ "$keep" = yes ]; then echo "try-debian: kept: $folder"; return; fi
  # Until the last process is gone, files may still appear.
  until rm -rf "$folder"; do sleep 1; done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A process in the background, so that a signal to this script is heeded at once; its children get back the signals that
# the shell makes such a process ignore.
in_namespaces() {  # COMMAND...
  unshare --mount --pid --fork --kill-child env --default-signal=INT,QUIT "$@" </dev/null &
  inside=$!
  code=0
  wait $inside || code=$?
  inside=
  return $code
}

install_system() {  # RELEASE: into $root
  echo "debootstrap --variant=minbase $1"
  in_namespaces debootstrap --variant=minbase "$1" "$root" "$mirror" || return 1
  # How this machine reaches the mirror: proxies and checks of dates.
  apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$root/etc/apt/apt.conf.d/90try-debian"
  git clone --quiet --no-hardlinks "$tree" "$root/root/vncauthproxy"
}

enter() {  # LINE: a shell in $root runs it in the clone
  # shellcheck disable=SC2016  # expanded in there
  in_namespaces sh -ec '
    mount -t proc proc "$1/proc"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$1/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
    exec env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      chroot "$1" sh -c "cd /root/vncauthproxy && $2"' sh "$root" "$1"
}

passed=0
failed=0
attempt() {  # RELEASE STEP COMMAND...
  log=$logs/$1-$2.log
  title="$1: $2"
  shift 2
  begin=$(date +%s)
  if "$@" >"$log" 2>&1; then result=ok; passed=$((passed + 1)); else result=FAIL; failed=$((failed + 1)); fi
  printf '%-5s %-45s %5d s\n' $result "$title" $(($(date +%s) - begin))
  # What make check counted, and what it did not run.
  grep -E '^\[[0-9/]+\] (FAIL|skip)  |^[0-9]+ passed, [0-9]+ failed' "$log" || :
  [ $result = ok ] || { tail -n 20 "$log"; return 1; }
}

echo "try-debian: $(git log -1 --format='%h %s'); logs in $logs"
for release; do
  root=$folder/$release
  if attempt "$release" minimal-system install_system "$release"; then
    # Each line counts, also when the one before it failed.
    while read -r line; do
      attempt "$release" "${line##* }" enter "$line" || :
    done <<END_OF_LINES
$lines
END_OF_LINES
  fi
  [ "$keep" = yes ] || rm -rf "$root"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
