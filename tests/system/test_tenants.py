"""Domains: for the clients of one nothing of another exists, by any operation; each has names, limits and a key of its
own; groups and roles. A new domain gets its key while the server runs, whatever is killed meanwhile."""
import os
import random
import re
import signal
import ssl
import subprocess
import time

import client
import support
import tap
from client import ENUM, INT, STRUCT, TEXT, attribute, item

NOWHERE = "00000000-0000-7000-8000-00000000fffe"
WHY = ("--reason", "a test")


def enrol(state, name, domain):
    folder = os.path.join(state.top, name)
    answer = state.holdfast("client", "add", name, "--domain", domain, "--out", folder)
    return {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}, answer


def told(result):
    return result.status, result.reason, result.message


def domain(state, name):
    rows = state.psql("SELECT enabled, has_key, coalesce(max_clients, -1), clients FROM policy.domains "
                      "WHERE name = '%s'" % name,
                      role="holdfast_policy")
    return rows[0] if rows else None


def has_key(state, name):
    return (domain(state, name) or [None, None])[1] == "t"


def add_domain(state, name):
    return state.json("domain", "add", name, *WHY)


# ---- a domain and its clients ----

def check_new(state):
    """A domain, made while the server runs, is served at once by every worker."""
    code, answer = add_domain(state, "north")
    tap.ok(code == 0 and answer["ok"], "a domain is added while the server runs", answer)
    tap.ok(has_key(state, "north"), "and has its key then", domain(state, "north"))
    files, answer = enrol(state, "north-1", "north")
    tap.ok(answer.returncode == 0, "a client is enrolled in it", answer.stderr)
    links = [client.Connection(state.env, **files) for _ in range(12)]
    made = [link.call(client.create("key %d" % i)) for i, link in enumerate(links)]
    tap.ok(all(m.ok for m in made), "every worker serves its objects, without a restart", made)
    got = [links[-1 - i].call(client.get(m.uid)) for i, m in enumerate(made)]
    tap.ok(all(g.ok and len(g.material) == 32 for g in got), "and each opens what another one made", got)
    for link in links:
        link.close()
    rows = state.psql("SELECT domain, count(*), min(epoch) FROM kmip.dk WHERE domain <= 2 GROUP BY 1 ORDER BY 1",
                      role="holdfast_backup")
    tap.ok(rows == [["1", "1", "1"], ["2", "1", "1"]], "each domain has one key of its own", rows)
    code, answer = add_domain(state, "north")
    tap.ok(code == 1 and "already" in answer["error"], "a second one of that name is refused", answer)
    code, answer = state.json("domain", "add", "west")
    tap.ok(code == 2 and not domain(state, "west"), "without a reason nothing is added", answer)
    return files


# ---- separation: every operation of the table, by an object of the other domain ----

def template_use(name):
    return [item(0x420057, ENUM, 2), item(0x420091, STRUCT, [
        item(0x420053, STRUCT, client.name_value(name)), attribute("Cryptographic Usage Mask", INT, 12)])]


def pair_use(name):
    """Create Key Pair with a Template, and all else it needs: only the Template can be what is missing."""
    named = item(0x420053, STRUCT, client.name_value(name))
    common = [named, attribute("Cryptographic Algorithm", ENUM, 6), attribute("Cryptographic Length", INT, 256)]
    masks = [item(tag, STRUCT, [attribute("Cryptographic Usage Mask", INT, mask)])
             for tag, mask in ((0x420065, 1), (0x42006E, 2))]
    return [item(0x42001F, STRUCT, common), *masks]


def register_use(name):
    _, payload = client.register("aes", b"k" * 32)
    named = [item(0x420053, STRUCT, client.name_value(name)), attribute("Cryptographic Usage Mask", INT, 12)]
    return [payload[0], item(0x420091, STRUCT, named), payload[2]]


def by_uid(operation, *more, version=(1, 4)):
    return lambda uid: (operation, [client.uid(uid), *more]), version


