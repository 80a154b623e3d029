#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every mode of `make bench` for a moment: that all of it works and every byte arrives, not how fast.
set -eu

exec tests/bench/run.py --smoke --build "$BUILD"
