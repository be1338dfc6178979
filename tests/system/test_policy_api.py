"""Rules, constraints and defaults by SQL as holdfast_policy and by the command: what each function does, each mistake,
the audit rows, the names of KMIP."""
import json
import os
import re

import support
import tap
from policy_domain import LATEST, OBJECT, Error, together

PROTO = os.path.join(support.SRC, "proto/kmip")


# ---- mistakes ----

MISTAKES = [
    ("allow('everyone', '{get}', '', 'api')", "the reason must not be empty"),
    ("allow('everyone', '{get}', NULL, 'api')", "the reason must not be empty"),
    ("allow('everyone', '{get}', repeat('r', 1025), 'api')", "1024 is the most"),
    ("allow('everyone', '{get}', 'r')", "there are several domains"),
    ("allow('everyone', '{get}', 'r', 'nowhere')", "there is no domain nowhere"),
    ("allow('every', '{get}', 'r', 'api')", '"every" names nobody'),
    ("allow('everyone else', '{get}', 'r', 'api')", '"everyone else" names nobody'),
    ("allow('client', '{get}', 'r', 'api')", '"client" names nobody'),
    ("allow(NULL, '{get}', 'r', 'api')", "names nobody"),
    ("allow('client nobody', '{get}', 'r')", "there is no client nobody"),
    ("allow('client api-z', '{get}', 'r', 'api')", "client api-z is not in the domain api"),
    ("allow('group nobody', '{get}', 'r', 'api')", "domain api has no group nobody"),
    ("allow('role api-role-of-other', '{get}', 'r', 'api')", "domain api has no role api-role-of-other"),
    ("allow('client api-a', '{gett}', 'r')", 'there is no permission for "gett"'),
    ("allow('client api-a', '{@read,@write}', 'r')", 'there is no class of permissions "@write"'),
    ("allow('client api-a', '{}', 'r')", "1 to 64 permissions"),
    ("allow('client api-a', NULL, 'r')", "1 to 64 permissions"),
    ("allow('client api-a', '{get,NULL}', 'r')", "there is no permission"),
    ("allow('client api-a', '{query}', 'r', object_type => '2')", "none of these permissions is about an object"),
    ("allow('client api-a', '{get}', 'r', owner => 'me')", 'there is no owner "me"'),
    ("allow('client api-a', '{get}', 'r', policy => ' ')", "the policy must not be empty"),
    ("allow('client api-a', '{get}', 'r', policy => repeat('p', 256))", "255 is the most"),
    ("allow('client api-a', '{get}', 'r', object => '%s')" % (OBJECT % 4), "the domain has no object"),
    ("allow('client api-a', '{get}', 'r', object => '%s')" % (OBJECT % 99), "the domain has no object"),
    ("allow('client api-a', '{get}', 'r', object_type => 'Key')", 'there is no Object Type "Key"'),
    ("allow('client api-a', '{get}', 'r', object_type => '11')", 'there is no Object Type "11"'),
    ("allow('client api-a', '{get}', 'r', object_group => '')", "the object group must not be empty"),
    ("allow('client api-a', '{get}', 'r', name_pattern => '')", "the name pattern must not be empty"),
    ("allow('client api-a', '{get}', 'r', name_pattern => repeat('*', 1025))", "1024 is the most"),
    ("allow('client api-a', '{get}', 'r', attribute_name => 'x-Rack')", "one of them is missing"),
    ("allow('client api-a', '{get}', 'r', attribute_value => '7')", "one of them is missing"),
    ("allow('client api-a', '{get}', 'r', attribute_name => 'Comment', attribute_value => '7')",
     '"Comment" is no custom or vendor attribute'),
    ("allow('client api-a', '{get}', 'r', valid_from => '2030-01-02', valid_until => '2030-01-02')",
     "would never hold"),
    ("require_approval('client api-a', '{*}', 'r')", "only what is done to an object that exists"),
    ("require_approval('client api-a', '{destroy,create}', 'r')", "only what is done to an object that exists"),
    ("require_approval('client api-a', '{@read}', 'r')", "can wait for approval: not locate, use-template"),
    ("require_approval('client api-a', '{get,Locate}', 'r')", "can wait for approval: not locate"),
    ("require_approval('client api-a', '{use-template}', 'r')", "can wait for approval: not use-template"),
    ("require_approval('client api-a', '{destroy}', 'r', approvals => 0)", "0 administrators cannot approve"),
    ("require_approval('client api-a', '{destroy}', 'r', approvals => 9)", "9 administrators cannot approve"),
    ("rule_add('grant', 'client api-a', '{get}', 'r')", 'there is no effect "grant"'),
    ("rule_remove(-1, 'r')", "there is no rule -1"),
    ("rule_remove(1, '')", "the reason must not be empty"),
    ("bound_add('client api-a', '')", "the reason must not be empty"),
    ("bound_add('client api-a', 'r')", "this constraint bounds nothing"),
    ("bound_add('client api-a', 'r', object_type => 'SymmetricKey', algorithm => 'AES')",
     "this constraint bounds nothing"),
    ("bound_add('client api-a', 'r', algorithms => '{}')", "a list is empty"),
    ("bound_add('client api-a', 'r', algorithms => '{AES,ROT13}')", 'there is no Cryptographic Algorithm "ROT13"'),
    ("bound_add('client api-a', 'r', least_length => 3, most_length => 2)", "no length is at least 3 and at most 2"),
    ("bound_add('client api-a', 'r', least_length => -1)", "a number is too small"),
    ("bound_add('client api-a', 'r', most_life_days => 0)", "a number is too small"),
    ("bound_add('client api-a', 'r', permitted_usage => '{Encrypt}', required_usage => '{Encrypt,Sign}')",
     "Sign is required and not permitted"),
    ("bound_add('client api-a', 'r', permitted_usage => '{Encrypted}')", 'there is no use of keys "Encrypted"'),
    ("bound_add('client api-a', 'r', protections => '{3}')", 'there is no protection level "3"'),
    ("bound_add('client api-a', 'r', mandatory => '{Name,State}')", 'there is no attribute "State"'),
    ("bound_add('client api-a', 'r', name_pattern => '')", "the name pattern must not be empty"),
    ("bound_remove(-1, 'r')", "there is no constraint -1"),
    ("default_set('SymmetricKey', '{}', 'r', 'api')", "defaults are an object of attributes"),
    ("default_set('SymmetricKey', '[1]', 'r', 'api')", "defaults are an object of attributes"),
    ("default_set(NULL, '{\"Comment\": \"c\"}', 'r', 'api')", "the object type must not be empty"),
    ("default_set('Key', '{\"Comment\": \"c\"}', 'r', 'api')", 'there is no Object Type "Key"'),
    ("default_set('SymmetricKey', '{\"Comment\": \"c\"}', 'r')", "there are several domains"),
    ("default_set('SymmetricKey', '{\"Comment\": \"c\"}', '', 'api')", "the reason must not be empty"),
    ("default_set('SymmetricKey', '{\"Comment\": 7}', 'r', 'api')", "Comment cannot be 7 by default"),
    ("default_set('SymmetricKey', '{\"Comment\": \"c\", \"comment\": \"d\"}', 'r', 'api')", "Comment is given twice"),
    ("default_set('SymmetricKey', '{\"State\": \"Active\"}', 'r', 'api')", 'there is no attribute "State"'),
    ("default_set('SymmetricKey', '{\"Name\": [{\"NameValue\": \"n\"}]}', 'r', 'api')", "Name cannot be"),
    ("default_set('SymmetricKey', '{\"KeyFormatType\": \"Raw\"}', 'r', 'api')", "KeyFormatType cannot be"),
    ("default_set('SymmetricKey', '{\"ObjectGroup\": \"g\"}', 'r', 'api')", "this is no list of them"),
    ("default_set('SymmetricKey', '{\"x-Rack\": [\"7\"]}', 'r', 'api')", "x-Rack cannot be"),
    ("default_set('SymmetricKey', '{\"CryptographicLength\": -1}', 'r', 'api')", "CryptographicLength cannot be -1"),
    ("default_set('SymmetricKey', '{\"CryptographicLength\": 1.5}', 'r', 'api')", "CryptographicLength cannot be 1.5"),
    ("default_set('SymmetricKey', '{\"Sensitive\": \"yes\"}', 'r', 'api')", "Sensitive cannot be"),
    ("default_set('SymmetricKey', '{\"DeactivationDate\": \"2030-13-01T00:00:00Z\"}', 'r', 'api')",
     "DeactivationDate cannot be"),
    ("default_set('SymmetricKey', '{\"CryptographicAlgorithm\": \"ROT13\"}', 'r', 'api')",
     "there is no Cryptographic Algorithm"),
    ("default_set('SymmetricKey', '{\"CryptographicUsageMask\": [\"Encrypted\"]}', 'r', 'api')",
     "there is no use of keys"),
    ("default_remove('SymmetricKey', 'r', 'api')", "domain api has no defaults for the type Symmetric Key"),
    ("explain('nobody', 'get')", "there is no client nobody"),
    ("explain('api-a', 'steal')", 'there is no permission for "steal"'),
]


