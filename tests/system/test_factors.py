"""Second factors and the listener for old cipher suites, in the running server: what must be there and right, what is
changed while a client is connected, guessing, and who gets in by which door."""
import os
import pty
import select
import ssl
import subprocess
import threading
import time

import client
import support
import tap

NOT_SUCCESSFUL = 3  # Result Reason Authentication Not Successful
FAILURES = 5
WORDS = ("open sesame 71", "open sesame 72", "a device's word 73", "guess number")
QUERY = ("Query", [client.item(0x420074, client.ENUM, 1)])
CBC, PLAIN_RSA = "ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256"


class Factors:
    """The server with a second listener, and clients of it."""

    def __init__(self, state, legacy_port):
        self.state = state
        self.old_door = {**state.env, "HOLDFAST_PORT": str(legacy_port)}

    def enrol(self, name):
        folder = os.path.join(self.state.top, name)
        if not os.path.exists(folder):
            self.state.holdfast("client", "add", name, "--out", folder)
        return {k: os.path.join(folder, k + ".pem") for k in ("cert", "key")}

    def set(self, name, option, value):
        answer = self.state.holdfast("client", "set", name, "--" + option, value, "--reason", "a test")
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr.decode())

    def register(self, name, user, word):
        answer = self.state.holdfast("client", "password", name, "--user", user, "--password-file", "-", "--reason",
                                     "a test", input=word.encode() + b"\n")
        return answer.returncode == 0

    def rows(self, name):
        """Result, reason and detail of the client's audit rows, oldest first."""
        return self.state.psql("SELECT operation, result, coalesce(reason, ''), coalesce(detail, '') FROM audit.events"
                               " WHERE client = '%s' ORDER BY at, seq" % name)


def reason(link, *credentials, version=(1, 4)):
    """0: served."""
    answer = link.call(QUERY, version=version, credentials=credentials)
    return 0 if answer.ok else answer.reason


def served(link, *credentials, version=(1, 4)):
    return reason(link, *credentials, version=version) == 0


def refused(link, *credentials, version=(1, 4)):
    return reason(link, *credentials, version=version) == NOT_SUCCESSFUL


# ---- commands -------------------------------------------------------------------------------------------------------

