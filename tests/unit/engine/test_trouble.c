/* Damaged messages, unknown versions, no database, a sealed vault, registered secrets. */
#include <event2/event.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/engine/fixture.h"

/* The newest audit row of the client. */
static const char *last_row(void)
{
    return sql("SELECT concat_ws(':', operation, result, reason, protocol) FROM audit.events"
               " WHERE client = '%s' ORDER BY at DESC LIMIT 1",
               rig.alice->client_name);
}

/* Whether the last message that was sent so also ended the connection. */
static bool ended_it;

static struct kmip_response *send_raw(struct buf *message)
{
    struct sent sent;
    send_bytes(rig.alice, buf_view(message), &sent);
    wait_for(&sent);
    ended_it = sent.closed;
    buf_free(&sent.raw);
    buf_free(message);
    ck_assert_ptr_nonnull(sent.answer);
    ck_assert_uint_eq(sent.answer->count, 1);
    ck_assert_uint_eq(sent.answer->items[0].operation, 0);
    return sent.answer;
}

static struct buf message_of(struct kmip_request *rq)
{
    struct buf out = BUF_EMPTY;
    ck_assert_int_eq(kmip_request_write(&out, rq), RC_OK);
    return out;
}

START_TEST(damaged)
{
    static const struct {
        uint16_t version;
        uint32_t reason;
        const char *row;
    } cases[] = {
        {V1_4, KMIP_REASON_INVALID_MESSAGE, "Unknown:Operation Failed:Invalid Message:1.4"},
        {V2_1, KMIP_REASON_CODEC_ERROR, "Unknown:Operation Failed:Codec Error:2.1"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct kmip_request *rq = request_new(cases[i].version, 1);
        create_aes(rq, 0, NULL);
        struct buf m = message_of(rq);
        m.data[m.len - 1] ^= 1; /* padding */
        struct kmip_response *r = send_raw(&m);
        ck_assert_uint_eq(r->version, cases[i].version);
        expect_failed(r, 0, cases[i].reason);
        ck_assert(ended_it); /* nobody knows where the next message begins */
        ck_assert_str_eq(last_row(), cases[i].row);
    }

    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, NULL);
    struct buf m = message_of(rq);
    for (size_t i = 0; i + 12 <= m.len; i += 8)
        if (load_be32(m.data + i) >> 8 == KMIP_TAG_BATCH_COUNT)
            m.data[i + 11] = 2;
    expect_failed(send_raw(&m), 0, KMIP_REASON_INVALID_MESSAGE);
    ck_assert(!ended_it);
    ck_assert_str_eq(last_row(), "Unknown:Operation Failed:Invalid Message:1.4");
}
END_TEST

static struct kmip_response *gets(size_t count)
{
    static const char missing[] = "0190b6f2-7d1e-7abc-8def-0123456789ab";
    struct kmip_request *rq = request_new(V2_1, count);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    for (size_t i = 0; i < count; i++)
        by_uid(rq, i, KMIP_OP_GET, missing);
    return call(rig.alice, rq);
}

/* What does not fit into its memory is refused as a whole, by an answer and an audit row. */
START_TEST(message_larger_than_its_memory)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.request_memory = 1u << 20;
    limits.batch_items = 4096;
    rig_limits(limits);
    struct kmip_response *r = gets(4000);
    ck_assert_uint_eq(r->count, 1);
    expect_failed(r, 0, KMIP_REASON_GENERAL_FAILURE);
    ck_assert(bytes_is(r->items[0].result_message, rc_text(RC_NO_MEMORY)));
    ck_assert_str_eq(last_row(), "Unknown:Operation Failed:General Failure:2.1");
    r = gets(300);
    ck_assert_uint_eq(r->count, 300);
    expect_failed(r, 299, KMIP_REASON_OBJECT_NOT_FOUND);
}
END_TEST

