/*
 * Which keys stubs are believed by, and what a month of the audit trail is let go against. The signature itself is
 * made with OpenSSL here, by a key that looks like an attestation key; tests/system/test_auditor.py has the TPM's.
 */
#include <stdio.h>
#include <string.h>

#include "db/hierarchy.h"
#include "tests/unit/db/fixture.h"

enum { AK_BYTES = 90, POINT_BYTES = 32 };

/* TPM2B_PUBLIC of a restricted P-256 signing key with these coordinates, as audit.ak_point() wants it. */
static void make_ak(uint8_t out[AK_BYTES], uint8_t x, uint8_t y)
{
    static const uint8_t head[] = {0, 0x58, 0,    0x23, 0,    0x0b, 0,    5, 4, 0x72, 0,
                                   0, 0,    0x10, 0,    0x18, 0,    0x0b, 0, 3, 0,    0x10};
    memset(out, 0, AK_BYTES);
    memcpy(out, head, sizeof head);
    out[23] = out[57] = POINT_BYTES;
    memset(out + 24, x, POINT_BYTES);
    memset(out + 58, y, POINT_BYTES);
}

static struct hierarchy_node node_of(uint8_t id, const uint8_t ak[AK_BYTES])
{
    return (struct hierarchy_node){.id = {{id}}, .ak_pub = bytes_of(ak, AK_BYTES), .cr_id = 1};
}

static rc_t enrol(const char *db, const char *role, struct hierarchy_node *node, bool *may)
{
    struct db_admin *a = NULL;
    struct hierarchy rows = {.node_count = 1, .nodes = node};
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, db, role), NULL, &a), RC_OK);
    *may = db_hierarchy_may_enrol(a) == RC_OK;
    rc_t rc = db_hierarchy_store(a, &rows, node, "Admin Initialise", NULL);
    db_admin_close(&a);
    return rc;
}

#define SIGNERS "SELECT coalesce(string_agg(left(node::text, 2), ' ' ORDER BY node), '') FROM audit.signers"
#define ANCHORS                                                                                                        \
    "SELECT coalesce(string_agg(substr(detail, 6, 2), ' ' ORDER BY seq), '') FROM audit.events WHERE operation = "     \
    "'Admin Anchor Audit Signer'"

START_TEST(keys_are_anchored_by_administrators_alone)
{
    uint8_t ak[AK_BYTES], other[AK_BYTES], none[AK_BYTES] = {0};
    const char *db = fresh_database();
    bool may = true;
    make_ak(ak, 1, 2);
    make_ak(other, 3, 4);
    struct hierarchy_node first = node_of(0x11, ak), again = node_of(0x11, other), second = node_of(0x22, ak),
                          keyless = node_of(0x33, none), intruder = node_of(0x44, other);
    ck_assert_int_eq(enrol(db, DB_ROLE_MIGRATOR, &first, &may), RC_OK);
    ck_assert(may);
    ck_assert_int_eq(enrol(db, DB_ROLE_MIGRATOR, &first, &may), RC_OK); /* a ceremony that is run again */
    ck_assert_int_eq(enrol(db, DB_ROLE_MIGRATOR, &again, &may), RC_WRONG_STATE);
    ck_assert_int_eq(enrol(db, DB_ROLE_MIGRATOR, &second, &may), RC_OK); /* the same TPM, set up anew */
    ck_assert_int_eq(enrol(db, DB_ROLE_MIGRATOR, &keyless, &may), RC_INVALID_FIELD);
    ck_assert_int_eq(enrol(db, DB_ROLE_SERVER, &intruder, &may), RC_DENIED);
    ck_assert(!may);
    ck_assert_str_eq(pg_value(&pg, db, "postgres", "SELECT count(*) FROM kmip.node"), "2");
    /* A node that the server writes is no signer. */
    pg_value(&pg, db, DB_ROLE_SERVER,
             "INSERT INTO kmip.node (id, ak_pub, cr_id, pcr_mask, approval) SELECT"
             " '44444444-4444-4444-4444-444444444444', ak_pub, 1, 1, 1 FROM kmip.node LIMIT 1");
    ck_assert_str_eq(pg_value(&pg, db, DB_ROLE_AUDITOR, SIGNERS), "11 22");
    ck_assert_str_eq(pg_value(&pg, db, DB_ROLE_AUDITOR, ANCHORS), "11 22");
}
END_TEST

