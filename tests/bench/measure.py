"""What bench.py and scale.py share: the load generator, the floor, processor time, memory and audit rows."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import support

TICKS = os.sysconf("SC_CLK_TCK")
BENCH = os.path.join(support.BUILD, "tests/bench")

# One client from one address: these would refuse it. And of two processors that load generator and PostgreSQL share
# with the server, one worker has enough. No other setting differs from the default.
SETTINGS = {"server.workers": 1, "limits.address_handshakes": 1000000, "limits.address_burst": 1000000,
            "limits.identity_connections": 4096, "limits.address_connections": 4096}


# Segments of 16 MB: what min_wal_size of the quick start's PostgreSQL keeps.
SEGMENTS = 64


def age(state):
    """As if PostgreSQL had run for some hours: it has the segments of its WAL and uses them again. In a young one each
    16 MB of WAL cost 10 ms more, in which nobody is answered."""
    for _ in range(SEGMENTS):
        state.psql("SELECT pg_logical_emit_message(false, 'bench', 'x'); SELECT pg_switch_wal();", role="postgres")
    state.psql("CHECKPOINT", role="postgres")


def start():
    """A whole server of our own, with these settings until the end."""
    state = support.State()
    answer = state.start()
    if answer.returncode == 0:
        state.set(SETTINGS, restart=True)
        age(state)
        return state
    state.remove()
    raise SystemExit("bench: the server does not start: " + answer.stdout + answer.stderr)


def stat_fields(pid):
    """What follows the name in /proc/PID/stat, or None: it has ended."""
    try:
        with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_us(pids):
    """User and system time so far. A process that has ended counts no more."""
    fields = [f for f in map(stat_fields, pids) if f]
    return sum(int(f[11]) + int(f[12]) for f in fields) * 1000000 // TICKS


def pss_kib(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def server_pids(state):
    pids = [state.pid(n) for n in ("supervisor", "vault", *state.workers())]
    return [p for p in pids if p]


def postgres_pids(state):
    main = state.pid("postgres")
    every = ((int(p), stat_fields(p)) for p in os.listdir("/proc") if p.isdigit())
    return [main] + [pid for pid, fields in every if fields and int(fields[1]) == main]


def all_pids(state):
    return server_pids(state) + postgres_pids(state)


def load_command(env, mode, connections, *more):
    return [os.path.join(BENCH, "load"), "--mode", mode, "--host", env["HOLDFAST_HOST"], "--port",
            env["HOLDFAST_PORT"], "--cert", env["HOLDFAST_CERT"], "--key", env["HOLDFAST_KEY"], "--ca",
            env["HOLDFAST_CA"], "--connections", str(connections), *map(str, more)]


def load(env, mode, connections, *more):
    """One run of the generator, as it reports. Every answer was right, or this ends the program."""
    command = load_command(env, mode, connections, *more)
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        raise SystemExit("bench: %s ended with %d: %s%s" % (" ".join(command), answer.returncode, answer.stdout[-500:],
                                                           answer.stderr[-2000:]))
    return json.loads(answer.stdout)


def measure(env, pids, mode, connections, *more):
    """A run, with the processor time that these processes took for each answer."""
    before = cpu_us(pids)
    result = load(env, mode, connections, *more)
    result["cpu_us"] = (cpu_us(pids) - before) / max(1, result["answers"])
    return result


def rows(state):
    return int(state.psql("SELECT count(*) FROM audit.events")[0][0])


def measure_server(state, mode, connections, *more):
    """As measure(), of a whole server; each answer must have its audit row. A handshake has none."""
    had = rows(state)
    result = measure(state.env, all_pids(state), mode, connections, *more)
    result["rows"] = rows(state) - had
    asked = 0 if mode == "handshake" else result["answers"] + result["setup"]
    result["rows_per_answer"] = result["rows"] / asked if asked else 0
    if result["rows"] < asked - result["refused"]:
        raise SystemExit("bench: %d answers of %s and only %d audit rows" % (asked, mode, result["rows"]))
    if result["rows"] != asked:  # refusals share a row; an answer may come after the end
        print("%s: %d answers, %d of them refused, %d audit rows" % (mode, asked, result["refused"], result["rows"]),
              file=sys.stderr)
    return result


class Floor:
    """The echo server for one size of messages. It keeps TLS sessions in memory, as the server does."""

    def __init__(self, state, answer_bytes):
        self.env = dict(state.env)
        self.process = subprocess.Popen(
            [os.path.join(BENCH, "tls_floor"), "--cert", os.path.join(state.dir, "etc/server.pem"), "--key",
             os.path.join(state.dir, "etc/server.key"), "--ca", os.path.join(state.dir, "ca/ca.pem"),
             "--answer-bytes", str(answer_bytes)], stdout=subprocess.PIPE, text=True)
        self.env["HOLDFAST_PORT"] = self.process.stdout.readline().split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


class Held:
    """Idle connections, each of which was answered once."""

    def __init__(self, env, mode, connections, *more):
        self.process = subprocess.Popen(load_command(env, mode, connections, "--hold", *more), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if line != "held %d\n" % connections:
            raise SystemExit("bench: not all connections are held: " + line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate("")


def idle_kib(env, pids, connections, mode, *more):
    """Memory that one idle connection takes, over all these processes."""
    before = pss_kib(pids)
    with Held(env, mode, connections, *more):
        return (pss_kib(pids) - before) / connections
