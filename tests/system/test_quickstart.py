"""The quick start itself: run again, stopped, started, asked for its status; its mistakes; its other databases."""
import glob
import os
import shutil
import signal
import subprocess

import client
import support
import tap


def keepers_die(state):
    """A killed keeper leaves its program behind: the next run must not run beside it."""
    left = [state.pid(n) for n in ("supervisor", "swtpm", "postgres")]
    for name in ("holdfastd", "swtpm", "postgres"):
        os.kill(state.keeper(name), signal.SIGKILL)
    answer = state.quickstart("--no-demo")
    now = [state.pid(n) for n in ("supervisor", "swtpm", "postgres")]
    tap.ok(answer.returncode == 0 and not any(os.path.exists("/proc/%d" % p) for p in left) and not set(left) & set(now)
           and all(state.keeper(n) for n in ("holdfastd", "swtpm", "postgres")),
           "after the keepers were killed all is started anew and nothing is left behind",
           answer.stdout + answer.stderr)


def mistakes(state):
    with open(state.conf, encoding="utf-8") as f:
        before = f.read()
    for option, value in (("--port", "12abc"), ("--port", "65536"), ("--tpm", "bogus:/x")):
        answer = state.quickstart("--no-demo", option, value)
        with open(state.conf, encoding="utf-8") as f:
            tap.ok(answer.returncode == 1 and f.read() == before and state.wait_serving(10),
                   "%s %s is refused and changes nothing" % (option, value), answer.stdout + answer.stderr)
    other = support.State(state, "taken")
    other.port = state.port
    answer = other.start()
    tap.ok(answer.returncode == 1 and "--port" in answer.stderr and not os.path.exists(other.dir),
           "a port that is taken is told before anything is made", answer.stdout + answer.stderr)


def as_postgres(*command):
    return subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command], cwd="/",
                          capture_output=True, text=True, check=True, timeout=120)


def databases(state):
    """--database: two states, each with a database of one cluster that asks for passwords."""
    bin_dir = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))[-1]
    where, port = os.path.join(state.top, "cluster"), support.free_port()
    password = os.path.join(state.top, "password")
    with open(password, "w", encoding="ascii") as f:
        f.write("of the administrator\n")
    os.chmod(password, 0o644)
    os.mkdir(where)
    shutil.chown(where, "postgres")
    as_postgres(bin_dir + "/initdb", "-D", where + "/data", "-U", "admin", "-A", "scram-sha-256", "--pwfile", password,
                "-E", "UTF8", "--locale=C.UTF-8")
    as_postgres(bin_dir + "/pg_ctl", "-D", where + "/data", "-w", "-l", where + "/log", "-o",
                "-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=" % port, "start")
    try:
        url = "postgresql://admin:of%%20the%%20administrator@127.0.0.1:%d/" % port
        for name in ("one", "two"):
            subprocess.run(["psql", "-X", "-q", "-d", url + "postgres", "-c", "CREATE DATABASE " + name], check=True)
        others = [support.State(state, name) for name in ("one", "two")]
        for other, name in zip(others, ("one", "two")):
            answer = other.start("--database", url + name)
            tap.ok(answer.returncode == 0, "--database: a server on a database of one's own",
                   answer.stdout + answer.stderr)
        first = others[0]
        for name in first.workers():
            first.kill(name)
        tap.ok(first.wait_serving(30) and client.Connection(first.env).call(client.create("own-1")).ok,
               "two states with databases in one cluster do not shut each other out", first.log()[-2000:])
        rows = first.psql("SELECT count(*), current_user FROM audit.events WHERE operation = 'Create'",
                          role="holdfast_reader")
        tap.ok(rows == [["1", "holdfast_reader"]], "env names a reader of the audit trail", rows)
        cluster = subprocess.run(["psql", "-XAtq", "-d", url + "one", "-c", "SELECT system_identifier FROM "
                                  "pg_control_system()"], text=True, capture_output=True, check=True).stdout.strip()

        def passwords():
            return glob.glob("/var/lib/holdfast-quickstart.states/password.%s.*" % cluster)

        for other in others:
            tap.ok(passwords(), "the passwords that states share stay as long as there is one")
            other.stop_and_look()
            answer = other.remove()
            tap.ok(answer.returncode == 0 and "left as it is" in answer.stdout,
                   "--remove leaves the database and says so", answer.stdout + answer.stderr)
        tap.ok(not passwords(), "the passwords go with the last state of a cluster", passwords())
        left = subprocess.run(["psql", "-XAtq", "-d", url + "one", "-c", "SELECT count(*) FROM kmip.object"], text=True,
                              capture_output=True, check=False)
        tap.ok(left.stdout.strip() == "1", "the database is as it was", left)
    finally:
        as_postgres(bin_dir + "/pg_ctl", "-D", where + "/data", "-m", "immediate", "stop")


def run(state):
    link = client.Connection(state.env)
    uid = link.call(client.create("quickstart-1")).uid
    link.close()
    supervisor = state.pid("supervisor")
    answer = state.quickstart("--no-demo")
    tap.ok(answer.returncode == 0 and state.pid("supervisor") == supervisor, "a second run changes nothing",
           answer.stdout + answer.stderr)
    answer = state.quickstart("--status")
    tap.ok(answer.returncode == 0, "--status says that it runs", answer.stdout + answer.stderr)
    answer = state.quickstart("--stop")
    tap.ok(answer.returncode == 0 and not state.pid("supervisor") and not state.pid("postgres"), "--stop stops all",
           answer.stdout + answer.stderr)
    code, error = state.json("status")
    tap.ok(code == 3 and "not running" in error.get("error", ""), "status says that the server is down: exit 3", error)
    code, error = state.json("key", "locate")
    tap.ok(code == 3, "and the client cannot connect: exit 3", error)
    answer = state.quickstart("--status")
    tap.ok(answer.returncode != 0, "--status says that it does not run", answer.stdout)
    answer = state.quickstart()
    tap.ok(answer.returncode == 0 and "verified" in answer.stdout, "a later run starts it and shows it at work",
           answer.stdout + answer.stderr)
    state.read_env()
    tap.ok(support.wait_for(lambda: client.Connection(state.env).call(client.get(uid)).ok, 10), "old keys are there")
    keepers_die(state)
    mistakes(state)
    databases(state)
