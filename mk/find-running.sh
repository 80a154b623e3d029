#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# find-running.sh FILE: prints the number of the first process that runs this program, also after the file was replaced.
set -eu

[ -d "$(dirname "$1")" ] || exit 0
file=$(readlink -f "$1")
# Those of a container may have a file of the same name, in another tree of file systems.
ours=$(readlink /proc/self/ns/mnt || :)
find /proc/[0-9]*/exe -maxdepth 0 \( -lname "$file" -o -lname "$file (deleted)" \) 2>/dev/null |
  cut -d / -f 3 | sort -n | while read -r process; do
  if [ "$(readlink "/proc/$process/ns/mnt" || :)" = "$ours" ]; then
    echo "$process"
    break
  fi
done
