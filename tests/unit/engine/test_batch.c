/* The main job in every version, and batches: order, placeholder, overlay, Continue, Stop, Undo. */
#include <unistd.h>

#include "tests/unit/engine/fixture.h"

static const uint16_t versions[KMIP_VERSION_COUNT] = {V1_0, V1_1, V1_2, V1_3, V1_4, V2_0, V2_1};

START_TEST(main_job)
{
    uint16_t version = versions[_i];
    const char *name = arena_fmt(&rig.arena, "job-%x", version);
    struct kmip_request *rq = request_new(version, 1);
    create_aes(rq, 0, name);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    ck_assert_uint_eq(r->version, version);
    const char *uid = uid_of(r, 0);

    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_ACTIVATE, uid), 0);
    rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET, uid);
    struct bytes first = BYTES_NONE;
    for (int again = 0; again < 3; again++) {
        r = call(rig.alice, rq);
        expect_success(r, 0);
        const struct kmip_get_response *got = r->items[0].payload;
        struct bytes key = got->object->symmetric_key->key_block->key_value->material;
        ck_assert_uint_eq(key.len, 32);
        if (again)
            ck_assert(bytes_equal(key, first));
        first = key;
    }
    rq = request_new(version, 1);
    locate_name(rq, 0, name);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    ck_assert_str_eq(uid_of(r, 0), uid);

    rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET_ATTRIBUTES, uid);
    r = call(rig.alice, rq);
    expect_success(r, 0);
    const struct kmip_get_attributes_response *at = r->items[0].payload;
    ck_assert_uint_eq(kmip_attributes_find(&at->attributes, KMIP_TAG_STATE, 0)->value->enumeration,
                      STATE_ACTIVE);

    uint32_t wrong =
        version < V2_0 ? KMIP_REASON_PERMISSION_DENIED : KMIP_REASON_WRONG_KEY_LIFECYCLE_STATE;
    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_DESTROY, uid), wrong);
    rq = request_new(version, 1);
    revoke_as(rq, 0, uid, KMIP_REVOKED_CESSATION_OF_OPERATION);
    expect_success(call(rig.alice, rq), 0);
    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_DESTROY, uid), 0);
    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_GET, uid),
                      version < V2_0 ? KMIP_REASON_ILLEGAL_OPERATION
                                     : KMIP_REASON_OBJECT_DESTROYED);
    ck_assert_str_eq(sql("SELECT state FROM audit.keys WHERE uid = '%s'", uid), "Destroyed");
    ck_assert_int_eq(sql_number("SELECT count(*) FROM audit.key_events('%s')", uid), 11);
}
END_TEST

START_TEST(placeholder)
{
    uint16_t version = versions[_i];
    struct kmip_request *rq = request_new(version, 5);
    create_aes(rq, 0, NULL);
    by_uid(rq, 1, KMIP_OP_ACTIVATE, NULL);
    by_uid(rq, 2, KMIP_OP_GET, NULL);
    revoke_as(rq, 3, NULL, KMIP_REVOKED_KEY_COMPROMISE);
    by_uid(rq, 4, KMIP_OP_DESTROY, NULL);
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert_uint_eq(r->count, 5);
    for (size_t i = 0; i < 5; i++) {
        expect_success(r, i);
        ck_assert(bytes_equal(r->items[i].unique_id, rq->items[i].unique_id));
        ck_assert_str_eq(uid_of(r, i), uid_of(r, 0));
    }
    ck_assert_str_eq(sql("SELECT state FROM audit.keys WHERE uid = '%s'", uid_of(r, 0)),
                     "Destroyed Compromised");
    ck_assert_int_eq(
        sql_number("SELECT count(*) FROM kmip.material WHERE uid = '%s' AND envelope IS NOT NULL",
                   uid_of(r, 0)),
        0);
    /* It lives in one request only. */
    ck_assert_uint_eq(run_one(rig.alice, version, KMIP_OP_GET, NULL),
                      version < V2_0 ? KMIP_REASON_ITEM_NOT_FOUND : KMIP_REASON_OBJECT_NOT_FOUND);
}
END_TEST

