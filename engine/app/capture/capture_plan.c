#include "capture/capture_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- routes and rules ----------------------------------------------------------------------------------- */

static void add_step(struct capture_steps *all, enum capture_step_kind kind, int family, uint32_t mark,
                     const char *in)
{
    struct capture_step *s = &all->items[all->n++];

    *s = (struct capture_step){.kind = kind, .family = family};
    if (kind == CAPTURE_STEP_ROUTE)
        return;
    s->rule = (struct local_rule){
        .family = family, .mark = mark, .table = CAPTURE_ROUTING_TABLE, .priority = CAPTURE_PRIORITY};
    (void)snprintf(s->rule.in, sizeof s->rule.in, "%s", in);
}

void capture_plan_steps(const struct capture_request *r, bool six, struct capture_steps *ret)
{
    static const int families[] = {AF_INET, AF_INET6};

    ret->n = 0;
    /* Routes first: a rule to an empty table would let marked packets pass. */
    for (size_t i = 0; i < 1 + (size_t)six; i++)
        add_step(ret, CAPTURE_STEP_ROUTE, families[i], 0, "");
    for (size_t i = 0; i < 1 + (size_t)six; i++) {
        add_step(ret, CAPTURE_STEP_RULE, families[i], CAPTURE_MARK, "");
        for (size_t k = 0; k < r->n_lans; k++)
            add_step(ret, CAPTURE_STEP_RULE, families[i], CAPTURE_MARK_LAN, r->lans[k]);
    }
}

bool capture_step_same(const struct capture_step *a, const struct capture_step *b)
{
    return a->kind == b->kind && a->family == b->family &&
           (a->kind == CAPTURE_STEP_ROUTE || local_rule_same(&a->rule, &b->rule));
}

bool capture_steps_have(const struct capture_steps *all, const struct capture_step *one)
{
    for (size_t i = 0; i < all->n; i++)
        if (capture_step_same(&all->items[i], one))
            return true;
    return false;
}

static const char *step_command(const struct capture_step *s, const char *verb, char out[CAPTURE_COMMAND_MAX])
{
    const char *family = s->family == AF_INET ? "-4" : "-6";

    if (s->kind == CAPTURE_STEP_ROUTE)
        (void)snprintf(out, CAPTURE_COMMAND_MAX, "ip %s route %s local default dev lo table 0x%x proto 83",
                       family, verb, (unsigned)CAPTURE_ROUTING_TABLE);
    else
        (void)snprintf(out, CAPTURE_COMMAND_MAX, "ip %s rule %s%s%s fwmark 0x%x lookup 0x%x pref %u", family,
                       verb, s->rule.in[0] ? " iif " : "", s->rule.in, s->rule.mark, s->rule.table,
                       s->rule.priority);
    return out;
}

const char *capture_step_command(const struct capture_step *s, char out[CAPTURE_COMMAND_MAX])
{
    return step_command(s, "add", out);
}

const char *capture_step_undo(const struct capture_step *s, char out[CAPTURE_COMMAND_MAX])
{
    return step_command(s, "del", out);
}

/* --- the table ------------------------------------------------------------------------------------------ */

/* A text in the making. After an error it takes nothing. */
struct script {
    struct buf *text;
    int err;
};

static void put(struct script *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct script *s, const char *fmt, ...)
{
    char line[CAPTURE_CGROUP_MAX + 256];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (s->err == 0)
        s->err = buf_append(s->text, line, (size_t)n);
}

/* One rule, with the comment by which capture knows its own. */
#define RULE(s, fmt, ...) put(s, "    " fmt " comment \"" CAPTURE_COMMENT "\"\n", __VA_ARGS__)

/* Loopback, link-local, multicast, and addresses without a meaning on the internet; by family. */
static const char *const ALWAYS_NEAR[] = {"0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3",
                                          "::/127, fe80::/10, ff00::/8"};

