#!/usr/bin/env python3
"""`make bench`: in one run, interleaved, the TLS floor (a libevent echo of the same message sizes that keeps its TLS
sessions in memory) and a private server: Get, Create, Locate, Query and Discover Versions at several numbers of
connections, Get with 16 requests under way on each of 8, full and resumed TLS handshakes, and the memory of idle
connections. Default settings, but one worker, and that one client from one address may make all these connections.
Every answer is verified by the load generator, every request's audit row is counted: as many new rows as answers,
warming up and set-up included. CPU is user and system time a request, that of the server's processes and PostgreSQL,
and the load generator's. At the end, each target with its figure.
Options: --seconds S per measurement (default 4), --rounds N (default 3; the tables show medians), --only PATTERN
(rows by name, as "get *"; may be repeated), --json FILE."""
import argparse
import fnmatch
import json
import os
import statistics
import sys

import bare
from measure import Floor, idle_kib, load, measure, measure_server, server_pids, start

PIPELINE = 16
HELD = 1000
# name of the row: mode, connections, requests under way on each, more options of the generator
ROWS = {"%s %d" % (mode, n): (mode, n, 1, []) for mode in ("get", "create", "locate") for n in (1, 8, 64)}
ROWS.update({"%s %d" % (mode, n): (mode, n, 1, []) for mode in ("query", "discover") for n in (8, 64)})
ROWS["get 8 x %d" % PIPELINE] = ("get", 8, PIPELINE, [])
ROWS["handshake full"] = ("handshake", 8, 1, [])
ROWS["handshake resumed"] = ("handshake", 8, 1, ["--resume"])


def sizes_of(state, mode):
    """Sizes of request and answer as the floor takes them."""
    found = load(state.env, mode, 1, "--seconds", 0.3)
    return [round(found[k] / 8) * 8 for k in ("request_bytes", "answer_bytes")]


def floor_run(state, row, sizes, seconds):
    mode, connections, depth, more = ROWS[row]
    request, answer = sizes.get(mode, (160, 400))
    more = ["--seconds", seconds, "--request-bytes", request, "--answer-bytes", answer, *more]
    if depth > 1:  # the target compares with the unpipelined floor
        connections = 64
    with Floor(state, answer) as floor:
        return measure(floor.env, [floor.process.pid], "handshake" if mode == "handshake" else "canned", connections,
                       *more)


def server_run(state, row, seconds):
    mode, connections, depth, more = ROWS[row]
    result = measure_server(state, mode, connections, "--seconds", seconds, "--depth", depth, *more)
    if mode == "handshake" and not more and result["resumed"]:
        raise SystemExit("bench: %d full handshakes were resumed" % result["resumed"])
    return result


def run(state, names, options):
    sizes = {m: sizes_of(state, m) for m in sorted({ROWS[n][0] for n in names} - {"handshake"})}
    found = {}
    for number in range(options.rounds):
        for name in names:
            base = floor_run(state, name, sizes, options.seconds)
            result = server_run(state, name, options.seconds)
            result["share"] = result["ops_per_s"] / base["ops_per_s"]
            found.setdefault(name, []).append((result, base))
            print("round %d: %s: %.0f/s of %.0f/s" % (number + 1, name, result["ops_per_s"], base["ops_per_s"]),
                  file=sys.stderr)
        for rows in (1, 8):
            bare_run = bare.transactions(state, rows, options.seconds)
            found.setdefault("bare %d" % rows, []).append((bare_run, bare_run))
        sync = {"p50_us": bare.fdatasync_us(state)}
        found.setdefault("fdatasync", []).append((sync, sync))
    return found


def memory(state):
    """KiB of an idle connection: the server's processes, and the floor's. The server is fresh: what earlier
    connections have left would be used again and not be seen."""
    load(state.env, "query", 8, "--count", 64)
    own = idle_kib(state.env, server_pids(state), HELD, "query")
    with Floor(state, 400) as floor:
        load(floor.env, "canned", 8, "--count", 64)
        return own, idle_kib(floor.env, [floor.process.pid], HELD, "canned")


class Figures:
    """Medians by row."""

    def __init__(self, found):
        self.found = found

    def __call__(self, row, key, part=0):
        return statistics.median(pair[part][key] for pair in self.found[row])

    def has(self, *rows):
        return all(r in self.found for r in rows)


def table(figure, names):
    keys = ("ops_per_s", "p50_us", "p99_us", "cpu_us", "client_cpu_us")
    titles = "%9s %7s %7s %7s %7s" % ("ops/s", "p50 us", "p99 us", "CPU us", "client")
    lines = ["%-17s | %s | %s | %6s %6s %9s %6s" % ("", titles, titles.replace("    ops/s", "  floor/s"), "share",
                                                    "CPU x", "rows/ans.", "TLS r.")]
    for name in names:
        parts = ["%9.0f %7.0f %7.0f %7.1f %7.1f" % tuple(figure(name, k, part) for k in keys) for part in (0, 1)]
        more = statistics.median(p[0]["cpu_us"] / p[1]["cpu_us"] if p[1]["cpu_us"] else 0 for p in figure.found[name])
        resumed = statistics.median(p[0]["resumed"] / max(1, p[0]["handshakes"]) for p in figure.found[name])
        lines.append("%-17s | %s | %s | %6.3f %6.1f %9.4f %6.2f" % (
            name, *parts, figure(name, "share"), more, figure(name, "rows_per_answer"), resumed))
    lines.append("bare transaction of 1 row: p50 %.0f, p99 %.0f us; of 8: p50 %.0f, p99 %.0f us; fdatasync %.0f us"
                 % (*(figure("bare %d" % n, k) for n in (1, 8) for k in ("p50_us", "p99_us")),
                    figure("fdatasync", "p50_us")))
    return "\n".join(lines)


