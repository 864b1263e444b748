/* An uplink: one of the ways by which traffic can leave, and the set of them. */
#ifndef STEERWAY_UPLINK_UPLINK_H
#define STEERWAY_UPLINK_UPLINK_H

#include "base/counters.h"
#include "base/list.h"
#include "dns/dns_servers.h"
#include "dns/resolver.h"
#include "machine/machine.h"
#include "net/egress.h"
#include "uplink/health.h"
#include "uplink/meter.h"
#include "uplink/parent_spec.h"
#include "uplink/quota.h"

#include <stdbool.h>
#include <stdint.h>

enum { UPLINK_MAX = 64, UPLINK_NAME_MAX = 63, UPLINK_TAGS_MAX = 8 };

enum uplink_kind { UPLINK_INTERFACE, UPLINK_ADDRESS, UPLINK_PARENT };

/** The numbers of an uplink that a policy reads in place: only double, int32_t and bool, mirrored field by
 * field in lua/steerway/host/types.lua (a unit test compares the two). Rates in octets/s, times in seconds.
 */
struct uplink_view {
    double weight; /* > 0 */
    double tier;   /* 1 is used first */
    double active; /* live connections, dials under way included */
    double total;  /* connections ever made */
    double failures;
    double races_lost;
    double fail_rate; /* 0..1, smoothed */
    double tx_bytes, rx_bytes;
    double tx_rate, rx_rate;         /* smoothed over a second */
    double tx_capacity, rx_capacity; /* learned (meter.h); 0 for not known yet */
    double busy;                     /* connections that were chosen or moved octets in the last 2 s */
    double connect_time;             /* smoothed time that TCP takes to connect; 0 for not known yet */
    double rtt;          /* smoothed round trip of those that ended, as TCP measured; 0: not known yet */
    double quota_left;   /* octets that this period has left, or infinity */
    int32_t id;          /* 1.. in the order given */
    bool up, ipv4, ipv6; /* up: not when a hard quota is used up, either */
};

struct uplink_pulse;

/** A router of its own, instead of that of the interface's routes. */
struct uplink_gateway {
    struct addr addr; /* AF_UNSPEC: none */
    bool ready;       /* the machine routes by it */
    bool failed;      /* could not be made to, which was told */
};

struct uplink {
    struct uplink_view view; /* first: its address is what policies see */
    enum uplink_kind kind;
    char name[UPLINK_NAME_MAX + 1];    /* unique in its set; the interface or address unless configured */
    char interface[MACHINE_NAME_SIZE]; /* the link that it is or that has its address; "" for none at present
                                        */
    char given[MACHINE_NAME_SIZE]; /* of an interface: the name, perhaps an alternative one, to look for */
    struct addr address;        /* of UPLINK_ADDRESS, or by which a parent proxy is reached; else AF_UNSPEC */
    struct parent_spec *parent; /* of UPLINK_PARENT; else NULL */
    struct egress egress;
    uint32_t mark;         /* of its packets; 0 for none */
    enum egress_ipv6 ipv6; /* of an interface: which of its IPv6 addresses are wanted */
    struct uplink_gateway gateway4, gateway6;
    char *tags[UPLINK_TAGS_MAX];
    size_t n_tags;
    struct uplink_pulse *pulse; /* of its set; NULL: nothing is metered */
    struct list busy;           /* leases */
    struct meter tx, rx;
    double tx_read, rx_read; /* the view's octets as of the last tick */
    struct quota quota;
    struct health health4, health6;
    double received4, received6; /* octets, of connections by each family */
    bool draining;               /* nothing new goes by it, for its user says so */
    char *check;                 /* targets of its own checks, as text; NULL for none */
    char *portal;                /* hosts of its captive portal, with commas between them; NULL for none */
    struct dns_servers dns;      /* configured; none: to be found */
    struct resolver *resolver;   /* of names by this uplink; somebody else's. NULL where nothing is dialed */
    struct health names;         /* of the resolver: its answers for octets received */
};

/** The time by which meters go. It beats only while there is something to measure, so that rest costs
 *  nothing. */
