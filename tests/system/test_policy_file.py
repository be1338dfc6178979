"""The policy as one file: round trips, every error with its place, what apply shows, asks, does and writes down, and
what happens between two administrators. At the end the policy is what it was."""
import copy
import hashlib
import json
import os
import threading
import time

import support
import tap

FIRST, SECOND = "file-a", "file-b"


def canonical(value, indent=0):
    """A second writer of the canonical form, to compare with."""
    gap = "\n" + " " * (indent + 2)
    if isinstance(value, dict) and value:
        return "{" + ",".join(gap + json.dumps(k) + ": " + canonical(value[k], indent + 2) for k in sorted(value)) \
            + "\n" + " " * indent + "}"
    if isinstance(value, list) and value and (isinstance(value[0], (dict, list)) or len(json.dumps(value)) > 100):
        return "[" + ",".join(gap + canonical(v, indent + 2) for v in value) + "\n" + " " * indent + "]"
    return json.dumps(value, ensure_ascii=False)


def client(second_factor=False, legacy_tls=False, quirks=()):
    return {"second_factor": second_factor, "legacy_tls": legacy_tls, "quirks": list(quirks)}


def empty_domain(**more):
    return {"enabled": True, "approval_hours": 24, "clients": {}, "groups": {}, "roles": {}, "rules": [], "bounds": [],
            "defaults": {}, **more}


def whole(domain):
    """A policy with something of everything, on top of the domain as it is, in the canonical order."""
    domain = copy.deepcopy(domain)
    domain.update(approval_hours=36, max_clients=5000, max_objects=10 ** 12)
    domain["clients"][FIRST] = client(second_factor=True)
    domain["groups"] = {"arrays": {"shares": True, "members": [FIRST, SECOND]},
                        "none": {"shares": False, "members": []}}
    domain["roles"] = {"backup": {"clients": [SECOND], "groups": ["arrays"]}, "idle": {"clients": [], "groups": []}}
    domain["rules"] = [
        {"effect": "allow", "owner": "self", "permissions": ["*"], "reason": "owners do all with their own"},
        {"effect": "allow", "owner": "self", "permissions": ["*"], "reason": "owners do all with their own"},
        {"effect": "approval", "approvals": 2, "permissions": ["destroy", "revoke"], "owner": "group",
         "group": "arrays", "reason": "four \"eyes\" and a tab\t"},
        {"effect": "deny", "permissions": ["@change", "get"], "role": "backup", "policy": "vault", "object_group": "g",
         "object_type": "Symmetric Key", "name_pattern": "prod-*", "attribute_name": "x-Rack", "attribute_value": "7",
         "valid_from": "2027-01-01T00:00:00Z", "valid_until": "2027-01-31T12:30:00.500000Z",
         "reason": "zero \u00fcber"},
        {"effect": "deny", "permissions": ["destroy"], "client": FIRST, "reason": "never"},
    ]
    domain["bounds"] = [
        {"reason": "all", "algorithms": ["AES", "RSA"], "least_length": 128, "most_length": 16384, "group": "arrays",
         "permitted_usage": ["Encrypt", "Decrypt", "Wrap Key"], "required_usage": ["Encrypt"],
         "protections": ["TPM-rooted"], "mandatory": ["CryptographicUsageMask", "Name"], "most_life_days": 400,
         "name_pattern": "vol-*"},
        {"reason": "slow", "client": SECOND, "most_objects": 10, "requests_per_second": 10000, "destroy_after_days": 1,
         "object_type": "Symmetric Key", "algorithm": "AES"},
    ]
    domain["rules"].sort(key=lambda r: (r["effect"], canonical(r)))
    domain["bounds"].sort(key=canonical)
    domain["defaults"] = {"Symmetric Key": {"reason": "usual", "attributes": {"CryptographicAlgorithm": "AES",
                                                                             "CryptographicLength": 256}}}
    return domain


class Files:
    def __init__(self, state):
        self.state = state
        self.path = os.path.join(state.dir, "policy.json")

    def export(self, *args):
        answer = self.state.holdfast("policy", "export", *args)
        tap.ok(answer.returncode == 0, "policy export works", answer.stderr)
        return answer.stdout

    def write(self, document):
        with open(self.path, "wb") as f:
            f.write(document if isinstance(document, bytes) else canonical(document).encode() + b"\n")
        return self.path

    def diff(self, document):
        answer = self.state.holdfast("policy", "diff", self.write(document))
        return answer.returncode, answer.stdout.decode().splitlines(), answer.stderr.decode()

    def apply(self, document, *more, input=None):
        return self.state.holdfast("policy", "apply", self.write(document), "--reason", "change 4711", *more,
                                   input=input)


