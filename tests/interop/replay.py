"""Plays the replays of clients/ on the running server. Beyond what a replay itself asks for, each answer must be of the
request's version in all that it carries, repeat what it answers to, and be no longer than the request allows."""
import os
import ssl
import time

import client
import names
import script
from client import BOOL, BYTES, DATE, ENUM, INT, INTERVAL, LONG, STRUCT, TEXT, item

RESUMPTIONS = 40  # a session is known to the worker that made it: so often is it tried until that one takes the call
TAG = names.tag
# All clients come from one address here, many in a second.
CROWD = {"limits.address_handshakes": 100000, "limits.address_burst": 100000}
STATUS = {"Success": client.SUCCESS, "Undone": client.UNDONE}


class Unmet(Exception):
    """What an answer lacks, or has and must not have."""


def integer(text):
    return int(text.partition(":")[2], 0)


class Values:
    """Values by name, and what the words of a replay stand for."""

    def __init__(self):
        self.salt, self.by_name = os.urandom(4).hex(), {}

    def literal(self, of, word):
        """(type, value). of: the name of the tag or attribute whose value it is."""
        if word.startswith("$"):
            return self.by_name[word[1:]]
        if word.startswith('"'):
            return TEXT, word[1:-1].replace("{salt}", self.salt)
        if word in ("true", "false"):
            return BOOL, word == "true"
        if word.startswith("now"):
            return DATE, int(time.time()) + int(word[3:] or 0)
        for prefix, kind in (("date:", DATE), ("long:", LONG), ("interval:", INTERVAL), ("enum:", ENUM)):
            if word.startswith(prefix):
                return kind, integer(word)
        if word.startswith("hex:"):
            return BYTES, bytes.fromhex(word[4:])
        if word.startswith("random:"):
            return BYTES, os.urandom(integer(word))
        return names.number(of, word) or (INT, int(word))

    # ---- requests ----
    def encoded(self, lines):
        return [self.encode(line) for line in lines]

    def encode(self, line):
        tag = TAG(line.words[0])
        if len(line.words) == 1:
            return item(tag, STRUCT, self.encoded(line.within))
        return item(tag, *self.literal(line.of, line.words[1]))

    # ---- answers ----
    def is_value(self, of, word, kind, value):
        if word == "*":
            return True
        if word.startswith("$") and word[1:] not in self.by_name:
            self.by_name[word[1:]] = (kind, value)
            return True
        return self.literal(of, word) == (kind, value)

    def fits(self, line, words, kind, value):
        """Whether one item is what a line describes; words: its name and value."""
        if len(words) == 1:
            return kind == STRUCT and not any(self.lacks(value, inner) for inner in line.within)
        return self.is_value(line.of, words[1], kind, value)

    def lacks(self, items, line):
        """Whether these items fail to be as one line says."""
        how = line.words[0] if line.words[0] in script.HOW else None
        words = line.words[1:] if how else line.words
        there = [(kind, value) for tag, kind, value in items if tag == TAG(words[0])]
        if how == "only":
            return len(there) != len(words) - 1 or not all(
                self.is_value(words[0], word, kind, value) for word, (kind, value) in zip(words[1:], there))
        if how == "no":
            return len(words) == 1 and not line.within and bool(there) or any(
                self.fits(line, words, kind, value) for kind, value in there)
        return not any(self.fits(line, words, kind, value) for kind, value in there)


def inner(items, name):
    """The items of the structure of this name."""
    return next((v for t, k, v in items if t == TAG(name) and k == STRUCT), None)


def value(items, name):
    return next((v for t, _, v in items if t == TAG(name)), None)


