#include "config/config.h"

#include "inbound/proxy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double DIAL_TIMEOUT_S = 10, BIND_TIMEOUT_S = 60, CHECK_INTERVAL_S = 60, HANDSHAKE_TIMEOUT_S = 30,
                    IDLE_TIMEOUT_S = 3600, DRAIN_TIMEOUT_S = 10, CUT_AFTER_S = 30;
/* RFC 1122 4.2.3.5: at least 100 seconds until the connection is given up (R2). */
static const double ACK_TIMEOUT_S = 100;
/* A client that speaks first does it at once: its bytes come with the end of the handshake, or one round trip
 * on its own network later. One lost packet is repeated after 200 ms and a round trip. A client that waits
 * for the server loses this time at each connection. */
static const double PEEK_TIMEOUT_S = 0.3;

/* Public services for such checks: they see nothing of the client, and answer from a nearby server. */
static const char CHECK[] =
    "http://cp.cloudflare.com/generate_204,http://connectivitycheck.gstatic.com/generate_204";

const char *config_check(const struct config *c)
{
    return c->check ? c->check : CHECK;
}

void config_init(struct config *c)
{
    *c = (struct config){
        .port = -1,
        .bypass_default = true,
        .dial_timeout_s = DIAL_TIMEOUT_S,
        .bind_timeout_s = BIND_TIMEOUT_S,
        .handshake_timeout_s = HANDSHAKE_TIMEOUT_S,
        .idle_timeout_s = IDLE_TIMEOUT_S,
        .udp = {.filter = UDP_FILTER_ADDRESS, .idle_s = UDP_IDLE_S},
        .drain_timeout_s = DRAIN_TIMEOUT_S,
        .threads = CONFIG_THREADS_AUTO,
        .hedge_s = HEDGE_AUTO,
        .check_interval_s = CHECK_INTERVAL_S,
        .cut_after_s = CUT_AFTER_S,
        .ack_timeout_s = ACK_TIMEOUT_S,
        .peek_timeout_s = PEEK_TIMEOUT_S,
        .log_level = LOG_INFO,
        .log_format = LOG_AUTO,
    };
}

static void clear_params(struct config *c)
{
    for (size_t i = 0; i < c->n_params; i++) {
        free(c->params[i].key);
        free(c->params[i].value);
    }
    free(c->params);
    c->params = NULL;
    c->n_params = 0;
}

static void clear_rates(struct config *c)
{
    for (size_t i = 0; i < c->n_rates; i++)
        free(c->rates[i].name);
    free(c->rates);
    c->rates = NULL;
    c->n_rates = 0;
}

int config_set_rate(struct config *c, struct slice user, uint64_t rate)
{
    for (size_t i = 0; i < c->n_rates; i++)
        if (slice_eq(slice_str(c->rates[i].name), user)) {
            c->rates[i].rate = rate;
            return 0;
        }
    struct limits_user *rates = reallocarray(c->rates, c->n_rates + 1, sizeof *rates);
    if (!rates)
        return -ENOMEM;
    c->rates = rates;
    char *name = strndup(user.data, user.len);
    if (!name)
        return -ENOMEM;
    c->rates[c->n_rates++] = (struct limits_user){.name = name, .rate = rate};
    return 0;
}

struct limits_settings config_limits(const struct config *c)
{
    struct limits_settings limits = c->limits;

    limits.users = c->rates;
    limits.n_users = c->n_rates;
    return limits;
}

static void clear_uplinks(struct config *c)
{
    for (size_t i = 0; i < c->n_uplinks; i++)
        uplink_spec_done(&c->uplinks[i]);
    c->n_uplinks = 0;
}

void config_clear(struct config *c, unsigned parts)
{
    if (parts & CONFIG_PART_RATES)
        clear_rates(c);
    if (parts & CONFIG_PART_HOSTS)
        c->n_hosts = 0;
    if (parts & CONFIG_PART_PORT) {
        c->port = -1;
        c->http = false;
    }
    if (parts & CONFIG_PART_LISTEN)
        c->n_listen = 0;
    if (parts & CONFIG_PART_USERS)
        access_clear_users(&c->access);
    if (parts & CONFIG_PART_ALLOW) {
        cidr_set_done(&c->access.clients);
        c->allow_given = false;
    }
    if (parts & CONFIG_PART_BALANCERS)
        cidr_set_done(&c->balancers);
    if (parts & CONFIG_PART_FORWARDS)
        c->n_forwards = 0;
    if (parts & CONFIG_PART_TRANSPARENT)
        c->n_transparents = 0;
    if (parts & CONFIG_PART_DENY)
        deny_done(&c->deny);
    if (parts & CONFIG_PART_BIND_FROM) {
        cidr_set_done(&c->bind_from);
        c->bind_from_given = false;
    }
    if (parts & CONFIG_PART_BYPASS) {
        cidr_set_done(&c->bypass);
        c->bypass_default = true;
    }
    if (parts & CONFIG_PART_PAC_BYPASS) {
        bool fall_back = c->pac.fall_back;
        pac_done(&c->pac);
        c->pac.fall_back = fall_back;
    }
    if (parts & CONFIG_PART_CHECK) {
        free(c->check);
        c->check = NULL;
    }
    if (parts & CONFIG_PART_DNS) {
        free(c->dns_servers);
        c->dns_servers = NULL;
    }
    if (parts & CONFIG_PART_PARAMS)
        clear_params(c);
    if (parts & CONFIG_PART_UPLINKS)
        clear_uplinks(c);
}