def mistakes(state):
    answers = together(state, ["SELECT * FROM policy.%s;" % call for call, _ in MISTAKES])
    for (call, want), answer in zip(MISTAKES, answers):
        tap.ok(isinstance(answer, Error) and want in answer, "policy.%s: %s" % (call[:90], want), answer)
    for call, hint in (("allow('client first', '{gett}', 'r')", "HINT:  The permissions are: activate, add-attribute"),
                       ("allow('client first', '{get}', 'r', object_type => 'Key')",
                        "HINT:  It is one of: Certificate, Sym"),
                       ("require_approval('client first', '{@read}', 'r')",
                        "HINT:  Name what is meant of: add-attribute, delete-attribute, modify-attribute, set-attribute, "
                        "activate, destroy, revoke, check, get, get-attribute-list, get-attributes"),
                       ("require_approval('client first', '{@read}', 'r')", "; or all of a class: @change, @life-cycle"),
                       ("rule_remove(-1, 'r')", "HINT:  'holdfast policy list' or policy.rules shows them")):
        try:
            tap.ok(False, "policy.%s is refused" % call, state.psql("SELECT policy.%s" % call, role="holdfast_policy"))
        except RuntimeError as error:
            tap.ok(hint in str(error), "policy.%s says what to do" % call, error)


