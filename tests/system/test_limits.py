"""Every limit of the configuration, lowered, in the running server: what is at the limit is served, one beyond is
refused or closed. Waits are ended by the server alone: nothing here measures a time. (At their defaults nesting,
texts, items, batches, names, attributes and the size of a request stand in the tables of hostile input.)"""
import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import threading
import time

import client
import hostile
import support
import tap
from hostile import (GENERAL_FAILURE, INDEX_OUT_OF_BOUNDS, INVALID_FIELD, INVALID_MESSAGE, QUERY, RESPONSE_TOO_LARGE,
                     SERVED, T, V14, batch_item, enum, group, integer, octets, raw, text)

IN_FLIGHT, OF_IDENTITY, OF_WORKER, REQUEST, ANSWER = 4, 12, 30, 131072, 65536
LOWERED = {
    "server.workers": 1, "server.drain_ms": 1000, "database.statement_ms": 3000, "database.lock_ms": 60000,
    "vault.call_ms": 1500, "limits.request_bytes": REQUEST, "limits.answer_bytes": ANSWER, "limits.nesting": 8,
    "limits.batch_items": 4, "limits.name_bytes": 16, "limits.text_bytes": 64, "limits.attributes": 16,
    "limits.handshake_ms": 1500, "limits.request_ms": 1500, "limits.idle_ms": 2000, "limits.unread_ms": 1000,
    "limits.worker_connections": OF_WORKER, "limits.identity_connections": OF_IDENTITY,
    "limits.connection_requests": IN_FLIGHT, "limits.address_handshakes": 100000, "limits.address_burst": 100000,
}
WITHIN = 0.3  # seconds: far below every deadline above
SAY = hostile.Say(V14, {})
ONE_QUERY = SAY.request("Query", QUERY)


class Limits:
    """The server with lowered limits, and two clients of it."""

    def __init__(self, state):
        self.state = state
        self.files = [{}, self.enrol("limits-1"), self.enrol("limits-2")]

    def enrol(self, name):
        folder = os.path.join(self.state.top, name)
        if not os.path.exists(folder):
            self.state.holdfast("client", "add", name, "--out", folder)
        return {k: os.path.join(folder, k + ".pem") for k in ("cert", "key")}

    def open(self, who=0, timeout=60):
        return client.Connection(self.state.env, timeout=timeout, **self.files[who])

    def reason(self, request, who=0):
        """Result Reason of the first item of the answer to these bytes."""
        link = self.open(who)
        try:
            link.tls.sendall(request)
            data = link.receive()
            return None if data is None else hostile.told(client.every(client.parse(data)[0][1], T.BATCH_ITEM))[0]
        finally:
            link.close()

    def inside(self):
        """Requests in the worker, as it told last."""
        return self.state.status()["workers"][0]["in_flight"]

    def total(self, name):
        return self.state.status()["totals"][name]


def ended(link):
    """The server ends it, and has said nothing before."""
    try:
        return link.tls.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


# ---- sizes and counts -----------------------------------------------------------------------------------------------

def create(*attributes):
    return SAY.request("Create", enum(T.OBJECT_TYPE, 2), SAY.attributes(hostile.AES, hostile.BITS, hostile.MASK,
                                                                        *attributes))


def nested(levels):
    return b"".join(raw(T.EXTENSION, client.STRUCT, b"", length=8 * n) for n in reversed(range(levels)))


def filled(size):
    """A Query of exactly so many bytes, with one field too many."""
    empty = len(SAY.request("Query", QUERY, octets(T.EXTENSION, b"")))
    return SAY.request("Query", QUERY, octets(T.EXTENSION, bytes(size - empty)))


def groups(count):
    return [text(T.OBJECT_GROUP, "g%d" % i) for i in range(count)]


def sizes(limits):
    """What is read at the limit may still be wrong for another reason."""
    cases = [
        ("nesting", SAY.request("Query", QUERY, nested(5)), INVALID_FIELD,
         SAY.request("Query", QUERY, nested(6)), INVALID_MESSAGE),
        ("batch_items", SAY.batch(*[batch_item("Query", QUERY)] * 4), SERVED,
         SAY.batch(*[batch_item("Query", QUERY)] * 5), INVALID_MESSAGE),
        ("text_bytes", SAY.request("Query", QUERY, text(T.EXTENSION, "x" * 64)), INVALID_FIELD,
         SAY.request("Query", QUERY, text(T.EXTENSION, "x" * 65)), INVALID_MESSAGE),
        ("name_bytes", create(SAY.name(hostile.SALT.ljust(16, "n"))), SERVED,
         create(SAY.name(hostile.SALT.ljust(17, "n"))), INVALID_FIELD),
        ("attributes", create(*groups(13)), SERVED, create(*groups(14)), INDEX_OUT_OF_BOUNDS),
        ("request_bytes", filled(REQUEST), INVALID_FIELD, filled(REQUEST + 8), INVALID_MESSAGE),
    ]
    for name, at, want_at, beyond, want_beyond in cases:
        got = limits.reason(at), limits.reason(beyond)
        tap.ok(got == (want_at, want_beyond), "%s: at the limit it is read, one beyond it is not" % name, got)


