# SPDX-License-Identifier: GPL-2.0-or-later
"""Both clients toward the built daemon, and a viewer at the port they were given."""

import json
import os
import socket
import ssl
import subprocess
import sys
import unittest

from support import LOGIN_SECRET, PATIENCE, SERVER_SECRET, USER, VIEWER_SECRET
from support import Backend, Certificates, Daemon, Folder, TestCase, needs_daemon, see_console, unused_port
from vncauthproxy import vapclient
from vncauthproxy.client import ConnectError, ForwardingFailed, ReplyError, request_forwarding


class DaemonTestCase(TestCase):
    """One daemon for all tests of a class, and a backend for each."""

    options = ()

    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.close)
        cls.certificates = Certificates(folder.path)
        cls.daemon = Daemon(*cls.daemon_options())
        cls.addClassCleanup(cls.daemon.close)

    @classmethod
    def daemon_options(cls):
        return cls.certificate_options("good")

    @classmethod
    def certificate_options(cls, name):
        certificate, key = getattr(cls.certificates, name), getattr(cls.certificates, name + "_key")
        return ("--cert-file", certificate, "--key-file", key)

    def setUp(self):
        self.backend = self.run_server(Backend(), may_fail=True)  # a forwarding may leave it at any point

    def request(self, dport=None, password=VIEWER_SECRET, auth_password=LOGIN_SECRET, **more):
        port = dport or self.backend.port
        options = {"timeout": PATIENCE, "server_port": self.daemon.port, **more}
        return request_forwarding(0, "127.0.0.1", port, password, USER, auth_password, **options)

    def granted(self, *arguments, **more):
        reply = self.request(*arguments, **more)
        self.assertEqual(reply["status"], "OK", reply)
        self.assertIsInstance(reply["proxy_address"], str)
        return reply["source_port"]

    def upgrade(self, plain):
        """WebSocket: the answer to the upgrade is enough, frames are tested elsewhere."""
        plain.sendall(
            b"GET / HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = plain.recv(1024)
            self.assertTrue(chunk, "the connection ended in %r" % head)
            head += chunk
        self.assertIn(b"HTTP/1.1 101 ", head)
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)

    def verified(self, plain):
        """TLS of a viewer that trusts the authority."""
        context = ssl.create_default_context(cafile=self.certificates.ca)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