def rights(state):
    """Who administers policy needs no other right, and nobody else administers it."""
    for role, sql in (("holdfast_policy", "SELECT FROM kmip.object"), ("holdfast_policy", "SELECT FROM kmip.name"),
                      ("holdfast_policy", "INSERT INTO policy.rule (domain, effect, permissions, reason) "
                       "VALUES (1, 'allow', '{*}', 'r')"),
                      ("holdfast_policy", "DELETE FROM policy.rule"),
                      ("holdfast_policy", "UPDATE policy.bound SET most_objects = 1"),
                      ("holdfast_policy", "SELECT policy.raise_standings(1)"),
                      ("holdfast_policy", "SELECT policy.record('Admin Nothing', NULL, '', '')"),
                      ("holdfast_server", "SELECT policy.allow('everyone', '{*}', 'r')"),
                      ("holdfast_server", "SELECT policy.rule_remove(1, 'r')"),
                      ("holdfast_auditor", "SELECT * FROM policy.explain('first', 'get')"),
                      ("holdfast_auditor", "SELECT policy.deny('everyone', '{*}', 'r')")):
        try:
            tap.ok(False, "%s may not: %s" % (role, sql), state.psql(sql, role=role))
        except RuntimeError as error:
            tap.ok("permission denied" in str(error), "%s may not: %s" % (role, sql), error)


# ---- what the functions do ----

STANDINGS = "SELECT string_agg(name || standing, ' ' ORDER BY name) FROM policy.client WHERE name ~ '^api-';"


