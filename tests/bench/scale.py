#!/usr/bin/env python3
"""`make bench-scale`: Get, Locate by name and Create with many objects stored against few, interleaved, each on a
server of its own. All objects are made by the server itself, by Create with a name, many requests under way; what is
fetched and located are keys chosen at random among all of them, the same number of both stores, and each must be the
same key again. After each Create the small store loses what was created. It takes some minutes and about 3 GB of disk
for a million objects.
Options: --objects N (default 1000000) and --few N (default 1000), --keys N (keys that are asked for, as far as there
are so many; default 1000: more of them measure the memory of the machine as well), --connections N (default 64),
--seconds S per measurement (default 4), --rounds N (default 5; the table shows medians), --json FILE."""
import argparse
import json
import os
import statistics
import sys
import time

from measure import load, measure_server, start, support

MODES = ("get", "locate", "create")
LEAST = 0.9  # of the rate with few, and of the speed of the slowest hundredth
NAME = "scale"


class Store:
    """A server with this many objects."""

    def __init__(self, objects, keys):
        self.objects = objects
        self.state = start()
        self.known = os.path.join(self.state.top, "known")
        began = time.monotonic()
        load(self.state.env, "create", 8, "--depth", 16, "--count", objects, "--named", "--name", NAME)
        print("%d objects made in %.0f s" % (objects, time.monotonic() - began), file=sys.stderr)
        self.first = self.one("SELECT max(uid::text) FROM kmip.object")
        self.choose(min(keys, objects))
        self.settle()

    def psql(self, sql):
        return self.state.psql(sql, role="postgres")

    def one(self, sql):
        return self.psql(sql)[0][0]

    def choose(self, keys):
        rows = self.psql("SELECT object, value FROM kmip.name ORDER BY random() LIMIT %d" % keys)
        with open(self.known, "w", encoding="ascii") as f:
            f.writelines("%s %s\n" % tuple(r) for r in rows)
        # The first Get of a key changes it: it is fresh no more.
        load(self.state.env, "get", 8, "--depth", 16, "--known", self.known, "--count", keys)

    def settle(self):
        """As after a quiet night: no vacuum and no checkpoint is due."""
        self.psql("VACUUM ANALYZE")
        self.psql("CHECKPOINT")

    def count(self):
        return int(self.one("SELECT count(*) FROM kmip.object"))

    def shrink(self):
        """Only the objects of the beginning stay. Nothing that Holdfast itself may do."""
        for table, column in (("name", "object"), ("material", "uid"), ("object", "uid")):
            self.psql("DELETE FROM kmip.%s WHERE %s > '%s'" % (table, column, self.first))
        self.settle()

    def measure(self, mode, options):
        more = ["--name", "more-%d" % time.time()] if mode == "create" else ["--known", self.known]
        more += ["--named"] if mode == "create" else []
        return measure_server(self.state, mode, options.connections, "--seconds", options.seconds, *more)


def run(few, many, options):
    found = {}
    for mode in MODES:
        for number in range(options.rounds):
            order = (few, many) if number % 2 == 0 else (many, few)
            pair = {store: store.measure(mode, options) for store in order}
            found.setdefault(mode, []).append((pair[few], pair[many]))
            print("round %d: %s: %.0f/s with few, %.0f/s with many"
                  % (number + 1, mode, pair[few]["ops_per_s"], pair[many]["ops_per_s"]), file=sys.stderr)
            if mode == "create":
                few.shrink()
    return found


def table(found):
    titles = "%9s %7s %7s %7s" % ("ops/s", "p50 us", "p99 us", "CPU us")
    yield "%-7s | %s | %s | %6s %6s %6s" % ("", titles.replace("   ops/s", "with few"),
                                           titles.replace("   ops/s", "and many"), "rate", "1/p99", "CPU")
    for mode, pairs in found.items():
        keys = ("ops_per_s", "p50_us", "p99_us", "cpu_us")
        few, many = ([statistics.median(p[part][k] for p in pairs) for k in keys] for part in (0, 1))
        rate = statistics.median(p[1]["ops_per_s"] / p[0]["ops_per_s"] for p in pairs)
        slow = statistics.median(p[0]["p99_us"] / p[1]["p99_us"] for p in pairs)
        cpu = statistics.median(p[0]["cpu_us"] / p[1]["cpu_us"] for p in pairs)
        yield "%-7s | %9.0f %7.0f %7.0f %7.1f | %9.0f %7.0f %7.0f %7.1f | %6.3f %6.3f %6.3f   %s" % (
            mode, *few, *many, rate, slow, cpu,
            "met" if rate >= LEAST and slow >= LEAST else "MISSED: wanted >= %.1f" % LEAST)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1000000)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench-scale: the whole server needs root")
    stores = []
    try:
        for objects in (options.few, options.objects):
            stores.append(Store(objects, options.keys))
        few, many = stores
        had = few.count(), many.count()
        found = run(few, many, options)
        print("Medians of %d rounds of %g s at %d connections; %d objects against %d, of which up to %d are asked for."
              % (options.rounds, options.seconds, options.connections, had[1], had[0], options.keys))
        print("\n".join(table(found)))
        if options.json:
            with open(options.json, "w", encoding="utf-8") as f:
                json.dump({"objects": had, "rows": found}, f, indent=1)
    finally:
        for store in stores:
            store.state.remove()


main()