/* The count of items is no limit of its own: what the settings allow can be reached. */
START_TEST(batch_as_large_as_the_settings_allow)
{
    struct engine_limits limits = ENGINE_LIMITS_DEFAULT;
    limits.request_bytes = 4u << 20;
    limits.batch_items = 16384;
    rig_limits(limits);
    struct kmip_request *rq = request_new(V2_1, 16384);
    for (size_t i = 0; i < rq->count; i++)
        by_uid(rq, i, KMIP_OP_ARCHIVE, "any");
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert_uint_eq(r->count, 1); /* the first one stops the batch */
    expect_failed(r, 0, KMIP_REASON_OPERATION_NOT_SUPPORTED);
}
END_TEST

/* Nothing of the message is done, not even what stands before the extension. */
START_TEST(critical_extension)
{
    struct kmip_request *rq = request_new(V2_1, 2);
    rq->header->batch_error_continuation_option = KMIP_BATCH_CONTINUE;
    create_aes(rq, 0, "never made");
    create_aes(rq, 1, "nor this");
    struct kmip_message_extension extension = {
        .vendor_identification = bytes_str("Acme"),
        .critical = KMIP_NUMBER(1),
        .vendor_extension = node_structure(&rig.arena, KMIP_TAG_VENDOR_EXTENSION),
    };
    rq->items[1].extensions.items = &extension;
    rq->items[1].extensions.count = 1;
    struct kmip_response *r = call(rig.alice, rq);
    for (size_t i = 0; i < 2; i++)
        expect_failed(r, i, KMIP_REASON_UNKNOWN_MESSAGE_EXTENSION);
    rq = request_new(V2_1, 1);
    locate_name(rq, 0, NULL);
    r = call(rig.alice, rq);
    ck_assert_uint_eq(KMIP_PAYLOAD(&r->items[0], locate_response)->unique_identifiers.count, 0);
    extension.critical = KMIP_NUMBER(0);
    rq = request_new(V2_1, 1);
    create_aes(rq, 0, "made");
    rq->items[0].extensions.items = &extension;
    rq->items[0].extensions.count = 1;
    expect_success(call(rig.alice, rq), 0);
}
END_TEST

START_TEST(negative_response_size)
{
    struct kmip_request *rq = request_new(V1_4, 2);
    rq->header->maximum_response_size = KMIP_NUMBER(-1);
    create_aes(rq, 0, NULL);
    create_aes(rq, 1, NULL);
    struct kmip_response *r = call(rig.alice, rq);
    for (size_t i = 0; i < 2; i++)
        expect_failed(r, i, KMIP_REASON_INVALID_FIELD);
}
END_TEST

START_TEST(versions_not_served)
{
    static const struct {
        uint8_t major, minor;
        uint16_t answer;
        uint32_t reason;
    } cases[] = {
        {3, 0, V2_1, KMIP_REASON_UNSUPPORTED_PROTOCOL_VERSION},
        {2, 2, V2_1, KMIP_REASON_UNSUPPORTED_PROTOCOL_VERSION},
        {1, 5, V1_4, KMIP_REASON_INVALID_MESSAGE},
        {0, 9, V1_0, KMIP_REASON_INVALID_MESSAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kmip_request *rq = request_new(V1_4, 1);
        create_aes(rq, 0, NULL);
        struct buf m = message_of(rq);
        /* message 8, header 8, version 8, major (8 + value), minor (8 + value) */
        m.data[8 + 8 + 8 + 8 + 3] = cases[i].major;
        m.data[8 + 8 + 8 + 16 + 8 + 3] = cases[i].minor;
        struct kmip_response *r = send_raw(&m);
        ck_assert_uint_eq(r->version, cases[i].answer);
        expect_failed(r, 0, cases[i].reason);
    }
    ck_assert_str_eq(last_row(), "Unknown:Operation Failed:Invalid Message:0.9");
}
END_TEST

START_TEST(mandatory_asynchronous)
{
    struct kmip_request *rq = request_new(V2_1, 1);
    create_aes(rq, 0, NULL);
    rq->header->asynchronous_indicator = KMIP_ASYNCHRONOUS_INDICATOR_MANDATORY;
    expect_failed(call(rig.alice, rq), 0, KMIP_REASON_FEATURE_NOT_SUPPORTED);
    rq->header->asynchronous_indicator = KMIP_ASYNCHRONOUS_INDICATOR_OPTIONAL;
    expect_success(call(rig.alice, rq), 0);
    rq = request_new(V1_0, 1);
    create_aes(rq, 0, NULL);
    rq->header->asynchronous = KMIP_NUMBER(true);
    rq->header->time_stamp = KMIP_NUMBER(5); /* the client's clock is its own affair */
    expect_success(call(rig.alice, rq), 0);
}
END_TEST

START_TEST(correlation_values)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, NULL);
    rq->header->client_correlation_value = bytes_str("mine");
    struct kmip_response *r = call(rig.alice, rq);
    ck_assert(bytes_is(r->header->client_correlation_value, "mine"));
    ck_assert_uint_gt(r->header->server_correlation_value.len, 0);
    rq = request_new(V1_3, 1);
    create_aes(rq, 0, NULL);
    r = call(rig.alice, rq);
    ck_assert_uint_eq(r->header->server_correlation_value.len, 0);
}
END_TEST

