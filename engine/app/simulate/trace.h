/* A trace: the connections that a simulation plays, in the order in which they ask for an uplink. */
#ifndef STEERWAY_SIMULATE_TRACE_H
#define STEERWAY_SIMULATE_TRACE_H

#include "base/compiler.h"

#include <stddef.h>
#include <stdint.h>

enum { TRACE_ERROR_MAX = 512 };

/** The latest time in a trace, and that by which a simulation must have ended: four months. */
#define TRACE_SECONDS_MAX 1e7

struct trace_flow {
    double t;              /* s since the trace began */
    uint64_t tx, rx;       /* octets to and from the destination */
    uint32_t client, host; /* numbers of texts */
    uint16_t port;
};

struct trace {
    struct trace_flow *flows;
    size_t n, cap;
    char **texts; /* names and addresses, each once */
    size_t n_texts, cap_texts;
    uint32_t *slots; /* a hash table of texts' numbers, each and one; 0 for none */
    size_t n_slots;
};

/** Number of a text, made when it is new. @return 0 or -ENOMEM */
MUST_CHECK int trace_text(struct trace *t, const char *text, uint32_t *ret);
/** @return 0 or -ENOMEM */
MUST_CHECK int trace_add(struct trace *t, const struct trace_flow *flow);
/** Into the order of t; what is at the same time keeps its order. */
void trace_sort(struct trace *t);
void trace_done(struct trace *t);

/** Read what the proxy has recorded: a line {"steerway_trace":1}, then a JSON object a line.
 *  @param ret  empty @return 0, or negative errno with one line in err that names file and line */
MUST_CHECK int trace_read(struct trace *ret, const char *path, char *err);

/** The kinds that trace_make knows, ended by NULL. */
extern const char *const trace_kinds[];

/** Octets a second, both > 0. */
struct trace_offer {
    double down, up;
};

/** Make one of a kind, always the same for the same seed.
 *  @param ret    empty
 *  @param n      connections, >= 1
 *  @param offer  no more than that in either direction, on average
 *  @return 0, -ENOENT for a kind that is none, -ENOMEM */
MUST_CHECK int trace_make(struct trace *ret, const char *kind, size_t n, const struct trace_offer *offer,
                          uint64_t seed);

#endif
