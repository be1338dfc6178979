/* The life cycle's rules: every pair of states, and every field that may not change. */
#include "server/vault/rules.h"
#include "tests/unit/vault/vault_tests.h"

/* A record in `state`, with the dates and reason that the state asks for. */
static struct control in_state(uint32_t state)
{
    struct control c = sample_control();
    c.state = state;
    if (state == STATE_PRE_ACTIVE)
        c.activation_date = NO_DATE;
    if (state == STATE_DEACTIVATED)
        c.deactivation_date = 1500;
    if (state == STATE_COMPROMISED || state == STATE_DESTROYED_COMPROMISED) {
        c.compromise_date = 1500;
        c.compromise_occurrence_date = 1200;
        c.revocation_reason = 2;
    }
    if (state == STATE_DESTROYED || state == STATE_DESTROYED_COMPROMISED)
        c.destroy_date = 1600;
    return c;
}

/* What an honest worker asks for to bring `old` to `state`. */
static struct control brought_to(const struct control *old, uint32_t state)
{
    struct control c = *old, like = in_state(state);
    c.version++;
    c.state = state;
    if (state == STATE_ACTIVE && c.activation_date == NO_DATE)
        c.activation_date = SAMPLE_NOW;
    if (state == STATE_DEACTIVATED && c.deactivation_date == NO_DATE)
        c.deactivation_date = SAMPLE_NOW;
    if (like.compromise_date != NO_DATE && c.compromise_date == NO_DATE) {
        c.compromise_date = SAMPLE_NOW;
        c.compromise_occurrence_date = 1200;
        c.revocation_reason = 2;
    }
    if (like.destroy_date != NO_DATE && c.destroy_date == NO_DATE)
        c.destroy_date = SAMPLE_NOW;
    return c;
}

/* KMIP 2.1, 4.57, figure of states. Rows: from; columns: to; pre-active, active, deactivated,
 * compromised, destroyed, destroyed compromised. */
static const char *const diagram[] = {
    "yy.yy.", /* pre-active */
    ".yyy..", /* active */
    "..yyy.", /* deactivated */
    "...y.y", /* compromised */
    "....yy", /* destroyed */
    ".....y", /* destroyed compromised */
};

START_TEST(each_pair_of_states_is_as_in_the_diagram)
{
    uint32_t from = 1 + (uint32_t)_i / 6, to = 1 + (uint32_t)_i % 6;
    struct control old = in_state(from), next = brought_to(&old, to);
    rc_t want = diagram[from - 1][to - 1] == 'y' ? RC_OK : RC_ILLEGAL_TRANSITION;
    ck_assert_msg(rules_transition(&old, &next, SAMPLE_NOW) == want, "from %u to %u", from, to);
}
END_TEST

static void uid(struct control *c)
{
    c->uid.raw[3] ^= 1;
}
static void domain(struct control *c)
{
    c->domain++;
}
static void owner(struct control *c)
{
    c->owner.raw[3] ^= 1;
}
static void type(struct control *c)
{
    c->object_type = 7;
}
static void protection(struct control *c)
{
    c->protection = PROTECTION_TPM_RESIDENT;
}
static void algorithm(struct control *c)
{
    c->algorithm = 9;
}
static void length(struct control *c)
{
    c->length = 128;
}
static void initial(struct control *c)
{
    c->initial_date++;
}
static void version_same(struct control *c)
{
    c->version--;
}
static void version_skip(struct control *c)
{
    c->version++;
}
static void never_set(struct control *c)
{
    c->never_extractable = true;
}
static void always_set(struct control *c)
{
    c->always_sensitive = true;
}
static void destroy_date(struct control *c)
{
    c->destroy_date = SAMPLE_NOW;
}
static void compromise_date(struct control *c)
{
    c->compromise_date = SAMPLE_NOW;
}
static void occurrence(struct control *c)
{
    c->compromise_occurrence_date = 1100;
}
static void reason(struct control *c)
{
    c->revocation_reason = 2;
} /* a compromise without its state */
static void (*const never[])(struct control *) = {
    uid,          domain,          owner,        type,         protection, algorithm,
    length,       initial,         version_same, version_skip, never_set,  always_set,
    destroy_date, compromise_date, occurrence,   reason,
};

