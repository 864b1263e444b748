#include "config/option_setters.h"

#include "base/host_port.h"
#include "dns/dns_servers.h"
#include "health/checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 60 };
static const double TIMEOUT_MAX_S = 86400; /* a day */
static const double TIMEOUT_MIN_S = 0.1;   /* a shorter time fails on distant lines */

static int no_memory(char *err)
{
    (void)config_refuse(err, "out of memory");
    return -ENOMEM;
}

static int too_many(char *err)
{
    (void)config_refuse(err, "at most %d addresses", CONFIG_LISTEN_MAX);
    return -ENOSPC;
}

/* "VALUE is not WHAT", with the value in quotes unless it consists of digits. */
static int not_a(char *err, struct slice value, const char *what)
{
    bool number = value.len > 0;

    for (size_t i = 0; i < value.len; i++)
        number = number && value.data[i] >= '0' && value.data[i] <= '9';
    const char *quote = number ? "" : "'";
    int len = value.len > SHOWN_MAX ? SHOWN_MAX : (int)value.len;
    return config_refuse(err, "%s%.*s%s%s is not %s", quote, len, value.data,
                         value.len > SHOWN_MAX ? "…" : "", quote, what);
}

static int replace_text(char **text, const char *value, char *err)
{
    if (!*value)
        return config_refuse(err, "expected a text that is not empty");
    char *copy = strdup(value);
    if (!copy)
        return no_memory(err);
    free(*text);
    *text = copy;
    return 0;
}

/* Calls back for each part of a comma list, also for empty parts, which the callback refuses. */
static int each_part(struct config *c, const char *list, char *err,
                     int (*part)(struct config *c, struct slice text, char *err))
{
    for (;;) {
        size_t len = strcspn(list, ",");
        int r = part(c, slice_of(list, len), err);
        if (r < 0 || !list[len])
            return r;
        list += len + 1;
    }
}

/* --- where to listen ------------------------------------------------------------------------------------ */

/* "localhost" and "*" mean an address of each family. @return the number of addresses, or -EINVAL */
static int parse_host(struct slice host, struct listen_place ret[2])
{
    static const char *const pairs[][3] = {{"localhost", "127.0.0.1", "::1"}, {"*", "0.0.0.0", "::"}};

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (!slice_ieq(host, slice_str(pairs[i][0])))
            continue;
        for (int j = 0; j < 2; j++) {
            int r = listen_place_parse(&ret[j], slice_str(pairs[i][j + 1]));
            if (r < 0)
                return r;
        }
        return 2;
    }
    int r = listen_place_parse(&ret[0], host);
    return r < 0 ? r : 1;
}

int option_set_host(struct config *c, const char *value, char *err)
{
    struct listen_place places[2];
    int n = parse_host(slice_str(value), places);

    if (n < 0)
        return not_a(err, slice_str(value),
                     "an address of this machine (localhost, * for all, 192.0.2.1, 2001:db8::1)");
    for (int i = 0; i < n; i++) {
        if (c->n_hosts == CONFIG_LISTEN_MAX)
            return too_many(err);
        c->hosts[c->n_hosts++] = places[i];
    }
    return 0;
}

int option_set_port(struct config *c, const char *value, char *err)
{
    uint16_t port;

    if (host_port_number(slice_str(value), &port) < 0)
        return not_a(err, slice_str(value), "a port (1 to 65535, 0 for a free one)");
    c->port = port;
    return 0;
}

int option_set_http(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->http = true;
    return 0;
}

int option_set_listen(struct config *c, const char *value, char *err)
{
    static const char expected[] =
        "ADDRESS:PORT (localhost:1080, *:1080 for all addresses, 192.0.2.1:1080, [::1]:1080)";
    const struct host_port split = host_port_split(slice_str(value));
    struct listen_place places[2];
    uint16_t port;

    int n = split.has_port ? parse_host(split.place, places) : -EINVAL;
    if (n < 0)
        return not_a(err, slice_str(value), expected);
    if (host_port_number(split.port, &port) < 0)
        return not_a(err, split.port, "a port (1 to 65535, 0 for a free one)");
    for (int i = 0; i < n; i++)
        addr_set_port(&places[i].addr, port);
    return config_add_listen(c, places, (size_t)n) < 0 ? too_many(err) : 0;
}

