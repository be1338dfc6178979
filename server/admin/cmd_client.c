/* `holdfast client set|enable|disable`: what holds for one client. Enrolment is in cmd_ca.c. */
#include "config.h"

#include <string.h>

#include "server/admin/policy_call.h"

enum { SENTENCE = 700, QUIRKS_ROOM = 1024 };

/* "a,b" as an array of PostgreSQL, every name in quotes; "none" is the empty one. */
static enum cli_exit quirks_array(struct cli *cli, char out[static QUIRKS_ROOM], const char **value)
{
    const char *list = cli->option[OPT_QUIRKS];
    *value = NULL;
    if (!list)
        return CLI_DONE;
    if (strpbrk(list, "\"\\{}") || strlen(list) > QUIRKS_ROOM / 4)
        return cli_fail(cli, CLI_USAGE, NULL, "--quirks %.100s: names with commas between, or none",
                        list);
    *value = out;
    if (strcmp(list, "none") == 0) {
        snprintf(out, QUIRKS_ROOM, "{}");
        return CLI_DONE;
    }
    char copy[QUIRKS_ROOM / 4 + 1], *rest = copy;
    size_t used = 0;
    snprintf(copy, sizeof copy, "%s", list);
    for (char *name = strtok_r(copy, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest))
        used +=
            (size_t)snprintf(out + used, QUIRKS_ROOM - used, "%c\"%s\"", used ? ',' : '{', name);
    snprintf(out + used, QUIRKS_ROOM - used, "%s", used ? "}" : "{}");
    return CLI_DONE;
}

enum cli_exit cmd_client_set(struct cli *cli)
{
    char quirks[QUIRKS_ROOM], done[SENTENCE];
    const char *values[5] = {cli->arguments[0], NULL, NULL, NULL, cli->option[OPT_WHY]};
    enum cli_exit code = policy_yes_no(cli, OPT_SECOND_FACTOR, &values[1]);
    if (code == CLI_DONE)
        code = policy_yes_no(cli, OPT_LEGACY_TLS, &values[2]);
    if (code == CLI_DONE)
        code = quirks_array(cli, quirks, &values[3]);
    if (code == CLI_DONE && !values[1] && !values[2] && !values[3])
        code = cli_fail(cli, CLI_USAGE, NULL,
                        "say what to set: --second-factor, --legacy-tls or --quirks");
    if (code != CLI_DONE)
        return code;
    snprintf(done, sizeof done, "Set what holds for %s, from its next request on.", values[0]);
    return policy_change(cli, "client_set", 5, values, done, "the client was not changed");
}

static enum cli_exit enable(struct cli *cli, bool enabled)
{
    const char *values[] = {cli->arguments[0], enabled ? "true" : "false", cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(
        done, sizeof done,
        enabled
            ? "Enabled %s. Certificates of it that were revoked stay so."
            : "Disabled %s: nothing is answered to it from its next request on. Its objects stay.",
        values[0]);
    return policy_change(cli, "client_enable", 3, values, done,
                         enabled ? "the client was not enabled" : "the client was not disabled");
}

enum cli_exit cmd_client_enable(struct cli *cli)
{
    return enable(cli, true);
}

enum cli_exit cmd_client_disable(struct cli *cli)
{
    return enable(cli, false);
}
