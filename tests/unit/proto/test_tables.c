/*
 * The tables against the OASIS texts, both ways: each entry of each version's tables is found in
 * ours in that version, and ours claim no version in which OASIS has no such entry.
 */
#include "tests/unit/proto/proto_tests.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kmip/reason.h"

struct fact {
    uint16_t version;
    char kind; /* t, e, m */
    uint32_t tag, value;
    char name[120];
};

static struct fact *facts;
static size_t fact_count;

/* Letters and digits in lower case; what stands in parentheses is a remark of one edition. */
static void normal(const char *text, char *out)
{
    int inside = 0;
    bool keep = strstr(text, "Polynomial") != NULL;
    for (; *text; text++) {
        if (*text == '(' && !keep)
            inside++;
        if (!inside && isalnum((unsigned char)*text))
            *out++ = (char)tolower((unsigned char)*text);
        if (*text == ')' && inside)
            inside--;
    }
    *out = 0;
}

static bool same_name(const char *ours, const char *theirs)
{
    char a[200], b[200];
    /* A slip of the pen in 2.0 and 2.1. */
    if (strcmp(theirs, "MFG1") == 0)
        theirs = "MGF1";
    normal(ours, a);
    normal(theirs, b);
    return strcmp(a, b) == 0;
}

static uint32_t tag_by_text(const char *text)
{
    size_t count;
    const struct kmip_entry *tags = kmip_tags(&count);
    for (size_t i = 0; i < count; i++)
        if (tags[i].name && same_name(tags[i].text, text))
            return tags[i].value;
    return 0;
}

static void load(void)
{
    char path[4096], line[512];
    const char *src = getenv("HOLDFAST_SRC");
    snprintf(path, sizeof path, "%s/tests/unit/proto/oasis-tables.tsv", src ? src : ".");
    FILE *f = fopen(path, "r");
    ck_assert_msg(f, "%s", path);
    facts = calloc(8000, sizeof *facts);
    while (fgets(line, sizeof line, f) && fact_count < 8000) {
        struct fact *x = &facts[fact_count];
        int major, minor;
        char kind[8], table[100];
        if (line[0] == '#')
            continue;
        ck_assert_msg(sscanf(line, "%d.%d\t%7[^\t]\t%99[^\t]\t%119[^\t]\t%x", &major, &minor, kind,
                             table, x->name, &x->value) == 6,
                      "%s", line);
        x->version = (uint16_t)(major << 8 | minor);
        x->kind = kind[0];
        x->tag = x->kind == 't' ? 0 : tag_by_text(table);
        ck_assert_msg(x->kind == 't' || x->tag, "no tag for the table %s", table);
        fact_count++;
    }
    fclose(f);
}

static void unload(void)
{
    free(facts);
    facts = NULL;
    fact_count = 0;
}

static const struct kmip_entry *ours(const struct fact *x)
{
    size_t count;
    const struct kmip_entry *bits;
    if (x->kind == 't')
        return kmip_tag(x->value);
    if (x->kind == 'e')
        return kmip_enum(x->tag, x->value);
    bits = kmip_mask_bits(x->tag, &count);
    for (size_t i = 0; i < count; i++)
        if (bits[i].value == x->value)
            return &bits[i];
    return NULL;
}

START_TEST(each_oasis_entry_is_ours_in_that_version)
{
    ck_assert_uint_gt(fact_count, 5000);
    for (size_t i = 0; i < fact_count; i++) {
        const struct fact *x = &facts[i];
        const struct kmip_entry *e = ours(x);
        ck_assert_msg(e, "%x: %c %s %08x is missing", x->version, x->kind, x->name, x->value);
        ck_assert_msg(e->since <= x->version && x->version <= e->until, "%x: %s: wrong versions",
                      x->version, x->name);
        ck_assert_msg(same_name(e->text, x->name), "%x: %s is %s here", x->version, x->name,
                      e->text);
    }
}
END_TEST

