#include "show/show.h"

#include <stdint.h>
#include <stdio.h>
#include <time.h>

static void print_list(const char *label, const json_t *list)
{
    size_t i;
    const json_t *item;

    (void)printf("  %-12s ", label);
    json_array_foreach(list, i, item)
    {
        (void)printf("%s", i ? ", " : "");
        (void)show_print(json_string_value(item));
    }
    (void)printf("\n");
}

/* Print the latest failure, and its time. */
static void print_mishap(const json_t *policy, const char *key, const char *what)
{
    const json_t *mishap = json_object_get(policy, key);
    time_t then = (time_t)show_number_of(mishap, "time");
    struct tm tm;
    char when[32] = "";

    if (!json_is_object(mishap))
        return;
    if (localtime_r(&then, &tm))
        (void)strftime(when, sizeof when, "%F %T", &tm);
    (void)printf("  %-12s %s at %s: ", key, what, when);
    (void)show_print(show_text_of(mishap, "error"));
    (void)printf("\n");
}

static void print_policy(const json_t *p)
{
    const char *key;
    const json_t *value;

    (void)printf(
        "  %-12s %s, generation %.0f%s\n", "policy", show_text_of(p, "name"), show_number_of(p, "generation"),
        json_is_true(json_object_get(p, "quarantined")) ? ", QUARANTINED: the built-in default decides" : "");
    (void)printf("  %-12s ", "file");
    (void)show_print(show_text_of(p, "file"));
    (void)printf("\n");
    json_object_foreach(json_object_get(p, "set"), key, value)
    {
        (void)printf("  %-12s %s = ", "set", key);
        (void)show_print(json_string_value(value));
        (void)printf("\n");
    }
    print_mishap(p, "refused", "reload");
    print_mishap(p, "failed", show_text_of(json_object_get(p, "failed"), "in"));
    (void)printf("  %-12s %.0f, %.0f calls failed, %.0f skipped\n", "picks", show_number_of(p, "picks"),
                 show_number_of(p, "errors"), show_number_of(p, "skipped"));
}

static void print_datagrams(const json_t *udp)
{
    const char *reason;
    const json_t *n, *listening = json_object_get(udp, "listening");

    if (json_array_size(listening) > 0)
        print_list("UDP on", listening);
    if (json_is_string(json_object_get(udp, "ports")))
        (void)printf("  %-12s %s, for associations\n", "UDP ports", show_text_of(udp, "ports"));
    (void)printf("  %-12s %.0f associations, %.0f mappings; %.0f datagrams so far", "UDP",
                 show_number_of(udp, "associations"), show_number_of(udp, "mappings"),
                 show_number_of(udp, "datagrams"));
    json_object_foreach(json_object_get(udp, "dropped"), reason, n) if (json_number_value(n) > 0)(void)
        printf(", %.0f dropped (%s)", json_number_value(n), reason);
    (void)printf("\n");
}

static void print_limits(const json_t *limits)
{
    const char *name, *before = "";
    const json_t *limit;

    if (json_object_size(limits) == 0)
        return;
    (void)printf("  %-12s ", "limits");
    json_object_foreach((json_t *)(uintptr_t)limits, name, limit)
    {
        (void)printf("%s%s ", before, name);
        if (show_number_of(limit, "most") > 0)
            (void)printf("%.0f (%.0f refused)", show_number_of(limit, "most"),
                         show_number_of(limit, "refused"));
        else
            (void)printf("none any more (%.0f refused)", show_number_of(limit, "refused"));
        before = ", ";
    }
    (void)printf("\n");
}

void show_status(const json_t *a)
{
    char text[SHOW_TEXT_MAX];
    const char *key;
    const json_t *value, *recording = json_object_get(a, "recording");

    (void)printf("Steerway %s, up for %s, pid %.0f%s\n", show_text_of(a, "version"),
                 show_duration(show_number_of(a, "uptime"), text), show_number_of(a, "pid"),
                 json_is_true(json_object_get(a, "draining")) ? ", stopping" : "");
    print_list("listening on", json_object_get(a, "listening"));
    print_policy(json_object_get(a, "policy"));
    (void)printf("  %-12s %.0f now, %.0f connections so far%s\n", "clients", show_number_of(a, "clients"),
                 show_number_of(a, "connections"),
                 json_is_true(json_object_get(a, "full")) ? "; FULL: new ones wait for open files" : "");
    print_limits(json_object_get(a, "limits"));
    print_datagrams(json_object_get(a, "udp"));
    json_object_foreach(json_object_get(a, "metrics"), key, value)(void)
        printf("  %-12s %s = %g\n", "metric", key, json_number_value(value));
    if (json_is_object(recording)) {
        (void)printf("  %-12s %.0f connections to ", "recording", show_number_of(recording, "connections"));
        (void)show_print(show_text_of(recording, "file"));
        (void)printf("\n");
    }
}
