#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a reviewer should not have to look for: the licence line, tabs and blanks at line ends, formatting, and shell
# scripts that any POSIX shell reads.
set -eu

bad=0
complain() {
  echo "$*"
  bad=1
}

folders=$(ls -d src include tests man conf contrib .ci 2>/dev/null || :)
files=$(find $folders -type f ! -path 'tests/fuzz/corpus/*' ! -name '*.png' ! -name '*.pyc' | sort
  ls Makefile mk/*.mk configure.ac config.mk.in bootstrap)

# Data that somebody else's program reads byte by byte cannot carry the line.
for file in $files; do
  case $file in
    *.cc | *.h | *.sh | *.py | *.[1-8] | *.[1-8].in | *.conf | *.conf.in | *.default | Makefile | *.mk | configure.ac | bootstrap | \
      .ci/run | contrib/init.d/*)
      if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later'; then
        complain "$file: the first line (the second after #!) names the licence: SPDX-License-Identifier: GPL-2.0-or-later"
      fi
      ;;
  esac
done

sources=$(find src include tests -name '*.cc' -o -name '*.h' | sort)
for file in $sources; do
  first=$(head -n 1 "$file")
  if [ "$first" != '// SPDX-License-Identifier: GPL-2.0-or-later' ]; then complain "$file: the SPDX line comes first"; fi
  case $file in
    *.h) if ! grep -q '^#pragma once$' "$file"; then complain "$file: no #pragma once"; fi ;;
  esac
done
tab=$(printf '\t')
if grep -nE "$tab|[[:space:]]\$" $sources /dev/null; then complain "tabs, or blanks at the end of a line (above)"; fi

# Other versions format a little differently; the one that is asked is Debian 12's.
if command -v clang-format >/dev/null 2>&1 && clang-format --version | grep -q 'version 14\.'; then
  if ! clang-format --dry-run -Werror $sources; then complain "clang-format -i the files above"; fi
else
  echo "no clang-format 14 here: formatting was not looked at"
fi

for file in $files; do
  if ! head -n 1 "$file" | grep -q '^#! */bin/sh'; then continue; fi
  sh -n "$file" || complain "$file: does not parse"
  if command -v dash >/dev/null 2>&1; then dash -n "$file" || complain "$file: does not parse with dash"; fi
  if command -v shellcheck >/dev/null 2>&1; then
    # SC2086, SC2046: lists of words without blanks are split on purpose. SC1090, SC1091: files read at run time.
    shellcheck -e SC2086,SC2046,SC1090,SC1091 "$file" || bad=1
  fi
done

exit $bad
