# SPDX-License-Identifier: GPL-2.0-or-later
"""request_forwarding() of vncauthproxy.client toward control servers of every kind, all of them fake."""

import contextlib
import errno
import inspect
import io
import json
import os
import pickle
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from support import LOGIN_SECRET, PATIENCE, SERVER_SECRET, VIEWER_SECRET
from support import Certificates, Folder, OneReply, Server, TestCase, has_ipv6, unused_port
from vncauthproxy import client
from vncauthproxy.client import ConnectError, ForwardingFailed, ReplyError, request_forwarding

OK = b'{"source_port": 25123, "status": "OK", "proxy_address": "proxy.example.net"}'
OK_DICT = {"source_port": 25123, "status": "OK", "proxy_address": "proxy.example.net"}


def ask(server, **more):
    """A request with everything in it, to a fake server."""
    return request_forwarding(
        0, "node1", 5901, VIEWER_SECRET, "panel", LOGIN_SECRET, server_port=server.port, **{"timeout": PATIENCE, **more}
    )


class SignatureTest(unittest.TestCase):
    def test_old_arguments(self):
        """The names, their order and the defaults of snf-vncauthproxy 1.7; what is new comes behind."""
        parameters = list(inspect.signature(request_forwarding).parameters.values())
        none = inspect.Parameter.empty
        old = [
            ("sport", none),
            ("daddr", none),
            ("dport", none),
            ("password", none),
            ("auth_user", none),
            ("auth_password", none),
            ("server_address", "127.0.0.1"),
            ("server_port", 24999),
            ("enable_ssl", False),
            ("ca_cert", None),
            ("strict", False),
            ("console_type", "vnc"),
        ]
        self.assertEqual([(one.name, one.default) for one in parameters[: len(old)]], old)
        new = parameters[len(old) :]
        self.assertEqual(
            [(one.name, one.default) for one in new],
            [
                ("timeout", 60.0),
                ("server_password", None),
                ("client_address", None),
                ("connect_timeout", None),
                ("auth_timeout", None),
                ("attempts", 1),
                ("raise_on_failure", False),
            ],
        )

    def test_all_may_be_given_by_position(self):
        for parameter in inspect.signature(request_forwarding).parameters.values():
            self.assertEqual(parameter.kind, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class RequestTest(TestCase):
    """What goes out."""

    def sent(self, **more):
        server = self.run_server(OneReply(OK))
        self.assertEqual(ask(server, **more), OK_DICT)
        self.assertEqual(server.accepted, 1)
        return server.requests[0]

    def test_old_keys(self):
        text = self.sent()
        self.assertEqual(
            json.loads(text),
            {
                "source_port": 0,
                "destination_address": "node1",
                "destination_port": 5901,
                "password": VIEWER_SECRET,
                "auth_user": "panel",
                "auth_password": LOGIN_SECRET,
                "type": "vnc",
            },
        )
        self.assertTrue(text.endswith(b"}"))  # no line end: a server of old reads on otherwise

    def test_new_keys(self):
        new = {
            "server_password": SERVER_SECRET,
            "client_address": "192.0.2.0/24",
            "connect_timeout": 12,
            "auth_timeout": 34.5,
        }
        request = json.loads(self.sent(**new))
        self.assertEqual({key: request[key] for key in new}, new)

    def test_console_types(self):
        for kind in client.CONSOLE_TYPES + ("spice",):  # what there is, the server decides
            with self.subTest(kind=kind):
                self.assertEqual(json.loads(self.sent(console_type=kind))["type"], kind)

    def test_ports_of_digits(self):
        server = self.run_server(OneReply(OK))
        request_forwarding("0", "node1", "5901", VIEWER_SECRET, "panel", LOGIN_SECRET, server_port=str(server.port))
        request = json.loads(server.requests[0])
        self.assertEqual((request["source_port"], request["destination_port"]), (0, 5901))

    def test_no_password(self):
        server = self.run_server(OneReply(b'{"status": "OK", "source_port": 1, "password": "Made4you"}'))
        reply = request_forwarding(0, "node1", 5901, None, "panel", LOGIN_SECRET, server_port=server.port)
        self.assertEqual(reply["password"], "Made4you")
        self.assertIsNone(json.loads(server.requests[0])["password"])

    def test_other_alphabets(self):
        """ASCII on the wire, and the very text behind it."""
        server = self.run_server(OneReply(OK))
        greek = "\u03ba\u03bb\u03b5\u03b9\u03b4\u03af"
        request_forwarding(0, "node1", 5901, greek, "panel", "\U0001f511", server_port=server.port)
        self.assertTrue(server.requests[0].isascii())
        self.assertEqual(json.loads(server.requests[0])["password"], greek)
        self.assertEqual(json.loads(server.requests[0])["auth_password"], "\U0001f511")

    def test_no_delay(self):
        """snf-vncauthproxy's slept between connecting and sending."""
        with mock.patch.object(client.time, "sleep", side_effect=AssertionError("it sleeps")):
            self.sent()

    def test_bad_ports(self):
        for sport, dport in (("x", 5901), (0, "vnc"), (None, 5901), (0, None)):
            with self.subTest(sport=sport, dport=dport), self.assertRaises((ValueError, TypeError)):
                request_forwarding(sport, "node1", dport, VIEWER_SECRET, "panel", LOGIN_SECRET)


class ReplyTest(TestCase):
    """What comes back."""

    def reply_to(self, *pieces, **more):
        return ask(self.run_server(OneReply(*pieces)), **more)

    def test_failed(self):
        """A refusal is a reply like any other, with or without the words of newer servers."""
        old = {"source_port": 0, "status": "FAILED", "proxy_address": None}
        self.assertEqual(self.reply_to(json.dumps(old).encode()), old)
        new = dict(old, reason="the login is wrong", code="auth_failed")
        self.assertEqual(self.reply_to(json.dumps(new).encode()), new)

    def test_failed_as_an_exception(self):
        """On request: what to show, what to branch on, and the whole reply."""
        failed = {"source_port": 0, "status": "FAILED", "proxy_address": None, "reason": "no ports", "code": "no_port"}
        with self.assertRaisesRegex(ForwardingFailed, "^no ports$") as caught:
            self.reply_to(json.dumps(failed).encode(), raise_on_failure=True)
        self.assertEqual((caught.exception.code, caught.exception.reason), ("no_port", "no ports"))
        self.assertEqual(caught.exception.reply, failed)
        self.assertEqual(pickle.loads(pickle.dumps(caught.exception)).code, "no_port")
        self.assertNotIsInstance(caught.exception, (OSError, ValueError))  # those mean that nobody knows the outcome
        for old in (b'{"source_port": 0, "status": "FAILED", "proxy_address": null}', b"{}"):
            with self.subTest(old=old), self.assertRaisesRegex(ForwardingFailed, "gave no reason") as caught:
                self.reply_to(old, raise_on_failure=True)
            self.assertEqual((caught.exception.code, caught.exception.reason), (None, None))
        self.assertEqual(self.reply_to(OK, raise_on_failure=True), OK_DICT)

    def test_server_that_wants_tls(self):
        """It answers with an alert, hangs up or resets the connection (below)."""
        for text in (b"\x15\x03\x01\x00\x02\x02\x46", b""):
            with self.subTest(text=text), self.assertRaisesRegex(ReplyError, "speaks TLS, set enable_ssl"):
                self.reply_to(text)

    def test_blanks_around(self):
        self.assertEqual(self.reply_to(b"\r\n " + OK + b"\n"), OK_DICT)

    def test_long_reply(self):
        for length in (1023, 1024, 1025, 70000, 500000):
            with self.subTest(length=length):
                long = dict(OK_DICT, reason="x" * length)
                self.assertEqual(self.reply_to(json.dumps(long).encode()), long)

    def test_in_pieces(self):
        server = self.run_server(OneReply(*(bytes((byte,)) for byte in OK)))
        for _ in range(len(OK)):
            server.go()
        self.assertEqual(ask(server), OK_DICT)

    def test_slow_reply(self):
        """In two halves, the second when the client has been waiting for a moment."""
        server = self.run_server(OneReply(b"", OK[:30], OK[30:]))
        waiting = threading.Event()
        receive = client._exchange.receive

        def noted(*arguments):
            waiting.set()
            return receive(*arguments)

        result = []
        with mock.patch.object(client._exchange, "receive", noted):
            thread = threading.Thread(target=lambda: result.append(ask(server)))
            thread.start()
            self.assertTrue(waiting.wait(PATIENCE))
            server.go()
            server.go()
            thread.join(PATIENCE)
        self.assertEqual(result, [OK_DICT])

    def test_server_that_does_not_close(self):
        server = self.run_server(OneReply(OK, keep_open=True))
        self.assertEqual(ask(server), OK_DICT)

    def test_empty_reply(self):
        for nothing in (b"", b"\n"):
            with self.subTest(nothing=nothing), self.assertRaisesRegex(ReplyError, "without a reply"):
                self.reply_to(nothing)

    def test_no_reply_at_all(self):
        """What snf-vncauthproxy's client met as a ValueError of json."""
        with self.assertRaises(ValueError):
            self.reply_to()

    def test_nonsense(self):
        for text in (b"FAILED\r\n", OK[:-1], OK + b"}", b"\xff\xfe{}", b"{" + b'"a":{' * 100000, b'{"a": "\xe4"}'):
            with self.subTest(text=text[:20]), self.assertRaisesRegex(ReplyError, "no JSON, or not all of it"):
                self.reply_to(text)
        for text in (b"[]", b'"OK"', b"25123", b"null"):
            with self.subTest(text=text), self.assertRaisesRegex(ReplyError, "no JSON object"):
                self.reply_to(text)

    def test_endless_reply(self):
        class Endless(Server):
            def serve(self, peer):
                peer.recv(1024)
                with contextlib.suppress(ConnectionError):
                    while True:
                        peer.sendall(b"{" + b" " * 65535)

        with self.assertRaisesRegex(ReplyError, "longer than"):
            ask(self.run_server(Endless()))

    def test_reset(self):
        class Resets(Server):
            def serve(self, peer):
                peer.recv(1024)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with self.assertRaisesRegex(ConnectionResetError, "reset by peer.*speaks TLS, set enable_ssl") as caught:
            ask(self.run_server(Resets()))
        self.assertEqual(caught.exception.errno, errno.ECONNRESET)

    def test_answer_before_the_request_is_read(self):
        """A server at its limits says so, and closes the connection whatever the client is doing."""
        text = b'{"source_port": 0, "status": "FAILED", "proxy_address": null, "code": "busy"}'

        class Busy(Server):
            def serve(self, peer):
                peer.sendall(text)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass

        self.assertEqual(ask(self.run_server(Busy()))["code"], "busy")

    def test_errors_hold_no_secret(self):
        made = b'{"status": "OK", "password": "Made4you"'
        try:
            self.reply_to(made)
        except ReplyError as error:
            self.assertNotIn("Made4you", repr(error))
            self.assertIsNone(error.__cause__)
            self.assertTrue(error.__suppress_context__)
        else:
            self.fail("half a reply was taken")


class ConnectTest(TestCase):
    def refused(self, **more):
        """How often it paused before it gave up, with the words of old."""
        with mock.patch.object(client.time, "sleep") as sleep:
            with self.assertRaisesRegex(Exception, "^Failed to connect to server: .*Connection refused") as caught:
                request_forwarding(
                    0, "node1", 5901, VIEWER_SECRET, "panel", LOGIN_SECRET, server_port=unused_port(), **more
                )
        self.assertIsInstance(caught.exception, ConnectError)
        self.assertIsInstance(caught.exception.__cause__, ConnectionRefusedError)
        return sleep.call_args_list

    def test_refused(self):
        """A page that waits for it learns it at once; more attempts are there on request."""
        self.assertEqual(self.refused(), [])
        self.assertEqual(self.refused(attempts=5), [mock.call(0.2)] * 4)

    def test_no_attempts(self):
        for attempts in (0, -1):
            with self.subTest(attempts=attempts), self.assertRaisesRegex(ValueError, "attempts"):
                request_forwarding(0, "node1", 5901, VIEWER_SECRET, "panel", LOGIN_SECRET, attempts=attempts)

    def test_server_that_is_back_in_a_moment(self):
        server = self.run_server(OneReply(OK))
        connect = client._exchange.connect
        refusals = [ConnectionRefusedError("not yet"), ConnectionRefusedError("not yet")]

        def away(*arguments):
            if refusals:
                raise refusals.pop()
            return connect(*arguments)

        with mock.patch.object(client._exchange, "connect", away), mock.patch.object(client.time, "sleep"):
            self.assertEqual(ask(server, attempts=3), OK_DICT)

    def test_every_address(self):
        """The first two of three addresses refuse."""
        server = self.run_server(OneReply(OK))
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            for port in (unused_port(), unused_port(), server.port)
        ]
        with mock.patch.object(client.socket, "getaddrinfo", return_value=addresses):
            self.assertEqual(ask(server), OK_DICT)

    @unittest.skipUnless(has_ipv6(), "no IPv6 here")
    def test_ipv6(self):
        server = self.run_server(OneReply(OK, family=socket.AF_INET6))
        self.assertEqual(ask(server, server_address="::1"), OK_DICT)

    def test_unknown_name(self):
        with self.assertRaises(socket.gaierror):
            request_forwarding(
                0, "node1", 5901, VIEWER_SECRET, "panel", LOGIN_SECRET, server_address="no.such.name.invalid"
            )

    def test_silent_server(self):
        """One deadline for all of it: bytes that trickle in do not stretch it."""

        class Dribbles(Server):
            def serve(self, peer):
                peer.recv(1024)
                peer.settimeout(0.1)
                with contextlib.suppress(ConnectionError):
                    while True:
                        peer.sendall(b" ")
                        with contextlib.suppress(socket.timeout):
                            if not peer.recv(1):
                                break

        begin = time.monotonic()
        with self.assertRaises(socket.timeout):
            ask(self.run_server(Dribbles()), timeout=0.5)
        self.assertLess(time.monotonic() - begin, PATIENCE / 2)

    def test_no_time_left(self):
        with self.assertRaisesRegex(ConnectError, "Failed to connect to server: timed out"):
            ask(self.run_server(OneReply(OK)), timeout=0)

    def test_without_timeout(self):
        self.assertEqual(ask(self.run_server(OneReply(OK)), timeout=None), OK_DICT)


