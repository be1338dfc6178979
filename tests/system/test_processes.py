"""The processes as designed: rights, sandbox and memory of each; a kill harms its own connections only and is healed
in time; SIGTERM drains without losing an answer."""
import os
import signal
import socket
import statistics
import struct
import threading
import time

import client
import support
import tap

ROUNDS = 3  # the middle one of three counts, so that a busy machine is not taken for a slow server
BACK_S = {"worker": 1.0, "vault": 3.0}


def facts(pid):
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def limit(pid, name):
    with open("/proc/%d/limits" % pid, encoding="ascii") as f:
        line = next(x for x in f if x.startswith(name))
    hard = line[len(name):].split()[1]
    return 1 << 62 if hard == "unlimited" else int(hard)


def environment(pid):
    with open("/proc/%d/environ" % pid, "rb") as f:
        return {x.split(b"=")[0].decode() for x in f.read().split(b"\0") if x}


def rights(state):
    supervisor = state.pid("supervisor")
    users = set()
    for name in ["vault"] + state.workers():
        pid = state.pid(name)
        f = facts(pid)
        users.add((name.split("-")[0], f["Uid"].split()[1]))
        tap.ok(f["Seccomp"] == "2" and f["NoNewPrivs"] == "1", "%s is in its system call filter" % name, f)
        tap.ok(all(int(f[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapAmb")) and not f["Groups"].split(),
               "%s has no capability and no group" % name, f)
        tap.ok(int(f["PPid"]) == supervisor, "%s is the supervisor's child" % name)
        tap.ok(limit(pid, "Max core file size") == 0, "%s leaves no core" % name)
        strange = {x for x in environment(pid) if not x.startswith(("ASAN_", "UBSAN_", "LSAN_", "GCOV_", "LLVM_"))}
        tap.ok(strange <= {"PATH", "LANG", "TZ", "RES_OPTIONS"}, "%s has nothing of our environment" % name, strange)
        if not state.sanitized:
            tap.ok(os.stat("/proc/%d/mem" % pid).st_uid == 0,
                   "%s is not dumpable: its memory is root's in /proc" % name)
    ids = {u for _, u in users}
    tap.ok(len(users) == len(ids) == 2 and "0" not in ids, "vault and workers are two users", users)
    f = facts(supervisor)
    tap.ok(f["CapEff"] == f["CapPrm"] == f["CapBnd"] and int(f["CapEff"], 16) == 0xe0 and f["NoNewPrivs"] == "1",
           "the supervisor keeps three capabilities", f)


def memory(state):
    if state.sanitized:
        tap.skip("secrets are in locked memory", "sanitizers ignore mlock")
        return
    pid = state.pid("vault")
    locked, swapped = (int(facts(pid)[x].split()[0]) for x in ("VmLck", "VmSwap"))
    tap.ok(locked >= 256 and swapped == 0, "the vault's secrets are in locked memory, none in swap", (locked, swapped))
    whole = limit(pid, "Max locked memory") >= 96 << 20
    report = state.status()["vault"]["report"]
    tap.ok(report["memory_locked"] is whole,
           "all of its memory is locked where the limit has room, and status says which", report)
    if whole:
        size = int(facts(pid)["VmSize"].split()[0])
        tap.ok(locked * 2 > size, "and it is", (locked, size))


def found_in(pid, needles):
    """How often any of these bytes stand in the writable memory of a process; root may look."""
    count = 0
    with open("/proc/%d/maps" % pid, encoding="ascii") as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            first, last = (int(x, 16) for x in span.split("-"))
            if not mode.startswith("rw"):
                continue
            try:
                mem.seek(first)
                data = mem.read(last - first)
            except OSError:
                continue
            count += sum(data.count(x) for x in needles)
    return count


def wiped(state):
    """Keys that were made, taken in and given out are in no process afterwards, while the connection stays open."""
    if state.sanitized:
        tap.skip("no key stays in memory", "sanitizers keep what is freed")
        return
    given, taken = [], []
    with client.Connection(state.env) as link:
        for i in range(20):
            own = os.urandom(32)
            made = [link.call(client.create()), link.call(client.register("aes", own))]
            given += [link.call(client.get(m.uid)).material for m in made]
            taken.append(own)
        tap.ok(all(own in given for own in taken), "keys are made, registered and fetched", len(given))
        names = ["vault"] + state.workers()
        found = {n: found_in(state.pid(n), given) for n in names}
        tap.ok(not any(found.values()), "none of them is left in the memory of vault or workers", found)
        seen = {n: found_in(state.pid(n), [b"LANG=C.UTF-8"]) for n in names}
        tap.ok(all(seen.values()) and found_in(os.getpid(), given) > 0, "and the search finds what is there", seen)


def sockets_of(pid):
    found = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found.add(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return found


def inode_of_other_end(ours):
    """Of the socket at the other end of ours. The kernel's table is read in pieces and may lack a row: then again."""
    wanted = "%08X:%04X" % (struct.unpack("=I", socket.inet_aton(ours[0]))[0], ours[1])
    for _ in range(5):
        with open("/proc/net/tcp", encoding="ascii") as f:
            inodes = [x.split()[9] for x in f if x.split()[2] == wanted and x.split()[9] != "0"]
        if inodes:
            return inodes[0]
    return None


def served_by(state, link, workers):
    """The name of the worker that holds the other end of this connection, None where none does yet."""
    inode = inode_of_other_end(link.tls.getsockname())
    return next((name for name, pid in workers.items() if "socket:[%s]" % inode in sockets_of(pid)), None)


def spread(state):
    """Connections, at least two on each worker: {worker: [connection]}."""
    workers = {w: state.pid(w) for w in state.workers()}
    links = {w: [] for w in workers}
    for _ in range(400):
        link = client.Connection(state.env)
        name = served_by(state, link, workers)
        if name and len(links[name]) < 2:
            links[name].append(link)
        else:
            link.close()
        if all(len(x) == 2 for x in links.values()):
            break
    return links


def alive(link, uid):
    try:
        return link.call(client.get(uid)).ok
    except OSError:
        return False


def worker_is_back(state, name, old, uid):
    """Whether a new process of this name serves a connection."""
    pid = state.pid(name)
    if pid in (None, old):
        return False
    for _ in range(20):
        try:
            link = client.Connection(state.env, timeout=5)
        except OSError:
            return False
        try:
            if served_by(state, link, {name: pid}) and alive(link, uid):
                return True
        finally:
            link.close()
    return False


def killed_worker(state, uid):
    took = []
    for _ in range(ROUNDS):
        time.sleep(1.2)
        links = spread(state)
        if not tap.ok(all(len(x) == 2 for x in links.values()), "each worker has two connections", links):
            return
        victim, *others = sorted(links)
        old = state.kill(victim)
        began = time.monotonic()
        unharmed = all(alive(x, uid) for w in others for x in links[w])
        back = support.wait_for(lambda: worker_is_back(state, victim, old, uid), 10, 0.01)
        took.append(time.monotonic() - began if back else 99.0)
        unharmed = unharmed and all(alive(x, uid) for w in others for x in links[w])
        tap.ok(unharmed or not others, "a killed worker harms no connection of another", links)
        tap.ok(not any(alive(x, uid) for x in links[victim]), "its own are closed")
        for link in (x for some in links.values() for x in some):
            link.close()
    tap.ok(statistics.median(took) <= BACK_S["worker"], "it is back in a second", took)
    tap.note("report a killed worker serves again after %s s" % ", ".join("%.2f" % t for t in took))


def killed_vault(state, uid):
    took = []
    link = client.Connection(state.env)
    for _ in range(ROUNDS):
        time.sleep(1.2)
        state.kill("vault")
        began = time.monotonic()
        good = support.wait_for(lambda: alive(link, uid), 10, 0.01)
        took.append(time.monotonic() - began if good else 99.0)
    tap.ok(statistics.median(took) <= BACK_S["vault"], "a killed vault is back and unsealed in three seconds", took)
    tap.ok(alive(link, uid), "and has cost no client its connection")
    tap.note("report a killed vault serves again after %s s, over one connection" % ", ".join("%.2f" % t for t in took))
    link.close()


def drain(state):
    """Every request that was carried out is answered before the end."""
    acked, lock = [], threading.Lock()
    stop = threading.Event()

    def load(number):
        link = client.Connection(state.env)
        try:
            for i in range(100000):
                if stop.is_set():
                    break
                name = "drain-%d-%d" % (number, i)
                made = link.call(client.create(name))
                if made.ok:
                    with lock:
                        acked.append(made.uid)
        except OSError:
            pass
        link.close()

    threads = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(16)]
    since = state.psql("SELECT now()")[0][0]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    mark = len(state.log())
    began = time.monotonic()
    state.kill("supervisor", signal.SIGTERM)
    for thread in threads:
        thread.join(40)
    took = time.monotonic() - began
    stop.set()
    tap.ok(not any(t.is_alive() for t in threads), "SIGTERM ends each connection")
    ended = lambda: [x for x in state.log()[mark:].splitlines() if "event=keeper.died name=holdfastd" in x]
    tap.ok(support.wait_for(ended, 40, 0.1) and " status=0 " in ended()[0] + " ", "and the server, in order", ended())
    tap.ok(state.wait_serving(60), "started again it serves", state.status())
    made = {r[0] for r in state.psql("SELECT object FROM audit.events WHERE operation = 'Create' "
                                     "AND result = 'Success' AND at >= '%s'" % since)}
    lost = made - set(acked)
    tap.ok(len(acked) > 50 and made == set(acked), "what was carried out was answered, and the other way round: %d keys"
           % len(acked), (len(lost), sorted(lost)[:5]))
    tap.note("report drain: %d keys made under load, connections ended after %.2f s" % (len(acked), took))


def fresh_status(state):
    """The vault's counts in the status are not those of its last change of state."""
    link = client.Connection(state.env)
    counted = lambda: (state.status()["vault"]["report"] or {}).get("answered", 0)
    before = counted()
    for _ in range(5):
        link.call(client.create())
    link.close()
    tap.ok(support.wait_for(lambda: counted() >= before + 5, 12, 0.2), "status tells the vault's work within seconds",
           before)


def run(state):
    link = client.Connection(state.env)
    uid = link.call(client.create("processes-1")).uid
    link.close()
    rights(state)
    memory(state)
    wiped(state)
    killed_worker(state, uid)
    killed_vault(state, uid)
    fresh_status(state)
    drain(state)
    rights(state)
