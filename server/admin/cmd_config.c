/*
 * `holdfast config`: what the server would read from its configuration file.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "server/admin/cli.h"

enum cli_exit cli_config(struct cli *cli, struct config *config)
{
    const char *path = cli_value(cli, OPT_CONFIG, HOLDFAST_CONFIG_FILE);
    AUTO_BUF problems = BUF_EMPTY;
    if (access(path, R_OK) != 0)
        return cli_fail(cli, CLI_FILE, "Name the server's configuration with --config FILE or HOLDFAST_CONFIG.",
                        "the configuration %s cannot be read: %s", path, strerror(errno));
    rc_t rc = config_load(path, config, &problems);
    if (rc == RC_OK)
        return CLI_DONE;
    if (problems.len == 0)
        return cli_fail(cli, CLI_FILE, NULL, "the configuration %s cannot be read: %s", path, rc_text(rc));
    while (problems.len > 0 && problems.data[problems.len - 1] == '\n')
        buf_cut(&problems, problems.len - 1);
    return cli_fail(cli, CLI_REFUSED, "Correct it; 'holdfast config check' looks again.", "%.*s", (int)problems.len,
                    (const char *)problems.data);
}

enum cli_exit cmd_config_show(struct cli *cli)
{
    struct config config;
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    AUTO_BUF text = BUF_EMPTY;
    rc_t rc = cli_given(cli, OPT_JSON) ? config_print_json(&config, &text) : config_print(&config, true, &text);
    if (rc != RC_OK)
        return cli_fail(cli, CLI_INTERNAL, NULL, "the configuration cannot be printed: %s", rc_text(rc));
    fwrite(text.data, 1, text.len, cli->out);
    if (text.len > 0 && text.data[text.len - 1] != '\n')
        fputc('\n', cli->out);
    return CLI_DONE;
}

enum cli_exit cmd_config_check(struct cli *cli)
{
    struct config config;
    enum cli_exit code = cli_config(cli, &config);
    if (code != CLI_DONE)
        return code;
    const char *path = cli_value(cli, OPT_CONFIG, HOLDFAST_CONFIG_FILE);
    if (cli_given(cli, OPT_JSON))
        return cli_print_json(cli, json_pack("{s:b, s:s}", "ok", 1, "file", path));
    fprintf(cli->out, "%s is good.\n", path);
    return CLI_DONE;
}
