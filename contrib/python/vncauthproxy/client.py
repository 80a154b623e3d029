# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks vncauthproxy for a forwarding: a port that is open for one viewer and a short time, and leads to a VNC server.

The function has the name, the arguments and the outcome it had in snf-vncauthproxy; vncauthproxy-control(7) describes
the protocol.

    from vncauthproxy.client import request_forwarding

    reply = request_forwarding(0, "node1", 5901, "v9Xk2LmQ", "panel", "s3cret")
    if reply["status"] == "OK":
        print(reply["proxy_address"], reply["source_port"])
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import ssl
import sys
import time
from typing import Any, Dict, List, Optional, Union

from . import _exchange

__all__ = [
    "CONSOLE_TYPES",
    "DEFAULT_SERVER_ADDRESS",
    "DEFAULT_SERVER_PORT",
    "ConnectError",
    "ForwardingFailed",
    "ReplyError",
    "request_forwarding",
]

DEFAULT_SERVER_ADDRESS = "127.0.0.1"
DEFAULT_SERVER_PORT = 24999
DEFAULT_TIMEOUT = 60.0

#: What the viewer speaks on the open port: RFB, RFB in WebSocket, that over TLS, RFB over TLS.
CONSOLE_TYPES = ("vnc", "vnc-ws", "vnc-wss", "vnc-tls")

_PAUSE_SECONDS = 0.2  # between two attempts
# Far more than any server sends; what a wrong one sends does not fill the memory.
_MAX_REPLY_BYTES = 1024 * 1024

# A server that expects TLS answers a request in clear with an alert, or hangs up.
_TLS_ALERT = b"\x15"
_MAY_BE_TLS = "if that port speaks TLS, set enable_ssl"

logger = logging.getLogger(__name__)


class ConnectError(ConnectionError):
    """The server cannot be reached, or is not the one it should be; nothing was sent."""


class ReplyError(ValueError):
    """What the server sent is no reply: nothing at all, no JSON, or no object."""


class ForwardingFailed(Exception):
    """The server refused; raised with raise_on_failure=True.

    code     a word for programs, see vncauthproxy-control(7); None when the server sent none (snf-vncauthproxy)
    reason   the same for people; likewise
    reply    all that the server said, a dict
    """

    def __init__(self, reply: Dict[str, Any]) -> None:
        super().__init__(reply)
        self.reply = reply
        self.code: Optional[str] = reply.get("code")
        self.reason: Optional[str] = reply.get("reason")

    def __str__(self) -> str:
        return self.reason or "the server refused and gave no reason"


