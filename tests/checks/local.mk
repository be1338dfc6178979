# tests/checks: tests of the house itself: manual pages and help against the tables, direction of dependencies.
EXTRA_DIST += tests/checks/tap.py
dist_check_SCRIPTS += tests/checks/pages.py
TESTS += tests/checks/pages.py
include tests/checks/layers.mk
