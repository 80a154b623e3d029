# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks for forwardings in the dialect of Twisted VNC AuthProxy, as Ganeti Web Manager does.

Both functions have the names, the arguments and the outcome of Ganeti Web Manager's own
`ganeti_webmgr.utils.vncdaemon.vapclient`. The daemon speaks the dialect where `--vncap-listen` says; it has no login,
see vncauthproxy(8).
"""

from __future__ import annotations

import json
import logging
import socket
from typing import Any, Dict, Optional, Sequence, Tuple, Union

from . import _exchange

__all__ = ["request_forwarding", "request_ssh"]

# Its caller is a web page; the daemon answers within its --vncap-backend-timeout of 5 s.
DEFAULT_TIMEOUT = 15.0
_MAX_REPLY_BYTES = 1024

logger = logging.getLogger(__name__)

#: "HOST:PORT", or what its split(":") gives; an IPv6 address stands in brackets.
Server = Union[str, Sequence[Union[str, int]]]


def request_forwarding(
    server: Server,
    daddr: str,
    dport: Union[int, str],
    password: str,
    sport: Union[int, str, None] = None,
    tls: bool = False,
    timeout: Optional[float] = DEFAULT_TIMEOUT,
) -> Union[int, bool]:
    """Asks for a port that speaks WebSocket (with tls: over TLS) and leads to the VNC server at daddr, dport.

    server      the daemon: (host, port) or "host:port"
    password    what the viewer has to know, and what a VNC server that wants a password is told
    sport       the port to open; one that cannot be had is replaced by a free one
    timeout     how many seconds all of it may take; None for any number

    Returns the port, or False for whatever went wrong, so that a web page can show something else; but for a plain
    refusal by the daemon the log (logging) says what it was.
    """
    if not password:
        return False
    try:
        request: Dict[str, Any] = {
            "daddr": daddr,
            "dport": int(dport),
            "password": password,
            "ws": True,
            "tls": bool(tls),
        }
        return _ask(server, request, sport, timeout)
    except Exception as error:  # pylint: disable=broad-except; callers rely on it
        logger.warning("no forwarding to %s:%s: %s", daddr, dport, error)
        return False


def request_ssh(
    proxy: Server,
    sport: Union[int, str, None],
    daddr: str,
    dport: Union[int, str],
    password: str,
    command: str,
    timeout: Optional[float] = DEFAULT_TIMEOUT,
) -> Union[int, bool]:
    """Sends the request that was meant for SSH; use request_forwarding() in new code.

    There never was SSH in the daemon: it ignores the command and opens an ordinary forwarding for VNC viewers, without
    WebSocket. Returns the port, or False when the daemon refused or password or command are empty. Raises OSError when
    the daemon cannot be reached and ValueError when its answer makes no sense.
    """
    if not password or not command:
        return False
    request: Dict[str, Any] = {"daddr": daddr, "dport": dport, "password": password, "command": command}
    return _ask(proxy, request, sport, timeout)


def _ask(
    server: Server, request: Dict[str, Any], sport: Union[int, str, None], timeout: Optional[float]
) -> Union[int, bool]:
    """One line out, one line in: the port, or False when the daemon says FAILED."""
    host, port = _host_and_port(server)
    if sport:
        request["sport"] = int(sport)
    deadline = _exchange.deadline_in(timeout)
    addresses = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    with _exchange.connect(addresses, deadline) as control:
        _exchange.send(control, json.dumps(request).encode("ascii") + b"\r\n", deadline)
        reply = _exchange.receive(control, lambda received: b"\n" in received, _MAX_REPLY_BYTES, deadline)
    return _parse(reply)


def _host_and_port(server: Server) -> Tuple[str, int]:
    host, port = server.rsplit(":", 1) if isinstance(server, str) else server
    host = str(host)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(port)


def _parse(reply: bytes) -> Union[int, bool]:
    words = reply.decode("ascii", "replace").split()
    if words and words[0].startswith("FAIL"):
        return False
    if not words or not words[0].isdigit() or not 0 < int(words[0]) < 65536:
        raise ValueError("the answer of the daemon is no port")
    return int(words[0])
