/* Limits of connections: in all, and for each client, by address (client_key.h).
 *
 * A client is known while a connection of it is open, and for some seconds after that: those who come and go
 * often must not get a new count each time. At most CLIENTS_RESTING of such clients are remembered. */
#ifndef STEERWAY_ACCESS_LIMITS_H
#define STEERWAY_ACCESS_LIMITS_H

#include "addr/addr.h"
#include "base/bucket.h"
#include "base/compiler.h"
#include "base/keyed_hash.h"
#include "base/list.h"
#include "net/client_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits_user {
    char *name;
    uint64_t rate; /* bytes a second */
};

/** 0: no limit. */
struct limits_settings {
    size_t clients;     /* clients with connections, at a time */
    size_t connections; /* of all clients together */
    size_t client_connections;
    size_t client_new;               /* connections of a client that begin in a second */
    size_t client_handshakes;        /* connections of a client whose request has not been accepted */
    uint64_t client_rate;            /* bytes a second of a client, in each direction */
    const struct limits_user *users; /* the same for users by their names; copied */
    size_t n_users;
};

enum limit {
    LIMIT_NONE,
    LIMIT_CLIENTS,
    LIMIT_CONNECTIONS,
    LIMIT_CLIENT_CONNECTIONS,
    LIMIT_CLIENT_NEW,
    LIMIT_CLIENT_HANDSHAKES,
    N_LIMITS
};

/* A client may open as many at once as are allowed in this time: a browser opens dozens for one page. */
enum { LIMITS_BURST_S = 5 };

struct limits_client {
    struct limits_client *next; /* with the same slot */
    struct list resting;        /* in limits.resting, while nothing refers to it */
    struct client_key key;
    size_t refs;
    size_t connections, handshakes;
    size_t checks;       /* of passwords (verifier.h), for its owner */
    struct bucket fresh; /* new connections */
    struct cap cap;
};

/** Zero-initialised has no limits and no clients, except for the list. */
struct limits {
    struct limits_settings most;
    struct limits_client **slots;
    size_t n_slots, n_known; /* n_slots is a power of 2 */
    struct list resting;     /* the one that left first is first */
    size_t n_resting;
    size_t n_clients, n_connections; /* those with connections; those connections */
    struct limits_capped *capped;    /* users that have or had a cap, as connections may use it still */
    uint64_t refused[N_LIMITS];
    struct hash_key key;
};

void limits_init(struct limits *l);
/** No client may be referred to. */
void limits_done(struct limits *l);

/** Change the limits. What is open stays open. */
void limits_set(struct limits *l, const struct limits_settings *most);
/** A limit's number; 0 for none. */
size_t limits_most(const struct limits *l, enum limit which);
/** "max-clients", "max-connections", "client-connections", …: the option that sets it. */
const char *limits_name(enum limit which);

/** The client, referred to until client_leave. @return NULL without memory: it has no limits */
struct limits_client *limits_client(struct limits *l, const struct addr *at, uint64_t now_ns);
/** @param c  may be NULL, as in all of the following */
void limits_leave(struct limits *l, struct limits_client *c);

/** A connection has come, and its request is awaited. @return LIMIT_NONE: it counts until
 * limits_end_handshake; else it is refused */
enum limit limits_begin_handshake(struct limits *l, struct limits_client *c);
void limits_end_handshake(struct limits_client *c);

/** The cap of a user. @return NULL for none */
struct cap *limits_cap_of(const struct limits *l, const char *user);

/** The connection wants to be served. @return LIMIT_NONE: it counts until limits_end; else it is refused */
enum limit limits_begin(struct limits *l, struct limits_client *c, uint64_t now_ns);
void limits_end(struct limits *l, struct limits_client *c);

#endif
