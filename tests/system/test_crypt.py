"""Encrypt and Decrypt by the running server: ciphers and versions, states, limits of use that no crowd exceeds, the quirk
iv-in-ciphertext, long data that hold nobody up, a vault that dies meanwhile; and nothing of the data in audit, log or
trace."""
import os
import time
from concurrent.futures import ThreadPoolExecutor

import client
import support
import tap
from client import BOOL, BYTES, DATE, ENUM, INT, LONG, STRUCT, TEXT, attribute, item
from test_trace import Trace

DENIED, NOT_SUPPORTED, INVALID_MESSAGE, FAILURE, GENERAL_FAILURE = 0x0C, 0x05, 0x04, 0x0A, 0x100
WRONG_STATE, WRONG_MASK, DESTROYED, SENSITIVE, BUSY = 0x43, 0x29, 0x36, 0x16, 0x3A
SECRET, SECRET_KEY = b"DO-NOT-TELL-ANYBODY-OF-THIS!", b"A-KEY-OF-NOBODY!"
VERSIONS = (1, 2), (1, 3), (1, 4), (2, 0), (2, 1)
PAST = attribute("Activation Date", DATE, 1600000000)


def active(link, *extra, mask=12):
    return link.call(client.create(mask=mask, extra=[PAST, *extra])).uid


def register(link, material):
    return link.call(client.register("aes", material, extra=[PAST])).uid


def changed(data, at=-1):
    data = bytearray(data)
    data[at] ^= 1
    return bytes(data)


# ---- ciphers and versions ----

def lists(link, version):
    offered = client.every(link.call(("Query", [item(0x420074, ENUM, 1)]), version=version).payload, 0x42005C)
    return {client.OPS[n] for n in ("Encrypt", "Decrypt")} <= set(offered)


def check_versions(link):
    key = active(link)
    for version in VERSIONS:
        tap.ok(lists(link, version), "%d.%d: Query lists both" % version)
        by = {"mode": client.CBC, "padding": client.PKCS5}
        sealed = link.call(client.encrypt(key, SECRET, random_iv=1, **by), version=version)
        tap.ok(sealed.ok and len(sealed.iv) == 16 and len(sealed.data) == 32 and sealed.uid == key,
               "%d.%d: encrypts, and tells the IV that it made" % version, sealed)
        opened = link.call(client.decrypt(key, sealed.data, iv=sealed.iv, **by), version=version)
        tap.ok(opened.ok and opened.data == SECRET and opened.iv is None, "and decrypts", opened)
        again = link.call(client.encrypt(key, SECRET, random_iv=1, iv=sealed.iv, **by), version=version)
        tap.ok(again.data == sealed.data and again.iv is None, "an IV that is given is used, and not told")
    for version in ((1, 0), (1, 1)):
        answer = link.call(client.encrypt(key, SECRET, mode=client.ECB), version=version)
        tap.ok(answer.reason == NOT_SUPPORTED and not lists(link, version), "%d.%d has neither" % version, answer)


