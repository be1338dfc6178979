/* Runner and tools of the tests of server/ops and server/policy. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/ops/ops_tests.h"

const uint16_t every_version[KMIP_VERSION_COUNT] = {V1_0, V1_1, V1_2, V1_3, V1_4, V2_0, V2_1};

struct policy_set *parsed_rules(const char *fmt, ...)
{
    char text[4096];
    struct policy_set *set = NULL;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rc_t rc = policy_parse(bytes_str(text), &set);
    ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), text);
    return set;
}

void world_open(struct world *w, uint32_t operation, uint16_t version)
{
    memset(w, 0, sizeof *w);
    w->arena = ARENA_OF(4u << 20);
    memset(w->who.client.raw, 0xC1, sizeof w->who.client.raw);
    w->who.domain = 1;
    ck_assert_int_eq(policy_parse(bytes_str(FIRST_RULES), &w->who.policy), RC_OK);
    w->limits = (struct op_limits){{1024, 1024}, 1000};
    w->server = (struct op_server){"0.1.0", "node-a", "software (swtpm)", false};
    w->ids.all = w->all;
    w->item = (struct op_item){.arena = &w->arena,
                               .version = version,
                               .who = &w->who,
                               .limits = &w->limits,
                               .server = &w->server,
                               .ids = &w->ids,
                               .now = NOW,
                               .operation = operation};
}

void world_close(struct world *w)
{
    policy_drop(w->who.policy);
    arena_free(&w->arena);
}

void *world_request(struct world *w)
{
    void *payload = kmip_payload_new(&w->arena, w->item.operation, false);
    ck_assert_ptr_nonnull(payload);
    w->item.request = payload;
    return payload;
}

void world_key(struct world *w, uint32_t state)
{
    struct object *o = &w->object;
    attrs_blank(o);
    ck_assert_int_eq(uid_new(&o->control.uid), RC_OK);
    struct control *c = &o->control;
    c->version = 7;
    c->domain = w->who.domain;
    c->owner = w->who.client;
    c->object_type = KMIP_OBJECT_SYMMETRIC_KEY;
    c->state = state;
    c->protection = PROTECTION_TPM_ROOTED;
    c->algorithm = KMIP_ALGORITHM_AES;
    c->length = 256;
    c->usage_mask = KMIP_USAGE_ENCRYPT | KMIP_USAGE_DECRYPT;
    c->initial_date = NOW - 1000;
    o->last_change_date = NOW - 500;
    o->key_format = KMIP_FORMAT_RAW;
    o->material = bytes_str("sealed");
    if (state != STATE_PRE_ACTIVE && state != STATE_DESTROYED)
        c->activation_date = NOW - 900;
    if (state == STATE_DEACTIVATED)
        c->deactivation_date = NOW - 800;
    if (state == STATE_COMPROMISED || state == STATE_DESTROYED_COMPROMISED)
        c->compromise_date = NOW - 700;
    if (state == STATE_DESTROYED || state == STATE_DESTROYED_COMPROMISED)
        c->destroy_date = NOW - 600;
    w->ids.placeholder = c->uid;
}

/* The halves of a pair, with a second digest where the format is not the default one of RSA. */
static void answer_pair(struct vault_reply *r, const struct vault_call *call)
{
    if (call->op != VAULT_GENERATE_PAIR)
        return;
    memset(r->half.mac, 0xBB, sizeof r->half.mac);
    r->half.envelope = bytes_str("public envelope");
    r->key_format = call->key_format ? call->key_format : KMIP_FORMAT_PKCS1;
    r->half.key_format = call->key_format_public ? call->key_format_public : KMIP_FORMAT_PKCS1;
    r->other_format = r->key_format == KMIP_FORMAT_PKCS1 ? 0 : KMIP_FORMAT_PKCS1;
    r->half.other_format = r->half.key_format == KMIP_FORMAT_PKCS1 ? 0 : KMIP_FORMAT_PKCS1;
}

