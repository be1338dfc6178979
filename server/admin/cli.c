/*
 * The frame of the holdfast command: finds the command in the table, reads its options, prints help, and tells
 * errors in one way. Knows no KMIP, no SQL and no TPM.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "proto/base/wipe.h"
#include "server/admin/cli.h"
#include "server/base/object.h"

struct option_row {
    const char *name, *value, *env, *help;
};

static const struct option_row options[OPT_COUNT] = {
#define OPT(id, name, value, env, help) [OPT_##id] = {name, value, env, help},
#include "server/admin/options.def"
#undef OPT
};

static const struct {
    int number;
    const char *meaning;
} exits[] = {
#define EXIT_CODE(id, number, meaning) {number, meaning},
#include "server/admin/exit.def"
#undef EXIT_CODE
};

_Static_assert(OPT_COUNT <= 128, "an option set has 128 bits");

const struct command commands[] = {
#define COMMAND(words, arguments, least, most, options, summary, help, run) \
    {words, arguments, least, most, options, summary, help, run},
#include "server/admin/commands.def"
#undef COMMAND
    {NULL, NULL, 0, 0, 0, NULL, NULL, NULL},
};

static bool command_takes(const struct command *command, int option)
{
    return command->options >> option & 1;
}

enum cli_exit cli_fail(struct cli *cli, enum cli_exit code, const char *next, const char *what, ...)
{
    char text[1024];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    if (cli_given(cli, OPT_JSON)) {
        json_t *error = json_pack("{s:s, s:i, s:s*}", "error", text, "exit", (int)code, "next", next);
        if (error)
            json_dumpf(error, cli->err, JSON_COMPACT);
        json_decref(error);
        fputc('\n', cli->err);
        return code;
    }
    fprintf(cli->err, "holdfast: %s\n", text);
    if (next)
        fprintf(cli->err, "  %s\n", next);
    return code;
}

enum cli_exit cli_exit_of(rc_t rc)
{
    switch (rc) {
    case RC_OK:
        return CLI_DONE;
    case RC_UNAVAILABLE:
    case RC_BUSY:
    case RC_SEALED:
    case RC_TIMEOUT:
        return CLI_UNAVAILABLE;
    case RC_IO:
        return CLI_FILE;
    case RC_INTEGRITY:
        return CLI_DAMAGE;
    case RC_NO_MEMORY:
    case RC_PROTOCOL:
    case RC_INTERNAL:
        return CLI_INTERNAL;
    default:
        return CLI_REFUSED;
    }
}

const char *cli_value(const struct cli *cli, enum cli_option option, const char *preset)
{
    return cli->option[option] ? cli->option[option] : preset;
}

enum cli_exit cli_number(struct cli *cli, enum cli_option option, long least, long most, long *value)
{
    const char *text = cli->option[option];
    if (!text)
        return CLI_DONE;
    char *end;
    errno = 0;
    bool hexadecimal = text[0] == '0' && text[1] == 'x';
    long number = strtol(text, &end, hexadecimal ? 16 : 10);
    if (end == text || *end || errno || number < least || number > most)
        return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: not a whole number from %ld to %ld",
                        options[option].name, text, least, most);
    *value = number;
    return CLI_DONE;
}

enum cli_exit cli_numbers(struct cli *cli, enum cli_option option, unsigned most, uint64_t *set)
{
    const char *text = cli->option[option], *at = text;
    uint64_t found = 0;
    if (!text)
        return CLI_DONE;
    for (;;) {
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        if (!isdigit((unsigned char)*at) || number > most || (*end && *end != ','))
            return cli_fail(cli, CLI_USAGE, NULL, "--%s %s: not numbers from 0 to %u with commas between",
                            options[option].name, text, most);
        found |= UINT64_C(1) << number;
        if (!*end)
            break;
        at = end + 1;
    }
    *set = found;
    return CLI_DONE;
}

const char *cli_date(int64_t seconds, char out[static 16])
{
    struct tm tm;
    time_t t = (time_t)seconds;
    if (seconds == NO_DATE || !gmtime_r(&t, &tm) || strftime(out, 16, "%Y-%m-%d", &tm) == 0)
        memcpy(out, "-", 2);
    return out;
}

enum cli_exit cli_print_json(struct cli *cli, json_t *value)
{
    if (!value)
        return cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
    json_dumpf(value, cli->out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    fputc('\n', cli->out);
    json_decref(value);
    return CLI_DONE;
}

/* ---- help ---- */

static void print_wrapped(FILE *out, size_t column, const char *text)
{
    size_t at = column;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > column && at + 1 + word > 100) {
            fprintf(out, "\n%*s", (int)column, "");
            at = column;
        } else if (at > column) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)word, text);
        at += word;
        text += word;
        while (*text == ' ')
            text++;
    }
    fputc('\n', out);
}