def opaque(link, size):
    """An object whose Get has an answer that grows with it; its identifier."""
    thing = group(T.OPAQUE_OBJECT, enum(T.OPAQUE_DATA_TYPE, 0x80000001), octets(T.OPAQUE_DATA_VALUE, bytes(size)))
    answer = link.exchange(SAY.request("Register", enum(T.OBJECT_TYPE, 8), SAY.attributes(), thing))
    return client.Result(client.first(answer, T.BATCH_ITEM)).uid


def fetch(uid, most=None):
    before = [] if most is None else [integer(T.MAXIMUM_RESPONSE_SIZE, most)]
    return hostile.message(SAY.header(1, *before), batch_item("Get", text(T.UNIQUE_IDENTIFIER, uid)))


def answers(limits):
    """The server's limit and the client's own. An identifier whose answer has just the size of the limit."""
    link = limits.open()
    small = opaque(link, 1024)
    link.tls.sendall(fetch(small))
    size = len(link.receive())
    whole, larger = opaque(link, 1024 + ANSWER - size), opaque(link, 1024 + ANSWER - size + 8)
    link.close()
    got = [limits.reason(r) for r in (fetch(whole), fetch(larger), fetch(small, size), fetch(small, size - 1))]
    tap.ok(got[:2] == [SERVED, RESPONSE_TOO_LARGE],
           "answer_bytes: an answer of the limit leaves, a larger one does not", got)
    tap.ok(got[2:] == [SERVED, RESPONSE_TOO_LARGE], "a client's own maximum holds to the byte", got)
    return whole


def of_identity(limits):
    links = [limits.open(1) for _ in range(OF_IDENTITY)]
    served = [x.exchange(ONE_QUERY) is not None for x in links]
    tap.ok(all(served), "identity_connections: as many as the limit are served", served)
    try:
        late = limits.open(1)
        late.tls.sendall(ONE_QUERY)
        tap.ok(ended(late), "one more of the same client is closed")
        late.close()
    except OSError as error:
        tap.ok(True, "one more of the same client is closed", error)
    tap.ok(limits.reason(ONE_QUERY, 2) == SERVED, "another client is served")
    links.pop().close()
    again = support.wait_for(lambda: attempt(limits, 1), 20)
    tap.ok(again, "where one has left, another is let in")
    return links


def attempt(limits, who):
    try:
        return limits.reason(ONE_QUERY, who) == SERVED
    except OSError:
        return False


def of_worker(limits, links):
    """links: some that are open. The kernel's queue takes one more, the worker does not."""
    links += [limits.open(2) for _ in range(OF_IDENTITY)]
    links += [limits.open(0) for _ in range(OF_WORKER - len(links))]
    tap.ok(len(links) == OF_WORKER and all(x.exchange(ONE_QUERY) for x in links),
           "worker_connections: as many as the limit are served", len(links))
    late = Waiting(limits)
    tap.ok(not late.answered(WITHIN * 3), "one more is not accepted")
    links.pop().close()
    tap.ok(late.answered(20), "where one has left, it is")
    late.close()
    return links


class Waiting:
    """A TCP connection that has sent its hello and waits for the server's."""

    def __init__(self, limits):
        env = limits.state.env
        self.socket = socket.create_connection((env["HOLDFAST_HOST"], int(env["HOLDFAST_PORT"])), 60)
        context = ssl.create_default_context(cafile=env["HOLDFAST_CA"])
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.into, self.out, server_hostname=env["HOLDFAST_HOST"])
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.socket.sendall(self.out.read())

    def answered(self, seconds):
        return bool(select.select([self.socket], [], [], seconds)[0])

    def close(self):
        self.socket.close()


# ---- deadlines ------------------------------------------------------------------------------------------------------

