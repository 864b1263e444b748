/* Which connections a request means. */
#ifndef STEERWAY_VIEW_CONNECTION_FILTER_H
#define STEERWAY_VIEW_CONNECTION_FILTER_H

#include "addr/addr.h"

#include <jansson.h>

struct account;

/** Embedded by its owner; zero-initialised fits every connection. */
struct connection_filter {
    json_t *request; /* has the texts */
    const char *host, *uplink, *user;
    struct cidr client;
    bool by_client, by_id;
    bool all; /* the request says that it means all */
    uint64_t *ids;
    size_t n_ids;
};

enum { CONNECTION_FILTER_ERROR_MAX = 128 };

/** Read the filters of a request: host, client, uplink, user, ids, all.
 *  @param err  one line for a failure (CONNECTION_FILTER_ERROR_MAX)
 *  @return 0; -EINVAL, -ENOMEM: call connection_filter_done either way */
MUST_CHECK int connection_filter_read(struct connection_filter *ret, const json_t *request, char *err);
void connection_filter_done(struct connection_filter *f);

/** Whether it names any connection, or all of them. */
bool connection_filter_is_said(const struct connection_filter *f);
bool connection_filter_fits(const struct connection_filter *f, const struct account *a);

#endif
