"""Each permission x each operation x each kind of role: exactly what a role permits works; what it does not is answered
byte by byte as if nothing were there, or as denied where there is no object to hide; and auditors are told why."""
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, NamedTuple

import client
import tap
from client import DATE, ENUM, INT, STRUCT, TEXT, attribute, item
from test_tenants import BY_TEMPLATE, enrol, operations

DOMAIN, WHY = "proof", "a test"
TEMPLATE, NO_TEMPLATE = "proof-template", "proof-nothing!"  # of one length, as answers are compared
NO_NAME = "proof-none"
NOWHERE = tuple("00000000-0000-7000-8000-00000000fff%s" % last for last in "cde")
DENIED = 0x0C
# What lacks a permission: its object is missing, it is denied, or it finds nothing.
SERVED, MISSING, REFUSED, EMPTY = "served", "missing", "refused", "empty"


# ---- the table of operations ----

class Target(NamedTuple):
    """What one round is about: three objects of another client, of which one can be used from the beginning, and a
    Template, or what nobody has."""
    key: str
    doomed: str
    active: str
    name: str
    template: str

    @property
    def uids(self):
        return (self.key, self.doomed, self.active)


NOTHING = Target(*NOWHERE, NO_NAME, NO_TEMPLATE)
BLOCK = b"of one block, or"


class Form(NamedTuple):
    """One request. needs: the permissions and what their lack looks like, in the order in which they are asked for."""
    operation: str
    needs: tuple
    ask: Callable
    version: tuple = (1, 4)
    about: str = ""  # the field of the Target that is its object
    changes: bool = False
    makes: int = 0


def upon(operation, ask, version=(1, 4), about="key", changes=False):
    """About an object that exists: the permission has the operation's name."""
    return Form(operation, ((permission_of(operation), MISSING),), ask, version, about, changes)


def permission_of(operation):
    return operation.lower().replace(" ", "-")


def making(operation, ask, makes=1):
    """Both by attributes in the request and by a Template, which is missing for who may not use it."""
    own = (permission_of(operation), REFUSED)
    both = (("use-template", MISSING), own)
    return [Form(operation, (own,), lambda t: ask, makes=makes),
            Form(operation, both, lambda t: BY_TEMPLATE[operation](t.template), makes=makes)]


def serving(operation, permission, payload, version):
    return Form(operation, ((permission, REFUSED),), lambda t: (operation, payload), version)


FORMS = [
    *making("Create", client.create()),
    *making("Create Key Pair", client.create_pair(None, None), makes=2),
    *making("Register", client.register("aes", b"k" * 32)),
    Form("Locate", (("locate", EMPTY),), lambda t: client.locate(t.name)),
    Form("Locate", (("locate", EMPTY),), lambda t: ("Locate", [item(0x420125, STRUCT, [
        item(0x420053, STRUCT, client.name_value(t.name))])]), (2, 1)),
    upon("Check", lambda t: ("Check", [client.uid(t.key)])),
    upon("Get", lambda t: client.get(t.key), changes=True),  # the first one ends its freshness
    upon("Get", lambda t: client.get(t.key), (1, 0)),
    upon("Get", lambda t: client.get(t.key), (2, 1)),
    upon("Get Attributes", lambda t: client.get_attributes(t.key)),
    upon("Get Attributes", lambda t: client.get_attributes(t.key), (2, 1)),
    upon("Get Attribute List", lambda t: ("Get Attribute List", [client.uid(t.key)])),
    upon("Add Attribute", lambda t: client.add_attribute(t.key, "x-New", TEXT, "1"), changes=True),
    upon("Modify Attribute", lambda t: client.modify_attribute(t.key, "x-Old", TEXT, "2"), changes=True),
    upon("Delete Attribute", lambda t: client.delete_attribute(t.key, "x-Gone"), changes=True),
    upon("Set Attribute", lambda t: client.set_attribute(t.key, 0x420022, TEXT, "x"), (2, 1), changes=True),
    upon("Activate", lambda t: client.activate(t.key), changes=True),
    upon("Revoke", lambda t: client.revoke(t.key, 2), changes=True),  # as compromised: in whichever state it is
    upon("Destroy", lambda t: client.destroy(t.doomed), about="doomed", changes=True),
    upon("Encrypt", lambda t: client.encrypt(t.active, BLOCK, mode=client.ECB), (1, 2), about="active"),
    upon("Encrypt", lambda t: client.encrypt(t.active, BLOCK, mode=client.CBC, random_iv=1), (2, 1), about="active"),
    upon("Decrypt", lambda t: client.decrypt(t.active, BLOCK, mode=client.ECB), about="active"),
    upon("Decrypt", lambda t: client.decrypt(t.active, BLOCK, mode=client.ECB), (2, 1), about="active"),
    serving("Query", "query", [item(0x420074, ENUM, 1)], (1, 4)),
    serving("Discover Versions", "query", [], (1, 4)),
    serving("Log", "log", [item(0x420141, TEXT, "permitted")], (2, 1)),
    serving("Interop", "interop", [item(0x420160, ENUM, 1), item(0x420161, TEXT, "permitted")], (2, 1)),
]


