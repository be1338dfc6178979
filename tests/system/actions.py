"""What clients ask for while things break: a table of actions, each with what its success makes true of which thing.
A new operation is one row, and one function that returns what is asked."""
import collections
import os

import client
from client import BYTES, DATE, INT, STRUCT, TEXT

NOT_FOUND = 1
FAR = 10 * 365 * 86400
NOBODY = "00000000-0000-7000-8000-0000000dead0"
NOW = object()  # as a fact: the server's time when it did it
ABSENT = object()  # as a fact: there is no such attribute
SECRET_WORDS = b"what no power cut may change"


class Between(collections.namedtuple("Between", "low high")):
    """A date known within bounds; the first look at it makes it exact."""


class Thing:
    """One object and all that is known of it. Facts: "State" (as stored), "material", attributes by their names."""

    def __init__(self, name):
        self.name, self.uid, self.facts = name, None, {}
        self.maker = None     # the operation that made it
        self.retired = False  # asked for no more: something about it is in doubt, or its state will change by itself
        self.cipher = False   # an AES key that may encrypt and decrypt
        self.sealed = None    # what it made of SECRET_WORDS, once that is known
        self.opaque = False   # Opaque Objects show neither State nor the dates of a life

    def __str__(self):
        known = {n: v for n, v in self.facts.items() if n != "material"}
        return "%s %s, known %s" % (self.name, self.uid, known)

    def state(self, now):
        state = self.facts.get("State")
        for before, date, after in (("PreActive", "Activation Date", "Active"),
                                    ("Active", "Deactivation Date", "Deactivated")):
            value = self.facts.get(date)
            if state == before and value is not None and not isinstance(value, Between) and value <= now:
                state = after
        return state

    def differs(self, attributes, now):
        """What the server shows against what is known; None where they agree. Exact dates are learnt, and the state of
        what was made while the clock was set."""
        shown = client.STATES.get(attributes.get("State", [None])[0])
        if self.facts["State"] is None:
            self.facts["State"] = shown
        if not self.opaque and shown not in (self.state(now), self.state(now - 2)):
            return "is %s, known %s" % (shown, self.state(now))
        for name, fact in self.facts.items():
            if name in ("State", "material") or self.opaque and name == "Destroy Date":
                continue
            values = attributes.get(name)
            if isinstance(fact, Between) and values and fact.low <= values[0] <= fact.high:
                self.facts[name] = values[0]
            elif fact is ABSENT:
                if values is not None:
                    return "%s is %r, though it was deleted" % (name, values)
            elif values is None or sorted(values) != sorted(fact if isinstance(fact, list) else [fact]):
                return "%s is %r, known %r" % (name, values, fact)
        return None


class Item:
    """One batch item: the operation, the thing it is about and what becomes true of it; reasons for which it must fail;
    a look at its success. An operation that makes more than one thing names the others, [(thing, facts)], and `uids`
    gives all identifiers of its result, in that order."""

    def __init__(self, operation, thing=None, facts=None, fails=(), look=None, others=(), uids=lambda r: [r.uid]):
        self.operation, self.thing, self.fails, self.look, self.uids = operation, thing, fails, look, uids
        self.effects = [(thing, facts or {}), *others] if thing else []


class Ask:
    def __init__(self, *items, on_error=None, version=(1, 4)):
        self.items, self.on_error, self.version = items, on_error, version


# ---- the actions: each returns an Ask; makers get None for the thing ----

MADE = {"State": "PreActive"}


def attributes(loader):
    """Attributes of all kinds that a client may give, and the facts they make."""
    number = loader.random.randrange(1 << 30)
    given = [("Contact Information", TEXT, "contact %d" % number), ("Object Group", TEXT, "group %d" % (number % 7)),
             ("x-Kill-Text", TEXT, "\u00e4\u20ac %d" % number), ("x-Kill-Number", INT, number),
             ("x-Kill-Bytes", BYTES, os.urandom(number % 50)), ("x-Kill-Date", DATE, 1600000000 + number)]
    chosen = loader.random.sample(given, loader.random.randint(1, len(given)))
    items = [client.attribute(n, k, v) for n, k, v in chosen]
    facts = {n: v for n, _, v in chosen}
    if "Object Group" in facts:  # more than one instance
        items.append(client.attribute("Object Group", TEXT, "every one"))
        facts["Object Group"] = [facts["Object Group"], "every one"]
    application = [client.item(0x420003, TEXT, "kill"), client.item(0x420002, TEXT, str(number))]
    items.append(client.attribute("Application Specific Information", STRUCT, application))
    facts["Application Specific Information"] = [client.parse(b"".join(application))]
    return items, facts


