/*
 * The configuration's table, its values and its printing; config_read.c reads files. See config.h.
 */
#include "server/base/config.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "server/base/config_value.h"

const struct config_option config_options[] = {
#define RESTART CONFIG_RESTART
#define RELOAD  CONFIG_RELOAD
#define OPTION(section, name, kind, preset, least, most, unit, when, help)                         \
    {#section, #name, CONFIG_##kind, preset, least,                                                \
     most,     unit,  when,          help,   offsetof(struct config, section##_##name)},
#include "server/base/config.def"
#undef OPTION
#undef RESTART
#undef RELOAD
};
const size_t config_option_count = sizeof config_options / sizeof config_options[0];

static const char *const level_names[] = {"error", "warn", "info", "debug"};

const struct config_option *config_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (!strcmp(config_options[i].section, section) && !strcmp(config_options[i].name, name))
            return &config_options[i];
    return NULL;
}

static void *field(struct config *c, const struct config_option *o)
{
    return (char *)c + o->offset;
}

static const void *field_const(const struct config *c, const struct config_option *o)
{
    return (const char *)c + o->offset;
}

static size_t field_size(const struct config_option *o)
{
    switch (o->kind) {
    case CONFIG_NUMBER:
        return sizeof(uint32_t);
    case CONFIG_FLAG:
        return sizeof(bool);
    case CONFIG_LEVEL:
        return sizeof(enum log_level);
    case CONFIG_TEXT:
        break;
    }
    return CONFIG_TEXT_SIZE;
}

static rc_t set_number(uint32_t *out, const struct config_option *o, const char *text)
{
    uint64_t n = 0;

    if (!*text || strlen(text) > 10)
        return RC_CONFIG;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return RC_CONFIG;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (n < o->least || n > o->most)
        return RC_CONFIG;
    *out = (uint32_t)n;
    return RC_OK;
}

rc_t config_set(struct config *c, const struct config_option *o, const char *text)
{
    void *at = field(c, o);

    switch (o->kind) {
    case CONFIG_NUMBER:
        return set_number(at, o, text);
    case CONFIG_FLAG:
        if (strcmp(text, "yes") && strcmp(text, "no"))
            return RC_CONFIG;
        *(bool *)at = !strcmp(text, "yes");
        return RC_OK;
    case CONFIG_LEVEL:
        for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
            if (!strcmp(text, level_names[i])) {
                *(enum log_level *)at = (enum log_level)i;
                return RC_OK;
            }
        return RC_CONFIG;
    case CONFIG_TEXT:
        if (strlen(text) < o->least || strlen(text) > o->most)
            return RC_CONFIG;
        snprintf(at, CONFIG_TEXT_SIZE, "%s", text);
        return RC_OK;
    }
    return RC_CONFIG;
}

void config_wanted(const struct config_option *o, char *out, size_t room)
{
    switch (o->kind) {
    case CONFIG_NUMBER:
        snprintf(out, room, "give a whole number from %" PRIu64 " to %" PRIu64 " (%s)", o->least,
                 o->most, o->unit);
        break;
    case CONFIG_FLAG:
        snprintf(out, room, "write yes or no");
        break;
    case CONFIG_LEVEL:
        snprintf(out, room, "write error, warn, info or debug");
        break;
    case CONFIG_TEXT:
        snprintf(out, room, "give %" PRIu64 " to %" PRIu64 " characters (%s)", o->least, o->most,
                 o->unit);
        break;
    }
}

void config_preset(struct config *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < config_option_count; i++)
        (void)config_set(out, &config_options[i], config_options[i].preset);
}

const char *config_value(const struct config *c, const struct config_option *o, char *out)
{
    const void *at = field_const(c, o);

    switch (o->kind) {
    case CONFIG_NUMBER:
        snprintf(out, CONFIG_TEXT_SIZE, "%" PRIu32, *(const uint32_t *)at);
        break;
    case CONFIG_FLAG:
        snprintf(out, CONFIG_TEXT_SIZE, "%s", *(const bool *)at ? "yes" : "no");
        break;
    case CONFIG_LEVEL:
        snprintf(out, CONFIG_TEXT_SIZE, "%s", level_names[*(const enum log_level *)at & 3]);
        break;
    case CONFIG_TEXT:
        snprintf(out, CONFIG_TEXT_SIZE, "%s", (const char *)at);
        break;
    }
    return out;
}

