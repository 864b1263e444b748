#include "show/show.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int name_width(const json_t *list)
{
    size_t i, width = strlen("UPLINK");
    const json_t *u;

    json_array_foreach(list, i, u)
    {
        size_t len = strlen(show_text_of(u, "name"));
        width = len > width ? len : width;
    }
    return (int)width;
}

static bool any_quota(const json_t *list)
{
    const json_t *u;
    size_t i;

    json_array_foreach(list, i, u) if (json_is_number(json_object_get(u, "quota_left"))) return true;
    return false;
}

void show_uplinks(const json_t *a)
{
    const json_t *list = json_object_get(a, "uplinks"), *u;
    bool quotas = any_quota(list);
    int width = name_width(list);
    size_t i;

    (void)printf(
        "%-*s  STATE     WEIGHT  TIER   LIVE   BUSY    TOTAL  FAILED      SENT  RECEIVED  Mbit/s DOWN/UP%s"
        "  ADDRESS\n",
        width, "UPLINK", quotas ? "  QUOTA LEFT" : "");
    json_array_foreach(list, i, u)
    {
        char sent[SHOW_TEXT_MAX], received[SHOW_TEXT_MAX], speed[SHOW_TEXT_MAX], left[SHOW_TEXT_MAX];
        const char *v4 = show_text_of(u, "ipv4"), *v6 = show_text_of(u, "ipv6");
        bool has_quota = json_is_number(json_object_get(u, "quota_left"));
        int pad = width - show_print(show_text_of(u, "name"));
        (void)printf("%*s  %-8s  %6g  %4g  %5.0f  %5.0f  %7.0f  %6.0f  %8s  %8s  %14s", pad, "",
                     show_text_of(u, "state"), show_number_of(u, "weight"), show_number_of(u, "tier"),
                     show_number_of(u, "active"), show_number_of(u, "busy"), show_number_of(u, "total"),
                     show_number_of(u, "failures"), show_bytes(show_number_of(u, "tx_bytes"), sent),
                     show_bytes(show_number_of(u, "rx_bytes"), received), show_capacity(u, speed));
        if (quotas)
            (void)printf("  %10s", has_quota ? show_bytes(show_number_of(u, "quota_left"), left) : "-");
        (void)printf("  %s%s%s\n", v4, *v4 && *v6 ? ", " : "", v6);
    }
}
