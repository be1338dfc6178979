"""A month of the audit trail that goes: exports and their verification without a server, refusals of a drop, the drop against
a signed stub, and what forgers try. For test_auditor, which has loaded a year of rows."""
import json
import os
import re
import subprocess
import threading

import client
import support
import tap


def verify(state, path):
    """Exit code and kinds of findings; without server and database."""
    code, answer = state.json("audit", "verify", path, env={"PGHOST": "/nonexistent", "HOLDFAST_CONFIG": "/nonexistent"})
    return code, [r["what"] for r in answer.get("rows", [])], answer


def export(state, path, *options):
    answer = state.holdfast("audit", "export", "--out", path, *options)
    return tap.ok(answer.returncode == 0, "audit export %s" % " ".join(options), answer.stderr)


def dropped(state, month, path, reason="a test"):
    code, answer = state.json("audit", "drop", month, "--export", path, "--reason", reason)
    return code, answer


def signature_by_hand(state, month):
    """OpenSSL's word on the stub's signature, as the manual page says."""
    message = state.psql("SELECT message, signature FROM audit.stubs WHERE month = '%s'" % month)[0]
    pem = state.psql("SELECT pem FROM audit.signers")[0][0]
    sig = message[1]
    def number(text):
        raw = bytes.fromhex(text).lstrip(b"\0")
        raw = b"\0" + raw if raw[0] & 0x80 else raw
        return bytes([2, len(raw)]) + raw
    body = number(sig[:64]) + number(sig[64:])
    files = {"line": message[0].encode(), "ak.pem": pem.encode(), "sig.der": bytes([0x30, len(body)]) + body}
    for name, content in files.items():
        with open(os.path.join(state.top, name), "wb") as f:
            f.write(content)
    return subprocess.run(["openssl", "dgst", "-sha256", "-verify", "ak.pem", "-signature", "sig.der", "line"], cwd=state.top,
                          capture_output=True, text=True, timeout=60)


def own_key(state):
    """A key pair of nobody's TPM, as an attestation key would stand in the database: TPM2B_PUBLIC in hexadecimal."""
    key = os.path.join(state.top, "own.pem")
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True, timeout=60)
    der = subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-outform", "DER"], capture_output=True, check=True, timeout=60)
    x, y = der.stdout[-64:-32].hex(), der.stdout[-32:].hex()
    return key, "00580023000b00050472000000100018000b000300100020" + x + "0020" + y


def sign(key, line):
    """r and s of OpenSSL's signature, 32 bytes each, in hexadecimal."""
    der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=line, capture_output=True, check=True, timeout=60).stdout
    r = der[4:4 + der[3]]
    s = der[6 + der[3]:]
    return "".join(number[-32:].rjust(32, b"\0").hex() for number in (r, s))


def key_of_the_server(state, month, rows, sha):
    """Whoever has the database roles of server and policy brings a node and a key along: no stub is believed by it."""
    node = "00000000-0000-4000-8000-00000000beef"
    key, public = own_key(state)
    state.psql("INSERT INTO kmip.node (id, ak_pub, cr_id, pcr_mask, approval) SELECT '%s', decode('%s', 'hex'), cr_id, pcr_mask, approval "
               "FROM kmip.node LIMIT 1" % (node, public), "holdfast_server")
    at = state.psql("SELECT clock_timestamp()")[0][0]
    what = "'%s-01', %s, decode('%s', 'hex'), 'mine', '%s'" % (month, rows, sha, at)
    digest = state.psql("SELECT encode(audit.drop_digest(%s), 'hex')" % what, "holdfast_policy")[0][0]
    signature = sign(key, ("holdfast audit stub %s\n" % digest).encode())
    try:
        state.psql("SELECT audit.drop_month(%s, '%s', decode('%s', 'hex'))" % (what, node, signature), "holdfast_policy")
        tap.ok(False, "a key that the server's role brought lets no month go")
    except RuntimeError as error:
        tap.ok("whose attestation key is believed" in str(error), "a key that the server's role brought lets no month go", error)
    state.psql("DELETE FROM kmip.node WHERE id = '%s'" % node, "postgres")


