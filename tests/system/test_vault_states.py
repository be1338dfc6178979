"""What can be wrong with TPM and rows: each has its state, its sentence in `holdfast status` and the log, and heals."""
import os
import shutil

import client
import support
import tap
import tpm


LAST_GET = "SELECT result FROM audit.events WHERE object = '%s' AND operation = 'Get' ORDER BY at DESC LIMIT 1"


def told(state, uid, mark, wanted, sentence, *words):
    """The state is in `holdfast status`, with these words, and in the log since `mark`; clients get a clear error."""
    good = state.wait_state(wanted, 30)
    # Being sealed is where each vault begins: the reason is what counts.
    said = support.wait_for(lambda: all(w.lower() in status_text(state).lower() for w in words), 15, 0.2)
    tap.ok(good and said, sentence, status_text(state) + state.log()[-3000:])
    lines = [x for x in state.log()[mark:].splitlines() if "event=vault.state state=%s " % wanted in x]
    tap.ok(any(all(w.lower() in x.lower() for w in words) for x in lines), "and the log says %s and why" % wanted,
           state.log()[mark:][-2000:])
    refused_clearly(state, uid)


def status_text(state):
    answer = state.holdfast("status")
    return answer.stdout.decode() + answer.stderr.decode()


def refused_clearly(state, uid):
    """While no key can be had: no key, no lie, and an audit row."""
    link = client.Connection(state.env)
    result = link.call(client.get(uid))
    link.close()
    tap.ok(not result.ok and result.material is None and result.reason == 0x100 and "sealed" in result.message,
           "a client is told that the vault is sealed", result)
    rows = state.psql(LAST_GET % uid)
    tap.ok(rows and rows[0][0] != "Success", "and the refusal is audited", rows)
    code, error = state.json("key", "create")
    tap.ok(code == 4, "holdfast ends with exit 4: not now", error)


def swap_tpm(state, away, back=None):
    """Puts the software TPM's state away and another in its place (a new one where back is None)."""
    folder = os.path.join(state.dir, "tpm")
    state.stop_one("swtpm")
    os.mkdir(away)
    for name in os.listdir(folder):
        shutil.move(os.path.join(folder, name), away)
    if back:
        for name in os.listdir(back):
            shutil.move(os.path.join(back, name), folder)
        os.rmdir(back)
    state.start_one("swtpm")


def boot_state(state, uid):
    socket = os.path.join(state.dir, "tpm/sock")
    state.stop_one("holdfastd")
    mark = len(state.log())
    code = tpm.extend(socket, 7, b"\x11" * 32)
    tap.ok(code == 0, "a selected PCR is extended", hex(code))
    state.start_one("holdfastd")
    told(state, uid, mark, "locked", "a changed boot state locks the vault, and status says what to do", "boot state",
         "approval request")
    # A software TPM's PCRs are zero again after its restart.
    state.kill("swtpm")
    tap.ok(state.wait_serving(60), "with the old boot state it opens by itself", state.status())


def approve_now(state, *choices):
    """Approves the boot state as it is, with the key of the self-approved init; then the server serves."""
    state.stop_one("holdfastd")
    request, response = os.path.join(state.top, "request.json"), os.path.join(state.top, "response.json")
    for path in (request, response):
        if os.path.exists(path):
            os.remove(path)
    answer = state.holdfast("approval", "request", "--out", request, *choices)
    tap.ok(answer.returncode == 0, "approval request", answer.stderr)
    answer = state.holdfast("approval", "sign", "--request", request, "--key",
                            os.path.join(state.dir, "secret/auth.key"),
                            "--out", response)
    tap.ok(answer.returncode == 0, "approval sign signs it", answer.stderr)
    answer = state.holdfast("approval", "accept", "--response", response)
    tap.ok(answer.returncode == 0, "approval accept", answer.stderr)
    state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "the approved boot state opens the vault", state.status())


def approval(state, uid):
    """A changed boot state is approved; the old one then no longer opens, until it is approved again."""
    selected = lambda: state.status()["vault"]["report"]["pcrs"]["selected"]
    before = selected()
    state.stop_one("holdfastd")
    tpm.extend(os.path.join(state.dir, "tpm/sock"), 7, b"\x22" * 32)
    approve_now(state, "--pcrs", "4,7")
    tap.ok(before == [0, 2, 4, 7] and selected() == [4, 7], "with other PCRs than before, as chosen",
           (before, selected()))
    rows = state.psql("SELECT 1 FROM audit.events WHERE operation LIKE 'Admin%Approve%'")
    tap.ok(rows, "the approval has its audit row")
    link = client.Connection(state.env)
    tap.ok(link.call(client.get(uid)).ok, "keys are served under the new approval")
    link.close()
    state.stop_one("holdfastd")
    state.stop_one("swtpm")
    state.start_one("swtpm")
    mark = len(state.log())
    state.start_one("holdfastd")
    told(state, uid, mark, "locked", "the boot state whose approval was replaced does not open", "boot state",
         "approval request")
    approve_now(state)


