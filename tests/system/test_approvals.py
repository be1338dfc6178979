"""Four eyes: what a client may do and a rule keeps from it until administrators have approved it is done once then, by
nobody else, not twice in a race or a batch, not after it expired or was taken back, and after a kill as before."""
import os
import re
import signal
import threading

import client
import support
import tap

DENIED, NOT_FOUND = 0x0C, 0x01
MISSING = "00000000-0000-7000-8000-00000000abcd"
CONTINUE, UNDO = 1, 3


class Eyes:
    """The client four-eyes has the rules of its domain, and those of this test."""

    def __init__(self, state):
        self.state = state
        self.files = self.enrol("four-eyes")
        self.other = self.enrol("four-others")
        self.link = self.connect()
        self.rules = []

    def enrol(self, name):
        folder = os.path.join(self.state.top, name)
        answer = self.state.holdfast("client", "add", name, "--out", folder)
        tap.ok(answer.returncode == 0, "client %s is enrolled" % name, answer.stderr)
        return {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}

    def connect(self, files=None):
        return client.Connection(self.state.env, **(files or self.files))

    def call(self, *operations, **header):
        return self.link.call(*operations, **header)

    def sql(self, text, role="holdfast_policy"):
        return self.state.psql(text, role)

    def rule(self, permissions, approvals=1, kind="require_approval", more=""):
        number = self.sql("SELECT policy.%s('client four-eyes', '%s', 'test of four eyes', owner => 'self'%s%s)" % (
            kind, permissions, ", approvals => %d" % approvals if kind == "require_approval" else "", more))[0][0]
        self.rules.append(number)
        return number

    def no_rules(self):
        for number in self.rules:
            self.sql("SELECT policy.rule_remove(%s, 'test of four eyes')" % number)
        self.rules = []

    def approve(self, number, who):
        """"" or what the database says."""
        try:
            self.sql("SET holdfast.operator = '%s@host'; SELECT policy.approve(%d, 'ticket')" % (who, number))
            return ""
        except RuntimeError as error:
            return str(error)

    def requests(self):
        code, rows = self.state.json("requests")
        return {r["number"]: r for r in rows} if code == 0 else {}

    def request_state(self, number):
        return self.sql("SELECT state FROM policy.request WHERE id = %d" % number)[0][0]

    def key(self, name=None):
        answer = self.call(client.create(name))
        tap.ok(answer.ok, "a key is made", answer)
        return answer.uid

    def asked(self, answer):
        """The number of the request that waits, by what the client was told; None: it was told something else."""
        found = re.fullmatch(r"request (\d+) waits for approval", answer.message or "")
        return int(found.group(1)) if found and not answer.ok and answer.reason == DENIED else None

    def approved(self, operation, who="alice"):
        """Asks, and lets one administrator approve."""
        number = self.asked(self.call(operation))
        tap.ok(number and self.approve(number, who) == "", "it is asked for and approved", number)
        return number

    def acts(self, operation, since="-infinity"):
        return self.state.psql("SELECT client, object, detail FROM audit.events WHERE operation = '%s' AND at > '%s' "
                               "ORDER BY at, seq" % (operation, since))

    def told(self, uid):
        """The latest row about the object that the client four-eyes made."""
        return self.state.psql("SELECT operation, result, coalesce(reason, ''), coalesce(detail, '') FROM audit.events "
                               "WHERE client = 'four-eyes' AND object = '%s' ORDER BY at DESC, seq DESC LIMIT 1"
                               % uid)[0]


