/* Everything a run can be told, from the command line or a config file, checked and with defaults. */
#ifndef STEERWAY_CONTROL_CONFIG_H
#define STEERWAY_CONTROL_CONFIG_H

#include "base/log.h"
#include "net/addr.h"
#include "policy/policy.h"
#include "session/access.h"
#include "uplink/uplink.h"

enum { CONFIG_LISTEN_MAX = 32, CONFIG_ERROR_MAX = 1024 };

struct config {
    struct addr listen[CONFIG_LISTEN_MAX]; /* at least one after config_finish */
    size_t n_listen;
    struct uplink_spec uplinks[UPLINK_MAX]; /* none: every usable link of the machine */
    size_t n_uplinks;
    char *policy; /* a name or a file as given; NULL for the default, "least_connections" */
    struct policy_param *params;
    size_t n_params;
    struct access access;     /* users and client ranges */
    bool allow_given;         /* --allow was used */
    struct cidr_set bypass;
    bool bypass_default;      /* loopback, link-local and the connected networks, found at start */
    double dial_timeout_s, handshake_timeout_s, idle_timeout_s, drain_timeout_s;
    char *dns_servers;        /* NULL for the system's */
    enum log_level log_level;
    enum log_format log_format;
};

#endif
