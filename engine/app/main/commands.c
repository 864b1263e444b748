#include "main/commands.h"

#include "base/nearest.h"
#include "cli/cli.h"
#include "uplink/discover.h"
#include "uplink/uplink.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)CONFIG_ERROR_MAX >= (int)POLICY_ERROR_MAX, "one buffer takes the errors of all");

bool command_lacks_rights(const struct uplink *u)
{
    bool marks = u->way.mark != 0 || addr_family(&u->way.gateway4.addr) != AF_UNSPEC ||
                 addr_family(&u->way.gateway6.addr) != AF_UNSPEC;

    return marks && !egress_may_mark();
}

static void tell_no_interface(const struct uplink *u, const struct machine *m, char out[COMMAND_ABSENCE_MAX])
{
    const char *near = machine_link_nearest(m, u->interface);
    bool named = strcmp(u->name, u->interface) != 0;
    int n = snprintf(out, COMMAND_ABSENCE_MAX, "this machine has no such interface%s%s", named ? ": " : "",
                     named ? u->interface : "");
    size_t room = COMMAND_ABSENCE_MAX - (size_t)n;
    if (near)
        (void)snprintf(out + n, room, "; did you mean %s?", near);
    else if (strchr(u->interface, ','))
        (void)snprintf(out + n, room, "; uplinks are separate words, without commas");
    else
        (void)snprintf(out + n, room, "; steerway list shows the interfaces");
}

const char *command_absence(const struct uplink *u, const struct machine *m, char out[COMMAND_ABSENCE_MAX])
{
    bool by_address = addr_family(&u->way.address) != AF_UNSPEC;
    const struct machine_link *link = uplink_link(u, m);

    if (!link && !by_address) {
        tell_no_interface(u, m, out);
        return out;
    }
    if (!link)
        return "this machine does not have the address";
    if (command_lacks_rights(u))
        return COMMAND_NO_RIGHTS;
    if (link->loopback)
        return "a loopback interface reaches this machine only";
    const char *objection = discover_objection(m, link);
    return objection ? objection : "it cannot carry traffic";
}

int cmd_help(const struct cli *cli)
{
    char err[CONFIG_ERROR_MAX];
    const struct verb *topic = NULL;

    if (cli->n_words > 0 && cli_find_verb(cli->verbs, cli->words[0], &topic, err) < 0)
        return command_error(COMMAND_MISUSED, "%s", err);
    cli_print_help(stdout, cli->verbs, topic);
    return COMMAND_OK;
}

static int run_on_machine(const struct cli *cli, command_fn *run, struct config *config,
                          const struct paths *paths)
{
    char err[CONFIG_ERROR_MAX];
    struct machine m;
    int r = machine_read(&m);

    if (r < 0)
        return command_error(COMMAND_FAILED, "cannot read the links of this machine: %s", strerror(-r));
    r = run(cli, config, paths, &m, err);
    machine_done(&m);
    return r < 0 ? command_error(COMMAND_FAILED, "%s", err) : COMMAND_OK;
}

int command_configured(const struct cli *cli, command_fn *run)
{
    char err[CONFIG_ERROR_MAX];
    struct config config;
    struct paths paths;
    int code;

    if (cli_configure(cli, &config, &code, err) < 0) {
        code = command_error(code, "%s", err);
    } else if (paths_find(&paths, config.data_dir, err) < 0) {
        code = command_error(COMMAND_FAILED, "%s", err);
    } else {
        code = run_on_machine(cli, run, &config, &paths);
        paths_done(&paths);
    }
    config_done(&config);
    return code;
}

int command_load_policy(const struct config *config, const struct paths *paths, struct uplink_set *uplinks,
                        struct policy **ret, char *err)
{
    char *file, why[CONFIG_ERROR_MAX];
    int r = paths_policy(paths, config_policy(config), &file, why);

    if (r < 0 && config->policy_from)
        (void)snprintf(err, CONFIG_ERROR_MAX, "%.300s: %.700s", config->policy_from, why);
    else if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "%s", why);
    if (r < 0)
        return r;
    const struct policy_options options = {
        .source = {.file = file, .params = config->params, .n_params = config->n_params},
        .lua_dir = paths->lua_dir,
        .uplinks = uplinks,
        .no_jit = config->no_jit,
    };
    r = policy_new(ret, &options, err);
    free(file);
    return r;
}
