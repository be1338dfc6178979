/*
 * holdfastd, the supervisor: reads the configuration and runs until told to stop. Stays in the
 * foreground, logs to standard error. See server/process/supervisor.h.
 */
#include "config.h"

#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/process/supervisor.h"

static const char usage[] =
    "Usage: holdfastd [--config FILE] [--libexec-dir DIR] [--check]\n"
    "Starts the Holdfast key server in the foreground.\n"
    "\n"
    "  -c, --config FILE      configuration (default " SYSCONFDIR "/holdfast.conf)\n"
    "      --libexec-dir DIR  where holdfast-worker and holdfast-vault are\n"
    "      --check            check the configuration, tell every problem, do not start\n"
    "      --example          print an example configuration with all options and defaults\n"
    "      --version          print the version\n"
    "      --help             print this text\n"
    "\n"
    "SIGHUP reads configuration and certificates again; SIGTERM ends open requests, then the\n"
    "server; a second one ends it at once. See holdfastd(8) and holdfast.conf(5).\n";

enum { OPT_LIBEXEC = 256, OPT_CHECK, OPT_EXAMPLE, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"libexec-dir", required_argument, NULL, OPT_LIBEXEC},
    {"check", no_argument, NULL, OPT_CHECK},
    {"example", no_argument, NULL, OPT_EXAMPLE},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* In a build tree the other programs lie beside this one. */
static const char *find_libexec(char *room, size_t size)
{
    char self[400] = "", program[600];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n > 0) {
        self[n] = 0;
        snprintf(room, size, "%s", dirname(self));
        snprintf(program, sizeof program, "%s/holdfast-worker", room);
        if (access(program, X_OK) == 0)
            return room;
    }
    return PKGLIBEXECDIR;
}

static int print_example(struct config *config)
{
    AUTO_BUF text = BUF_EMPTY;

    config_preset(config);
    if (config_print(config, true, &text) != RC_OK)
        return 1;
    fputs(CONFIG_EXAMPLE_HEAD, stdout);
    fwrite(text.data, 1, text.len, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static struct config config;
    const char *path = SYSCONFDIR "/holdfast.conf", *libexec = NULL;
    AUTO_BUF problems = BUF_EMPTY;
    char room[512];
    bool check = false;
    int opt;

    while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1)
        switch (opt) {
        case 'c':
            path = optarg;
            break;
        case OPT_LIBEXEC:
            libexec = optarg;
            break;
        case OPT_CHECK:
            check = true;
            break;
        case OPT_EXAMPLE:
            return print_example(&config);
        case OPT_VERSION:
            puts("holdfastd " PACKAGE_VERSION);
            return 0;
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    if (optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    log_open("holdfastd", LOG_INFO);
    if (config_load(path, &config, &problems) != RC_OK) {
        fwrite(problems.data, 1, problems.len, stderr);
        return 1;
    }
    if (check) {
        printf("%s: correct\n", path);
        return 0;
    }
    log_set_level(config.server_log_level);
    return supervisor_run(path, libexec ? libexec : find_libexec(room, sizeof room), &config);
}
