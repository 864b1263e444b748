/* All settings of a run, from the command line and a config file, checked and with defaults. */
#ifndef STEERWAY_CONFIG_CONFIG_H
#define STEERWAY_CONFIG_CONFIG_H

#include "access/access.h"
#include "access/deny.h"
#include "access/limits.h"
#include "addr/addr.h"
#include "base/log.h"
#include "http/pac.h"
#include "net/listen_place.h"
#include "policy/policy.h"
#include "proto/target.h"
#include "relay/tunnel.h"
#include "udp/udp_settings.h"
#include "uplink/uplink_spec.h"

#include <jansson.h>

enum { CONFIG_LISTEN_MAX = 32, CONFIG_ERROR_MAX = 1024 };
/* Bytes a second of a rate cap: a slower one would hold even a greeting. */
#define CONFIG_RATE_MIN 1e3
#define CONFIG_RATE_MAX 1e12
enum { CONFIG_PORT = 1080, CONFIG_PORT_HTTP = 8080 };

/* The automatic number of relay threads is that of the processors, at most CONFIG_THREADS_USUAL. */
enum { CONFIG_THREADS_AUTO = -1, CONFIG_THREADS_USUAL = 4, CONFIG_THREADS_MAX = WORKERS_MAX };

/** One port on the addresses that the user named: localhost and * are two. */
struct config_ports {
    struct listen_place places[2];
    size_t n_places;
};

/** A port whose traffic goes to one destination. */
struct config_forward {
    bool udp;
    struct config_ports ports;
    struct target to;
};

/** A port to which the kernel sends captured connections. */
struct config_transparent {
    bool tproxy; /* else by REDIRECT */
    struct config_ports ports;
};

struct config {
    json_t *said; /* the config file's table, to compare it with a later reading; NULL for no file */
    struct listen_place listen[CONFIG_LISTEN_MAX]; /* at least one after config_finish */
    size_t n_listen;
    size_t n_listen_given; /* by --listen; config_finish adds those of --host and --port behind them */
    struct listen_place hosts[CONFIG_LISTEN_MAX]; /* port 0; config_finish joins them with the port */
    size_t n_hosts;
    struct config_forward forwards[CONFIG_LISTEN_MAX];
    size_t n_forwards;
    struct config_transparent transparents[CONFIG_LISTEN_MAX];
    size_t n_transparents;
    bool transparent_resolve; /* captured connections go to the name that the client sent, not to the address
                               */
    double peek_timeout_s; /* wait for a captured client's first bytes, to find that name; 0: do not look */
    bool listen_strict;    /* every listening address must exist at the start */
    int port;              /* -1: not set */
    bool http;             /* the default port is CONFIG_PORT_HTTP */
    struct uplink_spec uplinks[UPLINK_MAX]; /* none: every usable link of the machine */
    size_t n_uplinks;
    char *policy;      /* a name or a file as given; NULL for the default (config_policy) */
    char *policy_from; /* the config file that set it; NULL for none */
    struct policy_param *params;
    size_t n_params;
    struct access access;      /* users and client ranges */
    bool allow_given;          /* --allow was used */
    struct access unasked;     /* private client ranges; see config_unasked */
    struct cidr_set balancers; /* that may send PROXY headers */
    struct deny deny;
    bool own_addresses; /* clients on other machines may reach this machine's addresses, except loopback */
    struct limits_settings limits; /* without users */
    struct limits_user *rates;
    size_t n_rates;
    struct cidr_set bind_from; /* clients that may use BIND; config_finish adds loopback unless given */
    bool bind_from_given;
    struct cidr_set bypass; /* as given */
    struct pac pac;         /* what browsers reach without the proxy */
    bool bypass_default;    /* not set: local networks go direct, see startup_local */
    double hedge_s;         /* HEDGE_AUTO unless given */
    double dial_timeout_s, bind_timeout_s, handshake_timeout_s, idle_timeout_s, drain_timeout_s;
    bool drain_timeout_set; /* by the user */
    char *dns_servers;      /* NULL for the system's */
    char *check;            /* targets of checks, or "none"; NULL for the default (config_check) */
    double check_interval_s, cut_after_s, ack_timeout_s;
    char *data_dir; /* the folder with lua/ and policies/; NULL to search */
    char *control;  /* path of the control socket, or "none"; NULL for the default path */
    struct udp_settings udp;
    uint32_t own_mark; /* --own-mark; 0: not set */
    bool fast_open;    /* early data may be sent with the SYN */
    enum egress_ipv6 ipv6_source;
    bool no_watch; /* do not watch the policy's files */
    bool no_jit;   /* LuaJIT only interprets the policy */
    int threads;   /* relay threads; CONFIG_THREADS_AUTO unless given */
    char *state;   /* file for quotas and capacities, or "none"; NULL for the default path */
    char *record;  /* file for a recorded trace; NULL for none */
    char *run_as;  /* USER or USER:GROUP; NULL to stay the user that starts it */
    char *log_to;  /* as log_to_open takes it; NULL for standard error */
    enum log_level log_level;
    enum log_format log_format;
};