def two_administrators(e):
    uid = e.key("four-eyes-1")
    rule = e.rule("{get,destroy}", approvals=2)
    answer = e.call(client.get(uid))
    number = e.asked(answer)
    tap.ok(number, "the client is told that it waits, and the number", answer)
    tap.ok(e.told(uid) == ["Get", "Operation Failed", "Permission Denied",
                           "rule %s needs 2 approvals: request %d waits for approval" % (rule, number)],
           "the auditor is told the rule and the request", e.told(uid))
    tap.ok(e.asked(e.call(client.get(uid))) == number and e.asked(e.call(client.get(uid))) == number,
           "who asks again has the same request")
    tap.ok(e.call(client.get_attributes(uid)).ok, "what needs no approval is done")
    other = e.asked(e.call(client.destroy(uid)))
    tap.ok(other and other != number, "another operation is another request", (number, other))
    row = e.requests().get(number, {})
    tap.ok((row.get("client"), row.get("permission"), row.get("object"), row.get("names"), str(row.get("rule")),
            row.get("approvals"), row.get("needed"), row.get("state"), row.get("rule_reason"))
           == ("four-eyes", "get", uid, ["four-eyes-1"], rule, 0, 2, "waiting", "test of four eyes"),
           "holdfast requests tells who wants what", row)
    text = e.state.holdfast("requests").stdout.decode()
    tap.ok("%d  client four-eyes of domain default wants get of %s (four-eyes-1)" % (number, uid) in text
           and "0 of 2 approvals" in text, "and for people", text)
    answer = e.state.holdfast("approve", str(number), "--reason", "ticket 1")
    tap.ok(answer.returncode == 0 and b"another administrator" in answer.stdout, "one approves",
           answer.stdout + answer.stderr)
    answer = e.state.holdfast("approve", str(number), "--reason", "ticket 1")
    tap.ok(answer.returncode == 1 and b"counts once" in answer.stderr, "but counts once", answer.stderr)
    tap.ok("cannot approve it" in e.approve(number, "Four-Eyes"), "the client that asks counts not at all")
    tap.ok(e.asked(e.call(client.get(uid))) == number, "one is not enough")
    tap.ok(e.approve(number, "bob") == "" and e.request_state(number) == "approved", "a second one is")
    tap.ok("approved already" in e.approve(number, "carol"), "a third one is not needed")
    answer = e.call(client.get(uid))
    tap.ok(answer.ok and answer.material, "now it is done", answer)
    tap.ok(e.told(uid) == ["Get", "Success", "", "request %d was approved" % number],
           "the auditor is told of the approval", e.told(uid))
    tap.ok(e.request_state(number) == "used" and number not in e.requests(), "and the request is used up")
    again = e.asked(e.call(client.get(uid)))
    tap.ok(again and again != number, "the next one is another request", again)
    rows = [r for r in e.acts("Admin Approve Request") if "request=%d " % number in r[2]]
    tap.ok(len(rows) == 2 and rows[1][0] == "holdfast_policy (bob@host)" and rows[1][1] == uid
           and "client=four-eyes permission=get rule=%s approvals=2 needed=2 state=approved reason=ticket" % rule
           in rows[1][2],
           "each approval is in the audit trail: who, what, why", rows)
    answer = e.state.holdfast("refuse", str(again), "--reason", "no")
    rows = [r for r in e.acts("Admin Refuse Request") if "request=%d " % again in r[2]]
    tap.ok(answer.returncode == 0 and len(rows) == 1 and "was=waiting reason=no" in rows[0][2], "so is a refusal",
           answer.stderr or rows)
    tap.ok(e.asked(e.call(client.get(uid))) not in (None, again), "after which the client may ask again")
    with e.connect(e.other) as link:
        answer = link.call(client.get(uid))
        tap.ok(not answer.ok and answer.reason == NOT_FOUND, "to others it is a missing object as ever", answer)
    e.no_rules()
    tap.ok(e.call(client.get(uid)).ok, "without the rule nothing waits")


def nothing_permitted(e):
    """A rule holds back what another one allows: alone it permits nothing, also not what is approved."""
    uid = e.key("four-eyes-2")
    rules = ["require_approval('client four-others', '{get}', 'test of four eyes', object => '%s')" % uid,
             "allow('client four-others', '{get}', 'test of four eyes', object => '%s')" % uid]
    waiting = "SELECT count(*) FROM policy.request WHERE object = '%s'" % uid
    e.rules.append(e.sql("SELECT policy." + rules[0])[0][0])
    with e.connect(e.other) as link:
        answer, missing = link.call(client.get(uid)), link.call(client.get(MISSING))
        tap.ok((answer.ok, answer.reason, answer.message) == (False, NOT_FOUND, missing.message),
               "what no rule allows is missing, also where one wants an approval", answer)
        tap.ok(e.sql(waiting) == [["0"]], "and nothing waits")
        told = e.sql("SELECT why FROM policy.explain('four-others', 'get', '%s') WHERE decides" % uid)
        tap.ok(len(told) == 1 and "refused: no rule permits it, and rule %s only holds back" % e.rules[-1] in told[0][0],
               "which policy.explain() says", told)
        e.rules.append(e.sql("SELECT policy." + rules[1])[0][0])
        number = e.asked(link.call(client.get(uid)))
        tap.ok(number and e.approve(number, "alice") == "" and link.call(client.get(uid)).ok,
               "what one allows waits, and is done once it is approved", number)
    e.no_rules()


