"""A client that moves to another domain while it makes objects: who was told of a key has it, and no object is left
behind in the domain that its owner came from."""
import json
import os
import threading
import time

import client
import support
import tap

MOVER, OBJECT = "move-client", "00000000-0000-7000-8000-0000000c0001"
INSERT = ("INSERT INTO kmip.object (uid, version, domain, owner, object_type, state, protection, algorithm, length, "
          "usage_mask, revocation_reason, key_format, extractable, never_extractable, sensitive, always_sensitive, "
          "control_mac, attributes) SELECT '%s', 1, d.id, c.id, 2, 1, 1, 3, 256, 12, 0, 1, true, false, false, false, "
          "decode(repeat('00', 32), 'hex'), '{}' FROM policy.client c, policy.domain d "
          "WHERE c.name = '%s' AND d.name = '%%s'" % (OBJECT, MOVER))
LEFT = ("SELECT count(*) FROM kmip.object o JOIN policy.client c ON c.id = o.owner "
        "WHERE c.name = '%s' AND o.domain <> c.domain" % MOVER)


class Mover:
    def __init__(self, state):
        self.state = state
        folder = os.path.join(state.top, MOVER)
        answer = state.holdfast("client", "add", MOVER, "--out", folder)
        tap.ok(answer.returncode == 0, "client %s is enrolled" % MOVER, answer.stderr)
        self.files = {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}
        answer = state.holdfast("domain", "add", "move-tenant", "--reason", "test of moves")
        tap.ok(answer.returncode == 0, "there is another domain", answer.stderr)
        keyed = "SELECT has_key FROM policy.domains WHERE name = 'move-tenant'"
        tap.ok(support.wait_for(lambda: self.psql(keyed) == [["t"]], 30, 0.2), "which gets its key")

    def psql(self, text, role="postgres"):
        return self.state.psql(text, role)

    def home(self):
        return self.psql("SELECT domain FROM policy.clients WHERE name = '%s'" % MOVER)[0][0]

    def move(self, to):
        """The SQL that moves the client there."""
        policy = json.loads(self.psql("SELECT policy.export()::jsonb")[0][0])
        domains = policy["domains"]
        domains[to]["clients"][MOVER] = domains[self.home()]["clients"].pop(MOVER)
        return "SELECT policy.apply('%s', 'test of moves')" % json.dumps(policy).replace("'", "''")

    def destroy_all(self):
        self.psql("DELETE FROM kmip.object WHERE uid = '%s'" % OBJECT)
        with client.Connection(self.state.env, **self.files) as link:
            for uid in link.call(("Locate", [])).uids:
                link.call(client.destroy(uid))


def beside(mover, holding, asking):
    """What each of two roles is told, "" for nothing, where one asks while the other has not committed yet."""
    said = ["", ""]

    def one(place, text, role):
        try:
            mover.psql(text, role)
        except RuntimeError as error:
            said[place] = str(error)

    threads = [threading.Thread(target=one, args=(0, "BEGIN; %s; SELECT pg_sleep(1.5); COMMIT" % holding[0],
                                                  holding[1])),
               threading.Thread(target=one, args=(1, *asking))]
    threads[0].start()
    time.sleep(0.5)
    threads[1].start()
    for t in threads:
        t.join()
    return said


def in_turn(mover):
    there = mover.move("move-tenant")
    said = beside(mover, (INSERT % "default", "postgres"), (there, "holdfast_policy"))
    tap.ok(said[0] == "" and "owns objects" in said[1] and mover.home() == "default",
           "who moves a client sees what it was just making", said)
    mover.psql("DELETE FROM kmip.object WHERE uid = '%s'" % OBJECT)
    said = beside(mover, (there, "postgres"), (INSERT % "default", "holdfast_server"))
    tap.ok(said[0] == "" and "has moved to another domain" in said[1] and mover.home() == "move-tenant",
           "who makes an object sees that its owner was just moving", said)
    try:
        mover.psql(INSERT % "default", "holdfast_server")
        tap.ok(False, "an object of another domain than its owner's is refused")
    except RuntimeError as error:
        tap.ok("has moved to another domain" in str(error), "an object of another domain than its owner's is refused",
               error)
    mover.psql(mover.move("default"), "holdfast_policy")


def at_work(mover, rounds=6):
    """The client makes keys without pause while it is moved there and back."""
    kept, moves, stop, trouble = [], 0, threading.Event(), []

    def make():
        try:
            with client.Connection(mover.state.env, **mover.files) as link:
                while not stop.is_set():
                    answer = link.call(client.create())
                    if answer.ok:
                        kept.append((answer.uid, link.call(client.get(answer.uid)).ok))
                        link.call(client.destroy(answer.uid))
        except OSError as error:
            trouble.append(error)

    maker = threading.Thread(target=make)
    maker.start()
    for i in range(rounds * 20):
        try:
            mover.psql(mover.move("default" if mover.home() == "move-tenant" else "move-tenant"), "holdfast_policy")
            moves += 1
        except RuntimeError as error:
            if "owns objects" not in str(error):
                trouble.append(error)
        if moves >= rounds or trouble:
            break
    stop.set()
    maker.join()
    tap.ok(not trouble and kept, "keys are made while their owner moves", (trouble, len(kept)))
    tap.note("report %d moves beside %d keys" % (moves, len(kept)))
    lost = [uid for uid, got in kept if not got]
    tap.ok(not lost, "who was told of a key has it", lost)
    tap.ok(mover.psql(LEFT + " AND o.state < 5") == [["0"]], "and nothing is left behind", mover.psql(LEFT))


def run(state):
    mover = Mover(state)
    try:
        in_turn(mover)
        at_work(mover)
    finally:
        mover.destroy_all()
        if mover.home() != "default":
            mover.psql(mover.move("default"), "holdfast_policy")
    answer = state.holdfast("audit", "verify")
    tap.ok(answer.returncode == 0, "the audit trail verifies", answer.stdout + answer.stderr)
