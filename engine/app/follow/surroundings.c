#include "follow/surroundings.h"

#include "base/log.h"
#include "config/startup.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <stdio.h>
#include <string.h>

/* --- the order of refreshing ---------------------------------------------------------------------------- */

/* @param g  NULL: assume the gateways' routes */
static void refresh_uplinks(const struct gateways *g, struct uplink_set *uplinks, const struct machine *m)
{
    if (g)
        gateways_refresh(g, uplinks, m);
    else
        gateways_suppose(uplinks);
    for (size_t i = 0; i < uplinks->n_all; i++)
        uplink_refresh(uplinks->items[i], m);
}

static int refresh_own(struct surroundings *s, const struct machine *m)
{
    struct own_addresses now;
    int r = own_addresses_init(&now, m);

    if (r < 0)
        return r;
    own_addresses_done(&s->own);
    s->own = now;
    return 0;
}

/* @return 0, or negative errno: the last known own addresses are kept */
static int refresh(struct surroundings *s, const struct machine *m, bool *ret_networks_changed)
{
    refresh_uplinks(&s->gateways, s->uplinks, m);
    name_servers_refresh(&s->names, m);
    int r = refresh_own(s, m);
    *ret_networks_changed = startup_refresh_local(s->config, m, &s->local);
    return r;
}

void surroundings_refresh(struct surroundings *s, const struct machine *m)
{
    bool changed;

    (void)refresh(s, m, &changed);
    if (changed)
        log_plain(EVENT_NETWORKS_CHANGED);
}

void surroundings_settle(struct surroundings *s, const struct machine *m)
{
    name_servers_settle(&s->names);
    surroundings_refresh(s, m);
}

void surroundings_suppose(struct uplink_set *uplinks, const struct machine *m)
{
    refresh_uplinks(NULL, uplinks, m);
}

/* --- uplinks that come later ---------------------------------------------------------------------------- */

int surroundings_add(struct surroundings *s, const struct uplink_spec *spec, const struct machine *m)
{
    int r = uplink_set_add(s->uplinks, spec, m);

    if (r < 0)
        return r;
    struct uplink *u = s->uplinks->items[s->uplinks->n - 1];
    r = gateways_add(&s->gateways, u);
    if (r == 0) {
        gateways_refresh(&s->gateways, s->uplinks, m);
        uplink_refresh(u, m);
        r = name_servers_add(&s->names, u, m);
    }
    if (r < 0)
        uplink_set_drop_last(s->uplinks);
    return r;
}

void surroundings_drop_last(struct surroundings *s)
{
    uplink_set_drop_last(s->uplinks);
}

static void on_freeing(void *arg, struct uplink *u)
{
    struct surroundings *s = arg;

    gateways_remove(&s->gateways, u);
    name_servers_remove(u);
}

/* --- open, refresh, close ------------------------------------------------------------------------------- */

static int surroundings_refuse(int err, const char *what, char *text)
{
    (void)snprintf(text, CONFIG_ERROR_MAX, "%s: %s", what, strerror(-err));
    return err;
}

/* A proxy that may not mark can still take what others' rules capture of a LAN, so the warning
 * is for those who have named the bit. */
static void mark_own_packets(const struct config *config)
{
    uint32_t bit = config_own_mark(config);

    if (bit != 0 && !egress_may_mark()) {
        if (config->own_mark != 0)
            log_plain(EVENT_OWN_MARK_NOT_PERMITTED);
        bit = 0;
    }
    egress_mark_own(bit);
}

int surroundings_open(struct surroundings *s, struct ev_loop *loop, const struct config *config,
                      struct uplink_set *uplinks, const struct machine *m, char *err)
{
    bool changed;

    *s = (struct surroundings){.config = config, .uplinks = uplinks, .gateways = {.fd = -1}};
    mark_own_packets(config);
    int r = name_servers_open(&s->names, loop, config, uplinks);
    if (r < 0)
        return surroundings_refuse(r, "the resolvers do not start", err);
    uplinks->freeing = on_freeing;
    uplinks->freeing_arg = s;
    r = gateways_open(&s->gateways, uplinks);
    if (r < 0)
        return surroundings_refuse(r, "no marks are left for uplinks with a gateway", err);
    r = startup_local(config, m, &s->local);
    if (r < 0)
        return surroundings_refuse(r, "cannot read the networks of this machine", err);
    r = refresh(s, m, &changed);
    return r < 0 ? surroundings_refuse(r, "cannot read the addresses of this machine", err) : 0;
}

void surroundings_close(struct surroundings *s)
{
    if (!s->uplinks)
        return;
    s->uplinks->freeing = NULL;
    name_servers_close(&s->names);
    gateways_close(&s->gateways, s->uplinks);
    cidr_set_done(&s->local);
    own_addresses_done(&s->own);
    *s = (struct surroundings){.gateways = {.fd = -1}};
}
