# `make coverage`: which lines the unit tests reach, by folder, in a build of its own.
# COVERAGE_FLAGS: see tests/coverage/measure --help, for instance --system.
EXTRA_DIST += tests/coverage/measure tests/coverage/report.py
.PHONY: coverage
coverage:
	$(srcdir)/tests/coverage/measure $(COVERAGE_FLAGS)
