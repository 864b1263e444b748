/* An account as others see it: of a connection or mapping that is open, or of one that has ended of late. */
#ifndef STEERWAY_OUTBOUND_ACCOUNT_H
#define STEERWAY_OUTBOUND_ACCOUNT_H

#include "addr/addr.h"

struct outbound;

/** Texts are borrowed; those that are not known are NULL. */
struct account {
    uint64_t id;
    struct addr client; /* with its port */
    const char *user, *host;
    const char *address; /* the destination's, if `host` is its name */
    const char *proto, *uplink, *reason, *listener;
    const char *outcome; /* NULL: it is open */
    uint16_t port;
    uint64_t tx, rx;  /* bytes to and from the destination */
    double started_s; /* monotonic */
    double ended_s;   /* monotonic; 0: it is open */
};

/** In outbound.c. @param ret  its texts live as long as the outbound */
void account_of(const struct outbound *o, struct account *ret);

enum { RECENT_MAX = 256 };

/** The latest accounts that have ended. Embedded by its owner; zero-initialised is empty. */
struct recent {
    struct account *items[RECENT_MAX]; /* each with its texts behind it */
    size_t at;                         /* where the next one goes */
};

/** Copy it in place of the oldest one. Without memory it is left out. */
void recent_note(struct recent *r, const struct account *a);
/** The i-th, the latest first. @return NULL: no more */
const struct account *recent_at(const struct recent *r, size_t i);
void recent_done(struct recent *r);

#endif