def missing_tpm(state, uid):
    state.stop_one("swtpm")
    mark = len(state.log())
    state.kill("vault")
    told(state, uid, mark, "sealed", "without the TPM a new vault stays sealed, and status says so",
         "the TPM cannot be opened")
    tap.ok("tpm/sock" in status_text(state), "with the place where the TPM should be", status_text(state))
    state.start_one("swtpm")
    tap.ok(state.wait_serving(60), "it opens by itself when the TPM is back", state.status())
    state.stop_one("holdfastd")
    state.stop_one("swtpm")
    mark = len(state.log())
    state.start_one("holdfastd")
    told(state, uid, mark, "sealed", "the whole server starts without the TPM and says so", "the TPM cannot be opened")
    state.start_one("swtpm")
    tap.ok(state.wait_serving(60), "and serves by itself when it is there", state.status())


def foreign_tpm(state, uid):
    state.stop_one("holdfastd")
    away = os.path.join(state.top, "tpm-own")
    swap_tpm(state, away)
    mark = len(state.log())
    state.start_one("holdfastd")
    told(state, uid, mark, "foreign", "another TPM is told apart", "storage root", "recovery restore")
    state.stop_one("holdfastd")
    swap_tpm(state, os.path.join(state.top, "tpm-other"), away)
    state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "with its own TPM it serves again", state.status())


def node_state(state, uid):
    """The pinned state of the node is damaged, then lost: neither is taken for a node that was never set up."""
    path = os.path.join(state.dir, "node.state")
    with open(path, "rb") as f:
        good = f.read()
    mark = len(state.log())
    with open(path, "r+b") as f:
        f.seek(200)
        f.write(b"Q")
    told(state, uid, mark, "sealed", "a damaged node.state is named", "node.state is damaged")
    mark = len(state.log())
    os.remove(path)
    state.kill("vault")
    told(state, uid, mark, "none", "a lost one points to recovery", "node.state is missing", "recovery restore")
    with open(path + ".tmp", "wb") as f:
        f.write(good)
    os.chmod(path + ".tmp", 0o600)
    os.rename(path + ".tmp", path)
    tap.ok(state.wait_serving(60), "put back, it is taken up without a hand", state.status())


def owner_auth(state, uid):
    """The TPM's owner has an authorisation: the server and the ceremonies take it from the file that is configured."""
    socket, path = os.path.join(state.dir, "tpm/sock"), os.path.join(state.top, "owner-auth")
    with open(state.conf, encoding="utf-8") as f:
        conf = f.read()
    state.stop_one("holdfastd")
    tap.ok(tpm.change_owner_auth(socket, b"", b"of the owner") == 0, "the TPM's owner gets an authorisation")
    mark = len(state.log())
    state.start_one("holdfastd")
    told(state, uid, mark, "sealed", "without it the vault stays sealed, and status says what is missing",
         "tpm_owner_auth")
    state.stop_one("holdfastd")
    with open(state.conf, "w", encoding="utf-8") as f:
        f.write(conf.replace("[vault]\n", "[vault]\ntpm_owner_auth = %s\n" % path, 1))
    mark = len(state.log())
    state.start_one("holdfastd")
    told(state, uid, mark, "sealed", "a file that is not there is named", "the TPM cannot be opened")
    tap.ok("owner-auth cannot be read" in status_text(state), "with its path", status_text(state))
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
        f.write("of the owner\n")
    tap.ok(state.wait_serving(30), "with it the vault opens", state.status())
    state.stop_one("holdfastd")
    answer = state.holdfast("approval", "request", "--out", os.path.join(state.top, "owner-request"))
    tap.ok(answer.returncode == 0, "and so do the ceremonies", answer.stderr)
    tap.ok(tpm.change_owner_auth(socket, b"of the owner", b"") == 0, "the authorisation is taken away again")
    with open(state.conf, "w", encoding="utf-8") as f:
        f.write(conf)
    state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "and the vault opens without", state.status())


def hierarchy_row(state, sentence, change, undo, *words):
    """A row of the key hierarchy is damaged behind the server: no key is served, and status and log name the row."""
    state.psql(change, role="postgres")
    mark = len(state.log())
    old = state.kill("vault")
    support.wait_for(lambda: state.pid("vault") not in (None, old), 10)

    def named(text):
        return all(w in text for w in words)

    def in_status():
        answer = state.holdfast("status")
        return answer.returncode == 4 and named(answer.stdout.decode())

    tap.ok(support.wait_for(in_status, 15, 0.2), sentence + " in status", status_text(state) + state.log()[-3000:])
    lines = [x for x in state.log()[mark:].splitlines() if "event=vault.state" in x]
    tap.ok(any(named(x) for x in lines), "and in the log", state.log()[mark:][-3000:])
    code, error = state.json("key", "create")
    tap.ok(code == 4 or (code == 1 and "damaged" in str(error)), "and no key is made", (code, error))
    state.psql(undo, role="postgres")
    tap.ok(state.wait_serving(60), "put right, it serves again", state.status())


