/* Forbidden equals missing; clients without standing get nothing; filters agree wherever they run.
 */
#include "db/admin.h"
#include "tests/unit/engine/fixture.h"

/* The answer with what differs by nature made equal: time stamp and server correlation value. */
static void neutral(struct buf *raw)
{
    for (size_t i = 0; i + 8 <= raw->len; i += 8) {
        uint32_t tag = load_be32(raw->data + i) >> 8;
        if (tag == KMIP_TAG_TIME_STAMP || tag == KMIP_TAG_SERVER_CORRELATION_VALUE)
            memset(raw->data + i + 8, 0, (load_be32(raw->data + i + 4) + 7) / 8 * 8);
    }
}

static const uint32_t operations[] = {KMIP_OP_GET,      KMIP_OP_GET_ATTRIBUTES, KMIP_OP_CHECK,
                                      KMIP_OP_ACTIVATE, KMIP_OP_REVOKE,         KMIP_OP_DESTROY};

static void answer_to(uint32_t operation, uint16_t version, const char *uid, struct buf *out)
{
    struct kmip_request *rq = request_new(version, 1);
    if (operation == KMIP_OP_REVOKE)
        revoke_as(rq, 0, uid, KMIP_REVOKED_KEY_COMPROMISE);
    else
        by_uid(rq, 0, operation, uid);
    struct sent sent;
    send_request(rig.bob, rq, &sent);
    wait_for(&sent);
    ck_assert_uint_eq(sent.answer->items[0].result_status, KMIP_STATUS_OPERATION_FAILED);
    neutral(&sent.raw);
    buf_take(out, &sent.raw);
}

START_TEST(forbidden_equals_missing)
{
    static const uint16_t versions[] = {V1_0, V1_4, V2_1};
    const char *theirs = new_key(rig.alice, "hidden");
    static const char missing[] = "0190b6f2-7d1e-7abc-8def-0123456789ab";
    for (size_t o = 0; o < sizeof operations / sizeof operations[0]; o++)
        for (size_t v = 0; v < 3; v++) {
            AUTO_BUF forbidden = BUF_EMPTY;
            AUTO_BUF gone = BUF_EMPTY;
            answer_to(operations[o], versions[v], theirs, &forbidden);
            answer_to(operations[o], versions[v], missing, &gone);
            ck_assert(bytes_equal(buf_view(&forbidden), buf_view(&gone)));
        }
    struct kmip_request *rq = request_new(V2_1, 1);
    locate_name(rq, 0, "hidden");
    struct kmip_response *r = call(rig.bob, rq);
    ck_assert_uint_eq(
        ((struct kmip_locate_response *)r->items[0].payload)->unique_identifiers.count, 0);
    rq = request_new(V2_1, 1);
    locate_name(rq, 0, NULL);
    r = call(rig.bob, rq);
    ck_assert_uint_eq(
        ((struct kmip_locate_response *)r->items[0].payload)->unique_identifiers.count, 0);
    /* The audit tells them apart by the object it names; the client cannot. */
    ck_assert_int_eq(
        sql_number("SELECT count(*) FROM audit.key_events('%s') WHERE result = 'Operation Failed'"
                   " AND client = '%s'",
                   theirs, rig.bob->client_name),
        3 * (long)(sizeof operations / sizeof operations[0]));
    ck_assert_uint_eq(run_one(rig.alice, V2_1, KMIP_OP_GET, theirs), 0);
}
END_TEST

static void many_gets(const char *uid, struct buf *out)
{
    enum { MANY = 48 };
    struct kmip_request *rq = request_new(V2_1, MANY);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    for (size_t i = 0; i < MANY; i++)
        by_uid(rq, i, KMIP_OP_GET, uid);
    struct sent sent;
    send_request(rig.bob, rq, &sent);
    wait_for(&sent);
    neutral(&sent.raw);
    buf_take(out, &sent.raw);
}

/* Somebody else's large object uses nothing of the memory that the asker's request may have. */
START_TEST(forbidden_takes_no_memory)
{
    enum { LARGE = 128 * 1024 };
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.request_memory = 2u << 20;
    rig_limits(limits);
    struct arena *a = &rig.arena;
    struct kmip_request *rq = request_new(V2_1, 1);
    struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
    in->object_type = KMIP_OBJECT_OPAQUE_OBJECT;
    in->attributes.present = true;
    in->object = ARENA_NEW(a, struct kmip_object);
    in->object->type = in->object_type;
    in->object->opaque_object = KMIP_NEW(a, opaque_object);
    in->object->opaque_object->type = 0x80000001;
    in->object->opaque_object->value = bytes_of(arena_alloc(a, LARGE), LARGE);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    AUTO_BUF forbidden = BUF_EMPTY;
    AUTO_BUF gone = BUF_EMPTY;
    many_gets(uid_of(r, 0), &forbidden);
    many_gets("0190b6f2-7d1e-7abc-8def-0123456789ab", &gone);
    ck_assert(bytes_equal(buf_view(&forbidden), buf_view(&gone)));
}
END_TEST

