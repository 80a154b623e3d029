# SPDX-License-Identifier: GPL-2.0-or-later
"""The proxies that the bench puts side by side: which programs they need, their configuration, how they are started
on loopback and ended again. Each is one foreground process, so that its process tree is all it costs."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time


class Failed(Exception):
    """A proxy that did not start, or a measurement without a result."""


class Proxy:
    """A running proxy: where viewers reach it, by wrapping (plain, ws, tls, wss), as load's `via` wants it."""

    def __init__(self, name, via, process=None, log=None):
        self.name, self.via, self.process, self.log = name, via, process, log

    @property
    def pid(self):
        return self.process.pid if self.process else 0

    def stop(self):
        """Ends its whole process group, which is its own."""
        if self.process is None:
            return
        for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=15):
    """Asks again until the condition gives something, and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failed(f"{what}: not within {seconds} s")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


class Stage:
    """What the proxies of one run share: a folder, a certificate, the port of the backend."""

    def __init__(self, folder, build, backend_port):
        self.folder, self.build, self.backend_port = folder, build, backend_port
        self.running = []
        self.daemons = 0
        self.certificate = self.make_certificate()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def make_certificate(self):
        """True: cert.pem, key.pem and both.pem are there. Without openssl the rows with TLS are left out."""
        if find("openssl") is None:
            return False
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout", self.path("key.pem"),
                        "-out", self.path("cert.pem")], check=True, capture_output=True)
        os.chmod(self.path("key.pem"), 0o600)
        both = ""
        for name in ("cert.pem", "key.pem"):
            with open(self.path(name), encoding="ascii") as file:
                both += file.read()
        os.chmod(self.write("both.pem", both), 0o600)
        return True

    def start(self, name, command, ports, kind="port"):
        """Starts a program and waits until all its ports take connections."""
        log = self.path(name.replace(" ", "-") + ".log")
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       cwd=self.folder, start_new_session=True)
        proxy = Proxy(name, {wrap: f"{kind}:{port}" for wrap, port in ports.items()}, process, log)
        self.running.append(proxy)
        for port in ports.values():
            wait_for(lambda: proxy.process.poll() is not None or listens(port), f"{name} on port {port}")
        if process.poll() is not None:
            with open(log, encoding="utf-8", errors="replace") as output:
                raise Failed(f"{name} ended at once: {output.read().strip()[-400:]}")
        return proxy

    def stop(self, proxy):
        proxy.stop()
        self.running.remove(proxy)

    def stop_all(self):
        while self.running:
            self.running.pop().stop()

    # ---- the daemon and the floor

    def start_daemon(self, users=1):
        """As root it runs as nobody: that is how it is used, and who may have few big pipes."""
        self.daemons += 1
        own = f"daemon{self.daemons}"
        accounts = self.path(own + ".users")
        subprocess.run([os.path.join(self.build, "bench/load"), "users", f"file={accounts}", f"count={users}"],
                              check=True, capture_output=True, text=True)
        os.chmod(accounts, 0o600)
        log = self.write(own + ".log", "")
        os.chmod(log, 0o666)
        command = [os.path.join(self.build, "vncauthproxy"), "--foreground", "--log", log,
                   "--config", self.write(own + ".conf", ""), "--pid-file", self.path(own + ".pid"),
                   "--listen-address", "127.0.0.1", "--listen-port", "0", "--proxy-listen-address", "127.0.0.1",
                   "--min-port", "20000", "--max-port", "32000", "--auth-file", accounts,
                   "--connect-timeout", "3600", "--auth-timeout", "3600"]
        if self.certificate:
            command += ["--cert-file", self.path("cert.pem"), "--key-file", self.path("key.pem")]
        if os.geteuid() == 0:
            pwd.getpwnam("nobody")
            command += ["--user", "nobody"]
        with open(self.path(own + ".err"), "w", encoding="utf-8") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       start_new_session=True)
        proxy = Proxy("vncauthproxy", {}, process, log)
        self.running.append(proxy)

        def port():
            if process.poll() is not None:
                with open(self.path(own + ".err"), encoding="utf-8", errors="replace") as output:
                    raise Failed(f"vncauthproxy ended at once: {output.read().strip()[-400:]}")
            with open(log, encoding="utf-8", errors="replace") as lines:
                found = re.search(r"Listening for control clients at \S*:(\d+)$", lines.read(), re.MULTILINE)
            return found and int(found.group(1))

        via = f"control:{wait_for(port, 'the control port of vncauthproxy')}"
        proxy.via = {"plain": via, "ws": via}
        if self.certificate:
            proxy.via.update(tls=via, wss=via)
        return proxy

    def start_floor(self):
        log = self.path("floor.log")
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen([os.path.join(self.build, "bench/floor"), str(self.backend_port)],
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        proxy = Proxy("floor", {}, process, log)
        self.running.append(proxy)

        def port():
            with open(log, encoding="utf-8") as lines:
                found = re.search(r"^listening on (\d+)$", lines.read(), re.MULTILINE)
            return found and found.group(1)

        proxy.via = {"plain": f"control:{wait_for(port, 'the floor')}"}
        return proxy

    # ---- Debian's programs

    def start_haproxy(self, name, defaults="", tuning=""):
        ports = {"plain": free_port()}
        tls = ""
        if self.certificate and name == "haproxy":
            ports["tls"] = free_port()
            tls = f"  bind 127.0.0.1:{ports['tls']} ssl crt {self.path('both.pem')}\n"
        config = self.write(name.replace(" ", "-") + ".cfg", f"""
