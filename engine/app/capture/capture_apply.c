#include "capture/capture_apply.h"

#include "capture/capture_near.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { RULES_MAX = 256 };
static const int FAMILIES[] = {AF_INET, AF_INET6};

/* --- one step ------------------------------------------------------------------------------------------- */

static int add_one(const struct capture_step *s)
{
    if (s->kind == CAPTURE_STEP_RULE)
        return local_rule_add(&s->rule);
    return local_route_add(s->family, CAPTURE_ROUTING_TABLE);
}

static int remove_one(const struct capture_step *s)
{
    if (s->kind == CAPTURE_STEP_RULE)
        return local_rule_remove(&s->rule);
    int r = local_route_remove(s->family, CAPTURE_ROUTING_TABLE);
    /* A kernel that has lost IPv6 has lost its routes, too. */
    return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

static int refuse_step(const struct capture_step *s, bool adds, int error, char *err)
{
    char command[CAPTURE_COMMAND_MAX];

    (void)(adds ? capture_step_command(s, command) : capture_step_undo(s, command));
    (void)snprintf(err, CAPTURE_ERROR_MAX, "%s: %s", command,
                   error == -EPERM ? "that needs root, or CAP_NET_ADMIN" : strerror(-error));
    return error;
}

static int write_book(struct capture_book *b, char *err)
{
    int r = capture_book_write(b);

    if (r < 0)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "%.300s: %s", b->path, strerror(-r));
    return r;
}

/* --- all steps ------------------------------------------------------------------------------------------ */

int capture_add_steps(struct capture_book *b, const struct capture_steps *wanted, char *err)
{
    struct capture_steps *known = &b->record.steps;

    for (size_t i = 0; i < wanted->n; i++)
        if (!capture_steps_have(known, &wanted->items[i])) {
            if (known->n == CAPTURE_STEPS_MAX) {
                (void)snprintf(err, CAPTURE_ERROR_MAX,
                               "too many rules of earlier captures: run steerway capture off");
                return -ENOSPC;
            }
            known->items[known->n++] = wanted->items[i];
        }
    int r = write_book(b, err);
    for (size_t i = 0; r == 0 && i < wanted->n; i++) {
        r = add_one(&wanted->items[i]);
        if (r < 0)
            return refuse_step(&wanted->items[i], true, r, err);
    }
    return r;
}

int capture_remove_steps(struct capture_book *b, const struct capture_steps *keep, char *err)
{
    const struct capture_steps all = b->record.steps;
    struct capture_steps left = {.n = 0};

    /* Rules before the routes that they lead to: the other way round. */
    for (size_t i = all.n; i-- > 0;) {
        const struct capture_step *s = &all.items[i];
        int r = capture_steps_have(keep, s) ? 0 : remove_one(s);
        if (r < 0)
            return refuse_step(s, false, r, err);
    }
    for (size_t i = 0; i < all.n; i++)
        if (capture_steps_have(keep, &all.items[i]))
            left.items[left.n++] = all.items[i];
    b->record.steps = left;
    return write_book(b, err);
}

/* --- without a record ----------------------------------------------------------------------------------- */

static bool looks_like_ours(const struct local_rule *r)
{
    return r->priority == CAPTURE_PRIORITY &&
           r->mark == (uint32_t)(r->in[0] ? CAPTURE_MARK_LAN : CAPTURE_MARK);
}

static void add_found(struct capture_steps *all, const struct capture_step *s)
{
    if (all->n < CAPTURE_STEPS_MAX && !capture_steps_have(all, s))
        all->items[all->n++] = *s;
}

/* What is there and looks like a step of capture. */
static void find_steps(struct capture_steps *ret)
{
    struct local_rule rules[RULES_MAX];
    int n = local_rules_find(CAPTURE_ROUTING_TABLE, rules, RULES_MAX);

    for (size_t i = 0; i < ARRAY_LEN(FAMILIES); i++) {
        struct local_routes routes;
        if (local_routes_read(FAMILIES[i], CAPTURE_ROUTING_TABLE, &routes) == 0 && routes.ours)
            add_found(ret, &(struct capture_step){.kind = CAPTURE_STEP_ROUTE, .family = FAMILIES[i]});
    }
    for (int i = 0; i < n; i++)
        if (looks_like_ours(&rules[i]))
            add_found(ret, &(struct capture_step){
                               .kind = CAPTURE_STEP_RULE, .family = rules[i].family, .rule = rules[i]});
}

/* --- removing all --------------------------------------------------------------------------------------- */

