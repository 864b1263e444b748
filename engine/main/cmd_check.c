#include "main/commands.h"

#include "control/startup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One line: policy, uplinks, where it would listen. */
static void print_verdict(const struct config *c, const struct policy *policy,
                          const struct uplink_set *uplinks)
{
    (void)printf("ok: policy %s; uplinks ", policy_name(policy));
    for (size_t i = 0; i < uplinks->n; i++) {
        (void)printf("%s", i ? ", " : "");
        (void)command_print(uplinks->items[i]->name);
        (void)printf("@%g", uplinks->items[i]->view.weight);
    }
    (void)printf("%s; listening on ", uplinks->n ? "" : "none");
    for (size_t i = 0; i < c->n_listen; i++) {
        char text[ADDR_TEXT_MAX];
        (void)printf("%s%s", i ? ", " : "", addr_format(&c->listen[i], text));
    }
    (void)printf("\n");
}

/* No reason to fail: the config may be meant for another machine, or the line is switched off. */
static void warn_of_absent(const struct uplink_set *uplinks, const struct machine *m)
{
    for (size_t i = 0; i < uplinks->n; i++) {
        const struct uplink *u = uplinks->items[i];
        if (!u->view.up)
            (void)command_error(COMMAND_OK, "warning: uplink %s is not usable at present: %s", u->name,
                                command_absence(u, m));
    }
}

static void warn_of_listeners(const struct config *c, const struct machine *m)
{
    for (size_t i = 0; i < c->n_listen; i++) {
        const struct machine_link *link = machine_link_of_addr(m, &c->listen[i]);
        char text[ADDR_TEXT_MAX];
        /* Every machine has loopback, and "all addresses", which count as that. */
        if (!addr_is_loopback(&c->listen[i]) && !(link && link->up))
            (void)command_error(COMMAND_OK,
                                "warning: cannot listen on %s at present: this machine does not have the "
                                "address",
                                addr_format(&c->listen[i], text));
    }
}

static int check_policy(const struct config *c, const struct paths *paths, struct uplink_set *uplinks,
                        const struct machine *m, char *err)
{
    struct policy *policy;
    int r = command_load_policy(c, paths, uplinks, &policy, err);

    if (r < 0)
        return r;
    warn_of_absent(uplinks, m);
    warn_of_listeners(c, m);
    print_verdict(c, policy, uplinks);
    policy_free(policy);
    return 0;
}

static int check(struct config *c, const struct paths *paths, const struct machine *m, char *err)
{
    struct uplink_set uplinks = {.n = 0};
    int r = startup_uplinks(c, m, &uplinks, err);

    /* The config may be meant for another machine, or for this one at another time. */
    if (r == -ENOENT) {
        (void)command_error(COMMAND_OK, "warning: %s", err);
        r = 0;
    }
    if (r == 0)
        r = check_policy(c, paths, &uplinks, m, err);
    uplink_set_done(&uplinks);
    return r;
}

static int run(struct config *config, const struct paths *paths)
{
    char err[CONFIG_ERROR_MAX];
    struct machine m;
    int r = machine_read(&m);

    if (r < 0)
        return command_error(COMMAND_FAILED, "cannot read the links of this machine: %s", strerror(-r));
    r = check(config, paths, &m, err);
    machine_done(&m);
    return r < 0 ? command_error(COMMAND_FAILED, "%s", err) : COMMAND_OK;
}

int cmd_check(const struct cli *cli)
{
    return command_configured(cli, run);
}