/* In the four states of the living; the last five differ where the state itself brings the field.
 */
START_TEST(what_never_changes_does_not_change)
{
    for (uint32_t state = STATE_PRE_ACTIVE; state <= STATE_DEACTIVATED; state++) {
        struct control old = in_state(state), next = old;
        next.version++;
        ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_OK);
        never[_i](&next);
        ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    }
}
END_TEST

#define S(state) (1u << STATE_##state)

static void activation(struct control *c)
{
    c->activation_date = c->activation_date == NO_DATE ? 3000 : 1002;
}
static void deactivation(struct control *c)
{
    c->deactivation_date = 4000;
}
static void process_start(struct control *c)
{
    c->process_start_date = 1500;
}
static void protect_stop(struct control *c)
{
    c->protect_stop_date = 3500;
}
static void mask(struct control *c)
{
    c->usage_mask = 4;
}
static void mask_wider(struct control *c)
{
    c->usage_mask |= 0x80000;
}
static void sensitive_on(struct control *c)
{
    c->sensitive = true;
}
static void extractable_off(struct control *c)
{
    c->extractable = false;
}
static void superseded(struct control *c)
{
    c->revocation_reason = 5;
}
static void backwards(struct control *c)
{
    c->activation_date = 4000;
    c->deactivation_date = 3000;
}

static const struct {
    void (*change)(struct control *);
    unsigned allowed; /* states in which it may */
} changes[] = {
    {activation, S(PRE_ACTIVE)},
    {deactivation, S(PRE_ACTIVE) | S(ACTIVE)},
    {process_start, S(PRE_ACTIVE) | S(ACTIVE)},
    {protect_stop, S(PRE_ACTIVE) | S(ACTIVE)},
    {backwards, 0},
    {mask, S(PRE_ACTIVE) | S(ACTIVE) | S(DEACTIVATED) | S(COMPROMISED)},
    {mask_wider, 0},
    {sensitive_on, S(PRE_ACTIVE) | S(ACTIVE) | S(DEACTIVATED) | S(COMPROMISED)},
    {extractable_off, S(PRE_ACTIVE) | S(ACTIVE) | S(DEACTIVATED) | S(COMPROMISED)},
    {superseded, S(PRE_ACTIVE) | S(ACTIVE) | S(DEACTIVATED) | S(DESTROYED)},
};

START_TEST(fields_change_only_in_their_states)
{
    for (uint32_t state = STATE_PRE_ACTIVE; state <= STATE_DESTROYED_COMPROMISED; state++) {
        struct control old = in_state(state), next = old;
        rc_t want = changes[_i].allowed & 1u << state ? RC_OK : RC_ILLEGAL_TRANSITION;
        next.version++;
        changes[_i].change(&next);
        ck_assert_msg(rules_transition(&old, &next, SAMPLE_NOW) == want, "change %d in state %u",
                      _i, state);
    }
}
END_TEST

START_TEST(guards_grow_tighter_and_history_flags_only_become_false)
{
    for (unsigned bits = 0; bits < 256; bits++) {
        struct control old = in_state(STATE_ACTIVE), next;
        old.extractable = bits & 1;
        old.never_extractable = bits & 2;
        old.sensitive = bits & 4;
        old.always_sensitive = bits & 8;
        if ((old.never_extractable && old.extractable) || (old.always_sensitive && !old.sensitive))
            continue; /* no such record */
        next = old;
        next.version++;
        next.extractable = bits & 16;
        next.never_extractable = bits & 32;
        next.sensitive = bits & 64;
        next.always_sensitive = bits & 128;
        bool looser = (next.extractable && !old.extractable) || (!next.sensitive && old.sensitive);
        bool right = !looser &&
                     next.never_extractable == (old.never_extractable && !next.extractable) &&
                     next.always_sensitive == (old.always_sensitive && next.sensitive);
        ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW),
                         right ? RC_OK : RC_ILLEGAL_TRANSITION);
    }
}
END_TEST

