/* What capture adds to the machine, as steps with their undo. Pure: it reads and changes nothing.
 *
 * Marked packets of this machine are routed to it (routes, rules), and a table of nftables marks those to
 * capture and hands them to the proxy's listeners. Routes and rules do nothing without that table. */
#ifndef STEERWAY_CAPTURE_CAPTURE_PLAN_H
#define STEERWAY_CAPTURE_CAPTURE_PLAN_H

#include "addr/addr.h"
#include "base/buf.h"
#include "capture/capture_ranges.h"
#include "capture/capture_request.h"
#include "machine/local_rule.h"

/* The numbers lie beyond those of uplinks with a router of their own (follow/gateways.h). The priority comes
 * before the rules of VPNs, which begin at 5200 (Tailscale), and of uplinks (20000). */
enum { CAPTURE_ROUTING_TABLE = 0x5357fff0, CAPTURE_PRIORITY = 1000 };
/* Marks of captured packets, compared as a whole. Those of a LAN have one of their own, for which a rule
 * exists at their interface only: so the kernel's check of their source address (rp_filter with
 * src_valid_mark) is not led to the local route. */
enum { CAPTURE_MARK = 0x5357fff0, CAPTURE_MARK_LAN = 0x5357fff1 };
/* The label of captured flows in conntrack (0 to 127). Labels, other than marks, are single bits, which no
 * other program sets by accident. */
enum { CAPTURE_LABEL = 115 };
enum { CAPTURE_SCRIPT_MAX = 32 * 1024, CAPTURE_COMMAND_MAX = 160 };
#define CAPTURE_NFT_TABLE "steerway"
/** The comment of each rule that capture makes. */
#define CAPTURE_COMMENT "steerway capture"

/** The machine, as far as the plan depends on it. */
struct capture_ground {
    uint32_t own_mark;       /* of the proxy's own packets; not 0 */
    struct addr to4, to6;    /* the proxy's listeners; AF_UNSPEC for none */
    const struct cidr *near; /* networks and addresses that are reached without the proxy */
    size_t n_near;
};

enum capture_step_kind { CAPTURE_STEP_ROUTE, CAPTURE_STEP_RULE };

struct capture_step {
    enum capture_step_kind kind;
    int family;
    struct local_rule rule; /* of CAPTURE_STEP_RULE */
};

enum { CAPTURE_STEPS_MAX = 4 + 2 * CAPTURE_LANS_MAX };

struct capture_steps {
    struct capture_step items[CAPTURE_STEPS_MAX];
    size_t n;
};

/** The routes and rules, in the order of adding. @param six  whether IPv6 is captured */
void capture_plan_steps(const struct capture_request *r, bool six, struct capture_steps *ret);
bool capture_step_same(const struct capture_step *a, const struct capture_step *b);
bool capture_steps_have(const struct capture_steps *all, const struct capture_step *one);

/** Shell commands that do and undo a step. @return out */
const char *capture_step_command(const struct capture_step *s, char out[CAPTURE_COMMAND_MAX]);
const char *capture_step_undo(const struct capture_step *s, char out[CAPTURE_COMMAND_MAX]);

/** The table, for nft. @param ret  gets the text, at most CAPTURE_SCRIPT_MAX bytes
 *  @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int capture_plan_table(const struct capture_request *r, const struct capture_ground *g,
                                  struct buf *ret);
/** What fills the sets of an existing table again, and changes no rule. @return as capture_plan_table */
MUST_CHECK int capture_plan_sets(const struct capture_ground *g, struct buf *ret);
/** What these sets contain, joined. @param ret  release it also after an error @return 0, -ENOMEM */
MUST_CHECK int capture_plan_near(const struct capture_ground *g, struct capture_ranges *ret);

#endif
