# tests: unit tests mirror the tree; checks are of the house itself; system runs the whole server.
include tests/system/local.mk
include tests/checks/local.mk
# tests: sources and what may live here
include tests/unit/proto.mk
include tests/fuzz/local.mk
include tests/unit/base.mk
include tests/unit/certs.mk
include tests/unit/vault.mk
include tests/fuzz/vault.mk
include tests/unit/tpm.mk
include tests/unit/config.mk
include tests/unit/process.mk
include tests/unit/net.mk
include tests/unit/ops.mk

# For deploy/test: which tests there are.
.PHONY: print-tests
print-tests:
	@echo $(TESTS)
include tests/unit/db.mk
include tests/bench/bench.mk
include tests/fuzz/vault_tpm.mk
include tests/unit/engine.mk
