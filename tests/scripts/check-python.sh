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
exec "$PYTHON3" -W error::ResourceWarning -m unittest discover -s contrib/python/tests
