# tests: sources and what may live here
include tests/unit/base.mk