# ---- the table of roles ----

class Role(NamedTuple):
    name: str
    allow: tuple   # as rules have it: names, @class or *
    deny: tuple
    permits: frozenset
    denies: frozenset


def roles(permissions):
    """permissions: the class of each, as rules name it. Of each permission: it alone, all but it by name, all but it by
    denial; of each class: it alone, and all but it by denial; all, and none."""
    every, found = frozenset(permissions), []

    def add(name, allow, deny, permits, denies=()):
        found.append(Role(name, tuple(sorted(allow)), tuple(deny), frozenset(permits), frozenset(denies)))
    for p in sorted(permissions):
        add("only " + p, [p], [], [p])
        add("all but " + p, every - {p}, [], every - {p})
        add("denied " + p, ["*"], [p], every - {p}, [p])
    for c in sorted(set(permissions.values())):
        members = {p for p in permissions if permissions[p] == c}
        add("class " + c, [c], [], members)
        add("denied class " + c, ["*"], [c], every - members, members)
    add("everything", ["*"], [], every)
    add("nothing", [], [], [])
    return found


def array(words):
    return "'{%s}'::text[]" % ",".join(words) if words else "NULL"


class Proof:
    """A domain without its first rules. Its maker may do all with what is its own; a role is given to one of two other
    clients itself, and to the other by its group, which does not matter for anything else."""
    HOLDERS = {"proof-direct": "client", "proof-member": "group"}

    def __init__(self, state):
        self.state = state
        code, answer = state.json("domain", "add", DOMAIN, "--reason", WHY)
        if code != 0:
            raise RuntimeError(answer)
        files = {}
        for name in ("proof-maker", *self.HOLDERS):
            files[name], answer = enrol(state, name, DOMAIN)
            if answer.returncode != 0:
                raise RuntimeError(answer.stderr)
        self.permissions = dict(self.sql("SELECT permission, class FROM policy.permissions"))
        self.roles = roles(self.permissions)
        self.denials = self.make_rules()
        self.links = {name: client.Connection(state.env, **f) for name, f in files.items()}
        self.asked = {name: [] for name in self.HOLDERS}  # what the audit has to tell of each, in order
        self.versions = {}                                # of each object, as it has to be in the end
        self.made = 0
        self.denied = {}

    def sql(self, text):
        return self.state.psql(text, role="holdfast_policy")

    def make_rules(self):
        """The number of the denial of each role that has one."""
        rows = ", ".join("('%s', %s, %s)" % (r.name, array(r.allow), array(r.deny)) for r in self.roles)
        said = "'%s', '%s'" % (WHY, DOMAIN)
        self.sql(
            "SELECT policy.rule_remove(rule, '%(why)s') FROM policy.rules WHERE domain = '%(domain)s';"
            "SELECT policy.allow('client proof-maker', '{*}', %(said)s, owner => 'self');"
            "SELECT policy.group_add('%(domain)s', 'proof-group', '%(why)s');"
            "SELECT policy.group_share('%(domain)s', 'proof-group', false, '%(why)s');"
            "SELECT policy.group_join('%(domain)s', 'proof-group', 'proof-member', '%(why)s')"
            % {"why": WHY, "domain": DOMAIN, "said": said})
        numbers = self.sql(
            "WITH r (name, allow, deny) AS (VALUES %(rows)s) "
            "SELECT name, policy.role_add('%(domain)s', name, '%(why)s'), "
            "CASE WHEN allow IS NOT NULL THEN policy.allow('role ' || name, allow, %(said)s) END, "
            "CASE WHEN deny IS NOT NULL THEN policy.deny('role ' || name, deny, %(said)s) END FROM r"
            % {"why": WHY, "domain": DOMAIN, "said": said, "rows": rows})
        return {name: denial for name, _, _, denial in numbers}

    def hand_over(self, before, role):
        """The one role is taken from both, the other is given; at once."""
        calls = []
        for name, kind in self.HOLDERS.items():
            whom = "'%s', NULL" % name if kind == "client" else "NULL, 'proof-group'"
            for verb, which in (("take", before), ("give", role)):
                if which:
                    calls.append("policy.role_%s('%s', '%s', %s, '%s')" % (verb, DOMAIN, which.name, whom, WHY))
        self.sql("SELECT " + ", ".join(calls))

    def targets(self, count):
        """So many times three objects of the maker's, all in the same state."""
        active = [attribute("Activation Date", DATE, 1600000000)]
        extra = [attribute("x-Old", TEXT, "1"), attribute("x-Gone", TEXT, "1")]
        found, link = [], self.links["proof-maker"]
        for start in range(0, count, 16):
            names = ["proof-%04d" % i for i in range(start, min(start + 16, count))]
            made = link.call(*[client.create(n, extra=extra) for n in names], *[client.create() for _ in names],
                             *[client.create(extra=active) for _ in names])
            if not all(m.ok for m in made):
                raise RuntimeError(made)
            count_each = len(names)
            for name, *things in zip(names, made, made[count_each:], made[2 * count_each:]):
                uids = [t.uid for t in things]
                self.versions.update({uid: 1 for uid in uids})
                found.append(Target(*uids, name, TEMPLATE))
        return found

    def end(self):
        """Other tests find no role, group or rule of this domain."""
        for link in self.links.values():
            link.close()
        self.sql(
            "SELECT policy.rule_remove(rule, '%(why)s') FROM policy.rules WHERE domain = '%(domain)s';"
            "SELECT policy.role_remove('%(domain)s', name, '%(why)s') FROM policy.roles WHERE domain = '%(domain)s';"
            "SELECT policy.group_remove('%(domain)s', 'proof-group', '%(why)s')" % {"why": WHY, "domain": DOMAIN})


