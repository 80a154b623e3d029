#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Keeps the arrows between the folders, read from the #include lines: who may include whom, which headers of
# libraries stay inside one folder, and that nobody but the tables of handles calls a C library's free function.
set -eu

bad=0
complain() {
  echo "$*"
  bad=1
}

# What each folder may include, besides itself: what it uses by the Makefile, and what that uses.
uses() { sed -nE "s/^uses_$1 *:= *//p" Makefile; }
below() {
  for used in $(uses "$1"); do
    echo "$used"
    below "$used"
  done
}

sources() {
  find "$@" -name '*.cc' -o -name '*.h' | sort
}

# FILE:LINE:TARGET of every #include line.
includes() {
  grep -nHE '^[[:space:]]*#[[:space:]]*include' "$@" /dev/null |
    sed -E 's/^([^:]*:[0-9]*):[^"<]*["<]([^">]*)[">].*/\1:\2/'
}

for file in $(sources src include/vncauthproxy); do
  folder=${file#src/}
  folder=${folder#include/vncauthproxy/}
  case $folder in
    */*) folder=${folder%%/*} ;;
    *) folder=src ;;
  esac
  if ! grep -q "^uses_$folder *:=" Makefile; then
    complain "$file: the Makefile has no uses_$folder"
    continue
  fi
  allowed=$(below "$folder" | tr '\n' ' ')
  for line in $(includes "$file"); do
    target=${line##*:}
    case $target in
      vncauthproxy/*/*) other=${target#vncauthproxy/} other=${other%%/*} ;;
      */../* | ../*) complain "${line%:*}: $target: name it from src/ or include/" && continue ;;
      tests/*) complain "${line%:*}: $target: the program must not need its tests" && continue ;;
      *)
        other=${target%%/*}
        if [ "$other" = "$target" ] || [ ! -d "src/$other" ]; then other=; fi
        ;;
    esac
    case " $folder $allowed " in
      *" $other "*) ;;
      *) if [ -n "$other" ]; then complain "${line%:*}: $folder must not include $target"; fi ;;
    esac
    case $target in
      event2/* | event.h | openssl/ssl.h)
        if [ "$folder" != net ]; then
          complain "${line%:*}: only net/ knows $target"
        fi
        ;;
    esac
  done
done

for line in $(includes $(sources src include tests)); do
  case $line in
    tests/support/cmocka_cxx.h:*) ;;
    *:cmocka.h) complain "${line%:*}: cmocka.h comes in through tests/support/cmocka_cxx.h" ;;
  esac
done

# The free functions, as the tables of handles name them: "struct Release<T> : ReleaseBy<T, ::free_function> {};".
handles='include/vncauthproxy/base/handle.h include/vncauthproxy/proto/handles.h include/vncauthproxy/net/handles.h'
functions=$(sed -nE -e 's/^struct Release<.*, (::|std::)([A-Za-z_0-9]+)> \{\};$/\2/p' -e 's/.*\{ ::([a-z_]+)\(p\); \}.*/\1/p' \
  $handles | sort -u)
[ "$(echo "$functions" | wc -l)" -ge 15 ] || complain "$handles: few free functions found; has their form changed?"
pattern="(^|[^A-Za-z_0-9])($(echo $functions | tr ' ' '|'))[[:space:]]*\("
for file in $(sources src include tests); do
  case " $handles " in *" $file "*) continue ;; esac
  found=$(sed 's://.*::' "$file" | grep -nE "$pattern" || :)
  if [ -n "$found" ]; then complain "$file: use Handle<T> (base/handle.h) instead of: $found"; fi
done

exit $bad
