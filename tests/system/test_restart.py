"""PostgreSQL, vault, workers and TPM go away and come back: a clear error meanwhile, and it heals by itself."""
import ctypes
import os
import signal
import socket
import time

import client
import support
import tap


def heals(state, uid, seconds, sentence):
    began = time.monotonic()
    good = support.wait_for(lambda: client.gets(state.env, uid), seconds, 0.05)
    took = time.monotonic() - began
    tap.ok(good, sentence, state.log()[-3000:])
    tap.note("report %s: after %.1f s" % (sentence, took))


def cut_channels(pid):
    """Shuts the workers' channels of a vault that lives on. How many; None where the kernel does not let us."""
    libc, cut = ctypes.CDLL(None, use_errno=True), 0
    process = os.pidfd_open(pid)
    for name in os.listdir("/proc/%d/fd" % pid):
        if int(name) <= 3 or not os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:"):
            continue
        fd = libc.syscall(438, process, int(name), 0)  # pidfd_getfd, the same number on all architectures
        if fd < 0:
            return None
        with socket.socket(fileno=fd) as s:
            if s.family == socket.AF_UNIX and s.type == socket.SOCK_STREAM and not s.getpeername():
                s.shutdown(socket.SHUT_RDWR)
                cut += 1
    os.close(process)
    return cut


def run(state):
    link = client.Connection(state.env)
    uid = link.call(client.create("restart-1")).uid
    state.kill("postgres", signal.SIGINT)
    results = []
    for _ in range(5):
        try:
            results.append(link.call(client.get(uid)))
        except OSError as error:
            results.append(error)
            break
        time.sleep(0.05)
    bad = [r for r in results if isinstance(r, client.Result) and not r.ok and r.reason in (1, 0x36)]
    tap.ok(not bad, "while PostgreSQL restarts no live key is called missing", bad)
    link.close()
    heals(state, uid, 30, "a PostgreSQL restart heals by itself")
    state.kill("vault")
    heals(state, uid, 10, "a killed vault is back and unsealed")
    vault = state.pid("vault")
    cut = cut_channels(vault)
    if cut is None:
        tap.note("the channels to the vault cannot be cut here")
    else:
        tap.ok(cut == len(state.workers()), "each worker has one channel to the vault", cut)
        heals(state, uid, 10, "workers whose channels were cut get new ones")
        tap.ok(state.pid("vault") == vault, "from the vault that lived on")
    for name in state.workers():
        state.kill(name)
    heals(state, uid, 5, "killed workers are back")
    state.kill("swtpm")
    tap.ok(client.gets(state.env, uid), "a killed software TPM stops no open key")
    heals(state, uid, 20, "and the server goes on")
    state.kill("swtpm")
    state.kill("vault")
    heals(state, uid, 30, "vault and TPM killed together come back")
    tap.ok(state.wait_serving(30), "status says all is well again", state.status())
