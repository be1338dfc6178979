"""Operations over the wire, in their versions: keys of other algorithms, Check, Log, Interop, Templates, Locate."""
import signal
import subprocess

import client
import support
import tap
from client import BYTES, DATE, ENUM, INT, LONG, STRUCT, TEXT, attribute, first, item

SYMMETRIC, TEMPLATE = 2, 6
DENIED, NOT_FOUND, NOT_SUPPORTED, WRONG_MASK = 0x0C, 0x01, 0x05, 0x29


def create(version, algorithm, length=None, more=()):
    """Create in either form of attributes; more: (1.x name, tag, type, value)."""
    said = [("Cryptographic Algorithm", 0x420028, ENUM, algorithm)]
    if length:
        said.append(("Cryptographic Length", 0x42002A, INT, length))
    said += [("Cryptographic Usage Mask", 0x42002C, INT, 12)] + list(more)
    if version < (2, 0):
        listed = item(0x420091, STRUCT, [attribute(n, kind, value) for n, _, kind, value in said])
    else:
        listed = item(0x420125, STRUCT, [item(tag, kind, value) for _, tag, kind, value in said])
    return ("Create", [item(0x420057, ENUM, SYMMETRIC), listed])


def check_algorithms(state, link):
    for version, algorithm, length, size, what in [
            ((1, 0), 2, 168, 24, "3DES"), ((1, 4), 2, 112, 16, "3DES with two keys"), ((1, 0), 1, None, 8, "DES"),
            ((1, 2), 9, None, 32, "HMAC-SHA256"), ((1, 0), 0x18, 80, 10, "SKIPJACK"),
            ((1, 4), 0x1C, None, 32, "ChaCha20"), ((2, 0), 0x29, 192, 24, "ARIA"), ((2, 1), 0x2D, None, 16, "SM4")]:
        made = link.call(create(version, algorithm, length), version=version)
        got = link.call(client.get(made.uid or "?"), version=version)
        tap.ok(made.ok and got.ok and len(got.material) == size, "%d.%d: a key for %s" % (*version, what), made)
        if algorithm in (1, 2) and got.ok:
            tap.ok(all(bin(b).count("1") % 2 for b in got.material), "with odd parity", got.material.hex())
    rows = state.psql("SELECT DISTINCT algorithm FROM audit.keys WHERE algorithm ~ '3DES|ARIA|SM4' ORDER BY 1")
    tap.ok(rows == [["3DES"], ["ARIA"], ["SM4"]], "audit.keys names the algorithms", rows)
    tap.ok(not link.call(create((1, 4), 0x29), version=(1, 4)).ok, "1.4 has no ARIA")
    tap.ok(not link.call(create((2, 1), 2, 256), version=(2, 1)).ok, "and 3DES no key of 256 bits")


def check_check(link):
    uid = link.call(client.create()).uid
    link.call(client.activate(uid))
    ask = lambda mask: ("Check", [client.uid(uid), item(0x42002C, INT, mask)])
    tap.ok(link.call(ask(4)).uid == uid, "Check: a key may be used as its mask says")
    answer = link.call(ask(1))
    told = first(answer.payload, 0x42002C)
    tap.ok(answer.reason == DENIED and told == 1, "1.4: and the refused mask is told", answer)
    answer = link.call(ask(1), version=(2, 1))
    tap.ok(answer.reason == WRONG_MASK and not answer.payload, "2.1: and there is a reason of its own", answer)


def interop(function=1):
    return ("Interop", [item(0x420160, ENUM, function), item(0x420161, TEXT, "a case")])


def lists_interop(link):
    answer = link.call(("Query", [item(0x420074, ENUM, 1)]), version=(2, 1))
    return client.OPS["Interop"] in client.every(answer.payload, 0x42005C)


def check_log(state, link):
    said = "backup 7 began; 'quotes', \"more\" and \\"
    tap.ok(link.call(("Log", [item(0x420141, TEXT, said + "\n")]), version=(2, 1)).ok, "Log: a message is taken")
    rows = state.psql("SELECT detail FROM audit.events WHERE operation = 'Log'")
    tap.ok(rows == [[said + "\\x0A"]], "and stands in the audit, escaped", rows)
    answer = link.call(("Log", [item(0x420141, TEXT, "x" * 1025)]), version=(2, 1))
    tap.ok(answer.reason == 0x07, "one that is too long is refused", answer)
    tap.ok(link.call(("Log", [item(0x420141, TEXT, "x")]), version=(1, 4)).reason == NOT_SUPPORTED, "1.4 has no Log")


