/* What a question for a name's addresses came to: shared by those who asked and the cache. */
#ifndef STEERWAY_DNS_DNS_ANSWER_H
#define STEERWAY_DNS_DNS_ANSWER_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct dns_answer {
    unsigned refs;
    enum fault fault; /* FAULT_NONE where n >= 1 */
    bool silent;      /* FAULT_DNS: no server has said anything */
    double ttl_s;     /* for which it may be kept; 0: not at all */
    size_t n;
    struct addr addrs[]; /* port 0; families take turns, IPv6 first (RFC 8305 4) */
};

/** With one reference, the caller's. @return NULL without memory */
static inline struct dns_answer *dns_answer_new(size_t n)
{
    struct dns_answer *a = calloc(1, sizeof *a + n * sizeof a->addrs[0]);

    if (a) {
        a->refs = 1;
        a->n = n;
    }
    return a;
}

static inline struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
    a->refs++;
    return a;
}

/** NULL is let through. */
static inline void dns_answer_unref(struct dns_answer *a)
{
    if (a && --a->refs == 0)
        free(a);
}

#endif