class TlsTest(TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.close)
        cls.certificates = Certificates(folder.path)

    def ask(self, context, **more):
        server = self.run_server(OneReply(OK, context=context))
        return ask(server, enable_ssl=True, **more)

    def assert_refused(self, context, text, **more):
        """Before anything was sent, and not tried again."""
        server = self.run_server(OneReply(OK, context=context), may_fail=True)
        with mock.patch.object(client.time, "sleep", side_effect=AssertionError("it tries again")):
            with self.assertRaisesRegex(ConnectError, "^Failed to connect to server: .*" + text):
                ask(server, enable_ssl=True, attempts=2, **more)
        server.close()
        self.assertEqual((server.accepted, server.requests), (1, []))

    def other(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates.other, self.certificates.other_key)
        return context

    def test_strict(self):
        ca = self.certificates.ca
        for name in ("127.0.0.1", "localhost"):
            with self.subTest(name=name):
                got = self.ask(self.certificates.context(), ca_cert=ca, strict=True, server_address=name)
                self.assertEqual(got, OK_DICT)

    def test_wrong_name(self):
        ca = self.certificates.ca
        for name in ("127.0.0.1", "localhost"):
            with self.subTest(name=name):
                self.assert_refused(self.other(), "verify failed", ca_cert=ca, strict=True, server_address=name)

    def test_unknown_authority(self):
        for strict in (True, False):
            with self.subTest(strict=strict):
                unknown = self.certificates.unknown
                self.assert_refused(self.certificates.context(), "verify failed", ca_cert=unknown, strict=strict)

    def test_authority_without_strict(self):
        """As ever: who signed it counts, the name does not."""
        self.assertEqual(self.ask(self.other(), ca_cert=self.certificates.ca), OK_DICT)

    def test_nothing_verified(self):
        self.assertEqual(self.ask(self.other()), OK_DICT)

    def test_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version.name):
                self.assertEqual(self.ask(self.certificates.context(version)), OK_DICT)
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with self.subTest(version=version.name):
                self.assert_refused(self.certificates.context(version), "alert|version|protocol")

    def test_long_reply(self):
        long = dict(OK_DICT, reason="x" * 100000)
        server = self.run_server(OneReply(json.dumps(long).encode(), context=self.certificates.context()))
        self.assertEqual(ask(server, enable_ssl=True), long)

    def test_server_without_tls(self):
        server = self.run_server(OneReply(OK), may_fail=True)
        with self.assertRaisesRegex(ConnectError, "^Failed to connect to server: .*speaks no TLS"):
            ask(server, enable_ssl=True)

    def test_strict_without_authority(self):
        with self.assertRaisesRegex(ValueError, "^strict requires ca-cert to be set$"):
            request_forwarding(0, "node1", 5901, VIEWER_SECRET, "panel", LOGIN_SECRET, enable_ssl=True, strict=True)

    def test_authority_without_tls(self):
        """A line in the log, as ever, and a plain connection."""
        server = self.run_server(OneReply(OK))
        with self.assertLogs("vncauthproxy.client", "WARNING") as logged:
            self.assertEqual(ask(server, ca_cert=self.certificates.ca), OK_DICT)
        self.assertIn("ssl not enabled", logged.output[0])

    def test_no_such_file(self):
        with self.assertRaises(FileNotFoundError):
            request_forwarding(
                0, "node1", 5901, VIEWER_SECRET, "panel", LOGIN_SECRET, enable_ssl=True, ca_cert="/nonexistent.pem"
            )


