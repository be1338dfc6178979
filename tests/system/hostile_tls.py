"""What is no TLS, or TLS that breaks off: each ends by an alert or an end of the connection, and nothing else."""
import os
import socket
import struct

import client

HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION_DATA = 22, 21, 20, 23
SUITES_1_2 = [0xC02B, 0xC02F]
CBC_AND_STATIC = [0xC013, 0x003C, 0x009C, 0x002F]


def record(kind, body, version=0x0301, length=None):
    return struct.pack(">BHH", kind, version, len(body) if length is None else length) + body


def vector(body, width, length=None):
    return (len(body) if length is None else length).to_bytes(width, "big") + body


def extension(number, body):
    return struct.pack(">H", number) + vector(body, 2)


GROUPS = extension(10, vector(struct.pack(">HH", 0x001D, 0x0017), 2))
SIGNATURES = extension(13, vector(struct.pack(">HH", 0x0403, 0x0804), 2))
ONLY_1_3 = extension(43, vector(struct.pack(">H", 0x0304), 1))


def hello(suites=SUITES_1_2, version=0x0303, session=b"", compression=b"\0", extensions=GROUPS + SIGNATURES,
          length=None, extensions_length=None):
    body = struct.pack(">H", version) + os.urandom(32) + vector(session, 1)
    body += vector(b"".join(struct.pack(">H", s) for s in suites), 2) + vector(compression, 1)
    body += vector(extensions, 2, extensions_length)
    return record(HANDSHAKE, b"\1" + vector(body, 3, length))


REQUEST = client.message([client.locate("x")])

# (rule, bytes, whether our side of the connection ends behind them)
FIRST_BYTES = [
    ("TLS: a request of HTTP instead", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
    ("TLS: a request of KMIP instead", REQUEST, False),
    ("TLS: a hello of SSL 2.0",
     bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + bytes(16), False),
    ("TLS: a record of a type there is not", record(99, bytes(16)), False),
    ("TLS: application data before any handshake", record(APPLICATION_DATA, REQUEST), False),
    ("TLS: a change of cipher before any handshake", record(CHANGE_CIPHER_SPEC, b"\1"), False),
    ("TLS: a record longer than any", record(HANDSHAKE, bytes(64), length=0xFFFF), False),
    ("TLS: records of no bytes, many of them", record(HANDSHAKE, b"") * 500, False),
    ("TLS: a Finished before the hello", record(HANDSHAKE, b"\x14" + vector(bytes(32), 3)), False),
    ("TLS: a hello longer than any", hello(length=0xFFFFFF), False),
    ("TLS: a hello whose extensions run past its end", hello(extensions_length=0x4000), False),
    ("TLS: a hello with a session identifier of 255 bytes", hello(session=bytes(255)), False),
    ("TLS: a hello without a cipher suite", hello(suites=[]), False),
    ("TLS: a hello with suites that keep no secrets forward", hello(suites=CBC_AND_STATIC), False),
    ("TLS: a hello that insists on compression", hello(compression=b"\1"), False),
    ("TLS: a hello of TLS 1.1", hello(suites=[0xC013, 0xC009], version=0x0302), False),
    ("TLS: a hello with the same extension twice", hello(extensions=GROUPS + GROUPS + SIGNATURES), False),
    ("TLS: a hello of TLS 1.3 without a key share", hello(suites=[0x1301], extensions=ONLY_1_3), False),
    ("TLS: a hello of a version to come", hello(suites=[0x1301], extensions=extension(43, vector(b"\x7f\x7f", 1))),
     False),
    ("TLS: half of a hello, and an end", hello()[:60], True),
    ("TLS: an end at once", b"", True),
    ("TLS: a fatal alert at once", record(ALERT, b"\2\x28"), False),
    ("TLS: a hello, and garbage behind the server's answer", hello() + record(99, bytes(64)), False),
]


def answer_to(env, data, end):
    """What the server sends back for bytes on a fresh TCP connection, to its end."""
    with socket.create_connection((env["HOLDFAST_HOST"], int(env["HOLDFAST_PORT"])), 20) as s:
        out = b""
        try:
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                out += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # it had more to read than it wanted
        return out


def kinds(data):
    """The types of the records in a byte string."""
    out, at = [], 0
    while at + 5 <= len(data):
        out.append(data[at])
        at += 5 + struct.unpack(">H", data[at + 3:at + 5])[0]
    return out


def under(link, data):
    """Bytes below TLS, on an established connection."""
    os.write(link.tls.fileno(), data)


def cut_off(link):
    """An end of the TCP connection that TLS knows nothing of."""
    link.tls.sendall(REQUEST[:-1])
    with socket.socket(fileno=os.dup(link.tls.fileno())) as below:
        below.shutdown(socket.SHUT_WR)


# (rule, what is done to an established connection)
ESTABLISHED = [
    ("TLS: a record that does not decrypt", lambda link: under(link, record(APPLICATION_DATA, os.urandom(64), 0x0303))),
    ("TLS: a plain request below the session", lambda link: under(link, REQUEST)),
    ("TLS: a second hello within the session", lambda link: under(link, hello())),
    ("TLS: an alert that is not protected", lambda link: under(link, record(ALERT, b"\2\x28", 0x0303))),
    ("TLS: cut off within a request", cut_off),
]
