#include "access/hashes.h"
#include "cli/cli.h"
#include "cli/command_error.h"
#include "main/verbs.h"
#include "peek/quic_crypto.h"

#include <stdio.h>

static void print_version(void)
{
    (void)printf("steerway %s\n", STEERWAY_VERSION);
    if (!quic_crypto_is_there())
        (void)printf("left out of this build: the names in QUIC's first packets (needs libcrypto)\n");
    if (!hashes_are_there())
        (void)printf("left out of this build: hashed passwords (needs libcrypt)\n");
}

static int run(const struct cli *cli)
{
    if (cli->show_version) {
        print_version();
        return COMMAND_OK;
    }
    if (cli->show_help || !cli->verb) {
        cli_print_help(cli->show_help ? stdout : stderr, &VERBS, cli->verb);
        return cli->show_help ? COMMAND_OK : COMMAND_MISUSED;
    }
    return cli->verb->run(cli);
}

int main(int argc, char **argv)
{
    char err[CONFIG_ERROR_MAX];
    struct cli cli;

    int r = cli_parse(&cli, &VERBS, argc, argv, err);
    int code = r < 0 ? command_error(COMMAND_MISUSED, "%s", err) : run(&cli);
    cli_done(&cli);
    /* A script must not take a full disk or a closed pipe for success. */
    if (fflush(stdout) != 0 && code == COMMAND_OK)
        code = command_error(COMMAND_FAILED, "cannot write to standard output");
    return code;
}