/* The IV and the tag that go with the output, as planned. */
static void answer_cipher(struct vault_reply *r, const struct vault_call *call)
{
    const struct vault_cipher *c = &call->cipher;
    const struct cipher_lengths have = {c->additional.len, c->tag.len, c->data.len};
    struct cipher_plan plan;
    if (call->op != VAULT_CIPHER)
        return;
    ck_assert_int_eq(cipher_plan(&c->request, c->iv, &have, &plan), RC_OK);
    r->iv_bytes = plan.make_iv ? plan.iv_bytes : 0;
    r->tag_bytes = c->request.encrypt ? plan.tag_bytes : 0;
}

static rc_t answer_calls(struct world *w)
{
    static const uint8_t key[32] = "0123456789abcdef0123456789abcdef";
    for (size_t i = 0; i < w->item.call_count; i++) {
        struct vault_reply *r = &w->item.replies[i];
        memset(r->mac, 0xAA, sizeof r->mac);
        memset(r->digest, 0xDD, sizeof r->digest);
        r->envelope = bytes_str("envelope");
        if (w->item.calls[i].key_format == KMIP_FORMAT_TRANSPARENT_SYMMETRIC_KEY) {
            r->other_format = w->item.calls[i].key_format;
            memset(r->other_digest, 0xEE, sizeof r->other_digest);
        }
        r->plain = w->plain.len ? w->plain : bytes_of(key, sizeof key);
        const struct vault_call *call = &w->item.calls[i];
        answer_pair(r, call);
        answer_cipher(r, call);
        r->algorithm = call->control.algorithm ? call->control.algorithm : KMIP_ALGORITHM_RSA;
        r->length = call->control.length ? call->control.length : 2048;
        r->curve = w->told_curve;
    }
    return RC_OK;
}

rc_t world_run(struct world *w)
{
    struct op_item *it = &w->item;
    const struct op *op = op_find(it->operation, it->version);
    if (!op)
        return RC_OP_UNSUPPORTED;
    if (op->prepare)
        TRY(op->prepare(it));
    if (it->want == WANT_OBJECT) {
        const struct object *found =
            uid_equal(&it->uid, &w->object.control.uid) ? &w->object : NULL;
        const struct policy_facts facts = {found, true, true};
        if (policy_decide(&w->who, op->permission, &facts, NOW * INT64_C(1000000)).verdict != VERDICT_ALLOWED)
            return RC_NOT_FOUND;
        it->object = found;
    }
    if (op->perform)
        TRY(op->perform(it));
    TRY(answer_calls(w));
    return op->complete ? op->complete(it) : RC_OK;
}

struct kmip_attributes world_attributes(struct world *w)
{
    struct kmip_attributes all, shown;
    ck_assert_int_eq(attrs_of(&w->arena, w->item.changes[0].object, NOW, &all), RC_OK);
    ck_assert_int_eq(kmip_attributes_for_version(&w->arena, &all, w->item.version, &shown), RC_OK);
    return shown;
}

size_t world_encode(struct world *w)
{
    struct buf out = BUF_EMPTY;
    struct kmip_response_item item = {.operation = w->item.operation,
                                      .result_status = KMIP_STATUS_SUCCESS,
                                      .payload = w->item.response};
    rc_t rc = kmip_response_item_write(&out, w->item.version, &item);
    ck_assert_msg(rc == RC_OK, "operation %u in %x: %s", w->item.operation, w->item.version,
                  rc_name(rc));
    size_t len = out.len;
    buf_free(&out);
    return len;
}

int main(void)
{
    SRunner *sr = srunner_create(policy_suite());
    srunner_add_suite(sr, rules_suite());
    srunner_add_suite(sr, decide_suite());
    srunner_add_suite(sr, make_suite());
    srunner_add_suite(sr, pair_suite());
    srunner_add_suite(sr, read_suite());
    srunner_add_suite(sr, attributes_suite());
    srunner_add_suite(sr, lifecycle_suite());
    srunner_add_suite(sr, locate_suite());
    srunner_add_suite(sr, query_suite());
    srunner_add_suite(sr, check_suite());
    srunner_add_suite(sr, cipher_suite());
    srunner_add_suite(sr, template_suite());
    srunner_add_suite(sr, bounds_suite());
    srunner_set_tap(sr, "-");
    srunner_run_all(sr, CK_SILENT);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
