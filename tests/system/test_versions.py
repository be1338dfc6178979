"""The main job in every protocol version, through the holdfast command."""
import os

import tap


def run(state):
    for version in ("1.0", "1.1", "1.2", "1.3", "1.4", "2.0", "2.1"):
        env = {"HOLDFAST_PROTOCOL": version}
        name = "versions-" + version
        code, made = state.json("key", "create", "--name", name, "--length", "128", env=env)
        if not tap.ok(code == 0, "%s: create" % version, made):
            continue
        key = made["id"]
        code, answer = state.json("key", "activate", key, env=env)
        tap.ok(code == 0, "%s: activate" % version, answer)
        out = os.path.join(state.top, name)
        got = state.holdfast("key", "get", key, "--out", out, env=env)
        tap.ok(got.returncode == 0 and os.path.getsize(out) == 16, "%s: get" % version, got.stderr)
        code, found = state.json("key", "locate", "--name", name, env=env)
        tap.ok(code == 0 and found.get("ids") == [key], "%s: locate" % version, found)
        code, shown = state.json("key", "attributes", key, env=env)
        tap.ok(code == 0 and shown["attributes"].get("State") == "Active", "%s: attributes" % version, shown)
        newer = {"1.0": "Fresh", "1.1": "AlternativeName", "1.4": "NISTKeyType"}.get(version)
        if newer:
            tap.ok(newer not in shown.get("attributes", {}), "%s: no attribute of a later version" % version, shown)
        code, answer = state.json("key", "revoke", key, env=env)
        tap.ok(code == 0, "%s: revoke" % version, answer)
        code, answer = state.json("key", "destroy", key, env=env)
        tap.ok(code == 0, "%s: destroy" % version, answer)
        secret = os.path.join(state.top, "secret")
        with open(secret, "wb") as f:
            f.write(b"correct horse " + version.encode())
        code, made = state.json("key", "register", "--type", "SecretData", "--in", secret, env=env)
        got = state.holdfast("key", "get", made.get("id", "?"), "--out", out, env=env)
        tap.ok(code == 0 and got.returncode == 0 and open(out, "rb").read() == open(secret, "rb").read(),
               "%s: register" % version, str(made) + str(got.stderr))
