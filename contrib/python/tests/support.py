# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests stand on: the built daemon, a VNC server, a viewer, control servers that misbehave, certificates.

The daemon is found through VNCAUTHPROXY_BUILD (the Makefile sets it); where that is not set and nothing was built in
the project, the tests that need it are skipped. Nothing here sleeps: each wait is for an event
and has a deadline. Only loopback addresses, ports from the kernel, files in a fresh folder.
"""

import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from vncauthproxy.d3des import generate_response

BUILD = Path(os.environ.get("VNCAUTHPROXY_BUILD", Path(__file__).resolve().parents[3] / "build"))
# Whoever says where the daemon is wants it tested.
HAS_DAEMON = "VNCAUTHPROXY_BUILD" in os.environ or (BUILD / "vncauthproxy").exists()
needs_daemon = unittest.skipUnless(HAS_DAEMON, "the daemon was not built")
PATIENCE = 30.0  # for what should happen at once, on a busy machine under sanitizers

USER = "tester"
LOGIN_SECRET = "Login.Marker.7f3a"
VIEWER_SECRET = "VwMk7f3a"
SERVER_SECRET = "SvMk9c1d"
SECRETS = (LOGIN_SECRET, VIEWER_SECRET, SERVER_SECRET)

LISTENING = b"Listening for control clients at "


def read_exactly(peer, count):
    """So many bytes, or fewer at the end of the stream."""
    received = b""
    while len(received) < count:
        chunk = peer.recv(count - len(received))
        if not chunk:
            break
        received += chunk
    return received


def unused_port():
    """A port that nobody listens at, and that the kernel does not give to anybody soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Accepts connections at a port of its own and gives each to serve(), in a thread."""

    def __init__(self, context=None, family=socket.AF_INET):
        self._context = context
        address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((address, 0), family=family, backlog=16)
        self.port = self._listener.getsockname()[1]
        self.accepted = 0
        self.errors = []
        self._threads = []
        self._accepting = self._start(self._accept)

    def serve(self, peer):
        raise NotImplementedError

    @staticmethod
    def _start(function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        return thread

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.accepted += 1
            self._threads.append(self._start(self._serve, peer))

    def _serve(self, peer):
        with peer:
            peer.settimeout(PATIENCE)
            try:
                if self._context:
                    with self._context.wrap_socket(peer, server_side=True) as secure:
                        self.serve(secure)
                else:
                    self.serve(peer)
            except Exception as error:  # pylint: disable=broad-except; the test looks at them
                self.errors.append(error)

    def close(self):
        """Waits for the end of what it is doing, then nothing of it changes any more."""
        if self._listener.fileno() < 0:
            return
        # shutdown() wakes the thread that waits in accept(); close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE)
        for thread in [self._accepting] + self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of a fake server did not end"


class OneReply(Server):
    """Takes what one recv(1024) returns, as snf-vncauthproxy does, keeps it in requests, and sends the pieces given.

    Before each piece but the first it waits for go(), so that a test decides how slow it is.
    """

    def __init__(self, *pieces, keep_open=False, **more):
        self.requests = []
        self._pieces = pieces
        self._turns = threading.Semaphore(0)
        self._keep_open = keep_open
        super().__init__(**more)

    def go(self):
        self._turns.release()

    def serve(self, peer):
        self.requests.append(peer.recv(1024))
        for number, piece in enumerate(self._pieces):
            if number > 0:
                assert self._turns.acquire(timeout=PATIENCE)
            peer.sendall(piece)
        if self._keep_open:
            peer.recv(1)  # until the client closes


class Backend(Server):
    """A VNC server of RFB 3.8: security None, or a password; then a name in ServerInit."""

    NAME = b"contrib"
    _CHALLENGE = bytes(range(16))

    def __init__(self, password=None):
        self._password = password
        self._ending, self._end = socket.socketpair()
        super().__init__()

    def serve(self, peer):
        peer.sendall(b"RFB 003.008\n")
        assert read_exactly(peer, 12) == b"RFB 003.008\n"
        offered = 2 if self._password else 1
        peer.sendall(bytes((1, offered)))
        if read_exactly(peer, 1) != bytes((offered,)):
            return
        if self._password:
            peer.sendall(self._CHALLENGE)
            if read_exactly(peer, 16) != generate_response(self._password, self._CHALLENGE):
                peer.sendall((1).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"no")
                return
        peer.sendall(bytes(4))
        # Now the proxy waits for a viewer, and some tests have none.
        readable = select.select((peer, self._ending), (), (), PATIENCE)[0]
        if peer in readable and read_exactly(peer, 1):  # ClientInit
            peer.sendall(bytes(20) + len(self.NAME).to_bytes(4, "big") + self.NAME)

    def close(self):
        self._end.close()
        super().close()
        self._ending.close()


def see_console(port, password=VIEWER_SECRET, wrap=None, source="127.0.0.1"):
    """A viewer: logs in with the password at a forwarding, returns the name of what it sees; None when refused."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as plain:
        peer = wrap(plain) if wrap else plain
        try:
            if read_exactly(peer, 12) != b"RFB 003.008\n":
                return None
            peer.sendall(b"RFB 003.008\n")
            assert read_exactly(peer, 2) == b"\x01\x02"
            peer.sendall(b"\x02")
            peer.sendall(generate_response(password, read_exactly(peer, 16)))
            if read_exactly(peer, 4) != bytes(4):
                return None
            peer.sendall(b"\x01")  # ClientInit
            head = read_exactly(peer, 24)
            return read_exactly(peer, int.from_bytes(head[20:], "big"))
        finally:
            if peer is not plain:
                peer.close()