/* What must not be: SQLSTATE of each. */
static const struct {
    const char *role, *sql, *want;
} rights[] = {
    {DB_ROLE_SERVER, "SELECT audit.anchor_signer(gen_random_uuid(), '')", "42501"},
    {DB_ROLE_POLICY, "SELECT audit.anchor_signer(gen_random_uuid(), '')", "42501"},
    {DB_ROLE_AUDITOR, "SELECT audit.anchor_signer(gen_random_uuid(), '')", "42501"},
    {DB_ROLE_SERVER, "SELECT * FROM audit.signer", "42501"},
    {DB_ROLE_SERVER, "INSERT INTO audit.signer VALUES (gen_random_uuid(), '', now(), 'x')", "42501"},
    {DB_ROLE_POLICY, "INSERT INTO audit.signer VALUES (gen_random_uuid(), '', now(), 'x')", "42501"},
    {DB_ROLE_MIGRATOR, "INSERT INTO audit.signer VALUES (gen_random_uuid(), '', now(), 'x')", "23514"},
    {DB_ROLE_MIGRATOR, "UPDATE audit.signer SET node = gen_random_uuid()", "HF004"},
    {DB_ROLE_MIGRATOR, "DELETE FROM audit.signer", "HF004"},
    {"postgres", "TRUNCATE audit.signer", "HF004"},
    {DB_ROLE_POLICY, "SELECT count(*) FROM audit.signers", ""},
};

START_TEST(nobody_changes_a_signer)
{
    uint8_t ak[AK_BYTES];
    const char *db = fresh_database();
    bool may = false;
    make_ak(ak, 1, 2);
    struct hierarchy_node node = node_of(0x11, ak);
    ck_assert_int_eq(enrol(db, DB_ROLE_MIGRATOR, &node, &may), RC_OK);
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        const char *state = pg_error(&pg, db, rights[i].role, rights[i].sql);
        ck_assert_msg(strcmp(state, rights[i].want) == 0, "%s: %s: %s", rights[i].role, rights[i].sql, state);
    }
}
END_TEST

/* Lets no migration after 0010 be applied, as if there were none. */
#define STOP_AT_10                                                                                                     \
    "CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"                                 \
    " IF to_regclass('holdfast.migration') IS NOT NULL THEN"                                                           \
    " IF (SELECT max(number) FROM holdfast.migration) >= 10 THEN RAISE 'stop'; END IF; END IF; END $$;"                \
    "CREATE EVENT TRIGGER stop ON ddl_command_start EXECUTE FUNCTION public.stop()"

START_TEST(a_database_of_before_anchors_its_nodes_when_it_is_migrated)
{
    struct db_admin *a = NULL;
    unsigned have = 0, want = 0;
    pg_value(&pg, "postgres", "postgres", "CREATE DATABASE of_before");
    pg_value(&pg, "of_before", "postgres", "GRANT USAGE ON SCHEMA public TO PUBLIC");
    pg_value(&pg, "of_before", "postgres", STOP_AT_10);
    ck_assert_int_eq(db_admin_open(pg_conninfo(&pg, "of_before", "postgres"), NULL, &a), RC_OK);
    ck_assert_int_ne(db_migrate(a, NULL, NULL), RC_OK);
    ck_assert_int_eq(db_migration_state(a, &have, &want), RC_OK);
    ck_assert_uint_eq(have, 10);
    pg_value(&pg, "of_before", DB_ROLE_SERVER,
             "INSERT INTO kmip.node (id, ak_pub, cr_id, pcr_mask, approval) VALUES"
             " ('11111111-1111-1111-1111-111111111111', decode('00580023000b00050472000000100018000b000300100020' ||"
             " repeat('01', 32) || '0020' || repeat('02', 32), 'hex'), 1, 1, 1),"
             " ('22222222-2222-2222-2222-222222222222', NULL, 1, 1, 1)");
    pg_value(&pg, "of_before", "postgres", "DROP EVENT TRIGGER stop");
    ck_assert_int_eq(db_migrate(a, NULL, NULL), RC_OK);
    db_admin_close(&a);
    ck_assert_str_eq(pg_value(&pg, "of_before", DB_ROLE_AUDITOR, SIGNERS), "11");
    ck_assert_str_eq(pg_value(&pg, "of_before", DB_ROLE_AUDITOR, ANCHORS), "11");
    ck_assert_str_eq(pg_value(&pg, "of_before", DB_ROLE_AUDITOR, "SELECT anchored_by FROM audit.signers"), "postgres");
    ck_assert_str_eq(verify_text("of_before"), "verified");
}
END_TEST

/* Both who exports and who drops see why a month stays, though neither may look into all that it hangs on. */
START_TEST(why_a_month_is_kept_is_told)
{
    static const char *const roles[] = {DB_ROLE_AUDITOR, DB_ROLE_POLICY};
    const char *db = fresh_database();
    pg_value(&pg, db, DB_ROLE_POLICY, "SELECT audit.set_retention(1, 'a test')");
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        ck_assert_str_eq(pg_value(&pg, db, roles[i], "SELECT string_agg(DISTINCT why_not, ', ') FROM audit.partitions"),
                         "the month is not over");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db retention");
    TCase *t = tcase_create("signers");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, keys_are_anchored_by_administrators_alone);
    tcase_add_test(t, nobody_changes_a_signer);
    tcase_add_test(t, a_database_of_before_anchors_its_nodes_when_it_is_migrated);
    tcase_add_test(t, why_a_month_is_kept_is_told);
    suite_add_tcase(s, t);
    return run_suite(s);
}
