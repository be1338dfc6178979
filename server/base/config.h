/*
 * The configuration: one plain structure made from the table config.def, read from an INI file and
 * checked whole before anything uses it. Every process of the server has its own copy; the
 * supervisor reads the file and hands its text to the others through a descriptor.
 */
#ifndef SERVER_BASE_CONFIG_H
#define SERVER_BASE_CONFIG_H

#include "proto/base/buf.h"
#include "proto/base/rc.h"
#include "server/base/log.h"

enum config_kind { CONFIG_NUMBER, CONFIG_FLAG, CONFIG_TEXT, CONFIG_LEVEL };
enum config_when { CONFIG_RESTART, CONFIG_RELOAD };

enum {
    CONFIG_TEXT_SIZE = 1024,      /* room of a TEXT option, with its NUL */
    CONFIG_FILE_MAX = 256 * 1024, /* largest configuration file, bytes */
    CONFIG_PROBLEMS_MAX = 50,     /* problems told of one file; the others are counted */
};

#define CONFIG_TYPE_NUMBER(name) uint32_t name
#define CONFIG_TYPE_FLAG(name)   bool name
#define CONFIG_TYPE_TEXT(name)   char name[CONFIG_TEXT_SIZE]
#define CONFIG_TYPE_LEVEL(name)  enum log_level name

/* One field for each option, named section_name: config.limits_idle_ms, config.tls_key. */
struct config {
#define OPTION(section, name, kind, preset, least, most, unit, when, help)                         \
    CONFIG_TYPE_##kind(section##_##name);
#include "server/base/config.def"
#undef OPTION
};

struct config_option {
    const char *section, *name;
    enum config_kind kind;
    const char *preset; /* the default, as it would stand in the file */
    uint64_t least, most;
    const char *unit;
    enum config_when when;
    const char *help;
    size_t offset; /* of the field in struct config */
};

extern const struct config_option config_options[];
extern const size_t config_option_count;

/* The option, or NULL. */
const struct config_option *config_find(const char *section, const char *name);
/* All defaults. */
void config_preset(struct config *out);
/*
 * Reads a file. RC_CONFIG when anything is wrong: `problems` then has one line for each problem,
 * "FILE:LINE: [section] option: what is wrong; what to do", and *out is not to be used.
 */
rc_t config_load(const char *path, struct config *out, struct buf *problems);
/* The same from a descriptor (read from its start, stays open) or from memory; `file` names it. */
rc_t config_load_fd(int fd, const char *file, struct config *out, struct buf *problems);
rc_t config_parse(struct bytes text, const char *file, struct config *out, struct buf *problems);
/* The value of one option in the form of the file; out has CONFIG_TEXT_SIZE bytes. Returns out. */
const char *config_value(const struct config *c, const struct config_option *o, char *out);
/* All options as a configuration file: with comments (help, unit, default, range) or bare. */
rc_t config_print(const struct config *c, bool comments, struct buf *out);
/* What stands before config_print() in deploy/holdfast.conf.example. */
#define CONFIG_EXAMPLE_HEAD                                                                        \
    "# Holdfast: every option with its default. Only what differs needs to stand in the file.\n"   \
    "# A long value goes on in the next line, when that begins with a blank. See "                 \
    "holdfast.conf(5).\n\n"
/* All options as a JSON object of sections. */
rc_t config_print_json(const struct config *c, struct buf *out);
/*
 * Takes from `fresh` what a reload may change; RESTART options keep their value in `c`. Appends the
 * names of RESTART options that differ to `later`, "section.name", separated by a blank.
 */
rc_t config_reload(struct config *c, const struct config *fresh, struct buf *later);
/* The control socket's path: control_socket, or control.sock in run_dir. out has 108 bytes. */
rc_t config_control_path(const struct config *c, char out[static 108]);

#endif