START_TEST(overlay)
{
    const char *old = new_key(rig.alice, "overlay-old");
    struct kmip_request *rq = request_new(V1_4, 7);
    create_aes(rq, 0, "overlay-new");
    locate_name(rq, 1, "overlay-new"); /* made by this request */
    by_uid(rq, 2, KMIP_OP_GET, NULL);  /* what Locate found */
    by_uid(rq, 3, KMIP_OP_ACTIVATE, old);
    struct kmip_locate_request *in = locate_name(rq, 4, "overlay-old");
    kmip_attributes_add_enum(&rig.arena, &in->attributes, KMIP_TAG_STATE, STATE_ACTIVE);
    in = locate_name(rq, 5, NULL); /* both, the newest first */
    kmip_attributes_add_enum(&rig.arena, &in->attributes, KMIP_TAG_OBJECT_TYPE,
                             KMIP_OBJECT_SYMMETRIC_KEY);
    in->maximum_items = KMIP_NUMBER(10);
    by_uid(rq, 6, KMIP_OP_GET_ATTRIBUTES, old); /* changed here: seen so, and whole */
    struct kmip_response *r = call(rig.alice, rq);
    for (size_t i = 0; i < 7; i++)
        expect_success(r, i);
    ck_assert_str_eq(uid_of(r, 1), uid_of(r, 0));
    ck_assert_str_eq(uid_of(r, 2), uid_of(r, 0));
    ck_assert_str_eq(uid_of(r, 4), old);
    const struct kmip_locate_response *all = r->items[5].payload;
    ck_assert_uint_eq(all->unique_identifiers.count, 2);
    ck_assert_int_eq(all->located_items.value, 2);
    ck_assert_str_eq(uid_of(r, 5), uid_of(r, 0));
    const struct kmip_get_attributes_response *at = r->items[6].payload;
    ck_assert_uint_eq(kmip_attributes_find(&at->attributes, KMIP_TAG_STATE, 0)->value->enumeration,
                      STATE_ACTIVE);
    ck_assert_uint_eq(kmip_attributes_count(&at->attributes, KMIP_TAG_NAME), 1);
}
END_TEST

/* create, activate something that is not there, create */
static struct kmip_response *failing_batch(uint32_t option, const char *a, const char *b)
{
    struct kmip_request *rq = request_new(V1_2, 3);
    rq->header->batch_error_continuation_option = option;
    create_aes(rq, 0, a);
    by_uid(rq, 1, KMIP_OP_ACTIVATE, "00000000-0000-7000-8000-000000000001");
    create_aes(rq, 2, b);
    return call(rig.alice, rq);
}

static long keys_named(const char *pattern)
{
    return sql_number("SELECT count(*) FROM kmip.name WHERE value LIKE '%s'", pattern);
}

START_TEST(on_error)
{
    static const uint32_t options[] = {0, KMIP_BATCH_STOP, KMIP_BATCH_CONTINUE, KMIP_BATCH_UNDO};
    static const size_t items[] = {2, 2, 3, 2};
    static const long made[] = {1, 1, 2, 0};
    const char *a = arena_fmt(&rig.arena, "err%d-a", _i), *b = arena_fmt(&rig.arena, "err%d-b", _i);
    struct kmip_response *r = failing_batch(options[_i], a, b);
    ck_assert_uint_eq(r->count, items[_i]);
    if (options[_i] == KMIP_BATCH_UNDO) {
        expect_item(r, 0, KMIP_STATUS_OPERATION_UNDONE, 0);
        ck_assert_ptr_null(r->items[0].payload);
    } else {
        expect_success(r, 0);
    }
    expect_failed(r, 1, KMIP_REASON_ITEM_NOT_FOUND);
    if (options[_i] == KMIP_BATCH_CONTINUE)
        expect_success(r, 2);
    ck_assert_int_eq(keys_named(arena_fmt(&rig.arena, "err%d-%%", _i)), made[_i]);
}
END_TEST

