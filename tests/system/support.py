"""A whole Holdfast of the test's own: started by deploy/quickstart from the build under test, with its own
PostgreSQL, software TPM, CA and port; stopped and removed at the end. Needs root."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "checks"))
SRC = os.path.abspath(os.environ.get("HOLDFAST_SRC", os.path.join(HERE, "../..")))
BUILD = os.path.abspath(os.environ.get("HOLDFAST_BUILD", SRC))
MAIN = os.path.join(BUILD, "server/main")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds, pause=0.05):
    """The condition's first true value, or None."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            return None
        time.sleep(pause)


# What a sanitizer writes, of any process that writes into a log.
SANITIZER = re.compile(r"ERROR: (?:Address|Leak|Thread|Memory)Sanitizer|Sanitizer:DEADLYSIGNAL|: runtime error: ")


def sanitizer_reports(text, lines=25):
    """The reports in a text, each with the lines that follow it."""
    all_lines = text.splitlines()
    return ["\n".join(all_lines[i:i + lines]) for i, line in enumerate(all_lines) if SANITIZER.search(line)]


def without(text, options):
    """A configuration without these options, {"section.name": value}: each may stand there once."""
    kept, section = [], ""
    for line in text.splitlines(True):
        section = line.strip(" []\n") if line.startswith("[") else section
        if "%s.%s" % (section, line.split("=")[0].strip()) not in options:
            kept.append(line)
    return "".join(kept)