def drip(send, data, pause=0.2):
    """Byte by byte, until the other side has had enough."""
    with contextlib.suppress(OSError):
        for i in range(len(data)):
            send(data[i:i + 1])
            time.sleep(pause)


def plain(limits):
    return socket.create_connection((limits.state.env["HOLDFAST_HOST"], int(limits.state.env["HOLDFAST_PORT"])), 60)


def tcp_ended(s):
    try:
        return s.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def handshake_silent(limits):
    with plain(limits) as s:
        return tcp_ended(s)


def handshake_dripping(limits):
    with plain(limits) as s:
        drip(s.sendall, bytes.fromhex("160301020001000200") + bytes(40))
        return tcp_ended(s)


def handshake_within(limits):
    late = Waiting(limits)
    answered = late.answered(60)
    late.close()
    with plain(limits) as s:
        time.sleep(WITHIN)
        context = ssl.create_default_context(cafile=limits.state.env["HOLDFAST_CA"])
        context.load_cert_chain(limits.state.env["HOLDFAST_CERT"], limits.state.env["HOLDFAST_KEY"])
        with context.wrap_socket(s, server_hostname=limits.state.env["HOLDFAST_HOST"]) as tls:
            tls.sendall(ONE_QUERY)
            return answered and tls.recv(1) == b"\x42"


def request_stopped_at(length):
    def play(limits):
        link = limits.open()
        link.tls.sendall(ONE_QUERY[:length])
        return ended(link)
    return play


def request_dripping(limits):
    link = limits.open()
    drip(link.tls.sendall, ONE_QUERY[:-1])
    return ended(link)


def request_within(limits):
    link = limits.open()
    link.tls.sendall(ONE_QUERY[:5])
    time.sleep(WITHIN)
    link.tls.sendall(ONE_QUERY[5:50])
    time.sleep(WITHIN)
    link.tls.sendall(ONE_QUERY[50:])
    return link.receive() is not None


def idle(limits):
    link = limits.open()
    for _ in range(3):
        link.exchange(ONE_QUERY)
        time.sleep(WITHIN)
    return link.exchange(ONE_QUERY) is not None and link.receive() is None


def never_used(limits):
    return limits.open().receive() is None


def unread(limits, uid):
    """Far more than all buffers hold. What had left before is read afterwards, and then an end."""
    link = limits.open()
    link.tls.sendall(fetch(uid) * 400)
    before = limits.total("deadlines")
    if not support.wait_for(lambda: limits.total("deadlines") > before, 60, 0.3):
        return False
    got = 0
    with contextlib.suppress(OSError):
        while link.receive() is not None:
            got += 1
    return got < 400


def unread_within(limits, uid):
    link = limits.open()
    link.tls.sendall(fetch(uid) * 200)
    time.sleep(WITHIN)
    return all(link.receive() is not None for _ in range(200))


