/*
 * Domains, clients, groups and roles by the SQL API: what is done and what is refused, step by step
 * in one database. Of each step: the SQLSTATE, the clients whose standing it raised, and that it
 * wrote one audit row with its reason, or none where it was refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/db/fixture.h"

#define DONE     ""
#define MISSING  "P0002"
#define TAKEN    "23505"
#define NOT_NOW  "55000"
#define NO_VALUE "22023"
#define LIMIT    "53400"

#define CLIENT(name, domain)                                                                       \
    "policy.client_add('" name "', 'CN=ca', 'uri', 'urn:" name "', '" name "', 'f-" name           \
    "', now(), now() + interval '1 day', '" domain "', 'why')"

static const struct step {
    const char *call;
    const char *state;
    const char *raised; /* names, in order */
} steps[] = {
    /* domains */
    {"policy.domain_add('north', 'why')", DONE, ""},
    {"policy.domain_add('south', 'why')", DONE, ""},
    {"policy.domain_add('north', 'why')", TAKEN, ""},
    {"policy.domain_add('', 'why')", NO_VALUE, ""},
    {"policy.domain_add(' x', 'why')", NO_VALUE, ""},
    {"policy.domain_add(E'x\\ny', 'why')", NO_VALUE, ""},
    {"policy.domain_add(repeat('x', 256), 'why')", NO_VALUE, ""},
    {"policy.domain_add(NULL, 'why')", NO_VALUE, ""},
    {"policy.domain_add('west', NULL)", NO_VALUE, ""},
    {"policy.domain_add('west', ' ')", NO_VALUE, ""},
    {"policy.domain_add('west', repeat('x', 1025))", NO_VALUE, ""},
    /* clients, up to the limit of their domain */
    {CLIENT("a", "default"), DONE, ""},
    {CLIENT("b", "default"), DONE, ""},
    {CLIENT("c", "default"), DONE, ""},
    {CLIENT("n", "north"), DONE, ""},
    {CLIENT("n", "south"), TAKEN, ""}, /* names of clients are one for all domains */
    {CLIENT("x", "nowhere"), MISSING, ""},
    {"policy.domain_limits('north', 2, NULL, 'why')", DONE, "n"},
    {CLIENT("m", "north"), DONE, ""},
    {CLIENT("x", "north"), LIMIT, ""},
    {"policy.domain_limits('north', 1, 7, 'why')", DONE, "m n"}, /* below what is there */
    {CLIENT("x", "north"), LIMIT, ""},
    {"policy.domain_limits('north', -1, NULL, 'why')", DONE, "m n"},
    {CLIENT("o", "north"), DONE, ""},
    {"policy.domain_limits('north', -2, NULL, 'why')", NO_VALUE, ""},
    {"policy.domain_limits('north', NULL, -7, 'why')", NO_VALUE, ""},
    {"policy.domain_limits('nowhere', 1, 1, 'why')", MISSING, ""},
    {"policy.domain_limits('north', 1, 1, '')", NO_VALUE, ""},
    {"policy.domain_enable('north', false, 'why')", DONE, "m n o"},
    {"policy.domain_enable('north', true, 'why')", DONE, "m n o"},
    {"policy.domain_enable('nowhere', true, 'why')", MISSING, ""},
    {"policy.domain_enable('north', false, NULL)", NO_VALUE, ""},
    /* what holds for one client */
    {"policy.client_set('a', true, NULL, NULL, 'why')", DONE, "a"},
    {"policy.client_set('a', NULL, true, '{pad,iv-first,pad}', 'why')", DONE, "a"},
    {"policy.client_set('a', NULL, NULL, '{pad,no-such}', 'why')", MISSING, ""},
    {"policy.client_set('a', NULL, NULL, '{NULL}', 'why')", MISSING, ""},
    {"policy.client_set('nobody', true, NULL, NULL, 'why')", MISSING, ""},
    {"policy.client_set('a', true, NULL, NULL, NULL)", NO_VALUE, ""},
    {"policy.client_enable('b', false, 'why')", DONE, "b"},
    {"policy.client_enable('b', true, 'why')", DONE, "b"},
    {"policy.client_enable('b', true, '')", NO_VALUE, ""},
    {"policy.client_enable('nobody', true, 'why')", MISSING, ""},
    {"policy.certificate_add('b', 'CN=ca', 'uri', 'urn:b2', '0b', 'b2', now(), now() + interval '1 day', 'why')", DONE,
     ""},
    {"policy.certificate_add('b', 'CN=ca', 'uri', 'urn:b3', '0c', 'b3', now(), now() + interval '1 day', '')", NO_VALUE,
     ""},
    {"policy.certificate_revoke('b', 'b2', 'why')", DONE, "b"},
    {"policy.certificate_revoke('b', 'b2', '')", NO_VALUE, ""},
    {"policy.certificate_revoke('b', 'b9', 'why')", MISSING, ""},
    {"policy.client_revoke('o', 'why')", DONE, "o"},
    {"policy.client_revoke('o', '')", NO_VALUE, ""},
    /* groups */
    {"policy.group_add('default', 'hosts', 'why')", DONE, ""},
    {"policy.group_add('north', 'hosts', 'why')", DONE, ""}, /* each domain has its own names */
    {"policy.group_add('default', 'hosts', 'why')", TAKEN, ""},
    {"policy.group_add('nowhere', 'hosts', 'why')", MISSING, ""},
    {"policy.group_add('default', '', 'why')", NO_VALUE, ""},
    {"policy.group_add('default', 'more', '')", NO_VALUE, ""},
    {"policy.group_join('default', 'hosts', 'a', 'why')", DONE, "a"},
    {"policy.group_join('default', 'hosts', 'b', 'why')", DONE, "a b"},
    {"policy.group_join('default', 'hosts', 'a', 'why')", TAKEN, ""},
    {"policy.group_join('default', 'hosts', 'n', 'why')", NOT_NOW, ""}, /* another domain's */
    {"policy.group_join('north', 'hosts', 'a', 'why')", NOT_NOW, ""},
    {"policy.group_join('default', 'hosts', 'nobody', 'why')", MISSING, ""},
    {"policy.group_join('default', 'none', 'a', 'why')", MISSING, ""},
    {"policy.group_join('south', 'hosts', 'a', 'why')", MISSING, ""},
    {"policy.group_join('default', 'hosts', 'c', ' ')", NO_VALUE, ""},
    {"policy.group_share('default', 'hosts', false, 'why')", DONE, "a b"},
    {"policy.group_share('default', 'hosts', true, 'why')", DONE, "a b"},
    {"policy.group_share('default', 'none', true, 'why')", MISSING, ""},
    {"policy.group_share('default', 'hosts', true, NULL)", NO_VALUE, ""},
    {"policy.group_leave('default', 'hosts', 'c', 'why')", MISSING, ""},
    {"policy.group_leave('default', 'hosts', 'n', 'why')", NOT_NOW, ""},
    {"policy.group_leave('default', 'hosts', 'a', '')", NO_VALUE, ""},
    {"policy.group_leave('default', 'hosts', 'a', 'why')", DONE, "a b"},
    {"policy.group_join('default', 'hosts', 'a', 'why')", DONE, "a b"},
    /* roles */
    {"policy.role_add('default', 'backup', 'why')", DONE, ""},
    {"policy.role_add('north', 'backup', 'why')", DONE, ""},
    {"policy.role_add('default', 'backup', 'why')", TAKEN, ""},
    {"policy.role_add('nowhere', 'backup', 'why')", MISSING, ""},
    {"policy.role_add('default', 'x ', 'why')", NO_VALUE, ""},
    {"policy.role_add('default', 'more', NULL)", NO_VALUE, ""},
    {"policy.role_give('default', 'backup', 'c', NULL, 'why')", DONE, "c"},
    {"policy.role_give('default', 'backup', 'c', NULL, 'why')", TAKEN, ""},
    {"policy.role_give('default', 'backup', NULL, 'hosts', 'why')", DONE, "a b"},
    {"policy.role_give('default', 'backup', NULL, 'hosts', 'why')", TAKEN, ""},
    {"policy.role_give('default', 'backup', 'a', 'hosts', 'why')", NO_VALUE, ""},
    {"policy.role_give('default', 'backup', NULL, NULL, 'why')", NO_VALUE, ""},
    {"policy.role_give('default', 'backup', 'n', NULL, 'why')", NOT_NOW, ""},
    {"policy.role_give('default', 'backup', NULL, 'none', 'why')", MISSING, ""},
    {"policy.role_give('default', 'none', 'a', NULL, 'why')", MISSING, ""},
    {"policy.role_give('default', 'backup', 'b', NULL, '')", NO_VALUE, ""},
    {"policy.role_take('default', 'backup', 'a', NULL, 'why')", MISSING,
     ""}, /* it is the group's */
    {"policy.role_take('default', 'backup', 'c', NULL, NULL)", NO_VALUE, ""},
    {"policy.role_take('default', 'backup', 'c', NULL, 'why')", DONE, "c"},
    {"policy.role_give('default', 'backup', 'c', NULL, 'why')", DONE, "c"},
    /* what rules name stays */
    {"public.name_in_rule('hosts', NULL)", DONE, ""},
    {"policy.group_remove('default', 'hosts', 'why')", NOT_NOW, ""},
    {"public.name_in_rule(NULL, 'backup')", DONE, ""},
    {"policy.role_remove('default', 'backup', 'why')", NOT_NOW, ""},
    {"public.forget_rules()", DONE, ""},
    {"policy.role_remove('default', 'backup', NULL)", NO_VALUE, ""},
    {"policy.role_remove('default', 'backup', 'why')", DONE, "a b c"},
    {"policy.role_remove('default', 'backup', 'why')", MISSING, ""},
    {"policy.group_remove('default', 'hosts', '')", NO_VALUE, ""},
    {"policy.group_remove('default', 'hosts', 'why')", DONE, "a b"},
    {"policy.group_remove('default', 'hosts', 'why')", MISSING, ""},
    {"policy.group_remove('north', 'hosts', 'why')", DONE, ""},
};