# ---- one request, and what it has to come to ----

TIME = re.compile(rb"\x42\x00\x92\x09\x00\x00\x00\x08.{8}", re.S)


def raw(link, form, target):
    link.tls.sendall(client.message([form.ask(target)], form.version))
    return link.receive()


def result_of(answer):
    return client.Result(client.first(client.parse(answer)[0][1], 0x42000F))


def plain(answer, target):
    """Without the instant and the identifiers, which are all of one length."""
    for uid in target.uids:
        answer = answer.replace(uid.encode(), b"-" * len(uid))
    return TIME.sub(b"", answer)


def lacking(form, role):
    """The permission that is not there, and what this looks like; "" and SERVED where all are."""
    return next(((p, how) for p, how in form.needs if p not in role.permits), ("", SERVED))


def good(form, target, answer):
    """A permitted one has done what it is for."""
    if not answer.ok:
        return False
    if form.operation == "Locate":
        return answer.uids == [target.key]
    if form.operation == "Get":
        return answer.uid == target.key and len(answer.material) == 32
    return not form.about or answer.uid == getattr(target, form.about)


def refused(proof, link, form, target, how, answer):
    """What is wrong with a refusal, whose bytes answer is; "" for nothing."""
    result, bare = result_of(answer), plain(answer, target)
    if how == REFUSED:
        alike = proof.denied.setdefault(form, bare) == bare
        return "" if not result.ok and result.reason == DENIED and alike else "not denied as ever"
    nothing = raw(link, form, NOTHING)
    if bare != plain(nothing, NOTHING):
        return "not as if it were missing: %r" % result_of(nothing)
    if how == EMPTY:
        return "" if result.ok and not result.uids else "it finds something"
    return "served" if result.ok else ""


class Asked(NamedTuple):
    """One request as the audit has to tell it. lacks: the permission that was not there."""
    role: Role
    form: Form
    object: str
    lacks: str
    how: str


def round_of(proof, name, role, target):
    """All operations of one client in one role. What is wrong, how many were made, the versions of the others."""
    link, log = proof.links[name], proof.asked[name]
    wrong, made, versions = [], 0, {uid: 1 for uid in target.uids}
    for form in FORMS:
        answer = raw(link, form, target)
        lacks, how = lacking(form, role)
        about, nowhere = [getattr(t, form.about) if form.about else "" for t in (target, NOTHING)]
        log.append(Asked(role, form, about, lacks, how))
        if lacks:
            why = refused(proof, link, form, target, how, answer)
            if how != REFUSED:
                log.append(Asked(role, form, nowhere, "", how))
        else:
            why = "" if good(form, target, result_of(answer)) else "not as permitted"
            made += form.makes
            if form.changes:
                versions[about] += 1
        if why:
            wrong.append((name, form.operation, form.version, result_of(answer), why))
    return wrong, made, versions


