/* Constraints: each kind, kept and broken, where it is judged and where it is not. */
#include "server/policy/bounds.h"
#include "tests/unit/ops/ops_tests.h"

enum { DAY = 86400 };

static const struct policy_bound unbound = {
    .id = 7,
    .object_type = POLICY_UNSET,
    .algorithm = POLICY_UNSET,
    .least_length = POLICY_UNSET,
    .most_length = POLICY_UNSET,
    .permitted_mask = POLICY_UNSET,
    .required_mask = POLICY_UNSET,
    .most_life_days = POLICY_UNSET,
    .destroy_after_days = POLICY_UNSET,
    .most_objects = POLICY_UNSET,
    .requests_per_second = POLICY_UNSET,
};

static struct object aes_256(void)
{
    struct object o = {.attributes = bytes_str("{}")};
    struct control *c = &o.control;
    c->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    c->state = STATE_PRE_ACTIVE;
    c->protection = PROTECTION_TPM_ROOTED;
    c->algorithm = KMIP_ALGORITHM_AES;
    c->length = 256;
    c->usage_mask = 0x0C;
    c->initial_date = NOW;
    c->activation_date = c->process_start_date = c->protect_stop_date = c->deactivation_date =
        NO_DATE;
    c->compromise_date = c->compromise_occurrence_date = c->destroy_date = NO_DATE;
    return o;
}

static rc_t check_at(const struct policy_bound *bound, const struct bounds_change *change,
                     int64_t now)
{
    struct policy_bound copy = *bound;
    struct policy_set set = {.bound_count = 1, .bounds = &copy};
    struct bounds_breach breach = {0};
    rc_t rc = bounds_check(&set, change, now, &breach);
    ck_assert_int_eq(rc == RC_CONSTRAINT, breach.what != NULL);
    if (breach.what)
        ck_assert_int_eq(breach.bound, 7);
    return rc;
}

static rc_t check(const struct policy_bound *bound, const struct bounds_change *change)
{
    return check_at(bound, change, NOW);
}

static rc_t make(const struct policy_bound *bound, const struct object *o)
{
    return check(bound, &(struct bounds_change){.after = o});
}

START_TEST(no_bounds)
{
    struct object o = aes_256();
    struct bounds_breach breach;
    ck_assert_int_eq(bounds_check(NULL, &(struct bounds_change){.after = &o}, NOW, &breach), RC_OK);
    ck_assert_int_eq(make(&unbound, &o), RC_OK);
    ck_assert_int_eq(bounds_most_objects(NULL, NULL), POLICY_UNSET);
    ck_assert_int_eq(bounds_requests_per_second(NULL), POLICY_UNSET);
}
END_TEST

START_TEST(algorithm_and_length)
{
    int64_t aes = KMIP_ALGORITHM_AES, other = KMIP_ALGORITHM_3DES;
    struct object o = aes_256();
    struct policy_bound b = unbound;
    b.algorithms = (struct policy_numbers){1, &aes};
    ck_assert_int_eq(make(&b, &o), RC_OK);
    b.algorithms.items = &other;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    /* what it does not concern */
    b.object_type = KMIP_OBJECT_SECRET_DATA;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    b.object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    b.algorithm = other;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    /* an object that was there before */
    b.algorithm = aes;
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &o}), RC_OK);

    b = unbound;
    b.least_length = b.most_length = 256;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    o.control.length = 255;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    o.control.length = 257;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    o.control.length = 0;
    ck_assert_int_eq(make(&b, &o), RC_OK);
}
END_TEST

START_TEST(masks_and_protection)
{
    struct object o = aes_256(), changed = o;
    struct policy_bound b = unbound;
    int64_t level = PROTECTION_TPM_RESIDENT;
    b.permitted_mask = 0x0C;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    changed.control.usage_mask = 0x0D;
    ck_assert_int_eq(make(&b, &changed), RC_CONSTRAINT);
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &changed}),
                     RC_CONSTRAINT);
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &changed, .after = &changed}),
                     RC_OK);
    b = unbound;
    b.required_mask = 0x04;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    b.required_mask = 0x05;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    b = unbound;
    b.protections = (struct policy_numbers){1, &level};
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    level = PROTECTION_TPM_ROOTED;
    ck_assert_int_eq(make(&b, &o), RC_OK);
}
END_TEST

