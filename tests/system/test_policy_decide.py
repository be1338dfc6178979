"""What the server decides by rules: directed cases of sharing, searching, making and refusing; random rules, objects
and clients against a model of the language of rules and against policy.explain(); changes of rules under load."""
import os
import random
import re
import threading
import time

import client
import support
import tap
from client import ENUM, INT, TEXT, attribute

DENIED, WRONG_TYPE = 0x0C, 11
MISSING = "00000000-0000-7000-8000-00000000abcd"
TYPES = {"aes": 2, "secret": 7, "opaque": 8}


class Tenants:
    """Four clients in the first domain: a and b share in a group, a and c are in one that does not share, c has a role
    and b the same one by its group. Rules are put in by SQL, and every change raises the standing of all."""
    NAMES = "abcd"

    def __init__(self, state):
        self.state, self.files, self.ids = state, {}, {}
        for name in self.NAMES:
            folder = os.path.join(state.top, "decide-" + name)
            answer = state.holdfast("client", "add", "decide-" + name, "--out", folder)
            if answer.returncode != 0:
                raise RuntimeError(answer.stderr)
            self.files[name] = {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}
            self.ids[name] = self.sql("SELECT id FROM policy.client WHERE name = 'decide-%s'" % name)[0][0]
        self.group = self.add("client_group (domain, name, shares)", "1, 'decide-share', true")
        self.quiet = self.add("client_group (domain, name, shares)", "1, 'decide-quiet', false")
        self.role = self.add("role (domain, name)", "1, 'decide-role'")
        self.sql("INSERT INTO policy.group_member (client_group, client) VALUES ('%s', '%s'), ('%s', '%s'), "
                 "('%s', '%s'), ('%s', '%s')" % (self.group, self.ids["a"], self.group, self.ids["b"],
                                                 self.quiet, self.ids["a"], self.quiet, self.ids["c"]))
        self.sql("INSERT INTO policy.role_member (role, client) VALUES ('%s', '%s')" % (self.role, self.ids["c"]))
        self.sql("INSERT INTO policy.role_member (role, client_group) VALUES ('%s', '%s')" % (self.role, self.group))
        self.first = self.sql("SELECT id FROM policy.rule WHERE domain = 1 AND reason ~ 'rule of every domain' "
                              "ORDER BY policy = 'public', owner = 'group'")
        self.rules()
        self.links = {n: client.Connection(state.env, **f) for n, f in self.files.items()}

    def sql(self, text):
        return self.state.psql(text, role="postgres")

    def add(self, table, values):
        return self.sql("INSERT INTO policy.%s VALUES (%s) RETURNING id" % (table, values))[0][0]

    def rules(self, *rows, first=True):
        """These rules and no others, with the first three of the domain or without them. Their numbers."""
        text = ["BEGIN", "DELETE FROM policy.rule WHERE reason = 'decide'",
                "UPDATE policy.rule SET valid_until = %s WHERE id IN (%s)"
                % ("NULL" if first else "'2000-01-01'", ", ".join(i for i, in self.first))]
        for row in rows:
            row = {"domain": "1", "reason": "decide", **row}
            text.append("INSERT INTO policy.rule (%s) VALUES (%s) RETURNING id"
                        % (", ".join(row), ", ".join("'%s'" % v for v in row.values())))
        text += ["UPDATE policy.client SET standing = standing + 1 WHERE domain = 1", "COMMIT"]
        return [int(i) for row in self.sql(";\n".join(text)) for i in row[0].split()]

    def call(self, name, *operations, **header):
        return self.links[name].call(*operations, **header)

    def detail(self, name, uid):
        """What auditors are told of the last that this client asked about this object; "-" for nothing."""
        return self.sql("SELECT coalesce(detail, '-') FROM audit.event WHERE client = '%s' AND object = '%s' "
                        "ORDER BY at DESC, seq DESC LIMIT 1" % (self.ids[name], uid))[0][0]

    def end(self):
        self.rules()
        for link in self.links.values():
            link.close()
        self.sql("DELETE FROM policy.role_member WHERE role = '%s'; DELETE FROM policy.role WHERE id = '%s';"
                 "DELETE FROM policy.group_member WHERE client_group IN ('%s', '%s');"
                 "DELETE FROM policy.client_group WHERE id IN ('%s', '%s');"
                 "UPDATE policy.client SET standing = standing + 1 WHERE domain = 1"
                 % (self.role, self.role, self.group, self.quiet, self.group, self.quiet))


