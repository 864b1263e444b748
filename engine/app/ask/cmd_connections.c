/* The commands that show and close the connections of a running proxy. */
#include "ask/ask.h"
#include "ask/ask_and_show.h"
#include "ask/ask_commands.h"
#include "ask/watch.h"
#include "cli/command_error.h"
#include "show/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Between the two looks that tell a rate. */
static const struct timespec RATE_OVER = {.tv_sec = 1};

/* --- what is asked -------------------------------------------------------------------------------------- */

static const char *const FILTERS[] = {"host", "client", "uplink", "user"};

/* @return NULL: a word is not UTF-8 */
static json_t *request_of(const struct cli *cli, const char *verb, bool *ret_filtered)
{
    json_t *request = json_pack("{s:s}", "verb", verb);
    int r = 0;

    *ret_filtered = false;
    for (size_t i = 0; i < ARRAY_LEN(FILTERS); i++) {
        const char *value = cli_value(cli, FILTERS[i]);
        if (!value)
            continue;
        *ret_filtered = true;
        if (json_object_set_new(request, FILTERS[i], json_string(value)) < 0)
            r = -1;
    }
    if (r == 0)
        return request;
    json_decref(request);
    return NULL;
}

/* --- order ---------------------------------------------------------------------------------------------- */

static double bytes_of(const json_t *row)
{
    return show_number_of(row, "tx") + show_number_of(row, "rx");
}

static int by_age(const json_t *a, const json_t *b)
{
    double x = show_number_of(a, "age"), y = show_number_of(b, "age");

    return (x < y) - (x > y);
}

static int by_bytes(const json_t *a, const json_t *b)
{
    double x = bytes_of(a), y = bytes_of(b);

    return (x < y) - (x > y);
}

static int by_rate(const json_t *a, const json_t *b)
{
    double x = show_number_of(a, "rate"), y = show_number_of(b, "rate");

    return (x < y) - (x > y);
}

static int by_host(const json_t *a, const json_t *b)
{
    return strcasecmp(show_text_of(a, "host"), show_text_of(b, "host"));
}

static const struct order {
    const char *name;
    int (*compare)(const json_t *a, const json_t *b);
} ORDERS[] = {{"age", by_age}, {"bytes", by_bytes}, {"rate", by_rate}, {"host", by_host}};

/* What the user wants to see of the answer. */
struct wish {
    const struct order *order; /* NULL: as the proxy answers */
    size_t limit;
};

static int read_wish(const struct cli *cli, struct wish *ret)
{
    const char *sort = cli_value(cli, "sort"), *limit = cli_value(cli, "limit");
    char *end;

    *ret = (struct wish){.limit = SIZE_MAX};
    for (size_t i = 0; sort && i < ARRAY_LEN(ORDERS); i++)
        if (strcmp(sort, ORDERS[i].name) == 0)
            ret->order = &ORDERS[i];
    if (sort && !ret->order)
        return command_error(COMMAND_MISUSED, "--sort: expected age, bytes, rate or host, got '%.60s'", sort);
    if (limit) {
        errno = 0;
        ret->limit = strtoul(limit, &end, 10);
        if (errno != 0 || *end || *limit < '0' || *limit > '9' || ret->limit == 0)
            return command_error(COMMAND_MISUSED, "--limit: expected a number of 1 or more, got '%.60s'",
                                 limit);
    }
    return COMMAND_OK;
}

struct sorted {
    json_t *row;
    size_t at;
    const struct order *order;
};

/* Rows that are equal stay in their order. */
static int compare(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    int r = x->order->compare(x->row, y->row);

    return r != 0 ? r : (x->at > y->at) - (x->at < y->at);
}

static void grant(const struct wish *w, json_t *answer)
{
    json_t *list = json_object_get(answer, "connections"), *row, *shown = json_array();
    size_t n = json_array_size(list), i;
    struct sorted *rows = calloc(n + 1, sizeof *rows);

    json_array_foreach(list, i, row) rows[i] = (struct sorted){.row = row, .at = i, .order = w->order};
    if (w->order)
        qsort(rows, n, sizeof *rows, compare);
    for (i = 0; i < n && i < w->limit; i++)
        (void)json_array_append(shown, rows[i].row);
    free(rows);
    (void)json_object_set_new(answer, "total", json_integer((json_int_t)n));
    (void)json_object_set_new(answer, "connections", shown);
}

/* --- rates ---------------------------------------------------------------------------------------------- */

