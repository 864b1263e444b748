#include "ask/watch.h"

#include "ask/until_stopped.h"
#include "cli/cli.h"
#include "cli/command_error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const double DEFAULT_S = 2, LEAST_S = 0.1, MOST_S = 86400;
#define TO_THE_TOP "\033[H"
#define CLEAR_BELOW "\033[J"

/* @return false: it is not a number of seconds */
static bool read_seconds(const char *text, double *ret)
{
    char *end;

    *ret = *text ? strtod(text, &end) : DEFAULT_S;
    return !*text || (*end == '\0' && isfinite(*ret) && *ret >= LEAST_S && *ret <= MOST_S);
}

int watch(const struct cli *cli, int (*show)(const struct cli *cli, void *arg), void *arg)
{
    const char *every = cli_value(cli, "watch");
    bool in_place = isatty(STDOUT_FILENO);
    double seconds;
    int code;

    if (!every)
        return show(cli, arg);
    if (!read_seconds(every, &seconds))
        return command_error(COMMAND_MISUSED, "--watch: expected seconds from 0.1 to 86400, got '%.60s'",
                             every);
    (void)setvbuf(stdout, NULL, _IOFBF, BUFSIZ); /* each round is written at once */
    until_stopped_begin();
    do {
        (void)printf("%s", in_place ? TO_THE_TOP CLEAR_BELOW : "");
        code = show(cli, arg);
        (void)printf("%s", in_place ? "" : "\n");
        if (fflush(stdout) != 0)
            return COMMAND_FAILED;
    } while (code == COMMAND_OK && until_stopped_wait(-1, seconds));
    return code;
}