def request_forwarding(
    sport: Union[int, str],
    daddr: str,
    dport: Union[int, str],
    password: Optional[str],
    auth_user: str,
    auth_password: str,
    server_address: str = DEFAULT_SERVER_ADDRESS,
    server_port: Union[int, str] = DEFAULT_SERVER_PORT,
    enable_ssl: bool = False,
    ca_cert: Optional[str] = None,
    strict: bool = False,
    console_type: str = "vnc",
    timeout: Optional[float] = DEFAULT_TIMEOUT,
    server_password: Optional[str] = None,
    client_address: Optional[str] = None,
    connect_timeout: Optional[float] = None,
    auth_timeout: Optional[float] = None,
    attempts: int = 1,
    raise_on_failure: bool = False,
) -> Dict[str, Any]:
    """Asks for a forwarding and returns the reply.

    sport           the port to open for the viewer; 0 for a free one
    daddr, dport    the VNC server: host name or address, and port
    password        what the viewer has to know (VNC looks at the first 8 bytes); None: the proxy makes one, and the
                    reply has it as "password"
    auth_user, auth_password
                    the login at the proxy
    server_address, server_port
                    the proxy's control port; every address of a name is tried
    enable_ssl      speak TLS, 1.2 or newer; the certificate is only looked at with ca_cert
    ca_cert         file with the certificates of authorities, in PEM: one of them must have signed the server's
    strict          the certificate must also be one for server_address; needs ca_cert
    console_type    one of CONSOLE_TYPES; the proxy decides which of them it offers
    timeout         how many seconds all of it may take; None for any number
    attempts        how often all addresses are tried, 0.2 s apart; a daemon that restarts is away for a moment
    raise_on_failure
                    a refusal is ForwardingFailed, which has its code, and not a reply

    and what the proxy is asked for only when it is given:

    server_password   the password of the VNC server, when it wants one
    client_address    the address or network that the viewer has to come from
    connect_timeout   how many seconds the port waits for its viewer
    auth_timeout      how many seconds a viewer has to give the password

    The reply is a dict. "status" is "OK" or "FAILED". With OK, "source_port" is the port that is open now and
    "proxy_address" the host it is on. With FAILED, "reason" says why to people and "code" to programs; neither is in
    every reply of snf-vncauthproxy.

    Raises ConnectError("Failed to connect to server: ...") when no connection comes about or its certificate is
    refused, socket.timeout when the reply takes too long, another OSError when the name of the server or the file of
    ca_cert is no good or the connection breaks, and ReplyError, which is a ValueError, when there is no reply to read.
    strict without ca_cert is a ValueError.
    """
    if strict and not ca_cert:
        raise ValueError("strict requires ca-cert to be set")
    if attempts < 1:
        raise ValueError("attempts must be 1 or more, not %d" % attempts)
    if not enable_ssl and (strict or ca_cert):
        logger.warning("strict or ca-cert set, but ssl not enabled")

    request: Dict[str, Any] = {
        "source_port": int(sport),
        "destination_address": daddr,
        "destination_port": int(dport),
        "password": password,
        "auth_user": auth_user,
        "auth_password": auth_password,
        "type": console_type,
    }
    optional = {
        "server_password": server_password,
        "client_address": client_address,
        "connect_timeout": connect_timeout,
        "auth_timeout": auth_timeout,
    }
    request.update((key, value) for key, value in optional.items() if value is not None)

    context = _tls_context(ca_cert, strict) if enable_ssl else None
    deadline = _exchange.deadline_in(timeout)
    with _connect(server_address, server_port, context, deadline, attempts) as control:
        try:
            # Escaped to ASCII, no line end, in one piece: as the servers of old expect it.
            _exchange.send(control, json.dumps(request).encode("ascii"), deadline)
            received = _exchange.receive(control, _is_whole, _MAX_REPLY_BYTES, deadline)
        except ConnectionResetError as error:
            if context:
                raise
            raise ConnectionResetError(error.errno, "%s (%s)" % (error.strerror, _MAY_BE_TLS)) from error
    if not context and received[:1] in (b"", _TLS_ALERT):
        raise ReplyError("the server closed the connection without a reply (%s)" % _MAY_BE_TLS)
    reply = _parse(received)
    if raise_on_failure and reply.get("status") != "OK":
        raise ForwardingFailed(reply)
    return reply