# (call, operation of the audit row, what its detail tells, view and what it shows)
CHANGES = [
    ("allow('role api-role', '{get, @change,Get Attribute List,get}', 'why 1', 'api', object_type => 'symmetric key', "
     "policy => 'house', owner => 'group', object_group => 'one', name_pattern => 'vol-*', attribute_name => 'x-Rack', "
     "attribute_value => '7', valid_from => '2020-01-01 00:00+00', valid_until => '2120-01-01 00:00+00')",
     "Admin Add Rule", ["domain=api", "allow role api-role", "@change,get-attribute-list,get", "reason=why 1"],
     "SELECT effect, subject, permissions, policy, owner, object, object_type, object_group, name_pattern, attribute_name, "
     "attribute_value, valid, approvals, reason, created_by FROM policy.rules WHERE domain = 'api';",
     ["allow", "role api-role", "{@change,get-attribute-list,get}", "house", "group", "", "Symmetric Key", "one",
      "vol-*",
      "x-Rack", "7", "t", "", "why 1", "holdfast_policy (alice@host)"]),
    ("deny('group api cluster', '{*}', 'why 2', 'api', object => '%s')" % (OBJECT % 1),
     "Admin Add Rule", ["deny group api cluster", "reason=why 2"],
     "SELECT effect, subject, object, valid_from, valid_until FROM policy.rules WHERE domain = 'api';",
     ["deny", "group api cluster", OBJECT % 1, "", ""]),
    ("require_approval('client api-a', '{destroy,revoke}', 'why 3', approvals => 2)",
     "Admin Add Rule", ["2 approvals for client api-a", "destroy,revoke", "reason=why 3"],
     "SELECT effect, domain, approvals FROM policy.rules WHERE domain = 'api';", ["approval", "api", "2"]),
    ("bound_add('everyone', 'why 4', 'api', object_type => '0x2', algorithm => 'aes', algorithms => '{DES3,AES,HMAC_SHA256}', "
     "least_length => 128, most_length => 256, permitted_usage => '{Encrypt,wrap key,0x8}', required_usage => '{encrypt}', "
     "protections => '{2,TPM-rooted}', mandatory => '{Object Group,x-Owner,Name}', most_life_days => 30, "
     "name_pattern => 'vol-*', destroy_after_days => 7, most_objects => 0, requests_per_second => 9)",
     "Admin Add Constraint", ["everyone", "type=Symmetric Key", "destroy_after_days=7", "reason=why 4"],
     "SELECT subject, object_type, algorithm, algorithms, least_length, most_length, permitted_usage, required_usage, "
     "protections, mandatory, most_life_days, name_pattern, destroy_after_days, most_objects, requests_per_second, reason, "
     "created_by FROM policy.bounds WHERE domain = 'api';",
     ["everyone", "Symmetric Key", "AES", "{3DES,AES,HMAC-SHA256}", "128", "256", '{Encrypt,Decrypt,"Wrap Key"}',
      "{Encrypt}",
      "{TPM-rooted,TPM-resident}", "{Name,ObjectGroup,x-Owner}", "30", "vol-*", "7", "0", "9", "why 4",
      "holdfast_policy (alice@host)"]),
    ("default_set('SymmetricKey', '{\"cryptographic algorithm\": \"3DES\", \"CryptographicLength\": 168, "
     "\"CryptographicUsageMask\": [\"Wrap Key\", \"Encrypt\"], \"ObjectGroup\": [\"g\"], \"Sensitive\": true, "
     "\"x-A\": [{\"type\": \"TextString\", \"value\": \"b\"}], \"DeactivationDate\": \"2130-01-31T00:00:00Z\"}', 'why 5', 'api')",
     "Admin Set Default", ["type=Symmetric Key", "168", "reason=why 5"],
     "SELECT object_type, attributes, reason FROM policy.defaults WHERE domain = 'api';",
     ["Symmetric Key", '{"x-A": [{"type": "TextString", "value": "b"}], "Sensitive": true, "ObjectGroup": ["g"], '
      '"DeactivationDate": "2130-01-31T00:00:00Z", "CryptographicLength": 168, "CryptographicAlgorithm": "DES3", '
      '"CryptographicUsageMask": ["Encrypt", "WrapKey"]}', "why 5"]),
]

REMOVALS = [
    ("rule_remove((SELECT max(rule) FROM policy.rules), 'over 1')", CHANGES[1][0], "policy.rules", "Admin Remove Rule",
     ["deny group api cluster", "reason=over 1"]),
    ("bound_remove((SELECT max(bound) FROM policy.bounds), 'over 2')", CHANGES[3][0], "policy.bounds",
     "Admin Remove Constraint", ["least_length=128", "reason=over 2"]),
    ("default_remove('Symmetric Key', 'over 3', 'api')", CHANGES[4][0], "policy.defaults", "Admin Remove Default",
     ["type=Symmetric Key", "168", "reason=over 3"]),
]


def raised(before, after):
    """The clients whose standing is another, larger one than before."""
    was, now = (dict(re.findall(r"(api-[a-z]+)(\d+)", rows[0][0])) for rows in (before, after))
    return {name for name in now if int(now[name]) > int(was[name])} if was.keys() == now.keys() else None


