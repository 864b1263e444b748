/* The answers from which steerway init makes a config file. */
#ifndef STEERWAY_SETUP_SETUP_H
#define STEERWAY_SETUP_SETUP_H

#include "base/compiler.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct machine;

enum { SETUP_LINKS_MAX = 32, SETUP_QUOTA_MAX = 16, SETUP_ABOUT_MAX = 128 };

struct setup_link {
    char name[IFNAMSIZ];
    char about[SETUP_ABOUT_MAX]; /* "192.0.2.7, by 192.0.2.1", or why it is not used */
    bool usable;                 /* it would serve if none were named */
    bool wanted;
    bool backup;                 /* metered, and used only when no other works */
    char quota[SETUP_QUOTA_MAX]; /* as the config file has it; "" for none */
};

struct setup {
    struct setup_link links[SETUP_LINKS_MAX];
    size_t n_links;
    bool network; /* serve other machines, too */
    unsigned port;
    bool chosen; /* the wanted links were named: a link that comes later is not used */
};

/** What may be asked. */
enum setup_question {
    SETUP_ASK_SERVE = 1 << 0,
    SETUP_ASK_PORT = 1 << 1,
    SETUP_ASK_LINKS = 1 << 2,
    SETUP_ASK_BACKUP = 1 << 3,
    SETUP_ASK_QUOTA = 1 << 4,
};

/** Take this machine's links, and propose answers: all usable ones, mobile ones as backups. */
void setup_look(struct setup *ret, const struct machine *m);
/** The link with this name; one that the machine lacks is added. NULL where the name cannot be an
 * interface's, or there are too many. */
struct setup_link *setup_link(struct setup *s, const char *name);
/** Want just the links that are named from now on. */
void setup_want_none(struct setup *s);
/** Set a quota, such as "20G". @return false for what is not one */
MUST_CHECK bool setup_set_quota(struct setup_link *link, const char *text);

/** Ask these questions. An empty line is the answer that stands in brackets; a wrong one is asked again.
 * @return 0, or -ENODATA when the input ends */
MUST_CHECK int setup_ask(struct setup *s, unsigned questions, FILE *in, FILE *out);

/** The config file. @return malloc'ed text, NULL without memory */
char *setup_text(const struct setup *s, const char *file);

#endif
