"""A domain of its own with clients, groups, roles and objects, in a transaction that is rolled back: what policy's
functions do there decides about nobody."""
import os
import subprocess

OBJECT = "00000000-0000-7000-8000-0000000a%04x"
CLIENTS = {name: "00000000-0000-4000-8000-0000000a%04x" % i for i, name in enumerate("abcdz")}

# a and b share in one group; a and c are in another that does not share; a has a role, d the same by a group.
FIXTURE = """
INSERT INTO policy.domain (id, name) VALUES (901, 'api'), (902, 'api-other');
INSERT INTO policy.client (id, name, domain) VALUES %s;
INSERT INTO policy.client_group (id, domain, name, shares) VALUES
    ('%s', 901, 'api cluster', true), ('%s', 901, 'api-quiet', false), ('%s', 901, 'api-holders', true);
INSERT INTO policy.group_member (client_group, client) SELECT g.id, c.id FROM policy.client_group g, policy.client c
 WHERE (g.name, c.name) IN (('api cluster', 'api-a'), ('api cluster', 'api-b'), ('api-quiet', 'api-a'),
                            ('api-quiet', 'api-c'), ('api-holders', 'api-d'));
INSERT INTO policy.role (domain, name) VALUES (901, 'api-role'), (902, 'api-role-of-other');
INSERT INTO policy.role_member (role, client) SELECT r.id, c.id FROM policy.role r, policy.client c
 WHERE r.name = 'api-role' AND c.name = 'api-a';
INSERT INTO policy.role_member (role, client_group) SELECT r.id, g.id FROM policy.role r, policy.client_group g
 WHERE r.name = 'api-role' AND g.name = 'api-holders';
INSERT INTO kmip.object (uid, version, domain, owner, object_type, state, protection, algorithm, length, usage_mask,
       revocation_reason, key_format, extractable, never_extractable, sensitive, always_sensitive, control_mac,
       attributes)
SELECT o.uid::uuid, 1, o.domain, o.owner::uuid, o.type, 1, 1, 3, 256, 12, 0, 1, true, false, false, false,
       decode(repeat('00', 32), 'hex'), o.attributes::jsonb
  FROM (VALUES %s) AS o (uid, domain, owner, type, attributes);
INSERT INTO kmip.name (object, position, domain, owner, type, value) VALUES
    ('%s', 0, 901, '%s', 1, 'vol-é7'), ('%s', 1, 901, '%s', 1, '50%%_of'), ('%s', -1, 901, '%s', 1, 'gone');
SELECT set_config('holdfast.operator', 'alice@host', false);
SET SESSION AUTHORIZATION holdfast_policy;
"""

# The latest administrative act, in a part of together(): who, what, detail, object.
LATEST = ("RESET SESSION AUTHORIZATION; SELECT client, operation, detail, object FROM audit.events "
          "WHERE operation ~ '^Admin' ORDER BY at DESC, seq DESC LIMIT 1; SET SESSION AUTHORIZATION holdfast_policy;")


def fixture():
    clients = ", ".join("('%s', 'api-%s', %d)" % (uid, name, 902 if name == "z" else 901)
                        for name, uid in CLIENTS.items())
    groups = ["00000000-0000-4000-8000-0000000b%04x" % i for i in range(3)]
    text = '[null, {"type": "TextString", "value": "7"}, {"type": "Integer", "value": 8}]'
    objects = [(1, "a", 2, '{"ObjectGroup": ["one", null, "two"], "x-Rack": %s, "acme:Site": %s}' % (text, text)),
               (2, "b", 4, '{"OperationPolicyName": "house"}'), (3, "c", 7, "{}"), (4, "z", 2, "{}")]
    rows = ", ".join("('%s', %d, '%s', %d, '%s')" % (OBJECT % n, 902 if owner == "z" else 901, CLIENTS[owner], kind,
                                                     attrs)
                     for n, owner, kind, attrs in objects)
    named = (OBJECT % 1, CLIENTS["a"]) * 3
    return FIXTURE % ((clients, *groups, rows) + named)


class Error(str):
    """What the database said instead of rows."""


def together(state, parts, before=""):
    """Runs texts of SQL after the fixture in one transaction that is rolled back; an error undoes its own part only.
    The rows of each part, or its Error."""
    text = ["\\set ON_ERROR_STOP on", "BEGIN;", fixture(), before, "\\set ON_ERROR_STOP off"]
    for part in parts:
        text.append("\\echo @@@\nSAVEPOINT part;\n%s\n\\if :ERROR\n\\echo ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n"
                    "ROLLBACK TO part;\n\\endif\nRELEASE part;" % part)
    text.append("RESET SESSION AUTHORIZATION; ROLLBACK;")
    answer = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-U", "postgres", "-f", "-"],
                            input="\n".join(text), capture_output=True, text=True, timeout=180,
                            env={"PATH": os.environ["PATH"], **state.env})
    chunks = answer.stdout.split("@@@\n")[1:]
    if len(chunks) != len(parts):
        raise RuntimeError(answer.stdout + answer.stderr)
    results = []
    for chunk in chunks:
        lines = [line for line in chunk.splitlines() if line]
        wrong = [line for line in lines if line.startswith("ERROR ")]
        results.append(Error(wrong[0][6:]) if wrong else [line.split("\x1f") for line in lines])
    return results
