"""The holdfast command against a running server: files and their modes, exit codes, JSON, administration."""
import os
import stat
import tempfile

import tap


def attributes(state, key):
    """Each attribute command on one key, and what is shown afterwards."""
    steps = (
        (0, "set-attribute", key, "Description", "the key of volume 1"),
        (0, "add-attribute", key, "ObjectGroup", "a"),
        (0, "add-attribute", key, "Object Group", "b"),
        (0, "add-attribute", key, "x-Rack", "7"),
        (0, "set-attribute", key, "DeactivationDate", "2130-01-01T00:00:00Z"),
        (0, "modify-attribute", key, "Name", "commands-renamed"),
        (0, "delete-attribute", key, "ObjectGroup", "--index", "0", "--protocol", "1.4"),
        (1, "set-attribute", key, "State", "Active"),
        (1, "delete-attribute", key, "Comment"),
        (2, "set-attribute", key, "NoSuchAttribute", "1"),
        (2, "set-attribute", key, "DeactivationDate", "tomorrow"),
        (2, "modify-attribute", key, "Name", "x", "--index", "0"),
    )
    for want, *words in steps:
        code, answer = state.json("key", *words)
        tap.ok(code == want, "key %s: exit %d" % (" ".join(words[:1] + words[2:]), want), answer)
    code, shown = state.json("key", "attributes", key)
    have = shown.get("attributes", {})
    tap.ok(have.get("Description") == "the key of volume 1" and have.get("ObjectGroup") == ["b"]
           and have.get("x-Rack") == [{"type": "TextString", "value": "7"}]
           and have.get("DeactivationDate") == "2130-01-01T00:00:00Z"
           and have.get("Name", [{}])[0].get("NameValue") == "commands-renamed",
           "key attributes shows what was set", have)


