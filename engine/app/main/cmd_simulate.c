/* Plays a trace of connections against simulated uplinks. */
#include "cli/cli.h"
#include "main/commands.h"
#include "policy/lua_config.h"
#include "simulate/lines.h"
#include "simulate/report.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 12, CONNECTIONS = 20000, CONNECTIONS_MAX = 10000000 };
/* The load of a made trace relative to the lines' capacity: busy, but not overloaded. */
static const double OFFERED = 0.7;

/* The parsed command line. */
struct wish {
    const char *policies[RUNS_MAX];
    size_t n_policies;
    char *names; /* of --compare, split into names */
    struct policy_param *params;
    size_t n_params;
    size_t connections;
    uint32_t seed;
    const char *trace;
    struct paths paths;
    struct model_lines lines;
    struct trace played;
    struct report_run runs[RUNS_MAX];
    size_t n_runs;
};

static void wish_done(struct wish *w)
{
    for (size_t i = 0; i < w->n_params; i++) {
        free(w->params[i].key);
        free(w->params[i].value);
    }
    for (size_t i = 0; i < w->n_runs; i++)
        model_result_done(&w->runs[i].result);
    free(w->params);
    free(w->names);
    trace_done(&w->played);
    model_lines_done(&w->lines);
    paths_done(&w->paths);
}

/* --- what is wished for --------------------------------------------------------------------------------- */

static int take_number(const struct cli *cli, const char *name, unsigned long max, unsigned long fallback,
                       unsigned long *ret)
{
    const char *text = cli_value(cli, name);
    char *end;

    errno = 0;
    *ret = text ? strtoul(text, &end, 10) : fallback;
    if (text && (errno || end == text || *end || text[0] == '-' || *ret < 1 || *ret > max))
        return command_error(COMMAND_MISUSED, "--%s: expected a whole number from 1 to %lu, got '%.40s'",
                             name, max, text);
    return COMMAND_OK;
}

static int take_policies(const struct cli *cli, struct wish *w)
{
    const char *compare = cli_value(cli, "compare");

    if (cli->n_words > 0)
        w->policies[w->n_policies++] = cli->words[0];
    if (!compare && cli->n_words == 0)
        w->policies[w->n_policies++] = "fair_share";
    if (!compare)
        return COMMAND_OK;
    w->names = strdup(compare);
    char *rest = w->names;
    for (char *name = rest ? strsep(&rest, ",") : NULL; name; name = strsep(&rest, ",")) {
        if (!*name || w->n_policies == RUNS_MAX)
            return command_error(COMMAND_MISUSED,
                                 "--compare: expected up to %d policies, with commas between them", RUNS_MAX);
        w->policies[w->n_policies++] = name;
    }
    return COMMAND_OK;
}

static int take_params(const struct cli *cli, struct wish *w)
{
    w->params = calloc(cli->n_values + 1, sizeof *w->params);
    for (size_t i = 0; w->params && i < cli->n_values; i++) {
        const char *text = cli->values[i].text, *equals = strchr(text, '=');
        if (strcmp(cli->values[i].option->name, "set") != 0)
            continue;
        if (!equals || equals == text)
            return command_error(COMMAND_MISUSED, "--set: expected KEY=VALUE, got '%.60s'", text);
        struct policy_param *p = &w->params[w->n_params++];
        p->key = strndup(text, (size_t)(equals - text));
        p->value = strdup(equals + 1);
        if (!p->key || !p->value)
            return command_error(COMMAND_FAILED, "out of memory");
    }
    return w->params ? COMMAND_OK : command_error(COMMAND_FAILED, "out of memory");
}

