#include "simulate/trace.h"

#include "simulate/grow.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 64 * 1024 };
/* Limit for one connection: about what a line of 100 Mbit/s carries in a day. */
static const json_int_t FLOW_BYTES_MAX = 1000000000000;
static const char HEADER_KEY[] = "steerway_trace";

/* --- texts and flows ------------------------------------------------------------------------------------ */

/* FNV-1a */
static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

/* The slot of the text, or the free slot where it belongs. The table always has a free slot. */
static uint32_t *slot_of(const struct trace *t, const char *text)
{
    size_t i = hash(text) & (t->n_slots - 1);

    while (t->slots[i] != 0 && strcmp(t->texts[t->slots[i] - 1], text) != 0)
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

/* Make room for one more text, and keep the hash table at most half full. */
static int make_room(struct trace *t)
{
    size_t cap = t->cap_texts ? t->cap_texts * 2 : 64;

    if (t->n_texts < t->cap_texts)
        return 0;
    char **texts = reallocarray(t->texts, cap, sizeof *texts);
    if (!texts)
        return -ENOMEM;
    t->texts = texts;
    uint32_t *slots = calloc(cap * 2, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(t->slots);
    t->slots = slots;
    t->n_slots = cap * 2;
    t->cap_texts = cap;
    for (size_t i = 0; i < t->n_texts; i++)
        *slot_of(t, t->texts[i]) = (uint32_t)i + 1;
    return 0;
}

int trace_text(struct trace *t, const char *text, uint32_t *ret)
{
    if (make_room(t) < 0)
        return -ENOMEM;
    uint32_t *slot = slot_of(t, text);
    if (*slot == 0) {
        t->texts[t->n_texts] = strdup(text);
        if (!t->texts[t->n_texts])
            return -ENOMEM;
        *slot = (uint32_t)++t->n_texts;
    }
    *ret = *slot - 1;
    return 0;
}

int trace_add(struct trace *t, const struct trace_flow *flow)
{
    struct trace_flow *flows = grow(t->flows, t->n, &t->cap, 1024, sizeof *flows);

    if (!flows)
        return -ENOMEM;
    t->flows = flows;
    t->flows[t->n++] = *flow;
    return 0;
}

static void merge(const struct trace_flow *from, struct trace_flow *to, size_t start, size_t mid, size_t end)
{
    size_t i = start, j = mid;

    for (size_t k = start; k < end; k++)
        to[k] = i < mid && (j >= end || from[i].t <= from[j].t) ? from[i++] : from[j++];
}

/* Merge sort keeps equal times in order. Without memory for it, insertion sort does the same slowly. */
void trace_sort(struct trace *t)
{
    struct trace_flow *spare = reallocarray(NULL, t->n + 1, sizeof *spare), *from = t->flows, *to = spare;

    for (size_t i = 1; !spare && i < t->n; i++) {
        struct trace_flow flow = t->flows[i];
        size_t j = i;
        for (; j > 0 && t->flows[j - 1].t > flow.t; j--)
            t->flows[j] = t->flows[j - 1];
        t->flows[j] = flow;
    }
    for (size_t width = 1; spare && width < t->n; width *= 2) {
        for (size_t start = 0; start < t->n; start += 2 * width) {
            size_t mid = start + width < t->n ? start + width : t->n;
            size_t end = mid + width < t->n ? mid + width : t->n;
            merge(from, to, start, mid, end);
        }
        struct trace_flow *sorted = to;
        to = from;
        from = sorted;
    }
    if (spare && from != t->flows)
        memcpy(t->flows, from, t->n * sizeof *from);
    free(spare);
}

void trace_done(struct trace *t)
{
    for (size_t i = 0; i < t->n_texts; i++)
        free(t->texts[i]);
    free(t->texts);
    free(t->slots);
    free(t->flows);
    *t = (struct trace){.n = 0};
}

/* --- reading -------------------------------------------------------------------------------------------- */

struct place {
    const char *path;
    size_t line;
    char *err;
};

static int trace_refuse(const struct place *at, const char *what)
{
    (void)snprintf(at->err, TRACE_ERROR_MAX, "%.300s:%zu: %s", at->path, at->line, what);
    return -EINVAL;
}

static bool take_count(const json_t *o, const char *key, json_int_t max, json_int_t *ret)
{
    const json_t *value = json_object_get(o, key);

    *ret = json_integer_value(value);
    return json_is_integer(value) && *ret >= 0 && *ret <= max;
}

static int take_flow(struct trace *t, const json_t *o, const struct place *at)
{
    const char *client = json_string_value(json_object_get(o, "client")),
               *host = json_string_value(json_object_get(o, "host"));
    const json_t *when = json_object_get(o, "t");
    json_int_t tx, rx, port;

    if (!json_is_number(when) ||
        !(json_number_value(when) >= 0 && json_number_value(when) <= TRACE_SECONDS_MAX))
        return trace_refuse(at, "t: expected seconds, from 0 to 10000000");
    if (!client || !host)
        return trace_refuse(at, "client, host: expected two texts");
    if (!take_count(o, "port", UINT16_MAX, &port) || port == 0)
        return trace_refuse(at, "port: expected a whole number from 1 to 65535");
    if (!take_count(o, "tx", FLOW_BYTES_MAX, &tx) || !take_count(o, "rx", FLOW_BYTES_MAX, &rx))
        return trace_refuse(at, "tx, rx: expected bytes, from 0 to 1000000000000");
    struct trace_flow flow = {
        .t = json_number_value(when), .tx = (uint64_t)tx, .rx = (uint64_t)rx, .port = (uint16_t)port};
    int r = trace_text(t, client, &flow.client);
    if (r == 0)
        r = trace_text(t, host, &flow.host);
    return r == 0 ? trace_add(t, &flow) : r;
}

static int take_line(struct trace *t, const char *text, const struct place *at)
{
    json_error_t error;
    json_t *o = json_loads(text, 0, &error);
    int r = 0;

    if (!o)
        r = trace_refuse(at, "expected a JSON object");
    else if (at->line == 1 && json_integer_value(json_object_get(o, HEADER_KEY)) != 1)
        r = trace_refuse(at,
                         "expected {\"steerway_trace\":1}, the first line of a trace that the proxy records");
    else if (!json_object_get(o, HEADER_KEY))
        r = take_flow(t, o, at);
    json_decref(o);
    return r;
}

/* Read one line without its newline. @return 1, 0 at the end of the file, or negative errno */
static int read_line(FILE *f, char text[static LINE_BYTES_MAX], const struct place *at)
{
    size_t n = 0;
    int c;

    while ((c = getc_unlocked(f)) != EOF && c != '\n') {
        if (n == LINE_BYTES_MAX - 1)
            return trace_refuse(at, "the line is too long");
        text[n++] = (char)c;
    }
    text[n] = '\0';
    if (ferror(f)) {
        int r = -errno;
        (void)snprintf(at->err, TRACE_ERROR_MAX, "%.300s: %s", at->path, strerror(-r));
        return r;
    }
    if (memchr(text, '\0', n))
        return trace_refuse(at, "expected a JSON object");
    return n > 0 || c == '\n';
}

static int read_lines(struct trace *ret, FILE *f, char text[static LINE_BYTES_MAX], struct place *at)
{
    int r;

    for (at->line = 1; (r = read_line(f, text, at)) > 0; at->line++) {
        if (!text[strspn(text, " \t\r")])
            continue;
        r = take_line(ret, text, at);
        if (r == -ENOMEM)
            (void)snprintf(at->err, TRACE_ERROR_MAX, "%.300s: out of memory", at->path);
        if (r < 0)
            return r;
    }
    if (r == 0 && ret->n == 0)
        return trace_refuse(at, "the trace has no connections");
    return r;
}

int trace_read(struct trace *ret, const char *path, char *err)
{
    FILE *f = fopen(path, "re");
    struct place at = {.path = path, .err = err};
    char *text = f ? malloc(LINE_BYTES_MAX) : NULL;

    if (!text) {
        int r = -errno;
        (void)snprintf(err, TRACE_ERROR_MAX, "%.300s: %s", path, strerror(-r));
        if (f)
            (void)fclose(f);
        return r;
    }
    int r = read_lines(ret, f, text, &at);
    free(text);
    (void)fclose(f);
    if (r == 0)
        trace_sort(ret);
    return r;
}