def dates(loader, thing):
    """Dates that have passed, that will never come here, or that come while the test runs."""
    now = int(loader.load.clock())
    choice = loader.random.randrange(4 if loader.load.near_dates else 3)
    if choice == 0:
        facts = {"Activation Date": now - 1000, "Deactivation Date": now + FAR}
    elif choice == 1:
        facts = {"Activation Date": now + FAR, "Process Start Date": now + FAR + 1, "Protect Stop Date": now + FAR + 2,
                 "Deactivation Date": now + FAR + 3}
    elif choice == 2:
        facts = {"Activation Date": now - 1000, "Deactivation Date": now - 10}
    else:
        facts = {"Activation Date": now + loader.random.randint(1, 3),
                 "Deactivation Date": now + loader.random.randint(3, 6)}
        thing.retired = True
    return [client.attribute(n, DATE, v) for n, v in facts.items()], facts


def ask_create(loader, thing):
    thing = loader.new()
    thing.cipher = True
    return Ask(Item(client.create(thing.name), thing, MADE))


def create_rich(loader):
    thing = loader.new()
    given, facts = attributes(loader)
    when, more = dates(loader, thing)
    return Item(client.create(thing.name, extra=given + when), thing, {**MADE, **facts, **more})


def ask_create_rich(loader, thing):
    return Ask(create_rich(loader))


def register(loader, thing, extra=(), facts=None, may_be_opaque=True):
    kind = loader.random.choice(("aes", "secret", "opaque") if may_be_opaque else ("aes", "secret"))
    thing.opaque, thing.cipher = kind == "opaque", kind == "aes"
    size = loader.random.choice((16, 24, 32)) if kind == "aes" else loader.random.randint(1, 3000)
    material = os.urandom(size)
    operation = client.register(kind, material, thing.name, extra)
    return Item(operation, thing, {**MADE, "material": material, **(facts or {})})


def ask_register(loader, thing):
    return Ask(register(loader, loader.new()))


def ask_register_rich(loader, thing):
    given, facts = attributes(loader)
    return Ask(register(loader, loader.new(), given, facts))


def ask_pair(loader, thing):
    private, public = loader.new(), loader.new()
    return Ask(Item(client.create_pair(private.name, public.name), private, MADE, others=[(public, MADE)],
                    uids=lambda r: r.pair))


def look_at_key(loader, thing, result):
    if thing.facts.setdefault("material", result.material) != result.material:
        loader.wrong.append("%s: other key bytes than before" % thing.uid)


BY = {"mode": client.ECB, "padding": client.PKCS5}


def look_at_sealed(loader, thing, result):
    if thing.sealed is None:
        thing.sealed = result.data
    if result.data != thing.sealed or len(result.data) != 32:
        loader.wrong.append("%s: encrypts otherwise than before" % thing.uid)


def look_at_opened(loader, thing, result):
    if result.data != SECRET_WORDS:
        loader.wrong.append("%s: decrypts to something else" % thing.uid)


def ask_encrypt(loader, thing):
    return Ask(Item(client.encrypt(thing.uid, SECRET_WORDS, **BY), thing, look=look_at_sealed))


def ask_decrypt(loader, thing):
    return Ask(Item(client.decrypt(thing.uid, thing.sealed, **BY), thing, look=look_at_opened))


def look_at_attributes(loader, thing, result):
    why = thing.differs(result.attributes, loader.load.clock())
    if why:
        loader.wrong.append("%s: %s" % (thing, why))


def look_at_list(loader, thing, result):
    if result.uids != [thing.uid]:
        loader.wrong.append("%s: Locate gives %s, not %s" % (thing.name, result.uids, thing.uid))


def ask_get(loader, thing):
    return Ask(Item(client.get(thing.uid), thing, look=look_at_key))


def ask_attributes(loader, thing):
    return Ask(Item(client.get_attributes(thing.uid), thing, look=look_at_attributes))


def ask_locate(loader, thing):
    return Ask(Item(client.locate(thing.name), thing, look=look_at_list))


ACTIVATED = {"State": "Active", "Activation Date": NOW}
REVOKED = {"State": "Deactivated", "Deactivation Date": NOW}
COMPROMISED = {"State": "Compromised", "Compromise Date": NOW, "Compromise Occurrence Date": 1700000000}


def destroyed(thing):
    compromised = thing.facts["State"] == "Compromised"
    return {"State": "DestroyedCompromised" if compromised else "Destroyed", "Destroy Date": NOW}


def ask_activate(loader, thing):
    return Ask(Item(client.activate(thing.uid), thing, ACTIVATED))


def ask_revoke(loader, thing):
    return Ask(Item(client.revoke(thing.uid), thing, REVOKED))


def ask_compromise(loader, thing):
    return Ask(Item(client.revoke(thing.uid, 2), thing, COMPROMISED))


def ask_destroy(loader, thing):
    return Ask(Item(client.destroy(thing.uid), thing, destroyed(thing)))


def contact(loader):
    return "contact %d" % loader.random.randrange(1 << 30)


def ask_add(loader, thing):
    text = contact(loader)
    operation = client.add_attribute(thing.uid, "Contact Information", TEXT, text)
    return Ask(Item(operation, thing, {"Contact Information": text}))


def ask_modify(loader, thing):
    text = contact(loader)
    operation = client.modify_attribute(thing.uid, "Contact Information", TEXT, text)
    return Ask(Item(operation, thing, {"Contact Information": text}))


