/* One uplink: a way by which traffic can leave this machine. */
#ifndef STEERWAY_UPLINK_UPLINK_H
#define STEERWAY_UPLINK_UPLINK_H

#include "base/bucket.h"
#include "base/list.h"
#include "dns/dns_servers.h"
#include "machine/machine.h"
#include "net/egress.h"
#include "uplink/health.h"
#include "uplink/meter.h"
#include "uplink/quota.h"
#include "uplink/uplink_view.h"

struct parent_spec;
struct resolver;
struct uplink_pulse;

/** A router of the uplink's own, in place of the interface's. */
struct uplink_gateway {
    struct addr addr; /* AF_UNSPEC: none */
    bool ready;       /* the machine routes by it */
    bool failed;      /* the machine's routes could not be set, which was logged */
};

/** Which interface and addresses the user wants. Written by uplink_set_add; follow/gateways.c writes mark and
 * the states of the gateways. */
struct uplink_way {
    char given[MACHINE_NAME_SIZE]; /* the interface's name, perhaps an alternative one; "" for any */
    struct addr address;           /* the source address; AF_UNSPEC for any */
    uint32_t mark;                 /* of its packets; 0 for none */
    enum egress_ipv6 ipv6;         /* which of an interface's IPv6 addresses are wanted */
    struct uplink_gateway gateway4, gateway6;
};

/** Name servers. uplink_set_add writes configured, and follow/name_servers.c the resolver. The health has the
 * same writers as that of a family. */
struct uplink_names {
    struct dns_servers configured; /* n 0: found by the proxy */
    struct resolver *resolver;     /* borrowed; NULL where nothing is dialed */
    bool named;                    /* the user has named the resolver's servers */
    struct health health;          /* with the resolver's answers in place of bytes received */
};

/** Health of one family of addresses. health/ writes it, and uplink_note_tried; uplink_refresh clears it
 * after a change of the address. uplink_lease.c writes received. */
struct uplink_family {
    struct health health;
    double received; /* bytes */
};

/** Rates and capacities. Written by uplink_lease.c and uplink_set_tick; keep/ledger.c restores capacities. */
struct uplink_meters {
    struct uplink_pulse *pulse; /* the set's; NULL: nothing is metered */
    struct list busy;           /* leases */
    struct meter tx, rx;
    double left;                        /* bytes of the view's tx_bytes that have left this machine */
    double left_read, tx_read, rx_read; /* these, and the view's bytes, at the last tick */
};

struct uplink {
    struct uplink_view view; /* first: policies see its address; written by this room's files */

    /* Written by uplink_set_add only. */
    enum uplink_kind kind;
    char name[UPLINK_NAME_MAX + 1]; /* unique in its set; the interface or address unless configured */
    char *tags[UPLINK_TAGS_MAX];
    size_t n_tags;
    struct parent_spec *parent; /* of UPLINK_PARENT; else NULL */
    char *check;                /* targets of its own checks, as text; NULL for none */
    char *portal;               /* hosts of its captive portal, separated by commas; NULL for none */

    struct uplink_way way;

    /* Written by uplink_refresh. */
    char interface[MACHINE_NAME_SIZE]; /* the link that it is or that has its address; "" for none */
    struct egress egress;

    bool draining;      /* written by uplink_set_draining: the user wants no new connections on it */
    bool removed;       /* written by uplink_set_remove: it is no longer of the set's items */
    uint32_t holds;     /* written by uplink_hold and uplink_let_go */
    struct cap cap;     /* of its connections together; set by uplink_set_add and uplink_changes_rate */
    struct quota quota; /* written by uplink_set_tick, and kept by keep/ledger.c */
    struct uplink_names names;
    struct uplink_family four, six; /* of a parent proxy: four for both */
    struct uplink_meters meters;
    double no_datagrams_until_s; /* written by uplink_note_no_datagrams; monotonic, 0: never */
};

/** The link that it is bound to, or that has its address; NULL if the machine has none, or the kernel
 * chooses. */
const struct machine_link *uplink_link(const struct uplink *u, const struct machine *m);

/** Renew egress, interface and the view's up, ipv4 and ipv6, from a snapshot and the kernel's routes. An
 * interface is up when it exists, is up and has an address; an address, when a link that is up has it. Both
 * kinds bind to the device. An interface's source address is chosen by source.h. An address of a loopback or
 * dummy link is bound without the device, as the kernel routes it over other links. */
void uplink_refresh(struct uplink *u, const struct machine *m);

/** Renew up and quota_left, after the quota's count or period has changed. */
void uplink_settle(struct uplink *u);

/** Stop or resume to offer it to new connections; open ones go on. */
void uplink_set_draining(struct uplink *u, bool draining);

/** Keep it in memory after it has been removed, for whoever has a pointer to it besides a lease: a policy, an
 * account. Each hold ends with uplink_let_go. NULL is allowed in both. @return u */
struct uplink *uplink_hold(struct uplink *u);
void uplink_let_go(struct uplink *u);

/** Whether packets of a family leave by the configured router; always true where none is configured. */
bool uplink_has_way(const struct uplink *u, int family);

/** Whether it carries datagrams; if not, why. */
enum uplink_datagrams {
    UPLINK_DATAGRAMS,
    UPLINK_DATAGRAMS_UNKNOWN, /* the protocol of its parent proxy has none */
    UPLINK_DATAGRAMS_REFUSED, /* its parent proxy has refused them, minutes ago at most */
};
enum uplink_datagrams uplink_datagrams(const struct uplink *u);

/** Whether its bytes cost: it has the tag "metered", or a quota. */
bool uplink_is_metered(const struct uplink *u);

/** What keeps it from serving, apart from its health. Draining comes before a missing link: the user must end
 * it, and only its state tells of it. A missing link shows in the view's families too. */
enum uplink_bar {
    UPLINK_BAR_NONE,
    UPLINK_BAR_REMOVED,
    UPLINK_BAR_DRAINING,
    UPLINK_BAR_NO_LINK,
    UPLINK_BAR_SPENT
};
enum uplink_bar uplink_bar(const struct uplink *u);

#endif
