/* The engine's rig; see fixture.h. */
#include "tests/unit/engine/fixture.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/admin.h"
#include "server/base/log.h"

struct pg pg;
struct rig rig;

enum { PATIENCE_S = 20 };

/* ---- database ---- */

static struct db_admin *admin_as(const char *role)
{
    struct db_admin *admin = NULL;
    rc_t rc = db_admin_open(pg_conninfo(&pg, DATABASE, role), NULL, &admin);
    ck_assert_msg(rc == RC_OK, "%s: %s", role, admin ? db_admin_error(admin) : rc_name(rc));
    return admin;
}

const char *sql(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return pg_value(&pg, DATABASE, "postgres", text);
}

long sql_number(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return strtol(pg_value(&pg, DATABASE, "postgres", text), NULL, 10);
}

void rule_for_bob(const char *columns, const char *values)
{
    char id[UID_TEXT_SIZE];
    uid_print(&rig.bob->client, id);
    sql("INSERT INTO policy.rule (domain, client, reason, %s) VALUES (1, '%s', 'test', %s)",
        columns, id, values);
    sql("UPDATE policy.client SET standing = standing + 1 WHERE id = '%s'", id);
}

void no_rules(void)
{
    sql("DELETE FROM policy.rule WHERE reason = 'test'");
    sql("UPDATE policy.client SET standing = standing + 1");
}

/* ---- sessions ---- */

struct session *new_session(const char *name)
{
    static unsigned counter;
    char unique[64], value[128], serial[32], fingerprint[65];
    counter++;
    snprintf(unique, sizeof unique, "%s-%d-%u", name, (int)getpid(), counter);
    snprintf(value, sizeof value, "urn:holdfast:client:%s", unique);
    snprintf(serial, sizeof serial, "%08x%08x", (unsigned)getpid(), counter);
    snprintf(fingerprint, sizeof fingerprint, "%064x", (unsigned)getpid() * 1000u + counter);
    const struct db_certificate cert = {.issuer = "CN=Test CA",
                                        .kind = "uri",
                                        .value = value,
                                        .serial = serial,
                                        .fingerprint = fingerprint,
                                        .not_before = 0,
                                        .not_after = 4000000000};
    struct db_admin *admin = admin_as("holdfast_policy");
    struct uid id;
    rc_t rc = db_client_add(admin, unique, NULL, NULL, &cert, &id);
    ck_assert_msg(rc == RC_OK, "%s", db_admin_error(admin));
    db_admin_close(&admin);
    struct session *s = session_new("CN=Test CA", serial, fingerprint, "192.0.2.7:4711");
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(session_add_name(s, "uri", value), RC_OK);
    return s;
}

struct waiting {
    bool done;
    rc_t rc;
};

static void on_login(void *arg, rc_t rc)
{
    *(struct waiting *)arg = (struct waiting){true, rc};
}

/* One turn of the loop; fails the test when nothing has come for long. */
static void turn(time_t since)
{
    event_base_loop(rig.base, EVLOOP_ONCE);
    ck_assert_msg(time(NULL) - since < PATIENCE_S, "no answer after %d seconds", PATIENCE_S);
}

rc_t login(struct session *s)
{
    struct waiting w = {0};
    time_t since = time(NULL);
    ck_assert_int_eq(engine_login(rig.engine, s, on_login, &w), RC_OK);
    while (!w.done)
        turn(since);
    return w.rc;
}

/* ---- the rig ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg; /* wakes the loop, so that turn() can look at the clock */
}

static struct event *tick;

void rig_once(void)
{
    static bool made;
    if (!made)
        fixture_make();
    made = true;
}

static void open_rig(void)
{
    static const struct timeval often = {0, 200000};
    log_open("engine-test", LOG_ERROR);
    rig.arena = ARENA_OF(64u << 20);
    rig.base = event_base_new();
    event_base_priority_init(rig.base, 2);
    tick = event_new(rig.base, -1, EV_PERSIST, on_tick, NULL);
    event_add(tick, &often);
    static char opener[32];
    snprintf(opener, sizeof opener, "test/%d", (int)getpid());
    struct db_settings settings = DB_SETTINGS_DEFAULT;
    settings.conninfo = pg_conninfo(&pg, DATABASE, "holdfast_server");
    settings.opener = opener;
    settings.allow_unsafe = true;
    ck_assert_int_eq(db_new(rig.base, &settings, &rig.db), RC_OK);
    db_start(rig.db);
    time_t since = time(NULL);
    while (db_state_of(rig.db) != DB_STATE_READY)
        turn(since);
    ck_assert_int_eq(vault_client_new(rig.base, NULL, &rig.vault), RC_OK);
    vault_client_set_channel(rig.vault, dup(fx.fd));
    const struct engine_config config = {.base = rig.base,
                                         .db = rig.db,
                                         .vault = rig.vault,
                                         .limits = ENGINE_LIMITS_DEFAULT,
                                         .server_version = "0.1.0",
                                         .node = "test"};
    ck_assert_int_eq(engine_open(&config, &rig.engine), RC_OK);
    engine_set_tpm_label(rig.engine, "software (swtpm)");
    rig.alice = new_session("alice");
    rig.bob = new_session("bob");
    ck_assert_int_eq(login(rig.alice), RC_OK);
    ck_assert_int_eq(login(rig.bob), RC_OK);
}