def policy_name(name):
    return attribute("Operation Policy Name", TEXT, name)


def same(one, other):
    return (one.status, one.reason, one.message) == (other.status, other.reason, other.message)


def locate(*filters, offset=None, maximum=None):
    head = [] if maximum is None else [client.item(0x42004F, INT, maximum)]
    head += [] if offset is None else [client.item(0x4200D4, INT, offset)]
    return ("Locate", head + list(filters))


# ---- one table ----

def tables(state):
    """The permissions of the server are those of the database."""
    with open(os.path.join(support.SRC, "server/policy/policy.h"), encoding="utf-8") as f:
        found = re.findall(r'X\(PERMIT_\w+,\s*"([^"]+)",\s*"([^"]+)",\s*(true|false)\)', f.read())
    ours = sorted([name, kind, needs[0]] for name, kind, needs in found if name != "none")
    theirs = state.psql("SELECT name, class, needs_object FROM policy.permission", role="postgres")
    tap.ok(len(ours) > 15 and ours == sorted(theirs), "policy.permission is the table of the server", (ours, theirs))


# ---- directed cases ----

def sharing(t):
    made = t.call("b", client.create("decide-shared"))
    tap.ok(t.call("a", client.get(made.uid)).ok, "a member of a group that shares gets another's key")
    tap.ok(t.call("a", client.locate("decide-shared")).uids == [made.uid], "and finds it by its name")
    tap.ok(t.call("b", client.locate("decide-shared")).uids == [made.uid], "as its owner does")
    for name in "cd":
        tap.ok(same(t.call(name, client.get(made.uid)), t.call(name, client.get(MISSING))),
               "%s gets the same answer as for what is missing" % name)
        tap.ok(t.call(name, client.locate("decide-shared")).uids == [], "%s does not find it" % name)
        tap.ok(t.detail(name, made.uid) == "no rule permits", "auditors are told why %s does not get it" % name,
               t.detail(name, made.uid))
    tap.ok(t.detail("d", MISSING) == "-", "of what is missing there is nothing to tell")
    own = t.call("a", client.create("decide-shared"))
    tap.ok(own.ok and t.call("a", client.locate("decide-shared")).uids == [own.uid, made.uid],
           "the same name of two owners finds both, the newest first")
    batch = t.call("a", client.create("decide-third"), client.get(made.uid), locate(maximum=1))
    tap.ok([r.ok for r in batch] == [True] * 3 and batch[2].uids == [batch[0].uid], "all of it in one batch", batch)
    both = t.call("a", client.add_attribute(made.uid, "x-Decide", TEXT, "1"), client.locate("decide-shared"))
    tap.ok(both[1].uids == [own.uid, made.uid], "a mate's key that the batch changes is found as before", both)
    tap.ok(t.call("a", client.destroy(made.uid)).ok and not t.call("b", client.get(made.uid)).ok,
           "a member may destroy what is another's")


def public(t):
    made = t.call("c", client.create("decide-public", extra=[policy_name("public")]))
    other = t.call("c", client.create("decide-odd", extra=[policy_name("p" * 3000)]))
    tap.ok(made.ok and other.ok, "an Operation Policy Name of whatever length is kept", (made, other))
    tap.ok(t.call("d", client.get(made.uid)).ok, "an object with the policy public is everybody's to get")
    tap.ok(t.call("d", client.locate("decide-public")).uids == [made.uid], "and to find by its name")
    tap.ok(made.uid in t.call("d", locate()).uids and other.uid not in t.call("d", locate()).uids,
           "it is found without a filter, what is not public is not")
    tap.ok(same(t.call("d", client.destroy(made.uid)), t.call("d", client.destroy(MISSING))),
           "but nobody else's to destroy")
    tap.ok(t.call("d", client.get_attributes(made.uid)).ok and not t.call("d", client.get(other.uid)).ok,
           "its attributes are read, another policy's object is not")
    tap.ok(made.uid in t.call("d", locate(attribute("Object Type", ENUM, 2))).uids, "and with one")
    t.call("c", client.destroy(made.uid), client.destroy(other.uid))