# By the operation's name: what is sent, given an identifier (or a Template's name), and the protocol's version.
BY_OBJECT = {
    "Check": [by_uid("Check", item(0x42002C, INT, 4)), by_uid("Check", item(0x42002C, INT, 4), version=(2, 1))],
    "Get": [by_uid("Get"), by_uid("Get", version=(1, 0)), by_uid("Get", version=(2, 1))],
    "Get Attributes": [by_uid("Get Attributes"), by_uid("Get Attributes", version=(2, 1))],
    "Get Attribute List": [by_uid("Get Attribute List"), by_uid("Get Attribute List", version=(2, 1))],
    "Add Attribute": [by_uid("Add Attribute", attribute("Contact Information", TEXT, "x"))],
    "Modify Attribute": [by_uid("Modify Attribute", attribute("Name", STRUCT, client.name_value("x")))],
    "Delete Attribute": [by_uid("Delete Attribute", item(0x42000A, TEXT, "Name"))],
    "Set Attribute": [(lambda uid: client.set_attribute(uid, 0x420022, TEXT, "x"), (2, 1))],
    "Activate": [(client.activate, (1, 4)), (client.activate, (2, 1))],
    "Revoke": [(client.revoke, (1, 4)), (lambda uid: client.revoke(uid, 2), (2, 1))],
    "Destroy": [(client.destroy, (1, 4)), (client.destroy, (2, 1))],
    "Encrypt": [(lambda uid: client.encrypt(uid, bytes(16), mode=client.ECB), v) for v in ((1, 2), (2, 1))],
    "Decrypt": [(lambda uid: client.decrypt(uid, bytes(16), mode=client.ECB), v) for v in ((1, 2), (2, 1))],
}
BY_TEMPLATE = {
    "Create": lambda name: ("Create", template_use(name)),
    "Create Key Pair": lambda name: ("Create Key Pair", pair_use(name)),
    "Register": lambda name: ("Register", register_use(name)),
}
# Locate has checks of its own; the others name no object.
OTHERS = {"Locate", "Query", "Discover Versions", "Log", "Interop"}


def operations():
    with open(os.path.join(support.SRC, "server/ops/op.c"), encoding="utf-8") as f:
        return re.findall(r'^    \{KMIP_OP_\w+, "([^"]+)"', f.read(), re.M)


def make_objects(link, mark):
    """One of each kind, with what makes it found: identifiers, names."""
    made = {
        "key": link.call(client.create("shared name", extra=[attribute("Object Group", TEXT, "band " + mark)])),
        "active": link.call(client.create("active " + mark)),
        "destroyed": link.call(client.create("gone " + mark)),
        "secret": link.call(client.register("secret", b"password")),
        "opaque": link.call(client.register("opaque", b"anything")),
        "public": link.call(client.create("public " + mark, extra=[attribute("Operation Policy Name", TEXT, "public")]),
                            version=(1, 0)),
    }
    pair = link.call(client.create_pair("private " + mark, "public half " + mark))
    template = link.call(("Register", [item(0x420057, ENUM, 6), item(0x420091, STRUCT, []), item(0x420090, STRUCT, [
        attribute("Cryptographic Algorithm", ENUM, 3), attribute("Cryptographic Length", INT, 256),
        attribute("Name", STRUCT, client.name_value("template " + mark))])]), version=(1, 0))
    good = all(m.ok for m in [*made.values(), pair, template])
    uids = {kind: m.uid for kind, m in made.items()}
    uids["private"], uids["public half"] = pair.pair
    uids["template"] = template.uid
    link.call(client.activate(uids["active"]))
    link.call(client.destroy(uids["destroyed"]))
    return good, uids


def check_objects(link, uids, whose):
    """What names an object of the other domain gets the answer of one that never was."""
    for operation, forms in BY_OBJECT.items():
        wrong = []
        for ask, version in forms:
            missing = link.call(ask(NOWHERE), version=version)
            wrong += [("control", version, missing)] if missing.ok or not missing.reason else []
            for kind, uid in uids.items():
                other = link.call(ask(uid), version=version)
                if told(other) != told(missing) or untag(other.payload) != untag(missing.payload):
                    wrong.append((kind, version, other, missing))
        tap.ok(not wrong, "%s: an object of %s is a missing one" % (operation, whose), wrong)


