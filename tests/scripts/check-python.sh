#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The suite of contrib/python, against the daemon that was built, with the Python that configure found.
set -eu

if [ -z "${PYTHON3:-}" ]; then
  echo "there is no Python 3.9"
  if [ -n "${CI:-}" ]; then exit 1; else exit 77; fi
fi
# No compiled files in the tree. A socket or a process that is forgotten is a failure.
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=contrib/python
"$PYTHON3" -W error::ResourceWarning -m unittest discover -s contrib/python/tests

# A copy by itself, where no daemon was built: what needs one is skipped.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$copy/contrib"
cp -R contrib/python "$copy/contrib/python"
cd "$copy/contrib/python"
if ! env -u VNCAUTHPROXY_BUILD -u PYTHONPATH "$PYTHON3" -m unittest discover -s tests -p 'test_[dp]*.py' >"$copy/said" 2>&1 ||
  ! grep -q '^OK (skipped=' "$copy/said"; then
  cat "$copy/said"
  exit 1
fi
