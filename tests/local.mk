# tests: sources and what may live here
include tests/unit/base.mk
include tests/unit/certs.mk
include tests/unit/vault.mk
include tests/fuzz/vault.mk
include tests/unit/tpm.mk
include tests/unit/config.mk
include tests/unit/process.mk
include tests/unit/net.mk
include tests/unit/ops.mk