class Player:
    def __init__(self, state, replay, version):
        self.state, self.replay, self.version = state, replay, version
        self.values, self.link = Values(), None
        for line in replay.given:
            self.values.by_name[line.words[1]] = self.values.literal(line.words[1], line.words[2])

    # ---- TLS ----
    def connect(self, words=()):
        self.close()
        if "resumed" not in words:
            version = next((ssl.TLSVersion["TLSv" + w.replace(".", "_")] for w in words if w[0].isdigit()), None)
            self.link = client.Connection(self.state.env, context=client.tls_context(self.state.env, version=version))
            return
        before = self.link
        for _ in range(RESUMPTIONS):
            self.link = client.Connection(self.state.env, resume=before)
            if self.link.tls.session_reused:
                return
            self.close()
        raise Unmet("no TLS session was resumed")

    def close(self):
        if self.link and self.link.tls.fileno() >= 0:
            self.link.end()

    # ---- one request ----
    def request(self, step):
        major, minor = self.version
        own = step.options.get("header")
        count = step.options.get("count")
        head = [item(TAG("ProtocolVersion"), STRUCT, [item(TAG("ProtocolVersionMajor"), INT, major),
                                                      item(TAG("ProtocolVersionMinor"), INT, minor)])]
        head += self.values.encoded(script.expanded(own.within) if own else self.replay.header)
        head.append(item(TAG("BatchCount"), INT, int(count.words[1]) if count else len(step.items)))
        out = [item(TAG("RequestHeader"), STRUCT, head)]
        for n, asked in enumerate(step.items):
            parts = [item(TAG("Operation"), *names.number("Operation", asked.operation))]
            if self.ids(step):
                parts.append(item(TAG("UniqueBatchItemID"), BYTES, self.ids(step)[n]))
            parts.append(item(TAG("RequestPayload"), STRUCT, self.values.encoded(asked.payload)))
            out.append(item(TAG("BatchItem"), STRUCT, parts))
        return item(TAG("RequestMessage"), STRUCT, out)

    def ids(self, step):
        length = step.options.get("ids")
        if not length and len(step.items) < 2:
            return None
        return [bytes([n + 1]) * (int(length.words[1]) if length else 1) for n in range(len(step.items))]

    # ---- its answer ----
    def check_header(self, head, count, size, step):
        version = inner(head, "ProtocolVersion")
        own = step.options.get("header")
        limit = next((int(f.words[1]) for f in (own.within if own else self.replay.header)
                      if f.words[0] == "MaximumResponseSize"), None)
        if (value(version, "ProtocolVersionMajor"), value(version, "ProtocolVersionMinor")) != self.version:
            raise Unmet("answered in another version")
        if value(head, "BatchCount") != count:
            raise Unmet("Batch Count is not the number of items")
        if limit and size > limit:
            raise Unmet("an answer of %d bytes where %d are allowed" % (size, limit))

    def check_item(self, got, asked, unique):
        status, reason = value(got, "ResultStatus"), value(got, "ResultReason")
        told = "status %s, reason 0x%x: %s" % (status, reason or 0, value(got, "ResultMessage"))
        if value(got, "Operation") != names.number("Operation", asked.operation)[1]:
            raise Unmet("the answer is to another operation; %s" % told)
        if value(got, "UniqueBatchItemID") != unique:
            raise Unmet("the Unique Batch Item ID is another")
        if asked.result in STATUS:
            want = STATUS[asked.result], None
        else:
            want = client.FAILED, names.reason(asked.result)
        if (status, reason) != want:
            raise Unmet("%s was to be %s; %s" % (asked.operation, asked.result, told))
        payload = inner(got, "ResponsePayload") or []
        for line in asked.fields:
            if self.values.lacks(payload, line):
                raise Unmet("%r is not so in %s" % (line, str(client.untyped(payload))[:1000]))

    def check(self, step, data):
        message = client.typed(data)[0][2]
        fault = names.fault(self.version, message)
        if fault:
            raise Unmet("%d.%d %s" % (*self.version, fault))
        items = [v for t, _, v in message if t == TAG("BatchItem")]
        self.check_header(inner(message, "ResponseHeader"), len(items), len(data), step)
        if step.refused:
            if [value(i, "ResultReason") for i in items] != [names.reason(step.refused)]:
                raise Unmet("was to be refused: %s" % client.untyped(message))
            return
        answered = [i for i in step.items if i.result != "nothing"]
        ids = self.ids(step) or [None] * len(answered)
        for got, asked, unique in zip(items, answered, ids):
            self.check_item(got, asked, unique)
        if len(items) != len(answered):
            raise Unmet("%d answers to %d items" % (len(items), len(answered)))

    def play_step(self, step):
        for _ in range(int(step.options["repeat"].words[1]) if "repeat" in step.options else 1):
            if "connect" in step.options or not self.link:
                self.connect(step.options["connect"].words[1:] if "connect" in step.options else ())
            if step.items:
                self.link.tls.sendall(self.request(step))
                data = self.link.receive()
                if data is None:
                    raise Unmet("closed without an answer")
                self.check(step, data)

    def play(self):
        """(step, what went wrong or None) for each step, up to the first that fails: the others build on it."""
        try:
            for step in self.replay.steps:
                try:
                    self.play_step(step)
                except (Unmet, OSError, KeyError, ValueError) as error:
                    yield step, repr(error)
                    return
                yield step, None
        finally:
            self.close()
