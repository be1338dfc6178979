/*
 * Runs all targets over the seed corpus (TAP), or writes it for libFuzzer: seeds -w DIRECTORY makes
 * DIRECTORY/ttlv, request, response, attr_json, build.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    int (*run)(const uint8_t *data, size_t len);
} targets[] = {{"ttlv", fuzz_ttlv},
               {"request", fuzz_request},
               {"response", fuzz_response},
               {"attr_json", fuzz_attr_json},
               {"build", fuzz_build}};

enum { TARGETS = sizeof targets / sizeof targets[0] };

struct state {
    int target;
    size_t count;
    const char *directory;
};

/* A copy of the exact size, so that a sanitizer sees one byte too far. */
static void run(void *arg, struct bytes seed)
{
    struct state *s = arg;
    uint8_t *copy = malloc(seed.len ? seed.len : 1);
    if (!copy)
        abort();
    memcpy(copy, seed.data, seed.len);
    targets[s->target].run(copy, seed.len);
    free(copy);
    s->count++;
}

static void save(void *arg, struct bytes seed)
{
    struct state *s = arg;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%05zu", s->directory, targets[s->target].name, s->count++);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(seed.data, 1, seed.len, f) != seed.len || fclose(f) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    bool writing = argc == 3 && strcmp(argv[1], "-w") == 0;
    if (argc > 1 && !writing) {
        fprintf(stderr, "usage: seeds [-w DIRECTORY]\n");
        return EXIT_FAILURE;
    }
    if (writing)
        (void)mkdir(argv[2], 0777);
    else
        printf("1..%d\n", TARGETS);
    for (int t = 0; t < TARGETS; t++) {
        struct state s = {t, 0, writing ? argv[2] : NULL};
        char path[4096];
        if (writing) {
            snprintf(path, sizeof path, "%s/%s", argv[2], targets[t].name);
            (void)mkdir(path, 0777);
        }
        corpus_make(t, writing ? save : run, &s);
        printf("%s%d - fuzz target %s over %zu seeds\n", writing ? "# " : "ok ", t + 1,
               targets[t].name, s.count);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
