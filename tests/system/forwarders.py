"""Forwarders beside a state's server, receivers in processes of their own, and the messages of RFC 5424 that these got.
For test_forward."""
import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading

import support

MESSAGE = re.compile(r'<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z|-) ([!-~]{1,255}) holdfast ([!-~]{1,128}) '
                     r'([!-~]{1,32}) \[holdfast@32473((?: [a-z_]+="(?:[^"\\\]]|\\.)*")*)\] \ufeff(.*)', re.S)
PARAM = re.compile(r' ([a-z_]+)="((?:[^"\\\]]|\\.)*)"', re.S)
FAST = {"poll_ms": 30, "retry_ms": 300, "timeout_ms": 2000, "batch_rows": 40}


class Message:
    def __init__(self, raw):
        found = MESSAGE.fullmatch(raw.decode("utf-8"))
        if not found:
            raise ValueError("not a message of RFC 5424: %r" % raw)
        self.pri, self.at, self.procid, self.msgid = int(found[1]), found[2], found[4], found[5]
        self.fields = {n: re.sub(r'\\(["\\\]])', r"\1", v) for n, v in PARAM.findall(found[6])}
        self.text = found[7]

    @property
    def place(self):
        return self.fields["stream"], int(self.fields["seq"])


def octets_of(data):
    """The whole messages of a stream; a piece at the end is none."""
    at = 0
    while True:
        found = re.compile(rb"(\d+) ").match(data, at)
        if not found or found.end() + int(found[1]) > len(data):
            return
        yield Message(data[found.end():found.end() + int(found[1])])
        at = found.end() + int(found[1])


def datagrams_of(data):
    at = 0
    while at + 4 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield Message(data[at + 4:at + 4 + size])
        at += 4 + size


class Receiver:
    """A receiver in a process of its own, and all that it and its predecessors got."""

    def __init__(self, top, name, kind, files=()):
        self.name, self.kind, self.files = name, kind, files
        self.folder = os.path.join(top, "got-" + name)
        os.mkdir(self.folder)
        self.address = os.path.join(top, name + ".sock") if kind.startswith("unix") else \
            "127.0.0.1:%d" % support.free_port()
        self.process = None
        self.start()

    @property
    def target(self):
        return "%s=%s:%s" % (self.name, self.kind, self.address.replace("127.0.0.1", "localhost")
                             if self.kind == "tls" else self.address)

    def start(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(support.HERE, "receiver.py"), self.kind, self.address,
                                         self.folder, *self.files])
        support.wait_for(self.bound, 10, 0.01)

    def bound(self):
        if self.kind.startswith("unix"):
            with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
                return any(line.endswith(" %s\n" % self.address) for line in f)
        port = ":%04X " % int(self.address.rsplit(":", 1)[1])
        with open("/proc/net/udp" if self.kind == "udp" else "/proc/net/tcp", encoding="ascii") as f:
            return any(port in line.split(" rem")[0] for line in f)

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM if self.kind == "tls" else signal.SIGKILL)
        self.process.wait(20)

    def connections(self):
        """The messages of each connection, in the order of their beginning."""
        read = datagrams_of if self.kind in ("unix", "udp") else octets_of
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), "rb") as f:
                yield list(read(f.read()))

    def messages(self):
        return [m for c in self.connections() for m in c]


class Talker(threading.Thread):
    """A receiver that takes what comes, talks without end, and never ends its side. With files: by TLS."""

    def __init__(self, name, files=()):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tls = None
        if files:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*files)
        self.target = "%s=%s:%s:%d" % (name, "tls" if files else "tcp", "localhost" if files else "127.0.0.1",
                                       self.listener.getsockname()[1])
        self.start()

    def talk(self, link):
        with contextlib.suppress(OSError):
            link = self.tls.wrap_socket(link, server_side=True) if self.tls else link
            while True:
                link.sendall(b"-" * 65536)
                if select.select([link], [], [], 0)[0]:
                    link.recv(65536)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                threading.Thread(target=self.talk, args=(link,), daemon=True).start()


class Forwarders:
    """Configuration and processes of forwarders beside the state's server."""

    def __init__(self, state, top):
        self.state, self.top, self.processes = state, top, []
        self.conf = os.path.join(top, "forward.conf")
        self.log_path = os.path.join(top, "forward.log")

    def configure(self, receivers, **settings):
        with open(self.state.conf, encoding="utf-8") as f:
            text = f.read().split("\n[forward]")[0]
        all_settings = {"destinations": ",\n    ".join(r.target for r in receivers), **FAST, **settings}
        lines = ["%s = %s" % pair for pair in all_settings.items()]
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text + "\n[forward]\n" + "\n".join(lines) + "\n")

    def command(self, *args):
        return self.state.holdfast("audit", "forward", *args, env={"HOLDFAST_CONFIG": self.conf})

    def start(self, name):
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen([os.path.join(support.MAIN, "holdfast"), "--config", self.conf, "audit", "forward",
                                        name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def status(self, name):
        answer = self.command("--status", "--json")
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr.decode(errors="replace"))
        return next((d for d in json.loads(answer.stdout) if d["destination"] == name), {})

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
