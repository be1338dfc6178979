"""An auditor's work: a session in psql with its expected output, plans that use indexes over a year of rows, statements
that no role may run, exports that are verified offline and tampered with, and a month that goes against a signed stub."""
import json
import os
import re
import subprocess
import threading

import client
import support
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, MONTHS = 100000, 12
MASKS = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00", "<time>"),
    (r"\d{4}-\d\d-\d\d", "<day>"),
    (r"\b\d{4}-\d\d\b", "<month>"),
    (r"[0-9a-f]{64}", "<hash>"),
    (r"\d+ streams, \d+ rows", "<n> streams, <n> rows"),
)


def masked(text):
    for pattern, to in MASKS:
        text = re.sub(pattern, to, text)
    # columns are as wide as what stood there
    text = re.sub(r"-{3,}(\+-+)*|-+(\+-+)+", "---", text)
    return "\n".join(re.sub(r" +", " ", line).strip() for line in text.splitlines()) + "\n"


def load(state):
    """A year of rows, and a client whose every step is known. The key and the time before it."""
    state.psql("SET load.rows = %d; SET load.months = %d; SET load.streams = 8; SET load.clients = 20; SET load.keys = 500;"
               % (ROWS, MONTHS) + open(os.path.join(HERE, "../support/audit_load.sql"), encoding="utf-8").read(), "postgres")
    since = state.psql("SELECT clock_timestamp()")[0][0]
    certs = os.path.join(state.top, "auditor")
    for name in ("auditor", "auditor-idle", "auditor-gone"):
        answer = state.holdfast("client", "add", name, "--out", certs + name)
        assert answer.returncode == 0, answer.stderr

    def env(name):
        return {"HOLDFAST_CERT": certs + name + "/cert.pem", "HOLDFAST_KEY": certs + name + "/key.pem",
                "HOLDFAST_CA": certs + name + "/ca.pem"}

    def call(*words, who="auditor"):
        return state.json("key", *words, env=env(who))[1]
    key = call("create", "--name", "audited", "--activate")["id"]
    call("get", key, "--out", os.path.join(state.top, "audited.key"))
    call("get", "00000000-0000-7000-8000-00000000abcd", "--out", os.path.join(state.top, "no.key"))
    call("set-attribute", key, "DeactivationDate", state.psql("SELECT to_char(now() + interval '9 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")[0][0])
    old = call("create", "--name", "withdrawn", "--length", "128", "--activate")["id"]
    call("revoke", old)
    call("destroy", key)
    call("create", "--name", "left-behind", who="auditor-gone")
    state.holdfast("client", "revoke", "auditor-gone")
    return key, since