START_TEST(dates_move_the_state_before_the_worker_writes_it)
{
    struct control old = in_state(STATE_PRE_ACTIVE), next;
    old.activation_date = 1500;
    old.deactivation_date = 1800; /* effective: deactivated */
    next = brought_to(&old, STATE_DESTROYED);
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_OK);
    next = brought_to(&old, STATE_DEACTIVATED); /* writes down what the dates say */
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_OK);
    next = brought_to(&old, STATE_ACTIVE); /* would be Active again if a clock went back */
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    next.deactivation_date = NO_DATE; /* never Active again */
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    ck_assert_int_eq(rules_transition(&old, &next, 1700), RC_OK); /* while it still was */
}
END_TEST

static void now_is(struct control *c, int64_t then)
{
    int64_t *const dates[] = {&c->activation_date, &c->deactivation_date, &c->compromise_date, &c->destroy_date};
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++)
        if (*dates[i] == SAMPLE_NOW) {
            *dates[i] = then;
            if (dates[i] == &c->compromise_date)
                c->compromise_occurrence_date = c->initial_date;
        }
}

/* The clock was set back behind all that has happened: what may follow may follow still, dated from there. */
START_TEST(a_clock_set_back_hinders_no_change)
{
    enum { EARLIER = 900 }; /* before the initial date */
    for (uint32_t from = STATE_PRE_ACTIVE; from <= STATE_DESTROYED_COMPROMISED; from++)
        for (uint32_t to = STATE_PRE_ACTIVE; to <= STATE_DESTROYED_COMPROMISED; to++) {
            struct control old = in_state(from), next = brought_to(&old, to);
            int64_t then = control_time(&old, EARLIER);
            ck_assert_int_gt(then, EARLIER);
            now_is(&next, then);
            rc_t want = diagram[from - 1][to - 1] == 'y' ? RC_OK : RC_ILLEGAL_TRANSITION;
            ck_assert_msg(rules_transition(&old, &next, EARLIER) == want, "from %u to %u", from, to);
        }
    struct control old = in_state(STATE_ACTIVE), next = brought_to(&old, STATE_DEACTIVATED);
    next.deactivation_date = control_time(&old, EARLIER) + RULES_SKEW_S + 1; /* and no later */
    ck_assert_int_eq(rules_transition(&old, &next, EARLIER), RC_ILLEGAL_TRANSITION);
}
END_TEST

START_TEST(an_active_key_is_not_destroyed_and_a_future_date_is_not_now)
{
    struct control old = in_state(STATE_ACTIVE), next = brought_to(&old, STATE_DESTROYED);
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    next = brought_to(&old, STATE_DEACTIVATED);
    next.deactivation_date = SAMPLE_NOW + RULES_SKEW_S + 1;
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    next = brought_to(&old, STATE_COMPROMISED);
    next.compromise_date = NO_DATE;
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    next.compromise_date = SAMPLE_NOW;
    next.revocation_reason = 5;
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_ILLEGAL_TRANSITION);
    next.revocation_reason = 3;
    ck_assert_int_eq(rules_transition(&old, &next, SAMPLE_NOW), RC_OK);
}
END_TEST

static void ok(struct control *c)
{
    (void)c;
}
static void nil_uid(struct control *c)
{
    memset(&c->uid, 0, sizeof c->uid);
}
static void nil_owner(struct control *c)
{
    memset(&c->owner, 0, sizeof c->owner);
}
static void no_domain(struct control *c)
{
    c->domain = 0;
}
static void resident(struct control *c)
{
    c->protection = PROTECTION_TPM_RESIDENT;
}
static void future_initial(struct control *c)
{
    c->initial_date = SAMPLE_NOW + 100;
}
static void active_undated(struct control *c)
{
    c->activation_date = NO_DATE;
}
static void active_later(struct control *c)
{
    c->activation_date = SAMPLE_NOW + 100;
}
static void pre_active_later(struct control *c)
{
    c->state = STATE_PRE_ACTIVE;
    c->activation_date = SAMPLE_NOW + 100;
}
static void dead(struct control *c)
{
    c->state = STATE_DESTROYED;
    c->destroy_date = 1500;
}
static void compromised(struct control *c)
{
    c->state = STATE_COMPROMISED;
    c->compromise_date = 1500;
    c->revocation_reason = 2;
}
static void wrong_never(struct control *c)
{
    c->never_extractable = true;
}
static void wrong_always(struct control *c)
{
    c->sensitive = true;
}