START_TEST(registered_secret)
{
    static const uint16_t versions[] = {V1_0, V1_4, V2_1};
    for (size_t v = 0; v < 3; v++) {
        struct kmip_request *rq = request_new(versions[v], 1);
        struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
        struct arena *a = &rig.arena;
        in->object_type = KMIP_OBJECT_SECRET_DATA;
        in->attributes.present = true;
        kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                    KMIP_USAGE_VERIFY);
        in->object = ARENA_NEW(a, struct kmip_object);
        in->object->type = in->object_type;
        in->object->secret_data = KMIP_NEW(a, secret_data);
        in->object->secret_data->type = KMIP_SECRET_PASSWORD;
        struct kmip_key_block *k = in->object->secret_data->key_block = KMIP_NEW(a, key_block);
        k->key_format_type = KMIP_FORMAT_OPAQUE;
        k->key_value = ARENA_NEW(a, struct kmip_key_value);
        k->key_value->material = bytes_str("correct horse battery staple");
        struct kmip_response *r = call(rig.alice, rq);
        expect_success(r, 0);
        const char *uid = uid_of(r, 0);
        rq = request_new(versions[v], 1);
        by_uid(rq, 0, KMIP_OP_GET, uid);
        r = call(rig.alice, rq);
        expect_success(r, 0);
        const struct kmip_get_response *got = r->items[0].payload;
        ck_assert_uint_eq(got->object->secret_data->type, KMIP_SECRET_PASSWORD);
        ck_assert_uint_eq(got->object->secret_data->key_block->key_format_type, KMIP_FORMAT_OPAQUE);
        ck_assert(bytes_is(got->object->secret_data->key_block->key_value->material,
                           "correct horse battery staple"));
    }
    /* The database has it only sealed. */
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.material WHERE position('horse' in "
                                "encode(envelope, 'escape')) > 0"),
                     0);
}
END_TEST

/* Its bytes and its type, one of a vendor (KMIP 1.4, 9.1.3.2.10), come back as they were. */
START_TEST(registered_opaque_object)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        uint16_t version = kmip_versions[v];
        struct kmip_request *rq = request_new(version, 1);
        struct kmip_register_request *in = item(rq, 0, KMIP_OP_REGISTER);
        in->object_type = KMIP_OBJECT_OPAQUE_OBJECT;
        in->attributes.present = true;
        in->object = ARENA_NEW(&rig.arena, struct kmip_object);
        in->object->type = in->object_type;
        in->object->opaque_object = KMIP_NEW(&rig.arena, opaque_object);
        in->object->opaque_object->type = 0x80000001;
        in->object->opaque_object->value = bytes_str("anything");
        struct kmip_response *r = call(rig.alice, rq);
        expect_success(r, 0);
        const char *uid = uid_of(r, 0);
        rq = request_new(version, 1);
        by_uid(rq, 0, KMIP_OP_GET, uid);
        r = call(rig.alice, rq);
        expect_success(r, 0);
        const struct kmip_get_response *got = r->items[0].payload;
        ck_assert_uint_eq(got->object_type, KMIP_OBJECT_OPAQUE_OBJECT);
        ck_assert_uint_eq(got->object->opaque_object->type, 0x80000001);
        ck_assert(bytes_is(got->object->opaque_object->value, "anything"));
    }
}
END_TEST

