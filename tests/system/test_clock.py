"""The clock of the server and of PostgreSQL is set forwards and backwards under load. What was done stays done,
whatever the clock says afterwards; a certificate that is not valid at that time gets nothing; all heals when the clock
is right.

The machine's clock is not touched: a library of ours is preloaded (tests/support/clock_shift.c), whose offset lies in a
mapped file. libfaketime would open its file again and again, which the sandbox forbids, and time namespaces do not
cover the wall clock. The server gives its children no environment of its own, so they start through a wrapper."""
import os
import struct
import time

import client
import support
import tap
import workload

LOADERS = 8
HOUR, DAY, YEAR = 3600, 86400, 365 * 86400
HEALED_IN = 30
SHIFT = os.path.join(support.BUILD, "tests/support/clock_shift.so")


class Clock:
    """The wall clock of the server's processes, and of PostgreSQL's."""

    def __init__(self, state):
        self.state, self.offset = state, 0
        self.past = []  # (time.monotonic() at its end, offset)
        self.path = os.path.join(state.top, "clock.offset")
        self.env = {"LD_PRELOAD": SHIFT, "HOLDFAST_CLOCK": self.path,
                    # A sanitizer wants to be the first library; ours may stand before it.
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        with open(self.path, "wb") as f:
            f.write(struct.pack("=q", 0))

    def set(self, offset):
        old = self.offset
        with open(self.path, "r+b") as f:
            f.write(struct.pack("=q", offset))
        self.offset = offset
        self.past.append((time.monotonic(), old))

    def offsets(self, since):
        """The smallest and the largest offset since then (time.monotonic())."""
        met = [self.offset] + [offset for until, offset in self.past if until >= since]
        return min(met), max(met)

    def now(self):
        return time.time() + self.offset

    def wrappers(self):
        folder = os.path.join(self.state.top, "wrapped")
        os.mkdir(folder)
        for name in ("holdfast-worker", "holdfast-vault"):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="ascii") as f:
                f.write("#!/bin/sh\nexport LD_PRELOAD=%s HOLDFAST_CLOCK=%s\nexec %s/%s \"$@\"\n"
                        % (SHIFT, self.path, support.MAIN, name))
            os.chmod(path, 0o755)
        return folder

    def start(self):
        for name in ("holdfastd", "postgres"):
            self.state.stop_one(name)
        self.commands = dict(self.state.saved)
        self.state.start_one("postgres", self.env)
        self.state.start_one("holdfastd", self.env, ["--libexec-dir", self.wrappers()])

    def end(self):
        """As it was before start()."""
        for name in ("holdfastd", "postgres"):
            self.state.stop_one(name)
        self.state.saved.update(self.commands)
        for name in ("postgres", "holdfastd"):
            self.state.start_one(name)

    def is_gone(self):
        """Whether no process has the library any more."""
        for name in ["postgres", "supervisor", "vault"] + self.state.workers():
            with open("/proc/%d/maps" % self.state.pid(name), encoding="utf-8") as f:
                if SHIFT in f.read():
                    return False
        return True


def move(state, clock, load, offset, sentence, stay=2):
    load.latest()
    clock.set(offset)
    at = time.monotonic()
    good = support.wait_for(lambda: load.served_since(at), 60, 0.02)
    took = time.monotonic() - at
    tap.ok(good and took <= HEALED_IN, "the clock %s: all are served" % sentence,
           "%d loaders without a success after %.1f s; %s\n%s"
           % (load.behind(at), took, state.status(), state.log()[-3000:]))
    tap.note("report the clock %s: all were served again after %.1f s" % (sentence, took))
    time.sleep(stay)


def out_of_time(state, clock, load, offset, sentence):
    """A clock at which no certificate is valid: nobody is let in, until it is right again."""
    before = clock.offset
    clock.set(offset)
    link = None
    try:
        link = load.connect()
        answer = link.call(client.create())
    except OSError as error:
        answer = error
    tap.ok(isinstance(answer, OSError), "the clock %s: nobody is let in" % sentence, answer)
    move(state, clock, load, before, "right again after that", 1)


def told_time(state, clock):
    """The server's own idea of the time."""
    rows = state.psql("SELECT extract(epoch FROM max(at))::bigint - %d FROM audit.event "
                      "WHERE client_name = 'clock' AND seq > 1" % clock.now())
    return abs(int(rows[0][0]))


def run(state):
    clock = Clock(state)
    clock.start()
    tap.ok(state.wait_all_open(60), "the server starts on a clock that can be moved", state.status())
    load = workload.Load(state, "clock", LOADERS, pace=0.03, clock=clock.now, offsets=clock.offsets)
    load.near_dates = False
    load.start()
    move(state, clock, load, 2 * HOUR, "two hours forwards")
    tap.ok(told_time(state, clock) < 10, "it is the server's clock that moved", told_time(state, clock))
    move(state, clock, load, HOUR, "an hour backwards")
    move(state, clock, load, 2 * DAY, "two days forwards")
    pace, load.pace = load.pace, 0
    for i in range(300):  # so often that requests are met between their steps
        load.latest()
        clock.set(2 * DAY - i * 10)
        time.sleep(0.01)
    load.pace = pace
    move(state, clock, load, DAY, "a day backwards, after 300 small steps")
    # Before the dates of the load's objects, which are ten years away: who is inside already may meet this clock.
    out_of_time(state, clock, load, 5 * YEAR, "five years forwards")
    out_of_time(state, clock, load, -DAY, "a day before its beginning")
    move(state, clock, load, 30, "back to about the true time")
    load.stop()
    tap.ok(state.wait_all_open(60), "all workers serve after all of it", state.status())
    load.report("clock")
    load.check(gaps_are_whole=True)
    clock.end()
    tap.ok(state.wait_all_open(60) and clock.is_gone(), "the server serves on the true clock", state.status())
