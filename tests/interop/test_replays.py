"""The replays of clients/ and rules/, each played on the running server; before that, that a replay can fail."""
import glob
import os

import client
import names
import replay
import script
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
REPLAYS = sorted(glob.glob(os.path.join(HERE, "clients", "*.replay"))
                 + glob.glob(os.path.join(HERE, "rules", "*.replay")))

SOUND = """
client a check of replays themselves
version 1.4
step asks
    Query
        QueryFunction QueryOperations
    -> Success
"""
# Each is a sound one with one expectation more, which no server fulfils.
WRONG = ["        no Operation Get", "        Operation Poll", "        only Operation Get", "        Operation",
         "        UniqueIdentifier *", "        Attribute \"Name\" \"x\""]
CHANGED = [("Success", "PermissionDenied"), ("-> Success", "refused InvalidMessage")]


# What one version has and the one before had not: a tag, an enumeration's value, an attribute in 1.x.
NEW = [((1, 2), (1, 3), client.item(names.tag("LocatedItems"), client.INT, 1)),
       ((1, 3), (1, 4), client.item(names.tag("KeyFormatType"), client.ENUM, 0x16)),
       ((1, 0), (1, 1), client.attribute("Fresh", client.BOOL, True)),
       ((1, 3), (1, 4), client.attribute("Cryptographic Algorithm", client.ENUM, 0x1C)),
       ((1, 4), (2, 0), client.item(names.tag("ProtectionStorageMask"), client.INT, 1))]


def check_gate():
    """That the player sees what is not of a version."""
    wrong = [new for old, new, data in NEW
             if not names.fault(old, client.typed(data)) or names.fault(new, client.typed(data))]
    tap.ok(not wrong, "what a version does not have is seen, and what it has is not taken for that", wrong)


def first_fault(state, text):
    read = script.read(text)
    return next((fault for _, fault in replay.Player(state, read, read.versions[0]).play() if fault), None)


def check_replays_fail(state):
    tap.ok(first_fault(state, SOUND) is None, "a sound replay passes")
    passed = [w.strip() for w in WRONG if first_fault(state, SOUND + w + "\n") is None]
    passed += [new for old, new in CHANGED if first_fault(state, SOUND.replace(old, new)) is None]
    tap.ok(not passed, "and each wrong expectation fails it", passed)


def play(state, path):
    with open(path, encoding="utf-8") as f:
        read = script.read(f.read())
    for version in read.versions:
        for step, fault in replay.Player(state, read, version).play():
            tap.ok(fault is None, "%s, %d.%d: %s" % (read.client, *version, step.title),
                   "%s: %s" % (os.path.basename(path), fault))


def run(state):
    check_gate()
    tap.ok(REPLAYS, "there are replays")
    with state.settings(replay.CROWD):
        check_replays_fail(state)
        for path in REPLAYS:
            play(state, path)
