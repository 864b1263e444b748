/* The commands that ask a running proxy. */
#include "base/host_port.h"
#include "main/ask.h"
#include "main/commands.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static int print_json(const json_t *answer)
{
    if (json_dumpf(answer, stdout, JSON_INDENT(2)) < 0)
        return command_error(COMMAND_FAILED, "cannot write to standard output");
    (void)putchar('\n');
    return COMMAND_OK;
}

/* Ask, and print the answer: as JSON with --json, else by show. */
static int ask_and_show(const struct cli *cli, json_t *request, void (*show)(const json_t *answer))
{
    json_t *answer;
    int code = ask(cli, request, &answer);

    if (code != COMMAND_OK)
        return code;
    if (cli->as_json)
        code = print_json(answer);
    else
        show(answer);
    json_decref(answer);
    return code;
}

/* --- units ---------------------------------------------------------------------------------------------- */

/* "999 B", "1.2 kB", "34 MB" */
static const char *bytes(double n, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t i = 0;

    while (n >= 999.5 && i + 1 < ARRAY_LEN(units)) {
        n /= 1000;
        i++;
    }
    (void)snprintf(out, 32, i > 0 && n < 9.95 ? "%.1f %s" : "%.0f %s", n, units[i]);
    return out;
}

/* "42 s", "3 min 20 s", "2 h 5 min", "4 d 3 h" */
static const char *duration(double s, char out[32])
{
    long n = (long)s;

    if (n < 60)
        (void)snprintf(out, 32, "%ld s", n);
    else if (n < 3600)
        (void)snprintf(out, 32, "%ld min %ld s", n / 60, n % 60);
    else if (n < 86400)
        (void)snprintf(out, 32, "%ld h %ld min", n / 3600, n / 60 % 60);
    else
        (void)snprintf(out, 32, "%ld d %ld h", n / 86400, n / 3600 % 24);
    return out;
}

/* --- status --------------------------------------------------------------------------------------------- */

static void print_list(const char *label, const json_t *list)
{
    size_t i;
    const json_t *item;

    (void)printf("  %-12s ", label);
    json_array_foreach(list, i, item)
    {
        (void)printf("%s", i ? ", " : "");
        (void)command_print(json_string_value(item));
    }
    (void)printf("\n");
}

/* Print the latest failure, and its time. */
static void print_mishap(const json_t *policy, const char *key, const char *what)
{
    const json_t *mishap = json_object_get(policy, key);
    time_t then = (time_t)number_of(mishap, "time");
    struct tm tm;
    char when[32] = "";

    if (!json_is_object(mishap))
        return;
    if (localtime_r(&then, &tm))
        (void)strftime(when, sizeof when, "%F %T", &tm);
    (void)printf("  %-12s %s at %s: ", key, what, when);
    (void)command_print(text_of(mishap, "error"));
    (void)printf("\n");
}

static void print_policy(const json_t *p)
{
    const char *key;
    const json_t *value;

    (void)printf(
        "  %-12s %s, generation %.0f%s\n", "policy", text_of(p, "name"), number_of(p, "generation"),
        json_is_true(json_object_get(p, "quarantined")) ? ", QUARANTINED: the built-in default decides" : "");
    (void)printf("  %-12s ", "file");
    (void)command_print(text_of(p, "file"));
    (void)printf("\n");
    json_object_foreach(json_object_get(p, "set"), key, value)
    {
        (void)printf("  %-12s %s = ", "set", key);
        (void)command_print(json_string_value(value));
        (void)printf("\n");
    }
    print_mishap(p, "refused", "reload");
    print_mishap(p, "failed", text_of(json_object_get(p, "failed"), "in"));
    (void)printf("  %-12s %.0f, %.0f calls failed, %.0f skipped\n", "picks", number_of(p, "picks"),
                 number_of(p, "errors"), number_of(p, "skipped"));
}

static void print_datagrams(const json_t *udp)
{
    const char *reason;
    const json_t *n;

    (void)printf("  %-12s %.0f associations, %.0f mappings; %.0f datagrams so far", "UDP",
                 number_of(udp, "associations"), number_of(udp, "mappings"), number_of(udp, "datagrams"));
    json_object_foreach(json_object_get(udp, "dropped"), reason, n) if (json_number_value(n) > 0)(void)
        printf(", %.0f dropped (%s)", json_number_value(n), reason);
    (void)printf("\n");
}