/* Rules by hand, the standings before a step, and a quirk or two. */
static const char prepare[] =
    "CREATE TABLE public.before (id uuid PRIMARY KEY, standing bigint);"
    "GRANT USAGE ON SCHEMA public TO PUBLIC;"
    "DELETE FROM policy.quirk;"
    "INSERT INTO policy.quirk VALUES ('pad', 'x'), ('iv-first', 'y');"
    "CREATE FUNCTION public.name_in_rule(g text, r text) RETURNS void LANGUAGE sql SECURITY "
    "DEFINER AS $$"
    " INSERT INTO policy.rule (domain, effect, permissions, reason, client_group, role) VALUES (1, "
    "'allow', '{get}', 'x',"
    "  (SELECT id FROM policy.client_group WHERE name = g AND domain = 1),"
    "  (SELECT id FROM policy.role WHERE name = r AND domain = 1)) $$;"
    "CREATE FUNCTION public.forget_rules() RETURNS void LANGUAGE sql SECURITY DEFINER AS"
    " $$ DELETE FROM policy.rule WHERE client_group IS NOT NULL OR role IS NOT NULL $$";

static const char *database;

static const char *as_owner(const char *sql)
{
    return pg_value(&pg, database, "postgres", sql);
}

static void take_step(const struct step *s)
{
    static const char notes[] = "SELECT count(*) FROM audit.event WHERE operation LIKE 'Admin %' "
                                "AND detail LIKE '% reason=why'";
    char sql[700];
    as_owner("DELETE FROM public.before; INSERT INTO public.before SELECT id, standing FROM "
             "policy.client");
    int before = atoi(as_owner(notes));
    snprintf(sql, sizeof sql, "SELECT %s", s->call);
    const char *state = pg_error(&pg, database, DB_ROLE_POLICY, sql);
    ck_assert_msg(strcmp(state, s->state) == 0, "%s: %s, not %s", s->call, state, s->state);
    const char *raised =
        as_owner("SELECT coalesce(string_agg(c.name, ' ' ORDER BY c.name), '') FROM policy.client c"
                 " JOIN public.before b ON b.id = c.id WHERE c.standing > b.standing");
    ck_assert_msg(strcmp(raised, s->raised) == 0, "%s raised '%s'", s->call, raised);
    bool noted = !*s->state && strncmp(s->call, "policy.", 7) == 0;
    int after = atoi(as_owner(notes));
    ck_assert_msg(after == before + noted, "%s wrote %d audit rows", s->call, after - before);
}

