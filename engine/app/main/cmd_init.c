/* Asks a few questions, and writes a config of the answers. */
#include "main/commands.h"

#include "cli/cli.h"
#include "setup/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char FILE_DEFAULT[] = "steerway.conf.lua";

/* --- answers by options --------------------------------------------------------------------------------- */

static int take_links(const struct cli *cli, struct setup *s)
{
    if (cli->n_words > 0)
        setup_want_none(s);
    for (size_t i = 0; i < cli->n_words; i++) {
        struct setup_link *link = setup_link(s, cli->words[i]);
        if (!link)
            return command_error(COMMAND_MISUSED, "'%.60s' cannot be the name of an interface",
                                 cli->words[i]);
        link->wanted = true;
    }
    return COMMAND_OK;
}

static struct setup_link *wanted_link(struct setup *s, const char *name, size_t len)
{
    for (size_t i = 0; i < s->n_links; i++) {
        struct setup_link *link = &s->links[i];
        if (link->wanted && strlen(link->name) == len && memcmp(link->name, name, len) == 0)
            return link;
    }
    return NULL;
}

static int take_backups(const struct cli *cli, struct setup *s)
{
    for (size_t i = 0; cli_value(cli, "backup") && i < s->n_links; i++)
        s->links[i].backup = false;
    for (size_t i = 0; i < cli->n_values; i++) {
        const char *text = cli->values[i].text;
        if (strcmp(cli->values[i].option->name, "backup") != 0 || strcmp(text, "none") == 0)
            continue;
        struct setup_link *link = wanted_link(s, text, strlen(text));
        if (!link)
            return command_error(COMMAND_MISUSED, "--backup: '%.60s' is not one of the uplinks", text);
        link->backup = true;
    }
    return COMMAND_OK;
}

static int take_quotas(const struct cli *cli, struct setup *s)
{
    for (size_t i = 0; i < cli->n_values; i++) {
        const char *text = cli->values[i].text, *equals = strchr(text, '=');
        if (strcmp(cli->values[i].option->name, "quota") != 0)
            continue;
        struct setup_link *link = equals ? wanted_link(s, text, (size_t)(equals - text)) : NULL;
        if (!link)
            return command_error(COMMAND_MISUSED,
                                 "--quota: expected UPLINK=BYTES with one of the uplinks, got '%.60s'", text);
        if (!setup_set_quota(link, equals + 1))
            return command_error(COMMAND_MISUSED, "--quota: '%.60s' is not a number of bytes, such as 20G",
                                 equals + 1);
    }
    return COMMAND_OK;
}

static int take_service(const struct cli *cli, struct setup *s)
{
    enum { PORT_MAX = 65535 };
    const char *serve = cli_value(cli, "serve"), *port = cli_value(cli, "port");

    if (serve && strcmp(serve, "machine") != 0 && strcmp(serve, "network") != 0)
        return command_error(COMMAND_MISUSED, "--serve: expected machine or network, got '%.60s'", serve);
    s->network = serve && strcmp(serve, "network") == 0;
    if (!port)
        return COMMAND_OK;
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    if (*port < '0' || *port > '9' || *end || number < 1 || number > PORT_MAX)
        return command_error(COMMAND_MISUSED, "--port: expected a number from 1 to %d, got '%.60s'", PORT_MAX,
                             port);
    s->port = (unsigned)number;
    return COMMAND_OK;
}

static int take_options(const struct cli *cli, struct setup *s, unsigned *ret_questions)
{
    int (*const takers[])(const struct cli *, struct setup *) = {take_links, take_backups, take_quotas,
                                                                 take_service};

    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        int code = takers[i](cli, s);
        if (code != COMMAND_OK)
            return code;
    }
    *ret_questions = 0;
    if (cli_value(cli, "yes"))
        return COMMAND_OK;
    *ret_questions |= cli->n_words > 0 ? 0 : SETUP_ASK_LINKS;
    *ret_questions |= cli_value(cli, "backup") ? 0 : SETUP_ASK_BACKUP;
    *ret_questions |= cli_value(cli, "quota") ? 0 : SETUP_ASK_QUOTA;
    *ret_questions |= cli_value(cli, "serve") ? 0 : SETUP_ASK_SERVE;
    *ret_questions |= cli_value(cli, "port") ? 0 : SETUP_ASK_PORT;
    return COMMAND_OK;
}

/* --- the file ------------------------------------------------------------------------------------------- */

/* An existing file keeps its mode and owner. */
static int write_file(const char *file, const char *text, bool force)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0666);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    if (!f)
        return command_error(COMMAND_FAILED, "%s: %s", file,
                             errno == EEXIST
                                 ? "exists already; --force replaces it, and --to names another file"
                                 : strerror(errno));
    bool whole = fputs(text, f) >= 0;
    whole = fclose(f) == 0 && whole;
    return whole ? COMMAND_OK : command_error(COMMAND_FAILED, "%s: cannot be written", file);
}

static int make_config(const struct setup *s, const char *file, bool force)
{
    char *text = setup_text(s, file);
    int code = text ? write_file(file, text, force) : command_error(COMMAND_FAILED, "out of memory");

    free(text);
    if (code == COMMAND_OK)
        (void)printf("Made %s. Look into it, then run:\n\n"
                     "  steerway check --config %s\n"
                     "  steerway doctor --config %s     # examines the uplinks\n"
                     "  steerway start --config %s\n",
                     file, file, file, file);
    return code;
}

int cmd_init(const struct cli *cli)
{
    const char *file = cli_value(cli, "to");
    bool force = cli_value(cli, "force") != NULL;
    struct machine m;
    struct setup s;
    unsigned questions;

    file = file ? file : FILE_DEFAULT;
    /* Before anybody answers questions for nothing. */
    if (!force && access(file, F_OK) == 0)
        return command_error(COMMAND_FAILED,
                             "%s: exists already; --force replaces it, and --to names another file", file);
    int r = machine_read(&m);
    if (r < 0)
        return command_error(COMMAND_FAILED, "cannot read the links of this machine: %s", strerror(-r));
    setup_look(&s, &m);
    machine_done(&m);
    int code = take_options(cli, &s, &questions);
    if (code != COMMAND_OK)
        return code;
    if (questions && !isatty(STDIN_FILENO))
        return command_error(COMMAND_MISUSED,
                             "init asks at a terminal, and standard input is not one; --yes takes the "
                             "proposed answers");
    if (setup_ask(&s, questions, stdin, stdout) < 0)
        return command_error(COMMAND_FAILED, "the answers ended early; nothing was written");
    return make_config(&s, file, force);
}