def standings(state):
    return {name: int(standing) for name, standing in
            state.psql("SELECT name, standing FROM policy.client", "holdfast_policy")}


def acts(state):
    return [(operation, detail) for operation, detail in state.psql(
        "SELECT operation, detail FROM audit.events WHERE operation LIKE 'Admin %' "
        "AND operation <> 'Admin Make Domain Key' ORDER BY at, seq")]


def check_export(state, files):
    text = files.export()
    tap.ok(files.export() == text and text.endswith(b"}\n"), "two exports are the same bytes", text)
    document = json.loads(text)
    tap.ok(canonical(document).encode() + b"\n" == text, "which are canonical", text)
    ids = [i for row in state.psql("SELECT id FROM policy.client UNION SELECT id FROM policy.client_group",
                                           "holdfast_policy") for i in row]
    tap.ok(ids and not any(i.encode() in text for i in ids), "no identifier of the database's own is in it")
    tap.ok(set(document["domains"]["default"]["clients"]) >= {"first", FIRST, SECOND}, "all clients are", document)
    one = json.loads(files.export("default"))
    tap.ok(list(one["domains"]) == ["default"], "one domain can be exported alone", one)
    answer = state.holdfast("policy", "export", "nowhere")
    tap.ok(answer.returncode == 1 and b"no domain nowhere" in answer.stderr, "one that there is not cannot",
           answer.stderr)
    out = os.path.join(state.dir, "out.json")
    answer = state.holdfast("policy", "export", "--out", out)
    with open(out, "rb") as f:
        tap.ok(answer.returncode == 0 and f.read() == text, "policy export --out writes the same", answer.stderr)
    code, lines, errors = files.diff(text)
    tap.ok(code == 0 and lines == [], "what was exported changes nothing", lines or errors)
    return document