static void admin_revoke(const char *client)
{
    struct db_admin *admin = NULL;
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, DATABASE, "holdfast_policy"), NULL, &admin),
                     RC_OK);
    ck_assert_int_eq(db_client_revoke(admin, client, NULL), RC_OK);
    db_admin_close(&admin);
}

START_TEST(revoked_client_gets_nothing)
{
    const char *uid = new_key(rig.alice, NULL);
    admin_revoke(rig.alice->client_name);
    struct kmip_request *rq = request_new(V1_4, 1);
    by_uid(rq, 0, KMIP_OP_GET, uid);
    struct sent sent;
    send_request(rig.alice, rq, &sent);
    wait_for(&sent);
    ck_assert_ptr_null(sent.answer);
    ck_assert(sent.closed);
    ck_assert_int_eq(
        sql_number("SELECT count(*) FROM audit.key_events('%s') WHERE operation = 'Get'"
                   " AND reason = 'Authentication Not Successful'",
                   uid),
        0);
    ck_assert_int_eq(
        sql_number("SELECT count(*) FROM audit.events WHERE client = '%s' AND operation = 'Get'"
                   " AND reason = 'Authentication Not Successful'",
                   rig.alice->client_name),
        1);
    ck_assert_int_eq(login(rig.alice), RC_AUTH_FAILED);
}
END_TEST

/* The session is found out by another one's request, or by net, while this request is under way. */
START_TEST(revoked_under_way)
{
    const char *uid = new_key(rig.alice, NULL);
    admin_revoke(rig.alice->client_name);
    struct kmip_request *rq = request_new(V1_4, 1);
    by_uid(rq, 0, KMIP_OP_GET, uid);
    struct sent sent;
    send_request(rig.alice, rq, &sent); /* its standing is not known to have gone yet */
    ck_assert_int_eq(login(rig.alice), RC_AUTH_FAILED);
    ck_assert(!sent.ended); /* else this shows nothing */
    wait_for(&sent);
    ck_assert_ptr_null(sent.answer);
    ck_assert(sent.closed);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM audit.events WHERE client = '%s'"
                                " AND operation = 'Get' AND result = 'Success'",
                                rig.alice->client_name),
                     0);
}
END_TEST

START_TEST(unknown_client)
{
    struct session *s = session_new("CN=Another CA", "01", "00", "192.0.2.8:1");
    ck_assert_int_eq(session_add_name(s, "uri", "urn:holdfast:client:nobody"), RC_OK);
    ck_assert_int_eq(login(s), RC_AUTH_FAILED);
    ck_assert(!s->known);
    session_drop(s);
}
END_TEST

/* A change of the client that takes nothing away: the request runs again and is served. */
START_TEST(standing_moves)
{
    const char *uid = new_key(rig.alice, NULL);
    sql("UPDATE policy.client SET standing = standing + 1 WHERE name = '%s'",
        rig.alice->client_name);
    int64_t before = rig.alice->standing;
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET, uid), 0);
    ck_assert_int_gt(rig.alice->standing, before);
}
END_TEST

/* ---- filters in the database and on the overlay ---- */

struct filter_case {
    struct node *want;
    bool match;
};

static void add_more(struct kmip_create_request *in)
{
    struct arena *a = &rig.arena;
    kmip_attributes_add_text(a, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("g1"));
    kmip_attributes_add_text(a, &in->attributes, KMIP_TAG_OBJECT_GROUP, bytes_str("g2"));
    kmip_attributes_add_text(a, &in->attributes, KMIP_TAG_CONTACT_INFORMATION, bytes_str("Ann"));
    kmip_attributes_add_date(a, &in->attributes, KMIP_TAG_ACTIVATION_DATE, 1000);
    struct node *n = node_structure(a, KMIP_TAG_APPLICATION_SPECIFIC_INFORMATION);
    node_append(n, node_text(a, KMIP_TAG_APPLICATION_NAMESPACE, bytes_str("ssl")));
    node_append(n, node_text(a, KMIP_TAG_APPLICATION_DATA, bytes_str("www.example.com")));
    kmip_attributes_add(a, &in->attributes, n);
}