def only_the_latest_export(state, month, path, rows):
    """The database drops a month against the file that it has recorded, and records none that has other rows."""
    try:
        state.psql("SELECT audit.note_export('mine', '%s-01', %d, sha256('x'))" % (month, rows - 1))
        tap.ok(False, "an export with another number of rows is not recorded")
    except RuntimeError as error:
        tap.ok("has %d rows, the export %d" % (rows, rows - 1) in str(error), "an export with another number of rows is not recorded", error)
    export(state, path + ".csv", "--month", month, "--format", "csv")
    code, said = dropped(state, month, path)
    tap.ok(code != 0 and "not that of its latest export" in said["error"] and "export the month again" in said["next"],
           "nor is a month dropped against an earlier export", said)
    export(state, path, "--month", month)
    now = state.psql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')")[0][0]
    export(state, path + ".now", "--month", now)
    tap.ok(state.psql("SELECT coalesce(exported_at::text, 'never') FROM audit.partitions WHERE month = '%s'" % now) == [["never"]],
           "an export of a month that is not over does not count as one of it")


def refusals_of_drop(state, month, path):
    code, answer = dropped(state, month, path)
    tap.ok(code != 0 and "no retention period" in answer["error"], "without a retention period nothing is dropped", answer)
    answer = state.holdfast("audit", "retention", "1200", "--reason", "forever, nearly")
    code, said = dropped(state, month, path)
    tap.ok(code != 0 and "kept until" in said["error"], "before the retention period is over nothing is dropped", said)
    answer = state.holdfast("audit", "retention", "6", "--reason", "half a year")
    tap.ok(answer.returncode == 0, "audit retention sets the period", answer.stderr)
    acts = state.psql("SELECT act, detail FROM audit.admin_acts() WHERE act = 'Admin Set Audit Retention' ORDER BY at DESC LIMIT 1")
    tap.ok(acts == [["Admin Set Audit Retention", "keep_months=6 reason=half a year"]], "and it is audited", acts)
    with open(path, encoding="utf-8") as f:
        lines = f.readlines()
    bad = os.path.join(state.top, "bad.jsonl")
    with open(bad, "w", encoding="utf-8") as f:
        f.writelines(lines[:len(lines) // 2] + lines[len(lines) // 2 + 1:])
    code, said = dropped(state, month, bad)
    tap.ok(code == 6, "a file that lacks a row drops nothing", said)
    export(state, bad, "--client", "load-3", "--from", "2000-01-01")
    code, said = dropped(state, month, bad)
    tap.ok(code == 1 and "not an export of the whole month" in said["error"], "nor does one that was filtered", said)
    other = state.psql("SELECT month FROM audit.partitions ORDER BY month OFFSET 1 LIMIT 1")[0][0]
    code, said = dropped(state, other, path)
    tap.ok(code == 1, "nor one of another month", said)
    young = state.psql("SELECT to_char(now() - interval '1 month', 'YYYY-MM')")[0][0]
    export(state, bad, "--month", young)
    code, said = dropped(state, young, bad)
    tap.ok(code == 1 and "kept until" in said["error"], "nor is a month dropped that is too young", said)
    rows, sha = state.psql("SELECT exported_rows, export_sha256 FROM audit.partitions WHERE month = '%s'" % month)[0]
    only_the_latest_export(state, month, path, int(rows))
    rows, sha = state.psql("SELECT exported_rows, export_sha256 FROM audit.partitions WHERE month = '%s'" % month)[0]
    node = state.psql("SELECT node FROM audit.signers")[0][0]
    for name, signature in (("nonsense", "ab" * 64), ("zeros", "00" * 64), ("nothing", "")):
        try:
            state.psql("SELECT audit.drop_month('%s-01', %s, decode('%s', 'hex'), 'x', now(), '%s', decode('%s', 'hex'))"
                       % (month, rows, sha, node, signature), "holdfast_policy")
            tap.ok(False, "the database drops nothing against a signature of " + name)
        except RuntimeError as error:
            tap.ok(re.search("signature|check constraint", str(error)), "the database drops nothing against a signature of " + name, error)
    key_of_the_server(state, month, rows, sha)
    # a row that was changed behind the triggers keeps its month
    change = "SET session_replication_role = replica; UPDATE audit.event_%s SET result = '%s' WHERE seq = 5 AND stream = (SELECT min(stream::text)::uuid FROM audit.event_%s WHERE seq = 5)"
    part = month.replace("-", "_")
    state.psql(change % (part, "Success, really", part), "postgres")
    code, months = state.json("audit", "partitions", "--verify")
    tap.ok([m["verified"] for m in months if m["month"] == month] == [False], "audit partitions --verify tells the changed row", months[:1])
    code, said = dropped(state, month, path)
    tap.ok(code != 0 and "does not match its hash" in said["error"], "a month with a changed row is not dropped", said)
    was = next(r for r in map(json.loads, lines) if r.get("seq") == 5 and r["record"] == "event")["result"]
    state.psql(change % (part, was, part), "postgres")


class Busy(threading.Thread):
    """A client that goes on while a month is dropped."""

    def __init__(self, state):
        super().__init__()
        self.state, self.stop, self.done, self.failed = state, False, 0, []

    def run(self):
        link = client.Connection(self.state.env)
        while not self.stop:
            answer = link.call(client.locate("audited"))
            self.done += 1
            if not answer.ok:
                self.failed.append(str(answer))
        link.close()


def while_read(state, month, path):
    """Somebody reads the trail for long: the drop gives up at once, and nobody waits for it."""
    reader = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-U", "holdfast_auditor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env={"PATH": os.environ["PATH"], **state.env})
    reader.stdin.write("BEGIN; SELECT 'reads' FROM audit.event LIMIT 1;\n")
    reader.stdin.flush()
    reads = reader.stdout.readline().strip()
    code, said = dropped(state, month, path)
    reader.communicate("COMMIT;\n", timeout=60)
    tap.ok(reads == "reads" and code != 0 and "somebody reads" in said["error"], "while somebody reads the trail a month is not dropped", said)
    left = state.psql("SELECT count(*) FROM audit.stubs")
    tap.ok(left == [["0"]], "and no stub is left of that", left)


def not_forwarded(state, month):
    """What a receiver has not got does not go."""
    ask = "SELECT coalesce(why_not, 'nothing') FROM audit.partitions WHERE month = '%s'" % month
    state.psql("SELECT audit.forward_claim('slow'); SELECT audit.forward_begin('slow', false)", role="postgres")
    waits = state.psql(ask)[0][0]
    state.psql("SELECT audit.forward_forget('slow', 'the test is over')", role="postgres")
    tap.ok(waits == "a destination of audit forward has not got all of it" and state.psql(ask) == [["nothing"]],
           "a month that a receiver waits for is kept, until it waits no longer", (waits, state.psql(ask)))


def retention(state, month, path):
    refusals_of_drop(state, month, path)
    not_forwarded(state, month)
    while_read(state, month, path)
    rows = int(state.psql("SELECT exported_rows FROM audit.partitions WHERE month = '%s'" % month)[0][0])
    busy = Busy(state)
    busy.start()
    code, said = dropped(state, month, path)
    busy.stop = True
    busy.join()
    tap.ok(code == 0 and said["rows"] == rows, "the month is dropped against its export", said)
    tap.ok(busy.done > 0 and not busy.failed, "and clients go on meanwhile", (busy.done, busy.failed[:1]))
    left = state.psql("SELECT to_regclass('audit.event_%s'), (SELECT count(*) FROM audit.partitions WHERE month = '%s')"
                      % (month.replace("-", "_"), month))
    tap.ok(left == [["", "0"]], "its partition is gone", left)
    answer = state.psql("SELECT what, detail FROM audit.verify()")
    tap.ok(answer[0][0] == "verified" and "%d rows went with 1 months" % rows in answer[0][1], "audit.verify() takes the stub for its rows", answer)
    code, said = state.json("audit", "verify")
    tap.ok(code == 0, "so does holdfast audit verify, which pins the node's key", said)
    code, stubs = state.json("audit", "stubs")
    tap.ok(code == 0 and len(stubs) == 1 and stubs[0]["verdict"] == "good" and stubs[0]["reason"] == "a test", "audit stubs lists it", stubs)
    answer = signature_by_hand(state, month)
    tap.ok(answer.stdout.strip() == "Verified OK", "OpenSSL verifies the stub's signature against the attestation key", answer.stderr)
    asked = state.psql("SELECT client, detail, s.opener FROM audit.events e JOIN audit.streams s ON s.stream = e.stream WHERE operation = "
                       "'Admin Sign Audit Stub' AND at < (SELECT at FROM audit.events WHERE operation = 'Admin Drop Audit Month') "
                       "ORDER BY at DESC LIMIT 1")
    tap.ok(asked and re.fullmatch(r"root \(uid 0, pid \d+\)", asked[0][0]) and asked[0][1] == "digest=" + stubs[0]["digest"]
           and asked[0][2] != "administration", "who had it signed is in the audit trail before, with the digest", asked)
    tap.ok(re.search(r'event=stub.sign who="root \(uid 0, pid \d+\)" digest=%s audited=yes' % stubs[0]["digest"].upper(), state.log(), re.I),
           "and in the log", [line for line in state.log().splitlines() if "stub.sign" in line])
    acts = state.psql("SELECT detail FROM audit.admin_acts() WHERE act = 'Admin Drop Audit Month'")
    tap.ok(len(acts) == 1 and stubs[0]["digest"] in acts[0][0], "the act is in the audit trail, with the stub's digest", acts)
    code, said = dropped(state, month, path)
    tap.ok(code != 0, "it cannot be dropped twice", said)
    whole = os.path.join(state.top, "rest.jsonl")
    export(state, whole)
    code, whats, said = verify(state, whole)
    tap.ok(code == 0, "an export of what is left tells the gap and verifies", said)
    with open(whole, encoding="utf-8") as f:
        gaps = [r for r in map(json.loads, f) if r["record"] == "gap"]
    tap.ok(len(gaps) == 8 and all("reason" not in g for g in gaps) and sum(g["position"] for g in gaps) == rows,
           "a gap for each stream, of as many rows as went", gaps[:1])
    forged(state, month)


def forged(state, month):
    """What a superuser of PostgreSQL might try: each is undone again."""
    free = "BEGIN; SET LOCAL session_replication_role = replica; %s; SELECT what, count(*) FROM audit.verify() GROUP BY what ORDER BY what; ROLLBACK"
    next_month = state.psql("SELECT min(month) FROM audit.partitions")[0][0]
    part = "audit.event_" + next_month.replace("-", "_")
    new = ("INSERT INTO audit.stub SELECT '%s-01', (SELECT count(*) FROM %s), export_sha256, dropped_at, dropped_by, reason, ak_pub, signature "
           "FROM audit.stub; INSERT INTO audit.stub_run SELECT * FROM audit.month_runs('%s-01'); DROP TABLE %s" % (next_month, part, next_month, part))
    key = "decode('005800' || repeat('00', 87), 'hex')"
    for name, statement, want in (
            ("rows are removed and the old signature is used for a new stub", new, {"forged", "removed"}),
            ("a stub is removed", "DELETE FROM audit.stub_run; DELETE FROM audit.stub", {"removed"}),
            ("a stub's reason is changed", "UPDATE audit.stub SET reason = 'because'", {"forged", "removed"}),
            ("a stub's run is made longer", "UPDATE audit.stub_run SET last_seq = last_seq + 1 WHERE stream = (SELECT min(stream::text)::uuid FROM audit.stub_run)", {"forged", "removed"}),
            ("a stub's hash is changed", "UPDATE audit.stub_run SET after = sha256(after)", {"forged", "removed"}),
            ("a stub is signed by a key of no node", "UPDATE audit.stub SET ak_pub = %s" % key, {"forged", "removed"}),
            ("a row next to the gap is removed", "DELETE FROM %s WHERE seq = (SELECT max(last_seq) + 1 FROM audit.stub_run) " % part, {"removed"})):
        rows = state.psql(free % statement, "postgres")
        tap.ok({r[0] for r in rows} == want, "%s: audit.verify() says %s" % (name, " and ".join(sorted(want))), rows)
    tap.ok(state.psql("SELECT what FROM audit.verify()") == [["verified"]], "undone, the trail is whole")