def untag(payload):
    return [tag for tag, _ in payload or []]


def check_templates(link, template, whose):
    for operation, ask in BY_TEMPLATE.items():
        missing, other = link.call(ask("no such template")), link.call(ask(template))
        tap.ok(not other.ok and told(other) == told(missing),
               "%s: a Template of %s is a missing one" % (operation, whose),
               (other, missing))


def check_locate(link, uids, mark, whose):
    filters = {
        "nothing": [], "its identifier": [attribute("Unique Identifier", TEXT, uids["key"])],
        "its group": [attribute("Object Group", TEXT, "band " + mark)],
        "its name": [attribute("Name", STRUCT, client.name_value("active " + mark))],
        "a name both have": [attribute("Name", STRUCT, client.name_value("shared name"))],
        "its type": [attribute("Object Type", ENUM, 2)],
        "destroyed ones": [attribute("State", ENUM, 5)],
    }
    wrong = []
    for version in ((1, 0), (1, 4)):
        for what, by in filters.items():
            found = link.call(("Locate", by), version=version)
            if not found.ok or set(found.uids) & set(uids.values()):
                wrong.append((what, version, found, found.uids))
    for mask in (1, 4, 7):
        found = link.call(("Locate", [item(0x42008E, INT, mask), item(0x420125, STRUCT, [])]), version=(2, 1))
        if not found.ok or set(found.uids) & set(uids.values()):
            wrong.append(("storage status %d" % mask, found, found.uids))
    tap.ok(not wrong, "Locate: no filter shows an object of %s" % whose, wrong)
    own = link.call(client.locate("shared name"))
    tap.ok(len(own.uids) == 1, "a name that both have is each one's own", own.uids)


def check_separation(state, files):
    covered = set(BY_OBJECT) | set(BY_TEMPLATE) | OTHERS
    tap.ok(covered == set(operations()), "every operation of the table is tried", covered ^ set(operations()))
    here, there = client.Connection(state.env), client.Connection(state.env, **files)
    (good, ours), (also, theirs) = make_objects(here, "default"), make_objects(there, "north")
    tap.ok(good and also, "objects of each kind are made in both domains, with the same names")
    check_objects(there, ours, "the default domain")
    check_objects(here, theirs, "domain north")
    check_templates(there, "template default", "the default domain")
    check_templates(here, "template north", "domain north")
    check_locate(there, ours, "default", "the default domain")
    check_locate(here, theirs, "north", "domain north")
    mine = [here.call(client.get(ours[k])) for k in ("key", "active", "secret", "opaque", "private", "public half")]
    tap.ok(all(m.ok for m in mine), "and none of it has changed anything", mine)
    refused = state.psql("SELECT count(*) FROM audit.events WHERE client = 'north-1' AND object = '%s'"
                         " AND result <> 'Success'" % ours["key"])
    tap.ok(int(refused[0][0]) >= len(BY_OBJECT), "each attempt is in the audit", refused)
    here.close()
    there.close()


# ---- limits, groups, roles by the command ----

def refused(state, args, words, sentence, code=1):
    got, answer = state.json(*args, *WHY)
    tap.ok(got == code and words in answer.get("error", ""), sentence, (got, answer))


def done(state, args, sentence):
    got, answer = state.json(*args, *WHY)
    tap.ok(got == 0 and answer.get("ok"), sentence, (got, answer))


