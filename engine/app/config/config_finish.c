/* Completes a config: fills in the defaults, and refuses settings that contradict each other. */
#include "config/config.h"

#include "config/config_ends.h"
#include "log/log_to.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void default_hosts(struct config *c)
{
    c->hosts[0].addr = (struct addr){.in4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
    c->hosts[1].addr = (struct addr){.in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    c->n_hosts = 2;
}

static int finish_listen(struct config *c)
{
    bool only_listen = c->n_listen > 0 && c->n_hosts == 0 && c->port < 0;
    c->n_listen_given = c->n_listen;
    if (only_listen)
        return 0;
    if (c->n_hosts == 0)
        default_hosts(c);
    if (c->port < 0)
        c->port = c->http ? CONFIG_PORT_HTTP : CONFIG_PORT;
    for (size_t i = 0; i < c->n_hosts; i++) {
        addr_set_port(&c->hosts[i].addr, (uint16_t)c->port);
        int r = config_add_listen(c, &c->hosts[i], 1);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_ranges(struct cidr_set *set, const struct cidr ranges[2])
{
    int r = cidr_set_add(set, &ranges[0]);

    return r < 0 ? r : cidr_set_add(set, &ranges[1]);
}

static int allow_everyone(struct access *a)
{
    static const struct cidr all[2] = {{.ip_len = 4}, {.ip_len = 16}};

    return add_ranges(&a->clients, all);
}

static bool awaits_balancers(const struct config *c)
{
    for (size_t i = 0; i < c->n_listen; i++)
        if (c->listen[i].proxy_protocol)
            return true;
    return false;
}

/* The balancers when none are named: whoever can send a header can claim any address, so only this machine.
 * The same holds for clients that let peers connect. */
static int add_loopback(struct cidr_set *set)
{
    static const struct cidr loopback[2] = {{.ip = {127}, .ip_len = 4, .bits = 8},
                                            {.ip = {[15] = 1}, .ip_len = 16, .bits = 128}};

    return add_ranges(set, loopback);
}

/* Without passwords, a client can claim any user name. */
static int check_denied_users(const struct config *c, char *err)
{
    for (size_t i = 0; i < c->deny.n; i++) {
        const struct deny_rule *rule = &c->deny.rules[i];
        if (rule->n_users > 0 && !access_needs_user(&c->access))
            return config_refuse(err,
                                 "deny: a rule for users needs --auth or --auth-file, which verify them");
        for (size_t j = 0; j < rule->n_users; j++)
            if (!access_has_user(&c->access, slice_str(rule->users[j])))
                return config_refuse(err, "deny: unknown user %.64s", rule->users[j]);
    }
    return 0;
}

static int check_own_mark(const struct config *c, char *err)
{
    const uint32_t bit = config_own_mark(c);
    char name[UPLINK_NAME_MAX + 1];

    for (size_t i = 0; i < c->n_uplinks; i++)
        if (c->uplinks[i].mark & bit)
            return config_refuse(
                err,
                "uplink %.100s: its mark has the bit 0x%x of the proxy's own packets; give it "
                "another mark, or choose another bit with --own-mark",
                uplink_spec_name(&c->uplinks[i], name), bit);
    return 0;
}

static int check_log(const struct config *c, char *err)
{
    if (log_to_is_journal(c->log_to) && c->log_format != LOG_AUTO)
        return config_refuse(err, "log-format: the journal has a form of its own; leave the format out");
    return 0;
}

/* The state file replaces whatever is there, also a recording, the socket or the log. */
static int check_paths(const struct config *c, char *err)
{
    const char *const paths[][2] = {
        {"control", c->control}, {"state", c->state}, {"record", c->record}, {"log-to", c->log_to}};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        for (size_t j = i + 1; j < ARRAY_LEN(paths); j++)
            if (paths[i][1] && paths[j][1] && strcmp(paths[i][1], paths[j][1]) == 0 &&
                strcmp(paths[i][1], "none") != 0)
                return config_refuse(err, "--%s and --%s both use %.500s: give one another path", paths[i][0],
                                     paths[j][0], paths[i][1]);
    return 0;
}

static int make_listeners(struct config *c, char *err)
{
    int r = finish_listen(c);

    if (r == -EEXIST)
        return config_refuse(err, "listen: an address is given with and without proxy-protocol");
    if (r < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "more than %d addresses to listen on", CONFIG_LISTEN_MAX);
        return r;
    }
    if (c->balancers.n > 0 && !awaits_balancers(c))
        return config_refuse(err,
                             "proxy-protocol-from: no address to listen on has ,proxy-protocol behind it");
    return config_ends_check(c, err);
}

static int admit_clients(struct config *c)
{
    int r = c->balancers.n == 0 && awaits_balancers(c) ? add_loopback(&c->balancers) : 0;

    if (r == 0 && !c->allow_given)
        r = access_needs_user(&c->access) ? allow_everyone(&c->access) : access_allow_private(&c->access);
    if (r == 0 && !c->bind_from_given)
        r = add_loopback(&c->bind_from);
    return r < 0 ? r : access_allow_private(&c->unasked);
}

int config_finish(struct config *c, char *err)
{
    int r = check_denied_users(c, err);

    if (r == 0)
        r = check_own_mark(c, err);
    if (r == 0)
        r = check_paths(c, err);
    if (r == 0)
        r = check_log(c, err);
    if (r == 0)
        r = make_listeners(c, err);
    if (r < 0)
        return r;
    r = admit_clients(c);
    if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "%s", strerror(-r));
    return r;
}
