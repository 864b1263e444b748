/* The commands that show and change the uplinks of a running proxy. */
#include "ask/ask_and_show.h"
#include "ask/ask_commands.h"
#include "ask/watch.h"
#include "cli/cli.h"
#include "cli/command_error.h"
#include "show/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show_them(const struct cli *cli, void *unused)
{
    (void)unused;
    return ask_and_show(cli, json_pack("{s:s}", "verb", "uplinks"), show_uplinks);
}

int cmd_uplinks(const struct cli *cli)
{
    return watch(cli, show_them, NULL);
}

/* --- add and remove ------------------------------------------------------------------------------------- */

static void print_added(const json_t *a)
{
    const json_t *u = json_object_get(a, "uplink");

    (void)show_print(show_text_of(u, "name"));
    (void)printf(" is added: ");
    (void)show_print(show_text_of(u, "state"));
    (void)putchar('\n');
}

int cmd_add(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s, s:s}", "verb", "add", "uplink", cli->words[0]), print_added);
}

static void print_removed(const json_t *a)
{
    (void)show_print(show_text_of(a, "uplink"));
    (void)printf(" is removed; %.0f connections go on\n", show_number_of(a, "active"));
}

int cmd_remove(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s, s:s}", "verb", "remove", "uplink", cli->words[0]),
                        print_removed);
}

/* --- changes of one ------------------------------------------------------------------------------------- */

static void print_drain(const json_t *a)
{
    (void)show_print(show_text_of(a, "uplink"));
    (void)printf(" is %s, with %.0f connections\n", show_text_of(a, "state"), show_number_of(a, "active"));
}

static int ask_drain(const struct cli *cli, const char *state)
{
    return ask_and_show(
        cli, json_pack("{s:s, s:s, s:s}", "verb", "drain", "uplink", cli->words[0], "state", state),
        print_drain);
}

int cmd_drain(const struct cli *cli)
{
    const char *state = cli->n_words > 1 ? cli->words[1] : "on";

    if (strcmp(state, "on") != 0 && strcmp(state, "off") != 0)
        return command_error(COMMAND_MISUSED, "drain: expected UPLINK, and on or off");
    return ask_drain(cli, state);
}

int cmd_undrain(const struct cli *cli)
{
    return ask_drain(cli, "off");
}

static void print_weight(const json_t *a)
{
    const json_t *u = json_object_get(a, "uplink");

    (void)show_print(show_text_of(u, "name"));
    (void)printf(" has weight %g\n", show_number_of(u, "weight"));
}

static void print_tier(const json_t *a)
{
    const json_t *u = json_object_get(a, "uplink");

    (void)show_print(show_text_of(u, "name"));
    (void)printf(" has tier %g\n", show_number_of(u, "tier"));
}

/* A request with a number as its value. */
static int ask_number(const struct cli *cli, const char *verb, void (*show)(const json_t *answer))
{
    char *end;
    double value = strtod(cli->words[1], &end);

    if (end == cli->words[1] || *end)
        return command_error(COMMAND_MISUSED, "%s: expected UPLINK and a number, got '%.60s'", verb,
                             cli->words[1]);
    return ask_and_show(
        cli, json_pack("{s:s, s:s, s:f}", "verb", verb, "uplink", cli->words[0], "value", value), show);
}

int cmd_weight(const struct cli *cli)
{
    return ask_number(cli, "weight", print_weight);
}

int cmd_tier(const struct cli *cli)
{
    return ask_number(cli, "tier", print_tier);
}

static void print_quota(const json_t *a)
{
    const json_t *u = json_object_get(a, "uplink"), *left = json_object_get(u, "quota_left");

    (void)show_print(show_text_of(u, "name"));
    if (json_is_number(left))
        (void)printf(" has %.3f GB left of its quota\n", json_number_value(left) / 1e9);
    else
        (void)printf(" has no quota\n");
}

int cmd_quota(const struct cli *cli)
{
    json_t *request =
        json_pack("{s:s, s:s, s:s}", "verb", "quota", "uplink", cli->words[0], "value", cli->words[1]);

    if (cli->n_words > 2 && json_object_set_new(request, "quota_per", json_string(cli->words[2])) < 0) {
        json_decref(request);
        request = NULL;
    }
    return ask_and_show(cli, request, print_quota);
}
