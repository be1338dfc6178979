"""SIGKILL of worker, vault, PostgreSQL (postmaster and backends) and software TPM under load, many rounds: every
acknowledged fact stands and has its audit row; what got no answer happened wholly or not at all."""
import collections
import os
import random
import threading
import time

import client
import support
import tap

IN_FLIGHT = 32
TARGETS = os.environ.get("HOLDFAST_TARGETS", "worker vault postmaster backend swtpm").split()
AFTER = {"Create": "PreActive", "Activate": "Active", "Revoke": "Deactivated", "Destroy": "Destroyed"}


class Object:
    """What we know of one object: its last acknowledged state, and the states that unanswered calls may have made."""

    def __init__(self, name):
        self.name = name
        self.uid = None
        self.state = None
        self.maybe = set()
        self.material = None
        self.acked = collections.Counter()
        self.unanswered = collections.Counter()


class Loader(threading.Thread):
    """One connection, one request in flight: makes objects and takes each some way through its life."""

    def __init__(self, state, number, shared):
        super().__init__(daemon=True)
        self.state, self.number, self.shared = state, number, shared
        self.random = random.Random(number)
        self.objects = []
        self.errors = collections.Counter()
        self.wrong = []
        self.link = None
        self.last_ack = 0.0
        self.slow = []

    def call(self, operation, thing):
        """The result, or None where there was no answer."""
        request = operation[0]
        try:
            if not self.link:
                self.link = client.Connection(self.state.env, timeout=20)
        except OSError:
            time.sleep(0.05)
            return "unsent"
        began = time.monotonic()
        try:
            result = self.link.call(operation)
            self.tell_slow(began, request, result)
        except OSError as error:
            self.tell_slow(began, request, error)
            self.link.close()
            self.link = None
            thing.unanswered[request] += 1
            return None
        if result.ok:
            thing.acked[request] += 1
            self.last_ack = time.monotonic()
        else:
            self.errors[(request, result.reason)] += 1
        return result

    def tell_slow(self, began, request, outcome):
        took = time.monotonic() - began
        if took > 3:
            self.slow.append((took, "%s %s after %.1f s: %r" % (time.strftime("%H:%M:%S"), request, took, outcome)))

    def step(self, thing, operation, target):
        """One change of state. True if the life may go on."""
        result = self.call(operation, thing)
        if result == "unsent":
            return False
        if result is None:
            thing.maybe.add(target)
            return False
        if result.ok:
            thing.state = target
            return True
        return False

    def life(self):
        thing = Object("kill-%d-%d" % (self.number, len(self.objects)))
        self.objects.append(thing)
        result = self.call(client.create(thing.name), thing)
        if not isinstance(result, client.Result) or not result.ok:
            thing.maybe.add("PreActive") if result is None else None
            return
        thing.uid, thing.state = result.uid, "PreActive"
        way = self.random.random()
        if way < 0.2 or not self.step(thing, client.activate(thing.uid), "Active"):
            return
        result = self.call(client.get(thing.uid), thing)
        if isinstance(result, client.Result) and result.ok:
            thing.material = result.material
        if way < 0.6 or not self.step(thing, client.revoke(thing.uid), "Deactivated"):
            return
        if way > 0.8:
            self.step(thing, client.destroy(thing.uid), "Destroyed")

    def run(self):
        while not self.shared["stop"]:
            self.life()
        if self.link:
            self.link.close()


def kill(state, target, chooser):
    if target == "worker":
        names = state.workers()
        return state.kill(chooser.choice(names)) if names else None
    if target == "vault":
        return state.kill("vault")
    if target == "postmaster":
        return state.kill("postgres")
    if target == "swtpm":
        return state.kill("swtpm")
    pids = support.wait_for(state.backends, 5)
    if pids:
        try:
            os.kill(chooser.choice(pids), 9)
        except ProcessLookupError:
            return None
    return pids or None


def check_object(link, thing, wrong):
    """Compares one object with what the server says now."""
    if thing.uid is None:
        found = link.call(client.locate(thing.name)).uids
        if len(found) > (1 if thing.maybe else 0):
            wrong.append("%s: %d objects, though no Create was acknowledged" % (thing.name, len(found)))
        return
    shown = link.call(client.get_attributes(thing.uid, "State"))
    allowed = {thing.state} | thing.maybe
    if shown.state not in allowed:
        wrong.append("%s %s: is %s (%r), known %s" % (thing.name, thing.uid, shown.state, shown, allowed))
    if thing.state == "Destroyed" and link.call(client.get(thing.uid)).ok:
        wrong.append("%s: a destroyed key was served" % thing.uid)
    if thing.material and "Destroyed" not in allowed:
        got = link.call(client.get(thing.uid))
        if not got.ok or got.material != thing.material:
            wrong.append("%s: other key bytes than before: %r" % (thing.uid, got))


