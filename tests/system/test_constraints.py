"""Constraints and defaults in the running server: each bound kept, at its edge and broken, in three versions of KMIP, by
each kind of subject; defaults; quotas under many connections; rates; changes while clients work."""
import os
import threading
import time

import client
import tap
from client import BYTES, DATE, ENUM, INT, STRUCT, TEXT, attribute, item

VERSIONS = ((1, 0), (1, 4), (2, 1))
DAY = 86400
AES, DES3, RSA, EC = 3, 2, 4, 6

# by the name in 1.x: tag and type in 2.x
ATTRIBUTES = {"Cryptographic Algorithm": (0x420028, ENUM), "Cryptographic Length": (0x42002A, INT),
              "Cryptographic Usage Mask": (0x42002C, INT), "Name": (0x420053, STRUCT),
              "Activation Date": (0x420001, DATE), "Deactivation Date": (0x42002F, DATE),
              "Contact Information": (0x420022, TEXT), "Object Group": (0x420056, TEXT)}


def expected(version):
    """Result Reason of what a constraint refuses."""
    return 0x4B if version >= (2, 1) else 0x0C


def field(version, name, value):
    tag, kind = ATTRIBUTES[name]
    value = client.name_value(value) if name == "Name" else value
    return item(tag, kind, value) if version >= (2, 0) else attribute(name, kind, value)


def fields(version, given, tag=0x420125):
    given = [field(version, n, v) for n, v in given.items() if v is not None]
    return item(tag if version >= (2, 0) else {0x420125: 0x420091, 0x420126: 0x42001F, 0x420127: 0x420065,
                                               0x420128: 0x42006E}[tag], STRUCT, given)


def plain(**more):
    """Attributes of an AES key, by the first words of their names; None leaves one out."""
    words = {"algorithm": "Cryptographic Algorithm", "length": "Cryptographic Length", "mask": "Cryptographic Usage Mask",
             "name": "Name", "active": "Activation Date", "until": "Deactivation Date",
             "contact": "Contact Information", "group": "Object Group"}
    return {words[k]: v for k, v in {"algorithm": AES, "length": 256, "mask": 12, **more}.items()}


def create(version, **given):
    return ("Create", [item(0x420057, ENUM, 2), fields(version, plain(**given))])


