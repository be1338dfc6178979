-- An auditor's session, in psql as holdfast_auditor: psql -v key=... -v since=... -f auditor.sql
-- Expected: auditor.expected. Every view and function of schema audit that auditors use is here.
\pset null -
\echo Is it whole?
SELECT what, detail FROM audit.verify();
SELECT opener, rows > 0 AS has_rows, fenced FROM audit.streams WHERE opener IN ('administration', 'load/worker-1') ORDER BY opener;
\echo Who touched this key?
SELECT at, client, operation, result, reason, object FROM audit.key_events(:'key');
SELECT * FROM audit.key_users(:'key');
SELECT operation FROM audit.key_events(:'key', :'since', 'infinity') LIMIT 1;
SELECT count(*) FROM audit.key_events(:'key', '-infinity', :'since');
SELECT count(*), bool_and(at <= now()) AS past FROM audit.tail(3);
\echo What did this client do?
SELECT operation, result, reason, protocol, duration_us > 0 AS measured, fingerprint FROM audit.client_events('auditor', :'since');
SELECT count(*) FROM audit.client_events('no such client');
SELECT operation, result FROM audit.events WHERE client = 'auditor' AND at >= :'since' ORDER BY at, stream, seq LIMIT 2;
SELECT client, domain, enabled, last_activity, not_after FROM audit.client_activity() WHERE client IN ('auditor', 'auditor-idle', 'load-1');
SELECT name, domain, enabled FROM audit.clients WHERE name = 'auditor';
\echo What was refused?
SELECT client, operation, reason FROM audit.refusals(:'since') WHERE client = 'auditor';
SELECT reason, operation, times, clients FROM audit.refusals_by_reason(:'since') WHERE operation IN ('Get', 'Destroy');
SELECT client, reason, times FROM audit.refusals_by_client(:'since') WHERE client = 'auditor' ORDER BY reason;
SELECT operation, reason FROM audit.failures WHERE client = 'auditor' AND at >= :'since' ORDER BY at LIMIT 1;
\echo Which keys left the server?
SELECT at, client, names, type, algorithm, length, state, wrapped FROM audit.exports_of(:'since', p_client => 'auditor');
SELECT client FROM audit.exports_of(p_key => :'key');
SELECT type, algorithm FROM audit.exports WHERE object = :'key';
\echo What keys are there?
SELECT uid, owner, names, type, algorithm, length, state, protection, extractable, sensitive FROM audit.keys WHERE owner = 'auditor' ORDER BY uid;
SELECT owner, type, algorithm, length, state, keys, extractable_in_clear FROM audit.key_inventory WHERE owner IN ('auditor', 'load-1') ORDER BY 1, 2, 4;
SELECT count(*) > 100 AS many FROM audit.keys_older_than(200);
SELECT names FROM audit.keys_older_than(0) WHERE owner = 'auditor';
SELECT names, deactivated FROM audit.keys_due(30) WHERE owner = 'auditor';
SELECT names, state FROM audit.keys_past() WHERE owner = 'auditor';
SELECT count(*) > 0 AS some, bool_and(state = 'Active') AS active FROM audit.keys_unused(90);
SELECT names FROM audit.keys_unused(0) WHERE owner = 'auditor' ORDER BY uid;
SELECT owner, names FROM audit.keys_without_owner WHERE owner LIKE 'auditor%';
\echo What did administrators do?
SELECT at, act, result FROM audit.admin_acts(:'since') WHERE detail LIKE 'client=auditor%';
SELECT act, split_part(detail, ' ', 1) AS client FROM audit.policy_changes(:'since') WHERE detail LIKE 'client=auditor%' AND act <> 'Admin Add Client';
SELECT count(*) FROM audit.policy_changes() WHERE act ~ 'Migrate|Initialise';
\echo A line for each day.
SELECT day, events > 0 AS events, refused > 0 AS refused, clients > 0 AS clients, keys > 0 AS keys, made > 0 AS made, exported > 0 AS exported, administrative > 0 AS administrative FROM audit.days() ORDER BY day DESC LIMIT 1;
\echo Months.
SELECT * FROM audit.retention;
SELECT month, rows_about > 0 AS rows, bytes > 0 AS bytes, exported_at, droppable, why_not FROM audit.partitions ORDER BY month LIMIT 1;
SELECT * FROM audit.verify_month(date_trunc('month', now() - interval '2 months')::date);
SELECT count(*) > 0 AS runs FROM audit.month_runs(date_trunc('month', now() - interval '2 months')::date);
SELECT * FROM audit.export;
SELECT * FROM audit.stubs;
SELECT count(*) FROM audit.stub_run;
SELECT node, pem ~ '^-----BEGIN PUBLIC KEY-----' AS pem, anchored_by ~ '^holdfast_migrator ' AS by_migrator FROM audit.signers;
\echo What an auditor may not.
SELECT * FROM kmip.material;
SELECT * FROM kmip.object;
SELECT * FROM policy.client;
SELECT audit.note('x');
SELECT audit.set_retention(1, 'x');
UPDATE audit.event SET result = 'Success';
DELETE FROM audit.stub;