def changes(state):
    for call, operation, told, look, want in CHANGES:
        before, _, seen, row, after = together(state, [STANDINGS, "SELECT policy.%s;" % call, look, LATEST, STANDINGS])
        what = "policy.%s" % call[:60]
        tap.ok(seen == [want], what + ": the view shows it by name", seen)
        tap.ok(not isinstance(row, Error) and row and row[-1][:2] == ["holdfast_policy (alice@host)", operation]
               and all(t in row[-1][2] for t in told), what + ": who, what and why are audited", row)
        tap.ok(raised(before, after) == {"api-a", "api-b", "api-c", "api-d"}, what + ": the standing of all clients of the domain is raised, of no other",
               (before, after))
    row = together(state, ["SELECT policy.%s;" % CHANGES[1][0], LATEST])[1]
    tap.ok(row[-1][3] == OBJECT % 1, "the audit row of a rule for one object names the object", row)
    for call, first, view, operation, told in REMOVALS:
        count = "SELECT count(*) FROM %s WHERE domain = 'api';" % view
        _, one, before, _, none, row, after = together(
            state, ["SELECT policy.%s;" % first, count, STANDINGS, "SELECT policy.%s;" % call, count, LATEST,
                    STANDINGS])
        tap.ok((one, none) == ([["1"]], [["0"]]), "policy.%s removes it" % call, (one, none))
        tap.ok(row[-1][:2] == ["holdfast_policy (alice@host)", operation] and all(t in row[-1][2] for t in told),
               "policy.%s: who, what and why are audited" % call, row)
        tap.ok(before != after, "policy.%s raises standings" % call, (before, after))
    call = "SELECT policy.default_set('SecretData', '{\"Comment\": \"%s\"}', 'r', 'api');"
    shown = together(state,
                     [call % "one", call % "two", "SELECT attributes FROM policy.defaults WHERE domain = 'api';"])[2]
    tap.ok(shown == [['{"Comment": "two"}']], "defaults stand instead of earlier ones of the type", shown)
    rows = together(state, ["SELECT policy.allow('client api-a', '{@life-cycle}', 'r');",
                            "SELECT permission, class, needs_object, cardinality(rules) FROM policy.permissions p WHERE "
                            "EXISTS (SELECT FROM policy.rules r WHERE r.domain = 'api' AND r.rule = ANY (p.rules)) ORDER BY 1;"])[1]
    tap.ok([r[:3] for r in rows] == [[p, "@life-cycle", "t"] for p in ("activate", "destroy", "revoke")],
           "policy.permissions tells which rules name a permission", rows)


# ---- names ----

def table(name, pattern):
    with open(os.path.join(PROTO, name), encoding="utf-8") as f:
        return re.findall(pattern, f.read(), re.M)


def names(state):
    """KMIP's names and numbers are those of proto's tables."""
    for what, function, shown in (("OBJECT", "type_number", "type_name"),
                                  ("ALGORITHM", "algorithm_number", "algorithm_name")):
        rows = table("enums.def", r'^VALUE\(%s, \w+, (0x[0-9A-F]+), "([^"]+)", "([^"]+)"' % what)
        values = ", ".join("(%d, '%s', '%s')" % (int(n, 16), short, long) for n, short, long in rows)
        wrong = state.psql("SELECT n, short FROM (VALUES %s) AS v (n, short, long) WHERE policy.%s(short) <> n OR policy.%s(long)"
                           " <> n OR policy.%s(n::text) <> n OR audit.%s(n) <> long" % (values, function, function,
                                                                                        function, shown),
                           role="postgres")
        tap.ok(len(rows) >= 10 and wrong == [], "policy.%s() knows each name and number" % function, wrong)
    rows = table("masks.def", r'^BIT\(USAGE, \w+, (0x[0-9A-F]+), "([^"]+)", "([^"]+)"')
    values = ", ".join("(%d, '%s', '%s')" % (int(n, 16), short, long) for n, short, long in rows)
    wrong = state.psql("SELECT n, short FROM (VALUES %s) AS v (n, short, long) WHERE policy.usage_mask(ARRAY[short]) <> n OR "
                       "policy.usage_text(n) <> ARRAY[long]" % values, role="postgres")
    tap.ok(len(rows) == 24 and wrong == [], "policy.usage_mask() knows each bit", wrong)
    tags = dict(table("tags.def", r'^TAG\((\w+), 0x[0-9A-F]+, "([^"]+)"'))
    kinds = {"TEXT_STRING": "text", "DATE_TIME": "date", "INTERVAL": "integer"}
    want = sorted((tags[tag], "mask" if tag.endswith("_MASK") else kinds.get(kind, kind.lower()),
                   "t" if "ATTR_MULTI" in flags else "f")
                  for tag, kind, flags in table("attributes.def", r"^ATTR\((\w+), (\w+), \w+, \w+, \w+, ([^,]+),")
                  if "ATTR_CLIENT_SET" in flags)
    have = sorted(map(tuple, state.psql("SELECT name, kind, many FROM policy.attribute", role="holdfast_policy")))
    tap.ok(len(want) > 30 and have == want, "policy.attribute is the table of proto", set(want) ^ set(have))


