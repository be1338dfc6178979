"""The server under the rights of its own systemd unit, with a group of administrators, and what systemd hears of it."""
import grp
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys

import client
import support
import tap

UNIT = os.path.join(support.BUILD, "deploy/systemd/holdfastd.service")


def configure(state, group):
    path = os.path.join(state.top, "unit.conf")
    with open(state.conf, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("[server]\n", "[server]\nadmin_group = %s\n" % group, 1))
    return path


def hear(notify, seconds=20):
    """The next message but for STATUS; None where none comes."""
    notify.settimeout(seconds)
    try:
        while True:
            text = notify.recv(4096).decode()
            if not text.startswith("STATUS="):
                return text
    except OSError:
        return None


def run(state):
    if not shutil.which("systemd-analyze"):
        tap.skip("the server runs under its systemd unit", "no systemd-analyze here to say what the unit's sets mean")
        return
    if state.sanitized:
        tap.skip("the server runs under its systemd unit", "sanitizers need more than the unit gives")
        return
    group = next(g for g in grp.getgrall() if g.gr_gid not in (0, os.getegid()))
    conf = configure(state, group.gr_name)
    state.stop_one("holdfastd")
    path = os.path.join(state.top, "notify")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    log = os.path.join(state.top, "unit.log")
    with open(log, "wb") as out:
        server = subprocess.Popen([sys.executable, os.path.join(support.HERE, "under_unit.py"), UNIT,
                                   os.path.join(support.MAIN, "holdfastd"), "--config", conf],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                  env={"NOTIFY_SOCKET": path, "PATH": os.environ["PATH"]})
    try:
        said = hear(notify)
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if not tap.ok(said == "READY=1", "the server becomes ready under its unit, and says so", (said or "") + text):
            return
        tap.ok(state.wait_serving(30), "and serves", state.status())
        link = client.Connection(state.env)
        made = link.call(client.create("unit-1"))
        tap.ok(made.ok and link.call(client.get(made.uid)).ok, "a key is made and fetched", made)
        control = os.stat(os.path.join(state.env["HOLDFAST_RUN"], "control.sock"))
        tap.ok(control.st_gid == group.gr_gid and stat.S_IMODE(control.st_mode) == 0o660,
               "the control socket is the administrators' group's", control)
        server.send_signal(signal.SIGHUP)
        tap.ok((hear(notify) or "").startswith("RELOADING=1\nMONOTONIC_USEC=") and hear(notify) == "READY=1",
               "a reload is announced, and its end")
        tap.ok(link.call(client.get(made.uid)).ok, "and drops nothing")
        for name in ("vault", state.workers()[0]):
            state.kill(name)
        tap.ok(support.wait_for(lambda: client.gets(state.env, made.uid, 5), 10),
               "killed vault and worker come back under it")
        link.close()
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
        state.start_one("holdfastd")
    tap.ok(hear(notify) == "STOPPING=1" and code == 0, "SIGTERM ends it in order, announced", code)
    notify.close()
    tap.ok(state.wait_serving(60), "the shared state serves again", state.status())