struct uplink_pulse {
    uint32_t ticks; /* so far */
    bool beats;
    void (*wake)(void *arg); /* call uplink_set_tick from now on, every UPLINK_TICK_S; NULL: nobody does */
    void *arg;
};

/** Owns its uplinks; they never move and live as long as the set, so a policy may keep them. The set must not
 *  move either once it has one. */
struct uplink_set {
    struct uplink *items[UPLINK_MAX];
    size_t n;
    enum egress_ipv6 ipv6; /* of those that are added from now on */
    struct uplink_pulse pulse;
};

/** What the command line or config says of one uplink. */
struct uplink_spec {
    enum uplink_kind kind;
    char name[UPLINK_NAME_MAX + 1];    /* "" to derive */
    char interface[MACHINE_NAME_SIZE]; /* of a parent proxy: by which it is reached; "" for any */
    struct addr address;               /* likewise */
    struct parent_spec *parent;        /* owned by the spec */
    double weight, tier;
    bool slashed;                /* the weight stood behind a '/', as a prefix length does */
    char *tags[UPLINK_TAGS_MAX]; /* owned by the spec */
    size_t n_tags;
    struct quota_plan quota;
    struct addr gateway4, gateway6; /* AF_UNSPEC: as the interface's routes say */
    uint32_t mark;                  /* 0: none, or one that gateways.h gives */
    bool ipv6_given;                /* else as the set's */
    enum egress_ipv6 ipv6;
    struct dns_servers dns;
    char *check;  /* owned by the spec; NULL for none */
    char *portal; /* likewise */
};

/** Parse "INTERFACE|ADDRESS|URL[@WEIGHT]" or with "/WEIGHT". An IPv6 address may stand in brackets; a URL is
 * a parent proxy's. Weight is a number above 0 and at most 1e6; default 1. @return 0, -ENOMEM, or -EINVAL
 * with a reason in err that quotes the text, but for what may be a secret */
MUST_CHECK int uplink_spec_parse(struct uplink_spec *ret, const char *text, char *err, size_t err_size);

/** The name that it will bear. @return out, or the spec's own text */
const char *uplink_spec_name(const struct uplink_spec *spec, char out[UPLINK_NAME_MAX + 1]);

void uplink_spec_done(struct uplink_spec *spec);

/** Add an uplink as spec says (tags are copied) and fill it from the machine's present state.
 *  @return 0, -EEXIST for a name that is taken, -ENOSPC over UPLINK_MAX, -ENOMEM */
MUST_CHECK int uplink_set_add(struct uplink_set *set, const struct uplink_spec *spec,
                              const struct machine *m);
/** Take back the last one that was added, of which nobody has heard yet. */
void uplink_set_drop_last(struct uplink_set *set);
void uplink_set_done(struct uplink_set *set);

/** The link that it is bound to, or that has its address; NULL where that is not there, or is left open. */
const struct machine_link *uplink_link(const struct uplink *u, const struct machine *m);

/** Take up, families and egress anew from a snapshot, and from the kernel's routes: an interface that is
 * missing or down, or has no address, and an address that this machine does not have, or has on a link that
 * is down, is not up. Both kinds bind to the device. An interface's address is chosen by source.h; an uplink
 * that is an address is bound to that, but an address of a loopback or dummy link is bound alone, as it is
 * used through other links, which the kernel chooses. */
void uplink_refresh(struct uplink *u, const struct machine *m);

/** Take up and quota_left anew, when the quota's count or period has changed. */
void uplink_settle(struct uplink *u);

/** What is known of it in one family. @param family  AF_INET or AF_INET6 */
struct health *uplink_health(struct uplink *u, int family);
double uplink_received(const struct uplink *u, int family);
enum health_state uplink_health_state(const struct uplink *u, int family);

/** Whether addresses of a family are to be tried by it beside others. @param now  monotonic seconds */
bool uplink_family_is_fit(const struct uplink *u, int family, double now);

/** Whether a family of addresses is fit that tells of the whole; its name servers are another matter. */
bool uplink_leads_on(const struct uplink *u, double now);

/** Whether it is to be offered beside others, for a connection.
 *  @param family  of the destination; AF_UNSPEC for a name
 *  @param now     monotonic seconds */
