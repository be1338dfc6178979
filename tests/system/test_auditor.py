"""An auditor's work: a session in psql with its expected output, plans that use indexes over a year of rows, statements
that no role may run, exports that are verified offline and tampered with, and a month that goes against a signed stub."""
import json
import os
import re
import subprocess

import support
import tap
from retention import export, retention, verify

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

# The plan of every statement, those inside of functions too, as the auditor has it.
EXPLAIN = """LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off;
SET auto_explain.log_nested_statements = on; SET auto_explain.log_format = json; SET auto_explain.log_level = notice;
SET ROLE holdfast_auditor;
\\o /dev/null
SELECT * FROM %s;"""


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def plans_of(state, query):
    answer = subprocess.run(["psql", "-X", "-q", "-U", "postgres", "-f", "-"], input=EXPLAIN % query, capture_output=True,
                            text=True, env={"PATH": os.environ["PATH"], **state.env}, timeout=180)
    texts = re.split(r"^(?:psql\S* )?NOTICE:  duration: [\d.]+ ms  plan:\n", answer.stderr, flags=re.M)[1:]
    plans = [json.JSONDecoder().raw_decode(text)[0]["Plan"] for text in texts]
    if not plans or re.search(r"^(psql\S* )?ERROR:", answer.stderr, re.M):
        raise RuntimeError(answer.stderr)
    return plans


class Question:
    """What one question reads of the months of the trail. The default partition and those to come are nearly empty; what
    the present one has is what other modules did: most of it may be one client's."""

    def __init__(self, state, query, big, present):
        self.plans = plans_of(state, query)
        every = [n for p in self.plans for n in nodes(p) if str(n.get("Relation Name", "")).startswith("event_")]
        self.named = {n["Relation Name"] for n in every}
        scans = [n for n in every if n["Relation Name"] in big and n["Actual Loops"] > 0]
        self.whole = [n for n in scans if n["Node Type"] == "Seq Scan"
                      and (n["Relation Name"] != present or n.get("Rows Removed by Filter", 0) > n["Actual Rows"])]
        # For each of many keys one row is wanted: a bitmap has all of them made first.
        self.bitmaps = [n for n in scans if n["Actual Loops"] > 20 and n["Node Type"] == "Bitmap Heap Scan"]

    def wrong(self, inside):
        """inside: the month that the period is of; None: all of them."""
        outside = self.named - {inside} if inside else set()
        return [w for w in (self.whole, self.bitmaps, outside) if w]


def questions(key, period, month):
    """Those of holdfast-audit(7), and the month that each is of."""
    return (("audit.key_events('%s')" % key, None),
            ("audit.key_events('%s', %s)" % (key, period), month),
            ("audit.key_users('%s')" % key, None),
            ("audit.client_events('load-1')", None),
            ("audit.client_events('load-1', %s)" % period, month),
            ("audit.client_activity()", None),
            ("audit.refusals(%s)" % period, month),
            ("audit.refusals_by_reason(%s)" % period, month),
            ("audit.refusals_by_client(%s)" % period, month),
            ("audit.failures WHERE object = '%s'" % key, None),
            ("audit.exports_of(%s)" % period, month),
            ("audit.exports_of(%s, p_client => 'load-1')" % period, month),
            ("audit.exports_of('-infinity', p_key => '%s')" % key, None),
            ("audit.exports WHERE object = '%s'" % key, None),
            ("audit.keys_unused()", None),
            ("audit.admin_acts()", None),
            ("audit.policy_changes('-infinity')", None),
            ("audit.days(%s)" % period, month),
            ("audit.tail(20)", None),
            ("audit.events WHERE at >= '%s' AND at < '%s'" % tuple(period.strip("'").split("', '")), month),
            ("audit.events WHERE client_id = (SELECT id FROM audit.clients WHERE name = 'load-1')"
             " AND at > now() - interval '40 days'", None))


def plans(state, key):
    """No month with rows is read as a whole, none outside the period is opened, and where one row is wanted no others are
    looked for."""
    inside = state.psql("SELECT date_trunc('month', now() - interval '3 months') + interval '5 days', "
                        "date_trunc('month', now() - interval '3 months') + interval '7 days', "
                        "'event_' || to_char(now() AT TIME ZONE 'UTC' - interval '3 months', 'YYYY_MM'), "
                        "'event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")[0]
    big = {r[0] for r in state.psql("SELECT relname FROM pg_class WHERE relname LIKE 'event\\_2%' AND reltuples > 5000")}
    tap.ok(len(big) >= MONTHS, "there is a year of rows to plan for", big)
    some = state.psql("SELECT object FROM audit.events WHERE client = 'load-1' AND object IS NOT NULL LIMIT 1")[0][0]
    for query, month in questions(some, "'%s', '%s'" % tuple(inside[:2]), inside[2]):
        asked = Question(state, query, big, inside[3])
        wrong = asked.wrong(month)
        tap.ok(asked.named and not wrong, "an index serves %s" % re.sub(r"'[^']*'", "'...'", query),
               json.dumps([str(w) for w in wrong])[:2000])


# ---- rights ----

AUDIT_TABLES = ("event", "stream", "stub", "stub_run", "signer", "retention", "export")


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


def run(state):
    key, since = load(state)
    session(state, key, since)
    plans(state, key)
    forbidden(state)
    month, path = exports(state, key)
    retention(state, month, path)