def on_terminal(state, *args, lines):
    """Runs the command with a terminal of its own, on which it finds these lines when it asks. Exit code, all that
    stood on the terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        env = {"PATH": os.environ["PATH"], **state.env, "HOLDFAST_CONFIG": state.conf}
        os.execve(os.path.join(support.MAIN, "holdfast"), ["holdfast", *args], env)
    seen, said = b"", 0
    while True:
        if said < len(lines) and seen.rstrip().endswith(b":") and seen.count(b":") > said:
            os.write(fd, lines[said].encode() + b"\n")
            said += 1
        ready, _, _ = select.select([fd], [], [], 30)
        try:
            piece = os.read(fd, 4096) if ready else b""
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        seen += piece
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode(errors="replace")


def commands(factors):
    state = factors.state
    factors.enrol("factor-cli")
    code, seen = on_terminal(state, "client", "password", "factor-cli", "--user", "tty", lines=[WORDS[0], WORDS[0]])
    tap.ok(code == 0 and WORDS[0] not in seen, "a password is asked for twice and not shown", (code, seen))
    code, seen = on_terminal(state, "client", "password", "factor-cli", "--user", "tty", lines=[WORDS[0], WORDS[1]])
    tap.ok(code == 1 and "not the same" in seen, "two that differ are refused", (code, seen))
    code, seen = on_terminal(state, "client", "password", "factor-cli", "--user", "tty", lines=["half of it\x03"])
    tap.ok(code == 5, "an interruption ends it", (code, seen))
    code, answer = state.json("client", "device", "factor-cli", "--serial", "S-9", "--media-id", "M-1")
    tap.ok(code == 0 and answer["factor"] > 0, "a device is registered", answer)
    code, answer = state.json("client", "device", "factor-cli", "--serial", "S-9", "--media-id", "M-1")
    tap.ok(code == 1, "once", answer)
    code, answer = state.json("client", "device", "factor-cli")
    tap.ok(code == 2, "and not without anything to know it by", answer)
    code, rows = state.json("client", "factors", "factor-cli")
    tap.ok(code == 0 and [(r["kind"], r["user"], r.get("device"), r["password"]) for r in rows] == [
        ("password", "tty", None, True),
        ("device", "", {"DeviceSerialNumber": "S-9", "MediaIdentifier": "M-1"}, False)],
        "client factors lists them", rows)
    for bad, word, why in (("factor-none", b"x", "an unknown client"), ("factor-cli", b"", "an empty password"),
                           ("factor-cli", b"x" * 1025, "a password of 1025 bytes"),
                           ("factor-cli", b"a\0b", "a NUL in it")):
        answer = state.holdfast("client", "password", bad, "--user", "u", "--password-file", "-", input=word)
        tap.ok(answer.returncode in (1, 5), "%s is refused" % why, answer.stderr)
    answers = [state.json("client", "factor-remove", str(r["factor"]))[0] for r in rows]
    tap.ok(answers == [0, 0] and state.json("client", "factors", "factor-cli")[1] == [], "factor-remove removes them")
    tap.ok(state.json("client", "factor-remove", str(rows[0]["factor"]))[0] == 1, "once")
    acts = [r[0] for r in state.psql("SELECT operation FROM audit.events WHERE detail LIKE 'client=factor-cli factor=%'"
                                     " ORDER BY at, seq")]
    tap.ok(acts == ["Admin Add Password", "Admin Add Device", "Admin Remove Factor", "Admin Remove Factor"],
           "each is audited", acts)


def rights(factors):
    """What the roles of the database may do with factors."""
    state = factors.state
    tap.ok(state.psql("SELECT count(*) FROM policy.factors", role="holdfast_policy"), "the policy role sees the view")
    for role, sql in (("holdfast_policy", "SELECT hash FROM policy.factor"),
                      ("holdfast_policy", "DELETE FROM policy.factor"),
                      ("holdfast_policy", "SELECT policy.factor_changed(NULL, '', '', '')"),
                      ("holdfast_server", "SELECT policy.factor_remove(1, 'x')"),
                      ("holdfast_server", "UPDATE policy.factor SET name = ''"),
                      ("holdfast_auditor", "SELECT id FROM policy.factor")):
        try:
            state.psql(sql, role=role)
            tap.ok(False, "%s may not: %s" % (role, sql))
        except RuntimeError as error:
            tap.ok("permission denied" in str(error), "%s may not: %s" % (role, sql), error)


def bounds(factors):
    """What the functions of the SQL API refuse."""
    word = "SELECT policy.password_add('factor-cli', '%s', '%s', %d, %d, %d, decode(repeat('00', %d), 'hex'), '%s')"
    device = "SELECT policy.device_add('factor-cli', '%s', NULL, NULL, NULL, NULL, %s, 'why')"
    good = ("u", "s" * 16, 14, 8, 5, 32, "why")
    factors.state.psql("BEGIN; %s; ROLLBACK" % (word % good), role="holdfast_policy")
    refused = [(what, word % (good[:at] + (value,) + good[at + 1:])) for what, at, value in (
        ("a name of 1025 bytes", 0, "u" * 1025), ("a salt of 15 bytes", 1, "s" * 15),
        ("a salt of 65 bytes", 1, "s" * 65), ("128 MiB", 2, 17), ("a cost of 9", 2, 9), ("a block size of 0", 3, 0),
        ("16 MiB 17 times", 4, 17),
        ("a hash of 31 bytes", 5, 31), ("an empty reason", 6, ""), ("a reason of 1025 bytes", 6, "w" * 1025))]
    refused += [(what, device % (facts, rest)) for what, facts, rest in (
        ("a device without facts", "{}", "NULL"), ("an unknown fact", '{"Colour": "red"}', "NULL"),
        ("a fact that is a number", '{"MediaIdentifier": 1}', "NULL"),
        ("an empty fact", '{"MediaIdentifier": ""}', "NULL"),
        ("facts that are a list", '["MediaIdentifier"]', "NULL"),
        ("a hash without its salt", '{"MediaIdentifier": "m"}', "decode(repeat('00', 32), 'hex')"))]
    refused.append(("a 65th factor", "SELECT policy.device_add('factor-cli', jsonb_build_object('MediaIdentifier',"
                    " 'm' || i), NULL, NULL, NULL, NULL, NULL, 'why') FROM generate_series(1, 65) AS i"))
    for what, sql in refused:
        try:
            factors.state.psql(sql, role="holdfast_policy")
            tap.ok(False, "%s is refused" % what)
        except RuntimeError as error:
            tap.ok("ERROR" in str(error) and "syntax" not in str(error), "%s is refused" % what, error)
    left = factors.state.json("client", "factors", "factor-cli")[1]
    tap.ok(left == [], "and nothing of it stays", left)


# ---- credentials ----------------------------------------------------------------------------------------------------

def credentials(factors):
    files = factors.enrol("factor-1")
    p, d = client.password, client.device
    with client.Connection(factors.state.env, **files) as link:
        tap.ok(served(link) and served(link, p("any", "thing")) and served(link, p("", "")),
               "what nobody registered is overlooked")
        tap.ok(factors.register("factor-1", "array", WORDS[0]), "a password is registered")
        tap.ok(served(link) and served(link, p("array", WORDS[0])) and refused(link, p("array", "wrong")),
               "one that is not needed must be right if it is there")
        factors.set("factor-1", "second-factor", "yes")
        tap.ok(refused(link), "a needed one must be there")
        tap.ok(served(link, p("array", WORDS[0])), "and right")
        tap.ok(all(served(link, p("array", WORDS[0]), version=v) for v in ((1, 0), (1, 2), (2, 1))),
               "in each version")
        began = time.monotonic()
        wrong = [link.call(QUERY, credentials=[c]) for c in (p("array", "wrong"), p("Array", WORDS[0]), p("array"))]
        tap.ok([w.reason for w in wrong] == [NOT_SUCCESSFUL] * 3 and len({w.message for w in wrong}) == 1,
               "a wrong user and a wrong password get the same answer", wrong)
        tap.ok(time.monotonic() - began >= 3 * 0.2, "later than usual")
        batch = link.call(QUERY, client.create("factor-batch"), credentials=[p("array", "wrong again")])
        tap.ok([b.reason for b in batch] == [NOT_SUCCESSFUL] * 2, "a whole batch is refused", batch)
        tap.ok(factors.state.holdfast("client", "device", "factor-1", "--serial", "S-1", "--password-file", "-",
                                      input=WORDS[2].encode()).returncode == 0,
               "a device with a password is registered")
        tap.ok(served(link, d("S-1", "any shelf", WORDS[2])), "the device is let in")
        tap.ok(served(link, p("array", WORDS[0]), d("S-1", None, WORDS[2])), "and both together")
        tap.ok(refused(link, p("array", WORDS[0]), d("S-1")), "of several all must be right")
        tap.ok(factors.register("factor-1", "array", WORDS[1]), "the password is changed while the client is connected")
        tap.ok(refused(link, p("array", WORDS[0])) and served(link, p("array", WORDS[1])),
               "which holds at the next request")
        factors.set("factor-1", "quirks", "empty-credentials")
        factors.set("factor-1", "second-factor", "no")
        tap.ok(served(link, p("", "")) and served(link, p("")), "with the quirk for it an empty one counts as none")
        factors.set("factor-1", "quirks", "none")
        tap.ok(refused(link, p("", "")), "without it, it is wrong")
    details = {r[3] for r in factors.rows("factor-1") if r[2] == "Authentication Not Successful"}
    tap.ok(details == {"there is no second factor", "the second factor is wrong"}, "each refusal is audited", details)


def connects(factors, files, seconds):
    """Longest time of a request of another client while it lasts, and how many there were."""
    longest, count, end = 0, 0, time.monotonic() + seconds
    with client.Connection(factors.state.env, **files) as link:
        while time.monotonic() < end:
            began = time.monotonic()
            if not served(link):
                return None
            longest, count = max(longest, time.monotonic() - began), count + 1
    return longest, count


def guess(factors, files, stop, seen):
    number = 0
    with client.Connection(factors.state.env, **files) as link:
        while not stop.is_set():
            number += 1
            seen.append(reason(link, client.password("array", "%s %d %d" % (WORDS[3], threading.get_ident(), number))))


def guessing(factors):
    files, other = factors.enrol("factor-guess"), factors.enrol("factor-other")
    factors.register("factor-guess", "array", WORDS[0])
    right = client.Connection(factors.state.env, **files)
    tap.ok(served(right, client.password("array", WORDS[0])), "before it all the right password is shown")
    quiet = connects(factors, other, 2)
    stop, seen = threading.Event(), []
    guessers = [threading.Thread(target=guess, args=(factors, files, stop, seen)) for _ in range(16)]
    for g in guessers:
        g.start()
    during = connects(factors, other, 4)
    good = served(right, client.password("array", WORDS[0]))
    with client.Connection(factors.state.env, **files) as late:
        tap.ok(reason(late, client.password("array", WORDS[0])) != 0,
               "a right one among too many wrong ones is not taken")
    stop.set()
    for g in guessers:
        g.join()
    tap.note("report another client's longest request: %s quiet, %s while somebody guesses" % (quiet, during))
    tap.ok(seen and 0 not in seen, "no guess is right", len(seen))
    tap.ok(good, "who has shown it before is served all along")
    tap.ok(during and during[1] > 50 and during[0] < 2, "other clients are served meanwhile", (quiet, during))
    looked = [r[3] for r in factors.rows("factor-guess") if r[1] != "Success"]
    unseen = [d for d in looked if "not looked at" in d]
    # those at the limit may all be under way: four of each worker
    most = FAILURES + 4 * len(factors.state.workers())
    wrong = looked.count("the second factor is wrong")
    tap.ok(FAILURES <= wrong <= most and unseen, "after %d the others are not even looked at" % FAILURES,
           (wrong, len(unseen)))
    right.close()


def secrets(factors):
    """No password stands in a log or an audit row."""
    texts = [factors.state.log(n) for n in ("holdfastd",)]
    texts += ["\n".join(r) for r in factors.state.psql("SELECT to_jsonb(e)::text FROM audit.events e")]
    texts += ["\n".join(r) for r in factors.state.psql("SELECT f::text FROM policy.factor f", role="postgres")]
    found = [w for w in WORDS for t in texts if w in t]
    tap.ok(not found, "no password stands in log, audit or database", found)


# ---- the other listener ---------------------------------------------------------------------------------------------

def old_client(state, files, ciphers):
    context = client.tls_context(state.env, files["cert"], files["key"], ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers)
    return context


def comes_in(env, context):
    """The cipher suite, None where it gets no answer."""
    try:
        with client.Connection(env, context=context) as link:
            return link.tls.cipher()[0] if served(link) else None
    except OSError:
        return None


def rsa_certificate(state):
    """Another certificate of the server, with an RSA key. Paths of certificate and key."""
    at = os.path.join(state.top, "rsa-server")
    ca = os.path.join(os.path.realpath(state.dir), "ca")
    with open(at + ".ext", "w", encoding="ascii") as f:
        f.write("subjectAltName = DNS:localhost, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n"
                "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature, keyEncipherment\n"
                "authorityKeyIdentifier = keyid\nsubjectKeyIdentifier = hash\n")
    for args in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", at + ".key", "-subj", "/CN=localhost",
                  "-out", at + ".csr"],
                 ["x509", "-req", "-in", at + ".csr", "-CA", os.path.join(ca, "ca.pem"), "-CAkey",
                  os.path.join(ca, "ca.key"), "-set_serial", "0x7155aa33", "-days", "30", "-sha256", "-extfile",
                  at + ".ext", "-out", at + ".pem"]):
        subprocess.run(["openssl", *args], check=True, capture_output=True)
    os.chmod(at + ".key", 0o600)
    return at + ".pem", at + ".key"


def old_door(factors):
    state = factors.state
    files = factors.enrol("factor-old")
    old, modern = old_client(state, files, CBC), client.tls_context(state.env, files["cert"], files["key"])
    answer = state.holdfast("status").stdout.decode()
    tap.ok("legacy TLS  on 127.0.0.1 port %s" % factors.old_door["HOLDFAST_PORT"] in answer, "status shows it", answer)
    tap.ok(comes_in(state.env, old) is None, "the usual listener does not take a CBC suite")
    tap.ok(comes_in(factors.old_door, old) is None, "the old one does not take a client without leave")
    rows = support.wait_for(lambda: [r for r in factors.rows("factor-old") if r[0] == "Legacy TLS Connection"], 20)
    tap.ok(rows and rows[0][1:3] == ["Operation Failed", "Authentication Not Successful"], "which is audited", rows)
    factors.set("factor-old", "legacy-tls", "yes")
    tap.ok(comes_in(factors.old_door, old) == CBC, "with leave it is served by CBC")
    tap.ok(comes_in(factors.old_door, old_client(state, files, "ECDHE-ECDSA-AES256-SHA")) == "ECDHE-ECDSA-AES256-SHA",
           "also with SHA-1 in its MAC")
    only_new = client.tls_context(state.env, files["cert"], files["key"], ssl.TLSVersion.TLSv1_3)
    tap.ok(comes_in(factors.old_door, only_new) is None, "TLS 1.3 is not spoken there")
    tap.ok(comes_in(state.env, modern) is not None, "and it still comes in by the usual one")
    tap.ok(support.wait_for(lambda: state.status()["totals"]["legacy"] >= 4, 20, 0.2), "connections are counted")
    other = old_client(state, factors.enrol("factor-other"), CBC)
    tap.ok(comes_in(factors.old_door, other) is None, "another client has no leave by that")
    with client.Connection(factors.old_door, context=old) as link:
        tap.ok(served(link), "a connection is open")
        factors.set("factor-old", "legacy-tls", "no")
        try:
            gone = not served(link)
        except OSError:
            gone = True
        tap.ok(gone, "and ends at the next request once the leave is taken back")
    factors.set("factor-old", "legacy-tls", "yes")
    factors.register("factor-old", "array", WORDS[0])
    factors.set("factor-old", "second-factor", "yes")
    tap.ok(comes_in(factors.old_door, old) is None, "a second factor is needed there as elsewhere")
    factors.set("factor-old", "second-factor", "no")
    certificate, key = rsa_certificate(state)
    with state.settings({"tls.certificate": certificate, "tls.key": key}):
        plain = old_client(state, files, PLAIN_RSA)
        took = support.wait_for(lambda: comes_in(factors.old_door, plain) == PLAIN_RSA, 20, 0.2)
        tap.ok(took, "with an RSA certificate RSA key exchange is spoken")
        tap.ok(comes_in(state.env, plain) is None, "but not by the usual listener")


def run(state):
    tap.ok("legacy_port" not in state.status(), "by default there is one listener")
    port = support.free_port()
    options = {"limits.factor_failures": FAILURES, "limits.factor_refill_ms": 600000, "limits.factor_delay_ms": 200,
               "server.legacy_listen_address": "127.0.0.1", "server.legacy_port": port}
    factors = Factors(state, port)
    commands(factors)
    rights(factors)
    bounds(factors)
    with state.settings({**options, "limits.factor_failures": 1000}, restart=True):
        state.wait_all_open()
        credentials(factors)
        old_door(factors)
    with state.settings(options, restart=True):
        state.wait_all_open()
        guessing(factors)
    secrets(factors)
