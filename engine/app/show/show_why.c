#include "show/show.h"

#include "base/host_port.h"

#include <stdio.h>
#include <string.h>

static void print_tags(const json_t *tags)
{
    size_t i;
    const json_t *tag;

    json_array_foreach(tags, i, tag)
    {
        (void)printf("%s", i ? " " : ", tags ");
        (void)show_print(json_string_value(tag));
    }
}

static void show_seen(const json_t *a)
{
    char speed[SHOW_TEXT_MAX], left[SHOW_TEXT_MAX];
    size_t i;
    const json_t *u;

    json_array_foreach(json_object_get(a, "saw"), i, u)
    {
        (void)printf("  %-9s ", i ? "" : "it saw");
        (void)show_print(show_text_of(u, "name"));
        (void)printf(": weight %g, tier %g, %.0f live, %.0f busy", show_number_of(u, "weight"),
                     show_number_of(u, "tier"), show_number_of(u, "active"), show_number_of(u, "busy"));
        if (show_number_of(u, "connect_time") > 0)
            (void)printf(", connects in %.0f ms", show_number_of(u, "connect_time") * 1e3);
        print_tags(json_object_get(u, "tags"));
        if (json_is_number(json_object_get(u, "quota_left")))
            (void)printf(", %s of its quota left", show_bytes(show_number_of(u, "quota_left"), left));
        if (show_number_of(u, "rx_capacity") > 0 || show_number_of(u, "tx_capacity") > 0)
            (void)printf(", carries %s Mbit/s down/up", show_capacity(u, speed));
        (void)printf("\n");
    }
    json_array_foreach(json_object_get(a, "left_out"), i, u)
    {
        (void)printf("  %-9s ", i ? "" : "left out");
        (void)show_print(show_text_of(u, "name"));
        (void)printf(": %s\n", show_text_of(u, "why"));
    }
}

void show_why(const json_t *a)
{
    const char *verdict = show_text_of(a, "verdict");
    const json_t *order = json_object_get(a, "order");
    char place[512];
    size_t i;
    const json_t *name;

    (void)show_print(host_port_format(place, sizeof place, slice_str(show_text_of(a, "host")),
                                      (uint16_t)show_number_of(a, "port")));
    (void)printf(" ");
    if (strcmp(verdict, "direct") == 0)
        (void)printf("goes direct, without the policy");
    else if (strcmp(verdict, "use") != 0)
        (void)printf("is refused");
    json_array_foreach(order, i, name)
    {
        (void)printf("%s", i ? ", then " : "leaves by ");
        (void)show_print(json_string_value(name));
    }
    (void)printf(": ");
    (void)show_print(show_text_of(a, *show_text_of(a, "bypass") ? "bypass" : "reason"));
    (void)printf("\n");
    if (*show_text_of(a, "policy"))
        (void)printf("  %-9s %s, generation %.0f\n", "policy", show_text_of(a, "policy"),
                     show_number_of(a, "generation"));
    if (*show_text_of(a, "error")) {
        (void)printf("  %-9s ", "error");
        (void)show_print(show_text_of(a, "error"));
        (void)printf("\n");
    }
    if (json_object_get(a, "server"))
        (void)printf("  %-9s %s\n", "asks",
                     *show_text_of(a, "server") ? show_text_of(a, "server")
                                                : "nothing: the uplink has no name server");
    if (show_number_of(a, "hedge") > 0)
        (void)printf("  %-9s another uplink if it has not connected within %.0f ms\n", "races",
                     show_number_of(a, "hedge") * 1e3);
    show_seen(a);
}