def _tls_context(ca_cert: Optional[str], strict: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = strict
    if ca_cert:
        context.load_verify_locations(cafile=ca_cert)
    else:
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect(
    host: str,
    port: Union[int, str],
    context: Optional[ssl.SSLContext],
    deadline: Optional[float],
    attempts: int,
) -> socket.socket:
    """A connection to the server, TLS included."""
    addresses = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    last_error: Optional[OSError] = None
    for turn in range(attempts):
        if turn > 0:
            if deadline is not None and time.monotonic() + _PAUSE_SECONDS >= deadline:
                break
            time.sleep(_PAUSE_SECONDS)
        try:
            control = _exchange.connect(addresses, deadline)
            return _start_tls(control, context, host, deadline) if context else control
        except ssl.SSLError as error:
            # Another try does not make it a better certificate.
            raise _connect_error(error) from error
        except OSError as error:
            last_error = error
    raise _connect_error(last_error) from last_error


def _connect_error(error: Optional[OSError]) -> ConnectError:
    text = "Failed to connect to server: %s" % error
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        text += " (the server speaks no TLS on that port, which enable_ssl asks for)"
    return ConnectError(text)


def _start_tls(
    control: socket.socket, context: ssl.SSLContext, host: str, deadline: Optional[float]
) -> socket.socket:
    try:
        _exchange.wait_until(deadline, control)
        return context.wrap_socket(control, server_hostname=host)
    except BaseException:
        control.close()
        raise


def _is_whole(received: bytes) -> bool:
    # The server closes the connection behind its reply; but where one does not, there is no need to wait for it.
    if not received.rstrip().endswith(b"}"):
        return False
    try:
        _parse(received)
    except ReplyError:
        return False
    return True


def _parse(received: bytes) -> Dict[str, Any]:
    if not received.strip():
        raise ReplyError("the server closed the connection without a reply")
    if len(received) > _MAX_REPLY_BYTES:
        raise ReplyError("the reply is longer than %d bytes" % _MAX_REPLY_BYTES)
    try:
        reply = json.loads(received.decode("utf-8"))
    except (ValueError, RecursionError):
        # What came may hold a password, and json's exception would carry all of it.
        raise ReplyError("the reply is no JSON, or not all of it (%d bytes)" % len(received)) from None
    if not isinstance(reply, dict):
        raise ReplyError("the reply is no JSON object")
    return reply


_HELP = "asks vncauthproxy for a forwarding and prints the reply, one line of JSON"
_HELP_END = """The passwords come from the environment: VNCAUTHPROXY_AUTH_PASSWORD for the login,
VNCAUTHPROXY_PASSWORD for what the viewer has to know (without it the proxy makes one) and
VNCAUTHPROXY_SERVER_PASSWORD for a VNC server that wants one. vncauthproxy-client(1) can do more.
Exit status: 0 the forwarding stands, 1 it does not, 2 the command line is wrong."""


def main(argv: Optional[List[str]] = None) -> int:
    """The command line of `python3 -m vncauthproxy.client`; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m vncauthproxy.client",
        description=_HELP,
        epilog=_HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", default=DEFAULT_SERVER_ADDRESS, metavar="HOST", help="the proxy (%(default)s)")
    parser.add_argument(
        "--server-port", type=int, default=DEFAULT_SERVER_PORT, metavar="PORT", help="its control port (%(default)s)"
    )
    parser.add_argument("--enable-ssl", action="store_true", help="speak TLS")
    parser.add_argument("--ca-cert", metavar="FILE", help="authorities to verify its certificate with")
    parser.add_argument("--strict", action="store_true", help="the certificate must name HOST; needs --ca-cert")
    parser.add_argument("--auth-user", required=True, metavar="USER", help="the login at the proxy")
    parser.add_argument("-s", "--sport", type=int, default=0, metavar="PORT", help="the port to open (any free one)")
    parser.add_argument("-d", "--dest", required=True, metavar="HOST", help="the VNC server")
    parser.add_argument("-p", "--dport", required=True, type=int, metavar="PORT", help="its port")
    parser.add_argument("--type", default="vnc", choices=CONSOLE_TYPES, help="what the viewer speaks (%(default)s)")
    options = parser.parse_args(argv)

    auth_password = os.environ.get("VNCAUTHPROXY_AUTH_PASSWORD")
    if auth_password is None:
        parser.error("VNCAUTHPROXY_AUTH_PASSWORD is not set")
    if options.strict and not options.ca_cert:
        parser.error("--strict needs --ca-cert")
    if options.ca_cert and not options.enable_ssl:
        parser.error("--ca-cert needs --enable-ssl")
    try:
        reply = request_forwarding(
            options.sport,
            options.dest,
            options.dport,
            os.environ.get("VNCAUTHPROXY_PASSWORD"),
            options.auth_user,
            auth_password,
            server_address=options.server,
            server_port=options.server_port,
            enable_ssl=options.enable_ssl,
            ca_cert=options.ca_cert,
            strict=options.strict,
            console_type=options.type,
            server_password=os.environ.get("VNCAUTHPROXY_SERVER_PASSWORD"),
        )
    except (OSError, ValueError) as error:
        print("vncauthproxy.client: %s" % error, file=sys.stderr)
        return 1
    print(json.dumps(reply))
    return 0 if reply.get("status") == "OK" else 1


if __name__ == "__main__":
    sys.exit(main())
