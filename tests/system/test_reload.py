"""A new server certificate is taken up without dropping an open connection; SIGHUP reloads."""
import signal

import client
import support
import tap


def serial(state):
    link = client.Connection(state.env)
    number = link.tls.getpeercert()["serialNumber"]
    link.close()
    return number


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
