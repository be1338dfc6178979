/* Tests of db: Locate with its filters, identities, the key hierarchy, many loads in one turn. */
#include <stdio.h>
#include <stdlib.h>

#include "db/hierarchy.h"
#include "tests/unit/db/fixture.h"

static void load_done(struct db_load *load, rc_t rc)
{
    *(rc_t *)load->arg = rc;
    load->arg = NULL; /* answered */
}

/* Runs one load to its end. */
static rc_t run_load(struct worker *w, struct db_load *load, struct arena *arena)
{
    rc_t rc = RC_OK;
    unsigned done = 0;
    load->arena = arena;
    load->done = load_done;
    load->arg = &rc;
    db_load_add(w->db, load);
    for (int i = 0; i < 500 && load->arg; i++) {
        struct probe p;
        probe_audit(&p, w, "Query", &done); /* turns the loop */
        probe_run(w, &p);
    }
    ck_assert_ptr_null(load->arg);
    return rc;
}

/* ---- Locate ---- */

/* Objects 0 to 5, oldest first. */
enum { OBJECTS = 6 };
static struct probe objects[OBJECTS];

static void make_objects(struct worker *w)
{
    static const char *const names[] = {"alpha", "beta", "gamma", "delta", NULL, "gone"};
    unsigned n = 0;
    for (int i = 0; i < OBJECTS; i++) {
        struct probe *p = &objects[i];
        probe_insert(p, w, names[i], &n);
        struct control *c = &p->object.control;
        c->initial_date = 1000 + i;
        if (i == 1)
            c->activation_date = 500; /* active by its date */
        if (i == 2)
            c->state = STATE_ACTIVE, c->activation_date = 500, c->deactivation_date = 600;
        if (i == 3)
            c->object_type = 7, c->algorithm = 0, c->length = 0;
        if (i == 4)
            c->length = 128, c->usage_mask = 4;
        p->object.attributes = i == 4 ? bytes_str("{\"Object Group\":[\"g2\",\"g3\"],\"Contact "
                                                  "Information\":\"me\",\"x-Dept\":[\"7\"]}")
                                      : bytes_str("{\"Object Group\":[\"g1\"]}");
        if (i == 2)
            p->object.attributes = bytes_str("{\"UsageLimits\":{\"UsageLimitsTotal\":50},"
                                             "\"OriginalCreationDate\":\"2001-09-09T01:46:40Z\"}");
        if (i == 3)
            p->object.attributes = bytes_str("{\"OriginalCreationDate\":300000000000}");
        ck_assert_int_eq(probe_run(w, p), DB_DONE);
    }
    struct probe d;
    probe_change(&d, w, DB_DESTROY, &objects[5].object, STATE_DESTROYED, &n);
    ck_assert_int_eq(probe_run(w, &d), DB_DONE);
}

#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}
#define L(...)                                                                                     \
    {                                                                                              \
        .now = 2000, __VA_ARGS__                                                                   \
    }