def set_interop(state, link, allowed):
    """By the quick start's configuration and a reload."""
    line = "interop = " + ("yes" if allowed else "no")
    subprocess.run(["sed", "-i", "s/^interop = .*/%s/" % line, state.conf], check=True)
    state.kill("supervisor", signal.SIGHUP)
    return support.wait_for(lambda: lists_interop(link) == allowed, 20, 0.1)


def check_interop(state, link):
    tap.ok(link.call(interop(), version=(2, 1)).reason == NOT_SUPPORTED and not lists_interop(link),
           "Interop is not offered as a rule")
    tap.ok(set_interop(state, link, True), "a reload with interop = yes lists it")
    tap.ok(link.call(interop(), version=(2, 1)).ok and link.call(interop(3), version=(2, 1)).reason == 0x08,
           "then a suite may begin and end; nothing is reset")
    tap.ok(set_interop(state, link, False), "and another reload takes it away")


def check_templates(link):
    name = item(0x420053, STRUCT, client.name_value("like-this"))
    held = [attribute("Cryptographic Algorithm", ENUM, 3), attribute("Cryptographic Length", INT, 192),
            attribute("Object Group", TEXT, "made-alike"), attribute("Name", STRUCT, client.name_value("like-this"))]
    made = link.call(("Register", [item(0x420057, ENUM, TEMPLATE), item(0x420091, STRUCT, []),
                                   item(0x420090, STRUCT, held)]), version=(1, 0))
    tap.ok(made.ok, "a Template is registered", made)
    use = lambda *more: ("Create", [item(0x420057, ENUM, SYMMETRIC), item(0x420091, STRUCT, [name, *more])])
    key = link.call(use(attribute("Cryptographic Usage Mask", INT, 4)), version=(1, 2))
    got = link.call(client.get(key.uid or "?"))
    tap.ok(key.ok and len(got.material) == 24, "a key is made like it", key)
    found = link.call(("Locate", [attribute("Object Group", TEXT, "made-alike")]))
    tap.ok(found.uids == [key.uid], "the group is the key's and not the Template's", found.uids)
    tap.ok(len(client.every(first(link.call(client.get(made.uid)).payload, 0x420090) or [], 0x420008)) == 4,
           "Get gives it as it was registered")
    tap.ok(link.call(client.get(made.uid), version=(2, 1)).reason == 0x37, "2.1 has no Templates")
    link.call(client.destroy(made.uid))
    tap.ok(link.call(use(), version=(1, 4)).reason == NOT_FOUND, "a destroyed one is missing")


def check_locate(link):
    limits = item(0x42000B, STRUCT, [item(0x420097, LONG, 1000), item(0x420098, ENUM, 1)])
    made = [link.call(create((1, 4), 3, 256, [("Object Group", 0, TEXT, "band"),
                                              ("Deactivation Date", 0, DATE, 4000000000 + i)])).uid for i in range(5)]
    by = lambda *filters: ("Locate", [*filters])
    group = attribute("Object Group", TEXT, "band")
    member = lambda which: item(0x4200AC, ENUM, which)
    tap.ok(link.call(by(group)).uids == made[::-1], "Locate: the newest first")
    page = link.call(by(item(0x42004F, INT, 2), item(0x4200D4, INT, 1), group))
    total = first(page.payload, 0x4200D5)
    tap.ok(page.uids == [made[3], made[2]] and total == 5, "a page, and how many there are", page)
    dates = [attribute("Deactivation Date", DATE, 4000000000 + i) for i in (1, 3)]
    tap.ok(link.call(by(*dates)).uids == made[3:0:-1], "a range of dates")
    link.call(client.get(made[4]))
    tap.ok(link.call(by(member(1), group)).uids == made[3::-1], "fresh members of a group")
    tap.ok(link.call(by(member(2), group)).uids == [made[4]], "its default member")
    link.call(("Create", [item(0x420057, ENUM, SYMMETRIC), item(0x420091, STRUCT, [
        attribute("Cryptographic Algorithm", ENUM, 3), attribute("Cryptographic Usage Mask", INT, 4),
        item(0x420008, STRUCT, [item(0x42000A, TEXT, "Usage Limits"), limits])])]))
    ask = lambda total: by(item(0x420008, STRUCT, [item(0x42000A, TEXT, "Usage Limits"), item(0x42000B, STRUCT, [
        item(0x420097, LONG, total)])]))
    tap.ok([len(link.call(ask(n)).uids) for n in (1, 1000, 1001)] == [1, 1, 0], "usage limits of at least so much")
    tap.ok(link.call(by(attribute("No Such Attribute", INT, 1))).reason == 0x07, "a filter that is none is refused")


def run(state):
    link = client.Connection(state.env)
    check_algorithms(state, link)
    check_check(link)
    check_log(state, link)
    check_interop(state, link)
    check_templates(link)
    check_locate(link)
    link.close()
