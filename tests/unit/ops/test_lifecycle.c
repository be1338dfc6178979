/* Activate, Revoke, Destroy and Get in every state, in every version. */
#include "tests/unit/ops/ops_tests.h"

enum { COMPROMISE = 100, CESSATION };

static const uint32_t states[] = {STATE_PRE_ACTIVE,  STATE_ACTIVE,    STATE_DEACTIVATED,
                                  STATE_COMPROMISED, STATE_DESTROYED, STATE_DESTROYED_COMPROMISED};

/* What each operation comes to in each state, and the state afterwards (KMIP 2.1, 4.57). */
static const struct {
    uint32_t operation;
    int revocation;
    rc_t rc[6];
    uint32_t next[6];
} transitions[] = {
    {KMIP_OP_ACTIVATE,
     0,
     {RC_OK, RC_WRONG_STATE, RC_WRONG_STATE, RC_WRONG_STATE, RC_DESTROYED, RC_DESTROYED},
     {STATE_ACTIVE}},
    {KMIP_OP_DESTROY,
     0,
     {RC_OK, RC_WRONG_STATE, RC_OK, RC_OK, RC_DESTROYED, RC_DESTROYED},
     {STATE_DESTROYED, 0, STATE_DESTROYED, STATE_DESTROYED_COMPROMISED}},
    {KMIP_OP_REVOKE,
     CESSATION,
     {RC_WRONG_STATE, RC_OK, RC_WRONG_STATE, RC_WRONG_STATE, RC_DESTROYED, RC_DESTROYED},
     {0, STATE_DEACTIVATED}},
    {KMIP_OP_REVOKE,
     COMPROMISE,
     {RC_OK, RC_OK, RC_OK, RC_WRONG_STATE, RC_OK, RC_WRONG_STATE},
     {STATE_COMPROMISED, STATE_COMPROMISED, STATE_COMPROMISED, 0, STATE_DESTROYED_COMPROMISED}},
};

static void ask(struct world *w, int revocation)
{
    if (!revocation) {
        world_request(w); /* the placeholder names the object */
        return;
    }
    struct kmip_revoke_request *in = world_request(w);
    in->revocation_reason = KMIP_NEW(&w->arena, revocation_reason);
    in->revocation_reason->code = revocation == COMPROMISE ? KMIP_REVOKED_KEY_COMPROMISE
                                                           : KMIP_REVOKED_CESSATION_OF_OPERATION;
    in->revocation_reason->message = bytes_str("because");
}

static void check_one(size_t t, size_t s, uint16_t version)
{
    struct world w;
    world_open(&w, transitions[t].operation, version);
    world_key(&w, states[s]);
    ask(&w, transitions[t].revocation);
    rc_t rc = world_run(&w), want = transitions[t].rc[s];
    ck_assert_msg(rc == want, "operation %u state %u: %s, not %s", transitions[t].operation,
                  states[s], rc_name(rc), rc_name(want));
    if (rc == RC_OK) {
        const struct control *c = &w.item.changes[0].object->control;
        ck_assert_uint_eq(c->state, transitions[t].next[s]);
        ck_assert_uint_eq(c->version, 8);
        ck_assert_int_eq(w.item.changes[0].object->last_change_date, NOW);
        ck_assert_uint_eq(w.item.call_count, 1);
        ck_assert_int_eq(w.item.calls[0].op, VAULT_TRANSITION);
        ck_assert_uint_eq(w.item.changes[0].object->control_mac[0], 0xAA);
        ck_assert(uid_equal(&w.item.subject, &w.object.control.uid));
        world_encode(&w);
    } else {
        ck_assert_uint_eq(w.item.change_count, 0);
    }
    world_close(&w);
}

START_TEST(every_state)
{
    for (size_t t = 0; t < sizeof transitions / sizeof transitions[0]; t++)
        for (size_t s = 0; s < 6; s++)
            for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
                check_one(t, s, every_version[v]);
}
END_TEST

START_TEST(dates_count_as_states)
{
    struct world w;
    world_open(&w, KMIP_OP_ACTIVATE, V2_1);
    world_key(&w, STATE_PRE_ACTIVE);
    w.object.control.activation_date = NOW; /* has come: Active already */
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_WRONG_STATE);
    world_close(&w);

    world_open(&w, KMIP_OP_DESTROY, V2_1);
    world_key(&w, STATE_ACTIVE);
    w.object.control.deactivation_date = NOW; /* has come: may be destroyed */
    world_request(&w);
    ck_assert_int_eq(world_run(&w), RC_OK);
    ck_assert_int_eq(w.item.changes[0].object->control.destroy_date, NOW);
    ck_assert_uint_eq(w.item.changes[0].object->material.len, 0);
    world_close(&w);
}
END_TEST

/* The clock was set back by an hour since the key was activated: it can be revoked still, its dates in order. */
START_TEST(a_clock_set_back)
{
    static const int revocations[] = {CESSATION, COMPROMISE};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_open(&w, KMIP_OP_REVOKE, V2_1);
        world_key(&w, STATE_ACTIVE);
        w.object.control.initial_date = NOW + 3590;
        w.object.control.activation_date = NOW + 3600;
        ask(&w, revocations[i]);
        ck_assert_int_eq(world_run(&w), RC_OK);
        const struct control *c = &w.item.changes[0].object->control;
        ck_assert_int_eq(i ? c->compromise_date : c->deactivation_date, NOW + 3600);
        ck_assert_int_eq(w.item.changes[0].object->last_change_date, NOW + 3600);
        world_close(&w);
    }
}
END_TEST

START_TEST(compromise_dates)
{
    struct world w;
    world_open(&w, KMIP_OP_REVOKE, V1_4);
    world_key(&w, STATE_ACTIVE);
    ask(&w, COMPROMISE);
    ck_assert_int_eq(world_run(&w), RC_OK);
    const struct control *c = &w.item.changes[0].object->control;
    ck_assert_int_eq(c->compromise_date, NOW);
    ck_assert_int_eq(c->compromise_occurrence_date, c->initial_date);
    struct kmip_attributes list = world_attributes(&w);
    const struct kmip_attribute *at = kmip_attributes_find(&list, KMIP_TAG_REVOCATION_REASON, 0);
    ck_assert_ptr_nonnull(at);
    ck_assert(bytes_is(node_child(at->value, KMIP_TAG_REVOCATION_MESSAGE)->bytes, "because"));
    world_close(&w);

    static const struct {
        int revocation;
        int64_t date;
        rc_t rc;
    } cases[] = {{COMPROMISE, NOW - 5, RC_OK},
                 {COMPROMISE, NOW + 5, RC_INVALID_FIELD},
                 {CESSATION, NOW - 5, RC_INVALID_FIELD}};
    for (size_t i = 0; i < 3; i++) {
        world_open(&w, KMIP_OP_REVOKE, V2_0);
        world_key(&w, STATE_ACTIVE);
        ask(&w, cases[i].revocation);
        ((struct kmip_revoke_request *)(uintptr_t)w.item.request)->compromise_occurrence_date =
            KMIP_NUMBER(cases[i].date);
        ck_assert_int_eq(world_run(&w), cases[i].rc);
        world_close(&w);
    }
}
END_TEST

Suite *lifecycle_suite(void)
{
    Suite *s = suite_create("lifecycle");
    TCase *t = tcase_create("lifecycle");
    tcase_add_test(t, every_state);
    tcase_add_test(t, dates_count_as_states);
    tcase_add_test(t, a_clock_set_back);
    tcase_add_test(t, compromise_dates);
    suite_add_tcase(s, t);
    return s;
}