void config_done(struct config *c)
{
    config_clear(c, CONFIG_PART_CHECK | CONFIG_PART_DNS | CONFIG_PART_PARAMS | CONFIG_PART_UPLINKS |
                        CONFIG_PART_RATES);
    access_done(&c->access);
    access_done(&c->unasked);
    deny_done(&c->deny);
    cidr_set_done(&c->balancers);
    pac_done(&c->pac);
    cidr_set_done(&c->bind_from);
    cidr_set_done(&c->bypass);
    json_decref(c->said);
    free(c->policy);
    free(c->policy_from);
    free(c->data_dir);
    free(c->control);
    free(c->state);
    free(c->record);
    free(c->log_to);
    free(c->run_as);
    config_init(c);
}

#define SWAP(a, b)                                                                                           \
    do {                                                                                                     \
        __typeof__(a) was = a;                                                                               \
        a = b;                                                                                               \
        b = was;                                                                                             \
    } while (0)

void config_take(struct config *c, struct config *later)
{
    SWAP(*c, *later);
    SWAP(c->data_dir, later->data_dir);
    SWAP(c->control, later->control);
    SWAP(c->state, later->state);
    SWAP(c->own_mark, later->own_mark);
    SWAP(c->threads, later->threads);
    SWAP(c->no_watch, later->no_watch);
    SWAP(c->no_jit, later->no_jit);
    SWAP(c->record, later->record);
    SWAP(c->run_as, later->run_as);
    SWAP(c->ipv6_source, later->ipv6_source);
}

static struct policy_param *find_param(struct config *c, struct slice key)
{
    for (size_t i = 0; i < c->n_params; i++) {
        if (slice_eq(slice_str(c->params[i].key), key))
            return &c->params[i];
    }
    return NULL;
}

int config_set_param(struct config *c, struct slice key, struct slice value)
{
    char *text = strndup(value.data, value.len);
    if (!text)
        return -ENOMEM;
    struct policy_param *known = find_param(c, key);
    if (known) {
        free(known->value);
        known->value = text;
        return 0;
    }
    struct policy_param *params = reallocarray(c->params, c->n_params + 1, sizeof *params);
    if (params)
        c->params = params;
    char *name = params ? strndup(key.data, key.len) : NULL;
    if (!name) {
        free(text);
        return -ENOMEM;
    }
    c->params[c->n_params++] = (struct policy_param){.key = name, .value = text};
    return 0;
}

static bool has_uplink(const struct config *c, const char *name)
{
    char other[UPLINK_NAME_MAX + 1];

    for (size_t i = 0; i < c->n_uplinks; i++)
        if (strcmp(uplink_spec_name(&c->uplinks[i], other), name) == 0)
            return true;
    return false;
}

int config_add_uplink(struct config *c, struct uplink_spec *spec, char *err)
{
    char text[UPLINK_NAME_MAX + 1];
    const char *name = uplink_spec_name(spec, text);
    int r = 0;

    if (c->n_uplinks == UPLINK_MAX)
        r = config_refuse(err, "more than %d uplinks", UPLINK_MAX);
    else if (has_uplink(c, name))
        r = config_refuse(err, "uplink %s is given twice (a config file can give each a name of its own)",
                          name);
    else
        c->uplinks[c->n_uplinks++] = *spec;
    if (r < 0)
        uplink_spec_done(spec);
    return r;
}

static const struct listen_place *find_place(const struct config *c, const struct listen_place *p)
{
    for (size_t i = 0; i < c->n_listen; i++)
        if (listen_place_same(&c->listen[i], p))
            return &c->listen[i];
    return NULL;
}

int config_add_listen(struct config *c, const struct listen_place *places, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct listen_place *known = find_place(c, &places[i]);
        if (known && known->proxy_protocol != places[i].proxy_protocol)
            return -EEXIST;
        if (known)
            continue;
        if (c->n_listen == CONFIG_LISTEN_MAX)
            return -ENOSPC;
        c->listen[c->n_listen++] = places[i];
    }
    return 0;
}

/* The highest bit: WireGuard and most programs count marks from below, Kubernetes has the bits 14 and 15,
 * Tailscale 16 to 23, and marks that the proxy gives to uplinks begin with 0x5357. */
static const uint32_t OWN_MARK = 0x80000000;

uint32_t config_own_mark(const struct config *c)
{
    return c->own_mark != 0 || c->n_transparents == 0 ? c->own_mark : OWN_MARK;
}

int config_refuse(char *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(err, CONFIG_ERROR_MAX, fmt, args);
    va_end(args);
    return -EINVAL;
}

static size_t add_places(const struct listen_place *places, size_t n, const struct listen_place **ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = &places[i];
    return n;
}

size_t config_places(const struct config *c, const struct listen_place *ret[CONFIG_PLACES_MAX])
{
    size_t n = add_places(c->listen, c->n_listen, ret);

    for (size_t i = 0; i < c->n_forwards; i++)
        n += add_places(c->forwards[i].ports.places, c->forwards[i].ports.n_places, ret + n);
    for (size_t i = 0; i < c->n_transparents; i++)
        n += add_places(c->transparents[i].ports.places, c->transparents[i].ports.n_places, ret + n);
    return n;
}

const struct access *config_unasked(const struct config *c)
{
    return c->allow_given ? &c->access : &c->unasked;
}

const char *config_policy(const struct config *c)
{
    if (c->policy)
        return c->policy;
    for (size_t i = 0; i < c->n_uplinks; i++)
        if (c->uplinks[i].weight < 1 || c->uplinks[i].weight > 1)
            return "least_connections";
    return "fair_share";
}

bool config_policy_is_file(const char *policy)
{
    static const char ending[] = ".lua";
    size_t len = strlen(policy);

    return strchr(policy, '/') ||
           (len >= sizeof ending - 1 && strcmp(policy + len - (sizeof ending - 1), ending) == 0);
}