static const struct {
    const char *why;
    struct db_locate locate;
    const char *want; /* numbers of the objects, newest first */
} locates[] = {
    {"all that live, newest first", L(.filters = 0), "43210"},
    {"destroyed ones, too", L(.filters = DB_LOCATE_DESTROYED), "543210"},
    {"only destroyed", L(.filters = DB_LOCATE_STATE, .state = STATE_DESTROYED), "5"},
    {"a name", L(.name_count = 1, .names = {{{(const uint8_t *)"beta", 4}, 0}}), "1"},
    {"a name of that type", L(.name_count = 1, .names = {{{(const uint8_t *)"beta", 4}, 1}}), "1"},
    {"a name of another type", L(.name_count = 1, .names = {{{(const uint8_t *)"beta", 4}, 2}}),
     ""},
    {"no such name", L(.name_count = 1, .names = {{{(const uint8_t *)"bet", 3}, 0}}), ""},
    {"a destroyed one's name", L(.name_count = 1, .names = {{{(const uint8_t *)"gone", 4}, 0}}),
     ""},
    {"the same, destroyed wanted",
     L(.filters = DB_LOCATE_DESTROYED, .name_count = 1,
       .names = {{{(const uint8_t *)"gone", 4}, 0}}),
     "5"},
    {"two names",
     L(.name_count = 2,
       .names = {{{(const uint8_t *)"beta", 4}, 0}, {{(const uint8_t *)"alpha", 5}, 0}}),
     ""},
    {"type", L(.filters = DB_LOCATE_OBJECT_TYPE, .object_type = 7), "3"},
    {"all but a type", L(.without_type = 7), "4210"},
    {"pre-active now", L(.filters = DB_LOCATE_STATE, .state = STATE_PRE_ACTIVE), "430"},
    {"active by date", L(.filters = DB_LOCATE_STATE, .state = STATE_ACTIVE), "1"},
    {"deactivated by date", L(.filters = DB_LOCATE_STATE, .state = STATE_DEACTIVATED), "2"},
    {"algorithm and length",
     L(.filters = DB_LOCATE_ALGORITHM | DB_LOCATE_LENGTH, .algorithm = 3, .length = 256), "210"},
    {"all bits of a mask", L(.filters = DB_LOCATE_USAGE_MASK, .usage_mask = 8), "3210"},
    {"one date", L(.date_count = 1, .dates = {{DB_DATE_INITIAL, 1002, 1002}}), "2"},
    {"a range", L(.date_count = 1, .dates = {{DB_DATE_INITIAL, 1001, 1003}}), "321"},
    {"two dates",
     L(.date_count = 2, .dates = {{DB_DATE_INITIAL, 1001, 1003}, {DB_DATE_DEACTIVATION, 600, 600}}),
     "2"},
    {"a date that may be missing", L(.date_count = 1, .dates = {{DB_DATE_DEACTIVATION, 600, INT64_MAX}}), "43210"},
    {"the missing date", L(.date_count = 1, .dates = {{DB_DATE_DEACTIVATION, INT64_MAX, INT64_MAX}}), "4310"},
    {"a date that is text",
     L(.value_count = 1, .values = {{DB_VALUE_ORIGINAL_CREATION_DATE, 1, 2, TEXT("2001-09-09T01:46:40Z"), TEXT("~")}}),
     "2"},
    {"a date that is a number",
     L(.value_count = 1,
       .values = {{DB_VALUE_ORIGINAL_CREATION_DATE, 1, 300000000000, TEXT("2001-09-09T01:46:41Z"), TEXT("~")}}),
     "3"},
    {"or missing",
     L(.value_count = 1, .values = {{DB_VALUE_ORIGINAL_CREATION_DATE, INT64_MAX, INT64_MAX, TEXT("~"), TEXT("~")}}),
     "410"},
    {"at least so much",
     L(.value_count = 1, .values = {{DB_VALUE_USAGE_LIMITS_TOTAL, 50, 50, TEXT(""), TEXT("")}}),
     "2"},
    {"more than it has",
     L(.value_count = 1, .values = {{DB_VALUE_USAGE_LIMITS_TOTAL, 51, 99, TEXT(""), TEXT("")}}),
     ""},
    {"any name of a type", L(.name_count = 1, .names = {{{NULL, 0}, 1}}), "3210"},
    {"a group", L(.attributes = {(const uint8_t *)"{\"Object Group\":[\"g3\"]}", 23}), "4"},
    {"contact", L(.attributes = {(const uint8_t *)"{\"Contact Information\":\"me\"}", 28}), "4"},
    {"a vendor's attribute", L(.attributes = {(const uint8_t *)"{\"x-Dept\":[\"7\"]}", 16}), "4"},
    {"offset and maximum", L(.offset = 1, .maximum = 2), "32"},
};