def hierarchy_rows(state):
    flip = "UPDATE kmip.%s SET %s = set_byte(%s, %d, get_byte(%s, %d) # 1)"

    def damage(table, column, at, sentence, *words):
        change = flip % (table, column, column, at, column, at)
        hierarchy_row(state, sentence, change, change, *words)

    damage("dk", "mac", 3, "a damaged domain key row is named", "domain 1", "epoch 1")
    damage("ep", "mac", 3, "a damaged epoch parent row is named", "row of kmip.ep, epoch 1")
    damage("cs", "priv", 60, "a damaged cluster secret row is named", "row of kmip.cs, cr_id 1")
    damage("cr", "pub", 60, "a damaged cluster root row is named", "row of kmip.cr")
    damage("node", "cr_priv", 60, "a damaged node row is named", "row of kmip.node")
    swap = ("WITH e AS (SELECT pub, priv FROM kmip.ep), c AS (SELECT pub, priv FROM kmip.cs), "
            "u AS (UPDATE kmip.ep SET pub = c.pub, priv = c.priv FROM c RETURNING 1) "
            "UPDATE kmip.cs SET pub = e.pub, priv = e.priv FROM e")
    hierarchy_row(state, "two swapped rows of the hierarchy are named", swap, swap, "row of kmip.cs, cr_id 1")
    move = "UPDATE kmip.ep SET epoch = %d"
    hierarchy_row(state, "a row moved to another epoch is named", move % 2, move % 1, "row of kmip.ep, epoch 2")


SUPER = "SET session_replication_role = replica; "  # as a superuser who means it: no trigger, no constraint


def edited_rows(state, link, uid, refused):
    """Each column of the control record, edited: the vault sees it and gives no key."""
    edits = [("protection", "9"), ("object_type", "0"), ("object_type", "7"), ("usage_mask", "usage_mask # 1"),
             ("version", "version + 1"), ("algorithm", "7"), ("length", "128"), ("state", "2"), ("state", "4"),
             ("extractable", "NOT extractable"), ("never_extractable", "NOT never_extractable"),
             ("sensitive", "NOT sensitive"), ("always_sensitive", "NOT always_sensitive"),
             ("initial_date", "initial_date - 1"), ("activation_date", "1"), ("deactivation_date", "4000000000"),
             ("process_start_date", "1"), ("protect_stop_date", "4000000000"), ("compromise_date", "1"),
             ("compromise_occurrence_date", "1"), ("destroy_date", "1"), ("revocation_reason", "1"),
             ("control_mac", "set_byte(control_mac, 31, get_byte(control_mac, 31) # 1)")]
    before = "public.before_edit"
    state.psql("CREATE TABLE %s AS SELECT * FROM kmip.object WHERE uid = '%s'" % (before, uid), role="postgres")
    for column, value in edits:
        state.psql(SUPER + "UPDATE kmip.object SET %s = %s WHERE uid = '%s'" % (column, value, uid), role="postgres")
        refused("a row with another %s is refused" % column)
        undo = "UPDATE kmip.object o SET %s = b.%s FROM %s b WHERE o.uid = b.uid" % (column, column, before)
        state.psql(SUPER + undo, role="postgres")
    state.psql("DROP TABLE " + before, role="postgres")
    tap.ok(link.call(client.get(uid)).ok, "put right, the key is served on the same connection")


