#include "main/commands.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include "ask/ask_and_show.h"
#include "cli/cli.h"
#include "config/config_useless.h"
#include "config/startup.h"
#include "confine/confine_rights.h"
#include "confine/confine_user.h"
#include "doctor/sight.h"
#include "follow/surroundings.h"
#include "netlink/link_index.h"
#include "show/show.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Print one line: policy, uplinks, and listening addresses. */
static void print_verdict(const struct config *c, const struct policy *policy,
                          const struct uplink_set *uplinks)
{
    char rights[CONFINE_RIGHTS_TEXT_MAX];

    (void)printf("ok: policy %s; uplinks ", policy_name(policy));
    for (size_t i = 0; i < uplinks->n; i++) {
        (void)printf("%s", i ? ", " : "");
        (void)show_print(uplinks->items[i]->name);
        (void)printf("@%g", uplinks->items[i]->view.weight);
    }
    (void)printf("%s; listening on ", uplinks->n ? "" : "none");
    for (size_t i = 0; i < c->n_listen; i++) {
        char text[LISTEN_TEXT_MAX];
        (void)printf("%s%s%s", i ? ", " : "", listen_place_text(&c->listen[i], text),
                     c->listen[i].proxy_protocol ? " (PROXY protocol)" : "");
    }
    if (c->run_as)
        (void)printf("; runs as %s, rights kept: %s", c->run_as,
                     confine_rights_text(confine_rights_needed(c), rights));
    (void)printf("\n");
}

/* Warnings, not errors: the config may be meant for another machine, or the line may be switched off. */
static void warn_of_absent(const struct uplink_set *uplinks, const struct machine *m)
{
    for (size_t i = 0; i < uplinks->n; i++) {
        const struct uplink *u = uplinks->items[i];
        char why[COMMAND_ABSENCE_MAX];
        if (!u->view.up)
            (void)command_error(COMMAND_OK, "warning: uplink %s is not usable at present: %s", u->name,
                                command_absence(u, m, why));
        else if (command_lacks_rights(u)) /* it has an address of the other family */
            (void)command_error(COMMAND_OK, "warning: uplink %s: %s", u->name, COMMAND_NO_RIGHTS);
    }
}

static void warn_of_listener(const struct config *c, const struct machine *m, const struct listen_place *p)
{
    char text[LISTEN_TEXT_MAX];

    if (!listen_place_is_there(p, m))
        (void)command_error(COMMAND_OK,
                            "warning: cannot listen on %s at present: this machine does not have the "
                            "address; start %s",
                            listen_place_text(p, text),
                            c->listen_strict ? "refuses (listen_strict)" : "waits for it");
}

static void warn_of_port(const struct listen_place *p, const struct sight_self *self)
{
    uint16_t port = addr_port(&p->addr);
    char text[LISTEN_TEXT_MAX];

    if (port > 0 && port < self->first_port && !self->may_bind)
        (void)command_error(COMMAND_OK,
                            "warning: cannot listen on %s at present: ports below %ld need root or "
                            "CAP_NET_BIND_SERVICE",
                            listen_place_text(p, text), self->first_port);
}

static void warn_of_udp_ports(const struct config *c, const struct sight_self *self)
{
    if (c->udp.port_low > 0 && c->udp.port_low < self->first_port && !self->may_bind)
        (void)command_error(COMMAND_OK,
                            "warning: cannot use all of --udp-ports at present: ports below %ld need root or "
                            "CAP_NET_BIND_SERVICE",
                            self->first_port);
}

static void warn_of_listeners(const struct config *c, const struct machine *m)
{
    const struct listen_place *places[CONFIG_PLACES_MAX];
    size_t n = config_places(c, places);
    struct sight_self self;

    sight_of_self(&self);
    for (size_t i = 0; i < n; i++) {
        warn_of_listener(c, m, places[i]);
        warn_of_port(places[i], &self);
    }
    warn_of_udp_ports(c, &self);
}

/* Not an error: the config may be meant for another machine. */
static void warn_of_user(const struct config *c)
{
    struct confine_user user;
    char why[CONFIG_ERROR_MAX];

    if (c->run_as && confine_user_find(&user, c->run_as, why) < 0)
        (void)command_error(COMMAND_OK, "warning: --run-as: %s", why);
}

static void warn_of_useless(const struct config *c)
{
    struct config_useless found;

    config_useless_find(&found, c);
    for (size_t i = 0; i < found.n; i++)
        (void)command_error(COMMAND_OK, "warning: %s", found.lines[i]);
}

static void warn_of_unheeded(const struct policy *p)
{
    const struct policy_unheeded *list;
    size_t n = policy_unheeded(p, &list);

    for (size_t i = 0; i < n; i++)
        (void)command_error(COMMAND_OK, "warning: policy %s ignores the %s of %s: %s", policy_name(p),
                            list[i].setting, list[i].uplinks, list[i].hint);
}