def commands(e):
    for args, want, said in [(("approve", "999999", "--reason", "x"), 1, b"no request 999999"),
                             (("approve", "x", "--reason", "x"), 2, b"no number"), (("approve", "1"), 2, b"--reason"),
                             (("refuse", "999999", "--reason", "x"), 1, b"no request"),
                             (("refuse", "1"), 2, b"--reason"),
                             (("approve", "999999", "--reason", " "), 1, b"reason")]:
        answer = e.state.holdfast(*args)
        tap.ok(answer.returncode == want and said in answer.stderr, "holdfast %s ends with %d" % (" ".join(args), want),
               answer.stderr)
    for sql, role in [("SELECT policy.approve(1, 'x')", "holdfast_server"),
                      ("SELECT policy.refuse(1, 'x')", "holdfast_auditor"),
                      ("UPDATE policy.request SET state = 'approved'", "holdfast_policy"),
                      ("INSERT INTO policy.approval VALUES (1, 'x', now(), 'x')", "holdfast_policy"),
                      ("UPDATE policy.request SET state = 'approved'", "holdfast_server"),
                      ("SELECT policy.claims_write('{}', '{}', '{}', '{}', '{}', '{}', '{}')", "holdfast_policy")]:
        try:
            e.sql(sql, role)
            tap.ok(False, "%s may not: %s" % (role, sql))
        except RuntimeError as error:
            tap.ok("permission denied" in str(error), "%s may not: %s" % (role, sql), str(error))


def races(e):
    """Many connections, on all workers, want what was approved once."""
    uid = e.key()
    e.rule("{get}")
    links = [e.connect() for _ in range(12)]
    counts, others = [], []
    for _ in range(6):
        number = e.approved(client.get(uid))
        start, results = threading.Barrier(len(links)), []

        def want(link):
            start.wait()
            results.append(link.call(client.get(uid)))

        threads = [threading.Thread(target=want, args=(link,)) for link in links]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        counts.append(sum(r.ok for r in results))
        others.append({e.asked(r) for r in results if not r.ok})
        if e.request_state(number) != "used":
            counts[-1] = -1
    for link in links:
        link.close()
    tap.ok(counts == [1] * 6, "of twelve at once one gets it, each time", counts)
    tap.ok(all(len(o) == 1 and None not in o for o in others), "and all others wait for one further request", others)
    rows = e.state.psql("SELECT count(*) FROM audit.events WHERE client = 'four-eyes' AND object = '%s' "
                        "AND operation = 'Get' AND result = 'Success'" % uid)
    tap.ok(rows == [["6"]], "the audit trail has as many as were approved", rows)
    e.no_rules()


def batches(e):
    uid = e.key()
    e.rule("{get,destroy}")
    number = e.approved(client.get(uid))
    first, second = e.call(client.get(uid), client.get(uid), on_error=CONTINUE)
    tap.ok(first.ok and not second.ok and second.message == "request %d serves one operation alone" % number,
           "one approval serves one item of a batch", (first, second))
    results = e.call(client.get(uid), client.get(uid), on_error=CONTINUE)
    tap.ok(len({e.asked(r) for r in results} - {None}) == 1, "two items that wait have one request", results)
    number = e.approved(client.destroy(uid))
    results = e.call(client.destroy(uid), client.get(MISSING), on_error=UNDO)
    tap.ok(not any(r.ok for r in results) and e.request_state(number) == "approved",
           "what is undone uses nothing up", results)
    gone, later = e.call(client.destroy(uid), client.get(uid), on_error=CONTINUE)
    tap.ok(gone.ok and not later.ok and e.request_state(number) == "used", "what is done does", (gone, later))
    uid = e.key()
    tap.ok(e.call(client.activate(uid)).ok, "a key is active")
    number = e.approved(client.destroy(uid))
    answer = e.call(client.destroy(uid))
    tap.ok(not answer.ok and "state" in answer.message and e.request_state(number) == "approved",
           "what fails for another reason uses nothing up", answer)
    tap.ok(e.call(client.revoke(uid)).ok and e.call(client.destroy(uid)).ok and e.request_state(number) == "used",
           "and can be done later")
    e.no_rules()


def changes_of_mind(e):
    uid = e.key()
    e.rule("{get}")
    number = e.approved(client.get(uid))
    answer = e.state.holdfast("refuse", str(number), "--reason", "changed my mind")
    tap.ok(answer.returncode == 0 and e.asked(e.call(client.get(uid))) not in (None, number),
           "an approval that is taken back serves nobody", answer.stderr)
    number = e.approved(client.get(uid))
    e.rule("{get}", kind="deny")
    answer = e.call(client.get(uid))
    tap.ok(not answer.ok and answer.reason == NOT_FOUND, "a denial wins over an approval that is there", answer)
    e.no_rules()
    e.rule("{get}", approvals=2)
    tap.ok(e.asked(e.call(client.get(uid))) == number and e.request_state(number) == "waiting",
           "where a rule wants more than were asked, one is not enough any more")
    tap.ok(e.approve(number, "bob") == "" and e.call(client.get(uid)).ok, "a second one is")
    e.no_rules()