class CommandTest(TestCase):
    """python3 -m vncauthproxy.client"""

    def run_main(self, *arguments, **environment):
        out, err = io.StringIO(), io.StringIO()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("VNCAUTHPROXY_")}
        with mock.patch.dict(os.environ, dict(kept, **environment), clear=True):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = client.main(list(arguments))
                except SystemExit as ended:
                    code = ended.code
        return code, out.getvalue(), err.getvalue()

    USUAL = ("--auth-user", "panel", "--dest", "node1", "--dport", "5901")

    def test_granted(self):
        server = self.run_server(OneReply(OK))
        code, out, err = self.run_main(
            *self.USUAL,
            "--server-port",
            str(server.port),
            "--type",
            "vnc-ws",
            VNCAUTHPROXY_AUTH_PASSWORD=LOGIN_SECRET,
            VNCAUTHPROXY_PASSWORD=VIEWER_SECRET,
            VNCAUTHPROXY_SERVER_PASSWORD=SERVER_SECRET,
        )
        self.assertEqual((code, json.loads(out), err), (0, OK_DICT, ""))
        request = json.loads(server.requests[0])
        self.assertEqual(request["auth_password"], LOGIN_SECRET)
        self.assertEqual(request["password"], VIEWER_SECRET)
        self.assertEqual(request["server_password"], SERVER_SECRET)
        self.assertEqual(request["type"], "vnc-ws")

    def test_refused(self):
        server = self.run_server(OneReply(b'{"status": "FAILED", "source_port": 0, "proxy_address": null}'))
        code, out, _ = self.run_main(
            *self.USUAL, "--server-port", str(server.port), VNCAUTHPROXY_AUTH_PASSWORD=LOGIN_SECRET
        )
        self.assertEqual((code, json.loads(out)["status"]), (1, "FAILED"))

    def test_nobody_there(self):
        code, out, err = self.run_main(
            *self.USUAL, "--server-port", str(unused_port()), VNCAUTHPROXY_AUTH_PASSWORD=LOGIN_SECRET
        )
        self.assertEqual((code, out), (1, ""))
        self.assertIn("Failed to connect to server: ", err)

    def test_wrong_command_lines(self):
        login = {"VNCAUTHPROXY_AUTH_PASSWORD": LOGIN_SECRET}
        for arguments, environment, said in (
            ((), login, "required: --auth-user, -d/--dest, -p/--dport"),
            (self.USUAL, {}, "VNCAUTHPROXY_AUTH_PASSWORD is not set"),
            (self.USUAL + ("--type", "spice"), login, "invalid choice"),
            (self.USUAL + ("--sport", "x"), login, "invalid int"),
            (self.USUAL + ("--enable-ssl", "--strict"), login, "--strict needs --ca-cert"),
            (self.USUAL + ("--ca-cert", "x"), login, "--ca-cert needs --enable-ssl"),
        ):
            with self.subTest(arguments=arguments):
                code, out, err = self.run_main(*arguments, **environment)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(said, err)

    def test_help_of_the_module(self):
        command = (sys.executable, "-m", "vncauthproxy.client", "--help")
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        self.assertIn(b"VNCAUTHPROXY_AUTH_PASSWORD", done.stdout)


if __name__ == "__main__":
    unittest.main()