static void show_status(const json_t *a)
{
    char text[32];
    const char *key;
    const json_t *value, *recording = json_object_get(a, "recording");

    (void)printf("Steerway %s, up for %s, pid %.0f%s\n", text_of(a, "version"),
                 duration(number_of(a, "uptime"), text), number_of(a, "pid"),
                 json_is_true(json_object_get(a, "draining")) ? ", stopping" : "");
    print_list("listening on", json_object_get(a, "listening"));
    print_policy(json_object_get(a, "policy"));
    (void)printf("  %-12s %.0f now, %.0f connections so far\n", "clients", number_of(a, "clients"),
                 number_of(a, "connections"));
    print_datagrams(json_object_get(a, "udp"));
    json_object_foreach(json_object_get(a, "metrics"), key, value)(void)
        printf("  %-12s %s = %g\n", "metric", key, json_number_value(value));
    if (json_is_object(recording)) {
        (void)printf("  %-12s %.0f connections to ", "recording", number_of(recording, "connections"));
        (void)command_print(text_of(recording, "file"));
        (void)printf("\n");
    }
}

int cmd_status(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s}", "verb", "status"), show_status);
}

/* --- uplinks -------------------------------------------------------------------------------------------- */

static int name_width(const json_t *list)
{
    size_t i, width = strlen("UPLINK");
    const json_t *u;

    json_array_foreach(list, i, u)
    {
        size_t len = strlen(text_of(u, "name"));
        width = len > width ? len : width;
    }
    return (int)width;
}

/* The learned capacity, down and up; "-" while it is unknown. */
static const char *learned(const json_t *u, char text[32])
{
    double down = number_of(u, "rx_capacity") * 8 / 1e6, up = number_of(u, "tx_capacity") * 8 / 1e6;

    (void)snprintf(text, 32, down > 0 ? "%.3g/" : "-/", down);
    size_t len = strlen(text);
    (void)snprintf(text + len, 32 - len, up > 0 ? "%.3g" : "-", up);
    return text;
}

static bool any_quota(const json_t *list)
{
    const json_t *u;
    size_t i;

    json_array_foreach(list, i, u) if (json_is_number(json_object_get(u, "quota_left"))) return true;
    return false;
}

static void show_uplinks(const json_t *a)
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
        char sent[32], received[32], speed[32], left[32];
        const char *v4 = text_of(u, "ipv4"), *v6 = text_of(u, "ipv6");
        bool has_quota = json_is_number(json_object_get(u, "quota_left"));
        int pad = width - command_print(text_of(u, "name"));
        (void)printf("%*s  %-8s  %6g  %4g  %5.0f  %5.0f  %7.0f  %6.0f  %8s  %8s  %14s", pad, "",
                     text_of(u, "state"), number_of(u, "weight"), number_of(u, "tier"),
                     number_of(u, "active"), number_of(u, "busy"), number_of(u, "total"),
                     number_of(u, "failures"), bytes(number_of(u, "tx_bytes"), sent),
                     bytes(number_of(u, "rx_bytes"), received), learned(u, speed));
        if (quotas)
            (void)printf("  %10s", has_quota ? bytes(number_of(u, "quota_left"), left) : "-");
        (void)printf("  %s%s%s\n", v4, *v4 && *v6 ? ", " : "", v6);
    }
}

int cmd_uplinks(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s}", "verb", "uplinks"), show_uplinks);
}

static void show_drain(const json_t *a)
{
    (void)command_print(text_of(a, "uplink"));
    (void)printf(" is %s, with %.0f connections\n", text_of(a, "state"), number_of(a, "active"));
}

int cmd_drain(const struct cli *cli)
{
    const char *state = cli->n_words > 1 ? cli->words[1] : "on";

    if (strcmp(state, "on") != 0 && strcmp(state, "off") != 0)
        return command_error(COMMAND_MISUSED, "drain: expected UPLINK, and on or off");
    return ask_and_show(
        cli, json_pack("{s:s, s:s, s:s}", "verb", "drain", "uplink", cli->words[0], "state", state),
        show_drain);
}

/* --- loading -------------------------------------------------------------------------------------------- */

static void show_loaded(const json_t *a)
{
    (void)printf("policy %s loaded, generation %.0f, in %.1f ms\n", text_of(a, "policy"),
                 number_of(a, "generation"), number_of(a, "seconds") * 1e3);
}