/** Settings to which each use of an option adds. An option that replaces the config file's values clears
 * them first. */
enum config_part {
    CONFIG_PART_HOSTS = 1 << 0,
    CONFIG_PART_PORT = 1 << 1,
    CONFIG_PART_LISTEN = 1 << 2,
    CONFIG_PART_USERS = 1 << 3,
    CONFIG_PART_ALLOW = 1 << 4,
    CONFIG_PART_BYPASS = 1 << 5,
    CONFIG_PART_DNS = 1 << 6,
    CONFIG_PART_PARAMS = 1 << 7,
    CONFIG_PART_UPLINKS = 1 << 8,
    CONFIG_PART_CHECK = 1 << 9,
    CONFIG_PART_DENY = 1 << 10,
    CONFIG_PART_BALANCERS = 1 << 11,
    CONFIG_PART_FORWARDS = 1 << 12,
    CONFIG_PART_TRANSPARENT = 1 << 13,
    CONFIG_PART_PAC_BYPASS = 1 << 14,
    CONFIG_PART_BIND_FROM = 1 << 15,
    CONFIG_PART_RATES = 1 << 16,
};

/** The targets of checks. */
const char *config_check(const struct config *c);

/** The bit that this run marks its own packets with, if it may; 0 for none. */
uint32_t config_own_mark(const struct config *c);

/** Take over all settings of a config that was read later, except for those that need a restart
 * (option.restart); pointers into the config stay valid. The other one gets the old settings. */
void config_take(struct config *c, struct config *later);

void config_init(struct config *c);
void config_done(struct config *c);

/** Reset to "not set". @param parts  of enum config_part, or-ed */
void config_clear(struct config *c, unsigned parts);

/** Set a policy's parameter; it replaces an earlier value. @return 0, -ENOMEM */
MUST_CHECK int config_set_param(struct config *c, struct slice key, struct slice value);

/** Set the rate cap of a user; it replaces an earlier one. @return 0, -ENOMEM */
MUST_CHECK int config_set_rate(struct config *c, struct slice user, uint64_t rate);
/** The limits, with those of users. */
struct limits_settings config_limits(const struct config *c);

/** Takes what spec owns, on failure too. @return 0, or -EINVAL with one line in err (CONFIG_ERROR_MAX)
 * when the name is taken or UPLINK_MAX is reached */
MUST_CHECK int config_add_uplink(struct config *c, struct uplink_spec *spec, char *err);

/** Add the addresses that are new. @return 0, -ENOSPC, -EEXIST for one that is there without proxy_protocol,
 * or with it */
MUST_CHECK int config_add_listen(struct config *c, const struct listen_place *places, size_t n);

/** Fill in the defaults. Listens on localhost:1080 (8080 with http) unless --listen was used. Admits
 * private addresses, or every address when users must log in.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int config_finish(struct config *c, char *err);

/** Write the error into err (CONFIG_ERROR_MAX). @return -EINVAL */
int config_refuse(char *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum { CONFIG_PLACES_MAX = 5 * CONFIG_LISTEN_MAX };
/** All places to listen on: those of the proxy, forwards, and transparent listeners. @return their number */
size_t config_places(const struct config *c, const struct listen_place *ret[CONFIG_PLACES_MAX]);

/** The clients of listeners that ask for no login: those of --allow, else private addresses, also where users
 * must log in elsewhere. */
const struct access *config_unasked(const struct config *c);

/** The policy to use. The default is "fair_share", which learns capacities; with weights it is
 * "least_connections", which uses them. */
const char *config_policy(const struct config *c);

/** Whether this is a file (has a '/' or ends in ".lua") and not the name of a shipped policy. */
bool config_policy_is_file(const char *policy);

#endif