static void put_elements(struct script *s, const struct capture_ground *g, bool six)
{
    char text[ADDR_TEXT_MAX];

    put(s, "{ %s", ALWAYS_NEAR[six]);
    for (size_t i = 0; i < g->n_near; i++)
        if ((g->near[i].ip_len == 16) == six)
            put(s, ", %s", cidr_format(&g->near[i], text));
    put(s, " }\n");
}

static void put_near(struct script *s, const struct capture_ground *g, bool six)
{
    put(s, "  set near%d {\n    type %s\n    flags interval\n    auto-merge\n    elements = ", six ? 6 : 4,
        six ? "ipv6_addr" : "ipv4_addr");
    put_elements(s, g, six);
    put(s, "  }\n");
}

int capture_plan_sets(const struct capture_ground *g, struct buf *ret)
{
    static const char name[] = "inet " CAPTURE_NFT_TABLE " near";
    struct script s = {.text = ret};

    for (int six = 0; six < 2; six++) {
        put(&s, "flush set %s%d\nadd element %s%d ", name, six ? 6 : 4, name, six ? 6 : 4);
        put_elements(&s, g, six);
    }
    return s.err;
}

int capture_plan_near(const struct capture_ground *g, struct capture_ranges *ret)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(ALWAYS_NEAR); i++)
        r = capture_ranges_add_text(ret, slice_str(ALWAYS_NEAR[i]));
    for (size_t i = 0; r == 0 && i < g->n_near; i++)
        r = capture_ranges_add(ret, &g->near[i]);
    capture_ranges_join(ret);
    return r;
}

/* Which packets may begin a captured flow. Each packet of a flow passes the rules before these, so those are
 * few and cheap: `fib` looks up a route, and a set of protocols costs as much as three comparisons.
 *
 * Flows that exist already are left alone: what is not new to conntrack, and TCP without its first packet,
 * which is new to a conntrack that has just begun. */
static void put_newcomers(struct script *s, const char *chosen, bool own)
{
    RULE(s, "ct state != new %s", "return");
    RULE(s, "meta l4proto != { tcp, udp } %s", "return");
    if (own) /* also a resolver on loopback, whose own questions are captured */
        RULE(s, "fib daddr type local %s", "return");
    RULE(s, "meta l4proto tcp tcp flags & (fin | syn | rst | ack) != syn %s", "return");
    /* Questions for names, also to a resolver nearby: else they would leave by a link that nobody chose. */
    RULE(s, "meta l4proto { tcp, udp } th dport 53 goto %s", chosen);
    RULE(s, "udp dport { 67, 68, 546, 547 } %s", "return"); /* DHCP */
}

static void put_distant(struct script *s, const char *chosen)
{
    RULE(s, "fib daddr type { local, broadcast, multicast, anycast } %s", "return");
    RULE(s, "ip daddr @near4 %s", "return");
    RULE(s, "ip6 daddr @near6 %s", "return");
    RULE(s, "goto %s", chosen);
}

static void put_families(struct script *s, const struct capture_ground *g)
{
    if (addr_family(&g->to6) == AF_UNSPEC)
        RULE(s, "meta nfproto ipv6 %s", "return");
}

/* This machine's own packets. A mark that changes here sends them to the rules again, and so to loopback. */
static void put_output(struct script *s, const struct capture_ground *g)
{
    put(s, "  chain output {\n    type route hook output priority mangle; policy accept;\n");
    RULE(s, "meta mark & 0x%x != 0 return", g->own_mark); /* the proxy itself: a loop otherwise */
    put_families(s, g);
    RULE(s, "ct direction reply %s", "return");
    /* An ICMP error that belongs to a flow has its label, too. */
    RULE(s, "ct label %d meta l4proto { tcp, udp } meta mark set 0x%x counter return", CAPTURE_LABEL,
         (unsigned)CAPTURE_MARK);
    put_newcomers(s, "choose", true);
    put_distant(s, "choose");
    put(s, "  }\n");
}