static int add_made_up(struct uplink_set *set, const char *name, const struct uplink *like, char *err)
{
    static const struct machine nowhere = {.n_links = 0};
    struct uplink_spec spec = {.kind = UPLINK_INTERFACE, .weight = 1, .tier = 1};

    (void)snprintf(spec.name, sizeof spec.name, "%s", name);
    (void)snprintf(spec.interface, sizeof spec.interface, "trial%u", (unsigned)set->n % 1000);
    if (like) {
        spec.weight = like->view.weight;
        spec.tier = like->view.tier;
        memcpy(spec.tags, like->tags, sizeof spec.tags); /* copied by the set */
        spec.n_tags = like->n_tags;
    }
    int r = uplink_set_add(set, &spec, &nowhere);
    if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "%s", strerror(-r));
    return r;
}

/* Make up two uplinks for the trial picks, since many mistakes show only with a choice. One copies the
 * first given uplink, if there is any. */
static int make_up(struct uplink_set *set, const struct uplink_set *given, char *err)
{
    const struct uplink *only = given->n > 0 ? given->items[0] : NULL;
    int r = add_made_up(set, only ? only->name : "uplink1", only, err);

    if (r == 0)
        r = add_made_up(set, only && strcmp(only->name, "uplink2") == 0 ? "uplink1" : "uplink2", NULL, err);
    return r;
}

/* Load the policy, then load it again with its exported state, as a reload does. @param ret  NULL on
 * failure */
static int load_twice(const struct config *c, const struct paths *paths, struct uplink_set *uplinks,
                      struct policy **ret, char *err)
{
    char why[POLICY_ERROR_MAX];

    *ret = NULL;
    int r = command_load_policy(c, paths, uplinks, ret, err);
    if (r < 0)
        return r;
    r = policy_rehearse(*ret, why);
    if (r < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "at a reload: %.1000s", why);
        policy_free(*ret);
        *ret = NULL;
    }
    return r;
}

static int check_policy(const struct config *c, const struct paths *paths, struct uplink_set *uplinks,
                        const struct machine *m, char *err)
{
    struct uplink_set two = {.n = 0};
    struct policy *policy = NULL, *with_two = NULL;
    int r = uplinks->n > 0 ? load_twice(c, paths, uplinks, &policy, err) : 0;

    if (r == 0 && uplinks->n < 2)
        r = make_up(&two, uplinks, err);
    if (r == 0 && uplinks->n < 2)
        r = load_twice(c, paths, &two, &with_two, err);
    if (r == 0) {
        warn_of_absent(uplinks, m);
        warn_of_listeners(c, m);
        warn_of_user(c);
        warn_of_useless(c);
        warn_of_unheeded(policy ? policy : with_two);
        print_verdict(c, policy ? policy : with_two, uplinks);
    }
    policy_free(policy);
    policy_free(with_two);
    uplink_set_done(&two);
    return r;
}

static void print_diff(const json_t *answer)
{
    if (json_array_size(json_object_get(answer, "changes")) == 0)
        (void)printf("no difference to the config of the running proxy\n");
    show_changes(answer);
}

/* What would change in the running proxy if it read this file. */
static int show_diff(const struct cli *cli, const struct config *c, char *err)
{
    json_t *request = json_pack("{s:s, s:O*}", "verb", "diff", "config", c->said);

    if (ask_and_show(cli, request, print_diff) == COMMAND_OK)
        return 0;
    (void)snprintf(err, CONFIG_ERROR_MAX, "the config is not compared");
    return -EIO;
}

static int check(const struct cli *cli, struct config *c, const struct paths *paths, const struct machine *m,
                 char *err)
{
    struct uplink_set uplinks = {.n = 0};
    int r = startup_uplinks(c, m, &uplinks, err);

    /* The config may be meant for another machine, or for another time. */
    if (r == -ENOENT) {
        (void)command_error(COMMAND_OK, "warning: %s", err);
        r = 0;
    }
    surroundings_suppose(&uplinks, m);
    if (r == 0)
        r = check_policy(c, paths, &uplinks, m, err);
    uplink_set_done(&uplinks);
    return r == 0 && cli_value(cli, "diff") ? show_diff(cli, c, err) : r;
}

/* Whether the first word means a policy: a Lua file, or the name of a shipped policy that is not also an
 * interface. */
static bool means_policy(const struct cli *cli, const char *word)
{
    size_t len = strlen(word), ending = sizeof ".lua" - 1;
    char err[CONFIG_ERROR_MAX], *file;
    struct paths paths;

    if (len > ending && strcmp(word + len - ending, ".lua") == 0)
        return true;
    if (strpbrk(word, "@/:") || link_index(word) != 0 ||
        paths_find(&paths, cli_value(cli, "data-dir"), err) < 0)
        return false;
    bool found = paths_policy(&paths, word, &file, err) == 0;
    if (found)
        free(file);
    paths_done(&paths);
    return found;
}

int cmd_check(const struct cli *cli)
{
    struct cli own = *cli;

    if (cli->n_words == 0 || !means_policy(cli, cli->words[0]))
        return command_configured(cli, check);
    if (cli_value(cli, "policy"))
        return command_error(COMMAND_MISUSED, "two policies: '%.60s' and --policy", cli->words[0]);
    /* values has room: it was allocated for as many entries as the command line has words */
    own.values[own.n_values++] =
        (struct option_value){.option = option_by_name(slice_str("policy")), .text = own.words[0]};
    own.words++;
    own.n_words--;
    return command_configured(&own, check);
}