START_TEST(life)
{
    struct object o = aes_256(), longer;
    struct policy_bound b = unbound;
    b.most_life_days = 30;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT); /* no end at all */
    o.control.deactivation_date = NOW + 30 * DAY;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    o.control.deactivation_date++;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    o.control.activation_date = NOW + 1;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    o.control.activation_date = INT64_MIN + 1; /* as a client may set it */
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    o.control.activation_date = NOW;
    o.control.deactivation_date = NOW + 10;
    longer = o;
    longer.control.deactivation_date = NOW + 31 * DAY;
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &longer}),
                     RC_CONSTRAINT);
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &longer, .after = &longer}),
                     RC_OK);
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &longer, .after = &o}), RC_OK);
    /* whoever revokes a key that was made before the bound may do so */
    struct object revoked = longer;
    longer.control.state = STATE_ACTIVE;
    revoked.control.state = STATE_DEACTIVATED;
    revoked.control.deactivation_date = NOW + 60 * DAY;
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &longer, .after = &revoked}),
                     RC_OK);
}
END_TEST

START_TEST(names)
{
    struct name two[] = {{.value = bytes_str("vol-1")}, {.value = bytes_str("tape-2")}};
    struct object o = aes_256();
    struct policy_bound b = unbound;
    b.name_pattern = bytes_str("vol-*");
    ck_assert_int_eq(make(&b, &o), RC_OK); /* a name is not mandatory by that */
    o.names = two;
    o.name_count = 1;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    o.name_count = 2;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &o}), RC_OK);
    /* what it had before stays: a new one is judged */
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &o, .names = true}), RC_OK);
    struct object before = o;
    before.name_count = 1;
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &before, .after = &o, .names = true}), RC_CONSTRAINT);
}
END_TEST

START_TEST(templates)
{
    struct object o = {.control = {.object_type = KMIP_OBJECT_TEMPLATE, .deactivation_date = NO_DATE}};
    struct name name = {.value = bytes_str("x")};
    struct policy_bound b = unbound;
    b.required_mask = 4;
    b.most_life_days = 1;
    b.name_pattern = bytes_str("t-*");
    o.names = &name;
    o.name_count = 1;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    b = unbound;
    b.name_pattern = bytes_str("t-*");
    b.object_type = KMIP_OBJECT_TEMPLATE;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
}
END_TEST

START_TEST(mandatory)
{
    struct bytes wanted[] = {bytes_str("Contact Information"), bytes_str("x-cost-centre"),
                             bytes_str("Name"), bytes_str("DeactivationDate")};
    struct name name = {.value = bytes_str("n")};
    struct object o = aes_256();
    struct policy_bound b = unbound;
    b.mandatory.items = wanted;
    const char *with[] = {"{}", "{\"ContactInformation\": \"a\"}",
                          "{\"ContactInformation\": \"a\", \"x-cost-centre\": \"1\"}"};
    for (size_t have = 0; have < 3; have++)
        for (b.mandatory.count = 0; b.mandatory.count < 3; b.mandatory.count++) {
            o.attributes = bytes_str(with[have]);
            ck_assert_int_eq(make(&b, &o), b.mandatory.count <= have ? RC_OK : RC_CONSTRAINT);
            ck_assert_int_eq(check(&b, &(struct bounds_change){.after = &o, .unfinished = true}),
                             RC_OK);
        }
    b.mandatory.count = 3;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    o.names = &name;
    o.name_count = 1;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    b.mandatory.count = 4;
    ck_assert_int_eq(make(&b, &o), RC_CONSTRAINT);
    o.control.deactivation_date = NOW;
    ck_assert_int_eq(make(&b, &o), RC_OK);
    /* taking one away; and a change that leaves the attributes alone */
    struct object less = o;
    less.attributes = bytes_str("{}");
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &less}),
                     RC_CONSTRAINT);
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &less, .after = &less}), RC_OK); /* it never had */
    less.attributes = BYTES_NONE;
    ck_assert_int_eq(check(&b, &(struct bounds_change){.before = &o, .after = &less}), RC_OK);
    o.attributes = bytes_str("{");
    ck_assert_int_eq(make(&b, &o), RC_INTEGRITY);
}
END_TEST

