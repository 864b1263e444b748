/* The commands that ask a running proxy for its state, a choice, a load or a recording. */
#include "ask/ask.h"
#include "ask/ask_and_show.h"
#include "ask/ask_commands.h"
#include "ask/watch.h"
#include "base/host_port.h"
#include "cli/command_error.h"
#include "show/show.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- status --------------------------------------------------------------------------------------------- */

static int show_state(const struct cli *cli, void *unused)
{
    (void)unused;
    return ask_and_show(cli, json_pack("{s:s}", "verb", "status"), show_status);
}

int cmd_status(const struct cli *cli)
{
    return watch(cli, show_state, NULL);
}

/* --- loading -------------------------------------------------------------------------------------------- */

static void print_loaded(const json_t *a)
{
    (void)printf("policy %s loaded, generation %.0f, in %.1f ms\n", show_text_of(a, "policy"),
                 show_number_of(a, "generation"), show_number_of(a, "seconds") * 1e3);
}

static void print_reloaded(const json_t *a)
{
    print_loaded(a);
    show_changes(a);
}

int cmd_reload(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s}", "verb", "reload"), print_reloaded);
}

static void print_restarted(const json_t *a)
{
    (void)printf("process %.0f serves now\n", show_number_of(a, "pid"));
}

int cmd_restart(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s}", "verb", "restart"), print_restarted);
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
    return ask_and_show(cli, json_pack("{s:s, s:s}", "verb", "policy", "policy", name), print_loaded);
}

int cmd_set(const struct cli *cli)
{
    const char *word = cli->words[0], *equals = strchr(word, '=');

    if (!equals || equals == word)
        return command_error(COMMAND_MISUSED, "set: expected KEY=VALUE, got '%.60s'", word);
    return ask_and_show(cli,
                        json_pack("{s:s, s:s%, s:s}", "verb", "set", "key", word, (size_t)(equals - word),
                                  "value", equals + 1),
                        print_loaded);
}

/* --- why ------------------------------------------------------------------------------------------------ */

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

static void print_recording(const json_t *a)
{
    const json_t *r = json_object_get(a, "recording");

    if (!json_is_object(r)) {
        (void)printf("not recording\n");
        return;
    }
    (void)printf("recording to ");
    (void)show_print(show_text_of(r, "file"));
    (void)printf(", %.0f connections so far\n", show_number_of(r, "connections"));
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
    return ask_and_show(cli, request, print_recording);
}