static void is(const char *role, const char *sql, const char *want)
{
    const char *got = pg_value(&pg, database, role, sql);
    ck_assert_msg(strcmp(got, want) == 0, "%s: '%s', not '%s'", sql, got, want);
}

START_TEST(each_step_does_what_it_says_or_says_why_not)
{
    database = fresh_database();
    as_owner(prepare);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strcmp(steps[i].call, "policy.role_remove('default', 'backup', NULL)") == 0) {
            is(DB_ROLE_POLICY, "SELECT groups || '/' || roles FROM policy.clients WHERE name = 'a'",
               "hosts/backup");
            is(DB_ROLE_POLICY,
               "SELECT members || '/' || roles FROM policy.groups WHERE domain = 'default'",
               "a, b/backup");
            is(DB_ROLE_POLICY, "SELECT members FROM policy.roles WHERE domain = 'default'",
               "client c, group hosts");
        }
        take_step(&steps[i]);
    }
    is(DB_ROLE_POLICY,
       "SELECT second_factor::text || legacy_tls || quirks::text FROM policy.clients WHERE name = "
       "'a'",
       "truetrue{iv-first,pad}");
    is(DB_ROLE_POLICY,
       "SELECT string_agg(concat_ws(' ', id, name, enabled, has_key, max_clients, max_objects, "
       "clients), ', ' ORDER BY id)"
       " FROM policy.domains",
       "1 default t f 3, 2 north t f 7 3, 3 south t f 0");
    is(DB_ROLE_POLICY, "SELECT count(*) FROM policy.rule WHERE domain = 2",
       "3"); /* its first rules */
    is(DB_ROLE_POLICY, "SELECT count(*) FROM policy.groups", "0");
    is(DB_ROLE_AUDITOR, "SELECT what FROM audit.verify()", "verified");
    is(DB_ROLE_AUDITOR,
       "SELECT detail FROM audit.events WHERE operation = 'Admin Set Domain Limits' ORDER BY seq "
       "DESC LIMIT 1",
       "domain=north max_clients=none max_objects=7 reason=why");
}
END_TEST