def check_audit(state, objects):
    """Each acknowledged operation has its Success row; no operation has more rows than calls."""
    rows = state.psql("SELECT object, operation, count(*) FROM audit.events WHERE result = 'Success' "
                      "AND object IS NOT NULL GROUP BY 1, 2")
    counted = {(r[0], r[1]): int(r[2]) for r in rows}
    wrong = []
    for thing in objects:
        for operation, acked in thing.acked.items():
            have = counted.get((thing.uid, operation), 0)
            if not acked <= have <= acked + thing.unanswered[operation]:
                wrong.append("%s %s: %d acknowledged, %d unanswered, %d rows"
                             % (thing.uid, operation, acked, thing.unanswered[operation], have))
    return wrong


def run(state):
    rounds = int(os.environ.get("HOLDFAST_ROUNDS", "20"))
    chooser = random.Random(os.environ.get("HOLDFAST_SEED", "1"))
    shared = {"stop": False}
    before = state.status().get("totals", {})
    loaders = [Loader(state, i, shared) for i in range(IN_FLIGHT)]
    for loader in loaders:
        loader.start()
    recovered, killed = collections.defaultdict(list), collections.Counter()
    stuck = []
    for number in range(rounds):
        time.sleep(0.4 + chooser.random() * 0.8)
        target = TARGETS[number % len(TARGETS)]
        if not kill(state, target, chooser):
            continue
        killed[target] += 1
        at = time.monotonic()
        # Every loader must be answered again, not only those whose worker lived.
        if not support.wait_for(lambda: all(x.last_ack > at for x in loaders), 60, 0.02):
            stuck.append("round %d, %s: %d loaders without an answer after 60 s; status %s"
                         % (number, target, sum(x.last_ack <= at for x in loaders), state.status()))
            break
        recovered[target].append(time.monotonic() - at)
    shared["stop"] = True
    for loader in loaders:
        loader.join(60)
    tap.ok(not stuck, "after each kill all %d connections are served again" % IN_FLIGHT, "\n".join(stuck) + state.log()[-4000:])
    tap.ok(state.wait_serving(60), "the server serves after all rounds", state.status())
    objects = [o for x in loaders for o in x.objects]
    facts = sum(sum(o.acked.values()) for o in objects)
    unknown = sum(sum(o.unanswered.values()) for o in objects)
    totals = state.status().get("totals", {})
    resolved = totals.get("unknown", 0) - before.get("unknown", 0)
    tap.note("report kill: %d rounds %s, %d acknowledged facts, %d calls without an answer, %d commits of unknown "
             "outcome resolved (%d had happened)" % (rounds, dict(killed), facts, unknown, resolved,
                                                     totals.get("unknown_done", 0) - before.get("unknown_done", 0)))
    tap.note("report kill: longest until all were served again: "
             + ", ".join("%s %.1f s" % (t, max(v)) for t, v in sorted(recovered.items())))
    slow = sorted((w for x in loaders for w in x.slow), reverse=True)
    for _, text in slow[:5]:
        tap.note("report kill: slow answer: " + text)
    errors = collections.Counter()
    for loader in loaders:
        errors.update(loader.errors)
    if errors:
        tap.note("report kill: refusals while something was down: "
                 + ", ".join("%s/%s %d" % (o, r, n) for (o, r), n in sorted(errors.items())))
    tap.ok(facts > rounds * 50, "the load was real", facts)
    tap.ok(unknown > 0, "outcomes without an answer were met (%d)" % unknown)
    # A short run may hit no COMMIT between its sending and its answer.
    tap.ok(resolved > 0 or rounds < 20, "kills between COMMIT sent and answered were met and resolved (%d)" % resolved)
    lies = [k for k in errors if k[1] in (1, 0x36)]
    tap.ok(not lies, "no live key was called missing or destroyed", lies)
    # Before the checks below add rows of their own.
    wrong = check_audit(state, objects)
    tap.ok(not wrong, "every acknowledged fact has its audit row", "\n".join(wrong[:20]))
    wrong = []
    links = [client.Connection(state.env) for _ in range(4)]

    def check_part(part):
        for thing in objects[part::len(links)]:
            check_object(links[part], thing, wrong)

    checkers = [threading.Thread(target=check_part, args=(i,)) for i in range(len(links))]
    for checker in checkers:
        checker.start()
    for checker in checkers:
        checker.join()
    tap.ok(not wrong, "every acknowledged fact stands, what got no answer happened wholly or not at all (%d objects)"
           % len(objects), "\n".join(wrong[:20]))
    code, answer = state.json("audit", "verify")
    tap.ok(code == 0, "the audit chain verifies", str(answer)[:3000])
