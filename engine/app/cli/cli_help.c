#include "cli/cli.h"

#include <string.h>

/* The help fits a terminal of 80 columns. */
enum { COLUMNS = 79, INDENT = 2, ABOUT_COLUMN = 26, LINE_MAX_BYTES = 128 };

enum { SUMMARY_COLUMN = 13 };

static const char OVERVIEW[] = "Usage: steerway COMMAND [OPTIONS] [WORDS...]\n"
                               "\n"
                               "A SOCKS and HTTP proxy that spreads connections over several uplinks.\n"
                               "\n";
static const char OVERVIEW_END[] =
    "\n"
    "Options before any command: -h (--help), -V (--version).\n"
    "\n"
    "Examples:\n"
    "  steerway start                      every uplink that this machine has\n"
    "  steerway start eth0@7 wwan0@3       seven connections in ten by eth0\n"
    "  steerway start --config FILE        everything else is in the file\n";

/* @return how many bytes of text fit into the width, cut between words where possible */
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
    char left[LINE_MAX_BYTES], letter[] = "-x, ";

    letter[1] = o->letter;
    (void)snprintf(left, sizeof left, "%*s%s--%s%s%s%s", INDENT, "", o->letter ? letter : "    ", o->name,
                   o->argument   ? " "
                   : o->optional ? "[="
                                 : "",
                   o->argument   ? o->argument
                   : o->optional ? o->optional
                                 : "",
                   o->optional ? "]" : "");
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

/* A longer list of options gets headings. */
enum { OPTIONS_WITHOUT_HEADINGS = 8 };

static size_t count_options(unsigned scope)
{
    size_t n = 0;

    for (size_t i = 0; option_at(i); i++)
        n += (option_at(i)->scope & scope) != 0;
    return n;
}

static void print_options(FILE *out, unsigned scope)
{
    bool headings = count_options(scope) > OPTIONS_WITHOUT_HEADINGS;
    const char *group = NULL;

    for (size_t i = 0; option_at(i); i++) {
        const struct option *o = option_at(i);
        if (!(o->scope & scope))
            continue;
        if (headings ? o->group != group : !group)
            (void)fprintf(out, "\n%s:\n", headings ? o->group : "Options");
        group = o->group;
        print_option(out, o);
    }
}

static void print_overview(FILE *out, const struct verb_table *verbs)
{
    (void)fputs(OVERVIEW, out);
    for (size_t i = 0; i < verbs->n; i++)
        (void)fprintf(out, "  %-*s%s\n", SUMMARY_COLUMN, verbs->items[i].name, verbs->items[i].summary);
    (void)fputs(OVERVIEW_END, out);
}

void cli_print_help(FILE *out, const struct verb_table *verbs, const struct verb *verb)
{
    if (!verb)
        return print_overview(out, verbs);
    (void)fprintf(out, "Usage: steerway %s%s%s%s\n\n%s", verb->name, verb->scope ? " [OPTIONS]" : "",
                  *verb->words ? " " : "", verb->words, verb->about);
    print_options(out, verb->scope);
}
