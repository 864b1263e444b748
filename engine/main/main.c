#include "main/cli.h"
#include "main/commands.h"

#include <stdio.h>

static int run_configured(struct cli *cli, struct config *config)
{
    char err[CONFIG_ERROR_MAX];
    struct paths paths;
    int code;

    if (cli_configure(cli, config, &code, err) < 0)
        return command_error(code, "%s", err);
    if (paths_find(&paths, config->data_dir, err) < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    code = cli->verb == VERB_CHECK ? cmd_check(config, &paths) : cmd_start(config, &paths);
    paths_done(&paths);
    return code;
}

static int run(struct cli *cli)
{
    struct config config;

    if (cli->show_version) {
        (void)printf("steerway %s\n", STEERWAY_VERSION);
        return COMMAND_OK;
    }
    if (cli->show_help || cli->verb == VERB_HELP) {
        cli_print_help(stdout, cli->show_help ? cli->verb : cli->topic);
        return COMMAND_OK;
    }
    if (cli->verb == VERB_NONE) {
        cli_print_help(stderr, VERB_NONE);
        return COMMAND_MISUSED;
    }
    if (cli->verb == VERB_LIST)
        return cmd_list(cli->as_json);
    int code = run_configured(cli, &config);
    config_done(&config);
    return code;
}

int main(int argc, char **argv)
{
    char err[CONFIG_ERROR_MAX];
    struct cli cli;

    int r = cli_parse(&cli, argc, argv, err);
    int code = r < 0 ? command_error(COMMAND_MISUSED, "%s", err) : run(&cli);
    cli_done(&cli);
    /* A full disk or a closed pipe must not look like success to a script. */
    if (fflush(stdout) != 0 && code == COMMAND_OK)
        code = command_error(COMMAND_FAILED, "cannot write to standard output");
    return code;
}
