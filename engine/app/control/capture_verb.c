#include "control/capture_verb.h"

#include "addr/addr.h"
#include "base/buf.h"
#include "base/log.h"
#include "capture/capture_plan.h"
#include "control/json_text.h"
#include "inbound/proxy.h"
#include "machine/bridge.h"
#include "machine/machine.h"
#include "net/egress.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* --- what is there -------------------------------------------------------------------------------------- */

static bool takes_captured(const struct proxy_listener *l)
{
    return l->use.transparent && !l->listener.absent;
}

static json_t *capture_listeners_json(const struct proxy *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_listeners; i++)
        if (takes_captured(&p->listeners[i]))
            (void)json_array_append_new(list, json_string(p->listeners[i].text));
    return list;
}

/* Whether datagrams are taken at the same place. */
static bool takes_datagrams(const struct proxy *p, const struct addr *at)
{
    for (size_t i = 0; i < p->n_udp_listeners; i++) {
        const struct proxy_listener *l = &p->udp_listeners[i];
        if (l->use.transparent && addr_same_ip(&l->place.addr, at) &&
            addr_port(&l->place.addr) == addr_port(at))
            return true;
    }
    return false;
}

/* The first listener of each family. @param ret_udp  whether all of them take datagrams, too */
static void find_listeners(const struct proxy *p, struct capture_ground *g, bool *ret_udp)
{
    g->to4.sa.sa_family = g->to6.sa.sa_family = AF_UNSPEC;
    *ret_udp = true;
    for (size_t i = 0; i < p->n_listeners; i++) {
        const struct addr *a = &p->listeners[i].listener.addr;
        struct addr *to = addr_family(a) == AF_INET ? &g->to4 : &g->to6;
        if (takes_captured(&p->listeners[i]) && addr_family(to) == AF_UNSPEC)
            *to = *a;
        if (takes_captured(&p->listeners[i]))
            *ret_udp = *ret_udp && takes_datagrams(p, a);
    }
}

static int add_near(struct cidr_set *set, const struct addr *a, uint8_t bits)
{
    struct cidr range;

    if (addr_family(a) == AF_UNSPEC)
        return 0;
    cidr_from_addr(&range, a, bits);
    return cidr_set_add(set, &range);
}

/* The networks that this machine is connected to, and its routers. */
static int find_near(struct cidr_set *ret, bool *ret_has_ipv6)
{
    struct machine m;
    int r = machine_read(&m);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < m.n_addrs; i++) {
        const struct addr *a = &m.addrs[i].addr;
        *ret_has_ipv6 =
            *ret_has_ipv6 || (addr_family(a) == AF_INET6 && m.addrs[i].scope == RT_SCOPE_UNIVERSE);
        if (m.addrs[i].prefix > 0 && !addr_is_loopback(a)) /* the plan has loopback already */
            r = add_near(ret, a, m.addrs[i].prefix);
    }
    for (size_t i = 0; r == 0 && i < m.n_links; i++) {
        r = add_near(ret, &m.links[i].gateway4, UINT8_MAX);
        if (r == 0)
            r = add_near(ret, &m.links[i].gateway6, UINT8_MAX);
    }
    machine_done(&m);
    return r;
}

/* @return NULL, or why this proxy cannot take captured traffic */
static const char *find_obstacle(const struct capture_ground *g, const struct capture_request *request,
                                 bool has_ipv6, bool udp)
{
    if (addr_family(&g->to4) == AF_UNSPEC && addr_family(&g->to6) == AF_UNSPEC)
        return "the proxy has no listener for captured traffic; start it with --transparent "
               "tproxy:localhost:1081, for example";
    if (addr_family(&g->to4) == AF_UNSPEC)
        return "the proxy has no listener for captured IPv4; start it with --transparent "
               "tproxy:127.0.0.1:1081, too";
    if (has_ipv6 && addr_family(&g->to6) == AF_UNSPEC)
        return "this machine has IPv6, and the proxy has no listener for it; start it with --transparent "
               "tproxy:[::1]:1081, too";
    if (!udp) /* its address came after the start */
        return "a listener for captured traffic takes no datagrams; restart the proxy";
    if (g->own_mark == 0)
        return "the proxy may not mark its own packets, so its connections would be captured, too; give it "
               "CAP_NET_ADMIN, or run it as root";
    for (size_t i = 0; i < request->n_lans; i++)
        if (bridge_loses_tproxy(request->lans[i]))
            return "--lan: captured packets of a bridge would be lost, as br_netfilter shows them to the "
                   "rules too early; run: sysctl -w net.bridge.bridge-nf-call-iptables=0 "
                   "net.bridge.bridge-nf-call-ip6tables=0";
    return NULL;
}

