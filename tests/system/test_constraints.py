"""Constraints and defaults in the running server: each bound kept, at its edge and broken, in three versions of KMIP,
by each kind of subject; defaults."""
import time

import client
import tap
from bounded import (AES, DAY, DES3, EC, MAKERS, RSA, VERSIONS, Bounded, add, create, create_pair, delete, expected,
                     modify, register)
from client import ENUM, INT, STRUCT, attribute, item

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
                    tap.ok(t.detail("one") == "constraint %d: %s" % (number, what), "auditors are told",
                           t.detail("one"))
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
            tap.ok(answer.reason == expected(version) and ask(client.get(uid)).ok,
                   "what ended %s stays%s" % (of, where), answer)
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


def run(state):
    t = Bounded(state, "bounds")
    try:
        for part in (making, extremes, subjects, changes, destroying, defaults):
            part(t)
    finally:
        t.end()