global
  maxconn 2000
{tuning}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
{defaults}
frontend viewers
  bind 127.0.0.1:{ports['plain']}
{tls}  default_backend backends
backend backends
  server backend 127.0.0.1:{self.backend_port}
""")
        return self.start(name, [find("haproxy"), "-db", "-f", config], ports)

    def start_nginx(self, name, tuning=""):
        ports = {"plain": free_port()}
        module = "/usr/lib/nginx/modules/ngx_stream_module.so"
        load_module = f"load_module {module};" if os.path.exists(module) else ""
        tls = ""
        if self.certificate and name == "nginx":
            ports["tls"] = free_port()
            tls = (f"server {{ listen 127.0.0.1:{ports['tls']} ssl; proxy_pass backend;"
                   f" ssl_certificate {self.path('cert.pem')}; ssl_certificate_key {self.path('key.pem')};"
                   " ssl_protocols TLSv1.3; }")
        config = self.write(name.replace(" ", "-") + ".conf", f"""
{load_module}
daemon off;
worker_processes auto;
pid {self.path(name.replace(' ', '-') + '.pid')};
error_log stderr;
events {{ worker_connections 8000; }}
stream {{
  {tuning}
  proxy_timeout 1h;
  upstream backend {{ server 127.0.0.1:{self.backend_port}; }}
  server {{ listen 127.0.0.1:{ports['plain']}; proxy_pass backend; }}
  {tls}
}}
""")
        return self.start(name, [find("nginx"), "-c", config, "-p", self.folder], ports)

    def start_socat(self, name):
        port = free_port()
        return self.start(name, [find("socat"), f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=1024",
                                 f"TCP:127.0.0.1:{self.backend_port}"], {"plain": port})

    def start_websockify(self, name, wrap):
        port = free_port()
        tls = ["--cert", self.path("cert.pem"), "--key", self.path("key.pem"), "--ssl-only"] if wrap == "wss" else []
        return self.start(name, [find("websockify"), *tls, f"127.0.0.1:{port}", f"127.0.0.1:{self.backend_port}"],
                          {wrap: port})

    def start_lighttpd(self, name):
        ports = {"ws": free_port()}
        modules, tls = '"mod_wstunnel"', ""
        if self.certificate and os.path.exists("/usr/lib/lighttpd/mod_openssl.so"):
            ports["wss"] = free_port()
            modules += ', "mod_openssl"'
            tls = (f'$SERVER["socket"] == "127.0.0.1:{ports["wss"]}" {{'
                   f' ssl.engine = "enable" ssl.pemfile = "{self.path("both.pem")}" }}')
        config = self.write(name + ".conf", f"""
server.modules = ( {modules} )
server.document-root = "{self.folder}"
server.bind = "127.0.0.1"
server.port = {ports['ws']}
server.errorlog = "{self.path(name + '.errors')}"
wstunnel.server = ( "/" => ( ( "host" => "127.0.0.1", "port" => {self.backend_port} ) ) )
wstunnel.frame-type = "binary"
{tls}
""")
        return self.start(name, [find("lighttpd"), "-D", "-f", config], ports)

    def start_stunnel(self, name):
        port = free_port()
        config = self.write(name + ".conf", f"""
foreground = yes
pid =
syslog = no
output = {self.path(name + '.out')}
[viewers]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{self.backend_port}
cert = {self.path('cert.pem')}
key = {self.path('key.pem')}
""")
        return self.start(name, [find("stunnel4") or find("stunnel"), config], {"tls": port})

    def start_others(self, say):
        """All that are installed; the others are named."""
        splice = "  option splice-request\n  option splice-response\n"  # always; `splice-auto` hardly ever does here
        known = [
            ("haproxy", "haproxy", self.start_haproxy),
            ("haproxy splice", "haproxy", lambda n: self.start_haproxy(n, splice)),
            ("haproxy splice 1M", "haproxy", lambda n: self.start_haproxy(n, splice, "  tune.pipesize 1048576")),
            ("nginx", "nginx", self.start_nginx),
            ("nginx 256K", "nginx", lambda n: self.start_nginx(n, "proxy_buffer_size 256k;")),
            ("socat", "socat", self.start_socat),
            ("websockify", "websockify", lambda n: self.start_websockify(n, "ws")),
            ("lighttpd", "lighttpd", self.start_lighttpd),
        ]
        if self.certificate:
            known += [("websockify wss", "websockify", lambda n: self.start_websockify(n, "wss")),
                      ("stunnel", "stunnel4", self.start_stunnel)]
        else:
            say("openssl is not installed: no rows with TLS")
        started = []
        for name, program, starter in known:
            if find(program) is None:
                say(f"{program} is not installed: no row '{name}'")
                continue
            try:
                started.append(starter(name))
            except Failed as reason:
                say(f"no row '{name}': {reason}")
        return started
