/*
 * The frame of the holdfast command: one table of commands and one of options; parsing, help, exit codes and
 * the way errors are told. A command is a line in commands.def and a function that returns an exit code.
 */
#ifndef SERVER_ADMIN_CLI_H
#define SERVER_ADMIN_CLI_H

#include <stdio.h>

#include "proto/base/rc.h"
#include "server/base/config.h"

enum cli_exit {
#define EXIT_CODE(id, number, meaning) CLI_##id = number,
#include "server/admin/exit.def"
#undef EXIT_CODE
};

enum cli_option {
#define OPT(id, name, value, env, help) OPT_##id,
#include "server/admin/options.def"
#undef OPT
    OPT_COUNT
};

struct cli;

typedef unsigned __int128 option_set; /* there are more than 64 */

struct command {
    const char *words;     /* "key create" */
    const char *arguments; /* "NAME", or "" */
    int least, most;       /* how many arguments */
    option_set options;    /* bit set of enum cli_option */
    const char *summary;   /* one line */
    const char *help;      /* what it does, what it changes, what to do next */
    enum cli_exit (*run)(struct cli *cli);
};

/* One run of the command. Option values are borrowed from argv or the environment; NULL when not given. */
struct cli {
    const struct command *command;
    const char *option[OPT_COUNT]; /* a switch that is given holds "" */
    const char *const *arguments;
    int argument_count;
    FILE *out;
    FILE *err;
};

/* The whole command: parse, run, flush. Returns the exit code. */
int cli_main(int argc, char **argv);

/* The table of commands.def; ends with words == NULL. */
extern const struct command commands[];

/*
 * Tells an error in two sentences, what happened to what, and what to do next (may be NULL), and returns `exit`.
 * With --json the error is one JSON object on standard error.
 */
enum cli_exit cli_fail(struct cli *cli, enum cli_exit exit, const char *next, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
/* The exit code that fits a result of a lower layer. */
enum cli_exit cli_exit_of(rc_t rc);

static inline bool cli_given(const struct cli *cli, enum cli_option option)
{
    return cli->option[option] != NULL;
}

/* The option's value, or `preset` where it is not given. */
const char *cli_value(const struct cli *cli, enum cli_option option, const char *preset);
/* The option as a whole number from least to most, 0x before it for a hexadecimal one; *value stays as it is where
 * the option is not given. Tells the error and returns CLI_USAGE where it is none. */
enum cli_exit cli_number(struct cli *cli, enum cli_option option, long least, long most, long *value);

/* The option as numbers from 0 to most (63 at most), with commas between, as a bit set; otherwise as cli_number(). */
enum cli_exit cli_numbers(struct cli *cli, enum cli_option option, unsigned most, uint64_t *set);
/* Seconds since 1970 as a day in UTC, "2027-01-31"; "-" for NO_DATE. Returns out. */
const char *cli_date(int64_t seconds, char out[static 16]);

/* Reads the configuration file that --config names. Tells the error. */
enum cli_exit cli_config(struct cli *cli, struct config *config);

/* Prints a JSON value with a newline and drops the reference. */
struct json_t;
enum cli_exit cli_print_json(struct cli *cli, struct json_t *value);

/* Writes a file whole, mode as given, through a temporary name, fsync and rename. Tells the error. */
enum cli_exit cli_write_file(struct cli *cli, const char *path, struct bytes content, unsigned mode);
/* Reads a file of at most `limit` bytes ("-" is standard input). Tells the error. */
struct buf;
enum cli_exit cli_read_file(struct cli *cli, const char *path, size_t limit, struct buf *content);

#define COMMAND(words, arguments, least, most, options, summary, help, run) enum cli_exit run(struct cli *cli);
#include "server/admin/commands.def"
#undef COMMAND

#endif