def undeleted_rows(state, link, gone):
    """A destroyed key's row and material are put back, in ever better ways."""
    keep = "CREATE TABLE public.%s AS SELECT * FROM kmip.%s WHERE uid = '%s'"
    state.psql(keep % ("kept_row", "object", gone), role="postgres")
    state.psql(keep % ("kept_material", "material", gone), role="postgres")
    tap.ok(link.call(client.destroy(gone)).ok, "a key is destroyed")
    rows = state.psql("SELECT envelope IS NULL FROM kmip.material WHERE uid = '%s'" % gone, role="postgres")
    tap.ok(rows == [["t"]], "its material is gone from the database", rows)
    state.psql(keep % ("tombstone", "object", gone), role="postgres")
    material = ("UPDATE kmip.material m SET envelope = k.envelope FROM public.kept_material k WHERE m.uid = k.uid; ")
    ways = [("its material alone", ""),
            ("its material and state", "state = k.state"),
            ("its material, state and dates", "state = k.state, destroy_date = k.destroy_date"),
            ("all but its version", "state = k.state, destroy_date = k.destroy_date, control_mac = k.control_mac")]
    for what, columns in ways:
        change = "UPDATE kmip.object o SET %s FROM public.kept_row k WHERE o.uid = k.uid; " % columns if columns else ""
        state.psql(SUPER + material + change, role="postgres")
        result = link.call(client.get(gone))
        tap.ok(not result.ok and result.material is None, "a tombstone that got back %s gives nobody the key" % what,
               result)
    state.psql(SUPER + "UPDATE kmip.object o SET state = t.state, destroy_date = t.destroy_date, "
               "control_mac = t.control_mac FROM public.tombstone t WHERE o.uid = t.uid; "
               "UPDATE kmip.material SET envelope = NULL WHERE uid = '%s'; "
               "DROP TABLE public.kept_row, public.kept_material, public.tombstone" % gone, role="postgres")


def object_rows(state):
    link = client.Connection(state.env)
    one, two, gone = (link.call(client.create("states-%d" % i)).uid for i in range(3))
    kept = link.call(client.get(one)).material

    def refused(sentence):
        result = link.call(client.get(one))
        tap.ok(not result.ok and result.material is None, sentence, result)

    pair = (one, two, two, one)
    swap = (SUPER + "UPDATE kmip.material m SET envelope = o.envelope FROM kmip.material o "
            "WHERE (m.uid, o.uid) IN (('%s', '%s'), ('%s', '%s'))" % pair)
    state.psql(swap, role="postgres")
    refused("swapped material is refused, no wrong key is given")
    rows = state.psql(LAST_GET % one)
    tap.ok(rows and rows[0][0] != "Success", "and the attempt is audited", rows)
    swap_records = (SUPER + "UPDATE kmip.object m SET control_mac = o.control_mac, initial_date = o.initial_date "
                    "FROM kmip.object o WHERE (m.uid, o.uid) IN (('%s', '%s'), ('%s', '%s'))" % pair)
    state.psql(swap_records, role="postgres")
    refused("two rows swapped as a whole are refused")
    state.psql(swap, role="postgres")
    refused("swapped control records are refused")
    state.psql(swap_records, role="postgres")
    flip = (SUPER + "UPDATE kmip.material SET envelope = set_byte(envelope, 80, get_byte(envelope, 80) # 1) "
            "WHERE uid = '%s'" % one)
    state.psql(flip, role="postgres")
    refused("a damaged row is refused")
    state.psql(flip, role="postgres")
    tap.ok(link.call(client.get(one)).material == kept, "put right, the key is served again")
    edited_rows(state, link, one, refused)
    answer = state.holdfast("client", "add", "states-other", "--out", os.path.join(state.top, "states-other"))
    other = state.psql("SELECT id FROM policy.client WHERE name = 'states-other'", role="postgres")[0][0]
    owner = state.psql("SELECT owner FROM kmip.object WHERE uid = '%s'" % one, role="postgres")[0][0]
    state.psql(SUPER + "UPDATE kmip.object SET owner = '%s' WHERE uid = '%s'" % (other, one), role="postgres")
    files = {k: os.path.join(state.top, "states-other", k + ".pem") for k in ("cert", "key")}
    thief = client.Connection(state.env, **files)
    result = thief.call(client.get(one))
    tap.ok(answer.returncode == 0 and not result.ok and result.material is None,
           "a changed owner gives the new one no key", result)
    thief.close()
    refused("nor the old one")
    state.psql(SUPER + "UPDATE kmip.object SET owner = '%s' WHERE uid = '%s'" % (owner, one), role="postgres")
    tap.ok(link.call(client.get(one)).material == kept, "put right, the key is served again")
    undeleted_rows(state, link, gone)
    failures = lambda: (state.status().get("vault") or {}).get("report", {}).get("integrity_failures", 0)
    tap.ok(support.wait_for(lambda: failures() >= 3, 8, 0.2), "status counts what failed its check",
           state.status()["vault"])
    alarm = lambda: [x for x in status_text(state).splitlines() if "alarm:" in x and gone in x]
    tap.ok(support.wait_for(alarm, 8, 0.2) and "restore it from a backup" in alarm()[0],
           "and names the last of them, with what to do", status_text(state))
    tap.ok("event=vault.integrity op=VAULT_GET object=%s" % one in state.log(), "and the log each", state.log()[-2000:])
    link.close()
    return one


def run(state):
    uid = object_rows(state)
    boot_state(state, uid)
    missing_tpm(state, uid)
    foreign_tpm(state, uid)
    node_state(state, uid)
    owner_auth(state, uid)
    hierarchy_rows(state)
    approval(state, uid)