def check_limits(state):
    done(state, ("domain", "limits", "north", "--max-clients", "1"), "a domain may have one client")
    _, answer = enrol(state, "north-2", "north")
    tap.ok(answer.returncode == 1 and b"as many clients" in answer.stderr and b"domain limits" in answer.stderr,
           "the second one is refused, and it is told what sets the limit", answer.stderr)
    tap.ok(not os.listdir(os.path.join(state.top, "north-2")), "and no certificate is left lying")
    done(state, ("domain", "limits", "north", "--max-clients", "none"), "the limit is taken away")
    files, answer = enrol(state, "north-2", "north")
    tap.ok(answer.returncode == 0, "and it is enrolled", answer.stderr)
    refused(state, ("domain", "limits", "north"), "say which", "limits want a limit", 2)
    refused(state, ("domain", "limits", "nowhere", "--max-objects", "1"), "no domain", "and a domain")
    _, answer = enrol(state, "nobody", "nowhere")
    tap.ok(answer.returncode == 1 and b"no domain nowhere" in answer.stderr, "no client of a domain that is not",
           answer.stderr)


def check_groups(state):
    for d in ("default", "north"):
        done(state, ("group", "add", "hosts", "--domain", d), "a group of the same name in %s" % d)
        done(state, ("role", "add", "backup", "--domain", d), "and a role")
    refused(state, ("group", "add", "hosts"), "already", "not twice in one domain")
    done(state, ("group", "join", "hosts", "north-1", "--domain", "north"), "a client joins a group")
    done(state, ("group", "join", "hosts", "north-2", "--domain", "north"), "and a second one")
    refused(state, ("group", "join", "hosts", "north-1"), "is of domain north", "none of another domain")
    refused(state, ("group", "join", "none", "north-1", "--domain", "north"), "no group", "nor into no group")
    done(state, ("role", "give", "backup", "--group", "hosts", "--domain", "north"), "the group gets the role")
    refused(state, ("role", "give", "backup", "--client", "north-1"), "is of domain north",
            "none gives it across domains")
    refused(state, ("role", "give", "backup"), "say who", "nor to nobody", 2)
    code, listed = state.json("client", "list")
    told_of = next(c for c in listed if c["client"] == "north-1")
    tap.ok(code == 0 and (told_of["domain"], told_of["groups"], told_of["roles"]) == ("north", "hosts", "backup"),
           "client list tells domain, groups and roles", told_of)
    code, listed = state.json("group", "list")
    tap.ok(code == 0 and [g["members"] for g in listed] == [None, "north-1, north-2"], "group list tells the members",
           listed)
    code, listed = state.json("role", "list")
    tap.ok(code == 0 and [r["members"] for r in listed] == [None, "group hosts"], "role list tells who has it", listed)
    text = (state.holdfast("group", "list").stdout + state.holdfast("role", "list").stdout +
            state.holdfast("domain", "list").stdout)
    tap.ok(b"north-1, north-2" in text and b"group hosts" in text and b"enabled" in text, "and all in words, too", text)
    done(state, ("group", "share", "hosts", "no", "--domain", "north"), "a group need not share")
    refused(state, ("group", "share", "hosts", "perhaps"), "neither yes nor no", "yes or no", 2)
    done(state, ("role", "take", "backup", "--group", "hosts", "--domain", "north"), "the role is taken away")
    done(state, ("group", "leave", "hosts", "north-2", "--domain", "north"), "a member leaves")
    done(state, ("group", "remove", "hosts", "--domain", "north"), "the group is removed")
    done(state, ("role", "remove", "backup", "--domain", "north"), "and the role")