/* Every new row of the table is refused by the database with an error of its own. */
static void break_table(const char *table)
{
    sql("CREATE OR REPLACE FUNCTION public.broken() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX000'; END$$;"
        " CREATE TRIGGER broken BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.broken()",
        table);
}

static void mend_table(const char *table)
{
    sql("DROP TRIGGER broken ON %s", table);
}

/* A create that the database refuses is a failure that the audit has; the next one is served. */
START_TEST(unit_that_cannot_be_written)
{
    long before = sql_number("SELECT count(*) FROM kmip.object");
    break_table("kmip.object");
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, "refused");
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 0, KMIP_REASON_GENERAL_FAILURE);
    ck_assert_str_eq(last_row(), "Create:Operation Failed:General Failure:1.4");
    mend_table("kmip.object");
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object"), before);
    new_key(rig.alice, "refused");
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object"), before + 1);
}
END_TEST

/* Rows of requests: that some could not be audited is told in a row of its own, soon after the trail can be written
 * again. */
static long rows_of_requests(void)
{
    return sql_number("SELECT count(*) FROM audit.event WHERE operation <> 'Audit Gap'");
}

/* Nor can its refusal: then nothing was done, and the constant answer says no more than that. */
START_TEST(refusal_that_cannot_be_written)
{
    long events = rows_of_requests();
    long objects = sql_number("SELECT count(*) FROM kmip.object");
    break_table("audit.event");
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, "untold");
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 0, KMIP_REASON_GENERAL_FAILURE);
    ck_assert(bytes_is(r->items[0].result_message, rc_text(RC_UNAVAILABLE)));
    mend_table("audit.event");
    ck_assert_int_eq(rows_of_requests(), events);
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object"), objects);
    new_key(rig.alice, "untold");
}
END_TEST

START_TEST(no_database)
{
    const char *uid = new_key(rig.alice, "constant");
    pg_stop(&pg, "immediate");
    static const uint16_t versions[] = {V1_0, V2_1};
    for (size_t v = 0; v < 2; v++) {
        struct kmip_request *rq = request_new(versions[v], 2);
        by_uid(rq, 0, KMIP_OP_GET, uid);
        item(rq, 1, KMIP_OP_LOCATE);
        ((struct kmip_locate_request *)rq->items[1].payload)->attributes.present = true;
        struct sent sent;
        send_request(rig.alice, rq, &sent);
        wait_for(&sent);
        /* One constant error that depends on no object, for every item. */
        ck_assert_uint_eq(sent.answer->count, 2);
        for (size_t i = 0; i < 2; i++) {
            expect_failed(sent.answer, i, KMIP_REASON_GENERAL_FAILURE);
            ck_assert(bytes_is(sent.answer->items[i].result_message, rc_text(RC_UNAVAILABLE)));
        }
        buf_free(&sent.raw);
    }
    /* The same where nothing had to be loaded, and only the commit meets it. */
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, NULL);
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 0, KMIP_REASON_GENERAL_FAILURE);
    ck_assert(bytes_is(r->items[0].result_message, rc_text(RC_UNAVAILABLE)));
    pg_start(&pg);
    time_t since = time(NULL);
    while (db_state_of(rig.db) != DB_STATE_READY && time(NULL) - since < 30)
        event_base_loop(rig.base, EVLOOP_ONCE);
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET, uid), 0);
}
END_TEST

