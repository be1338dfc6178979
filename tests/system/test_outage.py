"""A full disk, a frozen database, a frozen TPM, under load: each answer is right, a clear error or a close; nothing
acknowledged is lost, no live key is called missing, and the server heals without a hand once the trouble is over."""
import os
import shutil
import signal
import subprocess
import threading
import time

import support
import tap
import workload

LOADERS = 8
HEALED_IN = 30  # seconds, at most
GROWN_KIB = 8192  # resident memory of a process, at most
MIB = 1 << 20


class Seen:
    """What the load saw between two moments."""

    def __init__(self, load):
        self.load, self.before = load, self.now(load)

    @staticmethod
    def now(load):
        return load.seen() + (sum(x.closed for x in load.loaders),)

    def since(self):
        return [b - a for a, b in zip(self.before, self.now(self.load))]


def episode(state, load, sentence, hold, begin, end):
    """Breaks something for `hold` seconds under load. Successes, put off, without an answer, closed meanwhile."""
    support.wait_for(lambda at=time.monotonic(): load.served_since(at), 30, 0.02)
    workers, seen = [state.pid(n) for n in state.workers()], Seen(load)
    begin()
    time.sleep(hold)
    met = seen.since()
    end()
    at = time.monotonic()
    healed = support.wait_for(lambda: load.served_since(at), 60, 0.02)
    took = time.monotonic() - at
    tap.ok(healed and took <= HEALED_IN, "%s: heals by itself" % sentence,
           "%d loaders without a success after %.1f s; %s\n%s"
           % (load.behind(at), took, state.status(), state.log()[-3000:]))
    tap.note("report %s for %d s: %d successes, %d put off, %d without an answer, %d connections refused or ended; all "
             "served again %.1f s after its end" % (sentence, hold, *met, took))
    tap.ok([state.pid(n) for n in state.workers()] == workers, "and no worker died of it", state.log()[-3000:])
    return met


# ---- disk full ----