/* The vault has to be forked off before this process uses OpenSSL: it puts its heap into locked
 * memory. */
static void open_vault(void)
{
    int first[2], second[2];
    fixture_setup();
    vault_kill();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
    fx.fd = first[0];
    rig.spare = second[0];
    vault_begin((int[]){first[1], second[1]}, 2, true);
}

void rig_setup(void)
{
    open_vault();
    ck_assert_int_eq(unseal().rc, RC_OK);
    open_rig();
}

void rig_setup_sealed(void)
{
    open_vault();
    open_rig();
}

void rig_teardown(void)
{
    session_drop(rig.alice);
    session_drop(rig.bob);
    engine_close(rig.engine);
    vault_client_free(rig.vault);
    db_free(rig.db);
    event_free(tick);
    event_base_free(rig.base);
    arena_free(&rig.arena);
    close(rig.spare);
    fixture_teardown();
}

void rig_limits(struct engine_limits limits)
{
    engine_set_limits(rig.engine, &limits);
}

/* ---- requests ---- */

struct kmip_request *request_new(uint16_t version, size_t count)
{
    struct kmip_request *rq = kmip_request_new(&rig.arena, version, count);
    ck_assert_ptr_nonnull(rq);
    for (size_t i = 0; i < count && count > 1; i++)
        rq->items[i].unique_id = bytes_str(arena_fmt(&rig.arena, "item%zu", i));
    return rq;
}

void *item(struct kmip_request *rq, size_t i, uint32_t operation)
{
    rq->items[i].operation = operation;
    rq->items[i].payload = kmip_payload_new(&rig.arena, operation, false);
    ck_assert_ptr_nonnull(rq->items[i].payload);
    return rq->items[i].payload;
}

static void on_answer(void *arg, struct buf *answer, bool close)
{
    struct sent *s = arg;
    s->ended = true;
    s->closed = close;
    buf_take(&s->raw, answer);
}

void send_bytes(struct session *s, struct bytes message, struct sent *out)
{
    struct buf copy = BUF_EMPTY;
    *out = (struct sent){0};
    ck_assert_int_eq(buf_add_bytes(&copy, message), RC_OK);
    out->handle = engine_submit(rig.engine, s, &copy, on_answer, out);
    ck_assert_ptr_nonnull(out->handle);
    ck_assert(!out->ended); /* never from within */
}

void send_request(struct session *s, const struct kmip_request *rq, struct sent *out)
{
    AUTO_BUF message = BUF_EMPTY;
    ck_assert_int_eq(kmip_request_write(&message, rq), RC_OK);
    send_bytes(s, buf_view(&message), out);
}

void wait_for(struct sent *sent)
{
    time_t since = time(NULL);
    while (!sent->ended)
        turn(since);
    if (!sent->raw.len)
        return;
    struct bytes copy = arena_copy(&rig.arena, buf_view(&sent->raw));
    buf_free(&sent->raw);
    rc_t rc = kmip_response_read(&rig.arena, copy, NULL, &sent->answer);
    ck_assert_msg(rc == RC_OK, "the answer cannot be read: %s", rc_name(rc));
    sent->raw = BUF_EMPTY;
    ck_assert_int_eq(buf_add_bytes(&sent->raw, copy), RC_OK);
}

struct kmip_response *call(struct session *s, const struct kmip_request *rq)
{
    struct sent sent;
    send_request(s, rq, &sent);
    wait_for(&sent);
    buf_free(&sent.raw);
    ck_assert_ptr_nonnull(sent.answer);
    return sent.answer;
}

/* ---- payloads ---- */

static struct node *name_node(const char *name)
{
    struct node *n = node_structure(&rig.arena, KMIP_TAG_NAME);
    node_append(n, node_text(&rig.arena, KMIP_TAG_NAME_VALUE, bytes_str(name)));
    node_append(n, node_enum(&rig.arena, KMIP_TAG_NAME_TYPE, KMIP_NAME_UNINTERPRETED_TEXT_STRING));
    return n;
}