class Folder:
    """A fresh folder that everybody may look into: a daemon of another user has its files there."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="vncauthproxy-python-"))
        self.path.chmod(0o755)

    def close(self):
        shutil.rmtree(self.path)


class Certificates:
    """Made with openssl: `good` for localhost and 127.0.0.1, `other` for another name; `ca` signed both, and
    `unknown` is an authority that did not."""

    def __init__(self, folder):
        self._folder = folder
        self.ca = self._authority("ca")
        self.unknown = self._authority("unknown")
        self.good, self.good_key = self._server("good", "DNS:localhost,IP:127.0.0.1")
        self.other, self.other_key = self._server("other", "DNS:other.example.net,IP:192.0.2.7")

    def context(self, maximum=None):
        """Of a server that shows `good`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if maximum:
            context.minimum_version = context.maximum_version = maximum
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(self.good, self.good_key)
        return context

    def _openssl(self, *arguments):
        done = subprocess.run(
            ("openssl",) + arguments, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        assert done.returncode == 0, done.stdout

    def _new(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key")

    def _authority(self, name):
        self._openssl(
            "req", "-x509", *self._new(name), "-out", name + ".pem", "-days", "2", "-subj", "/CN=" + name,
            "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip
        return str(self._folder / (name + ".pem"))

    def _server(self, name, names):
        self._openssl("req", "-new", *self._new(name), "-out", name + ".csr", "-subj", "/CN=" + name)
        (self._folder / (name + ".ext")).write_text("subjectAltName=%s\n" % names)
        self._openssl(
            "x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", name + ".ext", "-out", name + ".pem",
        )  # fmt: skip
        return str(self._folder / (name + ".pem")), str(self._folder / (name + ".key"))


class Daemon:
    """The built daemon with one user and its log on a pipe, in a folder of its own."""

    def __init__(self, *options):
        self._folder = Folder()
        self._log = b""
        self._process = None
        try:
            self._start(options)
        except BaseException:
            self.close()
            raise

    def _start(self, options):
        users = self._folder.path / "users"
        subprocess.run(
            (str(BUILD / "vncauthproxy-passwd"), "--stdin", str(users), USER),
            input=LOGIN_SECRET.encode() + b"\n", stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        users.chmod(0o600)
        (self._folder.path / "config").write_text("")
        command = [
            str(BUILD / "vncauthproxy"), "--foreground", "--log", "-",
            "--config", str(self._folder.path / "config"),
            "--pid-file", str(self._folder.path / "pid"),
            "--auth-file", str(users),
            "--listen-port", "0",
            "--proxy-listen-address", "127.0.0.1",
        ]  # fmt: skip
        if os.geteuid() == 0:
            command += ["--user", "root"]
        self._process = subprocess.Popen(
            command + list(options), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.port = self.port_after(LISTENING)

    def port_after(self, text):
        """The port at the end of the line of the log that says so."""
        return int(self.wait_log(text).rsplit(b":", 1)[1])

    def wait_log(self, text):
        """The line that has the text, as soon as it is there whole."""
        end = time.monotonic() + PATIENCE
        while True:
            for line in self._log.split(b"\n")[:-1]:
                if text in line:
                    return line
            if not self._read_log(end - time.monotonic()):
                raise AssertionError("the daemon did not log %r, but: %r" % (text, self._log))

    def _read_log(self, seconds):
        pipe = self._process.stderr
        if not select.select((pipe,), (), (), max(0, seconds))[0]:
            return False
        chunk = os.read(pipe.fileno(), 65536)
        self._log += chunk
        return bool(chunk)

    def close(self):
        """Ends the daemon, and checks that its log gave nothing away."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            end = time.monotonic() + PATIENCE
            while self._read_log(end - time.monotonic()):
                pass
            self._process.wait(PATIENCE)
            self._process.stderr.close()
        self._folder.close()
        for secret in SECRETS:
            assert secret.encode() not in self._log, "a secret is in the log: %r" % self._log


def has_ipv6():
    """Whether there is an address ::1 here."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class TestCase(unittest.TestCase):
    """With what most tests need."""

    maxDiff = None

    def run_server(self, server, may_fail=False):
        """Closes it behind the test, which fails when the server met an error it should not have met."""
        if not may_fail:
            self.addCleanup(lambda: self.assertEqual(server.errors, []))
        self.addCleanup(server.close)
        return server
