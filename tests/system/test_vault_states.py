"""What can be wrong with TPM and rows: each has its state, its sentence in `holdfast status` and the log, and heals."""
import os
import shutil

import client
import support
import tap
import tpm


def told(state, wanted, sentence, *words):
    good = state.wait_state(wanted, 30)
    text = state.holdfast("status").stdout.decode() + state.holdfast("status").stderr.decode()
    tap.ok(good and all(w.lower() in text.lower() for w in words), sentence, text + state.log()[-3000:])
    tap.ok(wanted in state.log(), "and the log says %s" % wanted, state.log()[-2000:])


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


def boot_state(state):
    socket = os.path.join(state.dir, "tpm/sock")
    state.stop_one("holdfastd")
    code = tpm.extend(socket, 7, b"\x11" * 32)
    tap.ok(code == 0, "a selected PCR is extended", hex(code))
    state.start_one("holdfastd")
    told(state, "locked", "a changed boot state locks the vault, and status says what to do", "boot state", "approv")
    code, error = state.json("key", "create")
    tap.ok(code == 4, "a locked vault gives a clear error: exit 4", error)
    # A software TPM's PCRs are zero again after its restart.
    state.kill("swtpm")
    tap.ok(state.wait_serving(60), "with the old boot state it opens by itself", state.status())


def approve_now(state):
    """Approves the boot state as it is, with the key of the self-approved init; then the server serves."""
    state.stop_one("holdfastd")
    request, response = os.path.join(state.top, "request.json"), os.path.join(state.top, "response.json")
    for path in (request, response):
        if os.path.exists(path):
            os.remove(path)
    answer = state.holdfast("approval", "request", "--out", request)
    tap.ok(answer.returncode == 0, "approval request", answer.stderr)
    answer = state.holdfast("approve", "--request", request, "--key", os.path.join(state.dir, "secret/auth.key"),
                            "--out", response)
    tap.ok(answer.returncode == 0, "approve signs it", answer.stderr)
    answer = state.holdfast("approval", "accept", "--response", response)
    tap.ok(answer.returncode == 0, "approval accept", answer.stderr)
    state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "the approved boot state opens the vault", state.status())


def approval(state, uid):
    """A changed boot state is approved; the old one then no longer opens, until it is approved again."""
    state.stop_one("holdfastd")
    tpm.extend(os.path.join(state.dir, "tpm/sock"), 7, b"\x22" * 32)
    approve_now(state)
    rows = state.psql("SELECT 1 FROM audit.events WHERE operation LIKE 'Admin%Approve%'")
    tap.ok(rows, "the approval has its audit row")
    link = client.Connection(state.env)
    tap.ok(link.call(client.get(uid)).ok, "keys are served under the new approval")
    link.close()
    state.stop_one("holdfastd")
    state.stop_one("swtpm")
    state.start_one("swtpm")
    state.start_one("holdfastd")
    told(state, "locked", "the boot state whose approval was replaced does not open", "boot state", "approv")
    approve_now(state)


def missing_tpm(state, uid):
    state.stop_one("swtpm")
    state.kill("vault")
    told(state, "sealed", "without the TPM a new vault stays sealed, and status says so", "tpm")
    state.start_one("swtpm")
    tap.ok(state.wait_serving(60), "it opens by itself when the TPM is back", state.status())


def foreign_tpm(state):
    state.stop_one("holdfastd")
    away = os.path.join(state.top, "tpm-own")
    swap_tpm(state, away)
    state.start_one("holdfastd")
    told(state, "foreign", "another TPM is told apart", "recovery")
    state.stop_one("holdfastd")
    swap_tpm(state, os.path.join(state.top, "tpm-other"), away)
    state.start_one("holdfastd")
    tap.ok(state.wait_serving(60), "with its own TPM it serves again", state.status())


def hierarchy_row(state, sentence, change, undo, word):
    """A row of the key hierarchy is damaged behind the server: no key is served, and status names the row."""
    state.psql(change, role="postgres")
    old = state.kill("vault")
    support.wait_for(lambda: state.pid("vault") not in (None, old), 10)

    def named():
        answer = state.holdfast("status")
        return answer.returncode == 4 and word in answer.stdout.decode()

    tap.ok(support.wait_for(named, 15, 0.2), sentence, state.holdfast("status").stdout.decode() + state.log()[-3000:])
    code, error = state.json("key", "create")
    tap.ok(code in (1, 4), "and no key is made", error)
    state.psql(undo, role="postgres")
    tap.ok(state.wait_serving(60), "put right, it serves again", state.status())