static void backed(char kind, uint32_t tag, const struct kmip_entry *e)
{
    for (size_t v = 0; v < KMIP_VERSION_COUNT; v++) {
        if (kmip_versions[v] < e->since || kmip_versions[v] > e->until)
            continue;
        bool found = false;
        for (size_t i = 0; i < fact_count && !found; i++)
            found = facts[i].version == kmip_versions[v] && facts[i].kind == kind &&
                    facts[i].tag == tag && facts[i].value == e->value;
        ck_assert_msg(found, "%x: %s %08x is not in the OASIS table", kmip_versions[v], e->text,
                      e->value);
    }
}

START_TEST(nothing_else_claims_a_version)
{
    size_t tag_count, count, entries = 0;
    const struct kmip_entry *tags = kmip_tags(&tag_count);
    for (size_t t = 0; t < tag_count; t++) {
        if (!tags[t].name)
            continue;
        backed('t', 0, &tags[t]);
        uint32_t tag = tags[t].value;
        const struct kmip_entry *e = kmip_enum_values(tag, &count);
        for (size_t i = 0; kmip_enum_of_tag(tag) == tag && i < count; i++, entries++)
            backed('e', tag, &e[i]);
        e = kmip_mask_bits(tag, &count);
        for (size_t i = 0; i < count; i++, entries++)
            backed('m', tag, &e[i]);
    }
    ck_assert_uint_gt(entries, 800);
}
END_TEST

START_TEST(tables_are_sorted_and_bounded)
{
    size_t tag_count, count;
    const struct kmip_entry *tags = kmip_tags(&tag_count);
    for (size_t t = 0; t < tag_count; t++) {
        const struct kmip_entry *e = kmip_enum_values((uint32_t)(0x420001 + t), &count);
        for (size_t i = 0; i < count; i++) {
            ck_assert_ptr_nonnull(e[i].name);
            ck_assert(i == 0 || e[i - 1].value < e[i].value);
            ck_assert_ptr_eq(kmip_enum((uint32_t)(0x420001 + t), e[i].value), &e[i]);
            uint32_t value;
            ck_assert(kmip_enum_by_name((uint32_t)(0x420001 + t), bytes_str(e[i].name), &value));
            ck_assert_uint_eq(value, e[i].value);
        }
        /* The line after a table opens the next one. */
        if (e && kmip_enum_of_tag((uint32_t)(0x420001 + t)) == 0x420001 + t)
            ck_assert(e[-1].name == NULL && e[-1].value == 0x420001 + t);
        if (tags[t].name)
            ck_assert_uint_eq(kmip_tag_by_name(bytes_str(tags[t].name)), tags[t].value);
    }
}
END_TEST

START_TEST(unknown_numbers_have_no_entry)
{
    ck_assert_ptr_null(kmip_tag(0));
    ck_assert_ptr_null(kmip_tag(0x420000));
    ck_assert_ptr_null(kmip_tag(0x420137));
    ck_assert_ptr_null(kmip_tag(0x420177));
    ck_assert_ptr_null(kmip_tag(0x540001));
    ck_assert_str_eq(kmip_tag_name(0x540001), "?");
    ck_assert_ptr_null(kmip_enum(KMIP_TAG_OPERATION, 0));
    ck_assert_ptr_null(kmip_enum(KMIP_TAG_OPERATION, 999));
    ck_assert_ptr_null(kmip_enum(KMIP_TAG_NAME, 1));
    ck_assert_ptr_null(kmip_enum(0x54FFFF, 1));
    ck_assert_str_eq(kmip_enum_name(KMIP_TAG_STATE, 7), "?");
    ck_assert(!kmip_enum_known(KMIP_TAG_OPERATION, KMIP_OP_DISCOVER_VERSIONS, V1_0));
    ck_assert(kmip_enum_known(KMIP_TAG_OPERATION, KMIP_OP_DISCOVER_VERSIONS, V1_1));
    ck_assert_uint_eq(kmip_tag_by_name(bytes_str("Activation")), 0);
    ck_assert(!kmip_is_mask(KMIP_TAG_OPERATION) && kmip_is_mask(KMIP_TAG_CRYPTOGRAPHIC_USAGE_MASK));
    ck_assert_uint_eq(kmip_mask_known(KMIP_TAG_OPERATION, V2_1), 0);
    ck_assert_uint_eq(kmip_enum_of_tag(KMIP_TAG_MASK_GENERATOR_HASHING_ALGORITHM),
                      KMIP_TAG_HASHING_ALGORITHM);
    ck_assert_uint_eq(kmip_enum_of_tag(KMIP_TAG_NAME), 0);
    ck_assert_str_eq(kmip_operation_text(KMIP_OP_GET_ATTRIBUTES), "Get Attributes");
    ck_assert_str_eq(kmip_operation_text(12345), "Unknown");
    uint8_t type;
    ck_assert(kmip_type_by_name(bytes_str("TextString"), &type) && type == TTLV_TEXT_STRING);
    ck_assert(!kmip_type_by_name(bytes_str("Text"), &type));
    ck_assert(!kmip_type_known(TTLV_DATE_TIME_EXTENDED, V1_4) &&
              kmip_type_known(TTLV_DATE_TIME_EXTENDED, V2_0));
}
END_TEST