@needs_daemon
class PlainTest(DaemonTestCase):
    def test_console(self):
        self.assertEqual(see_console(self.granted()), Backend.NAME)

    def test_wrong_viewer(self):
        self.assertIsNone(see_console(self.granted(), password="wrong"))

    def test_console_over_tls(self):
        self.assertEqual(see_console(self.granted(console_type="vnc-tls"), wrap=self.verified), Backend.NAME)

    def test_web_sockets(self):
        port = self.granted(console_type="vnc-ws")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
            self.upgrade(plain)
        port = self.granted(console_type="vnc-wss")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain, self.verified(plain) as secure:
            self.upgrade(secure)

    def test_other_type(self):
        reply = self.request(console_type="spice")
        self.assertEqual((reply["status"], reply["source_port"], reply["code"]), ("FAILED", 0, "unsupported_type"))

    def test_wrong_login(self):
        reply = self.request(auth_password="wrong")
        self.assertEqual((reply["status"], reply["proxy_address"], reply["code"]), ("FAILED", None, "auth_failed"))
        self.assertTrue(reply["reason"])
        with self.assertRaises(ForwardingFailed) as caught:
            self.request(auth_password="wrong", raise_on_failure=True)
        self.assertEqual(caught.exception.code, "auth_failed")

    def test_backend_that_is_not_there(self):
        reply = self.request(dport=unused_port())
        self.assertEqual((reply["status"], reply["code"]), ("FAILED", "backend_unreachable"))

    def test_backend_with_a_password(self):
        locked = self.run_server(Backend(SERVER_SECRET), may_fail=True)
        self.assertEqual(self.request(dport=locked.port)["code"], "backend_auth")
        port = self.granted(dport=locked.port, server_password=SERVER_SECRET)
        self.assertEqual(see_console(port), Backend.NAME)

    def test_port_of_ones_own(self):
        wanted = unused_port()
        reply = request_forwarding(
            wanted, "127.0.0.1", self.backend.port, VIEWER_SECRET, USER, LOGIN_SECRET, server_port=self.daemon.port
        )
        self.assertEqual((reply["status"], reply["source_port"]), ("OK", wanted))

    def test_command(self):
        environment = dict(
            os.environ, VNCAUTHPROXY_AUTH_PASSWORD=LOGIN_SECRET, VNCAUTHPROXY_PASSWORD=VIEWER_SECRET
        )
        done = subprocess.run(
            (sys.executable, "-m", "vncauthproxy.client", "--auth-user", USER, "--dest", "127.0.0.1")
            + ("--dport", str(self.backend.port), "--server-port", str(self.daemon.port)),
            env=environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        self.assertEqual(see_console(json.loads(done.stdout)["source_port"]), Backend.NAME)

    def test_tls_toward_a_plain_port(self):
        with self.assertRaisesRegex(ConnectError, "Failed to connect to server: .*speaks no TLS"):
            self.request(enable_ssl=True)


@needs_daemon
class TlsTest(DaemonTestCase):
    """The control port speaks TLS, with a certificate for localhost and 127.0.0.1."""

    @classmethod
    def daemon_options(cls):
        return cls.certificate_options("good") + ("--enable-ssl",)

    def test_strict(self):
        for name in ("127.0.0.1", "localhost"):
            with self.subTest(name=name):
                port = self.granted(enable_ssl=True, ca_cert=self.certificates.ca, strict=True, server_address=name)
                self.assertEqual(see_console(port), Backend.NAME)

    def test_unknown_authority(self):
        for strict in (True, False):
            with self.subTest(strict=strict), self.assertRaisesRegex(ConnectError, "verify failed"):
                self.request(enable_ssl=True, ca_cert=self.certificates.unknown, strict=strict)

    def test_nothing_verified(self):
        self.assertEqual(see_console(self.granted(enable_ssl=True)), Backend.NAME)

    def test_wrong_login(self):
        reply = self.request(enable_ssl=True, auth_password="wrong")
        self.assertEqual((reply["status"], reply["code"]), ("FAILED", "auth_failed"))

    def test_no_tls_toward_a_tls_port(self):
        with self.assertRaisesRegex((ConnectionResetError, ReplyError), "speaks TLS, set enable_ssl"):
            self.request()


@needs_daemon
class OtherNameTest(DaemonTestCase):
    """The certificate of the control port names another host."""

    @classmethod
    def daemon_options(cls):
        return cls.certificate_options("other") + ("--enable-ssl",)

    def test_strict(self):
        for name in ("127.0.0.1", "localhost"):
            with self.subTest(name=name), self.assertRaisesRegex(ConnectError, "verify failed"):
                self.request(enable_ssl=True, ca_cert=self.certificates.ca, strict=True, server_address=name)

    def test_authority_alone(self):
        port = self.granted(enable_ssl=True, ca_cert=self.certificates.ca)
        self.assertEqual(see_console(port), Backend.NAME)


@needs_daemon
class VapTest(DaemonTestCase):
    """vapclient toward --vncap-listen."""

    @classmethod
    def daemon_options(cls):
        cls.port = unused_port()
        return cls.certificate_options("good") + ("--vncap-listen", "127.0.0.1:%d" % cls.port)

    def test_web_sockets(self):
        for server in ("127.0.0.1:%d" % self.port, ["127.0.0.1", str(self.port)]):
            with self.subTest(server=server):
                port = vapclient.request_forwarding(server, "127.0.0.1", self.backend.port, VIEWER_SECRET)
                self.assertIsInstance(port, int)
                self.assertIsNot(port, False)
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
                    self.upgrade(plain)
        port = vapclient.request_forwarding(server, "127.0.0.1", self.backend.port, VIEWER_SECRET, tls=True)
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain, self.verified(plain) as secure:
            self.upgrade(secure)

    def test_ssh(self):
        """An ordinary forwarding, without WebSocket."""
        server = ("127.0.0.1", self.port)
        port = vapclient.request_ssh(server, 0, "127.0.0.1", self.backend.port, VIEWER_SECRET, "ssh node1")
        self.assertEqual(see_console(port), Backend.NAME)

    def test_backend_that_is_not_there(self):
        server = ("127.0.0.1", self.port)
        self.assertIs(vapclient.request_forwarding(server, "127.0.0.1", unused_port(), VIEWER_SECRET), False)


if __name__ == "__main__":
    unittest.main()
