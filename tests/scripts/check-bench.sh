#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every mode of `make bench` for a moment: that all of it works and every byte arrives, not how fast.
set -eu

said=$(mktemp)
trap 'rm -f "$said"' EXIT
trap 'exit 1' INT TERM
tests/bench/run.py --smoke --build "$BUILD" >"$said" 2>&1 || { cat "$said"; exit 1; }
cat "$said"
# Each promise that names no other program has its figure; only root may look at the daemon's memory.
missing=$(grep 'not measured' "$said" | grep -vE 'HAProxy|websockify|lighttpd|stunnel' || :)
if [ -n "$missing" ] && [ "$(id -u)" -eq 0 ]; then exit 1; fi
grep -q '^measuring: crowd (7 of 7), about [0-9]* seconds left$' "$said"
