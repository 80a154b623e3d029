# SPDX-License-Identifier: GPL-2.0-or-later
"""vncauthproxy.vapclient toward a fake daemon that takes the dialect byte by byte."""

import inspect
import json
import socket
import time
import unittest
from unittest import mock

from support import PATIENCE, VIEWER_SECRET, OneReply, Server, TestCase, has_ipv6, unused_port
from vncauthproxy import vapclient

COMMAND = "ssh -t node1 console"


def ask(server, **more):
    """As Ganeti Web Manager: its setting, split at the colon."""
    return vapclient.request_forwarding(
        ["127.0.0.1", str(server.port)], "node1", 11000, VIEWER_SECRET, **{"timeout": PATIENCE, **more}
    )


def ask_ssh(server, sport=0, password=VIEWER_SECRET, command=COMMAND):
    return vapclient.request_ssh(("127.0.0.1", server.port), sport, "node1", 22, password, command, timeout=PATIENCE)


class SignatureTest(unittest.TestCase):
    def test_old_arguments(self):
        def described(function):
            return [(one.name, one.default) for one in inspect.signature(function).parameters.values()]

        none = inspect.Parameter.empty
        old = [("server", none), ("daddr", none), ("dport", none), ("password", none), ("sport", None), ("tls", False)]
        self.assertEqual(described(vapclient.request_forwarding), old + [("timeout", 15.0)])
        names = ("proxy", "sport", "daddr", "dport", "password", "command")
        self.assertEqual(described(vapclient.request_ssh), [(name, none) for name in names] + [("timeout", 15.0)])