/* The helpers are the owner's alone, and nobody gets round the functions. */
static const struct {
    const char *role, *sql, *state;
} rights[] = {
    {DB_ROLE_POLICY, "SELECT policy.raise_standing('{}')", "42501"},
    {DB_ROLE_POLICY, "SELECT policy.domain_lock('default')", "42501"},
    {DB_ROLE_POLICY, "SELECT policy.members_of(gen_random_uuid())", "42501"},
    {DB_ROLE_POLICY, "SELECT policy.first_rules(1)", "42501"},
    {DB_ROLE_POLICY, "SELECT kmip.domain_keyed(1)", "42501"},
    {DB_ROLE_POLICY, "SELECT kmip.add_domain_key(1, 1, 1, '', '', '')", "42501"},
    {DB_ROLE_POLICY, "INSERT INTO policy.domain (id, name) VALUES (9, 'x')", "42501"},
    {DB_ROLE_POLICY, "UPDATE policy.domain SET enabled = true", "42501"},
    {DB_ROLE_POLICY, "INSERT INTO policy.client_group (domain, name) VALUES (1, 'x')", "42501"},
    {DB_ROLE_POLICY,
     "INSERT INTO policy.group_member VALUES (gen_random_uuid(), gen_random_uuid())", "42501"},
    {DB_ROLE_POLICY, "DELETE FROM policy.role", "42501"},
    {DB_ROLE_POLICY, "SELECT * FROM policy.domains, policy.groups, policy.roles", ""},
    {DB_ROLE_SERVER, "SELECT policy.domain_add('x', 'why')", "42501"},
    {DB_ROLE_SERVER, "SELECT policy.group_add('default', 'x', 'why')", "42501"},
    {DB_ROLE_SERVER, "SELECT policy.role_give('default', 'x', 'y', NULL, 'why')", "42501"},
    {DB_ROLE_SERVER, "SELECT policy.client_set('first', true, NULL, NULL, 'why')", "42501"},
    {DB_ROLE_SERVER, "UPDATE policy.domain SET keyed_at = NULL", "42501"},
    {DB_ROLE_SERVER, "SELECT kmip.domain_keyed(1)", ""},
    {DB_ROLE_AUDITOR, "SELECT policy.domain_add('x', 'why')", "42501"},
    {DB_ROLE_AUDITOR, "SELECT * FROM policy.groups", "42501"},
};

