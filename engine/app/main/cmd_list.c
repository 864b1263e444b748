#include "main/commands.h"

#include "cli/cli.h"
#include "show/table.h"
#include "uplink/discover.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 6, CELL_MAX = 96 };

/* A link has a row for each of its addresses, at least one. */
struct row {
    char cells[COLUMNS][CELL_MAX];
};

struct rows {
    struct row *items;
    size_t n, cap;
};

static const char *state_of(const struct machine_link *link)
{
    if (!link->up)
        return "down";
    return link->carrier ? "up" : "no carrier";
}

static const char *kind_of(const struct machine_link *link)
{
    if (link->loopback)
        return "loopback";
    return link->kind[0] ? link->kind : "hardware";
}

/* --- as a table ----------------------------------------------------------------------------------------- */

static struct row *add_row(struct rows *t)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 32;
        struct row *rows = reallocarray(t->items, cap, sizeof *rows);
        if (!rows)
            return NULL;
        t->items = rows;
        t->cap = cap;
    }
    struct row *row = &t->items[t->n++];
    *row = (struct row){.cells = {""}};
    return row;
}

/* Row i of the link whose first row is given; added when it is missing. */
static struct row *row_at(struct rows *t, size_t first, size_t i)
{
    return first + i < t->n ? &t->items[first + i] : add_row(t);
}

static bool add_addresses(struct rows *t, size_t first, const struct machine *m, int link)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_addrs; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr = m->addrs[i].addr;
        if (m->addrs[i].link != link)
            continue;
        struct row *row = row_at(t, first, n++);
        if (!row)
            return false;
        if (addr_family(&addr) == AF_INET6)
            addr.in6.sin6_scope_id = 0; /* the row already names the link */
        (void)snprintf(row->cells[3], CELL_MAX, "%s/%u", addr_format_ip(&addr, text), m->addrs[i].prefix);
    }
    return true;
}

static bool add_gateway(struct rows *t, size_t first, size_t *n, bool has_default, const struct addr *gateway)
{
    char text[ADDR_TEXT_MAX];

    if (!has_default)
        return true;
    struct row *row = row_at(t, first, (*n)++);
    if (!row)
        return false;
    struct addr bare = *gateway;
    if (addr_family(&bare) == AF_INET6)
        bare.in6.sin6_scope_id = 0;
    (void)snprintf(row->cells[4], CELL_MAX, "%s",
                   addr_family(&bare) == AF_UNSPEC ? "on the link" : addr_format_ip(&bare, text));
    return true;
}

static bool add_link(struct rows *t, const struct machine *m, const struct machine_link *link)
{
    const char *objection = discover_objection(m, link);
    size_t first = t->n, gateways = 0;
    struct row *row = add_row(t);

    if (!row)
        return false;
    (void)snprintf(row->cells[0], CELL_MAX, "%s", link->name);
    (void)snprintf(row->cells[1], CELL_MAX, "%s", state_of(link));
    (void)snprintf(row->cells[2], CELL_MAX, "%s", kind_of(link));
    (void)snprintf(row->cells[5], CELL_MAX, "%s%s", objection ? "no: " : "yes", objection ? objection : "");
    return add_addresses(t, first, m, link->index) &&
           add_gateway(t, first, &gateways, link->default4, &link->gateway4) &&
           add_gateway(t, first, &gateways, link->default6, &link->gateway6);
}

static void print_rows(const struct rows *t)
{
    static const struct table_column columns[COLUMNS] = {
        {.title = "INTERFACE"},
        {.title = "STATE", .leave = 2},
        {.title = "KIND", .leave = 3, .spare = true},
        {.title = "ADDRESS", .least = 18},
        {.title = "GATEWAY", .least = 11, .leave = 1},
        {.title = "USED BY DEFAULT", .least = 24},
    };
    struct table shown = {.columns = columns, .n_columns = COLUMNS};

    for (size_t i = 0; i < t->n; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            table_add(&shown, t->items[i].cells[c]);
    table_print(&shown, table_width());
}

static int list_as_table(const struct machine *m)
{
    struct rows t = {.n = 0};
    bool whole = true;

    for (size_t i = 0; whole && i < m->n_links; i++)
        whole = add_link(&t, m, &m->links[i]);
    if (whole)
        print_rows(&t);
    free(t.items);
    return whole ? COMMAND_OK : command_error(COMMAND_FAILED, "out of memory");
}

/* --- as JSON -------------------------------------------------------------------------------------------- */

/* jansson passes NULL on, so a failure anywhere makes the result NULL. */
static json_t *addresses_json(const struct machine *m, int link, int family)
{
    json_t *list = json_array();

    for (size_t i = 0; i < m->n_addrs; i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr = m->addrs[i].addr;
        if (m->addrs[i].link != link || addr_family(&addr) != family)
            continue;
        if (family == AF_INET6)
            addr.in6.sin6_scope_id = 0;
        if (json_array_append_new(
                list, json_sprintf("%s/%u", addr_format_ip(&addr, text), m->addrs[i].prefix)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *gateway_json(const struct addr *gateway)
{
    char text[ADDR_TEXT_MAX];
    struct addr bare = *gateway;

    if (addr_family(&bare) == AF_INET6)
        bare.in6.sin6_scope_id = 0; /* the object already names the link */
    return addr_family(&bare) == AF_UNSPEC ? json_null() : json_string(addr_format_ip(&bare, text));
}

static json_t *link_json(const struct machine *m, const struct machine_link *link)
{
    const char *objection = discover_objection(m, link);

    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:o, s:o, s:b, s:s?}", "interface", link->name,
                     "state", state_of(link), "kind", kind_of(link), "ipv4",
                     addresses_json(m, link->index, AF_INET), "ipv6",
                     addresses_json(m, link->index, AF_INET6), "default4", link->default4, "default6",
                     link->default6, "gateway4", gateway_json(&link->gateway4), "gateway6",
                     gateway_json(&link->gateway6), "used", objection == NULL, "objection", objection);
}

static int list_as_json(const struct machine *m)
{
    json_t *links = json_array();
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->n_links; i++)
        r = json_array_append_new(links, link_json(m, &m->links[i]));
    json_t *root = r == 0 ? json_pack("{s:O}", "links", links) : NULL;
    if (root)
        r = json_dumpf(root, stdout, JSON_INDENT(2));
    json_decref(links);
    json_decref(root);
    if (!root || r < 0)
        return command_error(COMMAND_FAILED, "cannot make JSON of it");
    (void)putchar('\n');
    return COMMAND_OK;
}

int cmd_list(const struct cli *cli)
{
    struct machine m;
    int r = machine_read(&m);

    if (r < 0)
        return command_error(COMMAND_FAILED, "cannot read the links of this machine: %s", strerror(-r));
    int code = cli->as_json ? list_as_json(&m) : list_as_table(&m);
    machine_done(&m);
    return code;
}
