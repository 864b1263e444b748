#include "main/cli.h"

#include <string.h>

/* The help fits a terminal of 80 columns. */
enum { COLUMNS = 79, INDENT = 2, ABOUT_COLUMN = 26, LINE_MAX_OCTETS = 128 };

static const char OVERVIEW[] = "Usage: steerway COMMAND [OPTIONS] [UPLINK...]\n"
                               "\n"
                               "A SOCKS and HTTP proxy that spreads connections over several uplinks.\n"
                               "\n"
                               "  list     show the links of this machine, and which of them would be used\n"
                               "  start    run the proxy\n"
                               "  check    say what is wrong with config and policy, without starting\n"
                               "  help     show the help of a command: steerway help start\n"
                               "\n"
                               "Options before any command: -h (--help), -V (--version).\n"
                               "\n"
                               "Examples:\n"
                               "  steerway start                      every uplink that this machine has\n"
                               "  steerway start eth0@7 wwan0@3       seven connections in ten by eth0\n"
                               "  steerway start --config FILE        everything else is in the file\n";

static const char LIST[] = "Usage: steerway list [OPTIONS]\n"
                           "\n"
                           "Show the links of this machine, and which of them start would use by default.\n";

#define UPLINKS_HELP                                                                                         \
    "UPLINK is INTERFACE or ADDRESS, with @WEIGHT or /WEIGHT for its share, which is\n"                      \
    "else 1: eth0, wwan0@0.5, 192.168.1.10@7, [2001:db8::10]@3. With none: every\n"                          \
    "interface that is up, is no bridge, container or tunnel, and has a default\n"                           \
    "route of its own.\n"

static const char START[] = "Usage: steerway start [OPTIONS] [UPLINK...]\n"
                            "\n"
                            "Run the proxy until SIGINT or SIGTERM; SIGHUP reloads the policy.\n"
                            "\n" UPLINKS_HELP;

static const char CHECK[] = "Usage: steerway check [OPTIONS] [UPLINK...]\n"
                            "\n"
                            "Read config and policy as start does, try the policy, say what is wrong with\n"
                            "them, and exit. Uplinks and addresses that this machine lacks cause warnings:\n"
                            "the config may be meant for another one. Whether a port is free is not tried.\n"
                            "\n" UPLINKS_HELP;

static const char HELP[] = "Usage: steerway help [COMMAND]\n"
                           "\n"
                           "Show the help of a command: list, start or check.\n";

/* @return how many octets of text fit into the width, whole words unless one is longer than all of it */
static size_t fitting(const char *text, size_t width)
{
    size_t len = strlen(text);

    if (len <= width)
        return len;
    for (len = width; len > 0; len--) {
        if (text[len] == ' ')
            return len;
    }
    return width;
}

static void print_option(FILE *out, const struct option *o)
{
    const size_t width = COLUMNS - ABOUT_COLUMN;
    const char *text = o->about;
    char left[LINE_MAX_OCTETS], letter[] = "-x, ";

    letter[1] = o->letter;
    (void)snprintf(left, sizeof left, "%*s%s--%s%s%s", INDENT, "", o->letter ? letter : "    ", o->name,
                   o->argument ? " " : "", o->argument ? o->argument : "");
    (void)fprintf(out, "%-*s", ABOUT_COLUMN, left);
    if (strlen(left) >= ABOUT_COLUMN)
        (void)fprintf(out, "\n%*s", ABOUT_COLUMN, "");
    for (;;) {
        size_t n = fitting(text, width);
        (void)fprintf(out, "%.*s\n", (int)n, text);
        text += n;
        text += strspn(text, " ");
        if (!*text)
            return;
        (void)fprintf(out, "%*s", ABOUT_COLUMN, "");
    }
}

static void print_options(FILE *out, unsigned scope)
{
    const char *group = NULL;

    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        if (!(o->scope & scope))
            continue;
        if (scope == OPTION_OF_LIST && !group)
            (void)fprintf(out, "\nOptions:\n");
        else if (scope != OPTION_OF_LIST && o->group != group)
            (void)fprintf(out, "\n%s:\n", o->group);
        group = o->group;
        print_option(out, o);
    }
}

void cli_print_help(FILE *out, enum verb verb)
{
    switch (verb) {
    case VERB_NONE:
        (void)fputs(OVERVIEW, out);
        return;
    case VERB_HELP:
        (void)fputs(HELP, out);
        return;
    case VERB_LIST:
        (void)fputs(LIST, out);
        return print_options(out, OPTION_OF_LIST);
    case VERB_START:
        (void)fputs(START, out);
        return print_options(out, OPTION_OF_START);
    case VERB_CHECK:
        (void)fputs(CHECK, out);
        return print_options(out, OPTION_OF_CHECK);
    }
}
