"""SIGKILL of worker, vault, supervisor, PostgreSQL (postmaster, backends), software TPM and of all at once, under
load, many rounds: every acknowledged fact stands and has its audit row; what got no answer happened wholly or not at
all."""
import collections
import os
import random
import time

import support
import tap
import workload

LOADERS = 32
TARGETS = os.environ.get("HOLDFAST_TARGETS", "worker vault postmaster backend swtpm supervisor backend all").split()


def stop_process(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return None
    return pid


def kill_backend(state, chooser):
    pid = support.wait_for(state.committing, 1, 0) or support.wait_for(state.backends, 5)
    if isinstance(pid, list):
        pid = chooser.choice(pid)
    return pid and stop_process(pid)


def kill_worker(state, chooser):
    names = state.workers()
    return state.kill(chooser.choice(names)) if names else None


def kill_postmaster(state, chooser):
    support.wait_for(state.committing, 1, 0)
    return state.kill("postgres")


def kill_all(state, chooser):
    """All of PostgreSQL, too: a child that waits for what a killed one held would outlive its postmaster."""
    pids = [state.pid(n) for n in ["supervisor", "vault", "postgres", "swtpm"] + state.workers()]
    support.wait_for(state.committing, 1, 0)
    return [stop_process(p) for p in pids + list(state.postgres_children()) if p]


KILLS = {"worker": kill_worker, "vault": lambda state, _: state.kill("vault"), "postmaster": kill_postmaster,
         "backend": kill_backend, "swtpm": lambda state, _: state.kill("swtpm"),
         "supervisor": lambda state, _: state.kill("supervisor"), "all": kill_all}


class Unknown:
    """Commits of unknown outcome, from the counters of holdfast status: a supervisor that dies takes its own along."""

    def __init__(self, state):
        self.state, self.before, self.sum, self.told = state, self.read(state), 0, 0

    @staticmethod
    def read(state):
        totals = state.status().get("totals", {})
        return totals.get("unknown", 0), totals.get("unknown_done", 0)

    def add(self):
        now = self.read(self.state)
        self.sum += max(now[0] - self.before[0], 0)
        self.told += max(now[1] - self.before[1], 0)
        self.before = now

    def begin_anew(self):
        self.before = (0, 0)


def rounds_of_kills(state, load, rounds, unknown):
    """Returns what was killed how often, the times until all were served again, and whoever was not."""
    chooser = random.Random(load.seed)
    recovered, killed, stuck = collections.defaultdict(list), collections.Counter(), []
    for number in range(rounds):
        time.sleep(0.1 + chooser.random() * 0.5)
        target = TARGETS[number % len(TARGETS)]
        if target in ("supervisor", "all"):
            unknown.add()
            unknown.begin_anew()
        if not KILLS[target](state, chooser):
            continue
        killed[target] += 1
        at = time.monotonic()
        # Every loader must be answered again, not only those whose worker lived.
        if not support.wait_for(lambda: load.served_since(at), 60, 0.02):
            stuck.append("round %d, %s: %d loaders without a success after 60 s; status %s"
                         % (number, target, load.behind(at), state.status()))
            break
        recovered[target].append(time.monotonic() - at)
    return killed, recovered, stuck


def run(state):
    rounds = int(os.environ.get("HOLDFAST_ROUNDS", "50"))
    load, unknown = workload.Load(state, "kill", LOADERS), Unknown(state)
    load.start()
    killed, recovered, stuck = rounds_of_kills(state, load, rounds, unknown)
    load.stop()
    tap.ok(not stuck, "after each kill all %d connections are served again" % LOADERS,
           "\n".join(stuck) + state.log()[-4000:])
    tap.ok(state.wait_all_open(60), "all workers serve after all rounds", state.status())
    time.sleep(1.1)  # workers tell their counters once a second
    unknown.add()
    successes, _, unanswered = load.seen()
    tap.note("report kill: %d rounds %s; longest until all were served again: %s" % (rounds, dict(killed), ", ".join(
        "%s %.1f s" % (t, max(v)) for t, v in sorted(recovered.items()))))
    tap.note("report kill: %d commits of unknown outcome were resolved, %d of them had happened"
             % (unknown.sum, unknown.told))
    load.report("kill")
    tap.ok(successes > rounds * 50, "the load was real", successes)
    # A short run may hit no COMMIT between its sending and its answer.
    tap.ok(unanswered > 0 and (unknown.sum > 0 or rounds < 20), "requests without an answer and commits of unknown "
           "outcome were met (%d, %d)" % (unanswered, unknown.sum))
    load.check(gaps_are_whole=False)
