"""Key pairs and certificates in the whole server, judged by openssl: made, registered and fetched as PEM; a long
search for primes that nobody else notices; a worker killed in the middle of one."""
import json
import os
import subprocess
import tempfile
import threading
import time

import client
import support
import tap

LONG_BITS = 8192


def openssl(*args, input=None):
    return subprocess.run(["openssl", *args], input=input, capture_output=True, timeout=120)


class Long(threading.Thread):
    """`holdfast key create-pair` for a long RSA key, in the background."""

    def __init__(self, state):
        super().__init__()
        self.state, self.answer, self.took = state, None, 0

    def run(self):
        began = time.monotonic()
        answer = subprocess.run([os.path.join(support.MAIN, "holdfast"), "key", "create-pair", "--name", "pairs-long",
                                 "--length", str(LONG_BITS), "--json"], capture_output=True, timeout=700,
                                env={"PATH": os.environ["PATH"], **self.state.env})
        self.answer = answer.returncode, json.loads(answer.stdout or answer.stderr)
        self.took = time.monotonic() - began


def made_pairs(state, folder):
    for name, words, bits in (("rsa", ("--length", "2048"), "2048 bit"),
                              ("ec", ("--algorithm", "ECDSA", "--length", "384"), "384 bit")):
        code, made = state.json("key", "create-pair", "--name", "pairs-" + name, "--activate", *words)
        if not tap.ok(code == 0 and {"private", "public"} <= set(made), "create-pair %s prints both" % name, made):
            continue
        private, public = os.path.join(folder, name), os.path.join(folder, name + ".pub")
        one = state.holdfast("key", "get", made["private"], "--pem", "--out", private)
        two = state.holdfast("key", "get", made["public"], "--pem", "--out", public)
        derived = openssl("pkey", "-in", private, "-pubout")
        tap.ok(one.returncode == 0 and two.returncode == 0 and derived.stdout == open(public, "rb").read(),
               "%s: the public key is the private one's, says openssl" % name, (one, two, derived))
        text = openssl("pkey", "-in", private, "-noout", "-text").stdout.decode()
        tap.ok(bits in text, "%s has %s" % (name, bits), text[:80])
        signature = os.path.join(folder, name + ".sig")
        openssl("dgst", "-sha256", "-sign", private, "-out", signature, __file__)
        verified = openssl("dgst", "-sha256", "-verify", public, "-signature", signature, __file__)
        tap.ok(verified.returncode == 0, "%s: what one signs the other verifies" % name, verified)
        code, shown = state.json("key", "attributes", made["public"])
        link = shown.get("attributes", {}).get("Link", [{}])[0]
        tap.ok(link.get("LinkType") == "PrivateKeyLink" and link.get("LinkedObjectIdentifier") == made["private"]
               and shown["attributes"].get("State") == "Active", "%s: each links to the other, and is Active" % name,
               shown)
        code, error = state.json("key", "create-pair", "--name", "pairs-" + name, *words)
        code_2, found = state.json("key", "locate", "--name", "pairs-" + name + ".pub")
        tap.ok(code == 1 and found.get("ids") == [made["public"]], "%s: a taken name makes no half of a pair" % name,
               (error, found))


