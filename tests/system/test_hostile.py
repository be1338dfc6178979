"""Hostile input against the whole server: after each of the rows, other clients' open connections are served and
every process lives; at the end each refusal has its row in the audit trail."""
import collections
import itertools
import os

import client
import hostile
import hostile_message
import hostile_operations
import hostile_tls
import hostile_wire
import support
import tap
from hostile import CLOSED, REASON_NAMES, SERVED, UNDONE, T

ROWS = hostile_wire.ROWS + hostile_message.ROWS + hostile_operations.ROWS
RESULTS = {SERVED: "Success", UNDONE: "Operation Undone"}
WATCHERS = 4


def made_objects(link, other):
    made = {"name": "hostile-taken-" + hostile.SALT}
    made["preactive"] = link.call(client.create(made["name"])).uid
    made["active"], made["destroyed"] = link.call(client.create()).uid, link.call(client.create()).uid
    made["foreign"] = other.call(client.create()).uid
    groups = [client.attribute("Object Group", client.TEXT, g) for g in ("one", "two")]
    name, payload = client.create()
    made["many"] = link.call((name, payload[:1] + [client.item(0x420091, client.STRUCT, [
        client.attribute("Cryptographic Algorithm", client.ENUM, 3),
        client.attribute("Cryptographic Usage Mask", client.INT, 12), *groups])])).uid
    link.call(client.activate(made["active"]))
    link.call(client.destroy(made["destroyed"]))
    return made


def judge(row, version, link):
    """None, or what is wrong with the answer."""
    want = row.want(version)
    data = link.receive()
    if want == [CLOSED]:
        return None if data is None else "answered: %s" % data.hex()
    if data is None:
        return "closed without an answer"
    answer = client.parse(data)[0][1]
    said = client.first(answer, 0x42007A, T.PROTOCOL_VERSION)
    said = (client.first(said, T.PROTOCOL_VERSION_MAJOR), client.first(said, T.PROTOCOL_VERSION_MINOR))
    items = client.every(answer, T.BATCH_ITEM)
    if said != (row.answer or version):
        return "answered in version %s" % (said,)
    if hostile.told(items) != want:
        return "answered %s" % [REASON_NAMES.get(r, hex(r or 0)) + ": %s" % client.first(i, T.RESULT_MESSAGE)
                                for r, i in zip(hostile.told(items), items)][:5]
    if row.ends and link.receive() is not None:
        return "the connection goes on"
    return None


def attack(state, files, row, version, made):
    """Sends one row on a connection of its own. (port, what is wrong or None)"""
    link = client.Connection(state.env, **files)
    try:
        link.tls.sendall(row.make(hostile.Say(version, made)))
        return link.port, judge(row, version, link)
    except OSError as error:
        return link.port, repr(error)
    finally:
        link.close()


def attack_tls(state, rule, data, end):
    """First bytes that are no TLS. What is wrong, or None."""
    try:
        answer = hostile_tls.answer_to(state.env, data, end)
    except OSError as error:
        return repr(error)
    # A hello may be answered before its end is seen; application data never comes.
    return None if hostile_tls.APPLICATION_DATA not in hostile_tls.kinds(answer) else answer.hex()


def attack_session(state, files, act):
    """Harm to an established session. What is wrong, or None."""
    link = client.Connection(state.env, **files)
    try:
        act(link)
        data = link.tls.recv(1)
        return "answered %r" % data if data else None
    except TimeoutError as error:
        return repr(error)
    except OSError:
        return None
    finally:
        link.close()


class Others:
    """Who must not notice: connections that stay open, and the processes that serve them."""

    def __init__(self, state):
        self.state = state
        self.links = [client.Connection(state.env) for _ in range(WATCHERS)]
        self.uid = self.links[0].call(client.create()).uid
        self.turn = itertools.cycle(self.links)
        self.processes = self.pids()
        self.deaths = state.log().count("event=child.died")

    def pids(self):
        return {n: self.state.pid(n) for n in self.state.workers() + ["vault", "supervisor"]}

    def noticed(self):
        """None, or what they noticed."""
        try:
            result = next(self.turn).call(client.get(self.uid))
        except OSError as error:
            return "another client's connection: %r" % error
        if not result.ok:
            return "another client is not served: %r" % result
        return None if self.pids() == self.processes else "a process has died"

    def end(self):
        for link in self.links:
            tap.ok(link.call(client.get(self.uid)).ok, "a connection that was open all the while is served")
            link.close()
        tap.ok(self.state.log().count("event=child.died") == self.deaths, "the log tells of no death",
               self.state.log()[-3000:])


