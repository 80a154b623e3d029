# SPDX-License-Identifier: GPL-2.0-or-later
"""One exchange with a control port, for both clients: connect, send, receive, under one deadline.

A deadline is a moment of time.monotonic(), or None for none. It is computed once, so that a server that sends a byte
now and then cannot stretch it.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Callable, Optional, Sequence, Tuple

_CHUNK_BYTES = 64 * 1024


def deadline_in(seconds: Optional[float]) -> Optional[float]:
    """The moment that many seconds from now."""
    return None if seconds is None else time.monotonic() + seconds


def wait_until(deadline: Optional[float], control: socket.socket, shares: int = 1) -> None:
    """Lets the next operation wait until the deadline, or one of so many equal shares of the time until then.

    socket.timeout when it has passed.
    """
    if deadline is None:
        control.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    control.settimeout(left / shares)


def connect(addresses: Sequence[Tuple[Any, ...]], deadline: Optional[float]) -> socket.socket:
    """A connection to the first that accepts one of the addresses of socket.getaddrinfo(); the last one's OSError.

    Each gets an equal share of the time that is left, so that a silent one does not use it up for the others.
    """
    last_error: Optional[OSError] = None
    for tried, (family, _, _, _, address) in enumerate(addresses):
        try:
            control = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            last_error = error
            continue
        try:
            wait_until(deadline, control, shares=len(addresses) - tried)
            control.connect(address)
            return control
        except OSError as error:
            control.close()
            last_error = error
    raise last_error or OSError("there is no address")


def send(control: socket.socket, request: bytes, deadline: Optional[float]) -> None:
    """Sends all of it. That the server stopped reading is no error yet: it may have answered first."""
    wait_until(deadline, control)
    try:
        control.sendall(request)
    except BrokenPipeError:
        pass


def receive(
    control: socket.socket, is_whole: Callable[[bytes], bool], max_bytes: int, deadline: Optional[float]
) -> bytes:
    """What the server sends until it is whole or the stream ends; one byte more than max_bytes when it is too long."""
    received = bytearray()
    while len(received) <= max_bytes:
        wait_until(deadline, control)
        chunk = control.recv(min(_CHUNK_BYTES, max_bytes + 1 - len(received)))
        received += chunk
        if not chunk or is_whole(bytes(received)):
            break
    return bytes(received)
