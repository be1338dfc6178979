"""The load of a table of actions, and what must be true of it afterwards. Each request carries a correlation value, so
that every answer can be compared with its audit rows, and the rows decide what became of a request that got no answer:
all that they say, or nothing."""
import collections
import concurrent.futures
import math
import os
import random
import threading
import time

import client
import tap
from actions import ACTIONS, MAKERS, NOW, Between, Thing, not_gone

TRY_AGAIN = 0x100  # General Failure: the one refusal that a right request may get
STATUS = {"Success": client.SUCCESS, "Operation Failed": client.FAILED, "Operation Undone": client.UNDONE}
AT_HAND = 6  # things that a loader works on
CHECKERS, CHECKED_AT_ONCE = 4, 25


class Loader(threading.Thread):
    """One connection, one request in flight."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.random = random.Random("%s %d" % (load.seed, number))
        self.things, self.at_hand = [], []
        self.answers = {}    # correlation value: (the Ask's operations, statuses, was it only put off)
        self.doubts = {}     # correlation value: (Ask, between what times it was under way)
        self.refusals = collections.Counter()
        self.closed = 0      # connections refused or ended
        self.wrong, self.slow = [], []
        self.link, self.serial, self.last_ack = None, 0, 0.0

    def new(self):
        thing = Thing("%s-%d-%d" % (self.load.name, self.number, len(self.things)))
        self.things.append(thing)
        return thing

    def choose(self):
        now = self.load.clock()
        self.at_hand = [t for t in self.at_hand if not t.retired]
        if not self.at_hand or len(self.at_hand) < AT_HAND and self.random.random() < 0.4:
            return self.random.choices(MAKERS, [a.weight for a in MAKERS])[0], None
        thing = self.random.choice(self.at_hand)
        rows = [a for a in ACTIONS if a.may and a.may(thing, now)]
        if not not_gone(thing, now) or len(self.at_hand) >= AT_HAND:
            self.at_hand.remove(thing)
        return self.random.choices(rows, [a.weight for a in rows])[0], thing

    def connect(self):
        try:
            self.link = self.load.connect()
        except OSError:
            self.closed += 1
            time.sleep(0.05)
        return self.link

    def step(self):
        if not self.link and not self.connect():
            return
        action, thing = self.choose()
        ask = action.ask(self, thing)
        self.serial += 1
        correlation = "%s-%d-%d" % (self.load.name, self.number, self.serial)
        began = time.monotonic()
        try:
            results = self.link.call(*(i.operation for i in ask.items), version=ask.version,
                                     on_error=ask.on_error, correlation=correlation)
        except OSError as error:
            self.link.close()
            self.link = None
            self.closed += 1
            self.doubts[correlation] = (ask, self.load.span(began))
            for item in ask.items:
                for thing, _ in item.effects:
                    thing.retired = True
            self.tell_slow(began, action, error)
            return
        results = results if isinstance(results, list) else [results]
        self.tell_slow(began, action, results)
        self.take(correlation, ask, results, self.load.span(began))

    def tell_slow(self, began, action, outcome):
        took = time.monotonic() - began
        if took > 3:
            self.slow.append((took, "%s %s after %.1f s: %r" % (time.strftime("%H:%M:%S"), action.name, took, outcome)))

    def take(self, correlation, ask, results, span):
        statuses = [r.status for r in results]
        put_off = all(r.status == client.FAILED and r.reason == TRY_AGAIN for r in results)
        self.answers[correlation] = ([i.operation[0] for i in ask.items], statuses, put_off)
        for item, result in zip(ask.items, results):
            if result.ok:
                self.accept(item, item.uids(result), span)
                self.last_ack = time.monotonic()
                if item.look:
                    item.look(self, item.thing, result)
            elif result.status == client.FAILED and result.reason not in item.fails:
                self.refusals[(item.operation[0], result.reason)] += 1
                if result.reason != TRY_AGAIN:
                    self.wrong.append("%s: %s: %r" % (item.thing, item.operation[0], result))
        failed = [i for i, s in enumerate(statuses) if s == client.FAILED]
        if len(ask.items) > 1 and not put_off:
            shape = {client.UNDO: not failed or client.SUCCESS not in statuses,
                     client.STOP: not failed or failed == [len(statuses) - 1],
                     client.CONTINUE: len(statuses) == len(ask.items)}[ask.on_error]
            if not shape:
                self.wrong.append("%s: a batch with option %d was answered %s" % (correlation, ask.on_error, statuses))
        if put_off:
            time.sleep(0.05)

    def accept(self, item, uids, span):
        """It happened between the two times of the span, to the things with these identifiers."""
        first, last = span
        if item.fails:
            self.wrong.append("%s succeeded, which it must not" % item.operation[0])
            return
        # Nothing is dated before what happened to the thing already, though the clock was set back since.
        around = Between(math.floor(first) - 1, math.ceil(self.load.latest()) + 1)
        for (thing, facts), uid in zip(item.effects, uids):
            thing.facts.update((n, around if v is NOW else v) for n, v in facts.items())
            if not thing.uid:
                thing.uid, thing.maker = uid, item.operation[0]
                self.at_hand.append(thing)
            if facts.get("State") == "PreActive":  # made just now, with dates that may have passed
                thing.facts["State"] = thing.state(first) if thing.state(first) == thing.state(last) else None
                thing.retired |= thing.facts["State"] is None

    def run(self):
        while not self.load.stopping:
            self.step()
            time.sleep(self.load.pace)
        if self.link:
            self.link.close()


class Load:
    """Loaders of one client of its own, and the judgement of what they saw."""

    def __init__(self, state, name, loaders, pace=0, timeout=40, clock=time.time, offsets=lambda since: (0, 0)):
        """pace: seconds between an answer and the next request of a loader; timeout: seconds that a request may take;
        clock: the server's; offsets: between what bounds it was off the true time since then (time.monotonic())."""
        self.state, self.name, self.pace, self.timeout, self.clock = state, name, pace, timeout, clock
        self.offsets = offsets
        self.seed = os.environ.get("HOLDFAST_SEED", "1")
        self.near_dates = True  # also dates that come while the test runs
        self.highest = 0
        self.stopping = False
        folder = os.path.join(state.top, name)
        answer = state.holdfast("client", "add", name, "--out", folder)
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr.decode())
        self.cert, self.key = (os.path.join(folder, f + ".pem") for f in ("cert", "key"))
        self.gaps_before = self.gaps()
        self.loaders = [Loader(self, i) for i in range(loaders)]

    def connect(self):
        return client.Connection(self.state.env, self.cert, self.key, self.timeout)

    def gaps(self):
        """Requests that the server says it refused without an audit row."""
        rows = self.state.psql("SELECT coalesce(sum(substring(detail FROM '^[0-9]+')::bigint), 0) FROM audit.event "
                               "WHERE operation = 'Audit Gap'")
        return int(rows[0][0])

    def start(self):
        for loader in self.loaders:
            loader.start()

    def stop(self):
        self.stopping = True
        for loader in self.loaders:
            loader.join(self.timeout + 20)

    def span(self, began):
        """The earliest and the latest time that the server's clock can have shown since then (time.monotonic()): it may
        have been set back and forth while a request was on its way."""
        low, high = self.offsets(began)
        return time.time() - (time.monotonic() - began) + low, time.time() + high

    def latest(self):
        """The latest time that the server's clock has shown."""
        self.highest = max(self.highest, self.clock())
        return self.highest

    def served_since(self, moment):
        """Whether every loader had a success after this time (time.monotonic())."""
        return all(x.last_ack > moment for x in self.loaders)

    def behind(self, moment):
        return sum(x.last_ack <= moment for x in self.loaders)

    def total(self, what):
        return sum((collections.Counter(getattr(x, what)) for x in self.loaders), collections.Counter())

    def all(self, what):
        return [y for x in self.loaders for y in getattr(x, what)]

    def seen(self):
        """Answers that are a success somewhere, requests put off, requests without an answer: so far."""
        answers = [a for x in self.loaders for a in list(x.answers.values())]
        return (sum(client.SUCCESS in a[1] for a in answers), sum(a[2] for a in answers),
                sum(len(x.doubts) for x in self.loaders))

    # ---- judgement ----

    def audit_rows(self):
        """By correlation value: {position: (operation, status, object)}; and rows that should not be."""
        rows, wrong = {}, []
        for correlation, position, operation, result, uid in self.state.psql(
                "SELECT correlation, position, operation, result, coalesce(object::text, '') FROM audit.event "
                "WHERE client_name = '%s'" % self.name):
            of = rows.setdefault(correlation, {})
            if int(position) in of:
                wrong.append("%s has two audit rows for item %s" % (correlation, position))
            of[int(position)] = (operation, STATUS.get(result), uid)
        return rows, wrong

    def check_answers(self, rows, wrong):
        """Each answer against its rows. How many have none, which only a refusal may."""
        without = 0
        for loader in self.loaders:
            for correlation, (operations, statuses, put_off) in loader.answers.items():
                of = rows.get(correlation)
                if of is None and put_off:
                    without += 1
                    continue
                said = [of[i][:2] for i in sorted(of)] if of else []
                if said != list(zip(operations, statuses)):
                    wrong.append("%s was answered %s, its audit rows say %s" % (correlation, statuses, said))
        return without

    def uid_named(self, name):
        return self.state.psql("SELECT object FROM kmip.name WHERE value = '%s'" % name, role="postgres")[0][0]

    def settle_doubts(self, rows, wrong):
        """What became of requests without an answer: what their rows say. How many happened."""
        happened = 0
        for loader in self.loaders:
            for correlation, (ask, span) in loader.doubts.items():
                of = rows.get(correlation, {})
                happened += bool(of)
                for place, item in enumerate(ask.items):
                    operation, status, uid = of.get(place, (None, None, None))
                    if status == client.SUCCESS:
                        uids = [uid] if len(item.effects) == 1 else [self.uid_named(t.name) for t, _ in item.effects]
                        loader.accept(item, uids, span)
                    if of and operation not in (None, item.operation[0]):
                        wrong.append("%s item %d: audited as %s" % (correlation, place, operation))
        return happened

    def check_batch(self, link, things, wrong):
        """Asks for everything about these things in one request, and compares."""
        asked = [client.locate("always more than one item")]
        for t in things:
            asked += [client.get_attributes(t.uid), client.get(t.uid)] if t.uid else [client.locate(t.name)]
        results = iter(link.call(*asked, on_error=client.CONTINUE)[1:])
        now = self.clock()
        for thing in things:
            shown = next(results)
            if not thing.uid:
                if not shown.ok or shown.uids:
                    wrong.append("%s: never made, Locate finds %r %s" % (thing.name, shown, shown.uids))
                continue
            why = thing.differs(shown.attributes, now) if shown.ok else repr(shown)
            if why:
                wrong.append("%s: %s" % (thing, why))
            got = next(results)
            if not not_gone(thing, now):
                if got.ok:
                    wrong.append("%s: a destroyed key was served" % thing.uid)
            elif not got.ok or thing.facts.get("material", got.material) != got.material:
                wrong.append("%s: key bytes: %r" % (thing.uid, got))

    def check_things(self, things):
        wrong = []

        def part(number):
            link = self.connect()
            for start in range(number * CHECKED_AT_ONCE, len(things), CHECKERS * CHECKED_AT_ONCE):
                self.check_batch(link, things[start:start + CHECKED_AT_ONCE], wrong)
            link.close()

        with concurrent.futures.ThreadPoolExecutor(CHECKERS) as pool:
            list(pool.map(part, range(CHECKERS)))  # list(): an error of a part is ours
        return wrong

    def check_objects(self, things):
        """Objects, their names and material against the rows that made them, in the database itself."""
        wrong = []
        made = {t.uid for t in things if t.uid}
        owned = {r[0] for r in self.state.psql("SELECT o.uid FROM kmip.object o JOIN policy.client c ON c.id = o.owner "
                                               "WHERE c.name = '%s'" % self.name, role="postgres")}
        if made != owned:
            wrong.append("objects that nobody made: %s; made, but not there: %s"
                         % (sorted(owned - made)[:5], sorted(made - owned)[:5]))
        rows = self.state.psql("SELECT object, count(*) FROM audit.event WHERE client_name = '%s' "
                               "AND result = 'Success' AND operation IN ('Create', 'Register') GROUP BY 1" % self.name)
        if {r[0] for r in rows if r[1] == "1"} != {t.uid for t in things if t.maker in ("Create", "Register")}:
            wrong.append("objects and the audit rows that made them differ")
        rows = self.state.psql(
            "SELECT o.uid FROM kmip.object o JOIN policy.client c ON c.id = o.owner "
            "LEFT JOIN kmip.material m USING (uid) WHERE c.name = '%s' "
            "AND (o.state < 5) <> (m.envelope IS NOT NULL)" % self.name, role="postgres")
        wrong += ["%s: state and material do not agree" % r[0] for r in rows]
        return wrong

    def check(self, gaps_are_whole):
        """After stop(), with the server serving again. gaps_are_whole: no worker died that had refusals to tell."""
        online, things = self.all("wrong"), self.all("things")
        tap.ok(not online, "no answer was wrong while it ran", "\n".join(online[:20]))
        rows, wrong = self.audit_rows()
        without = self.check_answers(rows, wrong)
        answered = sum(len(x.answers) for x in self.loaders)
        tap.ok(not wrong, "every answer has its audit rows, and they say the same (%d answers)" % answered,
               "\n".join(wrong[:20]))
        told = self.gaps() - self.gaps_before
        tap.ok(told >= without or not gaps_are_whole,
               "refusals without a row of their own are told in a sum", "%d refused, %d told" % (without, told))
        wrong = []
        happened = self.settle_doubts(rows, wrong)
        wrong += self.check_objects(things)
        unsure = [t for t in things if t.retired]
        sure = [t for t in things if not t.retired and t.uid]
        never = [t for t in things if not t.retired and not t.uid]
        never = random.Random(1).sample(never, min(len(never), 1000))
        wrong += self.check_things(unsure + sure + never)
        tap.ok(not wrong, "every acknowledged fact stands: %d objects, their states, dates, attributes and key bytes"
               % (len(unsure) + len(sure)), "\n".join(wrong[:20]))
        code, answer = self.state.json("audit", "verify")
        tap.ok(code == 0, "the audit chain verifies", str(answer)[:3000])
        again, _ = self.audit_rows()
        late = [c for x in self.loaders for c in x.doubts if again.get(c) and not rows.get(c)]
        wrong = self.check_things(unsure)
        unanswered = sum(len(x.doubts) for x in self.loaders)
        tap.ok(not wrong and not late, "what got no answer happened wholly or not at all, and stays so (%d requests, "
               "%d of them had happened)" % (unanswered, happened), "\n".join(late + wrong[:20]))

    def report(self, label):
        successes, put_off, unanswered = self.seen()
        tap.note("report %s: %d answers with a success, %d requests put off, %d without an answer, %d connections "
                 "refused or ended" % (label, successes, put_off, unanswered, sum(x.closed for x in self.loaders)))
        for _, text in sorted(self.all("slow"), reverse=True)[:3]:
            tap.note("report %s: slow answer: %s" % (label, text[:160]))
