#include "setup/setup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512, PORT_MAX = 65535 };

/* Where questions go and answers come from. */
struct talk {
    FILE *in, *out;
    char line[LINE_MAX_BYTES]; /* the answer, without blanks around it */
};

/* Ask, and read a line. @return false when the input ends */
__attribute__((format(printf, 2, 3))) static bool ask_line(struct talk *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vfprintf(t->out, fmt, args);
    va_end(args);
    (void)fflush(t->out);
    if (!fgets(t->line, sizeof t->line, t->in)) {
        (void)fputc('\n', t->out);
        return false;
    }
    size_t len = strcspn(t->line, "\n");
    while (len > 0 && (t->line[len - 1] == ' ' || t->line[len - 1] == '\t' || t->line[len - 1] == '\r'))
        len--;
    t->line[len] = '\0';
    memmove(t->line, t->line + strspn(t->line, " \t"), strlen(t->line + strspn(t->line, " \t")) + 1);
    return true;
}

static bool ask_serve(struct setup *s, struct talk *t)
{
    do {
        if (!ask_line(
                t, "Serve other machines of the local network, too? y or n [%s]: ", s->network ? "y" : "n"))
            return false;
    } while (*t->line && strcmp(t->line, "y") != 0 && strcmp(t->line, "n") != 0);
    if (*t->line)
        s->network = *t->line == 'y';
    return true;
}

static bool ask_port(struct setup *s, struct talk *t)
{
    for (;;) {
        if (!ask_line(t, "Listen on which port? [%u]: ", s->port))
            return false;
        if (!*t->line)
            return true;
        char *end;
        unsigned long port = strtoul(t->line, &end, 10);
        if (!*end && port >= 1 && port <= PORT_MAX) {
            s->port = (unsigned)port;
            return true;
        }
        (void)fprintf(t->out, "Expected a number from 1 to %d.\n", PORT_MAX);
    }
}

static void show_links(const struct setup *s, FILE *out)
{
    (void)fputs("This machine has these links:\n", out);
    for (size_t i = 0; i < s->n_links; i++)
        (void)fprintf(out, "  %-15s %s%s\n", s->links[i].name,
                      s->links[i].usable ? "" : "not usable now: ", s->links[i].about);
    if (s->n_links == 0)
        (void)fputs("  none but loopback\n", out);
}

/* Call for each name of the answer. @return whether the machine has all of them */
static bool each_name(struct setup *s, struct talk *t, void (*take)(struct setup_link *link))
{
    char names[LINE_MAX_BYTES];

    for (int pass = 0; pass < 2; pass++) {
        char *rest = names, *name;
        memcpy(names, t->line, sizeof names);
        while ((name = strsep(&rest, " ,\t"))) {
            struct setup_link *link = NULL;
            for (size_t i = 0; i < s->n_links; i++)
                if (strcmp(s->links[i].name, name) == 0)
                    link = &s->links[i];
            if (!link && *name) {
                (void)fprintf(t->out, "This machine has no link %s.\n", name);
                return false;
            }
            if (link && pass > 0)
                take(link);
        }
    }
    return true;
}

static void want(struct setup_link *link)
{
    link->wanted = true;
}
static void make_backup(struct setup_link *link)
{
    link->backup = true;
}

static bool ask_links(struct setup *s, struct talk *t)
{
    struct setup before = *s;

    show_links(s, t->out);
    for (;;) {
        if (!ask_line(t, "Use which of them? Names, or an empty line for all that are usable: "))
            return false;
        if (!*t->line)
            return true;
        setup_want_none(s);
        if (each_name(s, t, want))
            return true;
        *s = before;
    }
}

/* The names of the wanted links that are backups, or "none". */
static const char *backups_of(const struct setup *s, char out[LINE_MAX_BYTES])
{
    size_t len = 0;

    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].wanted && s->links[i].backup)
            len +=
                (size_t)snprintf(out + len, LINE_MAX_BYTES - len, "%s%s", len ? " " : "", s->links[i].name);
    return len ? out : "none";
}

static size_t count_wanted(const struct setup *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_links; i++)
        n += s->links[i].wanted;
    return n;
}

static bool ask_backup(struct setup *s, struct talk *t)
{
    char names[LINE_MAX_BYTES];

    if (count_wanted(s) < 2)
        return true; /* a single link cannot be spared */
    for (;;) {
        if (!ask_line(t, "Spare which of them, for they cost money or are slow? Names, or none [%s]: ",
                      backups_of(s, names)))
            return false;
        if (!*t->line)
            return true;
        struct setup before = *s;
        for (size_t i = 0; i < s->n_links; i++)
            s->links[i].backup = false;
        if (strcmp(t->line, "none") == 0 || each_name(s, t, make_backup))
            return true;
        *s = before;
    }
}

static bool ask_quota(struct setup *s, struct talk *t)
{
    for (size_t i = 0; i < s->n_links; i++) {
        struct setup_link *l = &s->links[i];
        while (l->wanted && l->backup) {
            if (!ask_line(t, "How many bytes may %s carry in a month, such as 20G? [no limit]: ", l->name))
                return false;
            if (!*t->line || setup_set_quota(l, t->line))
                break;
            (void)fputs("Expected a number with K, M, G or T behind it.\n", t->out);
        }
    }
    return true;
}

int setup_ask(struct setup *s, unsigned questions, FILE *in, FILE *out)
{
    static const struct {
        enum setup_question question;
        bool (*ask)(struct setup *s, struct talk *t);
    } steps[] = {
        {SETUP_ASK_LINKS, ask_links}, {SETUP_ASK_BACKUP, ask_backup}, {SETUP_ASK_QUOTA, ask_quota},
        {SETUP_ASK_SERVE, ask_serve}, {SETUP_ASK_PORT, ask_port},
    };
    struct talk t = {.in = in, .out = out};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if ((questions & steps[i].question) && !steps[i].ask(s, &t))
            return -ENODATA;
    return 0;
}
