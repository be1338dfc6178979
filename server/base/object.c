/*
 * Unique identifiers and the control record's canonical form; see object.h. The canonical form is
 * what the vault's MAC covers: it never changes for stored objects (server/vault/FORMATS.md).
 */
#include "server/base/object.h"

#include <errno.h>
#include <sys/random.h>

#include "server/base/clock.h"

bool uid_equal(const struct uid *a, const struct uid *b)
{
    return memcmp(a->raw, b->raw, sizeof a->raw) == 0;
}

bool uid_is_nil(const struct uid *u)
{
    static const struct uid nil;
    return uid_equal(u, &nil);
}

int uid_compare(const struct uid *a, const struct uid *b)
{
    return memcmp(a->raw, b->raw, sizeof a->raw);
}

/* A dash stands before the bytes 4, 6, 8 and 10. */
static bool dash_before(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

void uid_print(const struct uid *u, char out[UID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof u->raw; i++) {
        if (dash_before(i))
            *out++ = '-';
        *out++ = digits[u->raw[i] >> 4];
        *out++ = digits[u->raw[i] & 15];
    }
    *out = '\0';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

rc_t uid_parse(struct bytes text, struct uid *out)
{
    if (text.len != UID_TEXT_SIZE - 1)
        return RC_BAD_VALUE;
    const uint8_t *p = text.data;
    struct uid u;
    for (size_t i = 0; i < sizeof u.raw; i++) {
        if (dash_before(i) && *p++ != '-')
            return RC_BAD_VALUE;
        int high = hex_value(p[0]), low = hex_value(p[1]);
        if (high < 0 || low < 0)
            return RC_BAD_VALUE;
        u.raw[i] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    *out = u;
    return RC_OK;
}

rc_t uid_new(struct uid *out)
{
    struct uid u;
    ssize_t n;
    do
        n = getrandom(u.raw + 8, 8, 0);
    while (n < 0 && errno == EINTR);
    if (n != 8)
        return RC_IO;
    int64_t us = clock_wall_us();
    uint64_t ms = us > 0 ? (uint64_t)us / 1000 : 0;
    /* RFC 9562, 6.2, method 3: the fraction of the millisecond fills rand_a, so order holds within
     * it. */
    uint64_t fraction = us > 0 ? ((uint64_t)us % 1000) * 4096 / 1000 : 0;
    store_be64(u.raw, ms << 16 | 0x7000 | fraction);
    u.raw[8] = (uint8_t)((u.raw[8] & 0x3F) | 0x80);
    *out = u;
    return RC_OK;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    store_be32(p, v);
    return p + 4;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    store_be64(p, v);
    return p + 8;
}

static uint8_t *put_uid(uint8_t *p, const struct uid *u)
{
    memcpy(p, u->raw, sizeof u->raw);
    return p + sizeof u->raw;
}

void control_encode(const struct control *c, uint8_t out[CONTROL_BYTES])
{
    uint8_t *p = put_uid(out, &c->uid);
    p = put64(p, c->version);
    p = put64(p, c->domain);
    p = put_uid(p, &c->owner);
    p = put32(p, c->object_type);
    p = put32(p, c->state);
    p = put32(p, c->protection);
    p = put32(p, c->algorithm);
    p = put32(p, c->length);
    p = put32(p, c->usage_mask);
    p = put64(p, (uint64_t)c->initial_date);
    p = put64(p, (uint64_t)c->activation_date);
    p = put64(p, (uint64_t)c->process_start_date);
    p = put64(p, (uint64_t)c->protect_stop_date);
    p = put64(p, (uint64_t)c->deactivation_date);
    p = put64(p, (uint64_t)c->compromise_occurrence_date);
    p = put64(p, (uint64_t)c->compromise_date);
    p = put64(p, (uint64_t)c->destroy_date);
    p = put32(p, c->revocation_reason);
    *p++ = c->extractable;
    *p++ = c->never_extractable;
    *p++ = c->sensitive;
    *p++ = c->always_sensitive;
}

static uint32_t take32(const uint8_t **p)
{
    *p += 4;
    return load_be32(*p - 4);
}

static uint64_t take64(const uint8_t **p)
{
    *p += 8;
    return load_be64(*p - 8);
}

static int64_t take_date(const uint8_t **p)
{
    return (int64_t)take64(p);
}

static void take_uid(const uint8_t **p, struct uid *u)
{
    memcpy(u->raw, *p, sizeof u->raw);
    *p += sizeof u->raw;
}

rc_t control_decode(struct bytes in, struct control *out)
{
    if (in.len != CONTROL_BYTES)
        return RC_BAD_LENGTH;
    const uint8_t *p = in.data;
    struct control c = {0};
    take_uid(&p, &c.uid);
    c.version = take64(&p);
    c.domain = take64(&p);
    take_uid(&p, &c.owner);
    c.object_type = take32(&p);
    c.state = take32(&p);
    c.protection = take32(&p);
    c.algorithm = take32(&p);
    c.length = take32(&p);
    c.usage_mask = take32(&p);
    c.initial_date = take_date(&p);
    c.activation_date = take_date(&p);
    c.process_start_date = take_date(&p);
    c.protect_stop_date = take_date(&p);
    c.deactivation_date = take_date(&p);
    c.compromise_occurrence_date = take_date(&p);
    c.compromise_date = take_date(&p);
    c.destroy_date = take_date(&p);
    c.revocation_reason = take32(&p);
    if ((p[0] | p[1] | p[2] | p[3]) > 1) /* each flag is 0 or 1 */
        return RC_BAD_VALUE;
    c.extractable = p[0];
    c.never_extractable = p[1];
    c.sensitive = p[2];
    c.always_sensitive = p[3];
    if (c.state < STATE_PRE_ACTIVE || c.state > STATE_DESTROYED_COMPROMISED)
        return RC_BAD_VALUE;
    if (c.protection < PROTECTION_TPM_ROOTED || c.protection > PROTECTION_TPM_RESIDENT)
        return RC_BAD_VALUE;
    if (c.version == 0 || c.object_type == 0)
        return RC_BAD_VALUE;
    *out = c;
    return RC_OK;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b; /* NO_DATE is before all */
}

/* Dates that the client may set ahead count only where the stored state says that they have come. */
int64_t control_time(const struct control *c, int64_t now)
{
    int64_t t = later(now, c->initial_date);
    if (c->state == STATE_ACTIVE)
        t = later(t, c->activation_date);
    if (c->state == STATE_DEACTIVATED)
        t = later(t, c->deactivation_date);
    if (c->state == STATE_COMPROMISED || c->state == STATE_DESTROYED_COMPROMISED)
        t = later(t, c->compromise_date);
    if (c->state == STATE_DESTROYED || c->state == STATE_DESTROYED_COMPROMISED)
        t = later(t, c->destroy_date);
    return t;
}

/*
 * Bits of the Cryptographic Usage Mask (KMIP 2.1, 12.1; those of 1.x too) that undo protection: verify, decrypt,
 * unwrap, MAC verify, validate cryptogram, translate decrypt, translate unwrap, FPE decrypt. The others apply it.
 */
enum { USAGE_PROCESS = 0x2 | 0x8 | 0x20 | 0x100 | 0x8000 | 0x20000 | 0x80000 | 0x800000 };

uint32_t control_usable(const struct control *c, int64_t now)
{
    uint32_t state = control_effective_state(c, now), usable = 0;
    bool stopped = c->protect_stop_date != NO_DATE && c->protect_stop_date <= now;
    bool started = c->process_start_date == NO_DATE || c->process_start_date <= now;
    if (state == STATE_ACTIVE && !stopped)
        usable |= ~(uint32_t)USAGE_PROCESS;
    if ((state == STATE_ACTIVE || state == STATE_DEACTIVATED || state == STATE_COMPROMISED) && started)
        usable |= USAGE_PROCESS;
    return c->usage_mask & usable;
}

rc_t control_permits(const struct control *c, uint32_t mask, int64_t now)
{
    if (c->state == STATE_DESTROYED || c->state == STATE_DESTROYED_COMPROMISED)
        return RC_DESTROYED;
    if (mask & ~c->usage_mask)
        return RC_USAGE_MASK;
    return mask & ~control_usable(c, now) ? RC_WRONG_STATE : RC_OK;
}

uint32_t control_effective_state(const struct control *c, int64_t now)
{
    uint32_t state = c->state;
    if (state == STATE_PRE_ACTIVE && c->activation_date != NO_DATE && c->activation_date <= now)
        state = STATE_ACTIVE;
    if (state == STATE_ACTIVE && c->deactivation_date != NO_DATE && c->deactivation_date <= now)
        state = STATE_DEACTIVATED;
    return state;
}