START_TEST(locate_finds_what_the_filters_say)
{
    struct worker w;
    worker_open(&w, fresh_database(), NULL);
    make_objects(&w);
    for (size_t i = 0; i < sizeof locates / sizeof *locates; i++)
        for (int total = 0; total < 2; total++) {
            AUTO_ARENA arena = ARENA_OF(1 << 20);
            struct db_load load = {.kind = DB_LOAD_LOCATE, .locate = locates[i].locate};
            load.locate.owner = w.client;
            load.locate.domain = 1;
            if (!load.locate.maximum)
                load.locate.maximum = 100;
            load.locate.want_total = total;
            ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
            char got[16] = "";
            for (size_t k = 0; k < load.locate.count && k < sizeof got - 1; k++)
                for (int o = 0; o < OBJECTS; o++)
                    if (uid_equal(&load.locate.uids[k], &objects[o].object.control.uid))
                        got[strlen(got)] = (char)('0' + o);
            ck_assert_msg(strcmp(got, locates[i].want) == 0, "%s: %s, not %s", locates[i].why, got,
                          locates[i].want);
            if (total && locates[i].locate.offset)
                ck_assert_uint_eq(load.locate.total, 5);
            /* another owner finds nothing */
            load.locate.owner.raw[0] ^= 1;
            ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
            ck_assert_uint_eq(load.locate.count, 0);
        }
    /* what cannot be text finds an error and harms no one */
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    struct db_load bad = {.kind = DB_LOAD_LOCATE,
                          .locate = L(.owner = w.client, .maximum = 1, .name_count = 1)};
    bad.locate.names[0].value = bytes_of("a\0b", 3);
    ck_assert_int_eq(run_load(&w, &bad, &arena), RC_BAD_UTF8);
    bad.locate.name_count = 0;
    bad.locate.attributes = bytes_str("{\"x\":");
    ck_assert_int_eq(run_load(&w, &bad, &arena), RC_INVALID_FIELD);
    ck_assert_ptr_nonnull(load_one(&w, &arena, &objects[0].object.control.uid, 7));
    worker_close(&w);
}
END_TEST

/* ---- identities ---- */

START_TEST(an_identity_is_found_by_issuer_and_name)
{
    struct worker w;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    worker_open(&w, fresh_database(), NULL);
    struct db_load load = {.kind = DB_LOAD_IDENTITY,
                           .identity = {.issuer = bytes_str("CN=test"),
                                        .name_count = 2,
                                        .names = {{"dns", bytes_str("nobody")},
                                                  {"uri", bytes_str("urn:holdfast:client:first")}},
                                        .fingerprint = bytes_str("aa")}};
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    struct db_identity *id = &load.identity;
    ck_assert(id->found && id->enabled && !id->revoked);
    ck_assert(uid_equal(&id->client, &w.client));
    ck_assert(bytes_is(id->client_name, "first"));
    ck_assert_int_eq(id->standing, 1);
    ck_assert_uint_eq(id->domain, 1);
    id->issuer = bytes_str("CN=other");
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    ck_assert(!id->found);
    id->issuer = bytes_str("CN=test");
    id->names[1].kind = "subject"; /* the kind counts */
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    ck_assert(!id->found);
    id->names[1].kind = "uri";
    pg_value(&pg, w.database, DB_ROLE_POLICY, "SELECT policy.certificate_revoke('first', 'aa')");
    w.standing = worker_standing(&w);
    ck_assert_int_gt(w.standing, 1);
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    ck_assert(id->found && id->revoked);
    ck_assert_int_eq(id->standing, w.standing);
    pg_value(&pg, w.database, DB_ROLE_POLICY, "SELECT policy.domain_enable('default', false, 'x')");
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    ck_assert(id->found && !id->enabled); /* its domain is out, and so is the client */
    ck_assert_int_gt(id->standing, w.standing);
    worker_close(&w);
}
END_TEST