static const struct {
    rc_t rc;
    uint16_t version;
    uint32_t want;
} reasons[] = {
    {RC_OK, V1_0, 0},
    {RC_NOT_FOUND, V1_0, KMIP_REASON_ITEM_NOT_FOUND},
    {RC_NOT_EXTRACTABLE, V1_0, KMIP_REASON_PERMISSION_DENIED},
    {RC_NOT_EXTRACTABLE, V1_4, KMIP_REASON_NOT_EXTRACTABLE},
    {RC_WRONG_STATE, V1_4, KMIP_REASON_PERMISSION_DENIED},
    {RC_WRONG_STATE, V2_0, KMIP_REASON_WRONG_KEY_LIFECYCLE_STATE},
    {RC_NAME_TAKEN, V1_2, KMIP_REASON_INVALID_FIELD},
    {RC_NAME_TAKEN, V2_1, KMIP_REASON_NON_UNIQUE_NAME_ATTRIBUTE},
    {RC_BUSY, V1_1, KMIP_REASON_GENERAL_FAILURE},
    {RC_BUSY, V2_0, KMIP_REASON_SERVER_LIMIT_EXCEEDED},
    {RC_BAD_VERSION, V1_0, KMIP_REASON_INVALID_MESSAGE},
    {RC_BAD_VERSION, V2_1, KMIP_REASON_UNSUPPORTED_PROTOCOL_VERSION},
    {RC_BAD_VERSION, 0x0300, KMIP_REASON_INVALID_MESSAGE},
    {RC_BAD_VALUE, V1_0, KMIP_REASON_INVALID_FIELD},
    {RC_BAD_UTF8, V1_4, KMIP_REASON_INVALID_MESSAGE},
    {RC_BAD_UTF8, V2_0, KMIP_REASON_CODEC_ERROR},
    {RC_UNKNOWN_TAG, V1_4, KMIP_REASON_INVALID_FIELD},
    {RC_UNKNOWN_TAG, V2_0, KMIP_REASON_UNKNOWN_TAG},
    {RC_BAD_ORDER, V2_1, KMIP_REASON_INVALID_MESSAGE},
    {RC_TOO_MANY, V1_4, KMIP_REASON_INVALID_MESSAGE},
    {RC_TOO_MANY, V2_0, KMIP_REASON_SERVER_LIMIT_EXCEEDED},
    {RC_ATTR_FULL, V1_0, KMIP_REASON_INDEX_OUT_OF_BOUNDS},
    {RC_ATTR_FULL, V2_1, KMIP_REASON_SERVER_LIMIT_EXCEEDED},
    {RC_NAME_LENGTH, V1_4, KMIP_REASON_INVALID_FIELD},
    {RC_CRITICAL_EXTENSION, V1_0, KMIP_REASON_FEATURE_NOT_SUPPORTED},
    {RC_CRITICAL_EXTENSION, V2_0, KMIP_REASON_UNKNOWN_MESSAGE_EXTENSION},
    {RC_ATTR_UNSUPPORTED, V1_4, KMIP_REASON_INVALID_FIELD},
    {RC_ATTR_UNSUPPORTED, V2_1, KMIP_REASON_INVALID_ATTRIBUTE},
    {RC_INTERNAL, V1_0, KMIP_REASON_GENERAL_FAILURE},
    {RC_ATTR_READ_ONLY, V1_4, KMIP_REASON_PERMISSION_DENIED},
    {RC_ATTR_READ_ONLY, V2_1, KMIP_REASON_ATTRIBUTE_READ_ONLY},
    {RC_ATTR_ADD_READ_ONLY, V1_0, KMIP_REASON_PERMISSION_DENIED},
    {RC_ATTR_ADD_READ_ONLY, V2_1, KMIP_REASON_READ_ONLY_ATTRIBUTE},
    {RC_ATTR_ABSENT, V1_4, KMIP_REASON_INVALID_FIELD},
    {RC_ATTR_ABSENT, V2_0, KMIP_REASON_ATTRIBUTE_NOT_FOUND},
    {RC_ATTR_NOT_FOUND, V1_0, KMIP_REASON_ITEM_NOT_FOUND},
    {RC_ATTR_INSTANCE, V1_0, KMIP_REASON_ITEM_NOT_FOUND},
    {RC_ATTR_INSTANCE, V2_0, KMIP_REASON_ATTRIBUTE_INSTANCE_NOT_FOUND},
    {RC_ATTR_NOT_HERE, V1_4, KMIP_REASON_PERMISSION_DENIED},
    {RC_ATTR_NOT_HERE, V2_1, KMIP_REASON_INVALID_ATTRIBUTE},
    {RC_ATTR_FULL, V1_0, KMIP_REASON_INDEX_OUT_OF_BOUNDS},
    {RC_ATTR_FULL, V2_1, KMIP_REASON_SERVER_LIMIT_EXCEEDED},
    {RC_ATTR_SINGLE, V1_1, KMIP_REASON_ILLEGAL_OPERATION},
    {RC_ATTR_SEVERAL, V2_1, KMIP_REASON_MULTI_VALUED_ATTRIBUTE},
    {RC_NAME_USED, V1_4, KMIP_REASON_ILLEGAL_OPERATION},
    {RC_NAME_USED, V2_0, KMIP_REASON_NON_UNIQUE_NAME_ATTRIBUTE},
    {RC_CRITICAL_EXTENSION, V1_4, KMIP_REASON_FEATURE_NOT_SUPPORTED},
    {RC_CRITICAL_EXTENSION, V2_0, KMIP_REASON_UNKNOWN_MESSAGE_EXTENSION},
};

START_TEST(reasons_fit_the_version)
{
    ck_assert_uint_eq(kmip_reason(reasons[_i].rc, reasons[_i].version), reasons[_i].want);
}
END_TEST

START_TEST(every_reason_is_defined_in_every_version)
{
    for (int rc = 1; rc < RC_COUNT; rc++)
        for (size_t v = 0; v < KMIP_VERSION_COUNT; v++)
            ck_assert(kmip_enum_known(KMIP_TAG_RESULT_REASON,
                                      kmip_reason((rc_t)rc, kmip_versions[v]), kmip_versions[v]));
}
END_TEST

TCase *tables_tests(void)
{
    TCase *tc = tcase_create("tables");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, load, unload);
    tcase_add_test(tc, each_oasis_entry_is_ours_in_that_version);
    tcase_add_test(tc, nothing_else_claims_a_version);
    tcase_add_test(tc, tables_are_sorted_and_bounded);
    tcase_add_test(tc, unknown_numbers_have_no_entry);
    tcase_add_loop_test(tc, reasons_fit_the_version, 0, COUNT_OF(reasons));
    tcase_add_test(tc, every_reason_is_defined_in_every_version);
    return tc;
}
