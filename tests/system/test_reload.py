"""A new server certificate is taken up without dropping an open connection; SIGHUP reloads; neither costs a request."""
import signal
import time

import client
import support
import tap
import workload

LOADERS, ROUNDS, POLL_S = 8, 3, 2


def serial(state):
    link = client.Connection(state.env)
    number = link.tls.getpeercert()["serialNumber"]
    link.close()
    return number


def under_load(state):
    load = workload.Load(state, "reload", LOADERS, pace=0.02)
    load.start()
    good = []
    for _ in range(ROUNDS):
        good.append(state.json("server-cert", "renew")[0] == 0)
        time.sleep(POLL_S / 2)
        good.append(state.kill("supervisor", signal.SIGHUP) is not None)
        time.sleep(POLL_S / 2 + 0.5)
    load.stop()
    successes, put_off, unanswered = load.seen()
    closed = sum(x.closed for x in load.loaders)
    tap.ok(all(good) and successes > 100 and (put_off, unanswered, closed) == (0, 0, 0),
           "%d new certificates and reloads under load put off, drop and close nothing" % ROUNDS,
           (good, successes, put_off, unanswered, closed))
    load.check(gaps_are_whole=True)


def run(state):
    link = client.Connection(state.env)
    made = link.call(client.create("reload-1"))
    before = serial(state)
    code, answer = state.json("server-cert", "renew")
    tap.ok(code == 0, "server-cert renew issues a certificate", answer)
    tap.ok(support.wait_for(lambda: serial(state) != before, 20, 0.2), "new connections see it")
    tap.ok(link.call(client.get(made.uid)).ok, "an open connection goes on")
    workers = [state.pid(n) for n in state.workers()]
    state.kill("supervisor", signal.SIGHUP)
    tap.ok(link.call(client.get(made.uid)).ok and state.wait_serving(20), "SIGHUP drops nothing")
    tap.ok([state.pid(n) for n in state.workers()] == workers, "and starts no worker again")
    link.close()
    under_load(state)
