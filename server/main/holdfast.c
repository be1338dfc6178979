/*
 * The holdfast command: administration of a node and a KMIP client. Wiring only; the commands are in
 * server/admin. Hardened first, since it handles private keys.
 */
#include "config.h"

#include "server/admin/cli.h"
#include "server/process/sandbox.h"

int main(int argc, char **argv)
{
    if (sandbox_harden() != RC_OK)
        return CLI_INTERNAL;
    return cli_main(argc, argv);
}