def targets(f, idle):
    """(what, figure, wanted, whether more is better) for each target whose rows were measured."""
    pipe = "get 8 x %d" % PIPELINE
    wanted = [
        (("get 64",), "get 64, of the floor", lambda: f("get 64", "share"), lambda: 0.35, True),
        (("get 8",), "get 8, of the floor", lambda: f("get 8", "share"), lambda: 0.20, True),
        (("get 64",), "get 64, p99 us", lambda: f("get 64", "p99_us"), lambda: 4 * f("get 64", "p99_us", 1), False),
        (("get 8",), "get 8, p99 us", lambda: f("get 8", "p99_us"),
         lambda: 2 * (f("get 8", "p99_us", 1) + f("bare 8", "p99_us")), False),
        (("get 1",), "get 1, p99 us", lambda: f("get 1", "p99_us"),
         lambda: 2 * (f("get 1", "p99_us", 1) + f("bare 1", "p99_us")), False),
        (("get 1",), "get 1, p50 us", lambda: f("get 1", "p50_us"),
         lambda: f("get 1", "p50_us", 1) + 4 * f("fdatasync", "p50_us"), False),
        (("get 64",), "get 64, CPU us", lambda: f("get 64", "cpu_us"), lambda: 3 * f("get 64", "cpu_us", 1), False),
        ((pipe,), pipe + ", of the floor at 64", lambda: f(pipe, "share"), lambda: 0.5, True),
        ((pipe, "get 64"), pipe + ", of own get 64", lambda: f(pipe, "ops_per_s") / f("get 64", "ops_per_s"),
         lambda: 1, True),
        (("create 64",), "create 64, p99 us", lambda: f("create 64", "p99_us"), lambda: 2 * f("get 64", "p99_us"),
         False),
        (("handshake full",), "full handshake, of the floor", lambda: f("handshake full", "share"), lambda: 0.9, True),
        (("handshake full", "handshake resumed"), "resumed handshake, of own full",
         lambda: f("handshake resumed", "ops_per_s") / f("handshake full", "ops_per_s"), lambda: 2.5, True)]
    for mode, least in (("locate", 0.7), ("create", 0.5)):
        for n in (8, 64):
            rows = ("%s %d" % (mode, n), "get %d" % n)
            wanted.append((rows, "%s %d, of own get" % (mode, n),
                           lambda rows=rows: f(rows[0], "ops_per_s") / f(rows[1], "ops_per_s"),
                           lambda least=least: least, True))
    for row in ("query 64", "discover 64"):
        wanted.append(((row,), row + ", of the floor", lambda row=row: f(row, "share"), lambda: 0.35, True))
        wanted.append(((row,), row + ", p99 us", lambda row=row: f(row, "p99_us"),
                       lambda row=row: 3 * f(row, "p99_us", 1), False))
    found = [(what, figure(), least(), more) for rows, what, figure, least, more in wanted if f.has(*rows)]
    if idle:
        found.append(("idle connection, KiB", idle[0], 64, False))
        found.append(("idle connection, of the floor's", idle[0] / idle[1], 1.3, False))
    return found


def target_lines(found):
    for what, figure, wanted, more in found:
        met = figure >= wanted if more else figure <= wanted
        yield "%-32s %10.3f   wanted %s %10.3f   %s" % (what, figure, ">=" if more else "<=", wanted,
                                                       "met" if met else "MISSED")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json")
    options = parser.parse_args()
    names = [n for n in ROWS if not options.only or any(fnmatch.fnmatch(n, p) for p in options.only)]
    idle_wanted = not options.only or any(fnmatch.fnmatch("idle", p) for p in options.only)
    if os.geteuid() != 0:
        raise SystemExit("bench: the whole server needs root")
    state = start()
    try:
        idle = memory(state) if idle_wanted else None
        bare.prepare(state)
        found = run(state, names, options)
        figure = Figures(found)
        print("Medians of %d rounds of %g s, %d processors, load generator, server and PostgreSQL on the same machine."
              % (options.rounds, options.seconds, os.cpu_count()))
        print("Each answer verified. CPU a request: server and PostgreSQL (floor: its one process); client: the load"
              " generator's;\nTLS r.: handshakes that resumed. The floor of the pipelined row is the one of 64"
              " connections.")
        print(table(figure, names))
        if idle:
            print("An idle connection of %d takes %.1f KiB (PSS of the server's processes), the floor's %.1f KiB."
                  % (HELD, *idle))
        print("\n".join(target_lines(targets(figure, idle))))
        if options.json:
            with open(options.json, "w", encoding="utf-8") as f:
                json.dump({"rows": found, "idle_kib": idle}, f, indent=1)
    finally:
        state.remove()


main()
