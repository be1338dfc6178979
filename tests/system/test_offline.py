"""The first set-up with offline keys: request, approval, escrow check, proof; then the server serves. On a second
database and a fresh software TPM beside the shared state."""
import os
import shutil
import signal
import subprocess

import client
import support
import tap
from test_vault_states import swap_tpm


def keys(folder, name):
    private, public = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".pub")
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private],
                   check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def configure(state, folder, port):
    """The shared state's configuration, with another database, port and places."""
    with open(state.conf, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("dbname=holdfast ", "dbname=holdfast_offline ").replace("port = %d" % state.port, "port = %d" % port)
    lines = []
    for line in text.splitlines():
        if line.startswith("state_dir"):
            line = "state_dir = " + folder
        if line.startswith("run_dir"):
            line = "run_dir = " + folder + "/run"
        lines.append(line)
    conf = os.path.join(folder, "holdfast.conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return conf


def run(state):
    folder = os.path.join(state.top, "offline")
    os.makedirs(folder + "/run")
    port = support.free_port()
    conf = configure(state, folder, port)
    env = {"HOLDFAST_CONFIG": conf, "HOLDFAST_PORT": str(port)}
    path = lambda name: os.path.join(folder, name)
    state.psql("CREATE DATABASE holdfast_offline", role="postgres")
    state.stop_one("holdfastd")
    swap_tpm(state, path("tpm-kept"))

    def step(sentence, *args, want=0):
        answer = state.holdfast(*args, env=env)
        return tap.ok(answer.returncode == want, sentence, answer.stdout + answer.stderr)

    step("a second database is migrated", "db", "migrate", "--database",
         "host=%s dbname=holdfast_offline user=postgres" % state.env["PGHOST"])
    auth, auth_pub = keys(folder, "auth")
    other, _ = keys(folder, "other")
    recovery, recovery_pub = keys(folder, "recovery")
    step("init writes a request", "init", "--auth", auth_pub, "--request", path("request"))
    step("another key does not approve it", "approve", "--request", path("request"), "--key", other, "--recovery",
         recovery_pub, "--out", path("bad"), want=1)
    step("the approval key does", "approve", "--request", path("request"), "--key", auth, "--recovery", recovery_pub,
         "--out", path("response"))
    step("init takes the response", "init", "--response", path("response"), "--escrow", path("escrow"))
    server = subprocess.Popen([os.path.join(support.MAIN, "holdfastd"), "--config", conf], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=open(path("log"), "wb"))
    try:
        status = lambda: state.json("status", env=env)
        report = lambda: ((status()[1].get("vault") or {}).get("report") or {})
        tap.ok(support.wait_for(lambda: report().get("state") == "ceremony-wait", 20, 0.2),
               "without the proof of the escrow the vault serves nothing", status())
        step("the escrow opens with the recovery key", "recovery", "check", "--escrow", path("escrow"), "--recovery",
             recovery, "--out", path("proof"))
        step("and not with another", "recovery", "check", "--escrow", path("escrow"), "--recovery", other, want=6)
        step("init takes the proof", "init", "--proof", path("proof"))
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        server = subprocess.Popen([os.path.join(support.MAIN, "holdfastd"), "--config", conf],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(path("log"), "ab"))
        tap.ok(support.wait_for(lambda: status()[0] == 0, 30, 0.2), "then it serves", status())
        tap.ok(report().get("self_approved") is False, "and is not self-approved", report())
        mine = state.holdfast("ca", "init", env=env)
        tap.ok(mine.returncode == 0 and os.path.exists(path("ca/ca.key")), "it has a CA of its own", mine.stderr)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        shutil.rmtree(path("discarded"), ignore_errors=True)
        swap_tpm(state, path("discarded"), path("tpm-kept"))
        state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "the shared state serves again", state.status())
    link = client.Connection(state.env)
    tap.ok(link.call(client.create()).ok, "and makes keys")
    link.close()
