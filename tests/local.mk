# tests: unit tests mirror the tree; checks are of the house itself; system runs the whole server;
# interop has the clients that meet it there.
include tests/system/local.mk
include tests/interop/local.mk
include tests/checks/local.mk
# tests: sources and what may live here
include tests/unit/proto/local.mk
include tests/fuzz/local.mk
include tests/unit/base/local.mk
include tests/unit/certs/local.mk
include tests/unit/vault/local.mk
include tests/fuzz/vault.mk
include tests/unit/tpm/local.mk
include tests/unit/config/local.mk
include tests/unit/process/local.mk
include tests/unit/net/local.mk
include tests/unit/ops/local.mk

# For deploy/test: which tests there are.
.PHONY: print-tests
print-tests:
	@echo $(TESTS)
include tests/unit/forward/local.mk
include tests/unit/db/local.mk
include tests/bench/local.mk
include tests/coverage/local.mk
include tests/fuzz/vault_tpm.mk
include tests/unit/engine/local.mk
