"""5,000 slow, silent, half-open and unread connections held by one worker, while another client works on old and new
connections of its own; then one client's flood against another's requests. Nothing is judged by the clock: the others
must be served, and must have their share."""
import json
import os
import subprocess
import sys
import time

import client
import support
import tap

CROWD = (("handshake", 3400), ("idle", 1250), ("body", 330), ("unread", 20))
VANISHED, HEADERS = 400, 100
FLOOD, DEPTH = 256, 16  # as many requests as the queue of a worker takes
OPEN = {
    "server.workers": 1, "limits.worker_connections": 8000, "limits.address_connections": 8000,
    "limits.identity_connections": 8000, "limits.address_handshakes": 100000, "limits.address_burst": 100000,
    "limits.handshake_ms": 600000, "limits.request_ms": 600000, "limits.unread_ms": 600000,
}


class Crowd:
    def __init__(self, state):
        folder = os.path.join(state.top, "crowd")
        if not os.path.exists(folder):
            state.holdfast("client", "add", "crowd", "--out", folder)
        files = {"HOLDFAST_" + k.upper(): os.path.join(folder, k + ".pem") for k in ("cert", "key")}
        link = client.Connection({**state.env, **files})
        self.uid = link.call(client.create()).uid
        link.close()
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(support.HERE, "crowd.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, **state.env, **files, "CROWD_OBJECT": self.uid})

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def leave(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def connections(state):
    return sum(w["connections"] for w in state.status()["workers"])


def memory_kib(state):
    """Memory of the workers, shared pages by their share."""
    total = 0
    for name in state.workers():
        with open("/proc/%d/smaps_rollup" % state.pid(name), encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def work(state, old, rounds):
    """The whole life of keys, on a connection that was there before and on new ones. What went wrong."""
    wrong = []
    for i in range(rounds):
        link = old if i % 3 else client.Connection(state.env)
        made = link.call(client.create())
        first, second = link.call(client.get(made.uid)), old.call(client.get(made.uid))
        if not first.ok or first.material != second.material:
            wrong.append("round %d: get: %r %r" % (i, first, second))
        for operation in (client.activate, client.revoke, client.destroy):
            result = link.call(operation(made.uid))
            if not result.ok:
                wrong.append("round %d: %r" % (i, result))
        if link is not old:
            link.close()
    return wrong


def held(state, crowd, old):
    before = memory_kib(state)
    for kind, count in CROWD:
        answer = crowd.ask("hold", kind, count)
        tap.ok(answer["held"] == count, "%d connections are in the state '%s'" % (count, kind), answer)
    gone = crowd.ask("vanish", VANISHED)["gone"]
    if not gone:
        tap.note("peers cannot vanish here: those %d stay idle" % VANISHED)
    total, slow = sum(c for _, c in CROWD), sum(c for k, c in CROWD if k in ("handshake", "body"))
    tap.ok(support.wait_for(lambda: connections(state) > total, 10, 0.3),
           "the worker holds all %d of them at once" % total, connections(state))
    tap.note("report crowd: %d connections take %.0f KiB each" % (total, (memory_kib(state) - before) / total))
    tap.ok(crowd.ask("drip")["taken"] == slow, "the slow ones go on, byte by byte")
    began = time.monotonic()
    wrong = work(state, old, 60)
    tap.note("report crowd: 60 lives of keys among them took %.1f s" % (time.monotonic() - began))
    tap.ok(not wrong, "another client works as ever, on old and new connections", "\n".join(wrong[:10]))
    tap.ok(crowd.ask("drip")["taken"] == slow and connections(state) > total - VANISHED,
           "and the crowd is still there", connections(state))
    ended = state.status()["totals"]["deadlines"]
    crowd.ask("hold", "header", HEADERS)
    tap.ok(support.wait_for(lambda: state.status()["totals"]["deadlines"] >= ended + HEADERS, 20, 0.3),
           "a request that brings less than a kilobyte each second is ended, whatever its deadline",
           state.status()["totals"])


def gets(link, uid, seconds):
    """One request after the other. (how many, how long each took, those that failed)"""
    took, failed, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        result = link.call(client.get(uid))
        took.append(time.monotonic() - began)
        if not result.ok:
            failed.append(result)
    return len(took), sorted(took), failed


def flood(state, crowd, old):
    """Each connection of the flood has sixteen requests under way, the other client one: it has its share where it
    gets at least a sixteenth of what one of those gets."""
    uid = old.call(client.create()).uid
    alone = gets(old, uid, 1)
    crowd.ask("flood", FLOOD, DEPTH, crowd.uid)
    support.wait_for(lambda: crowd.ask("count")["answers"] > FLOOD * DEPTH, 30, 0.2)
    count, took, failed = gets(old, uid, 3)
    answer = crowd.ask("count")
    tap.ok(answer["answers"] > 1000 and not answer["ended"], "one client floods the worker", answer)
    tap.ok(count > 0 and not failed, "another is served meanwhile, and never refused", failed[:3])
    share = count * DEPTH * FLOOD / max(answer["answers"], 1)
    tap.ok(share >= 1, "and has its share of the turns", "%d of its own, %d of the flood" % (count, answer["answers"]))
    tap.note("report flood: %d answers, and %d of another client: median %.1f ms, 99th percentile %.1f ms (alone %.1f "
             "and %.1f); %.1f times its share" % (
                 answer["answers"], count, took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3,
                 alone[1][alone[0] // 2] * 1e3, alone[1][alone[0] * 99 // 100] * 1e3, share))


def run(state):
    with state.settings(OPEN, restart=True):
        deaths, pids = state.log().count("event=child.died"), {n: state.pid(n) for n in state.workers() + ["vault"]}
        old = client.Connection(state.env)
        crowd = Crowd(state)
        held(state, crowd, old)
        crowd.leave()
        tap.ok(support.wait_for(lambda: connections(state) <= VANISHED + 1, 20, 0.3),
               "when the crowd has left, its connections have", connections(state))
        crowd = Crowd(state)
        flood(state, crowd, old)
        crowd.leave()
        tap.ok(old.call(client.locate("x")).ok, "the connection that was there before is served to the end")
        tap.ok(state.log().count("event=child.died") == deaths and all(state.pid(n) == p for n, p in pids.items()),
               "no process has died", state.log()[-3000:])
        old.close()
