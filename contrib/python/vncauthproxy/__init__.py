# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of vncauthproxy, the VNC authenticating proxy, for Python 3.9 and newer.

vncauthproxy.client      request_forwarding() of snf-vncauthproxy, for Synnefo and programs of one's own
vncauthproxy.vapclient   request_forwarding() and request_ssh() of Ganeti Web Manager
vncauthproxy.d3des       generate_response(), what a VNC viewer answers to a challenge
vncauthproxy.__version__ that of the daemon it came with
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Optional

__version__: str  # read when somebody asks for it


def _version() -> Optional[str]:
    folder = Path(__file__).resolve().parent
    if len(folder.parents) > 2 and (folder.parents[2] / "configure.ac").exists():  # not installed: the project itself
        text = (folder.parents[2] / "configure.ac").read_text(encoding="utf-8")
        found = re.search(r"(?m)^AC_INIT\(\[vncauthproxy\], \[(\S+)\]\)$", text)
        if found:
            return found.group(1)
    # What the installer wrote beside this very copy; another one may be installed elsewhere.
    for copy in metadata.distributions(name=__name__, path=[str(folder.parent)]):
        return copy.version
    return None


def __getattr__(name: str) -> str:
    version = _version() if name == "__version__" else None
    if version is None:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return version