int cmd_reload(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s}", "verb", "reload"), show_loaded);
}

/* Make the path absolute, since the proxy runs in another folder. @return 0 or negative errno */
static int whole_path(const char *file, char ret[PATH_MAX])
{
    char here[PATH_MAX];

    if (file[0] == '/')
        return snprintf(ret, PATH_MAX, "%s", file) < PATH_MAX ? 0 : -ENAMETOOLONG;
    if (!getcwd(here, sizeof here))
        return -errno;
    return snprintf(ret, PATH_MAX, "%s/%s", here, file) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int cmd_policy(const struct cli *cli)
{
    const char *name = cli->words[0];
    char path[PATH_MAX];

    if (config_policy_is_file(name)) {
        if (whole_path(name, path) < 0)
            return command_error(COMMAND_FAILED, "%.200s: the path is too long", name);
        name = path;
    }
    return ask_and_show(cli, json_pack("{s:s, s:s}", "verb", "policy", "policy", name), show_loaded);
}

int cmd_set(const struct cli *cli)
{
    const char *word = cli->words[0], *equals = strchr(word, '=');

    if (!equals || equals == word)
        return command_error(COMMAND_MISUSED, "set: expected KEY=VALUE, got '%.60s'", word);
    return ask_and_show(cli,
                        json_pack("{s:s, s:s%, s:s}", "verb", "set", "key", word, (size_t)(equals - word),
                                  "value", equals + 1),
                        show_loaded);
}

/* --- why ------------------------------------------------------------------------------------------------ */

static void print_tags(const json_t *tags)
{
    size_t i;
    const json_t *tag;

    json_array_foreach(tags, i, tag)
    {
        (void)printf("%s", i ? " " : ", tags ");
        (void)command_print(json_string_value(tag));
    }
}

static void show_seen(const json_t *a)
{
    char speed[32], left[32];
    size_t i;
    const json_t *u;

    json_array_foreach(json_object_get(a, "saw"), i, u)
    {
        (void)printf("  %-9s ", i ? "" : "it saw");
        (void)command_print(text_of(u, "name"));
        (void)printf(": weight %g, tier %g, %.0f live, %.0f busy", number_of(u, "weight"),
                     number_of(u, "tier"), number_of(u, "active"), number_of(u, "busy"));
        if (number_of(u, "connect_time") > 0)
            (void)printf(", connects in %.0f ms", number_of(u, "connect_time") * 1e3);
        print_tags(json_object_get(u, "tags"));
        if (json_is_number(json_object_get(u, "quota_left")))
            (void)printf(", %s of its quota left", bytes(number_of(u, "quota_left"), left));
        if (number_of(u, "rx_capacity") > 0 || number_of(u, "tx_capacity") > 0)
            (void)printf(", carries %s Mbit/s down/up", learned(u, speed));
        (void)printf("\n");
    }
    json_array_foreach(json_object_get(a, "left_out"), i, u)
    {
        (void)printf("  %-9s ", i ? "" : "left out");
        (void)command_print(text_of(u, "name"));
        (void)printf(": %s\n", text_of(u, "why"));
    }
}

static void show_why(const json_t *a)
{
    const char *verdict = text_of(a, "verdict");
    const json_t *order = json_object_get(a, "order");
    char place[512];
    size_t i;
    const json_t *name;

    (void)command_print(
        host_port_format(place, sizeof place, slice_str(text_of(a, "host")), (uint16_t)number_of(a, "port")));
    (void)printf(" ");
    if (strcmp(verdict, "direct") == 0)
        (void)printf("goes direct, without the policy");
    else if (strcmp(verdict, "use") != 0)
        (void)printf("is refused");
    json_array_foreach(order, i, name)
    {
        (void)printf("%s", i ? ", then " : "leaves by ");
        (void)command_print(json_string_value(name));
    }
    (void)printf(": ");
    (void)command_print(text_of(a, *text_of(a, "bypass") ? "bypass" : "reason"));
    (void)printf("\n");
    if (*text_of(a, "policy"))
        (void)printf("  %-9s %s, generation %.0f\n", "policy", text_of(a, "policy"),
                     number_of(a, "generation"));
    if (*text_of(a, "error")) {
        (void)printf("  %-9s ", "error");
        (void)command_print(text_of(a, "error"));
        (void)printf("\n");
    }
    if (number_of(a, "hedge") > 0)
        (void)printf("  %-9s another uplink if it has not connected within %.0f ms\n", "races",
                     number_of(a, "hedge") * 1e3);
    show_seen(a);
}

/* The destination that is asked about: "host", "host:443", "[::1]:443", or a URL. */
struct place {
    struct slice host; /* in brackets where the word has them */
    uint16_t port;     /* 0: not given */
};

/* @return the default port of the URL's scheme; 0 when it is unknown */
static uint16_t port_of_scheme(const char *url, size_t len)
{
    static const struct {
        const char *scheme;
        uint16_t port;
    } known[] = {{"http", 80}, {"https", 443}, {"ws", 80},    {"wss", 443},
                 {"ftp", 21},  {"ssh", 22},    {"imaps", 993}};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strlen(known[i].scheme) == len && strncasecmp(url, known[i].scheme, len) == 0)
            return known[i].port;
    return 0;
}

