# SPDX-License-Identifier: GPL-2.0-or-later
"""All is in pyproject.toml but the version, which is set in the project's configure.ac alone."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent


def version():
    """Of the project this folder is in; a source distribution has it in its own PKG-INFO."""
    for file, pattern in (
        (HERE / "PKG-INFO", r"(?m)^Version: (\S+)$"),
        (HERE.parents[1] / "configure.ac", r"(?m)^AC_INIT\(\[vncauthproxy\], \[(\S+)\]\)$"),
    ):
        found = re.search(pattern, file.read_text(encoding="utf-8")) if file.exists() else None
        if found:
            return found.group(1)
    raise SystemExit("the version is in configure.ac, two folders up: build this inside the project")


setup(version=version())