def check_published(link):
    """A key that is known, by SP 800-38A, F.1.1 and F.2.1, as a client sees it."""
    key = register(link, bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    block = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    iv = bytes(range(16))
    ecb = link.call(client.encrypt(key, block, mode=client.ECB))
    cbc = link.call(client.encrypt(key, block, mode=client.CBC, iv=iv))
    tap.ok([ecb.data.hex(), cbc.data.hex()] == ["3ad77bb40d7a3660a89ecaf32466ef97", "7649abac8119b246cee98e9b12e9197d"],
           "AES as SP 800-38A has it", (ecb, cbc))


def check_authenticated(link):
    key = active(link)
    for name, mode in (("GCM", client.GCM), ("CCM", client.CCM)):
        by = {"mode": mode, "additional": b"of the table", "tag_length": 16}
        sealed = link.call(client.encrypt(key, SECRET, random_iv=1, **by))
        tap.ok(sealed.ok and len(sealed.tag) == 16 and len(sealed.iv) == 12 and len(sealed.data) == len(SECRET),
               "%s: encrypts with a tag" % name, sealed)
        good = {"iv": sealed.iv, "tag": sealed.tag, **by}
        tap.ok(link.call(client.decrypt(key, sealed.data, **good)).data == SECRET, "and decrypts")
        forged = [link.call(client.decrypt(key, data, **{**good, **other})) for data, other in (
            (changed(sealed.data), {}), (sealed.data, {"tag": changed(sealed.tag)}), (sealed.data[:-1], {}),
            (sealed.data, {"iv": changed(sealed.iv)}), (sealed.data, {"additional": b"of another"}),
            (sealed.data, {"tag": sealed.tag[:12]}))]
        tap.ok({(f.ok, f.reason, f.message) for f in forged} == {(False, FAILURE, forged[0].message)}
               and all(f.data is None for f in forged), "all that was forged gets one answer", forged)


def check_padding(link):
    """Whatever is behind a wrong padding, the answer is the same."""
    key = active(link)
    by = {"mode": client.CBC, "padding": client.PKCS5, "iv": bytes(16)}
    told = {(r.reason, r.message) for r in (
        link.call(client.decrypt(key, os.urandom(64), **by)) for _ in range(60)) if not r.ok}
    tap.ok(len(told) == 1 and next(iter(told))[0] == FAILURE, "wrong padding gets one answer", told)


# ---- what a key may ----

def check_states(link):
    use = lambda ask, uid, version=(2, 1): link.call(ask(uid, bytes(16), mode=client.ECB), version=version)
    key = link.call(client.create()).uid
    tap.ok(use(client.encrypt, key).reason == WRONG_STATE and use(client.decrypt, key).reason == WRONG_STATE,
           "a key that is not active does neither")
    tap.ok(use(client.encrypt, key, (1, 4)).reason == DENIED, "which 1.4 calls denied")
    link.call(client.activate(key))
    tap.ok(use(client.encrypt, key).ok and use(client.decrypt, key).ok, "an active one does both")
    link.call(client.revoke(key))
    tap.ok(use(client.encrypt, key).reason == WRONG_STATE and use(client.decrypt, key).ok,
           "a deactivated one opens what is old, and seals nothing new")
    link.call(client.revoke(key, 2))
    tap.ok(use(client.encrypt, key).reason == WRONG_STATE and use(client.decrypt, key).ok, "so does a compromised one")
    link.call(client.destroy(key))
    tap.ok([use(a, key).reason for a in (client.encrypt, client.decrypt)] == [DESTROYED] * 2, "a destroyed one is gone")
    for mask, fits, other in ((4, client.encrypt, client.decrypt), (8, client.decrypt, client.encrypt)):
        key = active(link, mask=mask)
        tap.ok(use(fits, key).ok and use(other, key).reason == WRONG_MASK and use(other, key, (1, 2)).reason == DENIED,
               "a key does what its mask says", mask)
    tap.ok(use(client.encrypt, link.call(client.register("secret", b"pass")).uid).reason == 0x30, "a secret is no key")


def check_sensitive(link):
    """What may never leave can be used all the same: that is what it is for."""
    made = link.call(("Create", [item(0x420057, ENUM, 2), item(0x420125, STRUCT, [
        item(0x420028, ENUM, 3), item(0x42002A, INT, 256), item(0x42002C, INT, 12), item(0x420001, DATE, 1600000000),
        item(0x420120, BOOL, 1), item(0x420122, BOOL, 0)])]), version=(2, 1))
    tap.ok(made.ok and not link.call(client.get(made.uid), version=(2, 1)).ok, "a key that is never given", made)
    sealed = link.call(client.encrypt(made.uid, SECRET, mode=client.GCM, random_iv=1), version=(2, 1))
    opened = link.call(client.decrypt(made.uid, sealed.data, mode=client.GCM, iv=sealed.iv, tag=sealed.tag), version=(2, 1))
    tap.ok(opened.data == SECRET, "encrypts and decrypts", (sealed, opened))


def check_batch(link):
    """Made, activated and used in one request, by the ID placeholder."""
    answers = link.call(client.create(), client.activate(), client.encrypt(None, bytes(16), mode=client.ECB),
                        client.decrypt(None, bytes(16), mode=client.ECB))
    tap.ok(all(a.ok for a in answers) and answers[2].uid == answers[0].uid, "a key is used in the batch that makes it",
           answers)
    limits = usage_limits(32, 1)
    answers = link.call(client.create(extra=[PAST, limits]), *[client.encrypt(None, bytes(16), mode=client.ECB)] * 3,
                        on_error=client.CONTINUE)
    tap.ok([a.ok for a in answers] == [True, True, True, False], "and each use in it counts", answers)


# ---- limits of use ----

def usage_limits(total, unit):
    """unit: 1 for bytes, 2 for objects."""
    return item(0x420008, STRUCT, [item(0x42000A, TEXT, "Usage Limits"), item(0x42000B, STRUCT, [
        item(0x420097, LONG, total), item(0x420098, ENUM, unit)])])


def left(link, key):
    return client.first(link.call(client.get_attributes(key, "Usage Limits")).attributes["Usage Limits"][0], 0x420096)


def check_limits(state, link):
    use = lambda l, uid, data: l.call(client.encrypt(uid, data, mode=client.CTR, random_iv=1))
    key = active(link, usage_limits(100, 1))
    told = [use(link, key, bytes(n)) for n in (60, 41, 40, 1, 0)]
    tap.ok([t.ok for t in told] == [True, False, True, False, True] and told[1].reason == told[3].reason == DENIED,
           "bytes are counted, and none beyond the limit are encrypted", told)
    tap.ok(left(link, key) == 0, "the attribute tells what is left", left(link, key))
    sealed = told[0]
    tap.ok(link.call(client.decrypt(key, sealed.data, mode=client.CTR, iv=sealed.iv)).ok, "decryption is not limited")
    answer = link.call(client.modify_attribute(key, "Usage Limits", STRUCT, [
        item(0x420097, LONG, 1000), item(0x420098, ENUM, 1)]))
    tap.ok(answer.reason == DENIED, "and no client sets them anew", answer)

    key, crowd, each, limit = active(link, usage_limits(50, 2)), 8, 12, 50

    def some(_):
        done = 0
        with client.Connection(state.env) as mine:
            for _ in range(each):
                answer = use(mine, key, b"x")
                while not answer.ok and answer.reason == BUSY:  # it lost too many races, and says so
                    answer = use(mine, key, b"x")
                done += answer.ok
        return done
    with ThreadPoolExecutor(crowd) as pool:
        done = sum(pool.map(some, range(crowd)))
    tap.ok(done == limit and left(link, key) == 0, "of %d at once by all workers exactly %d are served" % (
        crowd * each, limit), (done, left(link, key)))
    rows = state.psql("SELECT count(*) FROM audit.events WHERE object = '%s' AND operation = 'Encrypt' "
                      "AND result = 'Success'" % key)
    tap.ok(rows == [[str(limit)]], "and stand in the audit", rows)


# ---- the quirk ----

def check_quirk(state, link):
    key = active(link)
    by = {"mode": client.CBC, "padding": client.PKCS5}
    sealed = link.call(client.encrypt(key, SECRET, random_iv=1, **by))
    joined = sealed.iv + sealed.data
    without = link.call(client.decrypt(key, joined, **by))
    tap.ok(without.reason == INVALID_MESSAGE and without.message == "IV/Counter/Nonce is missing",
           "data without an IV are refused", without)
    tap.ok(link.call(client.encrypt(key, SECRET, **by)).reason == INVALID_MESSAGE, "and so is an Encrypt without one")
    answer = state.holdfast("client", "set", "first", "--quirks", "iv-in-ciphertext", "--reason", "its database")
    tap.ok(answer.returncode == 0, "the quirk iv-in-ciphertext is set", answer.stderr)
    opened = link.call(client.decrypt(key, joined, **by))
    tap.ok(opened.ok and opened.data == SECRET, "then they begin with it, at the next request", opened)
    made = link.call(client.encrypt(key, SECRET, **by))
    tap.ok(made.ok and len(made.iv) == 16 and made.iv != sealed.iv, "and an IV is made where none is spoken of", made)
    tap.ok(link.call(client.decrypt(key, made.iv + made.data, **by)).data == SECRET, "the two joined decrypt")
    tap.ok(link.call(client.decrypt(key, sealed.data, iv=sealed.iv, **by)).data == SECRET, "an IV in its field still counts")
    short = link.call(client.decrypt(key, joined[:15], **by))
    tap.ok(short.reason == FAILURE, "data too short for one are refused", short)
    answer = state.holdfast("client", "set", "first", "--quirks", "none", "--reason", "its database is gone")
    tap.ok(answer.returncode == 0 and link.call(client.decrypt(key, joined, **by)).reason == INVALID_MESSAGE,
           "without the quirk it is as before", answer.stderr)
    rows = state.psql("SELECT detail FROM audit.events WHERE detail LIKE '%quirks%its database' ORDER BY at DESC LIMIT 1")
    tap.ok(rows and "iv-in-ciphertext" in rows[0][0], "the audit has who was given it, and why", rows)


# ---- long data ----

def check_long(state, link):
    key = active(link)
    long = os.urandom(1000 * 1000)
    by = {"mode": client.CTR, "iv": bytes(16)}
    sealed = link.call(client.encrypt(key, long, **by))
    tap.ok(sealed.ok and link.call(client.decrypt(key, sealed.data, **by)).data == long, "a megabyte goes both ways", sealed)
    slow = link.call(("Create", [item(0x420057, ENUM, 2), item(0x420091, STRUCT, [
        attribute("Cryptographic Algorithm", ENUM, 2), attribute("Cryptographic Length", INT, 168),
        attribute("Cryptographic Usage Mask", INT, 12), PAST])])).uid  # 3DES: tens of milliseconds for each
    begun, end = time.monotonic(), time.monotonic() + 3

    def crowd(_):
        done = []
        with client.Connection(state.env) as mine:
            while time.monotonic() < end:
                done.append(mine.call(client.encrypt(slow, bytes(960 * 1000), mode=client.CBC, iv=bytes(8))))
        return done
    waits = []
    with ThreadPoolExecutor(6) as pool:
        rounds = pool.map(crowd, range(6))
        while time.monotonic() < end:
            at = time.monotonic()
            if not link.call(client.get(key)).ok:
                waits.append(60)
            waits.append(time.monotonic() - at)
        done = [a for r in rounds for a in r]
    waits.sort()
    tap.note("report %d long encryptions in %.1f s; meanwhile %d Gets, the median in %.1f ms, the longest in %.0f ms" % (
        len(done), time.monotonic() - begun, len(waits), waits[len(waits) // 2] * 1000, waits[-1] * 1000))
    tap.ok(done and all(a.ok or a.reason == BUSY for a in done) and any(a.ok for a in done),
           "a crowd of long ones is served, or told to try again", [a for a in done if not a.ok][:3])
    tap.ok(waits[-1] < 2, "and nobody waits behind it", waits[-5:])
    with state.settings({"limits.request_bytes": 16 << 20}):
        with client.Connection(state.env) as mine:
            longer = os.urandom(6 << 20)
            sealed = mine.call(client.encrypt(key, longer, **by))
            opened = sealed.ok and mine.call(client.decrypt(key, sealed.data, **by))
            tap.ok(opened and opened.data == longer, "with a higher limit of requests six go, too", sealed)
            much = mine.call(client.encrypt(key, bytes(9 << 20), **by))
            tap.ok(much.reason == 0x02, "and an answer beyond its limit is not given", much)


# ---- a vault that dies ----

def check_killed(state, link):
    """Who is told that it was done has it, whatever dies meanwhile; who is not asks again."""
    key, end = active(link), time.monotonic() + 6
    by = {"mode": client.GCM}

    def worker(n):
        sealed, failed = [], set()
        while time.monotonic() < end:
            try:
                with client.Connection(state.env) as mine:
                    while time.monotonic() < end:
                        said = b"%d %d" % (n, len(sealed)) + bytes(20000 * (len(sealed) % 2))
                        answer = mine.call(client.encrypt(key, said, random_iv=1, **by))
                        if answer.ok:
                            sealed.append((said, answer))
                        else:
                            failed.add(answer.reason)
            except OSError:
                time.sleep(0.05)
        return sealed, failed
    with ThreadPoolExecutor(4) as pool:
        rounds = [pool.submit(worker, n) for n in range(4)]
        kills = 0
        while time.monotonic() < end - 2:
            time.sleep(0.7)
            kills += state.kill("vault") is not None
            support.wait_for(lambda: state.vault_state() == "serving", 10, 0.1)
        sealed = [s for r in rounds for s in r.result()[0]]
        failed = set().union(*[r.result()[1] for r in rounds])
    state.wait_all_open()
    tap.ok(kills >= 2 and failed <= {GENERAL_FAILURE}, "while the vault is killed there is an answer, or a try-again",
           (kills, failed))
    with client.Connection(state.env) as mine:
        wrong = [said[:20] for said, a in sealed
                 if mine.call(client.decrypt(key, a.data, iv=a.iv, tag=a.tag, **by)).data != said]
    tap.ok(len(sealed) > 20 and not wrong, "and all that was answered decrypts, %d of %d kills" % (len(sealed), kills), wrong)


# ---- nothing is told ----

def forms(secret):
    """As a text, and as the hexadecimal and the base64 of logs and traces."""
    import base64
    return [secret.decode(), secret.hex(), base64.b64encode(secret).decode()[:-4]]


def check_silence(state, link):
    trace = Trace(state, "*")
    key = register(link, SECRET_KEY)
    sealed = link.call(client.encrypt(key, SECRET, mode=client.GCM, random_iv=1, additional=b"SAID-BESIDE-IT"))
    opened = link.call(client.decrypt(key, sealed.data, mode=client.GCM, iv=sealed.iv, tag=sealed.tag,
                                      additional=b"SAID-BESIDE-IT"))
    failed = link.call(client.decrypt(key, SECRET, mode=client.GCM, iv=sealed.iv, tag=sealed.tag))
    tap.ok(opened.data == SECRET and failed.reason == FAILURE, "one of each", (sealed, opened, failed))
    told = support.wait_for(lambda: trace.text().count("Decrypt") >= 4, 10)
    trace.end()
    words = [w for s in (SECRET, SECRET_KEY, sealed.data, sealed.tag, b"SAID-BESIDE-IT") for w in
             (forms(s) if s.isascii() else [s.hex()])]
    tap.ok(told and "Block Cipher Mode: GCM" in trace.text(), "a trace tells what was asked", trace.text()[-2000:])
    seen = [w for w in words if w in trace.text()]
    tap.ok(not seen, "and nothing of data, tag or key", seen)
    rows = state.psql("SELECT operation, result, reason, detail FROM audit.events WHERE object = '%s' "
                      "AND operation IN ('Encrypt', 'Decrypt') ORDER BY at" % key)
    tap.ok([r[:3] for r in rows] == [["Encrypt", "Success", ""], ["Decrypt", "Success", ""],
                                     ["Decrypt", "Operation Failed", "Cryptographic Failure"]] and not any(
        r[3] for r in rows), "the audit has each of them, without the data", rows)
    log = state.log()
    tap.ok(not [w for w in words if w in log], "and the log has nothing of it")


def run(state):
    link = client.Connection(state.env)
    check_versions(link)
    check_published(link)
    check_authenticated(link)
    check_padding(link)
    check_states(link)
    check_sensitive(link)
    check_batch(link)
    check_limits(state, link)
    check_quirk(state, link)
    check_long(state, link)
    check_silence(state, link)
    link.close()
    link = client.Connection(state.env)
    check_killed(state, link)
    link.close()