static const struct {
    void (*change)(struct control *);
    rc_t want;
} begins[] = {
    {ok, RC_OK},
    {pre_active_later, RC_OK},
    {resident, RC_FEATURE},
    {nil_uid, RC_INVALID_FIELD},
    {nil_owner, RC_INVALID_FIELD},
    {no_domain, RC_INVALID_FIELD},
    {future_initial, RC_INVALID_FIELD},
    {active_undated, RC_INVALID_FIELD},
    {active_later, RC_INVALID_FIELD},
    {dead, RC_INVALID_FIELD},
    {compromised, RC_INVALID_FIELD},
    {wrong_never, RC_INVALID_FIELD},
    {wrong_always, RC_INVALID_FIELD},
};

START_TEST(objects_begin_as_they_must)
{
    struct control c = sample_control();
    begins[_i].change(&c);
    ck_assert_int_eq(rules_new(&c, SAMPLE_NOW), begins[_i].want);
}
END_TEST

/* Each step of the way to a refusal, the last one first. */
START_TEST(a_key_is_used_only_as_it_may)
{
    enum { ENCRYPT = 4, DECRYPT = 8 };
    struct control c = sample_control();
    c.sensitive = true; /* it need not leave for that */
    c.extractable = false;
    ck_assert_int_eq(rules_use(&c, ENCRYPT, SAMPLE_NOW), RC_OK);
    c.protect_stop_date = SAMPLE_NOW;
    ck_assert_int_eq(rules_use(&c, ENCRYPT, SAMPLE_NOW), RC_WRONG_STATE);
    ck_assert_int_eq(rules_use(&c, DECRYPT, SAMPLE_NOW), RC_OK);
    c.state = STATE_COMPROMISED;
    ck_assert_int_eq(rules_use(&c, DECRYPT, SAMPLE_NOW), RC_OK);
    c.process_start_date = SAMPLE_NOW + 1;
    ck_assert_int_eq(rules_use(&c, DECRYPT, SAMPLE_NOW), RC_WRONG_STATE);
    c.usage_mask = ENCRYPT;
    ck_assert_int_eq(rules_use(&c, DECRYPT, SAMPLE_NOW), RC_USAGE_MASK);
    c.state = STATE_DESTROYED;
    ck_assert_int_eq(rules_use(&c, DECRYPT, SAMPLE_NOW), RC_DESTROYED);
    c.object_type = 7;
    ck_assert_int_eq(rules_use(&c, DECRYPT, SAMPLE_NOW), RC_WRONG_TYPE);
}
END_TEST

START_TEST(a_key_leaves_only_when_it_may)
{
    struct control c = sample_control();
    ck_assert_int_eq(rules_get(&c, SAMPLE_NOW), RC_OK);
    c.sensitive = true;
    ck_assert_int_eq(rules_get(&c, SAMPLE_NOW), RC_SENSITIVE);
    c.extractable = false;
    ck_assert_int_eq(rules_get(&c, SAMPLE_NOW), RC_NOT_EXTRACTABLE);
    c.state = STATE_DESTROYED_COMPROMISED;
    ck_assert_int_eq(rules_get(&c, SAMPLE_NOW), RC_DESTROYED);
}
END_TEST

TCase *rules_tests(void)
{
    TCase *t = tcase_create("rules");
    tcase_add_loop_test(t, each_pair_of_states_is_as_in_the_diagram, 0, 36);
    tcase_add_loop_test(t, what_never_changes_does_not_change, 0, COUNT(never));
    tcase_add_loop_test(t, fields_change_only_in_their_states, 0, COUNT(changes));
    tcase_add_test(t, guards_grow_tighter_and_history_flags_only_become_false);
    tcase_add_test(t, dates_move_the_state_before_the_worker_writes_it);
    tcase_add_test(t, a_clock_set_back_hinders_no_change);
    tcase_add_test(t, an_active_key_is_not_destroyed_and_a_future_date_is_not_now);
    tcase_add_loop_test(t, objects_begin_as_they_must, 0, COUNT(begins));
    tcase_add_test(t, a_key_is_used_only_as_it_may);
    tcase_add_test(t, a_key_leaves_only_when_it_may);
    return t;
}
