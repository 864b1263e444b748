/* An uplink as the command line or the config file specifies it. */
#ifndef STEERWAY_UPLINK_UPLINK_SPEC_H
#define STEERWAY_UPLINK_UPLINK_SPEC_H

#include "dns/dns_servers.h"
#include "machine/machine.h"
#include "net/egress.h"
#include "uplink/quota.h"
#include "uplink/uplink_view.h"

struct parent_spec;

struct uplink_spec {
    enum uplink_kind kind;
    char name[UPLINK_NAME_MAX + 1];    /* "": uplink_spec_name derives it */
    char interface[MACHINE_NAME_SIZE]; /* of a parent proxy: the interface that reaches it; "" for any */
    struct addr address;               /* of a parent proxy: the source address; AF_UNSPEC for any */
    struct parent_spec *parent;        /* of UPLINK_PARENT; owned by the spec; else NULL */
    double weight, tier;
    bool slashed;                /* the weight followed a '/', as a prefix length does */
    char *tags[UPLINK_TAGS_MAX]; /* owned by the spec */
    size_t n_tags;
    struct quota_plan quota;
    double rate;                    /* bytes a second in each direction; 0: no cap */
    struct addr gateway4, gateway6; /* AF_UNSPEC: the interface's routes name the router */
    uint32_t mark;                  /* of its packets; 0: none, unless gateways.h gives it one */
    bool ipv6_given;                /* false: the set's ipv6 applies */
    enum egress_ipv6 ipv6;
    struct dns_servers dns;
    char *check;  /* owned by the spec; NULL for none */
    char *portal; /* owned by the spec; NULL for none */
};

/** Parse "INTERFACE|ADDRESS|URL[@WEIGHT]" or with "/WEIGHT". An IPv6 address may stand in brackets; a URL
 * names a parent proxy. The weight is above 0 and at most 1e6; the default is 1.
 *  @return 0, -ENOMEM, or -EINVAL with a reason in err that quotes the text except for possible secrets */
MUST_CHECK int uplink_spec_parse(struct uplink_spec *ret, const char *text, char *err, size_t err_size);

/** The name that the uplink gets. @return out, or the spec's own text */
const char *uplink_spec_name(const struct uplink_spec *spec, char out[UPLINK_NAME_MAX + 1]);

/** Whether both are the same but for weight, tier, quota and rate. */
bool uplink_spec_same_way(const struct uplink_spec *a, const struct uplink_spec *b);

void uplink_spec_done(struct uplink_spec *spec);

#endif