START_TEST(destruction)
{
    struct object o = aes_256(), gone = o;
    struct policy_bound b = unbound;
    struct bounds_change change = {.before = &o, .after = &gone, .destroyed = true};
    b.destroy_after_days = 2;
    ck_assert_int_eq(check_at(&b, &change, NOW + 2 * DAY - 1), RC_CONSTRAINT);
    ck_assert_int_eq(check_at(&b, &change, NOW + 2 * DAY), RC_OK);
    o.control.activation_date = NOW;
    o.control.deactivation_date = NOW + 10 * DAY;
    o.control.state = STATE_ACTIVE;
    ck_assert_int_eq(check_at(&b, &change, NOW + 11 * DAY), RC_CONSTRAINT);
    ck_assert_int_eq(check_at(&b, &change, NOW + 12 * DAY), RC_OK);
    o.control.state = STATE_COMPROMISED;
    o.control.deactivation_date = NO_DATE;
    o.control.compromise_date = NOW + 20 * DAY;
    ck_assert_int_eq(check_at(&b, &change, NOW + 21 * DAY), RC_CONSTRAINT);
    ck_assert_int_eq(check_at(&b, &change, NOW + 22 * DAY), RC_OK);
    o.control.deactivation_date = NOW + 10 * DAY; /* was out of use before */
    ck_assert_int_eq(check_at(&b, &change, NOW + 21 * DAY), RC_OK);
}
END_TEST

/* Nobody shortens the wait by a date in the past; one that lies ahead, or is now, as Revoke sets it, is fine. */
START_TEST(no_backdating)
{
    struct object o = aes_256(), ended;
    struct policy_bound b = unbound;
    struct bounds_change change = {.before = &o, .after = &ended};
    o.control.activation_date = o.control.initial_date = NOW - 30 * DAY;
    o.control.state = STATE_ACTIVE;
    ended = o;
    ended.control.deactivation_date = NOW - 1;
    ck_assert_int_eq(check(&b, &change), RC_OK); /* without the bound */
    b.destroy_after_days = 2;
    ck_assert_int_eq(check(&b, &change), RC_CONSTRAINT);
    ck_assert_int_eq(make(&b, &ended), RC_OK);
    ended.control.deactivation_date = NOW;
    ck_assert_int_eq(check(&b, &change), RC_OK);
    ended.control.deactivation_date = NOW + DAY;
    ck_assert_int_eq(check(&b, &change), RC_OK);
    o.control.deactivation_date = ended.control.deactivation_date = NOW - DAY; /* another change later */
    ck_assert_int_eq(check(&b, &change), RC_OK);
}
END_TEST

START_TEST(least_of_all)
{
    struct policy_bound bounds[] = {unbound, unbound, unbound};
    struct policy_set set = {.bound_count = 3, .bounds = bounds};
    ck_assert_int_eq(bounds_most_objects(&set, NULL), POLICY_UNSET);
    bounds[0].most_objects = 10;
    bounds[2].most_objects = 0;
    bounds[1].requests_per_second = 5;
    bounds[2].requests_per_second = 6;
    ck_assert_int_eq(bounds_most_objects(&set, NULL), 0);
    ck_assert_int_eq(bounds_requests_per_second(&set), 5);
}
END_TEST

Suite *bounds_suite(void)
{
    Suite *s = suite_create("bounds");
    TCase *t = tcase_create("bounds");
    tcase_add_test(t, no_bounds);
    tcase_add_test(t, algorithm_and_length);
    tcase_add_test(t, masks_and_protection);
    tcase_add_test(t, life);
    tcase_add_test(t, names);
    tcase_add_test(t, templates);
    tcase_add_test(t, mandatory);
    tcase_add_test(t, destruction);
    tcase_add_test(t, no_backdating);
    tcase_add_test(t, least_of_all);
    suite_add_tcase(s, t);
    return s;
}
