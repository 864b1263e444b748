#include "view/connection_filter.h"

#include "outbound/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int refuse(char *err, const char *text)
{
    (void)snprintf(err, CONNECTION_FILTER_ERROR_MAX, "%s", text);
    return -EINVAL;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int read_ids(struct connection_filter *f, const json_t *list, char *err)
{
    const json_t *id;
    size_t i;

    f->by_id = true;
    f->ids = calloc(json_array_size(list) + 1, sizeof *f->ids);
    if (!f->ids)
        return refuse(err, "out of memory");
    json_array_foreach(list, i, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) <= 0)
            return refuse(err, "ids: expected a list of numbers");
        f->ids[f->n_ids++] = (uint64_t)json_integer_value(id);
    }
    qsort(f->ids, f->n_ids, sizeof *f->ids, by_number);
    return json_is_array(list) ? 0 : refuse(err, "ids: expected a list of numbers");
}

/* @return 1: the key is not that of a text */
static int read_text(struct connection_filter *f, const char *key, const json_t *value)
{
    const struct {
        const char *key, **into;
    } texts[] = {{"host", &f->host}, {"uplink", &f->uplink}, {"user", &f->user}};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strcmp(key, texts[i].key) != 0)
            continue;
        *texts[i].into = json_string_value(value);
        return *texts[i].into ? 0 : -EINVAL;
    }
    return 1;
}

static int read_key(struct connection_filter *f, const char *key, const json_t *value, char *err)
{
    int r = read_text(f, key, value);

    if (r < 0)
        (void)snprintf(err, CONNECTION_FILTER_ERROR_MAX, "%s: expected a text", key);
    if (r <= 0)
        return r;
    if (strcmp(key, "ids") == 0)
        return read_ids(f, value, err);
    if (strcmp(key, "all") == 0) {
        f->all = json_is_true(value);
        return json_is_boolean(value) ? 0 : refuse(err, "all: expected true or false");
    }
    if (strcmp(key, "client") == 0) {
        const char *text = json_string_value(value);
        f->by_client = true;
        if (!text || cidr_parse(&f->client, slice_str(text)) < 0)
            return refuse(err,
                          "client: expected an address such as 192.168.1.7, or a network such as 10.0.0.0/8");
        return 0;
    }
    (void)snprintf(err, CONNECTION_FILTER_ERROR_MAX,
                   "unknown key '%.30s' (known are: host, client, uplink, user, ids, all)", key);
    return -EINVAL;
}

int connection_filter_read(struct connection_filter *ret, const json_t *request, char *err)
{
    const char *key;
    json_t *value;
    int r = 0;

    *ret = (struct connection_filter){.request = json_incref((json_t *)(uintptr_t)request)};
    json_object_foreach(ret->request, key, value)
    {
        if (r == 0 && strcmp(key, "verb") != 0)
            r = read_key(ret, key, value, err);
    }
    return r;
}

void connection_filter_done(struct connection_filter *f)
{
    json_decref(f->request);
    free(f->ids);
    *f = (struct connection_filter){.request = NULL};
}

bool connection_filter_is_said(const struct connection_filter *f)
{
    return f->all || f->host || f->uplink || f->user || f->by_client || f->by_id;
}

/* The host itself, or one below it: example.org has www.example.org. */
static bool is_host(const char *host, const char *asked)
{
    size_t len = strlen(host), n = strlen(asked);

    if (len < n || strcasecmp(host + len - n, asked) != 0)
        return false;
    return len == n || (n > 0 && host[len - n - 1] == '.' && strspn(asked, "0123456789.") < n);
}

bool connection_filter_fits(const struct connection_filter *f, const struct account *a)
{
    if (f->by_id && !bsearch(&a->id, f->ids, f->n_ids, sizeof *f->ids, by_number))
        return false;
    if (f->host && !is_host(a->host, f->host) && !(a->address && is_host(a->address, f->host)))
        return false;
    if (f->by_client && !cidr_contains(&f->client, &a->client))
        return false;
    if (f->uplink && strcmp(a->uplink, f->uplink) != 0)
        return false;
    return !f->user || (a->user && strcmp(a->user, f->user) == 0);
}
