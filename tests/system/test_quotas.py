"""Constraints that count, in the running server: quotas under many connections; rates; changes while clients work."""
import threading
import time

import client
import tap
from bounded import Bounded, create, create_pair
from client import ENUM, item

# ---- quotas ----

def crowd(t, name, count, work):
    """`count` connections of this client, each with work(link, number) in a thread of its own; what they gave."""
    out, trouble = [None] * count, []

    def one(i):
        try:
            with t.link(name) as link:
                out[i] = work(link, i)
        except Exception as e:
            trouble.append(e)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    tap.ok(not trouble, "no connection of %s is in trouble" % name, trouble)
    return out


def rush(link, _):
    return [link.call(create((2, 1)), version=(2, 1)) for _ in range(5)]


def quotas(t):
    for kind, bound in (("client", {"client": t.ids["one"], "most_objects": 20}), ("domain", None)):
        t.clear("one")
        t.clear("two")
        most = 20
        if kind == "domain":
            there = int(t.sql("SELECT count(*) FROM kmip.object WHERE domain = 1 AND state < 5")[0][0])
            number = t.bounds(more="UPDATE policy.domain SET max_objects = %d WHERE id = 1" % (there + 20))
        else:
            number = t.bounds(bound)
        answers = [a for some in crowd(t, "one", 16, rush) for a in some]
        made, refused = [a for a in answers if a.ok], [a for a in answers if not a.ok]
        tap.ok(len(made) == most == t.live("one"), "16 connections make just as many objects as the %s may have" % kind,
               (len(made), t.live("one")))
        tap.ok(all(a.reason == 0x4B for a in refused), "all others are refused by the constraint",
               [a for a in refused if a.reason != 0x4B][:3])
        says = "constraint %d: the number of its objects" % number[0] if bound else \
            "the domain has its %d objects" % (there + 20)
        t.call("one", create((1, 4)))
        tap.ok(t.detail("one") == says, "auditors are told", t.detail("one"))
        tap.ok(t.call("one", create_pair((1, 4))).reason == 0x0C, "a pair is refused")
        tap.ok(t.call("two", create((1, 4))).ok == (kind == "client"), "another client: %s" % kind)
        both = t.call("one", client.destroy(made[0].uid), create((1, 4)), on_error=client.CONTINUE)
        tap.ok([a.ok for a in both] == [True, True], "a batch that makes room has it", both)
        both = t.call("one", client.destroy(both[1].uid), create((1, 4)), create((1, 4)), on_error=client.CONTINUE)
        tap.ok([a.ok for a in both] == [True, True, False], "and no more than that", both)
        tap.ok(t.call("one", client.destroy(made[1].uid)).ok and not t.call("one", create_pair((1, 4))).ok and
               t.call("one", create((1, 4))).ok and not t.call("one", create((1, 4))).ok,
               "who is below again makes one, and not two")
        swap = [a for some in crowd(t, "one", 8, lambda link, i: [
            link.call(client.destroy(made[2 + i].uid)), link.call(create((1, 4)))]) for a in some]
        tap.ok(all(a.ok for a in swap) and t.live("one") == most, "each that makes room finds it", swap)
        t.bounds(more="UPDATE policy.domain SET max_objects = NULL WHERE id = 1")
        tap.ok(t.call("one", create((1, 4))).ok, "without a limit there is none")


# ---- rates ----

def spin(link, seconds):
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        if not link.call(("Query", [item(0x420074, ENUM, 1)])).ok:
            raise RuntimeError("a query failed")
        times.append(time.monotonic())
    return times


def rates(t):
    t.bounds({"client": t.ids["one"], "requests_per_second": 20})
    t.call("one", ("Query", [item(0x420074, ENUM, 1)]))
    began, other = time.monotonic(), []
    aside = threading.Thread(target=lambda: other.extend(crowd(t, "two", 1, lambda link, _: spin(link, 3))[0]))
    aside.start()
    times = sorted(x for some in crowd(t, "one", 8, lambda link, _: spin(link, 3)) for x in some)
    aside.join(30)
    took = times[-1] - began
    tap.ok(0.6 * 20 * took < len(times) <= 20 * took + 2, "8 connections together have 20 requests a second",
           (len(times), took))
    tap.ok(max(sum(x <= y < x + 1 for y in times) for x in times) <= 24, "in each second of it")
    # How fast it is, is the machine's; held back beside them it would have no more than they have.
    tap.ok(len(other) > 2 * len(times), "another client does not notice", (len(other), len(times)))
    t.bounds({"client": t.ids["one"], "requests_per_second": 1})
    t.call("one", ("Query", [item(0x420074, ENUM, 1)]))
    answers = crowd(t, "one", 20, lambda link, _: link.call(("Query", [item(0x420074, ENUM, 1)])))
    busy = [a for a in answers if not a.ok]
    tap.ok(8 <= len(answers) - len(busy) <= 13 and busy, "who would wait for more than ten seconds is told so",
           (len(answers), busy[:2]))
    gone = t.link("one")
    gone.tls.sendall(client.message([("Query", [item(0x420074, ENUM, 1)])]))
    gone.close()
    t.bounds()
    time.sleep(0.5)
    began = time.monotonic()
    tap.ok(t.call("two", create((1, 4))).ok and t.call("one", create((1, 4))) and t.call("one", create((1, 4))).ok,
           "without the constraint nobody is held back")
    tap.ok(time.monotonic() - began < 12, "but for what was asked before", time.monotonic() - began)


# ---- while clients work ----

def meanwhile(t, rounds=20):
    """A constraint holds for each request that begins after it was made, and for none after it is gone."""
    log, stop, trouble = [], threading.Event(), []

    def one():
        try:
            with t.link("one") as link:
                while not stop.is_set():
                    began = time.monotonic()
                    ok = link.call(create((1, 4), length=128)).ok
                    log.append((began, time.monotonic(), ok))
        except OSError as e:
            trouble.append(e)
    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = []
    for i in range(rounds):
        began = time.monotonic()
        t.bounds(*([{"role": t.role, "least_length": 256}] if i % 2 else []))
        said.append((began, time.monotonic(), not i % 2))
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(20)
    wrong, sure = [], 0
    for (_, answered, ok), (begins, _, _) in zip(said, said[1:] + [(time.monotonic(), 0, None)]):
        inside = [x for x in log if x[0] > answered and x[1] < begins]
        sure += len(inside)
        wrong += [x for x in inside if x[2] != ok]
    tap.ok(not trouble and not wrong and sure > rounds, "a constraint holds from the next request on",
           (trouble, wrong[:3], sure))
    tap.note("report %d changes of constraints, %d requests, %d certain" % (rounds, len(log), sure))


def run(state):
    t = Bounded(state, "quotas")
    try:
        for part in (quotas, rates, meanwhile):
            part(t)
    finally:
        t.end()
