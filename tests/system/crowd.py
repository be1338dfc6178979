#!/usr/bin/env python3
"""A crowd of bad clients in a process of its own, started by test_crowd.py. The environment says where the server is
and whose certificate to show. Each line on standard input is a command, answered by one line of JSON; at the end of
the input all connections are closed.

  hold KIND N   opens N more connections that stay in this state; answers how many there are of them
  vanish N      forgets N idle ones without a word to the server, where that is allowed; answers how many
  drip          one byte more on each that is slow; answers how many could take it
  flood N D U   N connections with D requests for the object U under way on each, from now on
  count         answers of the flood since the last count, and connections that the server ended"""
import collections
import json
import os
import resource
import selectors
import socket
import ssl
import struct
import sys
import threading

import client

THREADS = 3
PAID = 48 * 1024    # bytes of a body that buy it time: a kilobyte each second
TCP_REPAIR = 19     # a socket closed in this mode sends nothing
HELLO = bytes.fromhex("1603010200010001fc0303")


class Crowd:
    def __init__(self):
        self.env = dict(os.environ)
        self.context = ssl.create_default_context(cafile=self.env["HOLDFAST_CA"])
        self.context.load_cert_chain(self.env["HOLDFAST_CERT"], self.env["HOLDFAST_KEY"])
        self.held = collections.defaultdict(list)
        self.flooding = None

    def tcp(self):
        return socket.create_connection((self.env["HOLDFAST_HOST"], int(self.env["HOLDFAST_PORT"])), 60)

    def tls(self):
        raw = self.tcp()
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(raw, server_hostname=self.env["HOLDFAST_HOST"])

    # ---- what they do ----
    def handshake(self):
        """Half of a hello."""
        s = self.tcp()
        s.sendall(HELLO)
        return s

    def idle(self):
        """Served once, then silent."""
        s = self.tls()
        s.sendall(client.message([("Query", [client.item(0x420074, client.ENUM, 1)])]))
        s.recv(65536)
        return s

    def header(self):
        """Three bytes of a request."""
        s = self.tls()
        s.sendall(b"\x42\0\x78")
        return s

    def body(self):
        """The beginning of a large request."""
        s = self.tls()
        s.sendall(struct.pack(">II", 0x42007801, 1 << 19) + bytes(PAID))
        return s

    def unread(self):
        """Asks for much and takes nothing."""
        s = self.tls()
        s.sendall(client.message([client.get(self.env["CROWD_OBJECT"])]) * 200)
        return s

    # ---- commands ----
    def hold(self, kind, count):
        make, todo, lock = getattr(self, kind), [None] * int(count), threading.Lock()
        failed = []

        def work():
            while True:
                with lock:
                    if not todo:
                        return
                    todo.pop()
                try:
                    self.held[kind].append(make())
                except OSError as error:
                    failed.append(repr(error))

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"held": len(self.held[kind]), "failed": failed[:3]}

    def vanish(self, count):
        gone = 0
        for _ in range(int(count)):
            s = self.held["idle"][-1]
            try:
                s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            except OSError:
                break
            self.held["idle"].pop().close()
            gone += 1
        return {"gone": gone}

    def drip(self):
        taken = 0
        for s in self.held["handshake"] + self.held["body"]:
            try:
                s.sendall(b"\0")
                taken += 1
            except OSError:
                pass
        return {"taken": taken}

    def flood(self, count, depth, uid):
        self.flooding = Flood([self.tls() for _ in range(int(count))], int(depth), uid)
        self.flooding.start()
        return {"flooding": int(count)}

    def count(self):
        answers, self.flooding.answers = self.flooding.answers, 0
        return {"answers": answers, "ended": self.flooding.ended, "errors": self.flooding.errors}


class Flood(threading.Thread):
    """Keeps `depth` requests under way on each connection, and counts the answers."""

    def __init__(self, links, depth, uid):
        super().__init__(daemon=True)
        self.links, self.answers, self.ended, self.errors = links, 0, 0, 0
        self.request = client.message([client.get(uid)])
        self.depth, self.size, self.rest = depth, None, {}

    def run(self):
        ready = selectors.DefaultSelector()
        for s in self.links:
            s.sendall(self.request)
            data = self.whole(s)
            self.size = len(data)
            s.setblocking(False)
            self.rest[s] = 0
            ready.register(s, selectors.EVENT_READ)
            s.sendall(self.request * self.depth)
        while ready.get_map():
            for key, _ in ready.select():
                self.take(ready, key.fileobj)

    @staticmethod
    def whole(s):
        head = s.recv(8)
        want, data = struct.unpack(">I", head[4:])[0], b""
        while len(data) < want:
            data += s.recv(want - len(data))
        return head + data

    def take(self, ready, s):
        """All that is there; for each whole answer another request."""
        try:
            while True:
                n = len(s.recv(65536))
                if not n:
                    raise ConnectionError
                self.rest[s] += n
                if not s.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except OSError:
            self.ended += 1
            ready.unregister(s)
            return
        done, self.rest[s] = divmod(self.rest[s], self.size)
        self.answers += done
        if done:
            try:
                s.sendall(self.request * done)
            except OSError:
                self.errors += 1


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 16384), max(hard, 16384)))
    crowd = Crowd()
    for line in sys.stdin:
        name, *args = line.split()
        print(json.dumps(getattr(crowd, name)(*args)), flush=True)
    os._exit(0)  # no goodbyes


if __name__ == "__main__":
    main()