/* Parse the word. An empty port means the scheme's default (RFC 3986 3.2.3). User and password of a URL
 * are skipped. @return false when it names no destination */
static bool find_place(struct place *ret, const char *word)
{
    const char *scheme_end = strstr(word, "://"), *host = scheme_end ? scheme_end + 3 : word;
    size_t len = strcspn(host, "/?#");
    const char *at = scheme_end ? memrchr(host, '@', len) : NULL;

    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    const struct host_port split = host_port_split(slice_of(host, len));
    *ret = (struct place){.host = split.place};
    if (scheme_end)
        ret->port = port_of_scheme(word, (size_t)(scheme_end - word));
    if (split.port.len > 0 && (host_port_number(split.port, &ret->port) < 0 || ret->port == 0))
        return false;
    return ret->host.len > 0 && !(scheme_end && ret->port == 0);
}

int cmd_why(const struct cli *cli)
{
    static const char *const texts[] = {"client", "user", "proto"};
    const char *word = cli->words[0];
    struct place place;

    if (!find_place(&place, word)) /* text before an @ may be a password */
        return command_error(COMMAND_MISUSED,
                             "why: expected HOST, HOST:PORT or a URL such as "
                             "https://example.org:8443/, got '%.100s'",
                             strchr(word, '@') ? "…" : word);
    json_t *request = json_pack("{s:s}", "verb", "why");
    if (place.port > 0)
        (void)json_object_set_new(request, "port", json_integer(place.port));
    int r = json_object_set_new(request, "host", json_stringn(place.host.data, place.host.len));
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        if (cli_value(cli, texts[i]))
            r = json_object_set_new(request, texts[i], json_string(cli_value(cli, texts[i])));
    if (r == 0 && cli_value(cli, "udp"))
        r = json_object_set_new(request, "udp", json_true());
    if (r < 0) {
        json_decref(request);
        request = NULL;
    }
    return ask_and_show(cli, request, show_why);
}

/* --- record --------------------------------------------------------------------------------------------- */

static void show_recording(const json_t *a)
{
    const json_t *r = json_object_get(a, "recording");

    if (!json_is_object(r)) {
        (void)printf("not recording\n");
        return;
    }
    (void)printf("recording to ");
    (void)command_print(text_of(r, "file"));
    (void)printf(", %.0f connections so far\n", number_of(r, "connections"));
}

int cmd_record(const struct cli *cli)
{
    const char *state = cli->n_words > 0 ? cli->words[0] : NULL,
               *file = cli->n_words > 1 ? cli->words[1] : NULL;
    json_t *request = json_pack("{s:s}", "verb", "record");
    char path[PATH_MAX];
    bool on = state && strcmp(state, "on") == 0;

    if ((state && !on && strcmp(state, "off") != 0) || on != (file != NULL)) {
        json_decref(request);
        return command_error(COMMAND_MISUSED, "record: expected on FILE, off, or nothing");
    }
    if (state)
        (void)json_object_set_new(request, "state", json_string(state));
    if (file && whole_path(file, path) < 0) {
        json_decref(request);
        return command_error(COMMAND_FAILED, "%.200s: the path is too long", file);
    }
    if (file && json_object_set_new(request, "file", json_string(path)) < 0) {
        json_decref(request);
        request = NULL;
    }
    return ask_and_show(cli, request, show_recording);
}