/* Create, an item without its Operation, Create: the second fails alone, and is audited. */
START_TEST(unreadable_item)
{
    static const uint32_t options[] = {KMIP_BATCH_STOP, KMIP_BATCH_CONTINUE, KMIP_BATCH_UNDO};
    static const char *const rows[] = {"Success Operation Failed",
                                       "Success Operation Failed Success",
                                       "Operation Undone Operation Failed"};
    struct kmip_request *rq = request_new(V1_4, 3);
    const char *mark = arena_fmt(&rig.arena, "unreadable-%d-%d", (int)getpid(), _i);
    rq->header->client_correlation_value = bytes_str(mark);
    rq->header->batch_error_continuation_option = options[_i];
    for (size_t i = 0; i < 3; i++)
        create_aes(rq, i, NULL);
    AUTO_BUF m = BUF_EMPTY;
    ck_assert_int_eq(kmip_request_write(&m, rq), RC_OK);
    size_t seen = 0;
    for (size_t i = 0; i + 8 <= m.len; i += 8)
        if (load_be32(m.data + i) == (KMIP_TAG_OPERATION << 8 | TTLV_ENUMERATION) && ++seen == 2)
            m.data[i + 3] = TTLV_INTEGER;
    struct sent sent;
    send_bytes(rig.alice, buf_view(&m), &sent);
    wait_for(&sent);
    ck_assert_ptr_nonnull(sent.answer);
    ck_assert_uint_eq(sent.answer->count, _i == 1 ? 3 : 2);
    if (options[_i] == KMIP_BATCH_UNDO)
        expect_item(sent.answer, 0, KMIP_STATUS_OPERATION_UNDONE, 0);
    else
        expect_success(sent.answer, 0);
    expect_failed(sent.answer, 1, KMIP_REASON_INVALID_MESSAGE);
    ck_assert_uint_eq(sent.answer->items[1].operation, 0);
    ck_assert_str_eq(sql("SELECT string_agg(result, ' ' ORDER BY position) FROM audit.events WHERE "
                         "correlation = '%s'",
                         mark),
                     rows[_i]);
    buf_free(&sent.raw);
}
END_TEST

START_TEST(audit_of_items)
{
    struct kmip_request *rq = request_new(V1_4, 4);
    const char *mark = arena_fmt(&rig.arena, "audit-%d", (int)getpid());
    rq->header->client_correlation_value = bytes_str(mark);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    create_aes(rq, 0, NULL);
    by_uid(rq, 1, KMIP_OP_GET, "00000000-0000-7000-8000-000000000002");
    struct kmip_query_request *q = item(rq, 2, KMIP_OP_QUERY);
    uint32_t function = KMIP_QUERY_QUERY_OPERATIONS;
    q->query_functions.items = &function;
    q->query_functions.count = 1;
    by_uid(rq, 3, KMIP_OP_ARCHIVE, NULL); /* not offered */
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 3, KMIP_REASON_OPERATION_NOT_SUPPORTED);
    ck_assert_str_eq(sql("SELECT string_agg(concat_ws(':', position, operation, result, reason), ' "
                         "' ORDER BY position)"
                         " FROM audit.events WHERE correlation = '%s'",
                         mark),
                     "0:Create:Success 1:Get:Operation Failed:Item Not Found 2:Query:Success "
                     "3:Archive:Operation Failed:Operation Not Supported");
    ck_assert_str_eq(
        sql("SELECT object FROM audit.events WHERE correlation = '%s' AND position = 0", mark),
        uid_of(r, 0));
    ck_assert_str_eq(sql("SELECT DISTINCT protocol || ' ' || address || ' ' || (duration_us > 0) "
                         "FROM audit.events"
                         " WHERE correlation = '%s'",
                         mark),
                     "1.4 192.0.2.7:4711 true");
}
END_TEST