# ---- the command ----

def views(state, view):
    return [json.loads(r[0]) for r in state.psql("SELECT row_to_json(v) FROM policy.%s v ORDER BY v" % view,
                                                 role="holdfast_policy")]


def command_rules(state, key):
    steps = (("allow", "client first", "get,@change", "--name", "policy-api-*", "--until", "2130-01-01 00:00+00"),
             ("deny", "client first", "destroy", "--object", key, "--type", "SymmetricKey", "--owner", "self"),
             ("require-approval", "client first", "revoke", "--attribute", "x-PolicyApi=a=b", "--approvals", "2",
              "--group", "policy-api", "--policy", "policy-api", "--from", "2120-01-01 00:00+00"))
    made = []
    for step in steps:
        code, answer = state.json("policy", *step, "--reason", "test of " + step[0])
        if tap.ok(code == 0 and answer.get("rule", 0) > 0, "policy %s adds a rule" % step[0], answer):
            made.append(answer["rule"])
    code, listed = state.json("policy", "list")
    mine = [r for r in listed if r["rule"] in made]
    tap.ok(code == 0 and listed == views(state, "rules"), "policy list shows what policy.rules has", listed)
    tap.ok(len(mine) == 3 and mine[0]["permissions"] == ["get", "@change"] and mine[0]["name_pattern"] == "policy-api-*"
           and mine[0]["valid_until"].startswith(("2130-01-01", "2129-12-31")) and mine[1]["object"] == key
           and mine[1]["object_type"] == "Symmetric Key" and mine[1]["owner"] == "self"
           and mine[2]["attribute_name"] == "x-PolicyApi" and mine[2]["attribute_value"] == "a=b"
           and mine[2]["approvals"] == 2 and mine[2]["object_group"] == "policy-api" and mine[2]["policy"] == "policy-api"
           and not mine[2]["valid"] and mine[0]["created_by"].startswith("holdfast_policy (root"),
           "each option is in its rule", mine)
    text = state.holdfast("policy", "list", "--domain", "default").stdout.decode()
    tap.ok("\n%s  default  deny  client first  destroy\n" % made[1] in text and "reason=test of deny" in text,
           "policy list reads well", text)
    tap.ok(state.json("policy", "list", "--domain", "nowhere") == (0, []), "of a domain without rules it shows none")
    code, told = state.json("policy", "explain", "first", "destroy", key)
    sql = state.psql("SELECT row_to_json(e) FROM policy.explain('first', 'destroy', '%s') e" % key,
                     role="holdfast_policy")
    tap.ok(code == 0 and told == [json.loads(r[0]) for r in sql] and told[-1]["rule"] == made[1],
           "policy explain says what policy.explain() says", told)
    text = state.holdfast("policy", "explain", "first", "destroy", key).stdout.decode()
    tap.ok("-> rule %d: deny client first" % made[1] in text
           and text.splitlines()[-1].startswith("destroy: refused: denied by"),
           "policy explain reads well", text)
    code, listed = state.json("policy", "permissions")
    tap.ok(code == 0 and listed == views(state, "permissions"), "policy permissions shows them", listed)
    for rule in made:
        code, answer = state.json("policy", "remove", str(rule), "--reason", "the test is over")
        tap.ok(code == 0 and answer == {"rule": rule}, "policy remove", answer)
    rows = state.psql("SELECT operation, client, detail FROM audit.events WHERE operation ~ 'Rule$' AND detail ~ "
                      "'rule=(%s) .*reason=(test of|the test is over)' ORDER BY at" % "|".join(map(str, made)))
    tap.ok([r[0] for r in rows] == ["Admin Add Rule"] * 3 + ["Admin Remove Rule"] * 3
           and all(r[1].startswith("holdfast_policy (root") for r in rows), "each is audited", rows)