def audited(state, since, sent):
    """Each answer has its rows, as many as it had items; what got no answer has none."""
    rows = state.psql("SELECT address, position, result, coalesce(reason, ''), protocol FROM audit.events "
                      "WHERE client = 'hostile' AND at >= '%s' ORDER BY at, position" % since)
    found = collections.defaultdict(list)
    for address, _, result, reason, _ in rows:
        found[address].append((result, reason.lower()))
    wrong = []
    for port, row, version in sent:
        want = [(RESULTS.get(w, "Operation Failed"), "" if w <= 0 else REASON_NAMES[w].lower())
                for w in row.want(version) if w != CLOSED]
        have = found["127.0.0.1:%d" % port]
        if have[:len(want)] != want:
            wrong.append("%s: %s instead of %s" % (row.rule, have[:5], want[:5]))
        del have[:len(want)]
    tap.ok(not wrong, "each refusal has its row in the audit trail (%d)" % len(rows), "\n".join(wrong))
    left = [k for k, v in found.items() if v]
    tap.ok(not left, "and nothing else has", left)


def counted(state, before, frames, handshakes):
    """What is not KMIP is in no audit trail; it is counted, and told in the log."""
    def more(name):
        return state.status()["totals"][name] - before[name]
    tap.ok(support.wait_for(lambda: more("bad_frames") >= frames and more("handshakes_failed") >= handshakes, 10, 0.3),
           "status counts malformed frames and handshakes that failed",
           "%d frames of %d, %d handshakes of %d" % (more("bad_frames"), frames, more("handshakes_failed"), handshakes))
    log = state.log()
    tap.ok("event=tls.failed" in log and "event=conn.frame" in log, "the log tells of both", log[-2000:])


def run(state):
    with state.settings({"limits.address_handshakes": 100000, "limits.address_burst": 100000}):
        play(state)


def play(state):
    folder = os.path.join(state.top, "hostile")
    if not os.path.exists(folder):
        state.holdfast("client", "add", "hostile", "--out", folder)
    files = {k: os.path.join(folder, k + ".pem") for k in ("cert", "key")}
    others, before = Others(state), state.status()["totals"]
    since = state.psql("SELECT clock_timestamp()")[0][0]
    link = client.Connection(state.env, **files)
    made = made_objects(link, others.links[0])
    setup = link.port
    link.close()
    for rule, data, end in hostile_tls.FIRST_BYTES:
        wrong = attack_tls(state, rule, data, end) or others.noticed()
        tap.ok(not wrong, rule, wrong)
    for rule, act in hostile_tls.ESTABLISHED:
        wrong = attack_session(state, files, act) or others.noticed()
        tap.ok(not wrong, rule, wrong)
    sent = []
    for row in ROWS:
        for version in row.versions:
            port, wrong = attack(state, files, row, version, made)
            sent.append((port, row, version))
            wrong = wrong or others.noticed()
            tap.ok(not wrong, "%s, %d.%d" % (row.rule, *version), wrong)
    others.end()
    counted(state, before, sum(CLOSED in r.want(v) for _, r, v in sent), len(hostile_tls.FIRST_BYTES) - 2)
    audited(state, since, [(setup, hostile.Row("setting up", None, [SERVED] * 6), hostile.V14)] + sent)
    broken = {r.rule for r in ROWS if r.v1 != SERVED}
    tap.note("report hostile: %d rules broken, in %d requests"
             % (len(broken) + len(hostile_tls.FIRST_BYTES) + len(hostile_tls.ESTABLISHED), len(sent)))