def refusals(t):
    one, two = [t.call("a", client.create("decide-%d" % i)) for i in (1, 2)]
    number, = t.rules({"client": t.ids["a"], "effect": "deny", "permissions": "{get,locate}",
                       "name_pattern": "decide-1"})
    tap.ok(same(t.call("a", client.get(one.uid)), t.call("a", client.get(MISSING))), "a denial by name refuses")
    tap.ok(t.detail("a", one.uid) == "denied by rule %d" % number, "auditors are told the rule", t.detail("a", one.uid))
    tap.ok(t.call("a", client.get(two.uid)).ok and t.call("b", client.get(one.uid)).ok, "and nothing else")
    found = [t.call("a", client.locate("decide-%d" % i)).uids for i in (1, 2)]
    tap.ok(found == [[], [two.uid]], "Locate finds what is not denied")
    tap.ok(t.call("a", client.get_attributes(one.uid)).ok, "another operation is not touched")
    number, = t.rules({"client": t.ids["a"], "effect": "approval", "permissions": "{destroy}", "approvals": 2})
    answer = t.call("a", client.destroy(one.uid))
    tap.ok((answer.ok, answer.reason) == (False, DENIED), "what needs an approval is refused and says so", answer)
    tap.ok(str(number) in t.detail("a", one.uid), "auditors are told the rule", t.detail("a", one.uid))
    number, = t.rules({"client": t.ids["a"], "effect": "deny", "permissions": "{query}"})
    answer = t.call("a", ("Query", [client.item(0x420074, ENUM, 1)]))
    tap.ok((answer.ok, answer.reason) == (False, DENIED), "what is about no object is refused, too", answer)
    tap.ok(t.call("b", ("Query", [client.item(0x420074, ENUM, 1)])).ok, "to this client alone")
    t.rules()
    tap.ok(t.call("a", client.get(one.uid)).ok, "without the rules all is as before")


def making(t):
    def count():
        return t.sql("SELECT count(*) FROM kmip.object")[0][0]
    before = count()
    t.rules({"client": t.ids["d"], "effect": "deny", "permissions": "{@make}"})
    for what in (client.create("decide-m"), client.create_pair("decide-p", "decide-q"),
                 client.register("aes", b"k" * 16)):
        answer = t.call("d", what)
        tap.ok((answer.ok, answer.reason) == (False, DENIED) and count() == before, "%s is denied" % what[0], answer)
    number, = t.rules({"client": t.ids["d"], "effect": "deny", "permissions": "{create,register}",
                       "name_pattern": "no-*"})
    answer = t.call("d", client.create("no-1"))
    tap.ok((answer.ok, answer.reason) == (False, DENIED) and count() == before,
           "what is made is decided on as it is to be", answer)
    told = t.sql("SELECT detail FROM audit.event WHERE client = '%s' AND operation = 'Create' ORDER BY at DESC LIMIT 1"
                 % t.ids["d"])
    tap.ok(told == [["denied by rule %d" % number]], "auditors are told the rule", told)
    batch = t.call("d", client.create("yes-1"), client.create("no-2"), on_error=client.UNDO)
    tap.ok([r.ok for r in batch] == [False, False] and count() == before, "a batch with a refusal is undone", batch)
    tap.ok(t.call("d", client.create("yes-1")).ok, "another name is no matter")
    t.rules({"client": t.ids["d"], "effect": "allow", "permissions": "{create}", "object_group": "mine"}, first=False)
    mine = client.create(None, extra=[attribute("Object Group", TEXT, "mine")])
    tap.ok(t.call("d", mine).ok and not t.call("d", client.create()).ok,
           "a permission by attribute counts for new objects")
    t.rules()