static struct node *app(const char *space, const char *data)
{
    struct node *n = node_structure(&rig.arena, KMIP_TAG_APPLICATION_SPECIFIC_INFORMATION);
    node_append(n, node_text(&rig.arena, KMIP_TAG_APPLICATION_NAMESPACE, bytes_str(space)));
    if (data)
        node_append(n, node_text(&rig.arena, KMIP_TAG_APPLICATION_DATA, bytes_str(data)));
    return n;
}

static size_t found_by(const struct kmip_response *r, size_t i)
{
    expect_success(r, i);
    return ((struct kmip_locate_response *)r->items[i].payload)->unique_identifiers.count;
}

static struct kmip_locate_request *locate_by(struct kmip_request *rq, size_t i, struct node *want)
{
    struct kmip_locate_request *in = locate_name(rq, i, NULL);
    kmip_attributes_add(&rig.arena, &in->attributes, want);
    return in;
}

START_TEST(filters_agree)
{
    struct arena *a = &rig.arena;
    const struct filter_case cases[] = {
        {node_text(a, KMIP_TAG_OBJECT_GROUP, bytes_str("g1")), true},
        {node_text(a, KMIP_TAG_OBJECT_GROUP, bytes_str("g2")), true},
        {node_text(a, KMIP_TAG_OBJECT_GROUP, bytes_str("g3")), false},
        {node_text(a, KMIP_TAG_CONTACT_INFORMATION, bytes_str("Ann")), true},
        {node_text(a, KMIP_TAG_CONTACT_INFORMATION, bytes_str("ann")), false},
        {node_enum(a, KMIP_TAG_STATE, STATE_ACTIVE), true},
        {node_enum(a, KMIP_TAG_STATE, STATE_PRE_ACTIVE), false},
        {node_integer(a, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256), true},
        {node_integer(a, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 128), false},
        {node_integer(a, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_DECRYPT), true},
        {node_integer(a, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK, KMIP_USAGE_SIGN), false},
        {node_date_time(a, KMIP_TAG_ACTIVATION_DATE, 1000), true},
        {node_date_time(a, KMIP_TAG_ACTIVATION_DATE, 1001), false},
        {node_date_time(a, KMIP_TAG_DESTROY_DATE, 1000), false},
        {node_boolean(a, KMIP_TAG_SENSITIVE, false), true},
        {node_boolean(a, KMIP_TAG_EXTRACTABLE, false), false},
        {node_boolean(a, KMIP_TAG_FRESH, true), true},
        {app("ssl", "www.example.com"), true},
        {app("ssl", "www.example.org"), false},
    };
    enum { CASES = sizeof cases / sizeof cases[0] };
    /* On the overlay: key and searches in one request. Undone, so that nothing is left. */
    struct kmip_request *rq = request_new(V1_4, CASES + 2);
    rq->header->batch_error_continuation_option = KMIP_BATCH_STOP;
    add_more(create_aes(rq, 0, "filtered"));
    for (size_t i = 0; i < CASES; i++)
        locate_by(rq, i + 1, cases[i].want);
    locate_by(rq, CASES + 1, node_enum(a, KMIP_TAG_OBJECT_TYPE, KMIP_OBJECT_SECRET_DATA));
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert_uint_eq(r->count, CASES + 2);
    for (size_t i = 0; i < CASES; i++)
        ck_assert_msg(found_by(r, i + 1) == cases[i].match, "overlay, case %zu", i);
    ck_assert_uint_eq(found_by(r, CASES + 1), 0);
    /* In the database. */
    for (size_t i = 0; i < CASES; i++) {
        rq = request_new(V1_4, 1);
        locate_by(rq, 0, cases[i].want);
        r = call(rig.alice, rq);
        ck_assert_msg(found_by(r, 0) == cases[i].match, "database, case %zu", i);
    }
}
END_TEST

Suite *secrecy_suite(void)
{
    Suite *s = suite_create("secrecy");
    TCase *t = tcase_create("secrecy");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, forbidden_equals_missing);
    tcase_add_test(t, forbidden_takes_no_memory);
    tcase_add_test(t, revoked_client_gets_nothing);
    tcase_add_test(t, revoked_under_way);
    tcase_add_test(t, unknown_client);
    tcase_add_test(t, standing_moves);
    tcase_add_test(t, filters_agree);
    suite_add_tcase(s, t);
    return s;
}