def register(version, **given):
    """An AES key of the client's own; its algorithm and length stand in the key block."""
    given = plain(**given)
    algorithm, bits = given.pop("Cryptographic Algorithm"), given.pop("Cryptographic Length")
    value = item(0x420045, STRUCT, [item(0x420043, BYTES, os.urandom(bits // 8))])
    block = [item(0x420042, ENUM, 1), value, item(0x420028, ENUM, algorithm), item(0x42002A, INT, bits)]
    return ("Register", [item(0x420057, ENUM, 2), fields(version, given),
                         item(0x42008F, STRUCT, [item(0x420040, STRUCT, block)])])


def create_pair(version, private=None, public=None, **given):
    """On P-256, unless `given` says otherwise: what is common to both, and what is each one's own."""
    common = plain(**{"algorithm": EC, "mask": None, **given})
    own = plain(**{"algorithm": None, "length": None, "mask": 1, **(private or {})})
    other = plain(**{"algorithm": None, "length": None, "mask": 2, **(public or {})})
    return ("Create Key Pair", [fields(version, common, 0x420126), fields(version, own, 0x420127),
                                fields(version, other, 0x420128)])


def add(version, uid, name, value):
    if version < (2, 0):
        return ("Add Attribute", [client.uid(uid), field(version, name, value)])
    return ("Add Attribute", [client.uid(uid), item(0x42013D, STRUCT, [field(version, name, value)])])


def modify(version, uid, name, value):
    return ("Modify Attribute", add(version, uid, name, value)[1])


def delete(version, uid, name, value):
    if version < (2, 0):
        return client.delete_attribute(uid, name)
    return ("Delete Attribute", [client.uid(uid), item(0x42013C, STRUCT, [field(version, name, value)])])


MAKERS = {"Create": create, "Register": register, "Create Key Pair": create_pair}


class Bounded:
    """Clients of the first domain, and constraints by SQL, of which every change raises the standing of all."""

    def __init__(self, state):
        self.state, self.files, self.ids = state, {}, {}
        for name in ("one", "two"):
            folder = os.path.join(state.top, "bounds-" + name)
            answer = state.holdfast("client", "add", "bounds-" + name, "--out", folder)
            if answer.returncode != 0:
                raise RuntimeError(answer.stderr)
            self.files[name] = {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}
            self.ids[name] = self.sql("SELECT id FROM policy.client WHERE name = 'bounds-%s'" % name)[0][0]
        self.group = self.sql("INSERT INTO policy.client_group (domain, name, shares) VALUES (1, 'bounds', true) "
                              "RETURNING id")[0][0]
        self.role = self.sql("INSERT INTO policy.role (domain, name) VALUES (1, 'bounds') RETURNING id")[0][0]
        self.sql("INSERT INTO policy.group_member (client_group, client) VALUES ('%s', '%s');"
                 "INSERT INTO policy.role_member (role, client_group) VALUES ('%s', '%s')"
                 % (self.group, self.ids["one"], self.role, self.group))
        self.bounds()
        self.links = {name: self.link(name) for name in self.files}

    def sql(self, text):
        return self.state.psql(text, role="postgres")

    def link(self, name, **options):
        return client.Connection(self.state.env, **self.files[name], **options)

    def call(self, name, *operations, **header):
        return self.links[name].call(*operations, **header)

    def bounds(self, *rows, more=""):
        """These constraints and no others. Their numbers."""
        text = ["BEGIN", "DELETE FROM policy.bound WHERE reason = 'bounds'"]
        for row in rows:
            row = {"domain": "1", "reason": "bounds", **row}
            text.append("INSERT INTO policy.bound (%s) VALUES (%s) RETURNING id"
                        % (", ".join(row), ", ".join("'%s'" % v for v in row.values())))
        text += [more] if more else []
        text += ["UPDATE policy.client SET standing = standing + 1 WHERE domain = 1", "COMMIT"]
        return [int(i) for row in self.sql(";\n".join(text)) for i in row[0].split() if i.isdigit()]

    def detail(self, name):
        return self.sql("SELECT coalesce(detail, '-') FROM audit.event WHERE client = '%s' ORDER BY at DESC, seq DESC "
                        "LIMIT 1" % self.ids[name])[0][0]

    def live(self, name):
        return int(self.sql("SELECT count(*) FROM kmip.object WHERE owner = '%s' AND state < 5" % self.ids[name])[0][0])

    def clear(self, name):
        """Nothing that this client owns is left."""
        self.bounds()
        for uid, in self.sql("SELECT uid FROM kmip.object WHERE owner = '%s' AND state < 5" % self.ids[name]):
            if not self.call(name, client.destroy(uid)).ok:
                self.call(name, client.revoke(uid, 1))
                self.call(name, client.destroy(uid))

    def end(self):
        self.bounds(more="DELETE FROM policy.object_default WHERE reason = 'bounds';"
                         "UPDATE policy.domain SET max_objects = NULL WHERE id = 1")
        for link in self.links.values():
            link.close()
        self.sql("DELETE FROM policy.role_member WHERE role = '%s'; DELETE FROM policy.role WHERE id = '%s';"
                 "DELETE FROM policy.group_member WHERE client_group = '%s';"
                 "DELETE FROM policy.client_group WHERE id = '%s'" % (self.role, self.role, self.group, self.group))


# ---- what is made ----

def rows():
    """Constraint, what the auditor is told, then for each operation what keeps it and what breaks it."""
    now, names = int(time.time()), iter(range(10**6))
    good, bad = lambda: "vol-%d-%d" % (now, next(names)), lambda: "tape-%d-%d" % (now, next(names))
    life = lambda days, more=0: {"active": now - DAY, "until": now - DAY + days * DAY + more}
    pair = lambda **given: {"private": given, "public": given}
    return (
        ({"algorithms": "{%d,%d}" % (AES, EC)}, "the algorithm",
         {"Create": ({}, {"algorithm": DES3, "length": 168}), "Register": ({}, {"algorithm": DES3, "length": 192}),
          "Create Key Pair": ({}, {"algorithm": RSA, "length": 2048})}),
        ({"least_length": 256}, "the length",
         {"Create": ({"length": 256}, {"length": 192}), "Register": ({"length": 256}, {"length": 192}),
          "Create Key Pair": ({"length": 256}, {"length": 224})}),
        ({"object_type": 2, "most_length": 192}, "the length",
         {"Create": ({"length": 192}, {"length": 256}), "Register": ({"length": 192}, {"length": 256}),
          "Create Key Pair": ({}, None)}),
        ({"most_length": 256}, "the length",
         {"Create Key Pair": ({"length": 256}, {"algorithm": RSA, "length": 8192})}),
        ({"algorithm": RSA, "least_length": 3072}, "the length",
         {"Create": ({"length": 128}, None), "Create Key Pair": ({}, {"algorithm": RSA, "length": 2048})}),
        ({"object_type": 2, "permitted_mask": 12}, "a use that is not permitted",
         {"Create": ({"mask": 4}, {"mask": 13}), "Register": ({"mask": 12}, {"mask": 0x1C}),
          "Create Key Pair": ({}, None)}),
        ({"object_type": 4, "permitted_mask": 1}, "a use that is not permitted",
         {"Create Key Pair": ({}, {"private": {"mask": 9}})}),
        ({"object_type": 3, "permitted_mask": 2}, "a use that is not permitted",
         {"Create Key Pair": ({}, {"public": {"mask": 6}}), "Create": ({}, None)}),
        ({"required_mask": 4, "object_type": 2}, "a use that is required",
         {"Create": ({"mask": 4}, {"mask": 8}), "Register": ({"mask": 12}, {"mask": 8})}),
        ({"protections": "{1}"}, None, {"Create": ({}, None), "Register": ({}, None), "Create Key Pair": ({}, None)}),
        ({"protections": "{2}"}, "the protection level",
         {"Create": (None, {}), "Register": (None, {}), "Create Key Pair": (None, {})}),
        ({"mandatory": "{Contact Information}"}, "an attribute that must be given",
         {"Create": ({"contact": "a"}, {}), "Register": ({"contact": "a"}, {}),
          "Create Key Pair": ({"contact": "a"}, {"private": {"contact": "a"}})}),
        ({"mandatory": "{Name,DeactivationDate}"}, "an attribute that must be given",
         {"Create": ({"name": good(), "until": now + DAY}, {"until": now + DAY}),
          "Register": ({"name": good(), "until": now + DAY}, {"name": good()})}),
        ({"most_life_days": 30}, "the length of its life",
         {"Create": (life(30), life(30, 1)), "Register": (life(30), life(30, 1)),
          "Create Key Pair": (life(30), life(31))}),
        ({"most_life_days": 30}, "the Deactivation Date, which must be given",
         {"Create": (life(1), {}), "Register": (life(1), {"active": now}),
          "Create Key Pair": (pair(**life(2)), {"private": life(2)})}),
        ({"name_pattern": "vol-*"}, "a name",
         {"Create": ({"name": good()}, {"name": bad()}), "Register": ({"name": good()}, {"name": bad()}),
          "Create Key Pair": ({"private": {"name": good()}}, {"public": {"name": bad()}})}),
    )


def unnamed(given, version):
    """The same with other names, as each is taken by the version before."""
    mark = "-%d%d" % version
    return {k: unnamed(v, version) if isinstance(v, dict) else v + mark if k == "name" else v
            for k, v in given.items()}


def making(t):
    for bound, what, cases in rows():
        number, = t.bounds({**bound, "client": t.ids["one"]})
        for version in VERSIONS:
            for operation, (kept, broken) in cases.items():
                where = "%s of %s in %d.%d" % (bound, operation, *version)
                if kept is not None:
                    made = t.call("one", MAKERS[operation](version, **unnamed(kept, version)), version=version)
                    tap.ok(made.ok, "within " + where, made)
                if broken is not None:
                    before = t.live("one")
                    made = t.call("one", MAKERS[operation](version, **unnamed(broken, version)), version=version)
                    tap.ok(not made.ok and made.reason == expected(version) and t.live("one") == before,
                           "refused: " + where, made)
                    tap.ok(t.detail("one") == "constraint %d: %s" % (number, what), "auditors are told", t.detail("one"))
    t.bounds({"client": t.ids["one"], "most_length": 4096})
    t.call("one", client.locate("nothing"))
    began = time.monotonic()
    made = t.call("one", create_pair((1, 4), algorithm=RSA, length=8192))
    tap.ok(made.reason == 0x0C and time.monotonic() - began < 0.5, "a large pair is refused before it is made", made)


def extremes(t):
    """Limits as large as the database takes are none; with the least one nothing can be made."""
    t.bounds({"client": t.ids["one"], "most_objects": 2**63 - 1, "requests_per_second": 2**31 - 1})
    tap.ok(t.call("one", create((1, 4))).ok, "a limit that nobody reaches stops nobody")
    t.bounds({"client": t.ids["one"], "most_objects": 0})
    tap.ok(t.call("one", create((1, 4))).reason == 0x0C and t.call("one", client.locate("nothing")).ok,
           "who may have no object can ask all the same")


def subjects(t):
    by = {"client": ({"client": t.ids["one"]}, False), "group": ({"client_group": t.group}, False),
          "role": ({"role": t.role}, False), "everyone": ({}, True)}
    for kind, (subject, both) in by.items():
        t.bounds({**subject, "least_length": 256})
        for name, bound in (("one", True), ("two", both)):
            made = t.call(name, create((1, 4), length=128))
            tap.ok(made.ok != bound, "a constraint for %s binds %s: %s" % (kind, name, bound), made)
    first, second = t.bounds({"client": t.ids["one"], "most_length": 192}, {"role": t.role, "least_length": 256})
    t.call("one", create((1, 4), length=256))
    tap.ok(t.detail("one") == "constraint %d: the length" % first, "of two the one that does not hold is told")
    t.call("one", create((1, 4), length=128))
    tap.ok(t.detail("one") == "constraint %d: the length" % second, "whichever it is")


# ---- what is changed ----

def changes(t):
    now = int(time.time())
    for version in VERSIONS:
        t.bounds()
        ask = lambda operation: t.call("one", operation, version=version)
        where = " in %d.%d" % version
        mark = "%d-%d%d" % (now, *version)
        old = ask(create(version, name="old-" + mark, contact="a")).uid
        dated = ask(create(version, active=now + DAY, until=now + 20 * DAY)).uid
        number, = t.bounds({"client": t.ids["one"], "name_pattern": "vol-*",
                            "mandatory": "{Contact Information}", "most_life_days": 30})
        tap.ok(ask(client.get(old)).ok, "what was there before can be used" + where)
        refusals = ((add(version, old, "Name", "tape-" + mark), "a name"),
                    (delete(version, old, "Contact Information", "a"), "an attribute that must be given"),
                    (modify(version, dated, "Deactivation Date", now + 32 * DAY), "the length of its life"),
                    (client.activate(old), "the Deactivation Date, which must be given"))
        for operation, what in refusals:
            answer = ask(operation)
            tap.ok(answer.reason == expected(version) and t.detail("one") == "constraint %d: %s" % (number, what),
                   "%s refuses: %s%s" % (operation[0], what, where), (answer, t.detail("one")))
        for operation in (add(version, old, "Name", "vol-" + mark),
                          modify(version, old, "Contact Information", "b"),
                          add(version, dated, "Contact Information", "c"),
                          modify(version, dated, "Deactivation Date", now + 31 * DAY)):
            answer = ask(operation)
            tap.ok(answer.ok, "%s is within%s" % (operation[0], where), answer)
        answer = ask(client.activate(dated))
        tap.ok(answer.reason == expected(version) and
               t.detail("one") == "constraint %d: the length of its life" % number,
               "an activation before its day makes the life too long" + where, (answer, t.detail("one")))
        for operation in (modify(version, dated, "Deactivation Date", now + 30 * DAY), client.activate(dated),
                          client.revoke(dated), client.destroy(dated), client.destroy(old)):
            answer = ask(operation)
            tap.ok(answer.ok, "%s is within%s" % (operation[0], where), answer)


def destroying(t):
    now = int(time.time())
    for version in VERSIONS:
        ask = lambda operation: t.call("one", operation, version=version)
        where = " in %d.%d" % version
        t.bounds()
        fresh = ask(create(version)).uid
        ended = ask(register(version, active=now - 10 * DAY, until=now - 5 * DAY)).uid
        number, = t.bounds({"client": t.ids["one"], "destroy_after_days": 6})
        for uid, of in ((ended, "five days ago"), (fresh, "now")):
            answer = ask(client.destroy(uid))
            tap.ok(answer.reason == expected(version) and ask(client.get(uid)).ok, "what ended %s stays%s" % (of, where),
                   answer)
            ask(client.destroy(uid))
            tap.ok(t.detail("one") == "constraint %d: the days between its last use and its destruction" % number,
                   "auditors are told why", t.detail("one"))
        for given, change in (({}, add), ({"until": now + 30 * DAY}, modify)):
            used = ask(register(version, active=now - 10 * DAY, **given)).uid
            answer = ask(change(version, used, "Deactivation Date", now - 9 * DAY))
            tap.ok(answer.reason == expected(version)
                   and t.detail("one") == "constraint %d: a Deactivation Date that is past" % number,
                   "no date shortens the wait" + where, (answer, t.detail("one")))
            tap.ok(not ask(client.destroy(used)).ok and ask(client.get(used)).ok, "what is in use stays" + where)
        t.bounds({"client": t.ids["one"], "destroy_after_days": 5})
        answer = ask(client.destroy(ended))
        tap.ok(answer.ok, "it is destroyed at the edge" + where, answer)
        tap.ok(not ask(client.destroy(fresh)).ok, "what is new is not" + where)
        t.bounds()
        tap.ok(ask(client.destroy(fresh)).ok, "nor kept for ever" + where)


# ---- defaults ----

def defaults(t):
    rows = (("SymmetricKey", '{"CryptographicAlgorithm": "AES", "CryptographicLength": 192, "CryptographicUsageMask": '
                             '["Encrypt", "Decrypt"], "ContactInformation": "house", "ObjectGroup": ["g1", "g2"]}'),
            ("PublicKey", '{"CryptographicUsageMask": ["Verify"], "ContactInformation": "public"}'),
            ("PrivateKey", '{"CryptographicUsageMask": ["Sign"], "ContactInformation": "private"}'))
    t.bounds(more=";".join("SELECT policy.default_set('%s', '%s', 'bounds', d.name) FROM policy.domain d WHERE d.id = 1"
                           % row for row in rows))
    look = lambda uid: t.call("one", client.get_attributes(uid)).attributes
    for version in VERSIONS:
        where = " in %d.%d" % version
        made = t.call("one", create(version, algorithm=None, length=None, mask=None), version=version)
        tap.ok(made.ok, "a key of which nothing is said is made" + where, made)
        got = look(made.uid) if made.ok else {}
        tap.ok(got.get("Cryptographic Length") == [192] and got.get("Cryptographic Usage Mask") == [12] and
               got.get("Contact Information") == ["house"] and got.get("Object Group") == ["g1", "g2"],
               "as the defaults say" + where, got)
        made = t.call("one", create(version, length=256, contact="mine", group="g3"), version=version)
        got = look(made.uid)
        tap.ok(got.get("Cryptographic Length") == [256] and got.get("Contact Information") == ["mine"] and
               got.get("Object Group") == ["g3"], "what the maker says prevails" + where, got)
        made = t.call("one", register(version, length=256, mask=None), version=version)
        got = look(made.uid) if made.ok else {}
        tap.ok(got.get("Cryptographic Length") == [256] and got.get("Contact Information") == ["house"] and
               got.get("Cryptographic Usage Mask") == [12], "Register has them, but not for what the key is" + where,
               (made, got))
        made = t.call("one", create_pair(version, private={"mask": None}, public={"mask": None}), version=version)
        got = [look(uid) for uid in made.pair] if made.ok else [{}, {}]
        tap.ok([g.get("Contact Information") for g in got] == [["private"], ["public"]] and
               [g.get("Cryptographic Usage Mask") for g in got] == [[1], [2]], "a pair has those of each half" + where,
               (made, got))
        made = t.call("one", create_pair(version, private={"mask": None}, public={"mask": None}, contact="both"),
                      version=version)
        got = [look(uid) for uid in made.pair] if made.ok else [{}, {}]
        tap.ok([g.get("Contact Information") for g in got] == [["both"]] * 2,
               "what is said of both halves prevails" + where, (made, got))
    name = "bounds-template-%d" % time.time()
    held = item(0x420090, STRUCT, [attribute("Cryptographic Length", INT, 128)])
    made = t.call("one", ("Register", [item(0x420057, ENUM, 6), item(0x420091, STRUCT, [
        attribute("Name", STRUCT, client.name_value(name))]), held]))
    tap.ok(made.ok, "a Template is registered", made)
    made = t.call("one", ("Create", [item(0x420057, ENUM, 2), item(0x420091, STRUCT, [
        item(0x420053, STRUCT, client.name_value(name))])]))
    got = look(made.uid) if made.ok else {}
    tap.ok(got.get("Cryptographic Length") == [128] and got.get("Contact Information") == ["house"],
           "a Template goes before the defaults", (made, got))
    t.bounds({"client": t.ids["one"], "mandatory": "{Contact Information}"})
    tap.ok(t.call("one", create((1, 4))).ok, "a default gives what is mandatory")
    t.bounds(more="DELETE FROM policy.object_default WHERE reason = 'bounds'")
    tap.ok(not t.call("one", create((1, 4), algorithm=None, length=None)).ok, "without defaults nothing is made up")


# ---- quotas ----

def crowd(t, name, count, work):
    """`count` connections of this client, each with work(link, number) in a thread of its own; what they gave."""
    out, trouble = [None] * count, []

    def one(i):
        try:
            with t.link(name) as link:
                out[i] = work(link, i)
        except Exception as e:
            trouble.append(e)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    tap.ok(not trouble, "no connection of %s is in trouble" % name, trouble)
    return out


def rush(link, _):
    return [link.call(create((2, 1)), version=(2, 1)) for _ in range(5)]


def quotas(t):
    for kind, bound in (("client", {"client": t.ids["one"], "most_objects": 20}), ("domain", None)):
        t.clear("one")
        t.clear("two")
        most = 20
        if kind == "domain":
            there = int(t.sql("SELECT count(*) FROM kmip.object WHERE domain = 1 AND state < 5")[0][0])
            number = t.bounds(more="UPDATE policy.domain SET max_objects = %d WHERE id = 1" % (there + 20))
        else:
            number = t.bounds(bound)
        answers = [a for some in crowd(t, "one", 16, rush) for a in some]
        made, refused = [a for a in answers if a.ok], [a for a in answers if not a.ok]
        tap.ok(len(made) == most == t.live("one"), "16 connections make just as many objects as the %s may have" % kind,
               (len(made), t.live("one")))
        tap.ok(all(a.reason == 0x4B for a in refused), "all others are refused by the constraint",
               [a for a in refused if a.reason != 0x4B][:3])
        says = "constraint %d: the number of its objects" % number[0] if bound else \
            "the domain has its %d objects" % (there + 20)
        t.call("one", create((1, 4)))
        tap.ok(t.detail("one") == says, "auditors are told", t.detail("one"))
        tap.ok(t.call("one", create_pair((1, 4))).reason == 0x0C, "a pair is refused")
        tap.ok(t.call("two", create((1, 4))).ok == (kind == "client"), "another client: %s" % kind)
        both = t.call("one", client.destroy(made[0].uid), create((1, 4)), on_error=client.CONTINUE)
        tap.ok([a.ok for a in both] == [True, True], "a batch that makes room has it", both)
        both = t.call("one", client.destroy(both[1].uid), create((1, 4)), create((1, 4)), on_error=client.CONTINUE)
        tap.ok([a.ok for a in both] == [True, True, False], "and no more than that", both)
        tap.ok(t.call("one", client.destroy(made[1].uid)).ok and not t.call("one", create_pair((1, 4))).ok and
               t.call("one", create((1, 4))).ok and not t.call("one", create((1, 4))).ok,
               "who is below again makes one, and not two")
        swap = [a for some in crowd(t, "one", 8, lambda link, i: [
            link.call(client.destroy(made[2 + i].uid)), link.call(create((1, 4)))]) for a in some]
        tap.ok(all(a.ok for a in swap) and t.live("one") == most, "each that makes room finds it", swap)
        t.bounds(more="UPDATE policy.domain SET max_objects = NULL WHERE id = 1")
        tap.ok(t.call("one", create((1, 4))).ok, "without a limit there is none")


# ---- rates ----

def spin(link, seconds):
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        if not link.call(("Query", [item(0x420074, ENUM, 1)])).ok:
            raise RuntimeError("a query failed")
        times.append(time.monotonic())
    return times


def rates(t):
    t.bounds({"client": t.ids["one"], "requests_per_second": 20})
    t.call("one", ("Query", [item(0x420074, ENUM, 1)]))
    began, other = time.monotonic(), []
    aside = threading.Thread(target=lambda: other.extend(crowd(t, "two", 1, lambda link, _: spin(link, 3))[0]))
    aside.start()
    times = sorted(x for some in crowd(t, "one", 8, lambda link, _: spin(link, 3)) for x in some)
    aside.join(30)
    took = times[-1] - began
    tap.ok(0.6 * 20 * took < len(times) <= 20 * took + 2, "8 connections together have 20 requests a second",
           (len(times), took))
    tap.ok(max(sum(x <= y < x + 1 for y in times) for x in times) <= 24, "in each second of it")
    tap.ok(len(other) > 10 * len(times), "another client does not notice", (len(other), len(times)))
    t.bounds({"client": t.ids["one"], "requests_per_second": 1})
    t.call("one", ("Query", [item(0x420074, ENUM, 1)]))
    answers = crowd(t, "one", 20, lambda link, _: link.call(("Query", [item(0x420074, ENUM, 1)])))
    busy = [a for a in answers if not a.ok]
    tap.ok(8 <= len(answers) - len(busy) <= 13 and busy, "who would wait for more than ten seconds is told so",
           (len(answers), busy[:2]))
    gone = t.link("one")
    gone.tls.sendall(client.message([("Query", [item(0x420074, ENUM, 1)])]))
    gone.close()
    t.bounds()
    time.sleep(0.5)
    began = time.monotonic()
    tap.ok(t.call("two", create((1, 4))).ok and t.call("one", create((1, 4))) and t.call("one", create((1, 4))).ok,
           "without the constraint nobody is held back")
    tap.ok(time.monotonic() - began < 12, "but for what was asked before", time.monotonic() - began)


# ---- while clients work ----

def meanwhile(t, rounds=20):
    """A constraint holds for each request that begins after it was made, and for none after it is gone."""
    log, stop, trouble = [], threading.Event(), []

    def one():
        try:
            with t.link("one") as link:
                while not stop.is_set():
                    began = time.monotonic()
                    ok = link.call(create((1, 4), length=128)).ok
                    log.append((began, time.monotonic(), ok))
        except OSError as e:
            trouble.append(e)
    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = []
    for i in range(rounds):
        began = time.monotonic()
        t.bounds(*([{"role": t.role, "least_length": 256}] if i % 2 else []))
        said.append((began, time.monotonic(), not i % 2))
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(20)
    wrong, sure = [], 0
    for (_, answered, ok), (begins, _, _) in zip(said, said[1:] + [(time.monotonic(), 0, None)]):
        inside = [x for x in log if x[0] > answered and x[1] < begins]
        sure += len(inside)
        wrong += [x for x in inside if x[2] != ok]
    tap.ok(not trouble and not wrong and sure > rounds, "a constraint holds from the next request on",
           (trouble, wrong[:3], sure))
    tap.note("report %d changes of constraints, %d requests, %d certain" % (rounds, len(log), sure))


def run(state):
    t = Bounded(state)
    try:
        for part in (making, extremes, subjects, changes, destroying, defaults, quotas, rates, meanwhile):
            part(t)
    finally:
        t.end()