/* A long text goes on over several lines, broken at blanks, as the reader joins them with a blank.
 */
static rc_t print_value(const char *value, struct buf *out)
{
    size_t column = 0;

    for (const char *p = value; *p;) {
        size_t word = strcspn(p, " ");
        if (column && column + word > 100) {
            TRY(buf_add_str(out, "\n    "));
            column = 0;
        } else if (column) {
            TRY(buf_add_str(out, " "));
        }
        TRY(buf_add(out, p, word));
        column += word + 1;
        p += word;
        p += strspn(p, " ");
    }
    return buf_add_str(out, "\n");
}

static rc_t print_comment(const struct config_option *o, struct buf *out)
{
    TRY(buf_add_fmt(out, "\n# %s\n#", o->help));
    if (o->kind == CONFIG_NUMBER)
        TRY(buf_add_fmt(out, " %s, %" PRIu64 " to %" PRIu64 ";", o->unit, o->least, o->most));
    return buf_add_fmt(out, " default: %s;%s\n", *o->preset ? o->preset : "(empty)",
                       o->when == CONFIG_RELOAD ? " a reload applies it" : " needs a restart");
}

rc_t config_print(const struct config *c, bool comments, struct buf *out)
{
    char value[CONFIG_TEXT_SIZE];
    const char *section = "";

    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        if (strcmp(section, o->section)) {
            TRY(buf_add_fmt(out, "%s[%s]\n", *section ? "\n" : "", o->section));
            section = o->section;
        }
        if (comments)
            TRY(print_comment(o, out));
        config_value(c, o, value);
        TRY(buf_add_fmt(out, "%s =%s", o->name, *value ? " " : ""));
        TRY(print_value(value, out));
    }
    return RC_OK;
}

static rc_t print_json_text(const char *text, struct buf *out)
{
    TRY(buf_add_str(out, "\""));
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            TRY(buf_add_fmt(out, "\\%c", *p));
        else if ((unsigned char)*p < 0x20)
            TRY(buf_add_fmt(out, "\\u%04x", (unsigned char)*p));
        else
            TRY(buf_add_u8(out, (uint8_t)*p));
    }
    return buf_add_str(out, "\"");
}

rc_t config_print_json(const struct config *c, struct buf *out)
{
    char value[CONFIG_TEXT_SIZE];
    const char *section = "";

    TRY(buf_add_str(out, "{"));
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        if (strcmp(section, o->section)) {
            TRY(buf_add_fmt(out, "%s\n  \"%s\": {", *section ? "\n  }," : "", o->section));
            section = o->section;
        } else {
            TRY(buf_add_str(out, ","));
        }
        TRY(buf_add_fmt(out, "\n    \"%s\": ", o->name));
        config_value(c, o, value);
        if (o->kind == CONFIG_NUMBER)
            TRY(buf_add_str(out, value));
        else if (o->kind == CONFIG_FLAG)
            TRY(buf_add_str(out, !strcmp(value, "yes") ? "true" : "false"));
        else
            TRY(print_json_text(value, out));
    }
    return buf_add_str(out, "\n  }\n}\n");
}

rc_t config_reload(struct config *c, const struct config *fresh, struct buf *later)
{
    char was[CONFIG_TEXT_SIZE], is[CONFIG_TEXT_SIZE];

    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *o = &config_options[i];
        if (!strcmp(config_value(c, o, was), config_value(fresh, o, is)))
            continue;
        if (o->when == CONFIG_RELOAD)
            memcpy(field(c, o), field_const(fresh, o), field_size(o));
        else
            TRY(buf_add_fmt(later, "%s%s.%s", later->len ? " " : "", o->section, o->name));
    }
    return RC_OK;
}

rc_t config_control_path(const struct config *c, char out[static 108])
{
    int n = *c->server_control_socket ? snprintf(out, 108, "%s", c->server_control_socket)
                                      : snprintf(out, 108, "%s/control.sock", c->server_run_dir);
    return n > 0 && n < 108 ? RC_OK : RC_CONFIG;
}
