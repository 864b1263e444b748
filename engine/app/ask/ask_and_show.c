#include "ask/ask_and_show.h"

#include "ask/ask.h"
#include "cli/command_error.h"

#include <stdio.h>

static int print_json(const json_t *answer)
{
    if (json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0)
        return command_error(COMMAND_FAILED, "cannot write to standard output");
    (void)putchar('\n');
    return COMMAND_OK;
}

int show_answer(const struct cli *cli, json_t *answer, void (*show)(const json_t *answer))
{
    int code = COMMAND_OK;

    if (cli->as_json)
        code = print_json(answer);
    else
        show(answer);
    json_decref(answer);
    return code;
}

int ask_and_show(const struct cli *cli, json_t *request, void (*show)(const json_t *answer))
{
    json_t *answer;
    int code = ask(cli, request, &answer);

    return code != COMMAND_OK ? code : show_answer(cli, answer, show);
}
