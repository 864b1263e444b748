/* A question to the internet by one egress, to learn whether packets come through: a TCP connection, or an
 * HTTP request, whose answer a captive portal gives itself away by. */
#ifndef STEERWAY_HEALTH_PROBE_H
#define STEERWAY_HEALTH_PROBE_H

#include "dns/resolver.h"
#include "net/dialer.h"
#include "parent/parent.h"
#include "proto/target.h"

enum { PROBE_PATH_MAX = 255, PROBE_ANSWER_MAX = 8192 };

/** Where to, and what is asked there. */
struct probe_target {
    struct target to;
    char path[PROBE_PATH_MAX + 1]; /* "/generate_204"; "" for a TCP connection and no more */
};

/** From "host:port" (TCP) or "http://host[:port][/path]" (HTTP, to be answered with 204).
 *  @return PARSE_OK, PARSE_BAD */
MUST_CHECK enum parse probe_target_parse(struct probe_target *ret, struct slice text);
enum { PROBE_TARGET_TEXT_MAX = TARGET_HOST_MAX + PROBE_PATH_MAX + 32 };
/** As it would be parsed. @return out */
const char *probe_target_format(const struct probe_target *t, char out[PROBE_TARGET_TEXT_MAX]);

struct probe;

struct probe_result {
    /* FAULT_NONE for a connection, or an HTTP answer of any status; FAULT_REFUSED tells of a way, too;
     * FAULT_NAME: the target, or the parent proxy that leads to it, has no address of the egress' families;
     * FAULT_PARENT: the parent proxy is not there, or lets nobody through. */
    enum fault fault;
    bool named; /* name servers have answered, or were not asked */
    enum resolver_news news;
    int status;            /* of HTTP; 0 for none */
    double connect_s;      /* once connected */
    struct slice location; /* of HTTP, its field Location; empty for none */
    struct slice body;     /* of HTTP, cut to what came with PROBE_ANSWER_MAX octets of the whole */
    struct addr own;       /* the address that it went out by, once connected; else AF_UNSPEC */
};

/** Called once, never from within probe_start; the probe may be freed or started again from within. */
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
    const struct probe_target *target; /* copied, as egress is */
    const struct egress *egress;       /* its families are those that are tried */
    struct resolver *resolver;         /* aimed so that it goes the same way; outlives the probe */
    const struct parent_spec *parent;  /* by which the target is reached; NULL: none. Outlives the probe */
    struct loops *loops;               /* of the proxy; NULL: none runs. For a parent proxy, as uplink is */
    const char *uplink;                /* its name */
    double timeout_s;                  /* for all of it, > 0 */
    bool large;                        /* HTTP: the request fills more than one packet */
};

void probe_start(struct probe *p, struct ev_loop *loop, const struct probe_request *request,
                 probe_done_fn *done);

/** Stop without calling done; harmless when not running. */
void probe_cancel(struct probe *p);

#endif
