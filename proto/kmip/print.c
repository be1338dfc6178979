/* Trees for people; see print.h. The one place that decides what of a message may be seen is shows() with shown.def. */
#include "proto/kmip/print.h"

#include <inttypes.h>
#include <time.h>

#include "proto/kmip/tables.h"

enum { NUMBER = 1, TEXT = 2, FIELDS = 4 };

static const struct {
    uint32_t tag;
    unsigned kinds;
} shown[] = {
#define SHOWN(tag, kinds) {KMIP_TAG_##tag, kinds},
#include "proto/kmip/shown.def"
#undef SHOWN
};

enum { SHOWN_COUNT = sizeof shown / sizeof *shown };

static unsigned kind_of(uint8_t type)
{
    switch (type) {
    case TTLV_STRUCTURE:
        return FIELDS;
    case TTLV_TEXT_STRING:
        return TEXT;
    case TTLV_INTEGER:
    case TTLV_LONG_INTEGER:
    case TTLV_ENUMERATION:
    case TTLV_BOOLEAN:
    case TTLV_DATE_TIME:
    case TTLV_DATE_TIME_EXTENDED:
    case TTLV_INTERVAL:
        return NUMBER;
    default: /* byte strings and big integers: never */
        return 0;
    }
}

/* By halves: tags.def, and so shown.def, is sorted by number. */
bool kmip_print_shows(uint32_t tag, uint8_t type)
{
    size_t low = 0, high = SHOWN_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (shown[middle].tag == tag)
            return shown[middle].kinds & kind_of(type);
        if (shown[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- attributes of 1.x ---- */

static uint32_t tag_of_text(struct bytes text)
{
    size_t count;
    const struct kmip_entry *tags = kmip_tags(&count);
    for (size_t i = 0; i < count; i++)
        if (tags[i].name && bytes_equal(bytes_str(tags[i].text), text))
            return tags[i].value;
    return 0;
}

/* Under which tag an item is judged and its numbers named: an Attribute Value under that of the attribute that stands
 * before it by name; a client's or vendor's own attribute has none, and stays hidden. */
static uint32_t meaning(const struct node *n, const struct node *parent)
{
    if (n->tag != KMIP_TAG_ATTRIBUTE_VALUE)
        return n->tag;
    const struct node *name = node_child(parent, KMIP_TAG_ATTRIBUTE_NAME);
    if (!name || name->type != TTLV_TEXT_STRING || node_child(parent, KMIP_TAG_VENDOR_IDENTIFICATION))
        return 0;
    return tag_of_text(name->bytes);
}

/* ---- values ---- */

/* Decodes one character and moves *at behind it; U+FFFD for what is none. */
static uint32_t character(struct bytes text, size_t *at)
{
    uint8_t first = text.data[(*at)++];
    unsigned more = first < 0x80 ? 0 : first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 4;
    uint32_t c = more == 0 ? first : more < 4 ? first & (0x3Fu >> more) : 0xFFFD;
    for (unsigned i = 0; more < 4 && i < more; i++) {
        if (*at >= text.len || (text.data[*at] & 0xC0) != 0x80)
            return 0xFFFD;
        c = c << 6 | (text.data[(*at)++] & 0x3Fu);
    }
    return c <= 0x10FFFF ? c : 0xFFFD;
}

static rc_t add_character(uint32_t c, struct buf *out)
{
    if (c == '"' || c == '\\')
        return buf_add_fmt(out, "\\%c", (char)c);
    if (c >= 0x20 && c < 0x7F)
        return buf_add_u8(out, (uint8_t)c);
    if (c < 0x10000)
        return buf_add_fmt(out, "\\u%04" PRIx32, c);
    return buf_add_fmt(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xD800 + ((c - 0x10000) >> 10),
                       0xDC00 + ((c - 0x10000) & 0x3FF));
}

rc_t kmip_print_quoted(struct bytes text, size_t most, struct buf *out)
{
    size_t at = 0;
    TRY(buf_add_u8(out, '"'));
    while (at < text.len && at < most)
        TRY(add_character(character(text, &at), out));
    return buf_add_str(out, at < text.len ? "...\"" : "\"");
}

static rc_t add_enumeration(uint32_t tag, uint32_t value, struct buf *out)
{
    const struct kmip_entry *e = kmip_enum(tag, value);
    return e ? buf_add_str(out, e->text) : buf_add_fmt(out, "0x%08" PRIX32, value);
}

/* "Encrypt | Decrypt" */
static rc_t add_mask(uint32_t tag, uint32_t value, struct buf *out)
{
    size_t count;
    const struct kmip_entry *bits = kmip_mask_bits(tag, &count);
    const char *between = "";
    for (size_t i = 0; i < count; i++)
        if (value & bits[i].value) {
            TRY(buf_add_fmt(out, "%s%s", between, bits[i].text));
            value &= ~bits[i].value;
            between = " | ";
        }
    return value || !*between ? buf_add_fmt(out, "%s0x%" PRIX32, between, value) : RC_OK;
}

static rc_t add_date(int64_t value, int64_t per_second, struct buf *out)
{
    struct tm tm;
    time_t seconds = (time_t)(value / per_second);
    if (value < 0 || !gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900)
        return buf_add_fmt(out, "%" PRId64, value);
    TRY(buf_add_fmt(out, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                    tm.tm_min, tm.tm_sec));
    return per_second > 1 ? buf_add_fmt(out, ".%06" PRId64 "Z", value % per_second) : buf_add_str(out, "Z");
}

/* A value that may be shown; in JSON words stand in quotes, numbers do not. */
static rc_t add_value(const struct node *n, uint32_t tag, bool json, struct buf *out)
{
    const char *quote = json ? "\"" : "";
    switch (n->type) {
    case TTLV_TEXT_STRING:
        return kmip_print_quoted(n->bytes, KMIP_PRINT_TEXT_MAX, out);
    case TTLV_BOOLEAN:
        return buf_add_str(out, n->boolean ? "true" : "false");
    case TTLV_INTEGER:
        if (!kmip_is_mask(tag))
            return buf_add_fmt(out, "%" PRId32, n->integer);
        break;
    case TTLV_LONG_INTEGER:
        return buf_add_fmt(out, "%" PRId64, n->long_integer);
    case TTLV_INTERVAL:
        return buf_add_fmt(out, json ? "%" PRIu32 : "%" PRIu32 " s", n->interval);
    default:
        break;
    }
    TRY(buf_add_str(out, quote));
    if (n->type == TTLV_INTEGER)
        TRY(add_mask(tag, (uint32_t)n->integer, out));
    else if (n->type == TTLV_ENUMERATION)
        TRY(add_enumeration(tag, n->enumeration, out));
    else
        TRY(add_date(n->date_time, n->type == TTLV_DATE_TIME ? 1 : 1000000, out));
    return buf_add_str(out, quote);
}

/* The length of what is not shown: of the value, a structure's without what stands around it. */
static size_t length(const struct node *n)
{
    size_t sum = 0;
    if (node_has_bytes(n))
        return n->bytes.len;
    if (n->type != TTLV_STRUCTURE)
        return n->type == TTLV_INTEGER || n->type == TTLV_ENUMERATION || n->type == TTLV_INTERVAL ? 4 : 8;
    for (const struct node *c = n->first; c; c = c->next)
        sum += 8 + (length(c) + 7) / 8 * 8;
    return sum;
}

static rc_t add_tag(uint32_t tag, bool json, struct buf *out)
{
    const struct kmip_entry *e = kmip_tag(tag);
    if (!e)
        return buf_add_fmt(out, "0x%06" PRIX32, tag);
    return buf_add_str(out, json ? e->name : e->text);
}

/* ---- trees ---- */

static rc_t print(const struct node *n, const struct node *parent, unsigned indent, struct buf *out)
{
    uint32_t tag = meaning(n, parent);
    TRY(buf_add_fmt(out, "%*s", (int)indent, ""));
    TRY(add_tag(n->tag, false, out));
    if (!kmip_print_shows(tag, n->type))
        return buf_add_fmt(out, ": (%s, %zu bytes)\n", kmip_type_name(n->type), length(n));
    if (n->type != TTLV_STRUCTURE) {
        TRY(buf_add_str(out, ": "));
        TRY(add_value(n, tag, false, out));
        return buf_add_u8(out, '\n');
    }
    TRY(buf_add_u8(out, '\n'));
    for (const struct node *c = n->first; c; c = c->next)
        TRY(print(c, n, indent + 2, out));
    return RC_OK;
}

rc_t kmip_print(const struct node *n, unsigned indent, struct buf *out)
{
    return print(n, NULL, indent, out);
}

static rc_t print_json(const struct node *n, const struct node *parent, struct buf *out)
{
    uint32_t tag = meaning(n, parent);
    TRY(buf_add_str(out, "{\"tag\":\""));
    TRY(add_tag(n->tag, true, out));
    if (!kmip_print_shows(tag, n->type))
        return buf_add_fmt(out, "\",\"hidden\":\"%s\",\"bytes\":%zu}", kmip_type_name(n->type), length(n));
    if (n->type != TTLV_STRUCTURE) {
        TRY(buf_add_str(out, "\",\"value\":"));
        TRY(add_value(n, tag, true, out));
        return buf_add_u8(out, '}');
    }
    TRY(buf_add_str(out, "\",\"items\":["));
    for (const struct node *c = n->first; c; c = c->next) {
        TRY(print_json(c, n, out));
        if (c->next)
            TRY(buf_add_u8(out, ','));
    }
    return buf_add_str(out, "]}");
}

rc_t kmip_print_json(const struct node *n, struct buf *out)
{
    return print_json(n, NULL, out);
}