bool uplink_is_fit(const struct uplink *u, int family, double now);
/** Whether it is behind a captive portal. @param family  AF_UNSPEC: in either */
bool uplink_is_captive(const struct uplink *u, int family);

/** Whether a destination belongs to its captive portal: one of the hosts, or below a name of these. */
bool uplink_is_portal(const struct uplink *u, const char *host);

/** Its name servers (AF_UNSPEC), or addresses of a family, are tried: the next try of a suspect is a while
 * away.
 */
void uplink_note_tried(struct uplink *u, int family, double now);

/** Answers that its resolver has had so far. */
double uplink_names_heard(const struct uplink *u);

/** Begin or end to leave it out of new connections; those that are open go on. */
void uplink_set_draining(struct uplink *u, bool draining);

/** "up", "suspect" or "captive" (health.h), "draining", "used up" for nothing but its hard quota, or "down":
 * no link, no address, or failed checks. */
const char *uplink_state_name(const struct uplink *u);

/** Whether packets of a family go by a router of its own, or by the interface's, as it should be. */
bool uplink_has_way(const struct uplink *u, int family);

/** Whether what it carries costs: it has the tag "metered", or a quota. */
bool uplink_is_metered(const struct uplink *u);

/** Whether nothing but its hard quota keeps it from serving. */
bool uplink_is_spent(const struct uplink *u);

const char *uplink_kind_name(enum uplink_kind kind);

/** One connection's claim on an uplink: counted in active from acquire to release, once on every path, and in
 *  busy for two seconds after it was acquired and whenever it has moved something. Zero-initialised holds
 *  none. */
struct uplink_lease {
    struct uplink *uplink;
    struct list node; /* of the uplink's busy ones */
    uint32_t moved;   /* the pulse's tick when it last moved something */
    int family;       /* of what it carries, once connected */
    bool busy;
    struct counters *counters; /* of a connection that others carry; NULL for none */
    uint64_t tx_seen, rx_seen; /* octets of it that are counted already */
};
/** The lease must be empty. */
void uplink_acquire(struct uplink_lease *lease, struct uplink *u);
/** Harmless when empty. */
void uplink_release(struct uplink_lease *lease);
/** Hand the claim on: *to must be empty, and *from is, afterwards. */
void uplink_lease_move(struct uplink_lease *to, struct uplink_lease *from);

/** Meters fed by whoever moves bytes and dials. @param connect_s  what TCP's handshake took */
void uplink_note_connected(struct uplink *u, double connect_s);
/** @param rtt_s  a connection's smoothed round trip, > 0 */
void uplink_note_rtt(struct uplink *u, double rtt_s);
void uplink_note_failed(struct uplink *u);
/** Another uplink connected first in a race against this one. */
void uplink_note_race_lost(struct uplink *u);
/** Harmless for an empty lease. */
void uplink_note_bytes(struct uplink_lease *lease, uint64_t tx, uint64_t rx);

/** Read the octets of counters from now on, at each tick while the lease is busy; once it is not, the
 * counters rests, and who moves its octets must have uplink_lease_wake called with the next. Harmless for an
 * empty lease.
 *  @param rx_counted  octets that it holds, and that uplink_note_bytes has had already */
void uplink_lease_follow(struct uplink_lease *lease, struct counters *counters, uint64_t rx_counted);
void uplink_lease_wake(struct uplink_lease *lease);
/** The counters are final: count the rest, and let it go. Harmless when none is followed. */
void uplink_lease_settle(struct uplink_lease *lease);
/** Count what has moved since the last tick, for who wants to see it now. */
void uplink_set_collect(struct uplink_set *set);

/* Short against the second over which rates are smoothed, and long against the loop's turns. */
#define UPLINK_TICK_S 0.25
enum { UPLINK_BUSY_TICKS = 8 }; /* two seconds */

/** Read the meters, and find out who is not busy any more.
 *  @param s  since the last tick, or since wake was called; > 0
 *  @return whether to go on; if not, wake is called when there is something to measure again */
bool uplink_set_tick(struct uplink_set *set, double s);

#endif
