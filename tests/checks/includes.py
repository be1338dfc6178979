#!/usr/bin/env python3
"""No file includes a header of a layer above its own, and proto and the operations stay free of what they must not
know: sockets, SQL, files, clocks, TLS, the TPM."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap

SRC = os.environ.get("HOLDFAST_SRC", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))

# Each folder, and the folders whose headers it may read besides its own.
PLAIN = {"server/vault/record.h", "server/vault/hierarchy.h", "server/vault/node_state.h"}
BELOW = {
    "proto": [],
    "server/base": ["proto"],
    "server/ipc": ["proto", "server/base"],
    "certs": ["proto", "server/base"],
    "server/vault": ["proto", "server/base", "server/ipc"],
    "db": ["proto", "server/base", "server/ipc"],
    "server/policy": ["proto", "server/base"],
    "server/audit": ["proto", "server/base", "db"],
    "server/ops": ["proto", "server/base", "server/policy", "db", "certs"],
    "server/engine": ["proto", "server/base", "server/ipc", "server/policy", "server/audit", "server/ops",
                      "server/vault",
                      "db"],
    "server/net": ["proto", "server/base", "server/ipc", "server/engine", "certs"],
    "server/process": ["proto", "server/base", "server/ipc", "server/net", "server/engine", "server/vault", "db",
                       "certs"],
    "server/forward": ["proto", "server/base", "db"],
    "server/admin": ["proto", "server/base", "server/forward", "server/ipc", "server/policy", "server/process",
                     "server/vault", "db",
                     "certs"],
    "server/main": None,
}
# Foreign headers that a folder must not read.
FORBIDDEN = {
    "proto": r"sys/socket|libpq|event2|openssl|tss2|fcntl|unistd|sys/stat",
    "db": r"openssl/(ssl|aes)|tss2",
    "server/vault": r"libpq|netinet|openssl/ssl",
    "server/ops": r"sys/socket|libpq|event2|openssl/(ssl|evp|aes)|tss2|fcntl|unistd",
    "server/policy": r"sys/socket|libpq|event2|openssl|tss2|fcntl|unistd",
    "server/net": r"libpq|tss2",
    "server/process": r"libpq|tss2",
}


def folder_of(path):
    return next((f for f in sorted(BELOW, key=len, reverse=True) if path.startswith(f + "/")), None)


seen = 0
wrong = {f: [] for f in BELOW}
for top in ("proto", "db", "certs", "server"):
    for base, _, files in os.walk(os.path.join(SRC, top)):
        for name in files:
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.relpath(os.path.join(base, name), SRC)
            folder = folder_of(path)
            with open(os.path.join(base, name), encoding="utf-8") as f:
                text = f.read()
            seen += 1
            for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
                other = folder_of(target)
                if BELOW.get(folder) is None or other in (None, folder) or other in BELOW[folder] or target in PLAIN:
                    continue
                wrong[folder].append("%s includes %s" % (path, target))
            for target in re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.M):
                if folder in FORBIDDEN and re.search(FORBIDDEN[folder], target):
                    wrong[folder].append("%s includes <%s>" % (path, target))
tap.ok(seen > 100, "the sources were read (%d files)" % seen)
for folder in BELOW:
    tap.ok(not wrong[folder], "%s knows only what lies below it" % folder, "\n".join(wrong[folder]))
tap.end()
