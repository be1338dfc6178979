/*
 * What a slot asks and what its answer must be: one request under way at a time, and when its answer
 * is in, the next one. Knows no connection; load_run.c sends and receives.
 */
#include <string.h>

#include "tests/bench/load.h"

enum {
    REASON_GENERAL = 0x100, /* the constant error: nothing is known of the object; try again */
    REASON_BUSY = 0x3A,     /* Server Limit Exceeded */
    RETRY_NS = 20000000,
};

struct load_result load_result;
struct known *load_keys;
size_t load_key_count;
uint64_t load_measured_from, load_issued;
bool load_stopping, load_delayed;

static uint64_t serial;
static struct arena arena = {.cap = 64u << 20}; /* one answer's */

static enum step first_step(void)
{
    switch (load_options.mode) {
    case LOAD_GET:
    case LOAD_CHECK:
        return STEP_GET;
    case LOAD_LOCATE:
        return STEP_LOCATE;
    case LOAD_QUERY:
        return STEP_QUERY;
    case LOAD_DISCOVER:
        return STEP_DISCOVER;
    case LOAD_CANNED:
        return STEP_CANNED;
    default:
        return STEP_CREATE;
    }
}

void slot_begin(struct slot *s)
{
    s->step = first_step();
    s->digest[0] = s->uid[0] = s->name[0] = 0;
}

bool slot_prepare(struct slot *s)
{
    bool new_key = s->step == first_step();
    if (load_options.count && new_key && load_issued >= load_options.count)
        return false;
    if (load_options.mode == LOAD_CHECK && load_issued >= load_key_count)
        return false;
    serial++;
    snprintf(s->correlation, sizeof s->correlation, "%s-%llu", load_options.name,
             (unsigned long long)serial);
    if (!new_key)
        return true;
    if (s->step == STEP_GET || s->step == STEP_LOCATE) {
        s->key = load_issued % load_key_count;
        memcpy(s->uid, load_keys[s->key].uid, UID_BYTES);
        memcpy(s->name, load_keys[s->key].name, NAME_BYTES);
    } else if (load_options.mode == LOAD_LIFE || load_options.named) {
        snprintf(s->name, sizeof s->name, "%s-%s-%llu", load_options.name,
                 load_options.named ? "key" : "life", (unsigned long long)serial);
    }
    load_issued++;
    return true;
}

/* The key as it was when first seen; a key that changes is the worst of errors. */
static void check_material(const struct load_answer *a, const char *uid, char known[DIGEST_HEX])
{
    char digest[DIGEST_HEX];
    if (a->material_len != KEY_BITS / 8) {
        load_wrong("%s: a key of %zu bytes instead of %d", uid, a->material_len, KEY_BITS / 8);
        return;
    }
    load_digest(a, digest);
    if (!known[0])
        memcpy(known, digest, DIGEST_HEX);
    else if (memcmp(known, digest, DIGEST_HEX) != 0)
        load_wrong("%s: another key than before", uid);
}

static bool must_fail(const struct slot *s)
{
    return s->step == STEP_GET_DESTROYED ||
           (load_options.mode == LOAD_CHECK && load_keys[s->key].destroyed);
}

static bool may_fail(const struct slot *s)
{
    return load_options.mode == LOAD_CHECK && load_keys[s->key].maybe_destroyed;
}

static void slot_success(struct slot *s, const struct load_answer *a)
{
    char none[DIGEST_HEX] = "";
    if (s->step == STEP_CREATE) {
        snprintf(s->uid, sizeof s->uid, "%s", a->uid);
        if (!a->uid[0] || !seen_add(a->uid))
            load_wrong("Create answered with identifier '%s', which is empty or not new", a->uid);
    } else if (s->step == STEP_LOCATE) {
        if (a->uid_count != 1 || strcmp(a->uid, s->uid) != 0)
            load_wrong("Locate of %s found %u, the first is '%s'", s->name, a->uid_count, a->uid);
    } else if (s->step == STEP_QUERY || s->step == STEP_DISCOVER) {
        if (!a->listed)
            load_wrong("%s told nothing", step_operation(s->step));
    } else if (strcmp(a->uid, s->uid) != 0) {
        load_wrong("%s of %s answered for '%s'", step_operation(s->step), s->uid, a->uid);
    }
    if (s->step == STEP_GET || s->step == STEP_GET_ACTIVE) {
        bool shared = load_options.mode == LOAD_GET || load_options.mode == LOAD_CHECK;
        check_material(a, s->uid, shared ? load_keys[s->key].digest : s->digest);
    }
    bool fact = s->step == STEP_GET || s->step == STEP_GET_ACTIVE;
    facts_line('A', s->step, s->uid, fact ? s->digest : none, s->name, s->correlation);
    if (load_options.mode == LOAD_LIFE)
        s->step++;
    else
        slot_begin(s);
}

void slot_answer(struct slot *s, struct bytes message)
{
    struct load_answer a;
    uint64_t now = now_ns();
    s->under_way = false;
    s->not_before = 0;
    if (s->sent_at >= load_measured_from && !load_stopping) {
        hist_add(&load_result.hist, now - s->sent_at);
        load_result.answer_bytes += message.len;
    }
    load_result.answers++;
    if (load_options.mode == LOAD_CANNED) {
        if (message.len != load_options.answer_bytes)
            load_wrong("an answer of %zu bytes", message.len);
        return;
    }
    rc_t rc = load_answer_read(&arena, message, &a);
    arena_reset(&arena);
    if (rc != RC_OK) {
        load_wrong("an answer that cannot be read: %s", rc_name(rc));
        slot_begin(s);
        return;
    }
    bool failed = a.status != 0;
    if (failed && (a.reason == REASON_GENERAL || a.reason == REASON_BUSY)) {
        load_result.refused++; /* the server says: not now. The same again, a little later */
        if (!load_result.first_problem[0])
            snprintf(load_result.first_problem, sizeof load_result.first_problem, "refused: %s",
                     a.message);
        s->not_before = now + RETRY_NS;
        load_delayed = true;
    } else if (failed && (must_fail(s) || may_fail(s))) {
        slot_begin(s);
    } else if (failed) {
        load_wrong("%s of '%s' failed: reason 0x%x, %s", step_operation(s->step), s->uid, a.reason,
                   a.message);
        slot_begin(s);
    } else if (must_fail(s)) {
        load_wrong("Get of %s succeeded after Destroy had been answered", s->uid);
        slot_begin(s);
    } else {
        slot_success(s, &a);
    }
}

void slot_unknown(struct slot *s)
{
    s->under_way = false;
    load_result.unknown++;
    facts_line('U', s->step, s->uid, s->digest, s->name, s->correlation);
    if (load_options.mode == LOAD_CHECK)
        return; /* asks the same again */
    if (load_options.mode == LOAD_GET || load_options.mode == LOAD_LOCATE)
        load_issued -= load_issued > 0;
    slot_begin(s);
}

void slots_free(void)
{
    arena_free(&arena);
}
