#include "show/show.h"

#include "base/host_port.h"
#include "show/table.h"

#include <stdio.h>

enum { ID, CLIENT, USER, PROTO, DESTINATION, UPLINK, SENT, RECEIVED, RATE, AGE, STATE, REASON, N_COLUMNS };

/* The largest unit alone. */
static const char *age_text(double s, char out[SHOW_TEXT_MAX])
{
    static const struct {
        const char *unit;
        double s;
    } units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}};

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (s >= 2 * units[i].s) {
            (void)snprintf(out, SHOW_TEXT_MAX, "%.0f %s", s / units[i].s, units[i].unit);
            return out;
        }
    }
    (void)snprintf(out, SHOW_TEXT_MAX, s < 9.95 ? "%.1f s" : "%.0f s", s);
    return out;
}

static bool any_has(const json_t *list, const char *key)
{
    const json_t *row;
    size_t i;

    json_array_foreach(list, i, row) if (!json_is_null(json_object_get(row, key)) &&
                                         json_object_get(row, key)) return true;
    return false;
}

static void add_row(struct table *t, const json_t *row, bool ended)
{
    char text[SHOW_TEXT_MAX], place[512];
    const struct slice client = host_port_split(slice_str(show_text_of(row, "client"))).host;

    table_addf(t, "%.0f", show_number_of(row, "id"));
    table_addf(t, "%.*s", (int)client.len, client.data);
    table_add(t, show_text_of(row, "user"));
    table_add(t, show_text_of(row, "proto"));
    table_add(t, host_port_format(place, sizeof place, slice_str(show_text_of(row, "host")),
                                  (uint16_t)show_number_of(row, "port")));
    table_add(t, show_text_of(row, "uplink"));
    table_add(t, show_bytes(show_number_of(row, "tx"), text));
    table_add(t, show_bytes(show_number_of(row, "rx"), text));
    table_addf(t, "%s/s", show_bytes(show_number_of(row, "rate"), text));
    table_add(t, age_text(show_number_of(row, ended ? "duration" : "age"), text));
    table_add(t, show_text_of(row, ended ? "outcome" : "state"));
    table_add(t, show_text_of(row, "reason"));
}

void show_connections(const json_t *a)
{
    const json_t *list = json_object_get(a, "connections"), *row;
    bool ended = any_has(list, "outcome");
    const struct table_column columns[N_COLUMNS] = {
        [ID] = {.title = "ID", .right = true},
        [CLIENT] = {.title = "CLIENT", .least = 12, .leave = 1},
        [USER] = {.title = "USER", .least = 6, .leave = 4, .spare = true, .skipped = !any_has(list, "user")},
        [PROTO] = {.title = "PROTO", .leave = 5, .spare = true},
        [DESTINATION] = {.title = "DESTINATION", .least = 16, .tail = true},
        [UPLINK] = {.title = "UPLINK", .least = 6},
        [SENT] = {.title = "SENT", .right = true},
        [RECEIVED] = {.title = "RECEIVED", .right = true},
        [RATE] = {.title = "RATE", .right = true, .skipped = !any_has(list, "rate")},
        [AGE] = {.title = ended ? "FOR" : "AGE", .right = true, .leave = 2},
        [STATE] = {.title = ended ? "OUTCOME" : "STATE", .leave = 3},
        [REASON] = {.title = "REASON", .least = 12, .leave = 6, .spare = true},
    };
    struct table t = {.columns = columns, .n_columns = N_COLUMNS};
    size_t i, total = (size_t)show_number_of(a, "total");

    if (json_array_size(list) == 0) {
        (void)printf("no connections\n");
        return;
    }
    json_array_foreach(list, i, row) add_row(&t, row, ended);
    table_print(&t, table_width());
    if (json_array_size(list) < total)
        (void)printf("%zu of %zu connections\n", json_array_size(list), total);
}
