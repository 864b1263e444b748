#include "show/show.h"

#include "base/host_port.h"

#include "show/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the lines after the first one of a sentence begin. */
enum { INDENT = 14 };

static void put(FILE *out, const char *text)
{
    char *copy = strdup(text);

    if (copy)
        show_harmless(copy);
    (void)fprintf(out, "%s", copy ? copy : "");
    free(copy);
}

static void print_tags(FILE *out, const json_t *tags)
{
    size_t i;
    const json_t *tag;

    json_array_foreach(tags, i, tag)
    {
        (void)fprintf(out, "%s", i ? " " : ", tags ");
        put(out, json_string_value(tag));
    }
}

static void print_seen(FILE *out, const json_t *a)
{
    char speed[SHOW_TEXT_MAX], left[SHOW_TEXT_MAX];
    size_t i;
    const json_t *u;

    json_array_foreach(json_object_get(a, "saw"), i, u)
    {
        (void)fprintf(out, "  %-9s ", i ? "" : "it saw");
        put(out, show_text_of(u, "name"));
        (void)fprintf(out, ": weight %g, tier %g, %.0f live, %.0f busy", show_number_of(u, "weight"),
                      show_number_of(u, "tier"), show_number_of(u, "active"), show_number_of(u, "busy"));
        if (show_number_of(u, "connect_time") > 0)
            (void)fprintf(out, ", connects in %.0f ms", show_number_of(u, "connect_time") * 1e3);
        print_tags(out, json_object_get(u, "tags"));
        if (json_is_number(json_object_get(u, "quota_left")))
            (void)fprintf(out, ", %s of its quota left", show_bytes(show_number_of(u, "quota_left"), left));
        if (show_number_of(u, "rx_capacity") > 0 || show_number_of(u, "tx_capacity") > 0)
            (void)fprintf(out, ", carries %s Mbit/s down/up", show_capacity(u, speed));
        (void)fprintf(out, "\n");
    }
    json_array_foreach(json_object_get(a, "left_out"), i, u)
    {
        (void)fprintf(out, "  %-9s ", i ? "" : "left out");
        put(out, show_text_of(u, "name"));
        (void)fprintf(out, ": %s\n", show_text_of(u, "why"));
    }
}

static void print_why(FILE *out, const json_t *a)
{
    const char *verdict = show_text_of(a, "verdict");
    const json_t *order = json_object_get(a, "order");
    char place[512];
    size_t i;
    const json_t *name;

    put(out, host_port_format(place, sizeof place, slice_str(show_text_of(a, "host")),
                              (uint16_t)show_number_of(a, "port")));
    (void)fprintf(out, " ");
    if (strcmp(verdict, "direct") == 0)
        (void)fprintf(out, "goes direct, without the policy");
    else if (strcmp(verdict, "use") != 0)
        (void)fprintf(out, "is refused");
    json_array_foreach(order, i, name)
    {
        (void)fprintf(out, "%s", i ? ", then " : "leaves by ");
        put(out, json_string_value(name));
    }
    (void)fprintf(out, ": ");
    put(out, show_text_of(a, *show_text_of(a, "bypass") ? "bypass" : "reason"));
    (void)fprintf(out, "\n");
    if (*show_text_of(a, "policy"))
        (void)fprintf(out, "  %-9s %s, generation %.0f\n", "policy", show_text_of(a, "policy"),
                      show_number_of(a, "generation"));
    if (*show_text_of(a, "error")) {
        (void)fprintf(out, "  %-9s ", "error");
        put(out, show_text_of(a, "error"));
        (void)fprintf(out, "\n");
    }
    if (json_object_get(a, "server"))
        (void)fprintf(out, "  %-9s %s\n", "asks",
                      *show_text_of(a, "server") ? show_text_of(a, "server")
                                                 : "nothing: the uplink has no name server");
    if (show_number_of(a, "hedge") > 0)
        (void)fprintf(out, "  %-9s another uplink if it has not connected within %.0f ms\n", "races",
                      show_number_of(a, "hedge") * 1e3);
    print_seen(out, a);
}

/* The bytes of a line of so many characters, at a blank if there is one. */
static size_t line_length(const char *text, int room)
{
    size_t blank = 0, i = 0;

    for (; text[i] && text[i] != '\n'; i++) {
        room -= ((unsigned char)text[i] & 0xc0) != 0x80;
        if (room < 0)
            break;
        if (text[i] == ' ' && i > INDENT)
            blank = i;
    }
    if (!text[i] || text[i] == '\n' || blank == 0)
        return i;
    return text[i] == ' ' ? i : blank;
}

static void print_wrapped(const char *text, int width)
{
    bool goes_on = false;

    while (*text) {
        size_t n = line_length(text, goes_on ? width - INDENT : width);
        (void)printf("%*s%.*s\n", goes_on ? INDENT : 0, "", (int)n, text);
        text += n;
        goes_on = *text && *text != '\n';
        text += strspn(text, goes_on ? " " : "\n");
    }
}

void show_why(const json_t *a)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return;
    print_why(out, a);
    if (fclose(out) == 0)
        print_wrapped(text, table_width());
    free(text);
}