/* --- who may use it ------------------------------------------------------------------------------------- */

int option_set_auth(struct config *c, const char *value, char *err)
{
    switch (access_add_user(&c->access, slice_str(value))) {
    case 0:
        return 0;
    case -EEXIST:
        return config_refuse(err, "this user was given before");
    case -ENOMEM:
        return no_memory(err);
    default: /* the value is not shown: it may be a password */
        return config_refuse(
            err, "expected USER:PASS, the user 1 to 255 bytes without ':', the password 255 at most");
    }
}

int option_set_auth_file(struct config *c, const char *value, char *err)
{
    if (!*value)
        return config_refuse(err, "expected the name of a file");
    size_t before = c->access.n_users;
    int r = access_add_file(&c->access, value, err, CONFIG_ERROR_MAX);

    /* An empty users file would serve every client, although the user wants passwords. */
    if (r == 0 && c->access.n_users == before)
        return config_refuse(err, "%s: the file has no users (expected lines of USER:PASS)", value);
    return r;
}

static int add_range(struct cidr_set *set, struct slice text, char *err)
{
    struct cidr range;

    if (cidr_parse(&range, text) < 0)
        return not_a(err, text, "an address range (such as 192.168.1.0/24, fd00::/8 or a lone address)");
    return cidr_set_add(set, &range) < 0 ? no_memory(err) : 0;
}

static int allow_part(struct config *c, struct slice text, char *err)
{
    return add_range(&c->access.clients, text, err);
}

int option_set_allow(struct config *c, const char *value, char *err)
{
    c->allow_given = true;
    return each_part(c, value, err, allow_part);
}

static int deny_part(struct config *c, struct slice text, char *err)
{
    int r = deny_add_place(&c->deny, text);

    return r == -EINVAL ? not_a(err, text, DENY_EXPECTED) : r < 0 ? no_memory(err) : 0;
}

int option_set_deny(struct config *c, const char *value, char *err)
{
    return each_part(c, value, err, deny_part);
}

int option_set_allow_own_addresses(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->own_addresses = true;
    return 0;
}

/* --- which way traffic goes ----------------------------------------------------------------------------- */

int option_set_policy(struct config *c, const char *value, char *err)
{
    free(c->policy_from);
    c->policy_from = NULL;
    return replace_text(&c->policy, value, err);
}

int option_set_param(struct config *c, const char *value, char *err)
{
    const char *equals = strchr(value, '=');

    if (!equals || equals == value)
        return not_a(err, slice_str(value), "KEY=VALUE");
    int r = config_set_param(c, slice_of(value, (size_t)(equals - value)), slice_str(equals + 1));
    return r < 0 ? no_memory(err) : 0;
}

static int bypass_part(struct config *c, struct slice text, char *err)
{
    return add_range(&c->bypass, text, err);
}

int option_set_bypass(struct config *c, const char *value, char *err)
{
    c->bypass_default = false;
    if (strcmp(value, "none") == 0) {
        cidr_set_done(&c->bypass);
        return 0;
    }
    return each_part(c, value, err, bypass_part);
}

static int check_dns_server(struct config *c, struct slice text, char *err)
{
    struct addr a;

    (void)c;
    if (dns_servers_parse_one(&a, text) < 0)
        return not_a(err, text,
                     "a DNS server (an address such as 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:53)");
    return 0;
}

int option_set_dns(struct config *c, const char *value, char *err)
{
    char *joined = NULL;
    int r = each_part(c, value, err, check_dns_server);

    if (r < 0)
        return r;
    const char *before = c->dns_servers ? c->dns_servers : "";
    if (asprintf(&joined, "%s%s%s", before, *before ? "," : "", value) < 0)
        return no_memory(err);
    struct dns_servers all;
    if (dns_servers_parse(&all, joined) == -E2BIG) {
        free(joined);
        return config_refuse(err, "more than %d servers", DNS_SERVERS_MAX);
    }
    free(c->dns_servers);
    c->dns_servers = joined;
    return 0;
}

static int check_target(struct config *c, struct slice text, char *err)
{
    struct probe_target t;

    (void)c;
    if (slice_eq(text, slice_str("none")) || probe_target_parse(&t, text) != PARSE_OK)
        return not_a(err, text,
                     "a target (such as 192.0.2.1:443, example.org:443 or http://example.org/204)");
    return 0;
}