def check_round_trip(state, files, before):
    wanted = {"format": 1, "domains": {"default": whole(before["domains"]["default"]), "file-tenant": empty_domain()}}
    code, lines, errors = files.diff(wanted)
    tap.ok(code == 0 and len(lines) > 20 and files.export() == canonical(before).encode() + b"\n",
           "diff tells and changes nothing", lines or errors)
    for line in ['+ domain "file-tenant": approval_hours 24, enabled true',
                 '~ domain "default": approval_hours 24 -> 36, max_clients none -> 5000, '
                 'max_objects none -> 1000000000000',
                 '~ client in domain "default": "file-a": second_factor false -> true',
                 '+ member in domain "default": client "file-b" of group "arrays"',
                 '+ role in domain "default": group "arrays" of role "backup"',
                 '+ rule in domain "default": deny destroy to client "file-a" (never)',
                 '+ rule in domain "default": 2 approvals for destroy, revoke by group "arrays", owner group '
                 '(four "eyes" and a tab )']:
        tap.ok(line in lines, "diff has the line: " + line, lines)
    tap.ok(sum(line.endswith("owner self (owners do all with their own)") for line in lines) == 2,
           "a rule that is there twice is told twice", lines)
    old, count = standings(state), len(acts(state))
    answer = files.apply(wanted, "--yes")
    tap.ok(answer.returncode == 0 and answer.stdout.decode().splitlines()[:-1] == lines,
           "apply does what diff told, and says so", answer.stdout + answer.stderr)
    text = files.export()
    tap.ok(text == canonical(with_others(wanted, before)).encode() + b"\n", "and export gives the file back", text)
    code, again, errors = files.diff(wanted)
    tap.ok(code == 0 and again == [], "no difference is left", again or errors)
    new = standings(state)
    tap.ok(all(new[name] > old[name] for name in old), "the standing of all its clients was raised", (old, new))
    written = acts(state)[count:]
    with open(files.path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    tap.ok(len(written) == len(lines) + 1, "each change has its audit row, and the whole one", written)
    tap.ok([d.split(" reason=")[0] for _, d in written[:-1]] == lines,
           "with the same words, in the same order", written)
    tap.ok(written[-1] == ("Admin Apply Policy", "sha256=%s changes=%d reason=change 4711" % (digest, len(lines))),
           "the whole has the SHA-256 of the file and the reason", written[-1])
    tap.ok(support.wait_for(lambda: state.psql("SELECT has_key FROM policy.domains WHERE name = 'file-tenant'",
                                               "holdfast_policy") == [["t"]], 30, 0.2), "the new domain gets its key")
    return wanted


def with_others(wanted, before):
    """Domains that a file does not have stay."""
    domains = dict(before["domains"])
    domains.update(wanted["domains"])
    return {"format": 1, "domains": domains}


def mutations(good):
    """(what, place, message, document): each file has one mistake."""
    def change(path, value, what, *said):
        document = copy.deepcopy(good)
        at = document
        for key in path[:-1]:
            at = at[key]
        if value is None:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        return what, document, said
    d = ("domains", "default")
    rule, bound = d + ("rules", 2), d + ("bounds", 1)
    return [
        change(("format",), 2, "another format", "at format", "reads format 1"),
        change(("fromat",), 1, "an unknown key at the top", "the top", '"fromat" is not known'),
        change(d + ("rools",), {}, "an unknown key of a domain", "at domains.default", '"rools" is not known'),
        change(d + ("rules",), None, "a section that is missing", "at domains.default", '"rules" is missing'),
        change(d + ("enabled",), "yes", "a text for a flag", "domains.default.enabled", "true or false"),
        change(d + ("approval_hours",), 0, "a number too small", "domains.default.approval_hours", "from 1 to 8760"),
        change(d + ("approval_hours",), 1.5, "a number that is not whole", "domains.default.approval_hours",
               "whole number"),
        change(d + ("max_clients",), "5", "a text for a number", "domains.default.max_clients", "a number"),
        change(d + ("rules",), {}, "an object for a list", "domains.default.rules", "a list"),
        change(d + ("clients",), [], "a list for an object", "domains.default.clients", "an object"),
        change(d + ("clients", "nobody"), client(), "a client that is not enrolled", "domains.default.clients.nobody",
               'no client "nobody"', "holdfast client add nobody"),
        change(d + ("clients", FIRST, "quirks"), ["odd"], "an unknown quirk", "clients.file-a.quirks",
               'no quirk "odd"'),
        change(d + ("clients", FIRST, "password"), "x", "a credential", "clients.file-a", '"password" is not known'),
        change(d + ("groups", "arrays", "members"), [FIRST, "nobody"], "an unknown member",
               "groups.arrays.members[2]", 'no client "nobody"', "Enrol it first"),
        change(d + ("groups", "arrays", "members"), [FIRST, FIRST], "a member twice",
               "groups.arrays.members[2]", "twice"),
        change(d + ("groups", "arrays", "members"), [7], "a number for a name", "groups.arrays.members[1]",
               "text in quotes"),
        change(d + ("groups", " x"), {"shares": True, "members": []}, "a bad name of a group", "groups. x", "no name"),
        change(d + ("roles", "backup", "groups"), ["nil"], "an unknown group of a role", "roles.backup.groups[1]",
               'no group "nil"'),
        change(d + ("roles", "backup", "clients"), ["nobody"], "an unknown client of a role", "roles.backup.clients[1]",
               'no client "nobody"'),
        change(rule + ("effect",), "maybe", "an unknown effect", "rules[3].effect", "allow"),
        change(rule + ("reason",), None, "a rule without a reason", "rules[3]", '"reason" is missing'),
        change(rule + ("reason",), "", "an empty reason", "rules[3].reason", "1 to 1024 bytes"),
        change(rule + ("permissions",), ["fly"], "an unknown permission", "rules[3].permissions", '"fly"'),
        change(rule + ("permissions",), ["@fly"], "an unknown class", "rules[3].permissions", '"@fly"'),
        change(rule + ("permissions",), [], "no permission", "rules[3].permissions", "1 to 64"),
        change(rule + ("permissions",), ["create"], "an approval of what is not there yet", "rules[3].permissions",
               "approval"),
        change(rule + ("owner",), "me", "an unknown owner", "rules[3]", '"me"'),
        change(rule + ("role",), "backup", "two subjects", "rules[3]", "only one of client, group and role"),
        change(rule + ("group",), "nil", "an unknown group", "rules[3].group", 'no group "nil"'),
        change(rule + ("approvals",), 9, "too many approvals", "rules[3].approvals", "from 1 to 8"),
        change(rule + ("object",), "key-1", "no identifier", "rules[3].object", "no Unique Identifier"),
        change(rule + ("object",), "00000000-0000-7000-8000-000000000000", "an unknown object", "rules[3]",
               "no object"),
        change(rule + ("object_type",), "Secret Kee", "an unknown object type", "rules[3].object_type", '"Secret Kee"'),
        change(rule + ("attribute_name",), "x-y", "half an attribute", "rules[3]", "value"),
        change(rule + ("valid_from",), "tomorrow", "no time", "rules[3].valid_from", "no time"),
        change(rule + ("valid_from",), "2027-02-30T00:00:00Z", "a day that there is not", "rules[3].valid_from",
               "no such time"),
        change(d + ("rules", 3, "valid_until"), "2026-01-01T00:00:00Z", "an end before the beginning", "rules[4]",
               "never"),
        change(d + ("rules", 0, "approvals"), 2, "approvals of what is allowed", "rules[1].approvals", "approval"),
        change(bound + ("algorithms",), ["AES", "ROT13"], "an unknown algorithm", "bounds[2].algorithms[2]", '"ROT13"'),
        change(bound + ("permitted_usage",), ["Fly"], "an unknown use", "bounds[2].permitted_usage", '"Fly"'),
        change(bound + ("protections",), ["paper"], "an unknown protection", "bounds[2].protections[1]", '"paper"'),
        change(bound + ("mandatory",), ["Nmae"], "an unknown attribute", "bounds[2].mandatory", '"Nmae"'),
        change(bound + ("least_length",), 20000, "lengths that cross", "bounds[2]", "20000"),
        change(bound + ("most_life_days",), 0, "no life at all", "bounds[2].most_life_days", "from 1"),
        change(d + ("bounds", 0), {"reason": "nothing"}, "a constraint of nothing", "bounds[1]", "bounds nothing"),
        change(d + ("defaults", "Symmetric Key", "attributes"), {"CryptographicLength": "long"}, "a bad default",
               "defaults.Symmetric Key.attributes", "CryptographicLength"),
        change(d + ("defaults", "Kee"), {"reason": "x", "attributes": {}}, "defaults of an unknown type",
               "defaults.Kee", '"Kee"'),
        change(("domains", "file-tenant", "clients"), {FIRST: client()}, "a client in two domains", "clients.file-a",
               "file-a"),
        change(("domains", "file-tenant", "groups"), {"x": {"shares": True, "members": [FIRST]}},
               "a member of another domain", "file-tenant.groups.x.members[1]", 'is of domain "default"'),
        change(("domains", "file-tenant", "rules"), [{"effect": "allow", "permissions": ["*"], "reason": "x",
                                                       "client": FIRST}],
               "a rule for another domain's client", "file-tenant.rules[1].client", 'is of domain "default"'),
    ]


def check_errors(state, files, good):
    before = files.export()
    for what, document, said in mutations(good):
        code, lines, errors = files.diff(document)
        tap.ok(code == 1 and not lines and all(s in errors for s in said), "diff refuses %s and says where" % what,
               errors)
        answer = files.apply(document, "--yes")
        tap.ok(answer.returncode == 1 and all(s in answer.stderr.decode() for s in said), "so does apply",
               answer.stderr)
    for what, text, said in [("no JSON", b'{\n "format": 1,\n oops}', "line 3"), ("a key twice",
                              b'{"format": 1, "format": 1, "domains": {}}', '"format" is there 2 times'),
                             ("a NUL in a text", b'{"format": 1, "domains": {"\\u0000": {}}}', "no JSON"),
                             ("a NUL", b'{"format": 1, "domains": {}}\0', "no text"), ("nothing", b"", "no JSON"),
                             ("another value", b"[]", "an object"), ("bytes that are no UTF-8", b'{"\xff": 1}', "")]:
        code, lines, errors = files.diff(text)
        tap.ok(code == 1 and not lines and said in errors, "diff refuses %s" % what, (code, errors))
    answer = state.holdfast("policy", "diff", "/nonexistent")
    tap.ok(answer.returncode == 5, "a file that there is not is told", answer.stderr)
    tap.ok(files.export() == before, "after all of it the policy is the same")


def check_asking(files, good):
    changed = copy.deepcopy(good)
    changed["domains"]["default"]["approval_hours"] = 48
    before = files.export()
    line = b'~ domain "default": approval_hours 36 -> 48'
    for said in (b"n\n", b"\n", b"", b"yess\n"):
        answer = files.apply(changed, input=said)
        tap.ok(answer.returncode == 1 and line in answer.stdout and files.export() == before,
               "apply shows, asks, and does nothing after %r" % said, answer.stdout + answer.stderr)
    answer = files.apply(changed, input=b"y\n")
    tap.ok(answer.returncode == 0 and line in answer.stdout and b'"approval_hours": 48' in files.export(),
           "after y it does it", answer.stdout + answer.stderr)
    answer = files.apply(changed, input=b"")
    tap.ok(answer.returncode == 0 and b"Nothing to change" in answer.stdout, "the second time there is nothing to ask",
           answer.stdout + answer.stderr)
    answer = files.state.holdfast("policy", "apply", files.path, "--yes")
    tap.ok(answer.returncode == 2 and b"--reason" in answer.stderr, "without a reason nothing is done", answer.stderr)
    answer = files.apply(good, "--json")
    tap.ok(answer.returncode == 2 and b"--yes" in answer.stderr, "with --json nobody is asked", answer.stderr)
    code, told = files.state.json("policy", "apply", files.write(good), "--reason", "back", "--yes")
    tap.ok(code == 0 and told["count"] == 1 and told["changes"] == [line.decode().replace("36 -> 48", "48 -> 36")],
           "and what was done is told as JSON", told)


def check_database(state, files, good):
    file = canonical(good).replace("'", "''")
    later = file.replace('"approval_hours": 36', '"approval_hours": 37')
    for role, sql, said in [
            ("holdfast_policy", "SELECT policy.apply('%s', 'x', 'aa')" % later, "changed meanwhile"),
            ("holdfast_policy", "SELECT policy.apply('%s', '')" % later, "reason"),
            ("holdfast_policy", "SELECT policy.apply(NULL, 'x')", "policy file"),
            ("holdfast_policy", "DELETE FROM policy.rule", "permission denied"),
            ("holdfast_policy", "SELECT policy.file_do('domain', 'x', 'x', NULL, '{}')", "permission denied"),
            ("holdfast_server", "SELECT policy.apply('%s', 'x')" % later, "permission denied"),
            ("holdfast_auditor", "SELECT policy.export()", "permission denied")]:
        try:
            state.psql(sql, role)
            tap.ok(False, "%s cannot: %s" % (role, sql[:60]))
        except RuntimeError as error:
            tap.ok(said in str(error), "%s cannot: %s" % (role, sql[:60]), str(error)[:500])
    rows = state.psql("SELECT change FROM policy.apply('%s', 'by psql', encode(sha256(convert_to(policy.export(), "
                      "'UTF8')), 'hex'))" % later, "holdfast_policy")
    tap.ok(rows == [['~ domain "default": approval_hours 36 -> 37']], "psql applies what it has looked at", rows)


def check_two_administrators(state, files, good):
    """Both apply at once, several times: the policy is always one of theirs, whole."""
    one, other = copy.deepcopy(good), copy.deepcopy(good)
    one["domains"]["default"].update(approval_hours=41, groups={}, roles={}, bounds=[], rules=[
        {"effect": "allow", "permissions": ["*"], "owner": "self", "reason": "one"}])
    other["domains"]["default"].update(approval_hours=42)
    texts = [canonical(one).replace("'", "''"), canonical(other).replace("'", "''")]
    failures = []

    def administrator(text):
        for _ in range(8):
            try:
                state.psql("SELECT policy.apply('%s', 'race')" % text, "holdfast_policy")
            except RuntimeError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=administrator, args=(t,)) for t in texts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.ok(not failures, "two administrators wait for one another", failures[:2])
    now = json.loads(files.export())["domains"]["default"]
    tap.ok(now in (one["domains"]["default"], other["domains"]["default"]), "and the policy is what one of them wanted",
           now)