def object_rows(state):
    link = client.Connection(state.env)
    one, two, gone = (link.call(client.create("states-%d" % i)).uid for i in range(3))
    kept = link.call(client.get(one)).material
    super_sql = "SET session_replication_role = replica; "

    def refused(sentence):
        result = link.call(client.get(one))
        tap.ok(not result.ok and result.material is None, sentence, result)

    swap = (super_sql + "UPDATE kmip.material m SET envelope = o.envelope FROM kmip.material o "
            "WHERE (m.uid, o.uid) IN (('%s', '%s'), ('%s', '%s'))" % (one, two, two, one))
    state.psql(swap, role="postgres")
    refused("swapped rows are refused, no wrong key is given")
    state.psql(swap, role="postgres")
    flip = super_sql + "UPDATE kmip.material SET envelope = set_byte(envelope, 80, get_byte(envelope, 80) # 1) WHERE uid = '%s'" % one
    state.psql(flip, role="postgres")
    refused("a damaged row is refused")
    state.psql(flip, role="postgres")
    for column, wrong in (("protection", 9), ("object_type", 0)):
        was = state.psql("SELECT %s FROM kmip.object WHERE uid = '%s'" % (column, one), role="postgres")[0][0]
        set_to = super_sql + "UPDATE kmip.object SET " + column + " = %s WHERE uid = '" + one + "'"
        state.psql(set_to % wrong, role="postgres")
        refused("a row with %s %d is refused" % (column, wrong))
        state.psql(set_to % was, role="postgres")
        tap.ok(link.call(client.get(one)).material == kept, "and harms nobody else: the channel to the vault stays")
    answer = state.holdfast("client", "add", "states-other", "--out", os.path.join(state.top, "states-other"))
    other = state.psql("SELECT id FROM policy.client WHERE name = 'states-other'", role="postgres")[0][0]
    owner = state.psql("SELECT owner FROM kmip.object WHERE uid = '%s'" % one, role="postgres")[0][0]
    state.psql(super_sql + "UPDATE kmip.object SET owner = '%s' WHERE uid = '%s'" % (other, one), role="postgres")
    files = {k: os.path.join(state.top, "states-other", k + ".pem") for k in ("cert", "key")}
    thief = client.Connection(state.env, **files)
    result = thief.call(client.get(one))
    tap.ok(answer.returncode == 0 and not result.ok, "a changed owner gives nobody the key", result)
    thief.close()
    state.psql(super_sql + "UPDATE kmip.object SET owner = '%s' WHERE uid = '%s'" % (owner, one), role="postgres")
    tap.ok(link.call(client.get(one)).material == kept, "put right, the key is served again")
    state.psql("CREATE TABLE public.kept_row AS SELECT * FROM kmip.object WHERE uid = '%s'" % gone, role="postgres")
    state.psql("CREATE TABLE public.kept_material AS SELECT * FROM kmip.material WHERE uid = '%s'" % gone, role="postgres")
    tap.ok(link.call(client.destroy(gone)).ok, "a key is destroyed")
    rows = state.psql("SELECT envelope IS NULL FROM kmip.material WHERE uid = '%s'" % gone, role="postgres")
    tap.ok(rows in ([["t"]], []), "its material is gone from the database", rows)
    state.psql(super_sql + "UPDATE kmip.object SET state = 2 WHERE uid = '%s'; UPDATE kmip.material m SET envelope = "
               "k.envelope FROM public.kept_material k WHERE m.uid = k.uid" % gone, role="postgres")
    result = link.call(client.get(gone))
    tap.ok(not result.ok, "an undeleted tombstone gives nobody the key", result)
    state.psql(super_sql + "UPDATE kmip.object SET state = 5 WHERE uid = '%s'; UPDATE kmip.material SET envelope = NULL "
               "WHERE uid = '%s'; DROP TABLE public.kept_row, public.kept_material" % (gone, gone), role="postgres")
    failures = lambda: (state.status().get("vault") or {}).get("report", {}).get("integrity_failures", 0)
    tap.ok(support.wait_for(lambda: failures() >= 3, 5, 0.2), "status counts what failed its check", state.status()["vault"])
    tap.ok("integrity" in state.log().lower(), "and the log tells it", state.log()[-2000:])
    link.close()
    return one


def run(state):
    uid = object_rows(state)
    boot_state(state)
    missing_tpm(state, uid)
    foreign_tpm(state)
    mac = "UPDATE kmip.%s SET mac = set_byte(mac, 3, get_byte(mac, 3) # 1)"
    hierarchy_row(state, "a damaged domain key row is named", mac % "dk", mac % "dk", "domain")
    hierarchy_row(state, "a damaged epoch parent row is named", mac % "ep", mac % "ep", "epoch")
    approval(state, uid)
