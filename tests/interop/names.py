"""The names and numbers of KMIP in each version, by the tables of the specifications
(tests/unit/proto/oasis-tables.tsv, not the server's own tables): what the names in a replay mean, and what an answer of
a version may carry."""
import os
import re

import support
from client import ENUM, INT, STRUCT, TEXT

VERSIONS = ((1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1))
ATTRIBUTE, ATTRIBUTE_NAME, ATTRIBUTE_VALUE = 0x420008, 0x42000A, 0x42000B
OWN = ("x-", "y-")  # how names of attributes begin in 1.x that no table has
LATER = {"keyformattype", "opaquedatatype"}  # attributes since 2.0 alone, though the tags are as old as 1.0


def plain(name):
    """Names are compared without spaces and case: "Cryptographic Length" is CryptographicLength."""
    return re.sub("[^a-z0-9]", "", name.lower())


class Table:
    """One enumeration or mask: its numbers by name, and the numbers of each version."""

    def __init__(self):
        self.by_name, self.of = {}, {v: set() for v in VERSIONS}

    def add(self, version, name, number):
        self.by_name[plain(name)] = number
        self.of[version].add(number)


def load():
    tags, enums, masks = Table(), {}, {}
    with open(os.path.join(support.SRC, "tests/unit/proto/oasis-tables.tsv"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("#"):
                continue
            version, kind, table, name, number = line.rstrip("\n").split("\t")
            held = tags if kind == "tag" else (enums if kind == "enum" else masks).setdefault(plain(table), Table())
            held.add(tuple(map(int, version.split("."))), name, int(number, 16))
    return tags, enums, masks


TAGS, ENUMS, MASKS = load()
NAMES = {number: name for name, number in TAGS.by_name.items()}


def tag(name):
    return TAGS.by_name[plain(name)]


def number(of, word):
    """(type, number) that a word stands for where the tag or attribute `of` has an enumeration or a mask; else None."""
    of = plain(of)
    if of in ENUMS:
        held = ENUMS[of].by_name
        return ENUM, held[plain(word)] if plain(word) in held else int(word, 0)
    if of in MASKS and not word.isdigit():
        return INT, sum(MASKS[of].by_name[plain(w)] for w in word.split("|"))
    return None


def reason(word):
    return ENUMS["resultreason"].by_name[plain(word)]


def of_extension(number):
    """Numbers that vendors may use: their meaning is told by Query, not by a version."""
    return number >> 28 == 8 or number >> 16 == 0x54


def value_fault(version, of, kind, value):
    """of: the name of the tag or attribute that has this value."""
    if kind == ENUM and of in ENUMS and value not in ENUMS[of].of[version] and not of_extension(value):
        return "%s has no value 0x%x" % (of, value)
    if kind == INT and of in MASKS and value & ~sum(MASKS[of].of[version]):
        return "%s has no bits 0x%x" % (of, value)
    return None


def attribute_fault(version, name):
    """In 2.x what has a name as text is a vendor's."""
    if version >= (2, 0) or name.startswith(OWN):
        return None
    known = TAGS.by_name.get(plain(name)) in TAGS.of[version] and plain(name) not in LATER
    return None if known else "has no attribute %s" % name


def fault(version, items, attribute=None):
    """What a message of this version must not carry, in words; None where all of it is of the version. items: of
    client.typed(). attribute: the name of the attribute that the items belong to, in 1.x."""
    for number_, kind, value in items:
        if number_ not in TAGS.of[version] and not of_extension(number_):
            return "has no tag %s (%06x)" % (NAMES.get(number_), number_)
        found = None
        if number_ == ATTRIBUTE_NAME and kind == TEXT:
            attribute = value
            found = attribute_fault(version, value)
        elif kind == STRUCT:
            found = fault(version, value, attribute if number_ == ATTRIBUTE_VALUE else None)
        else:
            of = plain(attribute or "") if number_ == ATTRIBUTE_VALUE else NAMES.get(number_)
            found = value_fault(version, of, kind, value)
        if found:
            return found
    return None