START_TEST(vault_is_away)
{
    const char *uid = new_key(rig.alice, NULL);
    vault_client_set_channel(rig.vault, -1);
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET, uid), KMIP_REASON_GENERAL_FAILURE);
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET_ATTRIBUTES, uid), 0); /* needs no key */
    ck_assert_str_eq(sql("SELECT reason FROM audit.key_events('%s') WHERE operation = 'Get'", uid),
                     "General Failure");
    vault_client_set_channel(rig.vault, dup(rig.spare));
    ck_assert_uint_eq(run_one(rig.alice, V1_4, KMIP_OP_GET, uid), 0);
}
END_TEST

/* The wall clock of this process alone, in place of the library's. */
static int64_t clock_ahead_s;

int clock_gettime(clockid_t id, struct timespec *t)
{
    int failed = (int)syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME)
        t->tv_sec += clock_ahead_s;
    return failed;
}

static struct kmip_response *call_while_the_clock_steps_back(const struct kmip_request *rq)
{
    struct sent sent;
    clock_ahead_s = 100;
    send_request(rig.alice, rq, &sent);
    clock_ahead_s = 0; /* before the vault is asked */
    wait_for(&sent);
    buf_free(&sent.raw);
    ck_assert_ptr_nonnull(sent.answer);
    return sent.answer;
}

START_TEST(clock_steps_back)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, NULL);
    struct kmip_response *r = call_while_the_clock_steps_back(rq);
    expect_success(r, 0);
    const char *uid = uid_of(r, 0);
    rq = request_new(V1_4, 1);
    by_uid(rq, 0, KMIP_OP_ACTIVATE, uid);
    expect_success(call_while_the_clock_steps_back(rq), 0);
    ck_assert_str_eq(sql("SELECT string_agg(operation || ':' || result, ' ' ORDER BY at)"
                         " FROM audit.events WHERE client = '%s'",
                         rig.alice->client_name),
                     "Create:Success Activate:Success");
    ck_assert_int_eq(sql_number("SELECT count(*) FROM kmip.object WHERE activation_date >"
                                " extract(epoch FROM now())"),
                     0);
}
END_TEST

START_TEST(sealed)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, NULL);
    struct kmip_response *r = call(rig.alice, rq);
    expect_failed(r, 0, KMIP_REASON_GENERAL_FAILURE);
    ck_assert(bytes_is(r->items[0].result_message, rc_text(RC_SEALED)));
    ck_assert_str_eq(last_row(), "Create:Operation Failed:General Failure:1.4");
    rq = request_new(V1_4, 1);
    locate_name(rq, 0, "anything");
    expect_success(call(rig.alice, rq), 0);
}
END_TEST

Suite *trouble_suite(void)
{
    Suite *s = suite_create("trouble");
    TCase *t = tcase_create("trouble");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, NULL);
    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, damaged);
    tcase_add_test(t, message_larger_than_its_memory);
    tcase_add_test(t, batch_as_large_as_the_settings_allow);
    tcase_add_test(t, critical_extension);
    tcase_add_test(t, negative_response_size);
    tcase_add_test(t, versions_not_served);
    tcase_add_test(t, mandatory_asynchronous);
    tcase_add_test(t, correlation_values);
    tcase_add_test(t, registered_secret);
    tcase_add_test(t, registered_opaque_object);
    tcase_add_test(t, unit_that_cannot_be_written);
    tcase_add_test(t, refusal_that_cannot_be_written);
    tcase_add_test(t, no_database);
    tcase_add_test(t, vault_is_away);
    tcase_add_test(t, clock_steps_back);
    suite_add_tcase(s, t);
    t = tcase_create("sealed");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, rig_once, fixture_unmake);
    tcase_add_checked_fixture(t, rig_setup_sealed, rig_teardown);
    tcase_add_test(t, sealed);
    suite_add_tcase(s, t);
    return s;
}