/* A no of Check empties the placeholder, tells what failed (also when all is undone), and in 1.0 ends the batch. */
START_TEST(check_says_no)
{
    static const struct {
        uint16_t version;
        uint32_t option, reason;
        size_t count;
        bool told;
    } cases[] = {
        {V1_0, KMIP_BATCH_CONTINUE, KMIP_REASON_PERMISSION_DENIED, 3, true},
        {V1_4, KMIP_BATCH_CONTINUE, KMIP_REASON_PERMISSION_DENIED, 4, true},
        {V1_4, KMIP_BATCH_UNDO, KMIP_REASON_PERMISSION_DENIED, 3, true},
        {V2_1, KMIP_BATCH_CONTINUE, KMIP_REASON_INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK, 4, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kmip_request *rq = request_new(cases[i].version, 4);
        rq->header->batch_error_continuation_option = cases[i].option;
        create_aes(rq, 0, NULL);
        struct kmip_check_request *in = item(rq, 1, KMIP_OP_CHECK);
        in->usage_limits_count = KMIP_NUMBER(5);
        in = item(rq, 2, KMIP_OP_CHECK);
        in->cryptographic_usage_mask = KMIP_NUMBER(KMIP_USAGE_SIGN);
        by_uid(rq, 3, KMIP_OP_GET, NULL);
        struct kmip_response *r = call(rig.alice, rq);
        ck_assert_uint_eq(r->count, cases[i].count);
        if (cases[i].option != KMIP_BATCH_UNDO)
            expect_success(r, 1);
        expect_failed(r, 2, cases[i].reason);
        const struct kmip_check_response *no = r->items[2].payload;
        ck_assert_int_eq(no != NULL, cases[i].told);
        if (no) {
            ck_assert_int_eq(no->cryptographic_usage_mask.value, KMIP_USAGE_SIGN);
            ck_assert(!no->usage_limits_count.set);
        }
        if (r->count > 3)
            expect_failed(r, 3,
                          cases[i].version < V2_0 ? KMIP_REASON_ITEM_NOT_FOUND : KMIP_REASON_OBJECT_NOT_FOUND);
    }
}
END_TEST

START_TEST(log_and_interop_stand_in_the_audit)
{
    const char *mark = arena_fmt(&rig.arena, "log-%d", (int)getpid());
    for (int allowed = 0; allowed < 2; allowed++) {
        struct kmip_request *rq = request_new(V2_1, 3);
        rq->header->client_correlation_value = bytes_str(arena_fmt(&rig.arena, "%s-%d", mark, allowed));
        rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
        struct kmip_interop_request *begin = item(rq, 0, KMIP_OP_INTEROP);
        begin->function = KMIP_INTEROP_FUNCTION_BEGIN;
        begin->identifier = bytes_str("case 7");
        struct kmip_log_request *log = item(rq, 1, KMIP_OP_LOG);
        log->log_message = bytes_str("two\nlines, 'quoted'");
        struct kmip_query_request *q = item(rq, 2, KMIP_OP_QUERY);
        uint32_t function = KMIP_QUERY_QUERY_OPERATIONS;
        q->query_functions.items = &function;
        q->query_functions.count = 1;
        engine_set_interop(rig.engine, allowed);
        struct kmip_response *r = call(rig.alice, rq);
        if (allowed)
            expect_success(r, 0);
        else
            expect_failed(r, 0, KMIP_REASON_OPERATION_NOT_SUPPORTED);
        expect_success(r, 1);
        const struct kmip_query_response *told = r->items[2].payload;
        size_t listed = 0;
        for (size_t i = 0; i < told->operations.count; i++)
            listed += told->operations.items[i] == KMIP_OP_INTEROP;
        ck_assert_uint_eq(listed, (size_t)allowed);
    }
    ck_assert_str_eq(sql("SELECT string_agg(coalesce(detail, '-'), ' ' ORDER BY position) FROM audit.events"
                         " WHERE correlation = '%s-0'",
                         mark),
                     "- two\\x0Alines, 'quoted' -");
    ck_assert_str_eq(sql("SELECT detail FROM audit.events WHERE correlation = '%s-1' AND position = 0", mark),
                     "case 7");
}
END_TEST

START_TEST(audit_of_undone)
{
    struct kmip_request *rq = request_new(V1_4, 2);
    const char *mark = arena_fmt(&rig.arena, "undone-%d", (int)getpid());
    rq->header->client_correlation_value = bytes_str(mark);
    rq->header->batch_error_continuation_option = KMIP_BATCH_UNDO;
    create_aes(rq, 0, NULL);
    by_uid(rq, 1, KMIP_OP_GET, "nothing of ours");
    call(rig.alice, rq);
    ck_assert_str_eq(sql("SELECT string_agg(result, ' ' ORDER BY position) FROM audit.events WHERE "
                         "correlation = '%s'",
                         mark),
                     "Operation Undone Operation Failed");
}
END_TEST

static struct node *vendor_structure(struct arena *a)
{
    struct node *n = node_structure(a, KMIP_TAG_ATTRIBUTE_VALUE);
    node_append(n, node_bytes(a, 0x540001, bytes_str("bytes")));
    node_append(n, node_date_time(a, KMIP_TAG_ARCHIVE_DATE, 1700000000));
    return n;
}

/* All attributes of an object, as the version shows them. */
static const struct kmip_attributes *shown(uint16_t version, const char *uid)
{
    struct kmip_request *rq = request_new(version, 1);
    by_uid(rq, 0, KMIP_OP_GET_ATTRIBUTES, uid);
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    return &KMIP_PAYLOAD(&r->items[0], get_attributes_response)->attributes;
}

/* x- attributes of 1.x are the vendor x of 2.x; those of other vendors are for 2.x alone. By
 * whatever version they came, the database keeps them as they are. (y- and y are the server's to
 * make.) */
START_TEST(vendor_attributes_come_back)
{
    struct arena *a = &rig.arena;
    struct bytes x = bytes_str("x"), acme = bytes_str("Acme_1.0");
    bool newer = kmip_versions[_i] >= V2_0;
    struct kmip_request *rq = request_new(kmip_versions[_i], 1);
    struct kmip_create_request *in = create_aes(rq, 0, NULL);
    kmip_attributes_add_vendor(a, &in->attributes, x, bytes_str("Rack 4-b"),
                               node_text(a, 0, bytes_str("\xC3\xA9")));
    kmip_attributes_add_vendor(a, &in->attributes, x, bytes_str("Many"), node_integer(a, 0, 1));
    kmip_attributes_add_vendor(a, &in->attributes, x, bytes_str("Many"), node_integer(a, 0, 2));
    kmip_attributes_add_vendor(a, &in->attributes, x, bytes_str("Made of"), vendor_structure(a));
    if (newer)
        kmip_attributes_add_vendor(a, &in->attributes, acme, bytes_str("n"),
                                   node_boolean(a, 0, true));
    struct kmip_response *r = call(rig.alice, rq);
    expect_success(r, 0);
    const char *uid = uid_of(r, 0);
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        const struct kmip_attributes *all = shown(kmip_versions[v], uid);
        const struct kmip_attribute *at =
            kmip_attributes_find_vendor(all, x, bytes_str("Rack 4-b"), 0);
        ck_assert(at && bytes_is(at->value->bytes, "\xC3\xA9"));
        for (int k = 0; k < 2; k++) {
            at = kmip_attributes_find_vendor(all, x, bytes_str("Many"), (size_t)k);
            ck_assert(at && at->value->type == TTLV_INTEGER && at->value->integer == k + 1);
            ck_assert(kmip_versions[v] >= V2_0 || at->index == (k ? k : -1));
        }
        at = kmip_attributes_find_vendor(all, x, bytes_str("Made of"), 0);
        ck_assert(at && node_equal(at->value, vendor_structure(a)));
        at = kmip_attributes_find_vendor(all, acme, bytes_str("n"), 0);
        ck_assert((at != NULL) == (newer && kmip_versions[v] >= V2_0));
    }
    rq = request_new(V1_0, 1);
    struct kmip_locate_request *locate = locate_name(rq, 0, NULL);
    kmip_attributes_add_vendor(a, &locate->attributes, x, bytes_str("Many"), node_integer(a, 0, 2));
    r = call(rig.alice, rq);
    expect_success(r, 0);
    ck_assert_uint_eq(KMIP_PAYLOAD(&r->items[0], locate_response)->unique_identifiers.count, 1);
}
END_TEST

Suite *batch_suite(void)
{
    Suite *s = suite_create("batch");
    TCase *t = tcase_create("batch");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_loop_test(t, main_job, 0, KMIP_VERSION_COUNT);
    tcase_add_loop_test(t, placeholder, 4, KMIP_VERSION_COUNT);
    tcase_add_loop_test(t, vendor_attributes_come_back, 0, KMIP_VERSION_COUNT);
    tcase_add_test(t, overlay);
    tcase_add_loop_test(t, on_error, 0, 4);
    tcase_add_loop_test(t, unreadable_item, 0, 3);
    tcase_add_test(t, audit_of_items);
    tcase_add_test(t, audit_of_undone);
    tcase_add_test(t, check_says_no);
    tcase_add_test(t, log_and_interop_stand_in_the_audit);
    suite_add_tcase(s, t);
    return s;
}
