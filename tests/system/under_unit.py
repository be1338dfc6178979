#!/usr/bin/env python3
"""under_unit.py UNIT COMMAND...: runs the command with the rights that a systemd unit gives: capabilities, limits,
umask and system call filter. Stands in for systemd where it does not run; the sets of calls come from
systemd-analyze."""
import ctypes
import os
import re
import resource
import subprocess
import sys

CAPS = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
ACT_ALLOW, ACT_ERRNO, NR_UNKNOWN = 0x7FFF0000, 0x00050000, -1
EPERM = 1
# What systemd always allows, so that a service can start at all (systemd.exec(5), SystemCallFilter=).
IMPLIED = {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn"}


def settings(unit):
    found = {}
    with open(unit, encoding="utf-8") as f:
        for line in f:
            if "=" in line and not line.startswith(("#", ";", "[")):
                key, value = line.rstrip("\n").split("=", 1)
                found.setdefault(key, []).append(value)
    return found


def members(name):
    """The calls of a set such as @system-service, with those of the sets in it."""
    answer = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    calls = set()
    for word in (x.strip() for x in answer.stdout.splitlines()[1:]):
        if word and not word.startswith("#"):
            calls |= members(word) if word.startswith("@") else {word}
    return calls


def allowed(lines):
    calls = members("@default") | IMPLIED
    for line in lines:
        for word in line.lstrip("~").split():
            some = members(word) if word.startswith("@") else {word}
            calls = calls - some if line.startswith("~") else calls | some
    return calls


def size(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def set_limits(found):
    for key, what in (("LimitCORE", resource.RLIMIT_CORE), ("LimitNOFILE", resource.RLIMIT_NOFILE),
                      ("LimitMEMLOCK", resource.RLIMIT_MEMLOCK)):
        wanted = size(found[key][-1])
        try:
            resource.setrlimit(what, (wanted, wanted))
        except (ValueError, OSError):
            pass  # a container may not raise it


def enter_filter(calls):
    lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(ACT_ERRNO | EPERM)))
    for call in sorted(calls):
        number = lib.seccomp_syscall_resolve_name(call.encode())
        if number != NR_UNKNOWN:
            lib.seccomp_rule_add(context, ctypes.c_uint32(ACT_ALLOW), ctypes.c_int(number), ctypes.c_uint(0))
    if lib.seccomp_load(context):
        sys.exit("under_unit: the filter is not taken")


def main():
    found = settings(sys.argv[1])
    calls = allowed(found["SystemCallFilter"])
    kept = {CAPS[c] for c in found["CapabilityBoundingSet"][-1].split()}
    libc = ctypes.CDLL(None)
    set_limits(found)
    os.umask(int(found["UMask"][-1], 8))
    for cap in set(range(64)) - kept:
        libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    enter_filter(calls)
    os.execv(sys.argv[2], sys.argv[2:])


main()