/* The policy of a client, with the standing that it goes with. */
START_TEST(a_policy_comes_with_its_standing)
{
    struct worker w;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    worker_open(&w, fresh_database(), NULL);
    struct db_load load = {.kind = DB_LOAD_POLICY, .policy = {.client = w.client}};
    for (int round = 1; round <= 2; round++) {
        ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
        ck_assert(load.policy.found);
        ck_assert_int_eq(load.policy.standing, worker_standing(&w));
        ck_assert_int_eq(load.policy.standing > 1, round > 1);
        AUTO_BUF text = BUF_EMPTY;
        ck_assert_int_eq(buf_add_bytes(&text, load.policy.text), RC_OK);
        ck_assert_int_eq(buf_add_u8(&text, 0), RC_OK);
        ck_assert_int_eq(strstr((char *)text.data, "no-other") != NULL, round == 2);
        pg_value(&pg, w.database, DB_ROLE_POLICY,
                 "SELECT policy.allow('client first', '{get}', 'a test', name_pattern => 'no-other')");
    }
    load.policy.client.raw[3] ^= 1;
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    ck_assert(!load.policy.found);
    w.standing = worker_standing(&w);
    worker_close(&w);
}
END_TEST

/* ---- the key hierarchy ---- */

static void stored(void *arg, rc_t rc)
{
    *(rc_t *)arg = rc;
}

START_TEST(the_hierarchy_comes_back_as_it_was)
{
    struct worker w;
    struct db_admin *a = NULL;
    AUTO_ARENA arena = ARENA_OF(1 << 20);
    worker_open(&w, fresh_database(), NULL);
    struct hierarchy_node node = {.id = {{9}},
                                  .ak_pub = bytes_of("\0\1", 2),
                                  .cr_id = 1,
                                  .cr_priv = bytes_str("p"),
                                  .pcr_mask = UINT32_MAX,
                                  .approval = 12};
    struct hierarchy_cr cr = {.id = 1, .state = 1, .pub = bytes_str("pub")};
    struct hierarchy_dk dks[] = {
        {.domain = 1, .epoch = 1, .ep_epoch = 1, .state = 1, .mac = bytes_str("m")},
        {.domain = 1, .epoch = 2, .ep_epoch = 1, .state = 1, .mac = bytes_str("n")}};
    struct hierarchy rows = {
        .node_count = 1, .nodes = &node, .cr_count = 1, .crs = &cr, .dk_count = 2, .dks = dks};
    bool empty = false;
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, w.database, DB_ROLE_SERVER), NULL, &a), RC_OK);
    ck_assert_int_eq(db_hierarchy_is_empty(a, &empty), RC_OK);
    ck_assert(empty);
    rc_t rc = db_hierarchy_store(a, &rows, NULL, "Admin Initialise", NULL);
    ck_assert_msg(rc == RC_OK, "%s", db_admin_error(a));
    /* The keys of new domains: the first one that is stored stays. */
    ck_assert_str_eq(
        pg_value(&pg, w.database, "postgres", "SELECT policy.domain_add('north', 'a test')"), "2");
    struct hierarchy_dk new_row = {
        .domain = 2, .epoch = 1, .ep_epoch = 1, .pub = bytes_str("p"), .mac = bytes_str("a")};
    rc_t stored_rc[3] = {RC_COUNT, RC_COUNT, RC_COUNT};
    struct hierarchy out;
    struct db_keyless keyless;
    struct db_load load = {.kind = DB_LOAD_HIERARCHY, .hierarchy = &out, .keyless = &keyless};
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    ck_assert_uint_eq(keyless.count, 2); /* nobody said yet that the key of the first one is open */
    ck_assert_uint_eq(keyless.domains[1], 2);
    db_domain_key_add(w.db, &new_row, stored, &stored_rc[0]);
    new_row.mac = bytes_str("another");
    db_domain_key_add(w.db, &new_row, stored, &stored_rc[1]);
    db_domain_keyed(w.db, 2, stored, &stored_rc[2]);
    ck_assert_int_eq(run_load(&w, &load, &arena), RC_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stored_rc[i], RC_OK);
    ck_assert_uint_eq(keyless.count, 1);
    ck_assert_uint_eq(out.node_count, 1);
    ck_assert_uint_eq(out.nodes[0].pcr_mask, UINT32_MAX);
    ck_assert(bytes_equal(out.nodes[0].ak_pub, node.ak_pub));
    ck_assert_uint_eq(out.nodes[0].ek_cert.len, 0);
    ck_assert_uint_eq(out.dk_count, 3);
    ck_assert(bytes_is(out.dks[2].mac, "a"));
    struct hierarchy again;
    ck_assert_int_eq(db_hierarchy_load(a, &arena, &again), RC_OK);
    ck_assert_uint_eq(again.cr_count, 1);
    ck_assert(bytes_is(again.crs[0].pub, "pub"));
    db_admin_close(&a);
    ck_assert_str_eq(pg_value(&pg, w.database, "postgres",
                              "SELECT count(*) FROM audit.event WHERE operation IN"
                              " ('Admin Make Domain Key', 'Admin Initialise')"),
                     "2");
    ck_assert_str_eq(verify_text(w.database), "verified");
    worker_close(&w);
}
END_TEST

