"""A revoked client is shut out: at once for new connections, within 60 s on an open one. Strangers get nothing."""
import os
import shutil
import ssl
import subprocess
import time

import client
import tap


def add_client(state, name):
    folder = os.path.join(state.top, name)
    answer = state.holdfast("client", "add", name, "--out", folder)
    return {"cert": folder + "/cert.pem", "key": folder + "/key.pem"}, answer


def nothing(state, sentence, **files):
    try:
        link = client.Connection(state.env, timeout=10, **files)
        answer = link.call(client.locate("x"))
        tap.ok(False, sentence, answer)
    except (OSError, ssl.SSLError):
        tap.ok(True, sentence)


def run(state):
    files, answer = add_client(state, "revoked-1")
    tap.ok(answer.returncode == 0, "a client is enrolled while the server runs", answer.stderr)
    link = client.Connection(state.env, **files)
    made = link.call(client.create("revoked-key"))
    tap.ok(made.ok, "it is served at once", made)
    first = client.Connection(state.env)
    tap.ok(not first.call(client.get(made.uid)).ok, "another client does not see its key")
    missing = first.call(client.get("00000000-0000-7000-8000-00000000ffff"))
    other = first.call(client.get(made.uid))
    tap.ok((missing.status, missing.reason, missing.message) == (other.status, other.reason, other.message),
           "a key of another is answered exactly as a missing one", (missing, other))
    first.close()
    code, _ = state.json("client", "revoke", "revoked-1")
    began = time.monotonic()
    tap.ok(code == 0, "client revoke")
    served = None
    while time.monotonic() - began < 65:
        try:
            result = link.call(client.get(made.uid))
        except OSError:
            break
        if result.ok:
            served = time.monotonic() - began
        time.sleep(0.5)
    took = time.monotonic() - began
    tap.ok(took < 60 and (served or 0) < 60, "its open connection ends within 60 s", "%s %s" % (took, served))
    tap.note("report revocation ended the open connection after %.1f s, last key served after %s"
             % (took, "%.1f s" % served if served else "none"))
    nothing(state, "a revoked client gets nothing", **files)
    renew = ("client", "add", "revoked-1", "--renew", "--out", os.path.join(state.top, "revoked-again"))
    answer = state.holdfast(*renew)
    tap.ok(answer.returncode == 1 and b"client enable" in answer.stderr and not os.listdir(renew[-1]),
           "a revoked client gets no further certificate, and it is told what lets it in again", answer.stderr)
    state.psql("SELECT policy.client_enable('revoked-1', true)", role="holdfast_policy")
    nothing(state, "let in again, its old certificate still gets nothing", **files)
    answer = state.holdfast(*renew)
    again = client.Connection(state.env, cert=renew[-1] + "/cert.pem", key=renew[-1] + "/key.pem")
    tap.ok(answer.returncode == 0 and again.call(client.get(made.uid)).ok, "with a new one it has its objects again",
           answer.stderr)
    again.close()

    folder = os.path.join(state.top, "foreign")
    os.mkdir(folder)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem", "-days", "2", "-subj",
                    "/CN=first", "-addext", "subjectAltName=URI:urn:holdfast:client:first"], check=True,
                   capture_output=True)
    nothing(state, "a certificate of another authority gets nothing", cert=folder + "/cert.pem",
            key=folder + "/key.pem")
    nothing(state, "the server's own certificate is no client's", cert=os.path.join(state.dir, "etc/server.pem"),
            key=os.path.join(state.dir, "etc/server.key"))
    context = ssl.create_default_context(cafile=state.env["HOLDFAST_CA"])
    try:
        import socket
        raw = socket.create_connection((state.env["HOLDFAST_HOST"], int(state.env["HOLDFAST_PORT"])), 10)
        tls = context.wrap_socket(raw, server_hostname=state.env["HOLDFAST_HOST"])
        tls.sendall(client.message([client.locate("x")]))
        tap.ok(tls.recv(1) == b"", "no certificate gets nothing")
    except OSError:
        tap.ok(True, "no certificate gets nothing")
    request = os.path.join(state.top, "request.pem")
    key = os.path.join(state.top, "request.key")
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", request, "-subj", "/CN=anything"], check=True, capture_output=True)
    answer = state.holdfast("client", "add", "signed-1", "--csr", request)
    cert = os.path.join(state.top, "signed.pem")
    with open(cert, "wb") as f:
        f.write(answer.stdout)
    tap.ok(answer.returncode == 0 and client.Connection(state.env, cert=cert, key=key).call(client.create()).ok,
           "a client with a request of its own is served", answer.stderr)
    folder = os.path.join(state.top, "signed-2")
    os.mkdir(folder)
    shutil.copy(key, folder + "/key.pem")
    answer = state.holdfast("client", "add", "signed-2", "--csr", request, "--out", folder)
    link = client.Connection(state.env, cert=folder + "/cert.pem", key=folder + "/key.pem")
    tap.ok(answer.returncode == 0 and link.call(client.create()).ok, "its certificate can lie beside its key",
           answer.stderr)
    link.close()
    answer = state.holdfast("client", "add", "signed-2", "--renew", "--csr", request, "--out", folder)
    tap.ok(answer.returncode == 1 and b"not overwritten" in answer.stderr, "no certificate is overwritten",
           answer.stderr)
    state.psql("SELECT policy.client_enable('signed-2', false)", role="holdfast_policy")
    nothing(state, "a disabled client gets nothing", cert=folder + "/cert.pem", key=folder + "/key.pem")
    told = [x for x in state.log().splitlines()
            if "event=conn.refused" in x and 'uri="urn:holdfast:client:signed-2"' in x]
    tap.ok(told, "the log says who was refused", state.log()[-1000:])