def check_client(state, files):
    refused(state, ("client", "set", "north-1", "--quirks", "no-such-thing"), "no quirk", "a quirk must be known")
    refused(state, ("client", "set", "north-1"), "say what", "something must be set", 2)
    done(state, ("client", "set", "north-1", "--legacy-tls", "yes", "--quirks", "none"), "a client's settings")
    _, listed = state.json("client", "list")
    tap.ok(next(c for c in listed if c["client"] == "north-1")["legacy_tls"], "are told by client list")
    done(state, ("client", "set", "north-1", "--legacy-tls", "no"), "and taken back")
    done(state, ("client", "disable", "north-1"), "a client is disabled")
    nothing(state, "and gets nothing", **files)
    done(state, ("client", "enable", "north-1"), "enabled again")
    with client.Connection(state.env, **files) as link:
        tap.ok(link.call(client.create()).ok, "it is served")
    rows = state.psql("SELECT DISTINCT operation FROM audit.events WHERE detail LIKE '% reason=a test'")
    wanted = {"Add Domain", "Set Domain Limits", "Add Group", "Join Group", "Leave Group", "Set Group", "Remove Group",
              "Add Role",
              "Give Role", "Take Role", "Remove Role", "Set Client", "Disable Client", "Enable Client"}
    tap.ok({r[0] for r in rows} >= {"Admin " + w for w in wanted}, "every change is in the audit with its reason", rows)


def nothing(state, sentence, **files):
    try:
        with client.Connection(state.env, timeout=10, **files) as link:
            answer = link.call(client.locate("x"))
        tap.ok(False, sentence, answer)
    except (OSError, ssl.SSLError):
        tap.ok(True, sentence)


def check_disabled(state, files):
    link, other = client.Connection(state.env, **files), client.Connection(state.env)
    uid = link.call(client.create()).uid
    done(state, ("domain", "disable", "north"), "a domain is disabled")
    try:
        answer = link.call(client.get(uid))
        tap.ok(False, "the next request on an open connection gets nothing", answer)
    except OSError:
        tap.ok(True, "the next request on an open connection gets nothing")
    nothing(state, "nor does a new connection", **files)
    tap.ok(other.call(client.create()).ok, "clients of other domains are served on")
    done(state, ("domain", "enable", "north"), "enabled again")
    with client.Connection(state.env, **files) as again:
        tap.ok(again.call(client.get(uid)).ok, "its clients have their objects again")
    link.close()
    other.close()


# ---- keys of new domains in bad times ----

AGAIN = 0x100  # General Failure: "the server cannot do this now, try again"


def served(state, name):
    """None, or what kept a client of the domain from making and getting a key. A worker that was told to try again, for
    the vault was new just then, is asked again."""
    files, answer = enrol(state, "of-" + name, name)
    if answer.returncode:
        return answer.stderr
    with client.Connection(state.env, **files) as link:
        made, end = link.call(client.create()), time.monotonic() + 20
        while made.reason == AGAIN and time.monotonic() < end:
            time.sleep(0.2)
            made = link.call(client.create())
        return made if not made.ok or not link.call(client.get(made.uid)).ok else None


def one_key(state, name):
    keys = state.psql("SELECT count(*) FROM kmip.dk k JOIN policy.domain d ON d.id = k.domain "
                      "WHERE d.name = '%s'" % name,
                      role="holdfast_backup")
    notes = state.psql("SELECT count(*) FROM audit.events WHERE operation = 'Admin Make Domain Key' "
                       "AND detail LIKE 'domain=%s %%'"
                       % name)
    return keys == notes == [["1"]]


def check_without_tpm(state):
    state.stop_one("swtpm")
    code, answer = add_domain(state, "no-tpm")
    tap.ok(code == 4 and "waits for its key" in answer["error"], "without the TPM the domain waits, and it is told",
           answer)
    tap.ok(domain(state, "no-tpm") and not has_key(state, "no-tpm"), "domain list says so, too",
           domain(state, "no-tpm"))
    text = state.holdfast("domain", "list").stdout
    tap.ok(b"waits for its key" in text, "in words", text)
    files, answer = enrol(state, "too-early", "no-tpm")
    with client.Connection(state.env, **files) as link:
        early = link.call(client.create())
        tap.ok(not early.ok and early.reason == 0x100, "its clients are told that this is for later", early)
        state.start_one("swtpm")
        tap.ok(state.wait_serving(), "the TPM is back")
        code, answer = add_domain(state, "no-tpm")
        tap.ok(code == 0 and has_key(state, "no-tpm"), "the command, repeated, goes on", answer)
        made = link.call(client.create())
        tap.ok(made.ok, "and the same connection is served", made)
    tap.ok(one_key(state, "no-tpm"), "by one key")


