/* An uplink: one of the ways by which traffic can leave, and the set of them. */
#ifndef STEERWAY_UPLINK_UPLINK_H
#define STEERWAY_UPLINK_UPLINK_H

#include "net/egress.h"
#include "net/machine.h"

#include <stdbool.h>
#include <stdint.h>

enum { UPLINK_MAX = 64, UPLINK_NAME_MAX = 63, UPLINK_TAGS_MAX = 8 };

enum uplink_kind { UPLINK_INTERFACE, UPLINK_ADDRESS };

/** The numbers of an uplink that a policy reads in place: only double, int32_t and bool, mirrored field by
 * field in lua/steerway/host/types.lua (a unit test compares the two). Rates in octets/s, times in seconds.
 */
struct uplink_view {
    double weight; /* > 0 */
    double tier;   /* 1 is used first */
    double active; /* live connections, dials under way included */
    double total;  /* connections ever made */
    double failures;
    double fail_rate; /* 0..1, smoothed */
    double tx_bytes, rx_bytes;
    double tx_rate, rx_rate;
    double tx_capacity, rx_capacity;
    double busy;
    double rtt;
    double quota_left; /* octets, or infinity */
    int32_t id;        /* 1.. in the order given */
    bool up, ipv4, ipv6;
};

struct uplink {
    struct uplink_view view; /* first: its address is what policies see */
    enum uplink_kind kind;
    char name[UPLINK_NAME_MAX + 1]; /* unique in its set; the interface or address unless configured */
    char interface[IFNAMSIZ];       /* the link that it is or that has its address; "" for none at present */
    struct addr address;            /* of UPLINK_ADDRESS */
    struct egress egress;
    char *tags[UPLINK_TAGS_MAX];
    size_t n_tags;
};

/** Owns its uplinks; they never move and live as long as the set, so a policy may keep them. */
struct uplink_set {
    struct uplink *items[UPLINK_MAX];
    size_t n;
};

/** What the command line or config says of one uplink. */
struct uplink_spec {
    enum uplink_kind kind;
    char name[UPLINK_NAME_MAX + 1]; /* "" to derive */
    char interface[IFNAMSIZ];
    struct addr address;
    double weight, tier;
    char *tags[UPLINK_TAGS_MAX]; /* owned by the spec */
    size_t n_tags;
};

/** Parse "INTERFACE|ADDRESS[@WEIGHT]" or with "/WEIGHT". An IPv6 address may stand in brackets. Weight is a
 * number above 0 and at most 1e6; default 1. @return 0, or -EINVAL with a reason in err that quotes the text
 */
MUST_CHECK int uplink_spec_parse(struct uplink_spec *ret, const char *text, char *err, size_t err_size);

void uplink_spec_done(struct uplink_spec *spec);

/** Add an uplink as spec says (tags are copied) and fill it from the machine's present state.
 *  @return 0, -EEXIST for a name that is taken, -ENOSPC over UPLINK_MAX, -ENOMEM */
MUST_CHECK int uplink_set_add(struct uplink_set *set, const struct uplink_spec *spec,
                              const struct machine *m);
void uplink_set_done(struct uplink_set *set);

/** Take up, families and egress anew from a snapshot: an interface that is missing or down, or has no
 *  address, and an address that this machine does not have, or has on a link that is down, is not up. Both
 *  kinds bind to the device and to the address; but an address of a loopback or dummy link is bound alone, as
 *  it is used through other links, which the kernel chooses. */
void uplink_refresh(struct uplink *u, const struct machine *m);

const char *uplink_kind_name(enum uplink_kind kind);

/** One connection's claim on an uplink: counted in active from acquire to release, once on every path.
 *  Zero-initialised holds none. */
struct uplink_lease {
    struct uplink *uplink;
};
/** The lease must be empty. */
void uplink_acquire(struct uplink_lease *lease, struct uplink *u);
/** Harmless when empty. */
void uplink_release(struct uplink_lease *lease);
/** Hand the claim on: *to must be empty, and *from is, afterwards. */
void uplink_lease_move(struct uplink_lease *to, struct uplink_lease *from);

/** Meters fed by whoever moves bytes and dials. */
void uplink_note_connected(struct uplink *u);
void uplink_note_failed(struct uplink *u);
void uplink_note_bytes(struct uplink *u, uint64_t tx, uint64_t rx);

#endif
