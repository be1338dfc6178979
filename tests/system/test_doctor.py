"""holdfast client doctor: each thing that can be wrong with a client's certificate is found and named, and nobody is
said to be welcome whom the server does not let in."""
import datetime
import os
import shutil
import ssl
import struct
import subprocess

import client
import support
import tap
from test_revocation import add_client

URI = "urn:holdfast:client:"
DOC = "URI:" + URI + "doc"


class Workshop:
    """Certificates that no honest authority would issue, signed by the state's own."""

    def __init__(self, state):
        self.state, self.dir = state, os.path.join(state.top, "doctor")
        os.mkdir(self.dir)
        self.ca = self.find(state, "client_ca")
        self.ca_key = os.path.join(os.path.dirname(self.ca), "ca.key")
        self.crl = self.find(state, "crl")

    @staticmethod
    def find(state, option):
        shown = state.json("config", "show")[1]
        return shown["tls"][option]["value"] if isinstance(shown["tls"][option], dict) else shown["tls"][option]

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *args):
        answer = subprocess.run(["openssl", *args], capture_output=True, text=True, cwd=self.dir)
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def make(self, name, key=("ec", "ec_paramgen_curve:P-256"), issuer=None, subject="/CN=doctor", sans=DOC,
             extra="extendedKeyUsage=clientAuth\n", start=None, end=None, digest="sha256"):
        """NAME.pem and NAME.key. issuer: the name of another one made here; None: the state's authority; "self"."""
        self.openssl("req", "-newkey", key[0], "-pkeyopt", key[1], "-nodes", "-keyout", name + ".key", "-out",
                     name + ".csr", "-subj", subject)
        ext = ("subjectAltName=%s\n" % sans if sans else "") + extra
        self.write(name + ".ext", ext.encode())
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = (now + datetime.timedelta(hours=start or -1), now + datetime.timedelta(hours=end or 24 * 90))
        stamp = "%y%m%d%H%M%SZ"
        cert, signer = self.ca, self.ca_key
        if issuer == "self":
            cert, signer = None, self.path(name + ".key")
        elif issuer:
            cert, signer = self.path(issuer + ".pem"), self.path(issuer + ".key")
        for file in ("index", "index.attr"):
            self.write(file, b"")
        self.write("ca.conf", b"[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\npolicy=p\nrand_serial=yes\n"
                              b"unique_subject=no\nemail_in_dn=no\n"
                              b"[p]\ncommonName=optional\norganizationName=optional\n")
        how = ["-selfsign"] if issuer == "self" else ["-cert", cert]
        self.openssl("ca", "-config", "ca.conf", "-batch", "-notext", "-in", name + ".csr", "-out", name + ".pem",
                     "-keyfile", signer, *how, "-md", digest, "-startdate", start.strftime(stamp), "-enddate",
                     end.strftime(stamp), "-extfile", name + ".ext")
        os.chmod(self.path(name + ".key"), 0o600)
        return self.path(name + ".pem")


def let_in(state, cert, key):
    """What the server itself says: the only true judge."""
    try:
        link = client.Connection(state.env, cert=cert, key=key, timeout=10)
        answer = link.call(client.locate("x"))
        link.close()
        return answer.ok
    except (OSError, ssl.SSLError):
        return False


class Doctor:
    def __init__(self, state):
        self.state = state

    def ask(self, cert, *options):
        code, answer = self.state.json("client", "doctor", cert, *options)
        return code, answer, [f["code"] for f in answer.get("findings", [])]

    def finds(self, code_wanted, cert, *options, key=None, sentence=None):
        """That it finds this and lets nobody in; with a key, that the server agrees."""
        code, answer, found = self.ask(cert, *options)
        finding = next((f for f in answer.get("findings", []) if f["code"] == code_wanted), None)
        good = finding and finding["severity"] == "error" and finding["what"] and finding["next"] and code == 1 \
            and answer["admitted"] is False
        if key:
            good = good and not let_in(self.state, cert, key)
        tap.ok(good, "doctor: %s is found%s" % (sentence or code_wanted, ", and the server agrees" if key else ""),
               answer)


def check_good(state, doctor):
    files, _ = add_client(state, "doctor-1")
    code, answer, found = doctor.ask(files["cert"], "--key", files["key"])
    tap.ok(code == 0 and answer["admitted"] and answer["client"] == "doctor-1" and not found
           and let_in(state, files["cert"], files["key"]), "doctor: a good certificate has nothing, and is let in",
           answer)
    tap.ok(answer["names"] == [{"kind": "uri", "value": URI + "doctor-1"}] and answer["fingerprint"] and
           answer["issuer"],
           "doctor: it says what the certificate says", answer)
    text = state.holdfast("client", "doctor", files["cert"])
    tap.ok(text.returncode == 0 and b"would let it in as doctor-1." in text.stdout, "doctor: in words too", text.stdout)
    doctor.finds("key-mismatch", files["cert"], "--key", state.env["HOLDFAST_KEY"])
    return files