/* The number of the folders in a path. */
static unsigned depth(const char *path)
{
    unsigned n = 1;

    for (; *path; path++)
        n += *path == '/';
    return n;
}

static void put_choose(struct script *s, const struct capture_request *r)
{
    put(s, "  chain choose {\n");
    for (size_t i = 0; i < r->n_users; i++)
        RULE(s, "meta skuid %u goto take", r->users[i]);
    for (size_t i = 0; i < r->n_cgroups; i++)
        RULE(s, "socket cgroupv2 level %u \"%s\" goto take", depth(r->cgroups[i]), r->cgroups[i]);
    if (r->n_users == 0 && r->n_cgroups == 0)
        RULE(s, "goto %s", "take");
    put(s, "  }\n  chain take {\n");
    RULE(s, "ct label set %d meta mark set 0x%x counter", CAPTURE_LABEL, (unsigned)CAPTURE_MARK);
    put(s, "  }\n");
}

static void put_lans(struct script *s, const struct capture_request *r)
{
    put(s, "    iifname != {");
    for (size_t i = 0; i < r->n_lans; i++)
        put(s, "%s \"%s\"", i ? "," : "", r->lans[i]);
    put(s, " } return comment \"" CAPTURE_COMMENT "\"\n");
}

/* Packets that come in: own ones over loopback, and those of the LANs. */
static void put_prerouting(struct script *s, const struct capture_request *r, const struct capture_ground *g)
{
    put(s, "  chain prerouting {\n    type filter hook prerouting priority mangle; policy accept;\n");
    RULE(s, "iif lo ct direction original ct label %d goto divert", CAPTURE_LABEL);
    if (r->n_lans > 0) {
        put_lans(s, r);
        RULE(s, "ct direction reply %s", "return");
        RULE(s, "ct label %d goto divert", CAPTURE_LABEL);
        put_families(s, g);
        put_newcomers(s, "lan", false);
        put_distant(s, "lan");
    }
    put(s, "  }\n");
}

/* A captured packet that no listener takes goes on as if it were not captured, or is stopped. */
static void put_divert(struct script *s, const struct capture_request *r, const struct capture_ground *g)
{
    if (r->n_lans > 0) {
        put(s, "  chain lan {\n");
        RULE(s, "ct label set %d counter", CAPTURE_LABEL);
        RULE(s, "goto %s", "divert");
        put(s, "  }\n");
    }
    put(s, "  chain divert {\n");
    const struct addr *const to[] = {&g->to4, &g->to6};
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        char text[ADDR_TEXT_MAX];
        struct addr a = *to[i];
        if (addr_family(&a) == AF_UNSPEC)
            continue;
        (void)addr_name_this_machine(&a); /* a listener at every address takes it by loopback */
        /* Own packets have their way to loopback already; the mark is for those of a LAN. */
        RULE(s,
             "meta nfproto ipv%d meta l4proto { tcp, udp } tproxy ip%s to %s meta mark set 0x%x counter "
             "accept",
             i ? 6 : 4, i ? "6" : "", addr_format(&a, text), (unsigned)CAPTURE_MARK_LAN);
    }
    if (r->stops)
        RULE(s, "meta l4proto { tcp, udp } counter %s", "drop");
    put(s, "  }\n");
}

int capture_plan_table(const struct capture_request *r, const struct capture_ground *g, struct buf *ret)
{
    struct script s = {.text = ret};

    put(&s, "table inet " CAPTURE_NFT_TABLE " {\n");
    if (!r->stops)
        put(&s, "  flags owner\n"); /* the kernel removes it with the program that holds it */
    put_near(&s, g, false);
    put_near(&s, g, true);
    put_divert(&s, r, g);
    put_choose(&s, r);
    put_output(&s, g);
    put_prerouting(&s, r, g);
    put(&s, "}\n");
    return s.err;
}