/* Of those that have ended: over all of their time. */
static void rate_ended(json_t *answer)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(answer, "connections"), i, row)
    {
        double s = show_number_of(row, "duration");
        (void)json_object_set_new(row, "rate", json_real(s > 0 ? bytes_of(row) / s : 0));
    }
}

/* Both are in the order of ids. */
static void rate_since(json_t *answer, const json_t *before)
{
    const json_t *then = json_object_get(before, "connections");
    size_t i, k = 0;
    json_t *row;

    json_array_foreach(json_object_get(answer, "connections"), i, row)
    {
        double id = show_number_of(row, "id"), s = show_number_of(row, "age"), moved = bytes_of(row);
        while (k < json_array_size(then) && show_number_of(json_array_get(then, k), "id") < id)
            k++;
        const json_t *old = json_array_get(then, k);
        if (old && json_integer_value(json_object_get(old, "id")) == (json_int_t)id) {
            moved -= bytes_of(old);
            s -= show_number_of(old, "age");
        }
        (void)json_object_set_new(row, "rate", json_real(s > 0 ? moved / s : 0));
    }
}

/* --- connections ---------------------------------------------------------------------------------------- */

struct look {
    json_t *request, *before; /* before: the answer that rates are told by; NULL: none yet */
    struct wish wish;
    bool recent, rated;
};

/* The answer, and the one before it, give rates. @return COMMAND_OK, or the exit code */
static int look(const struct cli *cli, struct look *l, json_t **ret)
{
    int code = COMMAND_OK;

    if (l->rated && !l->recent && !l->before) {
        code = ask(cli, json_incref(l->request), &l->before);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &RATE_OVER, NULL);
    }
    if (code == COMMAND_OK)
        code = ask(cli, json_incref(l->request), ret);
    if (code != COMMAND_OK)
        return code;
    if (l->recent && l->rated)
        rate_ended(*ret);
    else if (l->before)
        rate_since(*ret, l->before);
    return COMMAND_OK;
}

static int show_them(const struct cli *cli, void *arg)
{
    struct look *l = arg;
    json_t *answer, *before = NULL;
    int code = look(cli, l, &answer);

    if (code != COMMAND_OK)
        return code;
    if (!l->recent && cli_value(cli, "watch"))
        before = json_copy(answer); /* with the list in its own order */
    grant(&l->wish, answer);
    code = show_answer(cli, answer, show_connections);
    json_decref(l->before);
    l->before = before;
    return code;
}

int cmd_connections(const struct cli *cli)
{
    struct look l = {.recent = cli_value(cli, "recent")};
    bool filtered;
    int code = read_wish(cli, &l.wish);

    if (code != COMMAND_OK)
        return code;
    l.rated = l.wish.order && l.wish.order->compare == by_rate;
    l.request = request_of(cli, l.recent ? "recent" : "connections", &filtered);
    code = watch(cli, show_them, &l);
    json_decref(l.request);
    json_decref(l.before);
    return code;
}

/* --- close ---------------------------------------------------------------------------------------------- */

static void print_closed(const json_t *a)
{
    double n = show_number_of(a, "closed");

    if (n == 0)
        (void)printf("no connection fits\n");
    else
        (void)printf("%.0f connection%s closed\n", n, n == 1 ? " is" : "s are");
}

/* @return COMMAND_OK, or the exit code */
static int add_ids(const struct cli *cli, json_t *request)
{
    json_t *ids = json_array();

    for (size_t i = 0; i < cli->n_words; i++) {
        const char *word = cli->words[i];
        char *end;
        errno = 0;
        long long id = strtoll(word, &end, 10);
        if (errno != 0 || *end || *word < '0' || *word > '9' || id == 0) {
            json_decref(ids);
            return command_error(COMMAND_MISUSED, "close: expected the ID of a connection, got '%.60s'",
                                 word);
        }
        (void)json_array_append_new(ids, json_integer(id));
    }
    (void)json_object_set_new(request, "ids", ids);
    return COMMAND_OK;
}

int cmd_close(const struct cli *cli)
{
    bool all = cli_value(cli, "all"), filtered;
    json_t *request = request_of(cli, "close", &filtered);
    int code = COMMAND_OK;

    if (cli->n_words == 0 && !filtered && !all)
        code = command_error(COMMAND_MISUSED, "close: expected an ID, a filter such as --host, or --all");
    else if (cli->n_words > 0 && request)
        code = add_ids(cli, request);
    if (code != COMMAND_OK) {
        json_decref(request);
        return code;
    }
    if (all && request)
        (void)json_object_set_new(request, "all", json_true());
    return ask_and_show(cli, request, print_closed);
}