def check_files(state, doctor, shop, files):
    doctor.finds("file-unreadable", shop.path("there-is-none"))
    doctor.finds("file-empty", shop.write("empty", b""))
    doctor.finds("file-format", shop.write("words", b"this is no certificate\n"))
    doctor.finds("file-key", files["key"])
    shop.make("plain")
    doctor.finds("file-request", shop.path("plain.csr"))
    shop.openssl("pkcs12", "-export", "-in", files["cert"], "-inkey", files["key"], "-passout", "pass:x", "-out", "p12")
    doctor.finds("file-format", shop.path("p12"), sentence="PKCS#12")
    shop.openssl("x509", "-in", files["cert"], "-outform", "DER", "-out", "der")
    code, answer, found = doctor.ask(shop.path("der"))
    tap.ok(code == 0 and found == ["file-der"], "doctor: DER is said to be DER", answer)
    os.chmod(shop.path("words"), 0o600)
    doctor.finds("key-format", files["cert"], "--key", shop.path("words"), sentence="a key that is none")
    shop.openssl("pkey", "-in", files["key"], "-aes256", "-passout", "pass:x", "-out", "locked.key")
    os.chmod(shop.path("locked.key"), 0o600)
    doctor.finds("key-encrypted", files["cert"], "--key", shop.path("locked.key"))
    shutil.copy(files["key"], shop.path("open.key"))
    os.chmod(shop.path("open.key"), 0o644)
    doctor.finds("key-unreadable", files["cert"], "--key", shop.path("open.key"), sentence="a key that others may read")
    doctor.finds("chain-format", files["cert"], "--chain", shop.path("words"))
    doctor.finds("chain-unreadable", files["cert"], "--chain", shop.path("there-is-none"))


def check_certificates(doctor, shop):
    def bad(code, name, *options, **spec):
        cert = shop.make(name, **spec)
        doctor.finds(code, cert, *options, key=shop.path(name + ".key"))
        return cert

    bad("unknown-client", "unknown")
    bad("expired", "expired", start=-48, end=-1)
    bad("not-yet-valid", "early", start=24)
    bad("wrong-purpose", "server", extra="extendedKeyUsage=serverAuth\n")
    bad("weak-key", "rsa1024", key=("rsa", "rsa_keygen_bits:1024"))
    bad("weak-key", "secp256k1", key=("ec", "ec_paramgen_curve:secp256k1"))
    bad("weak-signature", "sha1", digest="sha1")
    bad("self-signed", "self", issuer="self")
    bad("no-usable-name", "umlaut", sans="URI:urn:a b")
    bad("too-many-names", "many", sans=",".join("DNS:h%d.example" % i for i in range(20)))
    found = doctor.ask(shop.make("subject", sans=None))[2]
    tap.ok("no-alternative-name" in found, "doctor: a name by subject alone is said", found)
    found = doctor.ask(shop.make("several", sans="DNS:a.example,DNS:b.example"))[2]
    tap.ok("several-names" in found and "unknown-client" in found, "doctor: several names are said", found)
    found = doctor.ask(shop.make("ca", extra="basicConstraints=critical,CA:true\n"))[2]
    tap.ok("ca-as-client" in found, "doctor: an authority as a client is said", found)
    found = doctor.ask(shop.make("soon", end=48))[2]
    tap.ok("ends-soon" in found, "doctor: an end that is near is said", found)


def check_chains(doctor, shop):
    root = "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign,cRLSign\n"
    shop.make("root", issuer="self", subject="/CN=Another root", sans=None, extra=root)
    cert = shop.make("of-root", issuer="root")
    doctor.finds("issuer-unknown", cert, key=shop.path("of-root.key"))
    doctor.finds("issuer-foreign", cert, "--chain", shop.path("root.pem"), sentence="a chain to another root")
    shop.openssl("x509", "-in", shop.ca, "-noout", "-subject", "-nameopt", "compat", "-out", "name")
    with open(shop.path("name"), encoding="utf-8") as f:
        name = f.read().split("subject=", 1)[1].strip()
    shop.make("impostor", issuer="self", subject=name, sans=None, extra=root)
    doctor.finds("issuer-other-key", shop.make("of-impostor", issuer="impostor"), key=shop.path("of-impostor.key"))
    shop.make("between", subject="/CN=Between", sans=None, extra=root)
    cert = shop.make("of-between", issuer="between")
    doctor.finds("issuer-unknown", cert, sentence="an authority between that is not sent along")
    doctor.finds("crl-missing", cert, "--chain", shop.path("between.pem"),
                 sentence="an authority between without a CRL")
    shop.make("no-ca", subject="/CN=No authority", sans=None, extra="basicConstraints=CA:false\n")
    found = doctor.ask(shop.make("of-no-ca", issuer="no-ca"), "--chain", shop.path("no-ca.pem"))[2]
    tap.ok("issuer-no-ca" in found or "issuer-unknown" in found, "doctor: an issuer that is no authority", found)