def check_without_server(state):
    state.stop_one("holdfastd")
    code, answer = add_domain(state, "no-server")
    tap.ok(code == 4 and "not running" in answer["error"], "without the server the domain waits", answer)
    state.psql("SELECT policy.domain_add('by-psql', 'a test')", role="holdfast_policy")
    state.start_one("holdfastd")
    tap.ok(state.wait_serving() and
           support.wait_for(lambda: has_key(state, "no-server") and has_key(state, "by-psql"), 15),
           "the server makes the keys by itself when it runs", domain(state, "no-server"))
    tap.ok(served(state, "no-server") is None and served(state, "by-psql") is None, "and serves both")
    state.psql("SELECT policy.domain_add('while-it-runs', 'a test')", role="holdfast_policy")
    tap.ok(support.wait_for(lambda: has_key(state, "while-it-runs"), 15),
           "also for one that is added by psql meanwhile")
    tap.ok(served(state, "while-it-runs") is None, "and serves it")


def check_many(state):
    """More domains than the vault opens at once, or a worker makes keys for in one go."""
    many = "name LIKE 'many-%'"
    state.psql("SELECT policy.domain_add('many-' || n, 'a test') FROM generate_series(1, 80) n", role="holdfast_policy")
    began = time.monotonic()
    add_domain(state, "last-of-many")
    keyed = support.wait_for(lambda: state.psql("SELECT count(*) FROM policy.domains WHERE has_key AND " + many,
                                                role="holdfast_policy") == [["80"]], 60, 0.2)
    tap.note("report 81 domains had their keys after %.1f s" % (time.monotonic() - began))
    tap.ok(keyed and has_key(state, "last-of-many"), "eighty domains at once get their keys")
    why = [served(state, name) for name in ("many-1", "many-80", "last-of-many")]
    tap.ok(why == [None] * 3, "and are served", why)
    state.kill("vault")
    with client.Connection(state.env, cert=state.top + "/of-many-80/cert.pem",
                           key=state.top + "/of-many-80/key.pem") as link:
        tap.ok(support.wait_for(lambda: link.call(client.create()).ok, 20, 0.2), "also after a new start of the vault",
               link.call(client.create()))


def check_kills(state):
    """Whoever is killed while a domain is made: repeated, the command ends well, with one key."""
    chance = random.Random(7)
    env = {"PATH": os.environ["PATH"], **state.env, "HOLDFAST_CONFIG": state.conf}
    for i, victims in enumerate((["vault"], state.workers(), ["vault", *state.workers()], ["command"])):
        name = "killed-%d" % i
        command = subprocess.Popen([os.path.join(support.MAIN, "holdfast"), "domain", "add", name, *WHY], env=env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 1.5
        while time.monotonic() < end and command.poll() is None:
            time.sleep(chance.uniform(0.005, 0.06))
            for victim in victims:
                command.kill() if victim == "command" else state.kill(victim, signal.SIGKILL)
        command.kill() if victims == ["command"] else None
        command.wait(60)
        good = state.wait_all_open()
        code, answer = add_domain(state, name)
        good = good and (code == 0 or code == 1 and "already" in answer["error"])
        tap.ok(good and has_key(state, name), "%s killed: a repetition ends well" % victims,
               (code, answer, state.status()))
        why = served(state, name)
        tap.ok(why is None and one_key(state, name), "and the domain is served by one key", why)


def run(state):
    files = check_new(state)
    check_separation(state, files)
    check_limits(state)
    check_groups(state)
    check_client(state, files)
    check_disabled(state, files)
    check_without_tpm(state)
    check_without_server(state)
    check_kills(state)
    check_many(state)
    tap.ok(state.wait_all_open() and state.wait_serving(), "in the end all is served", state.status())
    tap.ok(state.psql("SELECT what FROM audit.verify()") == [["verified"]], "the audit verifies")
