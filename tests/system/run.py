#!/usr/bin/env python3
"""All tests of the whole system, in one program, so that they share one started server. Each module test_*.py, here or
in tests/interop, has run(state); those that harm the state come last. HOLDFAST_ONLY names modules, HOLDFAST_ROUNDS the
kill rounds."""
import importlib
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]
import support
import tap

MODULES = [
    "test_commands",
    "test_pairs",
    "test_versions",
    "test_operations",
    "test_crypt",
    "test_pykmip",
    "test_replays",
    "test_rules",
    "test_policy_file",
    "test_policy_move",
    "test_approvals",
    "test_factors",
    "test_audit",
    "test_policy_api",
    "test_policy_explain",
    "test_forward",
    "test_final",
    "test_reload",
    "test_revocation",
    "test_policy_decide",
    "test_permissions",
    "test_constraints",
    "test_quotas",
    "test_trace",
    "test_doctor",
    "test_hostile",
    "test_limits",
    "test_crowd",
    "test_processes",
    "test_unit",
    "test_auditor",
    "test_restart",
    "test_kill",
    "test_outage",
    "test_clock",
    "test_tenants",
    "test_offline",
    "test_vault_states",
    "test_recovery",
    "test_quickstart",
]


def main():
    if os.geteuid() != 0:
        tap.skip_all("the whole server needs root: users, PostgreSQL, descriptors")
    only = os.environ.get("HOLDFAST_ONLY", "").split()
    state = support.State()
    began = time.monotonic()
    try:
        answer = state.start()
        if not tap.ok(answer.returncode == 0, "the quick start starts a private server", answer.stdout + answer.stderr):
            return
        tap.note("report started in %.1f s" % (time.monotonic() - began))
        for name in MODULES:
            if only and name not in only:
                continue
            began = time.monotonic()
            try:
                importlib.import_module(name).run(state)
            except Exception:
                tap.ok(False, "%s runs to its end" % name, traceback.format_exc() + state.log()[-3000:])
            tap.note("report %s took %.1f s" % (name, time.monotonic() - began))
    finally:
        reports = state.stop_and_look()
        tap.ok(not reports, "no sanitizer had anything to report of daemons and commands", "\n".join(reports))
        if os.environ.get("HOLDFAST_KEEP"):
            tap.note("kept %s" % state.dir)
        else:
            answer = state.remove()
            tap.ok(answer.returncode == 0 and not os.path.exists(state.dir), "the quick start removes what it made",
                   answer.stdout + answer.stderr)
        tap.end()


main()