def check_policy(state, doctor, shop, files):
    state.psql("SELECT policy.client_enable('doctor-1', false)", role="holdfast_policy")
    doctor.finds("client-disabled", files["cert"], key=files["key"])
    state.psql("SELECT policy.client_enable('doctor-1', true)", role="holdfast_policy")
    state.psql("SET ROLE holdfast_owner; UPDATE policy.domain SET enabled = false", role="postgres")
    doctor.finds("domain-disabled", files["cert"])
    state.psql("SET ROLE holdfast_owner; UPDATE policy.domain SET enabled = true", role="postgres")
    state.psql("SET ROLE holdfast_owner; UPDATE policy.client SET second_factor = true WHERE name = 'doctor-1'",
               role="postgres")
    answer = doctor.ask(files["cert"])
    tap.ok("second-factor" in answer[2] and answer[0] == 0, "doctor: a second factor that is wanted is said", answer)
    state.psql("SET ROLE holdfast_owner; UPDATE policy.client SET second_factor = false WHERE name = 'doctor-1'",
               role="postgres")
    other, _ = add_client(state, "doctor-2")
    state.json("client", "revoke", "doctor-2")
    doctor.finds("revoked-policy", other["cert"])
    doctor.finds("revoked", other["cert"], key=other["key"], sentence="a certificate that the CRL has")
    shop.make("stranger", issuer="self", sans="URI:" + URI + "doctor-1")
    doctor.finds("other-issuer", shop.path("stranger.pem"), sentence="a name that is known of another issuer")
    found = doctor.ask(shop.make("unlisted", sans="URI:" + URI + "doctor-1"))
    tap.ok(found[0] == 0 and "unlisted" in found[2] and
           let_in(state, shop.path("unlisted.pem"), shop.path("unlisted.key")),
           "doctor: a certificate that policy does not list is said, and let in", found)


def check_server_files(state, doctor, shop, files):
    """The server's own files, by a configuration of the doctor's own."""
    with open(state.conf, encoding="utf-8") as f:
        text = f.read()

    def ask(code, option, path):
        lines = [l for l in text.splitlines() if l.split("=")[0].strip() != option or not l.strip().startswith(option)]
        conf = shop.write("own.conf", ("\n".join(lines) + "\n[tls]\n%s = %s\n" % (option, path)).encode())
        got, answer = state.json("client", "doctor", files["cert"], env={"HOLDFAST_CONFIG": conf})
        tap.ok(got == 1 and code in [f["code"] for f in answer.get("findings", [])], "doctor: %s is found" % code,
               answer)

    for file in ("index", "crlnumber"):
        shop.write(file, b"01\n" if file == "crlnumber" else b"")
    with open(shop.path("ca.conf"), "a", encoding="ascii") as f:
        f.write("[crl]\ndatabase=index\ndefault_md=sha256\n")
    shop.openssl("ca", "-config", "ca.conf", "-name", "crl", "-gencrl", "-keyfile", shop.ca_key, "-cert", shop.ca,
                 "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z", "-out", "stale.crl")
    ask("crl-stale", "crl", shop.path("stale.crl"))
    ask("server-files", "crl", shop.path("words"))
    ask("server-crl", "crl", shop.path("there-is-none"))
    ask("server-ca", "client_ca", shop.path("there-is-none"))
    ask("server-files", "client_ca", shop.path("words"))


def check_clock(state, doctor, shop, files):
    if state.sanitized:
        tap.skip("doctor: a clock that is wrong is said", "a sanitizer cannot be preloaded into others")
        return
    shift = {"LD_PRELOAD": os.path.join(support.BUILD, "tests/support/clock_shift.so"),
             "HOLDFAST_CLOCK": shop.write("clock", struct.pack("=q", 3600))}
    code, answer = state.json("client", "doctor", files["cert"], env=shift)
    tap.ok(code == 0 and [f["code"] for f in answer.get("findings", [])] == ["clock"],
           "doctor: a clock that is wrong is said", answer)


def run(state):
    doctor, shop = Doctor(state), Workshop(state)
    files = check_good(state, doctor)
    check_files(state, doctor, shop, files)
    check_certificates(doctor, shop)
    check_chains(doctor, shop)
    check_policy(state, doctor, shop, files)
    check_server_files(state, doctor, shop, files)
    check_clock(state, doctor, shop, files)
