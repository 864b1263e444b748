#include "show/show.h"

#include "show/table.h"

#include <stdbool.h>
#include <stdio.h>

enum {
    UPLINK,
    STATE,
    WEIGHT,
    TIER,
    LIVE,
    BUSY,
    TOTAL,
    FAILED,
    SENT,
    RECEIVED,
    SPEED,
    QUOTA,
    ADDRESS,
    N_COLUMNS
};

static bool any_quota(const json_t *list)
{
    const json_t *u;
    size_t i;

    json_array_foreach(list, i, u) if (json_is_number(json_object_get(u, "quota_left"))) return true;
    return false;
}

static void add_row(struct table *t, const json_t *u)
{
    const char *v4 = show_text_of(u, "ipv4"), *v6 = show_text_of(u, "ipv6");
    bool has_quota = json_is_number(json_object_get(u, "quota_left"));
    char text[SHOW_TEXT_MAX];

    table_add(t, show_text_of(u, "name"));
    table_add(t, show_text_of(u, "state"));
    table_addf(t, "%g", show_number_of(u, "weight"));
    table_addf(t, "%g", show_number_of(u, "tier"));
    table_addf(t, "%.0f", show_number_of(u, "active"));
    table_addf(t, "%.0f", show_number_of(u, "busy"));
    table_addf(t, "%.0f", show_number_of(u, "total"));
    table_addf(t, "%.0f", show_number_of(u, "failures"));
    table_add(t, show_bytes(show_number_of(u, "tx_bytes"), text));
    table_add(t, show_bytes(show_number_of(u, "rx_bytes"), text));
    table_add(t, show_capacity(u, text));
    table_add(t, has_quota ? show_bytes(show_number_of(u, "quota_left"), text) : "-");
    table_addf(t, "%s%s%s", v4, *v4 && *v6 ? ", " : "", v6);
}

void show_uplinks(const json_t *a)
{
    const json_t *list = json_object_get(a, "uplinks"), *u;
    const struct table_column columns[N_COLUMNS] = {
        [UPLINK] = {.title = "UPLINK", .least = 12, .spare = true},
        [STATE] = {.title = "STATE"},
        [WEIGHT] = {.title = "WEIGHT", .right = true, .leave = 2, .spare = true},
        [TIER] = {.title = "TIER", .right = true, .leave = 5, .spare = true},
        [LIVE] = {.title = "LIVE", .right = true},
        [BUSY] = {.title = "BUSY", .right = true, .leave = 6, .spare = true},
        [TOTAL] = {.title = "TOTAL", .right = true, .leave = 3, .spare = true},
        [FAILED] = {.title = "FAILED", .right = true, .leave = 4, .spare = true},
        [SENT] = {.title = "SENT", .right = true},
        [RECEIVED] = {.title = "RECEIVED", .right = true},
        [SPEED] = {.title = "Mbit/s", .right = true},
        [QUOTA] = {.title = "QUOTA LEFT", .right = true, .skipped = !any_quota(list)},
        [ADDRESS] = {.title = "ADDRESS", .least = 14, .leave = 1, .spare = true},
    };
    struct table t = {.columns = columns, .n_columns = N_COLUMNS};
    size_t i;

    json_array_foreach(list, i, u) add_row(&t, u);
    table_print(&t, table_width());
}