class State:
    def __init__(self, beside=None, name="s"):
        """`beside`: another state, in whose folder this one lies."""
        self.reports = beside.reports if beside else []
        self.beside = beside
        self.top = beside.top if beside else tempfile.mkdtemp(prefix="holdfast-test-")
        os.chmod(self.top, 0o755)
        self.dir = os.path.join(self.top, name)
        self.port = free_port()
        self.env = {}

    def quickstart(self, *options):
        return subprocess.run([os.path.join(SRC, "deploy/quickstart"), "--state", self.dir, *options],
                              capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)

    def start(self, *options):
        answer = self.quickstart("--port", str(self.port), "--no-demo", "--build", BUILD, *options)
        if answer.returncode == 0:
            self.read_env()
        return answer

    def read_env(self):
        out = subprocess.run(["bash", "-c", "set -a; . '%s/env'; env -0" % self.dir], capture_output=True, check=True,
                             env={"PATH": os.environ["PATH"]})
        pairs = dict(p.split("=", 1) for p in out.stdout.decode().split("\0") if "=" in p)
        self.env = {k: v for k, v in pairs.items() if k.startswith(("HOLDFAST_", "PG"))}

    def stop_and_look(self):
        """Stops all, so that leaks are told too. The sanitizers' reports of daemons and commands."""
        self.quickstart("--stop")
        for where, _, names in os.walk(os.path.join(os.path.realpath(self.dir), "log")):
            for name in names:
                with open(os.path.join(where, name), encoding="utf-8", errors="replace") as f:
                    self.reports += sanitizer_reports(f.read())
        return self.reports

    @property
    def sanitized(self):
        with open(os.path.join(BUILD, "config.h"), encoding="ascii", errors="replace") as f:
            return "#define HF_SANITIZERS" in f.read()

    def remove(self):
        answer = self.quickstart("--remove")
        if not self.beside:
            shutil.rmtree(self.top, ignore_errors=True)
        return answer

    # ---- commands ----
    @property
    def conf(self):
        return os.path.join(self.dir, "etc/holdfast.conf")

    def holdfast(self, *args, env=None, input=None):
        """The holdfast command as the first client and as the administrator of this state."""
        full = {"PATH": os.environ["PATH"], **self.env, "HOLDFAST_CONFIG": self.conf, **(env or {})}
        answer = subprocess.run([os.path.join(MAIN, "holdfast"), *args], capture_output=True, env=full, timeout=180,
                                input=input, stdin=subprocess.DEVNULL if input is None else None)
        self.reports += sanitizer_reports(answer.stderr.decode(errors="replace"))
        return answer

    def json(self, *args, env=None):
        answer = self.holdfast(*args, "--json", env=env)
        text = answer.stdout or answer.stderr
        try:
            return answer.returncode, json.loads(text)
        except ValueError:
            return answer.returncode, {"error": text.decode(errors="replace")}

    def psql(self, sql, role="holdfast_auditor"):
        """Rows as lists of text. Raises with PostgreSQL's message."""
        answer = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-v", "ON_ERROR_STOP=1",
                                 "-U", role, "-f", "-"], input=sql, capture_output=True, text=True,
                                env={"PATH": os.environ["PATH"], **self.env}, timeout=180)
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr.strip())
        text = answer.stdout.rstrip("\n").rstrip("\x1e")
        return [r.split("\x1f") for r in text.split("\x1e")] if text else []

    # ---- processes ----
    def pid(self, name):
        try:
            with open(os.path.join(self.env["HOLDFAST_RUN"], name), encoding="ascii") as f:
                return int(f.read().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def workers(self):
        names = os.listdir(self.env["HOLDFAST_RUN"])
        return sorted(n for n in names if n.startswith("worker-"))

    def kill(self, name, sig=signal.SIGKILL):
        """Signals a process by the name of its pid file. Returns its pid, None where there is none."""
        pid = self.pid(name)
        if pid:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                return None
        return pid

    def postgres_children(self):
        """Pid and title of each child of the postmaster."""
        found, postmaster = {}, self.pid("postgres")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                if parent == postmaster:
                    with open("/proc/%s/cmdline" % pid, "rb") as f:
                        found[int(pid)] = f.read().decode(errors="replace")
            except (OSError, ValueError, IndexError):
                continue
        return found

    def backends(self):
        """Pids of PostgreSQL's processes that serve Holdfast."""
        return [pid for pid, title in self.postgres_children().items() if "holdfast_server" in title]

    def committing(self, but=()):
        """A backend, none of `but`, that is in its COMMIT just now; None if there is none."""
        titles = self.postgres_children()
        return next((p for p, t in titles.items() if "holdfast_server" in t and "COMMIT" in t and p not in but), None)

    def keeper(self, name):
        """The keeper's pid while it holds its lock."""
        path = os.path.join(self.dir, "keeper", name + ".lock")
        if not os.path.exists(path) or subprocess.run(["flock", "-n", path, "true"], check=False).returncode == 0:
            return None
        with open(path, encoding="ascii") as f:
            text = f.read().strip()
        return int(text) if text else None

    def stop_one(self, name):
        """Stops one of holdfastd, swtpm, postgres and its keeper."""
        pid = self.keeper(name)
        if pid:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                self.saved = getattr(self, "saved", {})
                self.saved[name] = f.read().decode().split("\0")[:-1]
            os.kill(pid, signal.SIGTERM)
        return wait_for(lambda: not self.keeper(name), 60)

    def start_one(self, name, env=None, more=()):
        """Starts again what stop_one() stopped; with more in its environment, and more arguments."""
        subprocess.Popen([*self.saved[name], *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **(env or {})})
        return wait_for(lambda: self.keeper(name), 10)

    # ---- settings ----
    def _apply(self, text, restart):
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)
        if restart:
            return self.stop_one("holdfastd") and self.start_one("holdfastd") and self.wait_serving()
        # The supervisor tells that it has read the file, and each worker that it has taken it up.
        told, want = self.log().count("event=config.reload"), 1 + len(self.workers())
        self.kill("supervisor", signal.SIGHUP)
        return wait_for(lambda: self.log().count("event=config.reload") >= told + want, 20)

    @contextlib.contextmanager
    def settings(self, options, restart=False):
        """The server with other settings while it lasts: {"section.name": value}. restart: with a new start, as some of
        them need."""
        before = self.set(options, restart)
        try:
            yield
        finally:
            self._apply(before, restart)

    def set(self, options, restart=False):
        """As settings(), for good. Returns the text of the configuration before."""
        with open(self.conf, encoding="utf-8") as f:
            before = f.read()
        added = "".join("\n[%s]\n%s = %s\n" % (*name.split("."), value) for name, value in options.items())
        if not self._apply(without(before, options) + added, restart):
            raise RuntimeError("the server did not take up its settings")
        return before

    def status(self):
        return self.json("status")[1]

    def vault_state(self):
        report = (self.status().get("vault") or {}).get("report") or {}
        return report.get("state")

    def wait_state(self, state, seconds=30):
        return wait_for(lambda: self.vault_state() == state, seconds, 0.2)

    def wait_serving(self, seconds=60):
        return wait_for(lambda: self.json("status")[0] == 0, seconds, 0.2)

    def wait_all_open(self, seconds=60):
        """Until every worker has its database and an open vault."""
        def all_open():
            workers = self.status().get("workers", [])
            return workers and all((w["db_state"], w["vault_state"]) == (1, 2) for w in workers)
        return wait_for(all_open, seconds, 0.2)

    def log(self, name="holdfastd"):
        try:
            with open(os.path.join(self.dir, "log", name + ".log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""
