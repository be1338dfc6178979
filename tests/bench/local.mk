# Programs for benchmarks and the kill test; built with the tests, run by hand and by the harness.
check_PROGRAMS += tests/bench/tls_floor tests/bench/load
tests_bench_tls_floor_SOURCES = tests/bench/tls_floor.c
tests_bench_tls_floor_LDADD = proto/libproto.a $(EVENT_TLS_LIBS) $(EVENT_LIBS) $(OPENSSL_LIBS)
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/load.h tests/bench/load_facts.c tests/bench/load_slot.c \
	tests/bench/load_kmip.c tests/bench/load_run.c tests/bench/hist.c
tests_bench_load_LDADD = proto/libproto.a $(OPENSSL_LIBS)
dist_check_SCRIPTS += tests/bench/check_bench.sh
TESTS += tests/bench/check_bench.sh

# `make bench`: all workloads against the floor, in one run. `make bench-scale`: a million objects against a thousand.
# Both need root. BENCH_FLAGS: see the head of bench.py and scale.py.
EXTRA_DIST += tests/bench/bench.py tests/bench/scale.py tests/bench/measure.py tests/bench/bare.py
bench_programs = $(bin_PROGRAMS) $(sbin_PROGRAMS) $(pkglibexec_PROGRAMS) tests/bench/tls_floor tests/bench/load
bench_run = HOLDFAST_SRC='$(abs_top_srcdir)' HOLDFAST_BUILD='$(abs_top_builddir)' /usr/bin/python3 $(srcdir)/tests/bench
.PHONY: bench bench-scale
bench: $(bench_programs)
	$(bench_run)/bench.py $(BENCH_FLAGS)
bench-scale: $(bench_programs)
	$(bench_run)/scale.py $(BENCH_FLAGS)
