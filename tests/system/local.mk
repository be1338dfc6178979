# tests/system: the whole server with real PostgreSQL, software TPM, TLS and kill -9. Python 3, standard library.
EXTRA_DIST += \
	tests/support/audit_load.sql \
	tests/system/actions.py \
	tests/system/auditor.expected \
	tests/system/auditor.sql \
	tests/system/bounded.py \
	tests/system/client.py \
	tests/system/crowd.py \
	tests/system/forwarders.py \
	tests/system/hostile.py \
	tests/system/hostile_message.py \
	tests/system/hostile_operations.py \
	tests/system/hostile_tls.py \
	tests/system/hostile_wire.py \
	tests/system/policy_domain.py \
	tests/system/receiver.py \
	tests/system/retention.py \
	tests/system/support.py \
	tests/system/tpm.py \
	tests/system/workload.py \
	tests/system/test_approvals.py \
	tests/system/test_audit.py \
	tests/system/test_auditor.py \
	tests/system/test_clock.py \
	tests/system/test_commands.py \
	tests/system/test_constraints.py \
	tests/system/test_crowd.py \
	tests/system/test_crypt.py \
	tests/system/test_doctor.py \
	tests/system/test_forward.py \
	tests/system/test_factors.py \
	tests/system/test_hostile.py \
	tests/system/test_final.py \
	tests/system/test_kill.py \
	tests/system/test_limits.py \
	tests/system/test_offline.py \
	tests/system/test_outage.py \
	tests/system/test_pairs.py \
	tests/system/test_permissions.py \
	tests/system/test_policy_api.py \
	tests/system/test_policy_explain.py \
	tests/system/test_policy_decide.py \
	tests/system/test_policy_file.py \
	tests/system/test_policy_move.py \
	tests/system/test_processes.py \
	tests/system/test_operations.py \
	tests/system/test_quickstart.py \
	tests/system/test_quotas.py \
	tests/system/test_recovery.py \
	tests/system/test_reload.py \
	tests/system/test_restart.py \
	tests/system/test_revocation.py \
	tests/system/test_tenants.py \
	tests/system/test_trace.py \
	tests/system/test_unit.py \
	tests/system/test_vault_states.py \
	tests/system/test_versions.py \
	tests/system/under_unit.py
dist_check_SCRIPTS += tests/system/run.py
TESTS += tests/system/run.py

# Preloaded to move a process's clock; without the house's flags, as a sanitizer cannot be preloaded into others.
check_PROGRAMS += tests/support/clock_shift.so
tests_support_clock_shift_so_SOURCES = tests/support/clock_shift.c
tests_support_clock_shift_so_CFLAGS = -std=gnu17 -Wall -Wextra -fPIC
tests_support_clock_shift_so_LDFLAGS = -shared
tests_support_clock_shift_so_LDADD =