def registered(state, folder):
    """PEM of openssl's making goes in and comes out the same."""
    def path(name):
        return os.path.join(folder, name)
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path("p8"))
    openssl("pkey", "-in", path("p8"), "-traditional", "-out", path("p1"))
    openssl("pkey", "-in", path("p8"), "-pubout", "-out", path("spki"))
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path("ecp8"))
    openssl("pkey", "-in", path("ecp8"), "-traditional", "-out", path("ec"))
    openssl("pkcs8", "-topk8", "-in", path("ecp8"), "-passout", "pass:x", "-out", path("secret"))
    openssl("req", "-x509", "-key", path("p8"), "-subj", "/C=SE/O=Example/CN=pairs", "-days", "30",
            "-addext", "subjectAltName=DNS:pairs.example", "-out", path("cert"))
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", path("p8"), "-outform", "DER", "-out", path("der"))
    for name, words, format, kind in (
            ("p8", (), "PKCS_8", "PrivateKey"), ("p1", (), "PKCS_1", "PrivateKey"), ("spki", (), "X_509", "PublicKey"),
            ("ec", (), "ECPrivateKey", "PrivateKey"),
            ("secret", ("--algorithm", "ECDSA", "--length", "256"), "PKCS_8", "PrivateKey"),
            ("cert", ("--type", "Certificate"), None, "Certificate")):
        code, made = state.json("key", "register", "--in", path(name), *words)
        options = ("--format", format) if format else ()
        back = state.holdfast("key", "get", made.get("id", "?"), "--pem", *options, "--out", path(name + ".back"))
        same = back.returncode == 0 and open(path(name + ".back"), "rb").read() == open(path(name), "rb").read()
        tap.ok(code == 0 and same, "%s in PEM comes back as it went in" % name, (made, back))
        code, shown = state.json("key", "attributes", made.get("id", "?"))
        have = shown.get("attributes", {})
        tap.ok(have.get("ObjectType") == kind and have.get("CryptographicLength") in (256, 2048),
               "%s: what it is was found in it" % name, have)
        if name == "cert":
            tap.ok(have.get("CertificateSubjectCN") == ["pairs"] and have.get("CertificateIssuerC") == ["SE"]
                   and have.get("DigitalSignatureAlgorithm") is not None, "the certificate's names are attributes",
                   have)
    code, made = state.json("key", "register", "--in", path("der"), "--type", "PrivateKey")
    answer = state.holdfast("key", "get", made.get("id", "?"), "--format", "PKCS_1", "--pem", "--stdout")
    tap.ok(code == 0 and answer.stdout == open(path("p1"), "rb").read(),
           "DER of PKCS 8 goes in, PEM of PKCS 1 comes out",
           (made, answer))
    with open(path("bad"), "wb") as f:
        f.write(open(path("der"), "rb").read()[:-1])
    for words in (("--in", path("bad"), "--type", "PrivateKey"), ("--in", path("der"), "--type", "PublicKey"),
                  ("--in", path("p8"), "--length", "4096", "--algorithm", "RSA")):
        code, error = state.json("key", "register", *words)
        tap.ok(code == 1, "refused: %s" % " ".join(words[2:]), error)
    code, error = state.json("key", "register", "--in", path("p8"), "--type", "PublicKey")
    tap.ok(code == 2, "a file that holds something else than --type says: exit 2", error)


def nobody_waits(state, long):
    """While the long search is on, keys are made and fetched as ever."""
    link = client.Connection(state.env)
    made = link.call(client.create("pairs-meanwhile")).uid
    slowest, count, end = 0, 0, time.monotonic() + 3
    while time.monotonic() < end and long.is_alive():
        began = time.monotonic()
        assert link.call(client.get(made)).ok
        slowest = max(slowest, time.monotonic() - began)
        count += 1
    link.close()
    tap.note("report %d Gets beside the search for a long key, the slowest %.0f ms" % (count, slowest * 1000))
    tap.ok(count == 0 or slowest < 1.0, "a Get beside a long search takes its usual time", slowest)
    code, made = state.json("key", "create-pair", "--algorithm", "ECDSA", "--length", "256")
    tap.ok(code == 0, "and a short pair does not wait for the long one", made)


def killed(state):
    """A worker dies while a pair is made for it: nothing of the pair is there, and the next one is made."""
    command = threading.Thread(target=state.json, args=("key", "create-pair", "--name", "pairs-killed", "--length",
                                                        str(LONG_BITS)))
    command.start()
    time.sleep(1)
    for name in state.workers():
        state.kill(name)
    command.join()
    state.wait_serving()
    found = [state.json("key", "locate", "--name", n)[1].get("ids") for n in ("pairs-killed", "pairs-killed.pub")]
    tap.ok(found in ([[], []],), "a pair whose worker was killed is not there, nor half of it", found)
    code, made = state.json("key", "create-pair", "--name", "pairs-killed", "--length", "2048")
    tap.ok(code == 0, "its name is free, and the next pair is made", made)


def run(state):
    long = Long(state)
    long.start()
    folder = tempfile.mkdtemp(dir=state.top)
    made_pairs(state, folder)
    registered(state, folder)
    nobody_waits(state, long)
    long.join()
    code, made = long.answer
    tap.ok(code == 0, "RSA of %d bits is made, past the deadline of usual calls" % LONG_BITS, made)
    tap.note("report an RSA pair of %d bits took %.0f s" % (LONG_BITS, long.took))
    rows = state.psql("SELECT operation, result FROM audit.key_events('%s') LIMIT 1" % made.get("private"))
    tap.ok(rows == [["Create Key Pair", "Success"]], "it is in the audit trail", rows)
    killed(state)
