#!/usr/bin/env python3
"""A syslog receiver that may be killed at any moment: receiver.py KIND ADDRESS FOLDER [CERTIFICATE KEY]. What it reads
of each connection goes as it is into a file of its own in the folder, before it counts as read: bytes are looked at,
written, and only then taken from the socket. So nothing that was taken is ever lost by SIGKILL. (TLS cannot be looked
at before it is taken; there SIGTERM kills between two reads.) SIGUSR1 closes a connection in the middle of a message.
"""
import os
import signal
import socket
import ssl
import struct
import sys
import threading

KIND, ADDRESS, FOLDER = sys.argv[1:4]
PIECE = 1 << 16
rude = threading.Event()
dead = threading.Event()
numbers = iter(range(1 << 30))


def new_file():
    name = "%010d-%s" % (int(open("/proc/self/stat", encoding="ascii").read().split()[21]), "%06d" % next(numbers))
    return os.open(os.path.join(FOLDER, name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)


def serve_plain(link):
    out = new_file()
    while True:
        data = link.recv(PIECE, socket.MSG_PEEK)
        if not data:
            break
        if rude.is_set():
            data = data[:1 + len(data) // 2]
        os.write(out, data)
        left = len(data)
        while left:
            left -= len(link.recv(left))
        if rude.is_set():
            rude.clear()
            break
    link.close()


def serve_tls(context, link):
    out = new_file()
    link.settimeout(5)
    try:
        link = context.wrap_socket(link, server_side=True)
        link.settimeout(0.05)
        while not dead.is_set():
            try:
                data = link.recv(PIECE)
            except (TimeoutError, socket.timeout):
                continue
            if not data:
                break
            os.write(out, data)
            if rude.is_set():
                rude.clear()
                break
    except OSError:
        pass
    link.close()


def serve_datagrams(link):
    out = new_file()
    while True:
        data = link.recv(1 << 20, socket.MSG_PEEK)
        os.write(out, struct.pack(">I", len(data)) + data)
        link.recv(1 << 20)


def listen():
    if KIND.startswith("unix"):
        if os.path.exists(ADDRESS):
            os.unlink(ADDRESS)
        link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if KIND == "unix" else socket.SOCK_STREAM)
        link.bind(ADDRESS)
        os.chmod(ADDRESS, 0o666)
        return link
    host, port = ADDRESS.rsplit(":", 1)
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if KIND == "udp" else socket.SOCK_STREAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    link.bind((host, int(port)))
    return link


def main():
    signal.signal(signal.SIGUSR1, lambda *_: rude.set())
    if KIND == "tls":
        signal.signal(signal.SIGTERM, lambda *_: dead.set())
    link = listen()
    if KIND in ("unix", "udp"):
        serve_datagrams(link)
    link.listen(16)
    link.settimeout(0.05)
    context = None
    if KIND == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[4:6])
    threads = []
    while not dead.is_set():
        try:
            one = link.accept()[0]
        except (TimeoutError, socket.timeout):
            continue
        one.settimeout(None)
        work = (serve_tls, (context, one)) if context else (serve_plain, (one,))
        threads.append(threading.Thread(target=work[0], args=work[1], daemon=True))
        threads[-1].start()
    # Between two reads, what is not read goes with us.
    for thread in threads:
        thread.join(5)
    os._exit(1)


main()
