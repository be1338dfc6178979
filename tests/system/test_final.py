"""Over connections of all workers at once: each change of a key's state has one winner, a compromise is never taken
back, and once its destruction is answered a key is served by nobody."""
import concurrent.futures
import threading

import client
import tap
import test_processes

LINKS, ROUNDS = 12, 15
NOT_FOUND = 1


def race(pool, links, operations):
    """One operation on each connection, begun together."""
    together = threading.Barrier(len(links))

    def one(link, operation):
        together.wait()
        return link.call(operation)

    return list(pool.map(one, links, operations))


def won(results):
    return sum(r.ok for r in results)


def life(pool, links, uid, material, wrong):
    links = links[:len(links) // 2 * 2]
    half = len(links) // 2
    activated = race(pool, links, [client.activate(uid)] * len(links))
    revoked = race(pool, links, [client.revoke(uid)] * half + [client.revoke(uid, 2)] * half)
    state = links[0].call(client.get_attributes(uid, "State")).state
    gone = race(pool, links, [client.destroy(uid), client.get(uid)] * half)
    after = [link.call(client.get(uid)) for link in links]
    if won(activated) != 1:
        wrong.append("%s: %d Activates won" % (uid, won(activated)))
    if won(revoked[:half]) > 1 or won(revoked[half:]) != 1 or state != "Compromised":
        wrong.append("%s: %d Revokes and %d as compromised won, and it is %s"
                     % (uid, won(revoked[:half]), won(revoked[half:]), state))
    if won(gone[::2]) != 1 or any(r.ok and r.material != material for r in gone[1::2]):
        wrong.append("%s: %d Destroys won, Gets meanwhile: %s" % (uid, won(gone[::2]), gone[1::2]))
    if won(after) or any(r.reason == NOT_FOUND for r in activated + revoked + gone + after):
        wrong.append("%s: once destroyed: %s" % (uid, after))
    return {"Activate": 1, "Revoke": won(revoked), "Destroy": 1}


def resumed(state, link, uid):
    """What is wrong over sessions resumed from a connection, and how many were: each worker has sessions of its own."""
    wrong, count, tries = [], 0, 0
    while count < 3 and tries < 100:
        tries += 1
        again = client.Connection(state.env, resume=link)
        result = again.call(client.get(uid))
        count += again.tls.session_reused
        if result.ok or result.reason == NOT_FOUND:
            wrong.append("%s over a resumed session: %s" % (uid, result))
        again.close()
    return wrong, count


def run(state):
    by_worker = test_processes.spread(state)
    links = [link for some in by_worker.values() for link in some]
    links += [client.Connection(state.env) for _ in range(len(links), LINKS)]
    tap.ok(all(by_worker.values()), "each worker has some of the connections", by_worker)
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(len(links)) as pool:
        for number in range(ROUNDS):
            uid = links[0].call(client.create("final-%d" % number)).uid
            material = links[0].call(client.get(uid)).material
            wins = life(pool, links, uid, material, wrong)
            rows = state.psql("SELECT operation, count(*) FROM audit.event WHERE object = '%s' AND result = 'Success' "
                              "AND operation IN ('Activate', 'Revoke', 'Destroy') GROUP BY 1" % uid)
            if {r[0]: int(r[1]) for r in rows} != wins:
                wrong.append("%s: won %s, audited %s" % (uid, wins, rows))
    tap.ok(not wrong, "%d times over %d connections each change of state has one winner, a compromise stays, destroyed "
           "is final, and the audit trail says so" % (ROUNDS, len(links)), "\n".join(wrong))
    wrong, count = resumed(state, links[0], uid)
    tap.ok(not wrong and count > 0, "nor is it served over a resumed session", (wrong, count))
    for link in links:
        link.close()