/* ---- many at once ---- */

static void count_done(struct db_load *load, rc_t rc)
{
    ck_assert_int_eq(rc, RC_OK);
    ++*(unsigned *)load->arg;
}

START_TEST(loads_of_one_turn_share_a_select)
{
    enum { MANY = 200 };
    struct worker w;
    static struct db_load loads[MANY];
    static struct arena arenas[MANY];
    unsigned n = 0;
    worker_open(&w, fresh_database(), NULL);
    make_objects(&w);
    uint64_t before = db_stats_of(w.db)->load_batches;
    for (int i = 0; i < MANY; i++) {
        arenas[i] = ARENA_OF(1 << 16);
        loads[i] = (struct db_load){.kind = DB_LOAD_OBJECTS,
                                    .arena = &arenas[i],
                                    .done = count_done,
                                    .arg = &n,
                                    .objects = {.uids = &objects[i % OBJECTS].object.control.uid,
                                                .count = 1,
                                                .want = (unsigned)i % 8}};
        db_load_add(w.db, &loads[i]);
    }
    worker_until(&w, &n, MANY, 10);
    ck_assert_uint_le(db_stats_of(w.db)->load_batches - before, 2);
    for (int i = 0; i < MANY; i++) {
        struct object *o = loads[i].objects.found[0];
        ck_assert_ptr_nonnull(o);
        ck_assert(uid_equal(&o->control.uid, &objects[i % OBJECTS].object.control.uid));
        ck_assert_int_eq(o->material.len > 0, (i % 8 & DB_WANT_MATERIAL) && i % OBJECTS != 5);
        ck_assert_int_eq(o->name_count > 0, (i % 8 & DB_WANT_NAMES) && i % OBJECTS != 4);
        arena_free(&arenas[i]);
    }
    worker_close(&w);
}
END_TEST

START_TEST(a_small_arena_fails_alone)
{
    struct worker w;
    struct arena small = ARENA_OF(16), big = ARENA_OF(1 << 20);
    rc_t rc = RC_OK;
    worker_open(&w, fresh_database(), NULL);
    make_objects(&w);
    struct db_load a = {.kind = DB_LOAD_OBJECTS,
                        .arena = &small,
                        .done = load_done,
                        .arg = &rc,
                        .objects = {.uids = &objects[0].object.control.uid, .count = 1, .want = 7}};
    db_load_add(w.db, &a);
    ck_assert_ptr_nonnull(load_one(&w, &big, &objects[0].object.control.uid, 7));
    ck_assert_int_eq(rc, RC_NO_MEMORY);
    arena_free(&small);
    arena_free(&big);
    worker_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db load");
    TCase *t = tcase_create("load");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, locate_finds_what_the_filters_say);
    tcase_add_test(t, an_identity_is_found_by_issuer_and_name);
    tcase_add_test(t, a_policy_comes_with_its_standing);
    tcase_add_test(t, the_hierarchy_comes_back_as_it_was);
    tcase_add_test(t, loads_of_one_turn_share_a_select);
    tcase_add_test(t, a_small_arena_fails_alone);
    suite_add_tcase(s, t);
    return run_suite(s);
}
