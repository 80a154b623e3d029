#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The manuals and the sample configuration name every option of `vncauthproxy --help`, nothing else, and the same
# defaults; the sample is one the daemon can read; the manuals are well formed.
#
# Each document is reduced to lines `NAME ARGUMENT DEFAULT LETTER`, with - for what an option has not; those that tell
# less, to what they tell.
set -eu

BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
bad=0
complain() {
  echo "$*"
  bad=1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# The same folders as in the program.
page=$BUILD/placed/man/vncauthproxy.8
conf_page=$BUILD/placed/man/vncauthproxy.conf.5
sample=$BUILD/placed/conf/vncauthproxy.conf
"$MAKE" --no-print-directory BUILD="$BUILD" "$page" "$conf_page" "$sample" >"$work/make" 2>&1 || {
  cat "$work/make"
  exit 1
}

"$BUILD/vncauthproxy" --help >"$work/help.txt"

# ---- what each of them says

# "  -p, --min-port=PORT", then text, then "          Default: 25000"
awk '
  function flush() { if (name != "") print name, argument, value, letter }
  /^  (-.,|   ) --[a-z]/ {
    flush()
    name = $NF; sub(/^--/, "", name)
    letter = NF == 2 ? substr($1, 2, 1) : "-"
    argument = "-"; value = "-"
    if (split(name, parts, "=") == 2) { name = parts[1]; argument = parts[2] }
  }
  /^ +Default: / { value = $2 }
  END { flush() }
' "$work/help.txt" | sort >"$work/help"

# ".It Fl p Ar PORT , Fl -min-port Ns = Ns Ar PORT", then text, then "The default is" and ".Ql 25000 ."
awk '
  function flush() { if (name != "") print name, argument, value, letter; name = "" }
  /^\.Sh / { flush(); inside = $2 == "OPTIONS" }
  inside && /^\.It .*Fl -/ {
    flush()
    name = $0; sub(/.*Fl -/, "", name); sub(/ .*/, "", name)
    argument = $0 ~ / Ns = Ns Ar / ? $NF : "-"; value = "-"
    letter = $3 ~ /^-/ ? "-" : $3
  }
  default_follows && /^\.Ql / { value = $2 }
  { default_follows = $0 == "The default is" }
  END { flush() }
' "$page" | sort >"$work/page"

# ".It Cm min-port Ta Ar PORT Ta 25000"; a switch is no, and none is none
awk '
  /^\.It Cm / {
    argument = $5 == "Ar" ? $6 : "-"
    value = $NF == "none" || (argument == "-" && $NF == "no") ? "-" : $NF
    print $3, argument, value
  }
' "$conf_page" | sort >"$work/conf_page"

# "#min-port 25000": no blank behind the #. A switch is no, and none is "".
awk '
  /^#[a-z][a-z-]* / { print substr($1, 2), ($2 == "\"\"" ? "-" : $2) }
' "$sample" | sort >"$work/sample"

# ---- what they should say

# Rows of --help that may stand in the file: those that the daemon takes from one.
: >"$work/file"
while read -r name argument value _; do
  if [ "$argument" = - ]; then line="$name no"; else line="$name \"${value#-}\""; fi
  printf '%s\n' "$line" >"$work/one.conf"
  code=0
  "$BUILD/vncauthproxy" --check --config="$work/one.conf" >/dev/null 2>"$work/said" || code=$?
  if ! grep -q 'for the command line only' "$work/said"; then
    if [ "$code" -eq 2 ]; then complain "the default of $name is no good: $(tail -n 1 "$work/said")"; fi
    printf '%s %s %s\n' "$name" "$argument" "$value" >>"$work/file"
  fi
done <"$work/help"
awk '{ print $1, ($2 == "-" ? "no" : $3) }' "$work/file" >"$work/sample.expected"

compare() {  # EXPECTED FOUND WHO
  if ! diff "$work/$1" "$work/$2" >"$work/diff"; then
    complain "$3 differs from --help (<):"
    grep '^[<>]' "$work/diff"
  fi
}
if [ "$(wc -l <"$work/help")" -lt 20 ]; then complain "--help shows too few options to be true"; fi
compare help page man/vncauthproxy.8
compare file conf_page man/vncauthproxy.conf.5
compare sample.expected sample conf/vncauthproxy.conf

# ---- the sample, every option of it active, is read without a complaint about it

sed 's/^#\([a-z]\)/\1/' "$sample" >"$work/sample.conf"
code=0
"$BUILD/vncauthproxy" --check --config="$work/sample.conf" >/dev/null 2>"$work/said" || code=$?
if [ "$code" -eq 2 ]; then
  cat "$work/said"
  complain "the daemon does not take the sample (above)"
fi

# ---- form

if command -v mandoc >/dev/null 2>&1; then
  for file in man/*.[1578]; do
    # Below warnings there is only what depends on the machine, such as manuals that are not installed on it.
    mandoc -Tlint -W warning "$file" >"$work/lint" 2>&1 || :
    if [ -s "$work/lint" ]; then
      cat "$work/lint"
      complain "mandoc does not like $file (above)"
    fi
  done
else
  echo "mandoc is not installed: the form of the manuals was not checked"
fi

exit $bad