def pages(t):
    """Offset, maximum and total count what is permitted."""
    made = [t.call("a", client.create("page-%02d" % i, extra=[attribute("Object Group", TEXT, "decide-pages")])).uid
            for i in range(12)]
    t.rules({"client": t.ids["a"], "effect": "deny", "permissions": "{locate}", "name_pattern": "page-?[03]"},
            {"client": t.ids["a"], "effect": "deny", "permissions": "{locate}", "name_pattern": "page-?3"},
            {"client": t.ids["a"], "effect": "deny", "permissions": "{locate}", "name_pattern": "page-11"})
    seen = [u for i, u in reversed(list(enumerate(made))) if i not in (3, 11)]
    group = attribute("Object Group", TEXT, "decide-pages")
    for name, all_of_them in (("a", seen), ("b", made[::-1])):
        for offset in (0, 1, 4, 9, 10, 12, 20):
            for maximum in (1, 3, 10, 50):
                answer = t.call(name, locate(group, offset=offset, maximum=maximum))
                total = client.first(answer.payload, 0x4200D5)
                if answer.uids != all_of_them[offset:offset + maximum] or total != len(all_of_them):
                    tap.ok(False, "page of %d from %d of %s" % (maximum, offset, name), (answer.uids, total))
                    return
    tap.ok(True, "offset, maximum and total count what is permitted")
    answer = t.call("a", client.create("page-new", extra=[group]), locate(group, offset=2, maximum=3))
    tap.ok(answer[1].uids == ([answer[0].uid] + seen)[2:5], "with what the batch made", answer[1].uids)
    t.rules()


# ---- random ----

class Thing:
    def __init__(self, owner, kind, name, group, tier, policy, uid):
        self.owner, self.kind, self.name, self.group = owner, kind, name, group
        self.tier, self.policy, self.uid = tier, policy, uid


def things(t, rng):
    found = []
    for owner in t.NAMES:
        for i in range(6):
            kind, group = rng.choice(list(TYPES)), rng.choice((None, "g1", "g2"))
            tier, policy = rng.choice((None, "1", "2")), rng.choice((None, None, "default", "public", "gold"))
            name = rng.choice(("%s-disk-%d" % (owner, i), "tape%d" % i, "%d\u00e4" % i))
            extra = [attribute("Object Group", TEXT, group)] if group else []
            extra += [attribute("x-Tier", TEXT, tier)] if tier else []
            extra += [policy_name(policy)] if policy else []
            answer = t.call(owner, client.register(kind, rng.randbytes(16), name, extra))
            if not answer.ok:
                raise RuntimeError(answer)
            found.append(Thing(owner, kind, name, group, tier, policy, answer.uid))
    return found


ASKED = {"get": client.get, "get-attributes": client.get_attributes, "check": lambda uid: ("Check", [client.uid(uid)])}


def random_rule(t, rng, objects):
    def maybe(chance, value):
        return value() if rng.random() < chance else None
    subject = rng.choice(("client", "client", "client_group", "role", None))
    rule = {"effect": rng.choices(("allow", "deny", "approval"), (6, 3, 2))[0],
            "owner": rng.choice(("self", "group", "any")),
            "permissions": rng.choice(("{get}", "{locate}", "{*}", "{@read}", "{check,get-attributes}",
                                       "{@change,get}")),
            "policy": rng.choice(("*", "*", "default", "public", "gold")),
            "object": maybe(0.1, lambda: rng.choice(objects).uid),
            "object_type": maybe(0.2, lambda: rng.choice((2, 7, 8, 4))),
            "object_group": maybe(0.2, lambda: rng.choice(("g1", "g2", "g3"))),
            "name_pattern": maybe(0.3, lambda: rng.choice(("*disk*", "tape?", "?\u00e4", "a-*", "*-?", "b*"))),
            "valid_from": maybe(0.2, lambda: rng.choice(("2001-01-01", "2901-01-01"))),
            "valid_until": maybe(0.2, lambda: rng.choice(("2002-01-01", "2902-01-01")))}
    if rule["effect"] == "approval":
        rule["approvals"] = rng.choice((1, 1, 2, 3))
    if rng.random() < 0.2:
        rule.update(attribute_name="x-Tier", attribute_value=rng.choice(("1", "2")))
    if subject:
        rule[subject] = {"client": t.ids[rng.choice(t.NAMES)], "client_group": rng.choice((t.group, t.quiet)),
                         "role": t.role}[subject]
    if rule["valid_from"] == "2901-01-01":
        rule["valid_until"] = None
    return {k: v for k, v in rule.items() if v is not None}


def concerns(t, rule, name):
    groups = {"a": (t.group, t.quiet), "b": (t.group,), "c": (t.quiet,), "d": ()}[name]
    if "client" in rule:
        return rule["client"] == t.ids[name]
    if "client_group" in rule:
        return rule["client_group"] in groups
    return "role" not in rule or name in "abc"


def fits(pattern, text):
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), text, re.S) is not None