static int write_table_with(struct capture_ground *g, const struct proxy *p,
                            const struct capture_request *request, struct buf *ret, const char **ret_obstacle)
{
    struct cidr_set near = {.n = 0};
    bool has_ipv6 = false, udp;
    int r = find_near(&near, &has_ipv6);

    find_listeners(p, g, &udp);
    if (r == 0) {
        g->near = near.items;
        g->n_near = near.n;
        *ret_obstacle = find_obstacle(g, request, has_ipv6, udp);
        r = *ret_obstacle ? -ENOTSUP : capture_plan_table(request, g, ret);
    }
    cidr_set_done(&near);
    return r;
}

/* @return 0, or negative errno when it has refused */
static int write_table(const struct proxy *p, const struct capture_request *request, struct buf *ret,
                       bool *ret_ipv6, struct control_reply reply)
{
    struct capture_ground g = {.own_mark = egress_own_mark()};
    const char *obstacle = NULL;
    int r = write_table_with(&g, p, request, ret, &obstacle);

    *ret_ipv6 = addr_family(&g.to6) != AF_UNSPEC;
    if (obstacle)
        control_refuse(reply, "%s", obstacle);
    else if (r < 0)
        control_refuse(reply, "cannot write the rules: %s", strerror(-r));
    return r;
}

/* --- changes -------------------------------------------------------------------------------------------- */

struct capture_change {
    struct control_reply reply;
    enum log_event event;
};

static void on_changed(void *arg, const char *error)
{
    struct capture_change *c = arg;

    if (error) {
        control_refuse(c->reply, "%s", error);
    } else {
        log_plain(c->event);
        control_answer(c->reply, json_object());
    }
    free(c);
}

static struct capture_change *new_change(struct control_reply reply, enum log_event event)
{
    struct capture_change *c = malloc(sizeof *c);

    if (!c)
        control_refuse(reply, "out of memory");
    else
        *c = (struct capture_change){.reply = reply, .event = event};
    return c;
}

static void refuse_change(struct capture_change *c, int err)
{
    control_refuse(c->reply, "%s",
                   err == -EBUSY ? "another change of the capture is under way; try again" : strerror(-err));
    free(c);
}

static void install(struct capture_holder *h, const struct capture_request *request, const struct buf *script,
                    struct control_reply reply)
{
    struct capture_change *c = new_change(reply, EVENT_CAPTURE_ON);
    int r = c ? capture_holder_install(h, request, script, on_changed, c) : 0;

    if (r < 0)
        refuse_change(c, r);
}

static void release(struct capture_holder *h, struct control_reply reply)
{
    if (h->state == CAPTURE_IDLE)
        return control_answer(reply, json_object());
    struct capture_change *c = new_change(reply, EVENT_CAPTURE_OFF);
    int r = c ? capture_holder_release(h, on_changed, c) : 0;
    if (r < 0)
        refuse_change(c, r);
}

static void tell(const struct capture_holder *h, const struct proxy *p, struct control_reply reply)
{
    bool held = h->state == CAPTURE_HELD;

    control_answer(reply, json_pack("{s:o, s:I, s:b, s:o}", "listeners", capture_listeners_json(p),
                                    "own_mark", (json_int_t)egress_own_mark(), "held", (int)held, "request",
                                    held ? capture_request_json(&h->request) : json_null()));
}

void capture_verb(struct capture_holder *holder, struct proxy *proxy, const json_t *request,
                  struct control_reply reply)
{
    struct capture_request wanted;
    char err[CAPTURE_ERROR_MAX];
    struct buf script;
    const char *state;
    bool ipv6;

    if (!json_take_text(request, "state", &state))
        return control_refuse(reply, "expected a \"state\": on, off or plan");
    if (!state)
        return tell(holder, proxy, reply);
    if (strcmp(state, "off") == 0)
        return release(holder, reply);
    bool on = strcmp(state, "on") == 0;
    if (!on && strcmp(state, "plan") != 0)
        return control_refuse(reply, "expected a \"state\": on, off or plan");
    if (capture_request_parse(&wanted, json_object_get(request, "request"), err) < 0)
        return control_refuse(reply, "%s", err);
    buf_init(&script, CAPTURE_SCRIPT_MAX);
    if (write_table(proxy, &wanted, &script, &ipv6, reply) == 0) {
        if (on)
            install(holder, &wanted, &script, reply);
        else
            control_answer(reply, json_pack("{s:s%, s:b}", "table", buf_slice(&script).data, script.len,
                                            "ipv6", (int)ipv6));
    }
    buf_done(&script);
}
