"""Frames and TTLV that no message can have (KMIP 1.4, 9.1; KMIP 2.1, 10.1). What cannot be decoded is an Invalid
Message in 1.x (11.1) and a Codec Error in 2.x, after which the connection ends (11.46)."""
import struct

from client import BOOL, BYTES, DATE, ENUM, INT, LONG, STRUCT, TEXT
from hostile import (CLOSED, CODEC_ERROR, DATE_EXTENDED, INTERVAL, INVALID_FIELD, INVALID_MESSAGE, QUERY, QUERY_ITEM,
                     SERVED, SERVER_LIMIT_EXCEEDED, UNKNOWN_TAG, V10, V14, Row, T, group, raw, relength, text)

BIG = 4
ONE = b"\0\0\0\1"


def frame(rule, bytes_, *want):
    """Before any version is known. What no request can be gets no byte; a request that announces the impossible is
    answered in 1.0, and nothing after it is read."""
    return Row(rule, lambda s: bytes_, *want, versions=(V14,), ends=True, answer=V10)


FRAMES = [
    frame("frame: a request of HTTP inside of TLS", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", CLOSED),
    frame("frame: zeros", bytes(64), CLOSED),
    frame("frame: a response", struct.pack(">II", T.RESPONSE_MESSAGE << 8 | STRUCT, 8) + bytes(8), CLOSED),
    frame("frame: a batch item without its message", QUERY_ITEM, CLOSED),
    frame("frame: the tag of an extension", struct.pack(">II", T.EXTENSION << 8 | STRUCT, 8) + bytes(8), CLOSED),
    frame("frame: the tag in the wrong order of bytes", bytes.fromhex("7800420100000008") + bytes(8), CLOSED),
    frame("frame: a request that is no structure", struct.pack(">II", T.REQUEST_MESSAGE << 8 | BYTES, 8) + bytes(8),
          CLOSED),
    frame("frame: a length that is not a multiple of 8", struct.pack(">II", T.REQUEST_MESSAGE << 8 | STRUCT,
                                                                     12) + bytes(16),
          INVALID_MESSAGE),
    frame("frame: a length in the wrong order of bytes", struct.pack(">I", T.REQUEST_MESSAGE << 8 | STRUCT)
          + struct.pack("<I", 88) + bytes(88), INVALID_MESSAGE),
    frame("frame: the longest length there is", struct.pack(">II", T.REQUEST_MESSAGE << 8 | STRUCT, 0xFFFFFFF8),
          INVALID_MESSAGE),
    frame("frame: a length with the highest bit", struct.pack(">II", T.REQUEST_MESSAGE << 8 | STRUCT,
                                                              0x80000000) + bytes(8),
          INVALID_MESSAGE),
    frame("frame: one more than the largest request", struct.pack(">II", T.REQUEST_MESSAGE << 8 | STRUCT,
                                                                  1 << 20) + bytes(64),
          INVALID_MESSAGE),
    Row("frame: a request of no bytes", lambda s: struct.pack(">II", T.REQUEST_MESSAGE << 8 | STRUCT, 0),
        INVALID_MESSAGE,
        versions=(V14,), answer=V10),
]


def inside(*items):
    """A sound Query with the items in its payload: they are read before anybody knows what they are for."""
    return lambda s: s.request("Query", QUERY, *items)


def codec(rule, *items):
    return Row("TTLV: " + rule, inside(*items), INVALID_MESSAGE, CODEC_ERROR, ends=True)


def codec_message(rule, make):
    return Row("TTLV: " + rule, make, INVALID_MESSAGE, CODEC_ERROR, ends=True)


def limit(rule, *items, served=False):
    """Decodes well, and is too much. At the limit the items are merely unknown."""
    if served:
        return Row("TTLV: " + rule, inside(*items), INVALID_FIELD, UNKNOWN_TAG)
    return Row("TTLV: " + rule, inside(*items), INVALID_MESSAGE, SERVER_LIMIT_EXCEEDED)


def nested(levels):
    """Structures inside each other; the message, its item and the payload are three more."""
    return b"".join(raw(T.EXTENSION, STRUCT, b"", length=8 * inner) for inner in reversed(range(levels)))


def utf8(rule, value):
    return codec("a text " + rule, raw(T.EXTENSION, TEXT, value))


def cut(length):
    """A message whose frame ends in the middle of an item."""
    def make(s):
        whole = s.request("Query", QUERY)
        return relength(whole[:len(whole) - length], T.REQUEST_MESSAGE, -length)
    return make


CODEC = [
    codec("a tag that begins with 41", raw(0x410001, INT, ONE)),
    codec("a tag that begins with 43", raw(0x430001, INT, ONE)),
    codec("a tag that begins with 55", raw(0x550001, INT, ONE)),
    codec("a tag of zeros", raw(0, INT, ONE)),
    codec("type 0", raw(T.EXTENSION, 0, ONE)),
    codec("type 12", raw(T.EXTENSION, 12, ONE)),
    codec("type 255", raw(T.EXTENSION, 255, ONE)),
    codec("an Integer of 8 bytes", raw(T.EXTENSION, INT, bytes(8))),
    codec("an Integer of no bytes", raw(T.EXTENSION, INT, b"")),
    codec("a Long Integer of 4 bytes", raw(T.EXTENSION, LONG, ONE)),
    codec("a Big Integer of 4 bytes", raw(T.EXTENSION, BIG, ONE)),
    codec("a Big Integer of no bytes", raw(T.EXTENSION, BIG, b"")),
    codec("an Enumeration of 3 bytes", raw(T.EXTENSION, ENUM, b"\0\0\1")),
    codec("a Boolean of 1 byte", raw(T.EXTENSION, BOOL, b"\1")),
    codec("a Boolean that says 2", raw(T.EXTENSION, BOOL, struct.pack(">Q", 2))),
    codec("a Boolean with its highest bit set", raw(T.EXTENSION, BOOL, struct.pack(">Q", 1 << 63 | 1))),
    codec("a Date-Time of 4 bytes", raw(T.EXTENSION, DATE, ONE)),
    codec("a Date-Time Extended of 16 bytes", raw(T.EXTENSION, DATE_EXTENDED, bytes(16))),
    codec("an Interval of 8 bytes", raw(T.EXTENSION, INTERVAL, bytes(8))),
    codec("a structure of 4 bytes", raw(T.EXTENSION, STRUCT, bytes(4))),
    codec("padding of an Integer that is not zero", raw(T.EXTENSION, INT, ONE, padding=b"\0\0\0\1")),
    codec("padding of a text that is not zero", raw(T.EXTENSION, TEXT, b"abc", padding=b"\0\0\0\0\xff")),
    codec("padding of bytes that is not zero", raw(T.EXTENSION, BYTES, b"abc", padding=b"\1\0\0\0\0")),
    codec("a text that lacks its padding",
          group(T.EXTENSION, *[raw(T.EXTENSION, TEXT, t, padding=b"") for t in (b"abc", b"abcde")])),
    codec("a text longer than its structure", group(T.EXTENSION, raw(T.EXTENSION, TEXT, b"12345678", length=9))),
    codec("bytes of the longest length", raw(T.EXTENSION, BYTES, b"12345678", length=0xFFFFFFFF)),
    codec("a length that wraps around with its padding", raw(T.EXTENSION, BYTES, b"12345678", length=0xFFFFFFF9)),
    codec("a structure of the longest length", raw(T.EXTENSION, STRUCT, b"", length=0xFFFFFFF8)),
    codec("a structure that ends within the head of an item", group(T.EXTENSION, raw(T.EXTENSION, INT, b"", length=4))),
    codec_message("a payload longer than its batch item", lambda s: relength(s.request("Query", QUERY),
                                                                             T.REQUEST_PAYLOAD, 8)),
    codec_message("a payload shorter than its items", lambda s: relength(s.request("Query", QUERY), T.REQUEST_PAYLOAD,
                                                                         -8)),
    codec_message("a batch item longer than the message", lambda s: relength(s.request("Query", QUERY), T.BATCH_ITEM,
                                                                             8)),
    codec_message("a header that reaches into the batch item",
                  lambda s: relength(s.request("Query", QUERY), T.REQUEST_HEADER, 16)),
    codec_message("a message that ends within a value", cut(8)),
    codec_message("a message that ends between head and value", cut(16)),
    utf8("with a NUL", b"a\0b"),
    utf8("with an overlong slash", b"\xc0\xaf"),
    utf8("with an overlong letter in three bytes", b"\xe0\x81\x81"),
    utf8("with a lone continuation byte", b"a\x80"),
    utf8("that ends within a character", b"\xe2\x82"),
    utf8("with half of a surrogate pair", b"\xed\xa0\x80"),
    utf8("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
    utf8("with a byte that UTF-8 does not know", b"\xfe"),
]

LIMITS = [
    limit("29 structures inside the payload: 32 levels", nested(29), served=True),
    limit("30 structures inside the payload: 33 levels", nested(30)),
    limit("100,000 structures inside each other", nested(100000)),
    limit("a text of 65,536 bytes", text(T.EXTENSION, "x" * 65536), served=True),
    limit("a text of 65,537 bytes", text(T.EXTENSION, "x" * 65537)),
    limit("65,536 items", *[raw(T.EXTENSION, STRUCT, b"")] * (65536 - 10), served=True),
    limit("65,537 items", *[raw(T.EXTENSION, STRUCT, b"")] * (65536 - 9)),
]

FIRST = [
    # One after the other: what was whole is answered, the rest is not.
    Row("frame: garbage behind a good request", lambda s: s.request("Query", QUERY) + b"GET / HTTP/1.1\r\n\r\n",
        SERVED, ends=True),
]

ROWS = FRAMES + CODEC + LIMITS + FIRST