def run(state):
    code, made = state.json("key", "create", "--name", "commands-1", "--activate")
    if not tap.ok(code == 0 and "id" in made, "key create prints the identifier", made):
        return
    key = made["id"]
    folder = tempfile.mkdtemp(dir=state.top)
    out = os.path.join(folder, "key")
    answer = state.holdfast("key", "get", key, "--out", out)
    tap.ok(answer.returncode == 0 and os.path.getsize(out) == 32, "key get writes 32 bytes to --out", answer.stderr)
    tap.ok(stat.S_IMODE(os.stat(out).st_mode) == 0o600, "the file is for its owner alone")
    with open(out, "rb") as f:
        material = f.read()
    tap.ok(material.hex().encode() not in answer.stdout + answer.stderr, "key bytes are not printed unasked")
    answer = state.holdfast("key", "get", key, "--stdout")
    tap.ok(answer.stdout.strip() == material.hex().encode(), "--stdout prints the same bytes, alone", answer.stderr)
    code, found = state.json("key", "locate", "--name", "commands-1", "--state", "Active")
    tap.ok(code == 0 and found["ids"] == [key], "key locate finds it by name and state", found)
    code, found = state.json("key", "locate", "--name", "no-such-name")
    tap.ok(code == 0 and found["ids"] == [], "none found is no error", found)
    code, shown = state.json("key", "attributes", key)
    tap.ok(code == 0 and shown["attributes"].get("State") == "Active"
           and shown["attributes"].get("CryptographicLength") == 256, "key attributes shows them", shown)
    attributes(state, key)
    code, error = state.json("key", "destroy", key)
    tap.ok(code == 1 and "refused" in error.get("error", ""), "an Active key is not destroyed: exit 1", error)
    code, error = state.json("key", "get", "00000000-0000-7000-8000-000000000000")
    tap.ok(code == 1, "a key that is not there: exit 1", error)
    code, _ = state.json("key", "revoke", key, "--reason", "KeyCompromise")
    tap.ok(code == 0, "key revoke")
    code, shown = state.json("key", "attributes", key)
    tap.ok(shown["attributes"].get("State") == "Compromised", "revoked as compromised, it is Compromised", shown)
    code, _ = state.json("key", "destroy", key)
    tap.ok(code == 0, "then it is destroyed")
    code, error = state.json("key", "get", key)
    tap.ok(code == 1, "and nobody gets it again: exit 1", error)
    for kind, size in (("SymmetricKey", 16), ("SecretData", 21), ("OpaqueObject", 300)):
        path = os.path.join(folder, kind)
        with open(path, "wb") as f:
            f.write(os.urandom(size))
        code, made = state.json("key", "register", "--type", kind, "--in", path, "--name", "commands-" + kind)
        back = path + ".back"
        answer = state.holdfast("key", "get", made.get("id", "?"), "--out", back)
        same = answer.returncode == 0 and open(back, "rb").read() == open(path, "rb").read()
        tap.ok(code == 0 and same, "key register and get of %s give the same bytes" % kind, str(made) + str(answer))

    code, error = state.json("key", "locate", env={"HOLDFAST_PORT": "1"})
    tap.ok(code == 3, "no server there: exit 3", error)
    code, error = state.json("key", "locate", env={"HOLDFAST_CERT": "/nonexistent"})
    tap.ok(code == 5 and "No such file" in error.get("error", ""), "no certificate file: exit 5, and it says why",
           error)
    code, status = state.json("status")
    tap.ok(code == 0 and status["healthy"] and status["vault"]["report"]["self_approved"],
           "status says that all is well, and self-approved", status)
    tap.ok(status["certificate"]["state"] == "good" and status["certificate"]["not_after"] > "2000",
           "status tells the end of the server's certificate", status.get("certificate"))
    text = state.holdfast("status").stdout.decode()
    tap.ok("not measured" in text.lower() and "software" in text.lower(),
           "status says that the software TPM measured nothing", text)
    code, shown = state.json("config", "show")
    tap.ok(code == 0 and str(shown["server"]["port"]) == str(state.port), "config show tells the port", shown)
    answer = state.holdfast("config", "check")
    tap.ok(answer.returncode == 0, "config check finds the file good", answer.stderr)
    bad = os.path.join(folder, "bad.conf")
    with open(bad, "w", encoding="ascii") as f:
        f.write("[server]\nport = 70000\n")
    answer = state.holdfast("config", "check", "--config", bad)
    tap.ok(answer.returncode == 1 and b":2:" in answer.stderr, "config check names the line of a mistake",
           answer.stderr)
    answer = state.holdfast("init", "--self-approve")
    tap.ok(answer.returncode == 1, "a second init is refused", answer.stderr)
    answer = state.holdfast("ca", "init")
    tap.ok(answer.returncode == 1, "a second CA is refused", answer.stderr)
    answer = state.holdfast("client", "add", "../x", "--out", folder)
    tap.ok(answer.returncode == 2, "a client's name cannot be a path", answer.stderr)
    answer = state.holdfast("client", "add", "first", "--out", os.path.join(folder, "again"))
    tap.ok(answer.returncode == 1 and not os.path.exists(os.path.join(folder, "again", "key.pem")),
           "a client is not enrolled twice, and no key is left behind", answer.stderr)
    empty = os.path.join(folder, "empty.pem")
    open(empty, "wb").close()
    answer = state.holdfast("client", "add", "commands-empty", "--csr", empty)
    tap.ok(answer.returncode == 1 and not answer.stdout and b"empty" in answer.stderr,
           "an empty certificate request gets no certificate", answer)
    many = ",".join("host-%d.example" % i for i in range(40))
    answer = state.holdfast("server-cert", "renew", "--dns", many)
    tap.ok(answer.returncode == 1 and b"32 hosts" in answer.stderr, "no host of too many is left out unsaid",
           answer.stderr)
    code, clients = state.json("client", "list")
    tap.ok(code == 0 and any(c["client"] == "first" and c["enabled"] for c in clients), "client list shows it", clients)
    for name in ("secret/auth.key", "secret/recovery.key", "secret/escrow", "ca/ca.key", "etc/server.key"):
        mode = stat.S_IMODE(os.stat(os.path.join(state.dir, name)).st_mode)
        tap.ok(mode == 0o600, "%s is root's alone" % name, oct(mode))
    secrets = [m for m in ("PRIVATE KEY", material.hex()) if m in state.log()]
    tap.ok(not secrets, "the log holds no key", secrets)
