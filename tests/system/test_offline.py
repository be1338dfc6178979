"""Life with offline keys, by request and response files: the first set-up with the proof of the escrow, and the loss of
the TPM. On a second database and fresh software TPMs beside the shared state."""
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


class Node:
    """A server of its own: the shared state's configuration with another database, port and places."""

    def __init__(self, state, folder):
        self.state, self.folder, self.port, self.server = state, folder, support.free_port(), None
        os.makedirs(folder + "/run")
        self.conf = self.configure()
        self.env = {"HOLDFAST_CONFIG": self.conf, "HOLDFAST_PORT": str(self.port),
                    "HOLDFAST_CA": self.path("ca/ca.pem"), "HOLDFAST_CERT": self.path("first/cert.pem"),
                    "HOLDFAST_KEY": self.path("first/key.pem")}

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self):
        own = {"state_dir": self.folder, "run_dir": self.path("run"), "certificate": self.path("server.pem"),
               "key": self.path("server.key"), "client_ca": self.path("ca/ca.pem"), "crl": self.path("ca/crl.pem"),
               "port": str(self.port)}
        with open(self.state.conf, encoding="utf-8") as f:
            lines = f.read().replace("dbname=holdfast ", "dbname=holdfast_offline ").splitlines()
        for i, line in enumerate(lines):
            key = line.split("=")[0].strip()
            if key in own:
                lines[i] = "%s = %s" % (key, own[key])
        with open(self.path("holdfast.conf"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        return self.path("holdfast.conf")

    def step(self, sentence, *args, want=0):
        answer = self.state.holdfast(*args, env=self.env)
        return tap.ok(answer.returncode == want, sentence, answer.stdout + answer.stderr)

    def start(self):
        with open(self.path("log"), "ab") as log:
            self.server = subprocess.Popen([os.path.join(support.MAIN, "holdfastd"), "--config", self.conf],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def stop(self):
        if self.server:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(60)
            self.server = None

    def status(self):
        return self.state.json("status", env=self.env)

    def report(self):
        return (self.status()[1].get("vault") or {}).get("report") or {}

    def serves(self):
        return support.wait_for(lambda: self.status()[0] == 0, 30, 0.2)

    def connection(self):
        return client.Connection({**self.state.env, **self.env})


def make(node, auth, recovery):
    """Init in five steps, each with what must not go."""
    path = node.path
    other, _ = keys(node.folder, "other")
    for wrong in (("--pcrs", "7,24"), ("--pcrs", "7,"), ("--pcrs", "seven"), ("--nv-index", "0x01c00000"),
                  ("--nv-index", "x")):
        node.step("init refuses %s %s" % wrong, "init", "--auth", auth[1], "--request", path("request"), *wrong, want=2)
    node.step("init writes a request", "init", "--auth", auth[1], "--request", path("request"), "--pcrs", "7,14",
              "--nv-index", "0x01800810")
    node.step("another key does not approve it", "approval", "sign", "--request", path("request"), "--key", other,
              "--recovery",
              recovery[1], "--out", path("bad"), want=1)
    node.step("the approval key does", "approval", "sign", "--request", path("request"), "--key", auth[0], "--recovery",
              recovery[1], "--out", path("response"))
    node.step("init takes the response", "init", "--response", path("response"), "--escrow", path("escrow"))
    left = [x for x in os.listdir(node.folder) if x in ("secret", "init.pending")]
    tap.ok(not left, "and leaves no key and no half-done work", left)
    node.start()
    tap.ok(support.wait_for(lambda: node.report().get("state") == "ceremony-wait", 20, 0.2),
           "without the proof of the escrow the vault serves nothing", node.status())
    link = node.connection()
    result = link.call(client.create())
    tap.ok(not result.ok and "sealed" in result.message, "and says so to clients", result)
    link.close()
    node.step("the escrow opens with the recovery key", "recovery", "check", "--escrow", path("escrow"), "--recovery",
              recovery[0], "--out", path("proof"))
    node.step("and not with another", "recovery", "check", "--escrow", path("escrow"), "--recovery", other, want=6)
    node.step("init takes the proof", "init", "--proof", path("proof"))
    tap.ok(node.serves(), "then it serves, without being started again", node.status())
    tap.ok(node.report().get("self_approved") is False, "and is not self-approved", node.report())
    tap.ok(node.report()["pcrs"]["selected"] == [7, 14], "under the PCRs that were chosen", node.report())


def lose_the_tpm(node, auth, recovery):
    """The key made before is served under another TPM, brought there by escrow, recovery key and a signed request."""
    path = node.path
    link = node.connection()
    uid = link.call(client.create("offline-1")).uid
    material = link.call(client.get(uid)).material
    link.close()
    tap.ok(material and len(material) == 32, "a key is made and fetched")
    node.stop()
    swap_tpm(node.state, path("tpm-lost"))
    os.rename(path("node.state"), path("node.state.lost"))
    escrow = ("--escrow", path("escrow"), "--recovery", recovery[0])
    node.step("init does not make a second root over the first", "init", "--auth", auth[1], "--request", path("again"),
              want=1)
    node.step("recovery restore writes a request", "recovery", "restore", *escrow, "--request", path("request2"),
              "--pcrs", "7")
    node.step("another key does not approve it", "approval", "sign", "--request", path("request2"), "--key",
              path("other.pem"),
              "--out", path("bad"), want=1)
    node.step("a response to another request is refused", "recovery", "restore", "--response", path("response"), want=1)
    node.step("the approval key approves it", "approval", "sign", "--request", path("request2"), "--key", auth[0],
              "--out",
              path("response2"))
    node.step("recovery restore takes the response", "recovery", "restore", "--response", path("response2"))
    node.start()
    tap.ok(node.serves(), "the vault opens under the new TPM", str(node.status()))
    link = node.connection()
    got = link.call(client.get(uid))
    tap.ok(got.ok and got.material == material, "the old key is served, byte for byte", got)
    link.close()
    tap.ok(node.report()["pcrs"]["selected"] == [7], "under the PCRs of this machine", node.report())
    tap.ok(node.report().get("self_approved") is False, "and no key lies on this machine", node.report())


def run(state):
    state.psql("CREATE DATABASE holdfast_offline", role="postgres")
    node = Node(state, os.path.join(state.top, "offline"))
    state.stop_one("holdfastd")
    swap_tpm(state, node.path("tpm-kept"))
    try:
        node.step("a second database is migrated", "db", "migrate", "--database",
                  "host=%s dbname=holdfast_offline user=postgres" % state.env["PGHOST"])
        node.step("it has a CA of its own", "ca", "init")
        node.step("a server certificate", "server-cert", "renew", "--dns", "localhost,127.0.0.1")
        node.step("and a client", "client", "add", "first", "--out", node.path("first"))
        auth, recovery = keys(node.folder, "auth"), keys(node.folder, "recovery")
        make(node, auth, recovery)
        lose_the_tpm(node, auth, recovery)
    finally:
        node.stop()
        shutil.rmtree(node.path("discarded"), ignore_errors=True)
        swap_tpm(state, node.path("discarded"), node.path("tpm-kept"))
        state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "the shared state serves again", state.status())
    link = client.Connection(state.env)
    tap.ok(link.call(client.create()).ok, "and makes keys")
    link.close()