int option_set_check(struct config *c, const char *value, char *err)
{
    struct checks_targets all;
    char *joined = NULL;
    const char *before = c->check && strcmp(c->check, "none") != 0 ? c->check : "";
    bool none = strcmp(value, "none") == 0;
    int r = none ? 0 : each_part(c, value, err, check_target);

    if (r < 0)
        return r;
    if (asprintf(&joined, "%s%s%s", none ? "" : before, !none && *before ? "," : "", value) < 0)
        return no_memory(err);
    if (checks_targets_parse(&all, joined) < 0) {
        free(joined);
        return config_refuse(err, "more than %d targets", CHECKS_TARGETS_MAX);
    }
    free(c->check);
    c->check = joined;
    return 0;
}

int option_set_fast_open(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->fast_open = true;
    return 0;
}

int option_set_listen_strict(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->listen_strict = true;
    return 0;
}

int option_set_ipv6_source(struct config *c, const char *value, char *err)
{
    if (egress_ipv6_parse(value, &c->ipv6_source))
        return 0;
    return not_a(err, slice_str(value), "one of system, temporary, stable");
}

int option_set_data_dir(struct config *c, const char *value, char *err)
{
    return replace_text(&c->data_dir, value, err);
}

/* --- looking in, and being looked at ----------------------------------------------------------------------
 */

int option_set_control(struct config *c, const char *value, char *err)
{
    if (strcmp(value, "none") != 0 && !strchr(value, '/'))
        return config_refuse(err, "expected a path, such as /run/steerway/control.sock, or none");
    return replace_text(&c->control, value, err);
}

int option_set_state(struct config *c, const char *value, char *err)
{
    if (!*value)
        return config_refuse(err, "expected a path, such as /var/lib/steerway/state.json, or none");
    return replace_text(&c->state, value, err);
}

int option_set_no_watch(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->no_watch = true;
    return 0;
}

int option_set_no_jit(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->no_jit = true;
    return 0;
}

int option_set_record(struct config *c, const char *value, char *err)
{
    return replace_text(&c->record, value, err);
}

/* --- times ---------------------------------------------------------------------------------------------- */

static int set_seconds(double *seconds, const char *value, double min, char *err)
{
    char *end = NULL;
    /* Digits and a point only: strtod would also take "inf", "nan", "0x1p3" and leading blanks. */
    bool plain = *value && value[strspn(value, "0123456789.")] == '\0';
    double s = plain ? strtod(value, &end) : 0;

    if (!plain || *end || s < min || s > TIMEOUT_MAX_S)
        return config_refuse(err, "'%.*s' is not a time in seconds (%g to %g)", SHOWN_MAX, value, min,
                             TIMEOUT_MAX_S);
    *seconds = s;
    return 0;
}

int option_set_dial_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->dial_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_hedge(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->hedge_s, value, 0, err);
}

int option_set_check_interval(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->check_interval_s, value, 1, err);
}

int option_set_handshake_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->handshake_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_cut_after(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->cut_after_s, value, 0, err);
}

int option_set_ack_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->ack_timeout_s, value, 0, err);
}

int option_set_idle_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->idle_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_drain_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->drain_timeout_s, value, 0, err);
}

int option_set_threads(struct config *c, const char *value, char *err)
{
    size_t digits = strspn(value, "0123456789");

    if (digits == 0 || digits > 3 || value[digits] || atoi(value) > CONFIG_THREADS_MAX)
        return config_refuse(err, "'%.*s' is not a number of threads (0 to %d)", SHOWN_MAX, value,
                             CONFIG_THREADS_MAX);
    c->threads = atoi(value);
    return 0;
}

/* --- output --------------------------------------------------------------------------------------------- */

int option_set_debug(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->log_level = LOG_DEBUG;
    return 0;
}

int option_set_quiet(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->log_level = LOG_WARN;
    return 0;
}

int option_set_log_format(struct config *c, const char *value, char *err)
{
    if (strcmp(value, "text") == 0)
        c->log_format = LOG_TEXT;
    else if (strcmp(value, "json") == 0)
        c->log_format = LOG_JSON;
    else
        return not_a(err, slice_str(value), "text or json");
    return 0;
}