class SmallDisks:
    """The cluster on two small file systems, one for its data and one for its log, that a filler makes full."""

    def __init__(self, state):
        self.state = state
        self.cluster = state.psql("SHOW data_directory", role="postgres")[0][0]
        self.kept = self.cluster + ".kept"
        self.wal = os.path.join(self.cluster, "pg_wal")
        self.mounts = []
        self.thread, self.mended = None, threading.Event()

    def mount(self, where, room):
        command = ["mount", "-t", "tmpfs", "-o", "size=%d,mode=700" % room, "tmpfs", where]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            self.mounts.append(where)
            shutil.chown(where, "postgres", "postgres")
        return done.returncode == 0

    def copy(self, start, end):
        subprocess.run(["cp", "-a", start + "/.", end], check=True)

    def drop_spare(self, current):
        """Segments that PostgreSQL, now stopped, keeps to be used again: their names are those of a time to come. The
        one it stopped in, after `current`, stays, and the next one."""
        names = sorted(n for n in os.listdir(self.wal) if len(n) == 24 and n > current)
        for name in names[2:]:
            os.remove(os.path.join(self.wal, name))

    def set_up(self):
        """False where this machine lets nobody mount."""
        # A log that a small file system holds.
        for setting in ("max_wal_size = '64MB'", "min_wal_size = '32MB'"):
            self.state.psql("ALTER SYSTEM SET " + setting, role="postgres")
        current = self.state.psql("SELECT pg_walfile_name(pg_switch_wal())", role="postgres")[0][0]
        self.state.stop_one("postgres")
        self.drop_spare(current)
        size = int(subprocess.run(["du", "-sb", self.cluster], capture_output=True, check=True).stdout.split()[0])
        os.rename(self.cluster, self.kept)
        os.mkdir(self.cluster, 0o700)
        shutil.chown(self.cluster, "postgres", "postgres")
        good = self.mount(self.cluster, size + 400 * MIB)
        if good:
            os.mkdir(self.wal)
            good = self.mount(self.wal, 256 * MIB)
            self.copy(self.kept, self.cluster)
        else:
            os.rmdir(self.cluster)
            os.rename(self.kept, self.cluster)
        self.state.start_one("postgres")
        return good

    def take_down(self):
        """The cluster goes back to where it was, with all that was written since."""
        if not self.mounts:
            return
        self.state.stop_one("postgres")
        for name in os.listdir(self.kept):
            path = os.path.join(self.kept, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        for where in (self.cluster, self.wal):
            self.empty(where)
        self.copy(self.cluster, self.kept)
        for where in reversed(self.mounts):
            subprocess.run(["umount", "-l", where], check=True)
        os.rmdir(self.cluster)
        os.rename(self.kept, self.cluster)
        self.state.start_one("postgres")

    @staticmethod
    def filler(where):
        return os.path.join(where, "filler")

    def fill(self, where):
        """Until not one page more fits."""
        fd = os.open(self.filler(where), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for piece in (MIB, 4096):
            try:
                while True:
                    os.write(fd, b"\0" * piece)
            except OSError:
                pass
        os.close(fd)

    def keep_full(self, where):
        """Whatever PostgreSQL gives back is taken, and what its log has set aside is used up."""
        while not self.mended.is_set():
            self.fill(where)
            try:
                if where == self.wal:
                    self.state.psql("SELECT pg_switch_wal()", role="postgres")
            except RuntimeError:
                pass  # full
            time.sleep(0.05)

    def use_up(self, where):
        self.fill(where)
        self.mended.clear()
        self.thread = threading.Thread(target=self.keep_full, args=(where,), daemon=True)
        self.thread.start()

    def empty(self, where):
        self.mended.set()
        if self.thread:
            self.thread.join()
        if os.path.exists(self.filler(where)):
            os.remove(self.filler(where))


def log_size(state):
    return len(state.log("postgres"))


def disk_full(state, load):
    disks = SmallDisks(state)
    try:
        if not disks.set_up():
            tap.skip("disk full", "this machine lets nobody mount a small file system")
            return
        for where, what in ((disks.cluster, "the database's disk full"),
                            (disks.wal, "the disk of the database's log full")):
            told = log_size(state)
            met = episode(state, load, what, 8, lambda w=where: disks.use_up(w), lambda w=where: disks.empty(w))
            log = state.log("postgres")[told:]
            tap.ok("No space left on device" in log and met[1] + met[3] > 0, "and it was felt", log[-2000:] + str(met))
    finally:
        disks.take_down()


# ---- frozen ----

def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def freeze(state, load, sentence, hold, pids):
    return episode(state, load, sentence, hold, lambda: signal_all(pids, signal.SIGSTOP),
                   lambda: signal_all(pids, signal.SIGCONT))


def freeze_commits(state, load, sentence, hold):
    """Backends frozen one by one, each in its COMMIT: it holds the head of the audit stream."""
    frozen = []

    def begin():
        for _ in state.workers():
            pid = support.wait_for(lambda: state.committing(but=frozen), 5, 0)
            if pid:
                signal_all([pid], signal.SIGSTOP)
                frozen.append(pid)

    met = episode(state, load, sentence, hold, begin, lambda: signal_all(frozen, signal.SIGCONT))
    return met, frozen


def database_frozen(state, load):
    met = freeze(state, load, "PostgreSQL's backends frozen, shorter than its deadline", 3, state.backends())
    tap.ok(met[1:] == [0, 0, 0], "requests just wait for it", met)
    freeze(state, load, "PostgreSQL's backends frozen for long", 15, state.backends())
    met, frozen = freeze_commits(state, load, "PostgreSQL's backends frozen in their COMMIT", 20)
    tap.ok(len(frozen) == len(state.workers()), "each worker's commit was met", (met, frozen))
    pids = [state.pid("postgres"), *state.postgres_children()]
    met = freeze(state, load, "all of PostgreSQL frozen", 12, pids)
    tap.ok(met[1] + met[3] > 0, "requests are put off or closed", met)


def tpm_frozen(state, load):
    tpm = [state.pid("swtpm")]
    met = freeze(state, load, "the TPM frozen", 24, tpm)
    tap.ok(met[0] > 0 and met[1:] == [0, 0, 0], "open keys are served without it", met)

    def begin():
        signal_all(tpm, signal.SIGSTOP)
        state.kill("vault")

    met = episode(state, load, "the TPM frozen and the vault killed", 8, begin, lambda: signal_all(tpm, signal.SIGCONT))
    tap.ok(met[1] > 0, "keys that are not open are refused with a clear error", met)


def sizes(state):
    """Descriptors, and resident memory in KiB, of each process that lives on."""
    found = {}
    for name in ["supervisor"] + state.workers():
        pid = state.pid(name)
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as f:
            memory = next(int(x.split()[1]) for x in f if x.startswith("VmRSS:"))
        found[name] = (len(os.listdir("/proc/%d/fd" % pid)), memory)
    return found


def run(state):
    load = workload.Load(state, "outage", LOADERS, pace=0.03)
    before = sizes(state)
    load.start()
    database_frozen(state, load)
    tpm_frozen(state, load)
    disk_full(state, load)
    load.stop()
    tap.ok(state.wait_all_open(60), "all workers serve after all of it", state.status())
    load.report("outages")
    after = sizes(state)
    tap.ok(all(after[n][0] <= before[n][0] for n in before), "descriptors are as many as before", (before, after))
    if not state.sanitized:  # a sanitizer keeps what was freed
        tap.ok(all(after[n][1] <= before[n][1] + GROWN_KIB for n in before), "memory has not grown", (before, after))
    tap.note("report outages: descriptors and KiB of memory before %s, after %s" % (before, after))
    load.check(gaps_are_whole=True)