class ForwardingTest(TestCase):
    def sent(self, **more):
        server = self.run_server(OneReply(b"5817\r\n"))
        self.assertEqual(ask(server, **more), 5817)
        line = server.requests[0]
        self.assertTrue(line.endswith(b"\r\n"))
        self.assertEqual(line.count(b"\n"), 1)
        return json.loads(line)

    USUAL = {"daddr": "node1", "dport": 11000, "password": VIEWER_SECRET, "ws": True, "tls": False}

    def test_request(self):
        self.assertEqual(self.sent(), self.USUAL)
        self.assertEqual(self.sent(tls=True), dict(self.USUAL, tls=True))
        self.assertEqual(self.sent(sport=5850), dict(self.USUAL, sport=5850))
        self.assertEqual(self.sent(sport="5850"), dict(self.USUAL, sport=5850))
        self.assertEqual(self.sent(sport=0), self.USUAL)

    def test_ways_to_name_the_server(self):
        for server in ("127.0.0.1:%d", "localhost:%d"):
            fake = self.run_server(OneReply(b"5817\r\n"))
            with self.subTest(server=server):
                got = vapclient.request_forwarding(server % fake.port, "node1", "11000", VIEWER_SECRET)
                self.assertEqual(got, 5817)
                self.assertEqual(json.loads(fake.requests[0]), self.USUAL)

    @unittest.skipUnless(has_ipv6(), "no IPv6 here")
    def test_ipv6(self):
        for server in ("[::1]:%d", "::1"):
            fake = self.run_server(OneReply(b"5817\r\n", family=socket.AF_INET6))
            server = server % fake.port if "%" in server else (server, fake.port)
            with self.subTest(server=server):
                self.assertEqual(vapclient.request_forwarding(server, "node1", 11000, VIEWER_SECRET), 5817)

    def test_pieces(self):
        server = self.run_server(OneReply(b"5", b"81", b"7\r", b"\n"))
        for _ in range(3):
            server.go()
        self.assertEqual(ask(server), 5817)

    def test_daemon_that_does_not_close(self):
        self.assertEqual(ask(self.run_server(OneReply(b"5817\r\n", keep_open=True))), 5817)

    def test_answer_without_a_line_end(self):
        self.assertEqual(ask(self.run_server(OneReply(b"5817"))), 5817)

    def test_failed(self):
        for text in (b"FAILED\r\n", b"FAILED", b"FAIL\r\n"):
            with self.subTest(text=text):
                self.assertIs(ask(self.run_server(OneReply(text))), False)

    def test_nonsense(self):
        """False, and a line in the log without the password."""
        texts = (b"", b"\r\n", b"OK\r\n", b"-1\r\n", b"0\r\n", b"65536\r\n", b"12x\r\n", b"\xff\r\n", b"1" * 5000)
        for text in texts:
            with self.subTest(text=text[:10]):
                server = self.run_server(OneReply(text), may_fail=True)
                with self.assertLogs("vncauthproxy.vapclient", "WARNING") as logged:
                    self.assertIs(ask(server), False)
                self.assertIn("no forwarding to node1:11000", logged.output[0])
                self.assertNotIn(VIEWER_SECRET, logged.output[0])

    def test_no_password(self):
        for nothing in ("", None):
            with self.subTest(nothing=nothing):
                self.assertIs(vapclient.request_forwarding(("127.0.0.1", 1), "node1", 11000, nothing), False)

    def test_bad_arguments(self):
        """All of it was False there, and is here; the log says why."""
        for server, dport in (
            ("127.0.0.1", 11000),
            (["127.0.0.1"], 11000),
            ("::1:x", 11000),
            ("a:b:c".split(":"), 11000),
            (None, 11000),
            (("127.0.0.1", 1), "vnc"),
            (("127.0.0.1", 1), None),
        ):
            with self.subTest(server=server, dport=dport), self.assertLogs("vncauthproxy.vapclient", "WARNING"):
                self.assertIs(vapclient.request_forwarding(server, "node1", dport, VIEWER_SECRET), False)

    def test_refused(self):
        with self.assertLogs("vncauthproxy.vapclient", "WARNING") as logged:
            self.assertIs(
                vapclient.request_forwarding(("127.0.0.1", unused_port()), "node1", 11000, VIEWER_SECRET), False
            )
        self.assertIn("Connection refused", logged.output[0])

    def test_every_address(self):
        server = self.run_server(OneReply(b"5817\r\n"))
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (unused_port(), server.port)
        ]
        with mock.patch.object(vapclient.socket, "getaddrinfo", return_value=addresses):
            self.assertEqual(ask(server), 5817)

    def test_silence(self):
        """A web page waits for this: it ends."""

        class Silent(Server):
            def serve(self, peer):
                while peer.recv(1024):
                    pass

        begin = time.monotonic()
        with self.assertLogs("vncauthproxy.vapclient", "WARNING") as logged:
            self.assertIs(ask(self.run_server(Silent()), timeout=0.2), False)
        self.assertIn("timed out", logged.output[0])
        self.assertLess(time.monotonic() - begin, PATIENCE / 2)


class SshTest(TestCase):
    def test_request(self):
        usual = {"daddr": "node1", "dport": 22, "password": VIEWER_SECRET, "command": COMMAND}
        for sport, expected in ((0, usual), (None, usual), (5850, dict(usual, sport=5850))):
            server = self.run_server(OneReply(b"5817\r\n"))
            with self.subTest(sport=sport):
                self.assertEqual(ask_ssh(server, sport), 5817)
                self.assertTrue(server.requests[0].endswith(b"\r\n"))
                self.assertEqual(json.loads(server.requests[0]), expected)

    def test_failed(self):
        self.assertIs(ask_ssh(self.run_server(OneReply(b"FAILED\r\n"))), False)

    def test_empty_arguments(self):
        server = self.run_server(OneReply(b"5817\r\n"))
        self.assertIs(ask_ssh(server, password=""), False)
        self.assertIs(ask_ssh(server, command=""), False)
        self.assertEqual(server.accepted, 0)

    def test_errors_are_raised(self):
        with self.assertRaises(ConnectionRefusedError):
            vapclient.request_ssh(("127.0.0.1", unused_port()), 0, "node1", 22, VIEWER_SECRET, COMMAND)
        with self.assertRaisesRegex(ValueError, "no port"):
            ask_ssh(self.run_server(OneReply(b"what?\r\n")))


if __name__ == "__main__":
    unittest.main()