def matches(t, rule, name, what, thing):
    words = rule["permissions"].strip("{}").split(",")
    mates = {"a": "ab", "b": "ab"}.get(name, name)
    now = "2026"
    return (concerns(t, rule, name) and (what in words or "*" in words or "@read" in words)
            and rule.get("valid_from", now) <= now < rule.get("valid_until", "3000")
            and thing.owner in {"self": name, "group": mates, "any": t.NAMES}[rule["owner"]]
            and rule["policy"] in ("*", thing.policy or "default")
            and rule.get("object", thing.uid) == thing.uid
            and rule.get("object_type", TYPES[thing.kind]) == TYPES[thing.kind]
            and rule.get("object_group", thing.group) == thing.group
            and ("name_pattern" not in rule or fits(rule["name_pattern"], thing.name))
            and rule.get("attribute_value", thing.tier) == thing.tier)


FIRST = [{"effect": "allow", "permissions": "{*}", "owner": "self", "policy": "*"},
         {"effect": "allow", "permissions": "{*}", "owner": "group", "policy": "*"},
         {"effect": "allow", "permissions": "{@read}", "owner": "any", "policy": "public"}]


def decision(t, rules, name, what, thing):
    """Effect and number of the rule that decides, and how many must approve."""
    hits = {}
    for number, rule in rules:
        if matches(t, rule, name, what, thing):
            hits.setdefault(rule["effect"], []).append((-rule.get("approvals", 0), number))
    if "deny" not in hits and "allow" not in hits:
        return "deny", None, 0
    effect = next(e for e in ("deny", "approval", "allow") if e in hits)
    fewer, number = min(hits[effect])
    return effect, number, -fewer


def answers(t, rules, objects):
    """What the server says to each client about each object, by the model's view: a list of disagreements."""
    wrong = []
    for name in t.NAMES:
        missing = t.call(name, client.get(MISSING))
        for what, ask in ASKED.items():
            for thing in objects:
                effect, number, _ = decision(t, rules, name, what, thing)
                answer = t.call(name, ask(thing.uid))
                allowed = answer.ok or (thing.kind == "opaque" and answer.reason == WRONG_TYPE)
                good = {"allow": allowed, "approval": answer.reason == DENIED, "deny": same(answer, missing)}[effect]
                if not good:
                    wrong.append((name, what, vars(thing), effect, number, answer))
        seen = [x.uid for x in reversed(objects) if decision(t, rules, name, "locate", x)[0] == "allow"]
        known = {x.uid for x in objects}
        found = [u for u in t.call(name, locate()).uids if u in known]
        if found != seen:
            wrong.append((name, "locate", seen, found))
        thing = objects[-1]
        by_name = [x.uid for x in reversed(objects) if x.name == thing.name and x.uid in seen]
        found = t.call(name, client.locate(thing.name)).uids
        if found != by_name:
            wrong.append((name, "locate by name", by_name, found))
    return wrong


def details(t, rules, objects, since):
    """What auditors were told, against the model."""
    rows = t.sql("SELECT DISTINCT ON (client_name, operation, object) client_name, operation, object, "
                 "coalesce(detail, '') FROM audit.event WHERE at >= '%s' "
                 "AND operation IN ('Get', 'Get Attributes', 'Check') AND object <> '%s' "
                 "AND client_name LIKE 'decide-_' ORDER BY client_name, operation, object, at DESC" % (since, MISSING))
    by_uid, wrong = {x.uid: x for x in objects}, []
    for name, operation, uid, detail in rows:
        effect, number, needed = decision(t, rules, name[-1], operation.lower().replace(" ", "-"), by_uid[uid])
        want = {"deny": "denied by rule %s" % number if number else "no rule permits", "allow": "",
                "approval": "rule %s needs %d approval%s: request " % (number, needed, "s" * (needed > 1))}[effect]
        if not (detail.startswith(want) if effect == "approval" else detail == want):
            wrong.append((name, operation, uid, detail, want))
    return len(rows), wrong


def explained(t, rules, objects):
    """The same by policy.explain(): a list of disagreements with the model."""
    calls = [(name, what, x) for name in t.NAMES for what in ASKED for x in objects]
    values = ", ".join("(%d, 'decide-%s', '%s', '%s'::uuid)" % (i, name, what, x.uid)
                       for i, (name, what, x) in enumerate(calls))
    rows = t.sql("SELECT v.n, e.effect, coalesce(e.rule::text, '') FROM (VALUES %s) AS v (n, c, p, o), "
                 "LATERAL (SELECT x.effect, x.rule FROM policy.explain(v.c, v.p, v.o) WITH ORDINALITY AS x "
                 "ORDER BY x.ordinality DESC LIMIT 1) AS e ORDER BY v.n" % values)
    return [(name, what, vars(x), row) for (name, what, x), row in zip(calls, rows)
            if (row[1], row[2]) != tuple("" if v is None else str(v) for v in decision(t, rules, name, what, x)[:2])]