def beside(state, holding, asking):
    """What both say, "" for nothing, where one begins while the other one holds its locks."""
    said = ["", ""]

    def one(place, text, role):
        try:
            state.psql(text, role)
        except RuntimeError as error:
            said[place] = str(error)

    threads = [threading.Thread(target=one, args=a) for a in ((0, holding, "postgres"), (1, asking, "holdfast_policy"))]
    threads[0].start()
    time.sleep(0.5)
    threads[1].start()
    for t in threads:
        t.join()
    return said


def check_locks(state):
    """Locks are taken in one order: with apply, whose locks are held here, nobody waits in a circle."""
    row = "SELECT FROM policy.domain WHERE name = 'default' FOR NO KEY UPDATE;"
    said = beside(state, "BEGIN; %s SELECT pg_sleep(2); COMMIT" % row,
                  "SET lock_timeout = '500ms'; SELECT policy.certificate_revoke('%s', 'none')" % FIRST)
    tap.ok(said[0] == "" and "lock timeout" in said[1], "who revokes a certificate waits for the domain first", said)
    held = "BEGIN; LOCK TABLE policy.domain IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(1.5); %s COMMIT" % row
    for change in ("domain_limits('default', NULL, NULL, 'x')", "domain_enable('default', true, 'x')",
                   "domain_approval_hours('default', 24, 'x')"):
        said = beside(state, held, "SELECT policy.%s" % change)
        tap.ok(said == ["", ""], "%s waits for who adds a domain" % change, said)