def decisions(proof, pool):
    targets, before = iter(proof.targets(len(proof.roles) * len(proof.HOLDERS))), None
    for role in proof.roles:
        proof.hand_over(before, role)
        before, wrong = role, []
        rounds = [pool.submit(round_of, proof, name, role, next(targets)) for name in proof.HOLDERS]
        for r in rounds:
            found, made, versions = r.result()
            wrong += found
            proof.made += made
            proof.versions.update(versions)
        tap.ok(not wrong, "%s: exactly what it permits works, given to a client and to a group" % role.name, wrong[:8])


# ---- what is left of it ----

def effects(proof):
    """What was refused has changed nothing and made nothing."""
    rows = proof.state.psql("SELECT o.uid, o.version FROM kmip.object o JOIN policy.client c ON c.id = o.owner "
                            "WHERE c.name = 'proof-maker' AND o.object_type <> 6", role="postgres")
    found = {uid: int(version) for uid, version in rows}
    other = [(u, found.get(u), v) for u, v in proof.versions.items() if found.get(u) != v]
    tap.ok(len(found) == len(proof.versions) and not other, "the objects were changed by what was permitted alone",
           other[:8])
    rows = proof.state.psql("SELECT count(*) FROM kmip.object o JOIN policy.client c ON c.id = o.owner "
                            "WHERE c.name IN ('proof-direct', 'proof-member')", role="postgres")
    tap.ok(proof.made > 0 and rows == [[str(proof.made)]], "as many were made as were permitted", (rows, proof.made))


def reason_of(form, how):
    """What the audit calls it."""
    if how == MISSING:
        return "Object Not Found" if form.about and form.version >= (2, 1) else "Item Not Found"
    return "Permission Denied" if how == REFUSED else ""


def detail_of(proof, asked):
    """What decided. A Template and what Locate looks for are named, not identified: no object was asked for there."""
    if not asked.lacks or not (asked.form.about or asked.how == REFUSED):
        return ""
    denied = asked.lacks in asked.role.denies
    return "denied by rule " + proof.denials[asked.role.name] if denied else "no rule permits"


def audited(proof):
    """Each request stands there with its object; each refusal with the result that the client got, which is the one of
    what is missing, and with what decided."""
    for name, log in proof.asked.items():
        rows = proof.state.psql("SELECT operation, object, result, reason, detail FROM audit.events "
                                "WHERE client = '%s' ORDER BY stream, seq" % name)
        wrong = [] if len(rows) == len(log) else [(len(rows), len(log))]
        for row, asked in zip(rows, log):
            operation, uid, result, reason, detail = row
            want = (asked.form.operation, "Success" if asked.how in (SERVED, EMPTY) else "Operation Failed",
                    reason_of(asked.form, asked.how))
            told = (operation, result, reason) == want and (not asked.object or uid == asked.object)
            # What is served may have a detail of its own, as the Templates that were used.
            if not told or (asked.how != SERVED and detail != detail_of(proof, asked)):
                wrong.append((asked.role.name, asked.lacks, row, want, detail_of(proof, asked)))
        tap.ok(not wrong, "auditors are told why %s was refused, %d requests" % (name, len(rows)), wrong[:6])


def run(state):
    covered = {f.operation for f in FORMS}
    tap.ok(covered == set(operations()), "every operation of the table is tried", covered ^ set(operations()))
    proof = Proof(state)
    needed = {p for f in FORMS for p, _ in f.needs}
    tap.ok(needed == set(proof.permissions), "and every permission", needed ^ set(proof.permissions))
    try:
        held = [attribute("Cryptographic Algorithm", ENUM, 3), attribute("Cryptographic Length", INT, 256),
                attribute("Name", STRUCT, client.name_value(TEMPLATE))]
        made = proof.links["proof-maker"].call(("Register", [item(0x420057, ENUM, 6), item(0x420091, STRUCT, []),
                                                             item(0x420090, STRUCT, held)]), version=(1, 0))
        tap.ok(made.ok, "a Template is there", made)
        with state.settings({"server.interop": "yes"}), ThreadPoolExecutor(len(proof.HOLDERS)) as pool:
            decisions(proof, pool)
        effects(proof)
        audited(proof)
    finally:
        proof.end()