void *create_aes(struct kmip_request *rq, size_t i, const char *name)
{
    struct kmip_create_request *in = item(rq, i, KMIP_OP_CREATE);
    struct arena *a = &rig.arena;
    in->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    in->attributes.present = true;
    kmip_attributes_add_enum(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_ALGORITHM,
                             KMIP_ALGORITHM_AES);
    kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_LENGTH, 256);
    kmip_attributes_add_integer(a, &in->attributes, KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK,
                                KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT);
    if (name)
        kmip_attributes_add(a, &in->attributes, name_node(name));
    return in;
}

void *by_uid(struct kmip_request *rq, size_t i, uint32_t operation, const char *uid)
{
    void *payload = item(rq, i, operation);
    if (uid) /* the first member of all these payloads */
        *(struct kmip_uid *)payload = KMIP_UID_TEXT(bytes_str(uid));
    return payload;
}

void *revoke_as(struct kmip_request *rq, size_t i, const char *uid, uint32_t reason)
{
    struct kmip_revoke_request *in = by_uid(rq, i, KMIP_OP_REVOKE, uid);
    in->revocation_reason = KMIP_NEW(&rig.arena, revocation_reason);
    in->revocation_reason->code = reason;
    return in;
}

void *locate_name(struct kmip_request *rq, size_t i, const char *name)
{
    struct kmip_locate_request *in = item(rq, i, KMIP_OP_LOCATE);
    in->attributes.present = true;
    if (name)
        kmip_attributes_add(&rig.arena, &in->attributes, name_node(name));
    return in;
}

const char *uid_of(const struct kmip_response *r, size_t i)
{
    const struct kmip_uid *uid = NULL;
    switch (r->items[i].operation) {
    case KMIP_OP_CREATE:
        uid = &((struct kmip_create_response *)r->items[i].payload)->unique_identifier;
        break;
    case KMIP_OP_GET:
        uid = &((struct kmip_get_response *)r->items[i].payload)->unique_identifier;
        break;
    case KMIP_OP_LOCATE:
        uid = ((struct kmip_locate_response *)r->items[i].payload)->unique_identifiers.items;
        break;
    default:
        uid = r->items[i].payload; /* the first member */
    }
    return arena_fmt(&rig.arena, "%.*s", (int)uid->text.len, (const char *)uid->text.data);
}

const char *new_key(struct session *s, const char *name)
{
    struct kmip_request *rq = request_new(V1_4, 1);
    create_aes(rq, 0, name);
    struct kmip_response *r = call(s, rq);
    expect_success(r, 0);
    return uid_of(r, 0);
}

uint32_t run_one(struct session *s, uint16_t version, uint32_t operation, const char *uid)
{
    struct kmip_request *rq = request_new(version, 1);
    by_uid(rq, 0, operation, uid);
    struct kmip_response *r = call(s, rq);
    ck_assert_uint_eq(r->count, 1);
    return r->items[0].result_reason;
}

/* ---- the program ---- */

static void say(void *arg, const char *text)
{
    (void)arg, (void)text;
}

/* In a process of its own, for the same reason: migrations are hashed. */
static bool migrate(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct db_admin *admin = NULL;
        pg_value(&pg, "postgres", "postgres", "CREATE DATABASE " DATABASE);
        rc_t rc = db_admin_open(pg_conninfo(&pg, DATABASE, "postgres"), NULL, &admin);
        if (rc == RC_OK)
            rc = db_migrate(admin, say, NULL);
        if (rc != RC_OK)
            printf("Bail out! migration: %s\n", db_admin_error(admin));
        fflush(stdout);
        _exit(rc == RC_OK ? 0 : 1);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
    pg_open(&pg);
    if (!migrate()) {
        pg_close(&pg);
        return EXIT_FAILURE;
    }
    SRunner *sr = srunner_create(batch_suite());
    srunner_add_suite(sr, attributes_suite());
    srunner_add_suite(sr, constraints_suite());
    srunner_add_suite(sr, pace_suite());
    srunner_add_suite(sr, pair_suite());
    srunner_add_suite(sr, race_suite());
    srunner_add_suite(sr, secrecy_suite());
    srunner_add_suite(sr, access_suite());
    srunner_add_suite(sr, templates_suite());
    srunner_add_suite(sr, locate_suite());
    srunner_add_suite(sr, trace_suite());
    srunner_add_suite(sr, factor_suite());
    srunner_add_suite(sr, trouble_suite());
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    pg_close(&pg);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
