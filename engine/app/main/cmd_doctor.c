#include "main/commands.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include "ask/ask.h"
#include "config/startup.h"
#include "control/control_path.h"
#include "doctor/judge.h"
#include "doctor/try.h"
#include "follow/surroundings.h"

#include <stdlib.h>
#include <string.h>

/* Part of the dial timeout: what one uplink gets while there are others. */
static const double PATIENCE = 0.5;
/* Answers with the caller's address and nothing else. */
static const char PUBLIC_ADDRESS[] = "http://api.ipify.org/";

/* All that the command works on. */
struct visit {
    struct config config;
    struct machine machine;
    struct uplink_set uplinks;
    struct surroundings surroundings;
    struct sight sights[UPLINK_MAX];
    struct sight_self self;
    struct try_outcome outcomes[UPLINK_MAX];
    struct diagnosis report;
    struct checks_targets targets;
    struct probe_target address;
    bool asks_address;
};

static void look_at_uplinks(struct visit *v)
{
    for (size_t i = 0; i < v->uplinks.n; i++)
        sight_of_uplink(&v->sights[i], v->uplinks.items[i], &v->machine);
}

/* Judge what shows only after packets were sent, such as a silent router. */
static void look_again(struct visit *v)
{
    look_at_uplinks(v);
    for (size_t i = 0; i < v->uplinks.n; i++) {
        memcpy(v->sights[i].seen, v->outcomes[i].seen, sizeof v->sights[i].seen);
        if (v->outcomes[i].unreached)
            judge_router(&v->report, &v->sights[i]);
        if (v->outcomes[i].large_lost)
            judge_large_lost(&v->report, &v->sights[i]);
        for (size_t k = 0; k < i; k++)
            judge_pair(&v->report, &v->sights[k], &v->sights[i]);
    }
}

static void look_for_capture(const struct cli *cli, struct visit *v)
{
    struct capture_sight *s = calloc(1, sizeof *s);
    char path[CONTROL_PATH_MAX];

    if (!s)
        return;
    capture_sight_read(s);
    capture_sight_compare(s, &v->machine);
    bool proxy = s->record.known ? control_place_is_served(s->record.control) : ask_is_there(cli, path);
    if (proxy) {
        json_t *answer =
            ask_quietly(s->record.known ? s->record.control : path, json_pack("{s:s}", "verb", "capture"));
        capture_sight_ask(s, answer);
        json_decref(answer);
    }
    judge_capture(&v->report, s, proxy);
    capture_sight_done(s);
    free(s);
}

static int try_all(struct visit *v, struct ev_loop *loop, char *err)
{
    const struct try_options options = {.targets = &v->targets,
                                        .public_address = v->asks_address ? &v->address : NULL,
                                        .timeout_s = v->config.dial_timeout_s * PATIENCE};
    int r = surroundings_open(&v->surroundings, loop, &v->config, &v->uplinks, &v->machine, err);

    if (r < 0)
        return r;
    look_at_uplinks(v);
    sight_of_self(&v->self);
    for (size_t i = 0; i < v->uplinks.n; i++) {
        judge_mark(&v->report, &v->self, v->uplinks.items[i]);
        judge_uplink(&v->report, &v->sights[i]);
    }
    judge_machine(&v->report, &v->self, &v->config, &v->machine);
    r = try_uplinks(&v->report, &v->uplinks, loop, &options, v->outcomes);
    if (r == 0)
        look_again(v);
    else
        (void)snprintf(err, CONFIG_ERROR_MAX, "%s", strerror(-r));
    return r;
}

/* A start works with one usable uplink and no error of the machine. */
static bool would_start(const struct visit *v)
{
    bool any = false;

    for (size_t i = 0; i < v->uplinks.n; i++)
        any = any || diagnosis_is_well(&v->report, v->uplinks.items[i]->name);
    return any && diagnosis_is_well(&v->report, "");
}

static int print(const struct cli *cli, const struct visit *v)
{
    const char *names[UPLINK_MAX];

    for (size_t i = 0; i < v->uplinks.n; i++)
        names[i] = v->uplinks.items[i]->name;
    if (cli->as_json) {
        json_t *o = diagnosis_json(&v->report, names, v->uplinks.n, would_start(v));
        int r = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;
        json_decref(o);
        if (r < 0)
            return command_error(COMMAND_FAILED, "cannot write to standard output");
        (void)putchar('\n');
    } else {
        diagnosis_print(stdout, &v->report, names, v->uplinks.n);
        (void)printf("%s\n", would_start(v) ? "Steerway would start, and serve."
                                            : "Steerway would not serve like this.");
    }
    return would_start(v) ? COMMAND_OK : COMMAND_FAILED;
}

/* Load the policy as start does. */
static int try_policy(struct visit *v, char *err)
{
    struct policy *policy = NULL;
    struct paths paths;
    int r = paths_find(&paths, v->config.data_dir, err);

    if (r < 0)
        return r;
    if (v->uplinks.n > 0 && command_load_policy(&v->config, &paths, &v->uplinks, &policy, err) < 0)
        judge_policy(&v->report, err);
    policy_free(policy);
    paths_done(&paths);
    return 0;
}

static int examine(const struct cli *cli, struct visit *v)
{
    char err[CONFIG_ERROR_MAX];
    int r = startup_uplinks(&v->config, &v->machine, &v->uplinks, err);
    struct ev_loop *loop = r == 0 ? ev_loop_new(0) : NULL;

    if (r == 0)
        r = try_policy(v, err);
    if (r < 0) {
        if (loop)
            ev_loop_destroy(loop);
        return command_error(COMMAND_FAILED, "%s", err);
    }
    if (!loop)
        return command_error(COMMAND_FAILED, "the event loop does not start");
    look_for_capture(cli, v);
    r = try_all(v, loop, err);
    int code = r < 0 ? command_error(COMMAND_FAILED, "%s", err) : print(cli, v);
    surroundings_close(&v->surroundings);
    ev_loop_destroy(loop);
    return code;
}

/* Read the targets of checks, and the URL for the public address. */
static int take_targets(const struct cli *cli, struct visit *v)
{
    const char *url = cli_value(cli, "public-address");

    if (!url)
        url = PUBLIC_ADDRESS;
    v->asks_address = strcmp(url, "none") != 0;
    if (v->asks_address &&
        (probe_target_parse(&v->address, slice_str(url)) != PARSE_OK || !v->address.path[0]))
        return command_error(COMMAND_MISUSED,
                             "--public-address: expected a URL (http://...) or none, got '%.100s'", url);
    return checks_targets_parse(&v->targets, config_check(&v->config)) < 0
               ? command_error(COMMAND_MISUSED, "--check: expected targets")
               : COMMAND_OK;
}

int cmd_doctor(const struct cli *cli)
{
    struct visit *v = calloc(1, sizeof *v);
    char err[CONFIG_ERROR_MAX];
    int code;

    if (!v)
        return command_error(COMMAND_FAILED, "out of memory");
    log_silence(); /* the diagnosis reports these errors */
    if (cli_configure(cli, &v->config, &code, err) < 0)
        code = command_error(code, "%s", err);
    else
        code = take_targets(cli, v);
    int r = code == COMMAND_OK ? machine_read(&v->machine) : 0;
    if (r < 0)
        code = command_error(COMMAND_FAILED, "cannot read the links of this machine: %s", strerror(-r));
    else if (code == COMMAND_OK)
        code = examine(cli, v);
    uplink_set_done(&v->uplinks);
    machine_done(&v->machine);
    config_done(&v->config);
    free(v);
    return code;
}
