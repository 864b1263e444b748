/* A trace: the connections that a simulation plays, in the order in which they start. */
#ifndef STEERWAY_SIMULATE_TRACE_H
#define STEERWAY_SIMULATE_TRACE_H

#include "base/compiler.h"

#include <stddef.h>
#include <stdint.h>

enum { TRACE_ERROR_MAX = 512 };

/** The latest time in a trace, and the longest simulation: four months. */
#define TRACE_SECONDS_MAX 1e7

struct trace_flow {
    double t;              /* seconds since the trace began */
    uint64_t tx, rx;       /* bytes to and from the destination */
    uint32_t client, host; /* indexes of texts */
    uint16_t port;
};

struct trace {
    struct trace_flow *flows;
    size_t n, cap;
    char **texts; /* names and addresses, each stored once */
    size_t n_texts, cap_texts;
    uint32_t *slots; /* hash table: a text's index plus one; 0 for a free slot */
    size_t n_slots;
};

/** The index of a text; adds a new text. @return 0 or -ENOMEM */
MUST_CHECK int trace_text(struct trace *t, const char *text, uint32_t *ret);
/** @return 0 or -ENOMEM */
MUST_CHECK int trace_add(struct trace *t, const struct trace_flow *flow);
/** Sort by t; flows at the same time keep their order. */
void trace_sort(struct trace *t);
void trace_done(struct trace *t);

/** Read a recording of the proxy: the line {"steerway_trace":1}, then one JSON object a line.
 *  @param ret  empty @return 0, or negative errno with one line in err that names file and line */
MUST_CHECK int trace_read(struct trace *ret, const char *path, char *err);

/** The kinds that trace_make accepts; ends with NULL. */
extern const char *const trace_kinds[];

/** Bytes a second, both > 0. */
struct trace_offer {
    double down, up;
};

/** Make a trace of a kind. The same seed gives the same trace.
 *  @param ret    empty
 *  @param n      connections, >= 1
 *  @param offer  the average load in each direction stays at or below this
 *  @return 0, -ENOENT for an unknown kind, -ENOMEM */
MUST_CHECK int trace_make(struct trace *ret, const char *kind, size_t n, const struct trace_offer *offer,
                          uint64_t seed);

#endif