def deadlines(limits, uid):
    """All at once: each waits for the server."""
    plays = [
        ("handshake_ms: a peer that says nothing is closed", handshake_silent),
        ("handshake_ms: a hello that drips is closed", handshake_dripping),
        ("handshake_ms: one that comes in time is served", handshake_within),
        ("request_ms: a request that stops within its head is closed", request_stopped_at(3)),
        ("request_ms: a request that stops behind its head is closed", request_stopped_at(8)),
        ("request_ms: a request that stops before its last byte is closed", request_stopped_at(len(ONE_QUERY) - 1)),
        ("request_ms: a request that drips is closed", request_dripping),
        ("request_ms: one that comes in three parts is served", request_within),
        ("idle_ms: a connection is kept while it is used, and ended in order when it is not", idle),
        ("idle_ms: one that is never used is ended in order", never_used),
        ("unread_ms: who takes his answers in time gets all", lambda x: unread_within(x, uid)),
    ]
    before, results = limits.total("deadlines"), [None] * len(plays)

    def play(i):
        try:
            results[i] = plays[i][1](limits)
        except OSError as error:
            results[i] = error

    threads = [threading.Thread(target=play, args=(i,)) for i in range(len(plays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (sentence, _), result in zip(plays, results):
        tap.ok(result is True, sentence, result)
    closed = sum("closed" in s or "ended" in s for s, _ in plays)
    tap.ok(support.wait_for(lambda: limits.total("deadlines") - before >= closed, 10, 0.3),
           "status counts what a deadline closed", (limits.total("deadlines") - before, closed))
    tap.ok(unread(limits, uid), "unread_ms: who does not take his answers is closed")


# ---- the server's own waits -----------------------------------------------------------------------------------------

@contextlib.contextmanager
def held_table(state):
    """Nobody reads the material of an object meanwhile."""
    env = {"PATH": os.environ["PATH"], **state.env}
    with subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-U", "postgres", "-d", "holdfast"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=env) as holder:
        holder.stdin.write("BEGIN; LOCK TABLE kmip.material IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
        holder.stdin.flush()
        holder.stdout.readline()
        yield
        holder.stdin.close()


def told(link, count):
    """What so many answers of one item say."""
    return [hostile.told(client.every(client.parse(link.receive())[0][1], T.BATCH_ITEM))[0] for _ in range(count)]


def statement(limits):
    """Also how many requests of one connection are in the worker at once."""
    links = [limits.open(), limits.open()]
    uid = links[0].call(client.create()).uid
    with held_table(limits.state):
        links[0].tls.sendall(fetch(uid))
        time.sleep(WITHIN)
    tap.ok(links[0].receive() is not None, "statement_ms: a statement that ends in time is waited for")
    many, least = [IN_FLIGHT + 2, IN_FLIGHT - 1], 2 * IN_FLIGHT - 1
    with held_table(limits.state):
        for link, count in zip(links, many):
            link.tls.sendall(fetch(uid) * count)
        inside = support.wait_for(lambda: [n for n in (limits.inside(),) if n >= least], 10, 0.1)
        tap.ok(inside == [least], "connection_requests: no more than the limit of one connection are inside", inside)
        reasons = [x for link in links for x in told(link, IN_FLIGHT - 1)]
        tap.ok(set(reasons) == {GENERAL_FAILURE},
               "statement_ms: one that does not is given up, and told as a failure of the server", reasons)
    told(links[0], 3)
    tap.ok(links[0].call(client.get(uid)).ok, "and then it goes on")


def vault(limits):
    link = limits.open()
    uid = link.call(client.create()).uid
    limits.state.kill("vault", signal.SIGSTOP)
    link.tls.sendall(fetch(uid))
    time.sleep(WITHIN)
    limits.state.kill("vault", signal.SIGCONT)
    tap.ok(told(link, 1) == [SERVED], "call_ms: a vault that answers in time is waited for")
    limits.state.kill("vault", signal.SIGSTOP)
    try:
        result = link.call(client.get(uid))
        tap.ok(result.reason == GENERAL_FAILURE, "call_ms: one that does not is given up", result)
        tap.ok(link.call(client.get_attributes(uid)).ok, "what needs no vault is served")
    finally:
        limits.state.kill("vault", signal.SIGCONT)
    tap.ok(support.wait_for(lambda: link.call(client.get(uid)).ok, 20), "and then it goes on")


def drain(limits):
    """The server stops with one request that ends in time, one that waits for a vault that stands still, and an idle
    connection."""
    quiet, late, lost = limits.open(), limits.open(), limits.open()
    uid = quiet.call(client.create()).uid
    quiet.exchange(ONE_QUERY)
    late.tls.sendall(ONE_QUERY[:20])
    limits.state.kill("vault", signal.SIGSTOP)
    lost.tls.sendall(fetch(uid))
    time.sleep(WITHIN)
    stopped = []
    stop = threading.Thread(target=lambda: stopped.append(bool(limits.state.stop_one("holdfastd"))))
    stop.start()
    tap.ok(quiet.receive() is None, "drain: an idle connection is ended in order at once")
    late.tls.sendall(ONE_QUERY[20:])
    tap.ok(late.receive() is not None and late.receive() is None,
           "a request that had begun is answered, and then its connection ends")
    tap.ok(lost.receive() is None, "drain_ms: one that takes longer is ended without an answer, and in order")
    limits.state.kill("vault", signal.SIGCONT)
    stop.join()
    tap.ok(stopped == [True], "and the server has stopped")


def run(state):
    with state.settings(LOWERED, restart=True):
        limits = Limits(state)
        _, shown = state.json("config", "show")
        wrong = {n: shown[n.split(".")[0]][n.split(".")[1]] for n, v in LOWERED.items()
                 if str(shown[n.split(".")[0]][n.split(".")[1]]) != str(v)}
        tap.ok(not wrong, "config show tells each limit", wrong)
        for name, part in (("sizes", sizes), ("vault", vault), ("statement", statement)):
            part(limits)
        whole = answers(limits)
        links = of_worker(limits, of_identity(limits))
        for link in links:
            link.close()
        deadlines(limits, whole)
        drain(limits)