static void print_command_help(FILE *out, const struct command *command)
{
    fprintf(out, "usage: holdfast %s [options]%s%s\n\n", command->words, *command->arguments ? " " : "",
            command->arguments);
    fprintf(out, "%c%s.\n", toupper((unsigned char)command->summary[0]), command->summary + 1);
    if (*command->help)
        fprintf(out, "%s\n", command->help);
    fprintf(out, "\noptions:\n");
    for (int i = 0; i < OPT_COUNT; i++) {
        if (!command_takes(command, i))
            continue;
        const struct option_row *o = &options[i];
        int written = fprintf(out, "  --%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(out, "%*s", written < 26 ? 26 - written : 1, "");
        char text[512];
        snprintf(text, sizeof text, "%s%s%s", o->help, o->env ? "; also from " : "", o->env ? o->env : "");
        print_wrapped(out, 26, text);
    }
}

static void print_overview(FILE *out)
{
    fprintf(out, "usage: holdfast COMMAND [options]\n\n"
                 "Administers a Holdfast key server and speaks KMIP to one.\n\ncommands:\n");
    for (const struct command *c = commands; c->words; c++)
        fprintf(out, "  %-18s %s\n", c->words, c->summary);
    fprintf(out, "\n'holdfast COMMAND --help' explains a command. Exit codes:\n");
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
        fprintf(out, "  %d  %s\n", exits[i].number, exits[i].meaning);
}

/* The options a command takes, as a program wants them: "key get<TAB>--json --host= ..." */
static void print_table(FILE *out)
{
    for (const struct command *c = commands; c->words; c++) {
        fprintf(out, "%s\t", c->words);
        const char *space = "";
        for (int i = 0; i < OPT_COUNT; i++) {
            if (!command_takes(c, i))
                continue;
            fprintf(out, "%s--%s%s%s", space, options[i].name, options[i].value ? "=" : "",
                    options[i].value ? options[i].value : "");
            space = " ";
        }
        fputc('\n', out);
    }
}

/* ---- parsing ---- */

/* Whether the command's words begin with these; `exact` if they are all of them. */
static bool words_match(const char *words, const char *first, const char *second, bool *exact)
{
    size_t len = strlen(first);
    if (strncmp(words, first, len) != 0)
        return false;
    if (words[len] == 0) {
        *exact = true;
        return true;
    }
    if (words[len] != ' ')
        return false;
    *exact = second && strcmp(words + len + 1, second) == 0;
    return *exact || !second;
}

/* Finds the command by its one or two words. `group` tells whether the first word begins commands of two. */
static const struct command *find_command(const char *first, const char *second, int *used, bool *group)
{
    *group = false;
    for (const struct command *c = commands; c->words; c++) {
        bool exact = false;
        if (words_match(c->words, first, second, &exact) && exact) {
            *used = strchr(c->words, ' ') ? 2 : 1;
            return c;
        }
        if (words_match(c->words, first, NULL, &exact))
            *group = true;
    }
    return NULL;
}

enum cli_exit cmd_help(struct cli *cli)
{
    if (cli_given(cli, OPT_TABLE)) {
        print_table(cli->out);
        return CLI_DONE;
    }
    if (cli->argument_count == 0) {
        print_overview(cli->out);
        return CLI_DONE;
    }
    const char *first = cli->arguments[0];
    const char *second = cli->argument_count > 1 ? cli->arguments[1] : NULL;
    int used;
    bool group;
    const struct command *command = find_command(first, second, &used, &group);
    if (command) {
        print_command_help(cli->out, command);
        return CLI_DONE;
    }
    if (!group || second)
        return cli_fail(cli, CLI_USAGE, "'holdfast help' lists the commands.", "there is no command '%s%s%s'", first,
                        second ? " " : "", second ? second : "");
    for (const struct command *c = commands; c->words; c++) {
        bool exact = false;
        if (words_match(c->words, first, NULL, &exact))
            fprintf(cli->out, "  %-18s %s\n", c->words, c->summary);
    }
    return CLI_DONE;
}

enum cli_exit cmd_version(struct cli *cli)
{
    fprintf(cli->out, "holdfast %s\n", PACKAGE_VERSION);
    return CLI_DONE;
}

/* Finds the option that `text` (behind its two dashes) names. Two options may share a name (--out), so the
 * command decides which is meant. */
static int find_option(const struct command *command, const char *text, size_t len)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (command_takes(command, i) && strlen(options[i].name) == len && memcmp(options[i].name, text, len) == 0)
            return i;
    return -1;
}