static void note(struct capture_notes *n, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void note(struct capture_notes *n, const char *fmt, ...)
{
    va_list args;

    if (n->n == CAPTURE_NOTES_MAX)
        return;
    va_start(args, fmt);
    (void)vsnprintf(n->text[n->n++], CAPTURE_ERROR_MAX, fmt, args);
    va_end(args);
}

static int remove_table(struct capture_notes *notes, char *err)
{
    struct capture_table t;
    int r = capture_table_read(&t, err);

    if (r == -ENOENT) { /* nft is missing, so this program has made no table */
        note(notes, "%.400s; so its table, if there is one, stays", err);
        return 0;
    }
    if (r == 0 && t.removal)
        r = capture_nft_apply(t.removal, err);
    if (r == 0 && t.foreign > 0)
        note(notes, "table inet " CAPTURE_NFT_TABLE " stays: %.100s in it is not of capture", t.example);
    else if (r == 0 && t.exists && t.ours == 0)
        note(notes, "table inet " CAPTURE_NFT_TABLE " stays: it has no rule of capture");
    capture_table_done(&t);
    return r;
}

/* Tell of what still leads to the routing table, or stands in it. */
static void note_others(struct capture_notes *notes)
{
    struct local_rule rules[RULES_MAX];
    int n = local_rules_find(CAPTURE_ROUTING_TABLE, rules, RULES_MAX);

    for (int i = 0; i < n; i++)
        note(notes, "a routing rule of IPv%d with priority %u stays: capture has not made it like that",
             rules[i].family == AF_INET ? 4 : 6, rules[i].priority);
    for (size_t i = 0; i < ARRAY_LEN(FAMILIES); i++) {
        struct local_routes routes;
        if (local_routes_read(FAMILIES[i], CAPTURE_ROUTING_TABLE, &routes) == 0 &&
            routes.other + routes.ours > 0)
            note(notes, "routing table 0x%x keeps routes of IPv%d that capture has not made",
                 (unsigned)CAPTURE_ROUTING_TABLE, i ? 6 : 4);
    }
}

int capture_remove_all(struct capture_book *b, struct capture_notes *notes, char *err)
{
    static const struct capture_steps none;

    if (!b->record.known)
        find_steps(&b->record.steps);
    int r = remove_table(notes, err);
    if (r == 0)
        r = capture_remove_steps(b, &none, err);
    if (r < 0)
        return r;
    note_others(notes);
    r = capture_book_clear(b);
    if (r < 0)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "%.300s: %s", b->path, strerror(-r));
    return r;
}

/* --- looking -------------------------------------------------------------------------------------------- */

void capture_sight_read(struct capture_sight *ret)
{
    struct capture_steps found = {.n = 0};
    char err[CAPTURE_ERROR_MAX];

    *ret = (struct capture_sight){.n_steps = 0};
    if (capture_record_read(&ret->record) < 0)
        ret->record.known = false;
    find_steps(&found);
    for (size_t i = 0; i < ret->record.steps.n; i++)
        ret->n_steps += capture_steps_have(&found, &ret->record.steps.items[i]);
    for (size_t i = 0; i < found.n; i++)
        ret->n_unknown += !capture_steps_have(&ret->record.steps, &found.items[i]);
    ret->table_seen = capture_table_read(&ret->table, err) == 0;
}

bool capture_steps_are_there(const struct capture_steps *steps)
{
    struct capture_steps found = {.n = 0};

    find_steps(&found);
    for (size_t i = 0; i < steps->n; i++)
        if (!capture_steps_have(&found, &steps->items[i]))
            return false;
    return steps->n > 0;
}

/* @param each  the networks one by one, so that the one that is missing can be named */
static int find_wanted(const struct machine *m, struct capture_ranges *each, struct capture_ranges *joined)
{
    struct cidr_set near = {.n = 0};
    int r = capture_near_find(m, &near);

    for (size_t i = 0; r == 0 && i < near.n; i++)
        r = capture_ranges_add(each, &near.items[i]);
    if (r == 0)
        r = capture_plan_near(&(struct capture_ground){.near = near.items, .n_near = near.n}, joined);
    cidr_set_done(&near);
    return r;
}

void capture_sight_compare(struct capture_sight *s, const struct machine *m)
{
    struct capture_ranges each = {.n = 0}, joined = {.n = 0};

    if (s->table_seen && s->table.ours > 0 && find_wanted(m, &each, &joined) == 0) {
        const struct capture_range *missing = capture_ranges_lack(&s->table.near, &each),
                                   *former = capture_ranges_lack(&joined, &s->table.near);
        if (missing)
            (void)capture_range_format(missing, s->missing);
        if (former)
            (void)capture_range_format(former, s->former);
    }
    capture_ranges_done(&each);
    capture_ranges_done(&joined);
}

/* "127.0.0.1:1081", "[fe80::1%eth0]:1081". A listener at every address takes what is sent to loopback. */
static bool is_at(const char *listener, const struct addr *to)
{
    const char *link = strchr(listener, '%'), *rest = link ? strchr(link, ']') : NULL;
    char text[ADDR_TEXT_MAX + IF_NAMESIZE];
    struct addr a;

    if (rest)
        (void)snprintf(text, sizeof text, "%.*s%s", (int)(link - listener), listener, rest);
    else
        (void)snprintf(text, sizeof text, "%s", listener);
    if (addr_parse(&a, slice_str(text)) < 0)
        return false;
    (void)addr_name_this_machine(&a);
    return addr_same_end(&a, to);
}

static bool hears(const json_t *listeners, const struct addr *to)
{
    const json_t *item;
    size_t i;

    json_array_foreach(listeners, i, item)
    {
        if (json_is_string(item) && is_at(json_string_value(item), to))
            return true;
    }
    return false;
}

void capture_sight_ask(struct capture_sight *s, const json_t *answer)
{
    const json_t *listeners = json_object_get(answer, "listeners");
    const struct addr *const to[] = {&s->table.to4, &s->table.to6};
    const char *why = json_string_value(json_object_get(answer, "outdated"));

    if (!s->table_seen || !json_is_array(listeners))
        return;
    s->n_listeners = json_array_size(listeners);
    (void)snprintf(s->told, sizeof s->told, "%s", why ? why : "");
    for (size_t i = ARRAY_LEN(to); i-- > 0;)
        if (addr_family(to[i]) != AF_UNSPEC && !hears(listeners, to[i]))
            (void)addr_format(to[i], s->unheard);
}

void capture_sight_done(struct capture_sight *s)
{
    if (s->table_seen)
        capture_table_done(&s->table);
}
