# Fuzz targets. With --enable-fuzzing (CC=clang) each is a libFuzzer program; always, the same targets run
# over the seed corpus that tests/fuzz/corpus makes, so that `make check` needs no clang. tests/fuzz/campaign
# builds and runs them all, a million times each unless told otherwise.
EXTRA_DIST += tests/fuzz/campaign
check_PROGRAMS += tests/fuzz/seeds
TESTS += tests/fuzz/seeds
tests_fuzz_seeds_SOURCES = \
	tests/fuzz/seeds.c tests/fuzz/corpus.c tests/fuzz/fuzz.h \
	tests/fuzz/ttlv.c tests/fuzz/request.c tests/fuzz/response.c tests/fuzz/attr_json.c tests/fuzz/build.c \
	tests/support/kmip_fill.c tests/support/kmip_fill.h
tests_fuzz_seeds_LDADD = proto/libproto.a $(JANSSON_LIBS)

if FUZZING
FUZZ_FLAGS = -fsanitize=fuzzer
noinst_PROGRAMS += tests/fuzz/fuzz_ttlv tests/fuzz/fuzz_request tests/fuzz/fuzz_response tests/fuzz/fuzz_attr_json \
	tests/fuzz/fuzz_build
tests_fuzz_fuzz_ttlv_SOURCES = tests/fuzz/ttlv.c tests/fuzz/mutate.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_ttlv_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_ENTRY=fuzz_ttlv
tests_fuzz_fuzz_ttlv_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_ttlv_LDADD = proto/libproto.a $(JANSSON_LIBS)
tests_fuzz_fuzz_request_SOURCES = tests/fuzz/request.c tests/fuzz/mutate.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_request_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_ENTRY=fuzz_request
tests_fuzz_fuzz_request_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_request_LDADD = proto/libproto.a $(JANSSON_LIBS)
tests_fuzz_fuzz_response_SOURCES = tests/fuzz/response.c tests/fuzz/mutate.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_response_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_ENTRY=fuzz_response
tests_fuzz_fuzz_response_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_response_LDADD = proto/libproto.a $(JANSSON_LIBS)
tests_fuzz_fuzz_attr_json_SOURCES = tests/fuzz/attr_json.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_attr_json_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_ENTRY=fuzz_attr_json
tests_fuzz_fuzz_attr_json_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_attr_json_LDADD = proto/libproto.a $(JANSSON_LIBS)
tests_fuzz_fuzz_build_SOURCES = tests/fuzz/build.c tests/fuzz/fuzz.h \
	tests/support/kmip_fill.c tests/support/kmip_fill.h
tests_fuzz_fuzz_build_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_ENTRY=fuzz_build
tests_fuzz_fuzz_build_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_build_LDADD = proto/libproto.a $(JANSSON_LIBS)
endif