def expiry(e):
    uid = e.key()
    e.rule("{get}")
    number = e.approved(client.get(uid))
    e.sql("UPDATE policy.request SET expires_at = clock_timestamp() WHERE id = %d" % number, "postgres")
    tap.ok(number not in e.requests() and "expired at" in e.approve(number, "bob"), "an old request waits no longer")
    answer = e.call(client.get(uid))
    following = e.asked(answer)
    tap.ok(following not in (None, number) and e.request_state(number) == "expired",
           "its approval serves nobody", answer)
    told = e.told(uid)
    tap.ok(told[3].endswith(": request %d waits for approval, request %d expired" % (following, number)),
           "which is in the audit trail", told)
    tap.ok(e.asked(e.call(client.get(uid))) == following and "expired" not in e.told(uid)[3], "once", e.told(uid))
    hours = "SELECT extract(epoch FROM expires_at - asked_at)::bigint FROM policy.request WHERE id = %d"
    tap.ok(e.sql(hours % following) == [["86400"]], "a request waits for 24 hours")
    e.sql("SELECT policy.domain_approval_hours('default', 2, 'test of four eyes')")
    number = e.asked(e.call(client.get(e.key())))
    tap.ok(e.sql(hours % number) == [["7200"]], "or for as long as its domain says")
    for bad in ("0", "8761", "NULL"):
        try:
            e.sql("SELECT policy.domain_approval_hours('default', %s, 'x')" % bad)
            tap.ok(False, "%s hours are refused" % bad)
        except RuntimeError as error:
            tap.ok("1 to 8760 hours" in str(error), "%s hours are refused" % bad, str(error))
    e.sql("SELECT policy.domain_approval_hours('default', 24, 'test of four eyes')")
    e.no_rules()


def kills(e):
    """Between approval and use the processes die: the approval is there, once."""
    uid = e.key()
    e.rule("{get}")
    number = e.approved(client.get(uid))
    for name in e.state.workers():
        e.state.kill(name, signal.SIGKILL)
    tap.ok(support.wait_for(lambda: e.state.json("status")[0] == 0, 60, 0.2) and e.state.wait_all_open(),
           "workers that are killed come back")
    e.link = e.connect()
    tap.ok(e.call(client.get(uid)).ok and e.request_state(number) == "used", "the approval serves after a kill")
    number = e.approved(client.get(uid))
    tap.ok(e.state.stop_one("holdfastd") and e.state.start_one("holdfastd") and e.state.wait_serving(), "a new start")
    e.link = e.connect()
    tap.ok(e.call(client.get(uid)).ok and e.request_state(number) == "used", "the approval serves after it")
    tap.ok(e.asked(e.call(client.get(uid))), "once")
    killed_while_used(e, uid)
    e.no_rules()


def killed_while_used(e, uid):
    """PostgreSQL's backends die while an approved Destroy is committed: it happened, and the approval is used, or
    neither."""
    e.no_rules()
    e.rule("{destroy}")
    halves = []
    for _ in range(8):
        uid = e.key()
        number = e.approved(client.destroy(uid))
        killer = threading.Thread(target=lambda: [os.kill(p, signal.SIGTERM) for p in e.state.backends()])
        killer.start()
        try:
            e.call(client.destroy(uid))
        except OSError:
            e.link = e.connect()
        killer.join()
        tap.ok(e.state.wait_all_open(), "the server has its database again")
        done = e.state.psql("SELECT state >= 5 FROM kmip.object WHERE uid = '%s'" % uid, "postgres") == [["t"]]
        audited = e.state.psql("SELECT count(*) FROM audit.events WHERE object = '%s' AND operation = 'Destroy' AND "
                               "result = 'Success'" % uid) == [["1"]]
        used = e.request_state(number) == "used"
        if len({done, audited, used}) != 1:
            halves.append((uid, number, done, audited, used))
    tap.ok(not halves, "an approval is used up exactly with what it served", halves)


def run(state):
    e = Eyes(state)
    try:
        for part in (two_administrators, nothing_permitted, commands, races, batches, changes_of_mind, expiry, kills):
            part(e)
    finally:
        e.no_rules()
    answer = state.holdfast("audit", "verify")
    tap.ok(answer.returncode == 0, "the audit trail verifies", answer.stdout + answer.stderr)