def differential(t, rounds=8):
    seed = int(os.environ.get("HOLDFAST_SEED", "0")) or int(time.time())
    rng = random.Random(seed)
    tap.note("report seed %d" % seed)
    objects = things(t, rng)
    explain = t.sql("SELECT to_regprocedure('policy.explain(text, text, uuid)') IS NOT NULL")[0][0] == "t"
    for i in range(rounds):
        made = [random_rule(t, rng, objects) for _ in range(rng.choice((3, 12, 30, 60)))]
        first = i % 2 == 0
        since = t.sql("SELECT clock_timestamp()")[0][0]
        numbers = t.rules(*made, first=first)
        rules = list(zip(numbers, made)) + ([(int(n), r) for (n,), r in zip(t.first, FIRST)] if first else [])
        wrong = answers(t, rules, objects)
        tap.ok(not wrong, "round %d: the server decides as the model by %d rules" % (i, len(made)), wrong[:3])
        count, wrong = details(t, rules, objects, since)
        tap.ok(count == len(objects) * len(ASKED) * len(t.NAMES) and not wrong,
               "round %d: auditors are told the rule that decided" % i, (count, wrong[:3]))
        if explain:
            wrong = explained(t, rules, objects)
            tap.ok(not wrong, "round %d: policy.explain() says the same" % i, wrong[:3])
    t.rules()


# ---- under load ----

class Asker(threading.Thread):
    """Gets one key without pause; what came of it, and between when and when."""

    def __init__(self, t, uid):
        super().__init__(daemon=True)
        self.link, self.uid = client.Connection(t.state.env, **t.files["d"]), uid
        self.log, self.stop, self.trouble = [], False, None

    def run(self):
        try:
            while not self.stop:
                began = time.monotonic()
                ok = self.link.call(client.get(self.uid)).ok
                self.log.append((began, time.monotonic(), ok))
        except OSError as e:
            self.trouble = e
        self.link.close()


def changing(t, changes=40):
    """Rules go and come while clients ask: no request that began after a change was answered is decided by what was
    before it."""
    made = t.call("d", client.create("under-load"))
    tap.ok(len(t.state.workers()) >= 2, "there are several workers", t.state.workers())
    askers = [Asker(t, made.uid) for _ in range(6)]
    for asker in askers:
        asker.start()
    said, denial = [(time.monotonic(), time.monotonic(), True)], {"client": t.ids["d"], "effect": "deny"}
    for i in range(changes):
        deny = i % 2 == 0
        shape = ({"permissions": "{get}"}, {"permissions": "{@read}", "object": made.uid},
                 {"permissions": "{*}", "name_pattern": "under-*"})[i // 2 % 3]
        began = time.monotonic()
        t.rules(*([{**denial, **shape}] if deny else []))
        said.append((began, time.monotonic(), not deny))
        time.sleep(0.1)
    for asker in askers:
        asker.stop = True
    for asker in askers:
        asker.join(20)
    wrong, sure = [], 0
    for (_, answered, ok), (begins, _, _) in zip(said, said[1:] + [(time.monotonic(), 0, None)]):
        for asker in askers:
            inside = [x for x in asker.log if x[0] > answered and x[1] < begins]
            sure += len(inside)
            wrong += [x for x in inside if x[2] != ok]
    tap.ok(not any(a.trouble for a in askers), "no connection ended", [a.trouble for a in askers])
    tap.ok(not wrong, "no request that begins after a change was answered is decided by what was before", wrong[:5])
    tap.ok(sure > changes * len(askers), "many were asked meanwhile", sure)
    tap.note("report %d changes of rules, %d requests, %d certain" % (changes, sum(len(a.log) for a in askers), sure))
    t.rules()


def run(state):
    tables(state)
    t = Tenants(state)
    try:
        for part in (sharing, public, refusals, making, pages, differential, changing):
            part(t)
    finally:
        t.end()
