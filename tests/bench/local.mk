# Programs for benchmarks and the kill test; built with the tests, run by hand and by the harness.
check_PROGRAMS += tests/bench/tls_floor tests/bench/load
tests_bench_tls_floor_SOURCES = tests/bench/tls_floor.c
tests_bench_tls_floor_LDADD = proto/libproto.a $(OPENSSL_LIBS)
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/load.h tests/bench/load_facts.c \
	tests/bench/load_kmip.c tests/bench/load_run.c tests/bench/hist.c
tests_bench_load_LDADD = proto/libproto.a $(OPENSSL_LIBS)
dist_check_SCRIPTS += tests/bench/check_bench.sh
TESTS += tests/bench/check_bench.sh

# One run, interleaved: TLS floor, Get, Create, Locate. Needs root. BENCH_FLAGS: --seconds, --rounds, --json.
EXTRA_DIST += tests/bench/bench.py
.PHONY: bench
bench: $(bin_PROGRAMS) $(sbin_PROGRAMS) $(pkglibexec_PROGRAMS) tests/bench/tls_floor tests/bench/load
	HOLDFAST_SRC='$(abs_top_srcdir)' HOLDFAST_BUILD='$(abs_top_builddir)' \
	    /usr/bin/python3 $(srcdir)/tests/bench/bench.py $(BENCH_FLAGS)
