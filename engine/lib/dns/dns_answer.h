/* The result of resolving a name, shared by its queries and the cache. */
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
    enum fault fault; /* FAULT_NONE if n >= 1 */
    bool silent;      /* with FAULT_DNS: no server has answered at all */
    double ttl_s;     /* seconds that it may be cached; 0: not at all */
    size_t n;
    struct addr addrs[]; /* port 0; the families alternate, IPv6 first (RFC 8305 4) */
};

/** It has one reference, the caller's. @return NULL without memory */
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

/** NULL is allowed. */
static inline void dns_answer_unref(struct dns_answer *a)
{
    if (a && --a->refs == 0)
        free(a);
}

#endif
