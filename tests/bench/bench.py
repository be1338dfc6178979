#!/usr/bin/env python3
"""`make bench`: in one run, interleaved, the TLS floor (an echo of the same message sizes) and Get, Create and
Locate at 1, 8 and 64 connections against a private server with default settings. Every answer is verified by the
load generator, every request's audit row is counted: as many new rows as answers, warming up and set-up included.
CPU is user and system time a request, that of the server's processes and PostgreSQL, and the load generator's.
Options: --seconds S per measurement (default 4), --rounds N (default 3; the table shows medians), --json FILE."""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import support

MODES = ("get", "create", "locate")
CONNECTIONS = (1, 8, 64)
TICKS = os.sysconf("SC_CLK_TCK")
BENCH = os.path.join(support.BUILD, "tests/bench")


def cpu_us(pids):
    """User and system time so far. A process that has ended counts no more."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total * 1000000 // TICKS


def server_pids(state):
    pids = [state.pid(n) for n in ("supervisor", "vault", *state.workers())]
    return [p for p in pids if p]


def postgres_pids(state):
    main = state.pid("postgres")
    pids = [main]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as f:
                if int(f.read().rpartition(")")[2].split()[1]) == main:
                    pids.append(int(pid))
        except OSError:
            continue
    return pids


def load(env, mode, connections, seconds, *more):
    command = [os.path.join(BENCH, "load"), "--mode", mode, "--host", env["HOLDFAST_HOST"], "--port",
               env["HOLDFAST_PORT"], "--cert", env["HOLDFAST_CERT"], "--key", env["HOLDFAST_KEY"], "--ca",
               env["HOLDFAST_CA"], "--connections", str(connections), "--seconds", str(seconds), *more]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 120)
    if answer.returncode != 0:
        raise SystemExit("bench: %s ended with %d: %s%s" % (" ".join(command), answer.returncode, answer.stdout[-500:],
                                                           answer.stderr[-2000:]))
    return json.loads(answer.stdout)


class Floor:
    """The echo server for one size of messages."""

    def __init__(self, state, answer_bytes):
        self.env = dict(state.env)
        self.process = subprocess.Popen(
            [os.path.join(BENCH, "tls_floor"), "--cert", os.path.join(state.dir, "etc/server.pem"), "--key",
             os.path.join(state.dir, "etc/server.key"), "--ca", os.path.join(state.dir, "ca/ca.pem"),
             "--answer-bytes", str(answer_bytes)], stdout=subprocess.PIPE, text=True)
        self.env["HOLDFAST_PORT"] = self.process.stdout.readline().split()[1]

    def stop(self):
        self.process.terminate()
        self.process.communicate()


def rows(state):
    return int(state.psql("SELECT count(*) FROM audit.events")[0][0])


def measure(state, env, mode, connections, seconds, pids, *more):
    before = cpu_us(pids)
    result = load(env, mode, connections, seconds, *more)
    result["cpu_us"] = (cpu_us(pids) - before) / max(1, result["answers"])
    return result


def run(state, options):
    sizes = {}
    for mode in MODES:
        sizes[mode] = load(state.env, mode, 1, 0.3)
    found = {}
    for number in range(options.rounds):
        for connections in CONNECTIONS:
            for mode in MODES:
                request, answer = (round(sizes[mode][k] / 8) * 8 for k in ("request_bytes", "answer_bytes"))
                floor = Floor(state, answer)
                base = measure(state, floor.env, "canned", connections, options.seconds, [floor.process.pid],
                               "--request-bytes", str(request), "--answer-bytes", str(answer))
                floor.stop()
                had = rows(state)
                pids = server_pids(state) + postgres_pids(state)
                result = measure(state, state.env, mode, connections, options.seconds, pids)
                result["rows"] = rows(state) - had
                asked = result["answers"] + result["setup"]
                result["rows_per_answer"] = result["rows"] / asked
                if result["rows"] < asked - result["refused"]:
                    raise SystemExit("bench: %d answers of %s and only %d audit rows" % (asked, mode, result["rows"]))
                if result["rows"] != asked:  # refusals share a row; an answer may come after the end
                    print("%s: %d answers, %d of them refused, %d audit rows"
                          % (mode, asked, result["refused"], result["rows"]), file=sys.stderr)
                if result.get("wrong"):
                    raise SystemExit("bench: %d wrong answers of %s" % (result["wrong"], mode))
                result["share"] = result["ops_per_s"] / base["ops_per_s"]
                found.setdefault((mode, connections), []).append((result, base))
                print("round %d: %s, %d connections: %.0f/s of %.0f/s" % (number + 1, mode, connections,
                      result["ops_per_s"], base["ops_per_s"]), file=sys.stderr)
    return found


def table(found):
    median = lambda pairs, part, key: statistics.median(p[part][key] for p in pairs)
    keys = ("ops_per_s", "p50_us", "p99_us", "cpu_us", "client_cpu_us")
    titles = "%9s %7s %7s %7s %7s" % ("ops/s", "p50 us", "p99 us", "CPU us", "client")
    lines = ["%-13s | %s | %s | %6s %6s %9s" % ("", titles, titles.replace("    ops/s", "  floor/s"), "share", "CPU x",
                                                "rows/ans.")]
    for mode in MODES:
        for connections in CONNECTIONS:
            pairs = found[mode, connections]
            parts = ["%9.0f %7.0f %7.0f %7.1f %7.1f" % tuple(median(pairs, part, k) for k in keys) for part in (0, 1)]
            more = statistics.median(p[0]["cpu_us"] / p[1]["cpu_us"] if p[1]["cpu_us"] else 0 for p in pairs)
            lines.append("%-7s %5d | %s | %s | %6.3f %6.1f %9.4f" % (
                mode, connections, *parts, median(pairs, 0, "share"), more, median(pairs, 0, "rows_per_answer")))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench: the whole server needs root")
    state = support.State()
    try:
        answer = state.start()
        if answer.returncode != 0:
            raise SystemExit(answer.stdout + answer.stderr)
        found = run(state, options)
        print("Medians of %d rounds of %g s, %d processors, load generator, server and PostgreSQL on the same machine."
              % (options.rounds, options.seconds, os.cpu_count()))
        print("Default settings; each answer verified. CPU a request: server and PostgreSQL (floor: its one process);"
              " client: the load generator's.")
        print(table(found))
        if options.json:
            with open(options.json, "w", encoding="utf-8") as f:
                json.dump([{"mode": m, "connections": c, "rounds": r} for (m, c), r in found.items()], f, indent=1)
    finally:
        state.remove()


main()
