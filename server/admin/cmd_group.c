/* `holdfast group` and `holdfast role`: who shares objects, and who has which rules in common. */
#include "config.h"

#include <string.h>

#include "server/admin/policy_call.h"

enum { SENTENCE = 1000 };

/* ---- groups ---- */

enum cli_exit cmd_group_add(struct cli *cli)
{
    const char *values[] = {policy_domain(cli), cli->arguments[0], cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done,
             "Added the group %s to the domain %s. 'holdfast group join %s CLIENT' fills it.",
             values[1], values[0], values[1]);
    return policy_change(cli, "group_add", 3, values, done, "the group was not added");
}

enum cli_exit cmd_group_remove(struct cli *cli)
{
    const char *values[] = {policy_domain(cli), cli->arguments[0], cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done,
             "Removed the group %s of the domain %s. Its members keep their own objects.",
             values[1], values[0]);
    return policy_change(cli, "group_remove", 3, values, done, "the group was not removed");
}

enum cli_exit cmd_group_share(struct cli *cli)
{
    const char *said = cli->arguments[1];
    bool shares = strcmp(said, "yes") == 0;
    if (!shares && strcmp(said, "no") != 0)
        return cli_fail(cli, CLI_USAGE, NULL, "'%s' is neither yes nor no", said);
    const char *values[] = {policy_domain(cli), cli->arguments[0], shares ? "true" : "false",
                            cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done, "The members of the group %s %s.", values[1],
             shares ? "share their objects" : "share no objects by it");
    return policy_change(cli, "group_share", 4, values, done, "the group was not changed");
}

enum cli_exit cmd_group_join(struct cli *cli)
{
    const char *values[] = {policy_domain(cli), cli->arguments[0], cli->arguments[1],
                            cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done, "%s is in the group %s.", values[2], values[1]);
    return policy_change(cli, "group_join", 4, values, done, "the client did not join the group");
}

enum cli_exit cmd_group_leave(struct cli *cli)
{
    const char *values[] = {policy_domain(cli), cli->arguments[0], cli->arguments[1],
                            cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done, "%s is in the group %s no longer.", values[2], values[1]);
    return policy_change(cli, "group_leave", 4, values, done, "the client did not leave the group");
}

static void print_group(FILE *out, const json_t *row)
{
    fprintf(out, "%-12s %-20s %-7s members: %s  roles: %s\n", policy_text(row, "domain", ""),
            policy_text(row, "name", ""),
            json_is_true(json_object_get(row, "shares")) ? "shares" : "-",
            policy_text(row, "members", "none"), policy_text(row, "roles", "none"));
}

enum cli_exit cmd_group_list(struct cli *cli)
{
    return policy_list(cli, "groups v ORDER BY domain, name", print_group);
}

/* ---- roles ---- */

enum cli_exit cmd_role_add(struct cli *cli)
{
    const char *values[] = {policy_domain(cli), cli->arguments[0], cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done,
             "Added the role %s to the domain %s. 'holdfast role give %s' gives it to clients and "
             "groups.",
             values[1], values[0], values[1]);
    return policy_change(cli, "role_add", 3, values, done, "the role was not added");
}

enum cli_exit cmd_role_remove(struct cli *cli)
{
    const char *values[] = {policy_domain(cli), cli->arguments[0], cli->option[OPT_WHY]};
    char done[SENTENCE];
    snprintf(done, sizeof done, "Removed the role %s of the domain %s.", values[1], values[0]);
    return policy_change(cli, "role_remove", 3, values, done, "the role was not removed");
}

static enum cli_exit hand(struct cli *cli, const char *function, const char *end,
                          const char *not_done)
{
    const char *client = cli->option[OPT_CLIENT], *group = cli->option[OPT_CLIENT_GROUP];
    const char *values[] = {policy_domain(cli), cli->arguments[0], client, group,
                            cli->option[OPT_WHY]};
    char done[SENTENCE];
    if (!client == !group)
        return cli_fail(cli, CLI_USAGE, NULL, "say who: --client NAME or --group NAME");
    snprintf(done, sizeof done, "%s %s has the role %s%s.", client ? "The client" : "The group",
             client ? client : group, values[1], end);
    return policy_change(cli, function, 5, values, done, not_done);
}

enum cli_exit cmd_role_give(struct cli *cli)
{
    return hand(cli, "role_give", "", "the role was not given");
}

enum cli_exit cmd_role_take(struct cli *cli)
{
    return hand(cli, "role_take", " no longer", "the role was not taken away");
}

static void print_role(FILE *out, const json_t *row)
{
    fprintf(out, "%-12s %-20s %s\n", policy_text(row, "domain", ""), policy_text(row, "name", ""),
            policy_text(row, "members", "given to nobody"));
}

enum cli_exit cmd_role_list(struct cli *cli)
{
    return policy_list(cli, "roles v ORDER BY domain, name", print_role);
}