def command_rest(state):
    code, answer = state.json("policy", "bound-add", "client first", "--type", "SplitKey", "--algorithm", "AES",
                              "--algorithms",
                              "AES,HMAC_SHA256", "--least-length", "128", "--most-length", "256", "--permitted-usage",
                              "Encrypt,Decrypt", "--required-usage", "Encrypt", "--protections", "TPM-rooted",
                              "--mandatory",
                              "ObjectGroup,x-Owner", "--most-life-days", "30", "--name", "vol-*",
                              "--destroy-after-days", "7",
                              "--most-objects", "5", "--requests-per-second", "100000", "--reason", "test of bounds")
    bound = answer.get("constraint", 0)
    code2, listed = state.json("policy", "bounds")
    tap.ok((code, code2) == (0, 0) and listed == views(state, "bounds"), "policy bound-add and bounds", listed)
    mine = [b for b in listed if b["bound"] == bound]
    tap.ok(mine and all(mine[0][k] is not None for k in mine[0]), "each option is in its constraint", mine)
    code, answer = state.json("policy", "bound-remove", str(bound), "--reason", "over")
    tap.ok(code == 0 and answer == {"constraint": bound} and bound not in [b["bound"] for b in views(state, "bounds")],
           "policy bound-remove", answer)
    code, answer = state.json("policy", "default-set", "SplitKey", '{"Comment": "test"}', "--reason", "test",
                              "--domain", "default")
    code2, listed = state.json("policy", "defaults")
    tap.ok((code, code2) == (0, 0) and listed == views(state, "defaults")
           and {"object_type": "Split Key", "attributes": {"Comment": "test"}}.items() <= listed[-1].items(),
           "policy default-set and defaults", (answer, listed))
    text = state.holdfast("policy", "defaults").stdout.decode()
    tap.ok('attributes={"Comment":"test"}' in text, "policy defaults reads well", text)
    answer = state.holdfast("policy", "default-remove", "SplitKey", "--reason", "over", "--domain", "default")
    tap.ok(answer.returncode == 0 and answer.stdout == b"Removed the defaults of SplitKey.\n", "policy default-remove",
           answer)
    for want, error, words in (
            (2, "say why", ("allow", "everyone", "get")), (2, "say why", ("remove", "1")),
            (2, "say why", ("bound-add", "everyone")),
            (2, "no number of a rule", ("remove", "one", "--reason", "r")),
            (2, "not of the form NAME=VALUE", ("deny", "everyone", "get", "--attribute", "x", "--reason", "r")),
            (2, "not a whole number", ("bound-add", "everyone", "--most-objects", "-1", "--reason", "r")),
            (1, 'there is no permission for "gett"', ("allow", "client first", "gett", "--reason", "r")),
            (1, "there is no client nobody", ("explain", "nobody", "get")),
            (1, "invalid input syntax for type uuid", ("explain", "first", "get", "one")),
            (1, "there is no rule 999999", ("remove", "999999", "--reason", "r")),
            (1, "json", ("default-set", "SplitKey", "{", "--reason", "r"))):
        code, answer = state.json("policy", *words)
        tap.ok(code == want and error in answer.get("error", ""), "policy %s: exit %d" % (" ".join(words), want),
               answer)
    code, answer = state.json("policy", "allow", "client first", "gett", "--reason", "r")
    tap.ok(answer.get("next", "").startswith("The permissions are: activate"),
           "the database's hint says what to do next", answer)


def run(state):
    rights(state)
    mistakes(state)
    changes(state)
    names(state)
    code, made = state.json("key", "create", "--name", "policy-api-1")
    if tap.ok(code == 0, "a key to explain", made):
        try:
            command_rules(state, made["id"])
            command_rest(state)
        finally:  # a rule left behind would decide about what other tests do
            state.psql("DELETE FROM policy.rule WHERE reason ~ '^test of'; DELETE FROM policy.bound WHERE reason ~ '^test of'; "
                       "DELETE FROM policy.object_default WHERE reason = 'test'; UPDATE policy.client SET standing = standing + 1",
                       role="postgres")