def check_moves(state, files):
    """A client without objects can be given to another domain, and all it had in the old one goes."""
    now = json.loads(files.export())
    moved = copy.deepcopy(now)
    default = moved["domains"]["default"]
    del default["clients"][SECOND]
    moved["domains"]["file-tenant"]["clients"] = {SECOND: client()}
    for group in default["groups"].values():
        group["members"] = [m for m in group["members"] if m != SECOND]
    for role in default["roles"].values():
        role["clients"] = [m for m in role["clients"] if m != SECOND]
    default["bounds"] = [b for b in default["bounds"] if b.get("client") != SECOND]
    default["rules"] = [r for r in default["rules"] if r.get("client") != SECOND]
    alone = {"format": 1, "domains": {"file-tenant": moved["domains"]["file-tenant"]}}
    code, _, errors = files.diff(alone)
    tap.ok(code == 1 and "does not have this domain" in errors, "a move needs both domains in the file", errors)
    answer = files.apply(moved, "--yes")
    tap.ok(answer.returncode == 0 and files.export() == canonical(moved).encode() + b"\n", "a client moves",
           answer.stdout + answer.stderr)
    full = copy.deepcopy(moved)
    full["domains"]["file-tenant"]["max_clients"] = 0
    code, lines, errors = files.diff(full)
    tap.ok(code == 0 and lines, "a limit may be less than there is", errors)
    back = copy.deepcopy(now)
    back["domains"]["default"]["max_clients"] = 1
    code, _, errors = files.diff(back)
    tap.ok(code == 1 and "domains.default.max_clients" in errors, "but nobody moves to where there is no room", errors)
    tap.ok(files.apply(now, "--yes").returncode == 0 and files.export() == canonical(now).encode() + b"\n", "and back")
    owner = copy.deepcopy(now)
    owner["domains"]["file-tenant"]["clients"] = {"first": owner["domains"]["default"]["clients"].pop("first")}
    code, _, errors = files.diff(owner)
    tap.ok(code == 1 and "owns objects" in errors, "who owns objects stays", errors)


def run(state):
    files = Files(state)
    for name in (FIRST, SECOND):
        answer = state.holdfast("client", "add", name, "--out", os.path.join(state.dir, name))
        tap.ok(answer.returncode == 0, "client %s is enrolled" % name, answer.stderr)
    answer = state.holdfast("key", "create", "--name", "policy-file-key")
    tap.ok(answer.returncode == 0, "the first client owns a key", answer.stderr)
    before = check_export(state, files)
    try:
        good = check_round_trip(state, files, before)
        check_errors(state, files, good)
        check_asking(files, good)
        check_database(state, files, good)
        check_two_administrators(state, files, good)
        check_locks(state)
        tap.ok(files.apply(good, "--yes").returncode == 0, "back to the whole policy")
        check_moves(state, files)
    finally:
        answer = files.apply(before, "--yes")
        after = json.loads(files.export())
        tap.ok(answer.returncode == 0 and after["domains"]["default"] == before["domains"]["default"],
               "the policy is again what it was", answer.stderr)
    answer = state.holdfast("audit", "verify")
    tap.ok(answer.returncode == 0, "the audit trail verifies", answer.stdout + answer.stderr)