/* Takes one option from argv[*at]; moves *at over its value. */
static enum cli_exit take_option(struct cli *cli, int argc, char **argv, int *at)
{
    const char *text = argv[*at] + 2;
    size_t len = strcspn(text, "=");
    int found = find_option(cli->command, text, len);
    if (found < 0) {
        char next[128];
        snprintf(next, sizeof next, "'holdfast %s --help' lists its options.", cli->command->words);
        return cli_fail(cli, CLI_USAGE, next, "'%s' has no option --%.*s", cli->command->words, (int)len, text);
    }
    const struct option_row *option = &options[found];
    if (!option->value) {
        if (text[len] == '=')
            return cli_fail(cli, CLI_USAGE, NULL, "--%s takes no value", option->name);
        cli->option[found] = "";
        return CLI_DONE;
    }
    if (text[len] == '=') {
        cli->option[found] = text + len + 1;
        return CLI_DONE;
    }
    if (*at + 1 >= argc)
        return cli_fail(cli, CLI_USAGE, NULL, "--%s needs a value: --%s %s", option->name, option->name, option->value);
    cli->option[found] = argv[++*at];
    return CLI_DONE;
}

static enum cli_exit parse(struct cli *cli, int argc, char **argv, const char **arguments)
{
    bool only_arguments = false;
    for (int i = 0; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && strcmp(argv[i], "-h") == 0) {
            cli->option[OPT_HELP] = "";
        } else if (!only_arguments && strncmp(argv[i], "--", 2) == 0) {
            enum cli_exit code = take_option(cli, argc, argv, &i);
            if (code != CLI_DONE)
                return code;
        } else {
            arguments[cli->argument_count++] = argv[i];
        }
    }
    for (int i = 0; i < OPT_COUNT; i++)
        if (!cli->option[i] && options[i].env && command_takes(cli->command, i)) {
            const char *value = getenv(options[i].env);
            cli->option[i] = value && *value ? value : NULL;
        }
    cli->arguments = arguments;
    if (cli_given(cli, OPT_HELP))
        return CLI_DONE;
    if (cli->argument_count < cli->command->least || cli->argument_count > cli->command->most)
        return cli_fail(cli, CLI_USAGE, NULL, "usage: holdfast %s [options] %s", cli->command->words,
                        cli->command->arguments);
    return CLI_DONE;
}

static enum cli_exit run(struct cli *cli, int argc, char **argv, const char **arguments)
{
    if (argc < 2) {
        print_overview(cli->err);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(cli->out);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return cmd_version(cli);
    int from = 1;
    /* `holdfast --config FILE status`: the one option that may stand before the command. */
    const char *config = NULL;
    if (strcmp(argv[from], "--config") == 0 && argc > from + 2) {
        config = argv[from + 1];
        from += 2;
    } else if (strncmp(argv[from], "--config=", 9) == 0 && argc > from + 1) {
        config = argv[from] + 9;
        from++;
    }
    const char *second = from + 1 < argc ? argv[from + 1] : NULL;
    int used = 0;
    bool group = false;
    cli->command = find_command(argv[from], second, &used, &group);
    if (!cli->command && group) {
        cli->command = find_command("help", NULL, &used, &group);
        cli->arguments = arguments;
        arguments[0] = argv[from];
        cli->argument_count = 1;
        bool asked = second && (strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0);
        if (!asked)
            cli->out = cli->err;
        cmd_help(cli);
        return asked ? CLI_DONE : CLI_USAGE;
    }
    if (!cli->command)
        return cli_fail(cli, CLI_USAGE, "'holdfast help' lists the commands.", "there is no command '%s'", argv[from]);
    cli->option[OPT_CONFIG] = config;
    enum cli_exit code = parse(cli, argc - from - used, argv + from + used, arguments);
    if (code != CLI_DONE)
        return code;
    if (cli_given(cli, OPT_HELP)) {
        print_command_help(cli->out, cli->command);
        return CLI_DONE;
    }
    return cli->command->run(cli);
}

static void free_json(void *memory)
{
    if (memory)
        wipe(memory, malloc_usable_size(memory));
    free(memory);
}

int cli_main(int argc, char **argv)
{
    /* What is printed may be a key: it stays neither in the stream's memory nor in that of JSON. */
    static char printed[BUFSIZ];
    static const struct command none = {.words = ""};
    setvbuf(stdout, printed, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof printed);
    json_set_alloc_funcs(malloc, free_json);
    struct cli cli = {.command = &none, .out = stdout, .err = stderr};
    const char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
    if (!arguments)
        return (int)cli_fail(&cli, CLI_INTERNAL, NULL, "out of memory");
    enum cli_exit code = run(&cli, argc, argv, arguments);
    free(arguments);
    /* Output that could not be written is not done. */
    if (fflush(stdout) != 0 && code == CLI_DONE)
        code = cli_fail(&cli, CLI_FILE, NULL, "standard output cannot be written: %s", strerror(errno));
    wipe(printed, sizeof printed);
    return (int)code;
}