START_TEST(each_role_calls_its_own_functions_only)
{
    database = fresh_database();
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        const char *got = pg_error(&pg, database, rights[i].role, rights[i].sql);
        ck_assert_msg(strcmp(got, rights[i].state) == 0, "%s: %s: '%s'", rights[i].role,
                      rights[i].sql, got);
    }
    is("postgres",
       "SELECT count(*) FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace"
       " WHERE s.nspname = 'policy' AND (obj_description(p.oid) IS NULL OR "
       "has_function_privilege('public', p.oid, 'EXECUTE'))",
       "0");
}
END_TEST

/* One key, whoever comes first, and none a second time. */
START_TEST(a_domain_gets_one_key)
{
    static const char add[] = "SELECT kmip.add_domain_key(2, 1, 1, 'p', 'q', 'm')";
    database = fresh_database();
    pg_value(&pg, database, DB_ROLE_POLICY, "SELECT policy.domain_add('north', 'why')");
    is(DB_ROLE_SERVER, "SELECT kmip.domain_keyed(2)", "");
    is(DB_ROLE_POLICY, "SELECT has_key FROM policy.domains WHERE id = 2",
       "f"); /* there is none yet */
    is(DB_ROLE_SERVER, add, "t");
    is(DB_ROLE_SERVER, add, "f");
    is(DB_ROLE_POLICY, "SELECT has_key FROM policy.domains WHERE id = 2", "f");
    is(DB_ROLE_SERVER, "SELECT kmip.domain_keyed(2)", "");
    is(DB_ROLE_POLICY, "SELECT has_key FROM policy.domains WHERE id = 2", "t");
    as_owner("DELETE FROM kmip.dk");
    is(DB_ROLE_SERVER, add, "f"); /* another one would open nothing of what the lost one sealed */
    is(DB_ROLE_SERVER, "SELECT kmip.add_domain_key(9, 1, 1, 'p', 'q', 'm')",
       "f"); /* no such domain */
    is(DB_ROLE_AUDITOR,
       "SELECT count(*) FROM audit.events WHERE operation = 'Admin Make Domain Key'", "1");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db clients");
    TCase *t = tcase_create("clients");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, each_step_does_what_it_says_or_says_why_not);
    tcase_add_test(t, each_role_calls_its_own_functions_only);
    tcase_add_test(t, a_domain_gets_one_key);
    suite_add_tcase(s, t);
    return run_suite(s);
}
