/* One request by one egress that tests whether packets get through: a TCP connection, or an HTTP request.
 * The answer to HTTP shows a captive portal. */
#ifndef STEERWAY_HEALTH_PROBE_H
#define STEERWAY_HEALTH_PROBE_H

#include "dns/resolver.h"
#include "net/dialer.h"
#include "parent/parent.h"
#include "proto/target.h"

enum { PROBE_PATH_MAX = 255, PROBE_ANSWER_MAX = 8192 };

/** A host and port, and the path to request. */
struct probe_target {
    struct target to;
    char path[PROBE_PATH_MAX + 1]; /* "/generate_204"; "" for a TCP connection without a request */
};

/** Parse "host:port" (TCP) or "http://host[:port][/path]" (HTTP, which should answer 204).
 *  @return PARSE_OK, PARSE_BAD */
MUST_CHECK enum parse probe_target_parse(struct probe_target *ret, struct slice text);
enum { PROBE_TARGET_TEXT_MAX = TARGET_HOST_MAX + PROBE_PATH_MAX + 32 };
/** The target in the syntax of probe_target_parse. @return out */
const char *probe_target_format(const struct probe_target *t, char out[PROBE_TARGET_TEXT_MAX]);

struct probe;

struct probe_result {
    /* FAULT_NONE: connected, or an HTTP answer of any status. FAULT_REFUSED also shows that packets get
     * through. FAULT_NAME: the target, or the parent proxy, has no address of the egress' families.
     * FAULT_PARENT: the parent proxy is down or refuses. */
    enum fault fault;
    bool named; /* name servers answered, or were not asked */
    enum resolver_news news;
    int status;            /* HTTP status; 0 for none */
    double connect_s;      /* set once connected */
    struct slice location; /* HTTP field Location; empty for none */
    struct slice body;     /* HTTP body, cut so that the answer has at most PROBE_ANSWER_MAX bytes */
    struct addr own;       /* local address, once connected; else AF_UNSPEC */
};

/** Called once, never within probe_start. The callee may free or restart the probe. */
typedef void probe_done_fn(struct probe *p, const struct probe_result *result);

/** Embedded by its owner; zero-initialised is "not running". */
struct probe {
    struct ev_loop *loop;
    probe_done_fn *done;
    struct probe_target target;
    struct egress egress;
    bool running, large;
    struct probe_result result;
    struct resolver_query query;
    struct dial dial;
    struct parent parent;
    ev_io io;
    ev_timer deadline;
    char answer[PROBE_ANSWER_MAX];
    size_t len;
};

struct probe_request {
    const struct probe_target *target; /* copied, like egress */
    const struct egress *egress;       /* its families are tried */
    struct resolver *resolver;         /* uses the same egress; must outlive the probe */
    const struct parent_spec
        *parent;         /* the parent proxy to go through; NULL for none. Must outlive the probe */
    struct loops *loops; /* for a parent proxy, of the running proxy; NULL: none runs */
    const char *uplink;  /* the parent proxy's uplink */
    double timeout_s;    /* for the whole probe, > 0 */
    bool large;          /* HTTP: the request fills more than one packet */
};

void probe_start(struct probe *p, struct ev_loop *loop, const struct probe_request *request,
                 probe_done_fn *done);

/** Stop without calling done. Harmless when not running. */
void probe_cancel(struct probe *p);

#endif