static int take_lines(const struct cli *cli, struct wish *w)
{
    const char *path = cli_value(cli, "uplinks");
    char err[POLICY_ERROR_MAX];
    json_t *list;

    lines_default(&w->lines);
    if (!path)
        return COMMAND_OK;
    if (lua_config_load(path, w->paths.lua_dir, &list, err) < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    int r = lines_parse(&w->lines, list, err);
    json_decref(list);
    return r < 0 ? command_error(COMMAND_FAILED, "%.300s: %s", path, err) : COMMAND_OK;
}

static struct trace_offer offer_to(const struct model_lines *lines)
{
    struct trace_offer offer = {.down = 0};

    for (size_t i = 0; i < lines->n; i++) {
        offer.down += OFFERED * lines->items[i].down;
        offer.up += OFFERED * lines->items[i].up;
    }
    return offer;
}

static void list_kinds(char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; trace_kinds[i] && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", trace_kinds[i]);
}

static int take_trace(const struct cli *cli, struct wish *w)
{
    const char *given = cli_value(cli, "trace");
    char err[TRACE_ERROR_MAX], kinds[128];

    w->trace = given ? given : "browsing";
    const struct trace_offer offer = offer_to(&w->lines);
    int r = trace_make(&w->played, w->trace, w->connections, &offer, w->seed);
    if (r != -ENOENT)
        return r < 0 ? command_error(COMMAND_FAILED, "%s", strerror(-r)) : COMMAND_OK;
    r = trace_read(&w->played, w->trace, err);
    list_kinds(kinds, sizeof kinds);
    if (r == -ENOENT)
        return command_error(COMMAND_FAILED, "--trace %.200s: neither a file nor a kind of trace (known: %s)",
                             w->trace, kinds);
    return r < 0 ? command_error(COMMAND_FAILED, "%s", err) : COMMAND_OK;
}

/* --- doing it ------------------------------------------------------------------------------------------- */

static int run_one(struct wish *w, const char *policy)
{
    char err[CONFIG_ERROR_MAX], *file;

    if (paths_policy(&w->paths, policy, &file, err) < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    const struct model_options options = {
        .trace = &w->played,
        .lines = &w->lines,
        .policy = {.file = file, .params = w->params, .n_params = w->n_params},
        .lua_dir = w->paths.lua_dir,
        .seed = w->seed,
    };
    int r = model_run(&options, &w->runs[w->n_runs].result, err);
    free(file);
    if (r < 0)
        return command_error(COMMAND_FAILED, "%s", err);
    w->runs[w->n_runs++].name = policy;
    return COMMAND_OK;
}

static int write_report(const struct cli *cli, const struct wish *w)
{
    const struct report report = {.lines = &w->lines,
                                  .trace = &w->played,
                                  .trace_name = w->trace,
                                  .seed = w->seed,
                                  .runs = w->runs,
                                  .n_runs = w->n_runs};
    const char *svg = cli_value(cli, "svg");
    int r = svg ? report_svg(svg, &report) : 0;

    if (r < 0)
        return command_error(COMMAND_FAILED, "%.300s: %s", svg, strerror(-r));
    if (!cli->as_json) {
        /* Needed to recognise UTF-8; numbers keep the format of the C locale. */
        (void)setlocale(LC_CTYPE, "");
        report_print(stdout, &report, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
        return COMMAND_OK;
    }
    json_t *json = report_json(&report);
    r = json ? json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : -1;
    json_decref(json);
    (void)putchar('\n');
    return r < 0 ? command_error(COMMAND_FAILED, "cannot make JSON of it") : COMMAND_OK;
}

static int simulate(const struct cli *cli, struct wish *w)
{
    unsigned long connections, seed;
    int code = take_number(cli, "connections", CONNECTIONS_MAX, CONNECTIONS, &connections);

    if (code == COMMAND_OK)
        code = take_number(cli, "seed", UINT32_MAX, 1, &seed);
    if (code != COMMAND_OK)
        return code;
    w->connections = connections;
    w->seed = (uint32_t)seed;
    code = take_policies(cli, w);
    if (code == COMMAND_OK)
        code = take_params(cli, w);
    if (code == COMMAND_OK)
        code = take_lines(cli, w);
    if (code == COMMAND_OK)
        code = take_trace(cli, w);
    for (size_t i = 0; code == COMMAND_OK && i < w->n_policies; i++)
        code = run_one(w, w->policies[i]);
    return code == COMMAND_OK ? write_report(cli, w) : code;
}

int cmd_simulate(const struct cli *cli)
{
    struct wish *w = calloc(1, sizeof *w); /* too large for the stack */
    char err[CONFIG_ERROR_MAX];

    if (!w)
        return command_error(COMMAND_FAILED, "out of memory");
    log_setup(LOG_WARN, LOG_TEXT);
    int code = paths_find(&w->paths, cli_value(cli, "data-dir"), err) < 0
                   ? command_error(COMMAND_FAILED, "%s", err)
                   : simulate(cli, w);
    wish_done(w);
    free(w);
    return code;
}