def ask_delete(loader, thing):
    return Ask(Item(client.delete_attribute(thing.uid, "Contact Information"), thing, {"Contact Information": ABSENT}))


def ask_set(loader, thing):
    text = contact(loader)
    return Ask(Item(client.set_attribute(thing.uid, 0x420022, TEXT, text), thing, {"Contact Information": text}),
               version=(2, 1))


def ask_move_date(loader, thing):
    date = thing.facts["Deactivation Date"] + loader.random.randrange(10, 1000)
    operation = client.modify_attribute(thing.uid, "Deactivation Date", DATE, date)
    return Ask(Item(operation, thing, {"Deactivation Date": date}))


def missing():
    return Item(client.get(NOBODY), fails=(NOT_FOUND,))


def ask_whole(loader, thing):
    """Several objects and changes of them by the ID placeholder: all of it, or nothing."""
    first, second = loader.new(), loader.new()
    return Ask(Item(client.create(first.name), first, MADE), Item(client.activate(), first, ACTIVATED),
               Item(client.revoke(), first, REVOKED), register(loader, second, may_be_opaque=False),
               Item(client.activate(), second, ACTIVATED), create_rich(loader), on_error=client.UNDO)


def ask_undone(loader, thing):
    items = [create_rich(loader), register(loader, loader.new()), register(loader, loader.new())]
    items.insert(loader.random.randint(1, len(items)), missing())
    return Ask(*items, on_error=client.UNDO)


def ask_undone_change(loader, thing):
    """Changes of an object that was there before are undone, too."""
    return Ask(Item(client.activate(thing.uid), thing, ACTIVATED), Item(client.revoke(thing.uid), thing, REVOKED),
               Item(client.destroy(thing.uid), thing, destroyed(thing)), missing(), on_error=client.UNDO)


def ask_stop(loader, thing):
    first, never = loader.new(), loader.new()
    return Ask(register(loader, first), missing(), Item(client.create(never.name), never, MADE), on_error=client.STOP)


def ask_continue(loader, thing):
    first, second = loader.new(), loader.new()
    return Ask(Item(client.create(first.name), first, MADE), missing(), register(loader, second),
               on_error=client.CONTINUE)


def in_state(*states):
    def may(thing, now):
        return thing.state(now) in states and not thing.opaque
    return may


def may_encrypt(thing, now):
    return thing.cipher and thing.state(now) == "Active" and "Protect Stop Date" not in thing.facts


def may_decrypt(thing, now):
    return thing.sealed is not None and thing.state(now) in ("Active", "Deactivated", "Compromised")


def with_attribute(name, there, *states):
    """Things that have such an attribute, or have none, and are in one of these states, or any but destroyed."""
    def may(thing, now):
        have = thing.facts.get(name, ABSENT) is not ABSENT
        return have is there and (thing.state(now) in states if states else not_gone(thing, now)) and not thing.opaque
    return may


def may_be_destroyed(thing, now):
    return thing.state(now) in ("PreActive", "Deactivated", "Compromised")


def not_gone(thing, now):
    return "Destroyed" not in thing.state(now)


# Name, weight, which things it may meet (None: it makes new ones), what is asked.
Action = collections.namedtuple("Action", "name weight may ask")
ACTIONS = (
    Action("Create", 2, None, ask_create),
    Action("Create with attributes and dates", 3, None, ask_create_rich),
    Action("Register", 2, None, ask_register),
    Action("Register with attributes", 2, None, ask_register_rich),
    Action("Create Key Pair", 1, None, ask_pair),
    Action("batch: whole or nothing", 2, None, ask_whole),
    Action("batch: undone", 2, None, ask_undone),
    Action("batch: stopped", 1, None, ask_stop),
    Action("batch: continued", 1, None, ask_continue),
    Action("Get", 4, not_gone, ask_get),
    Action("Encrypt", 3, may_encrypt, ask_encrypt),
    Action("Decrypt", 2, may_decrypt, ask_decrypt),
    Action("Get Attributes", 3, lambda thing, now: True, ask_attributes),
    Action("Locate", 1, not_gone, ask_locate),
    Action("Activate", 4, in_state("PreActive"), ask_activate),
    Action("Revoke", 2, in_state("Active"), ask_revoke),
    Action("Revoke: compromised", 1, in_state("PreActive", "Active", "Deactivated"), ask_compromise),
    Action("Add Attribute", 2, with_attribute("Contact Information", False), ask_add),
    Action("Modify Attribute", 2, with_attribute("Contact Information", True), ask_modify),
    Action("Delete Attribute", 1, with_attribute("Contact Information", True), ask_delete),
    Action("Set Attribute", 1, with_attribute("Contact Information", True), ask_set),
    Action("Modify Attribute: a date", 2, with_attribute("Deactivation Date", True, "PreActive", "Active"),
           ask_move_date),
    Action("Destroy", 2, may_be_destroyed, ask_destroy),
    Action("batch: changes undone", 2, in_state("PreActive"), ask_undone_change),
)
MAKERS = [a for a in ACTIONS if not a.may]