def session(state, key, since):
    answer = subprocess.run(["psql", "-X", "-q", "-v", "key=" + key, "-v", "since=" + since, "-U", "holdfast_auditor", "-f",
                             os.path.join(HERE, "auditor.sql")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={"PATH": os.environ["PATH"], "PGTZ": "UTC", "LC_ALL": "C.UTF-8", **state.env}, timeout=180)
    got = masked(re.sub(r"psql:\S*auditor\.sql:\d+: ", "", answer.stdout))
    path = os.path.join(HERE, "auditor.expected")
    if os.environ.get("HOLDFAST_EXPECT"):
        with open(os.environ["HOLDFAST_EXPECT"], "w", encoding="utf-8") as f:
            f.write(got)
    with open(path, encoding="utf-8") as f:
        want = f.read()
    lines = [(a, b) for a, b in zip(want.splitlines(), got.splitlines()) if a != b]
    tap.ok(got == want, "the auditor's session in psql says what it should", "%s\n%s" % (lines[:5], answer.stderr))


# ---- plans ----

def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def plans(state, key):
    """Of a partition with rows nothing is read by a sequential scan, unless the period takes in all of it; and none
    outside the period is opened."""
    inside = state.psql("SELECT date_trunc('month', now() - interval '3 months') + interval '5 days', "
                        "date_trunc('month', now() - interval '3 months') + interval '7 days', "
                        "'event_' || to_char(now() AT TIME ZONE 'UTC' - interval '3 months', 'YYYY_MM')")[0]
    period, month = "'%s', '%s'" % tuple(inside[:2]), inside[2]
    # the default partition and those to come are nearly empty
    big = {r[0] for r in state.psql("SELECT relname FROM pg_class WHERE relname LIKE 'event\\_2%' AND reltuples > 5000")}
    tap.ok(len(big) >= MONTHS, "there is a year of rows to plan for", big)
    some = state.psql("SELECT object FROM audit.events WHERE client = 'load-1' AND object IS NOT NULL LIMIT 1")[0][0]
    for query, only in (
            ("audit.key_events('%s')" % some, None),
            ("audit.key_events('%s', %s)" % (some, period), month),
            ("audit.key_users('%s')" % some, None),
            ("audit.client_events('load-1')", None),
            ("audit.client_events('load-1', %s)" % period, month),
            ("audit.refusals(%s)" % period, month),
            ("audit.refusals_by_reason(%s)" % period, month),
            ("audit.refusals_by_client(%s)" % period, month),
            ("audit.exports_of(%s)" % period, month),
            ("audit.exports_of(%s, p_client => 'load-1')" % period, month),
            ("audit.exports_of('-infinity', p_key => '%s')" % some, None),
            ("audit.exports WHERE object = '%s'" % some, None),
            ("audit.failures WHERE object = '%s'" % some, None),
            ("audit.events WHERE client_id = (SELECT id FROM audit.clients WHERE name = 'load-1') AND at > now() - interval '40 days'", None),
            ("audit.admin_acts()", None),
            ("audit.policy_changes('-infinity')", None),
            ("audit.keys_unused()", None),
            ("audit.days(%s)" % period, month)):
        plan = json.loads(state.psql("EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) SELECT * FROM " + query)[0][0])[0]["Plan"]
        scans = [n for n in nodes(plan) if str(n.get("Relation Name", "")).startswith("event_")]
        whole = [n for n in scans if n["Relation Name"] in big and n["Node Type"] == "Seq Scan" and n["Actual Loops"] > 0]
        outside = [n["Relation Name"] for n in scans if only and n["Relation Name"] != only]
        tap.ok(scans and not whole and not outside, "an index serves %s" % re.sub(r"'[^']*'", "'...'", query),
               json.dumps([whole, outside])[:2000])


# ---- rights ----

AUDIT_TABLES = ("event", "stream", "stub", "stub_run", "retention", "export")


def forbidden(state):
    month = state.psql("SELECT min(relname) FROM pg_class WHERE relname LIKE 'event\\_2%' AND relkind = 'r'")[0][0]
    tables = ["audit." + t for t in AUDIT_TABLES] + ["audit." + month]
    acts = {}
    writes = ["INSERT INTO %s DEFAULT VALUES", "UPDATE %s SET " , "DELETE FROM %s", "TRUNCATE %s"]
    columns = dict(state.psql("SELECT 'audit.' || c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
                              "WHERE c.relnamespace = 'audit'::regnamespace AND a.attnum = 2"))
    for role in ("holdfast_server", "holdfast_policy", "holdfast_auditor", "holdfast_backup"):
        acts[role] = [w % t + (columns[t] + " = NULL" if w.startswith("UPDATE") else "") for t in tables for w in writes]
        acts[role] += ["DROP TABLE audit." + month, "ALTER TABLE audit.event DETACH PARTITION audit." + month,
                       "ALTER TABLE audit.event DISABLE TRIGGER ALL", "DROP TRIGGER event_is_final ON audit.event",
                       "CREATE TABLE audit.x ()", "CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE sql AS ''",
                       "SET session_replication_role = replica", "SET ROLE holdfast_owner",
                       "SELECT audit.append_one(NULL, 'x', NULL, 'x', 'x', 'x')",
                       "SELECT audit.start_stream(gen_random_uuid(), 'administration')", "DROP SCHEMA audit CASCADE",
                       "DROP VIEW audit.events", "ALTER FUNCTION audit.verify OWNER TO " + role]
    for role in ("holdfast_server", "holdfast_auditor", "holdfast_backup"):
        acts[role] += ["SELECT audit.set_retention(1, 'x')", "SELECT audit.drop_digest('2020-01-01', 1, '', 'x', now())",
                       "SELECT audit.drop_month('2020-01-01', 1, '', 'x', now(), NULL, '')", "SELECT policy.client_enable('first', true)",
                       "UPDATE policy.client SET enabled = true"]
    acts["holdfast_server"] += ["SELECT * FROM audit.event", "SELECT * FROM audit.keys", "DELETE FROM kmip.object", "TRUNCATE kmip.material",
                                "CREATE TEMP TABLE x ()", "UPDATE kmip.object SET owner = owner", "SELECT * FROM audit.verify()",
                                "SELECT audit.note_export('x', NULL, 1, NULL)"]
    acts["holdfast_policy"] += ["SELECT * FROM kmip.object", "SELECT * FROM kmip.material", "SELECT * FROM kmip.node", "SELECT * FROM audit.events",
                                "INSERT INTO policy.client (name) VALUES ('x')", "DELETE FROM policy.client",
                                "SELECT audit.fence(gen_random_uuid())", "SELECT audit.open_stream(gen_random_uuid(), 'x')"]
    acts["holdfast_auditor"] += ["SELECT * FROM kmip.object", "SELECT * FROM kmip.material", "SELECT * FROM kmip.node",
                                 "SELECT * FROM policy.client", "SELECT audit.note('x')", "CREATE TEMP TABLE x ()",
                                 "SELECT audit.fence(gen_random_uuid())"]
    acts["holdfast_backup"] += ["DELETE FROM kmip.material", "UPDATE kmip.object SET version = 1", "SELECT audit.note('x')",
                                "INSERT INTO policy.client (name) VALUES ('x')"]
    # the owner and a superuser: what triggers refuse
    final = [t for t in tables if t not in ("audit.retention", "audit.export")]
    for role in ("holdfast_migrator", "postgres"):
        acts[role] = ["TRUNCATE %s" % t for t in final if t != "audit.stub"] + ["TRUNCATE audit.stub CASCADE"]
        acts[role] += ["DELETE FROM audit.event WHERE seq = 2", "UPDATE audit.event SET result = 'x' WHERE seq = 2", "DELETE FROM audit.stream",
                       "DELETE FROM audit.%s WHERE seq = 2" % month, "UPDATE audit.stream SET seq = seq - 1", "UPDATE audit.stream SET fenced = false, seq = 0"]
    refused = {}
    for role, statements in acts.items():
        # one session: each fails, and says how
        text = "\n".join("DO $x$ BEGIN EXECUTE $q$%s$q$; RAISE 'it was done' USING ERRCODE = 'XX999'; EXCEPTION WHEN OTHERS THEN "
                         "RAISE NOTICE 'state=%%', SQLSTATE; END $x$;" % s for s in statements)
        answer = subprocess.run(["psql", "-X", "-q", "-U", role, "-f", "-"], input=text, capture_output=True, text=True,
                                env={"PATH": os.environ["PATH"], **state.env}, timeout=180)
        states = re.findall(r"state=(\w+)", answer.stderr)
        done = [s for s, code in zip(statements, states) if code not in ("42501", "HF004", "0A000")]
        refused[role] = len(statements)
        tap.ok(len(states) == len(statements) and not done, "%s may run none of %d statements" % (role, len(statements)),
               "\n".join("%s: %s" % (s, states[statements.index(s)]) for s in done) or answer.stderr[-800:])
    # What the owner can do to a table it owns is not hidden by that.
    text = "BEGIN; DROP TABLE audit.%s; SELECT what, count(*) FROM audit.verify() GROUP BY what; ROLLBACK" % month
    rows = state.psql(text, "postgres")
    tap.ok(rows and rows[0][0] == "removed" and int(rows[0][1]) >= 8, "a month that the owner drops by hand is missed by audit.verify()", rows)


# ---- export and offline verification ----

def verify(state, path):
    """Exit code and kinds of findings; without server and database."""
    code, answer = state.json("audit", "verify", path, env={"PGHOST": "/nonexistent", "HOLDFAST_CONFIG": "/nonexistent"})
    return code, [r["what"] for r in answer.get("rows", [])], answer


def export(state, path, *options):
    answer = state.holdfast("audit", "export", "--out", path, *options)
    return tap.ok(answer.returncode == 0, "audit export %s" % " ".join(options), answer.stderr)


def tampered(state, good, csv):
    with open(good, encoding="utf-8", newline="") as f:
        lines = f.readlines()
    def kind(line):
        return line.split(",")[0] if csv else json.loads(line)["record"]
    events = [i for i, line in enumerate(lines) if kind(line) == "event"]
    at = events[len(events) // 2]
    tail = next(i for i in range(at, len(lines)) if kind(lines[i]) in ("stream", "end", "gap"))
    swapped = lines[:]
    swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
    edits = {
        "a field is changed": (lines[:at] + [re.sub(r"Success|Failed", "Undone", lines[at])] + lines[at + 1:], "changed"),
        "a hash is changed": (lines[:at] + [re.sub(r"[0-9a-f]{6}(?=\"?}?\n)", "abcdef", lines[at])] + lines[at + 1:], "changed"),
        "a row is removed": (lines[:at] + lines[at + 1:], "removed"),
        "the last row of a stream is removed": (lines[:tail - 1] + lines[tail:], "removed"),
        "two rows are swapped": (swapped, "reordered"),
        "a row is doubled": (lines[:at] + [lines[at]] + lines[at:], "added"),
        "the file is cut": (lines[:at], "cut"),
        "the file is cut within a line": (lines[:at] + [lines[at][:40]], "cut"),
        "the end says another number": (lines[:-1] + [re.sub(r'(end,,,|"seq":)', r"\g<1>1", lines[-1])], "changed"),
        "a line is no record": (lines[:at] + ["nonsense\n"] + lines[at:], "format"),
        "a row comes after the end": (lines + [lines[at]], "added"),
    }
    bad = os.path.join(state.top, "tampered")
    for name, (text, want) in edits.items():
        with open(bad, "w", encoding="utf-8", newline="") as f:
            f.writelines(text)
        code, whats, answer = verify(state, bad)
        tap.ok(code == 6 and want in whats, "%s: %s, told as %s" % ("csv" if csv else "jsonl", name, want), answer)


def man_script(path):
    """What the script in the manual page says of a file."""
    with open(os.path.join(support.SRC, "deploy/man/holdfast-audit.7"), encoding="utf-8") as f:
        text = f.read()
    script = re.search(r"^import hashlib.*?(?=^\.Ed)", text, re.M | re.S).group(0).replace("\\e", "\\")
    return subprocess.run(["python3", "-c", script, path], capture_output=True, text=True, timeout=120)


def exports(state, key):
    month = state.psql("SELECT min(month) FROM audit.partitions")[0][0]
    top = state.top
    jsonl, csv, one, part = (os.path.join(top, n) for n in ("all.jsonl", "all.csv", "one.jsonl", "month.jsonl"))
    export(state, jsonl)
    export(state, csv, "--format", "csv")
    export(state, one, "--client", "load-3", "--from", "2000-01-01")
    export(state, part, "--month", month)
    for path, filtered in ((jsonl, False), (csv, False), (one, True), (part, False)):
        code, whats, answer = verify(state, path)
        tap.ok(code == 0 and answer["events"] > 500 and answer["filtered"] == filtered,
               "%s verifies offline, filtered: %s" % (os.path.basename(path), filtered), answer)
    with open(jsonl, encoding="utf-8") as f:
        rows = [r for r in map(json.loads, f) if r["record"] == "event"]
    tap.ok(len(rows) >= ROWS, "the export has all rows", len(rows))
    answer = man_script(jsonl)
    tap.ok(answer.returncode == 0 and not answer.stdout, "the script of the manual page finds every hash right",
           answer.stdout[:500] + answer.stderr)
    tampered(state, part, False)
    export(state, part + ".csv", "--month", month, "--format", "csv")
    tampered(state, part + ".csv", True)
    answer = man_script(os.path.join(top, "tampered"))
    for options, want in ((("--month", "2026-13"), 2), (("--month", "1999-01"), 1), (("--client", "nobody"), 1),
                          (("--from", "tomorrowish"), 1), (("--key", "x"), 2), (("--format", "xml"), 2)):
        answer = state.holdfast("audit", "export", "--out", os.path.join(top, "none"), *options)
        tap.ok(answer.returncode == want and not os.path.exists(os.path.join(top, "none")),
               "audit export %s: exit %d, no file" % (" ".join(options), want), answer.stderr)
    noted = state.psql("SELECT count(*) FROM audit.admin_acts() WHERE act = 'Admin Export Audit'")
    tap.ok(noted == [["5"]], "each export is in the audit trail", noted)
    os.remove(jsonl)
    os.remove(csv)
    return month, part


# ---- retention ----

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
    node = state.psql("SELECT node FROM audit.signers")[0][0]
    for name, signature in (("nonsense", "ab" * 64), ("zeros", "00" * 64), ("nothing", "")):
        try:
            state.psql("SELECT audit.drop_month('%s-01', %s, decode('%s', 'hex'), 'x', now(), '%s', decode('%s', 'hex'))"
                       % (month, rows, sha, node, signature), "holdfast_policy")
            tap.ok(False, "the database drops nothing against a signature of " + name)
        except RuntimeError as error:
            tap.ok(re.search("signature|check constraint", str(error)), "the database drops nothing against a signature of " + name, error)
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
    state.psql("SELECT audit.forward_begin('slow', false)", role="postgres")
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


def run(state):
    key, since = load(state)
    session(state, key, since)
    plans(state, key)
    forbidden(state)
    month, path = exports(state, key)
    retention(state, month, path)
