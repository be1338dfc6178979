"""The audit trail: a row for every operation, refusals and reads too; it verifies; a changed row is named."""
import client
import tap


def run(state):
    link = client.Connection(state.env)
    made = link.call(client.create("audit-1")).uid
    link.call(client.get(made))
    refused = link.call(client.get("00000000-0000-7000-8000-00000000a0d1"))
    link.call(client.locate("audit-1"))
    link.call(client.get_attributes(made))
    batch = link.call(client.create("audit-2"), ("Get", []), order=True)
    link.close()
    tap.ok(not refused.ok, "a missing key is refused")
    rows = state.psql("SELECT operation, result FROM audit.key_events('%s')" % made)
    tap.ok(rows == [["Create", "Success"], ["Get", "Success"], ["Locate", "Success"],
                    ["Get Attributes", "Success"]],
           "each operation on a key has its row, in order", rows)
    rows = state.psql("SELECT count(*) FROM audit.failures WHERE operation = 'Get' "
                      "AND object = '00000000-0000-7000-8000-00000000a0d1'")
    tap.ok(rows == [["1"]], "a refusal has its row", rows)
    rows = state.psql("SELECT count(*) FROM audit.events WHERE operation = 'Locate' AND client = 'first'")
    tap.ok(int(rows[0][0]) >= 1, "Locate has its row", rows)
    rows = state.psql("SELECT operation, position FROM audit.key_events('%s')" % batch[0].uid)
    tap.ok(all(r.ok for r in batch) and [r[0] for r in rows] == ["Create", "Get"] and rows[0][1] != rows[1][1],
           "each item of a batch has its row and position; the ID placeholder holds", rows)
    rows = state.psql("SELECT fingerprint ~ '^[0-9a-f]{64}$', address <> '', protocol, duration_us::bigint >= 0 "
                      "FROM audit.key_events('%s') LIMIT 1" % made)
    tap.ok(rows == [["t", "t", "1.4", "t"]], "a row has fingerprint, address, protocol and duration", rows)
    code, answer = state.json("audit", "verify")
    tap.ok(code == 0 and answer["ok"], "holdfast audit verify finds the chain whole", answer)
    code, tail = state.json("audit", "tail", "--lines", "5")
    tap.ok(code == 0 and len(tail) == 5, "holdfast audit tail shows the last events", tail)
    state.holdfast("server-cert", "renew")
    rows = state.psql("SELECT DISTINCT operation FROM audit.events WHERE operation ~ '^Admin'")
    wanted = {"Admin Migrate", "Admin Initialise", "Admin Make Certificate Authority", "Admin Add Client",
              "Admin Renew Server Certificate"}
    tap.ok(wanted <= {r[0] for r in rows}, "administration has its rows, from the first set-up on", rows)
    for sql in ("UPDATE audit.event SET result = 'x'", "DELETE FROM audit.event", "TRUNCATE audit.event"):
        for role in ("holdfast_auditor", "holdfast_server"):
            try:
                state.psql(sql, role=role)
                tap.ok(False, "%s may not: %s" % (role, sql))
            except RuntimeError as error:
                tap.ok("permission denied" in str(error), "%s may not: %s" % (role, sql), error)
    try:
        state.psql("DELETE FROM audit.event", role="postgres")
        tap.ok(False, "even the superuser's DELETE is refused by a trigger")
    except RuntimeError as error:
        tap.ok(True, "even the superuser's DELETE is refused by a trigger", error)
    one = state.psql("SELECT stream, seq FROM audit.events WHERE object = '%s' AND operation = 'Get'" % made)[0]
    where = "stream = '%s' AND seq = %s" % tuple(one)
    keep = state.psql("SELECT result FROM audit.event WHERE " + where, role="postgres")[0][0]
    change = "SET session_replication_role = replica; UPDATE audit.event SET result = '%s' WHERE " + where
    state.psql(change % "Operation Failed", role="postgres")
    code, answer = state.json("audit", "verify")
    named = [r for r in answer.get("rows", []) if r["stream"] == one[0] and str(r["seq"]) == one[1]]
    tap.ok(code == 6 and named and named[0]["what"] == "changed",
           "a row changed behind the triggers is found and named: exit 6", answer)
    state.psql(change % keep, role="postgres")
    code, answer = state.json("audit", "verify")
    tap.ok(code == 0, "put right, the chain is whole again", answer)
