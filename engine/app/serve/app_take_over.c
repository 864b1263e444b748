/* The new process's side of a takeover. */
#include "serve/app.h"
#include "serve/app_log.h"
#include "serve/app_takeover.h"
#include "takeover/activation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int app_control_path(const struct app *a, char ret[CONTROL_PATH_MAX])
{
    const char *given = a->config->control;

    ret[0] = '\0';
    if (!given)
        return control_path_default(ret);
    if (strcmp(given, "none") == 0)
        return 0;
    if (strlen(given) >= CONTROL_PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(ret, given, strlen(given) + 1);
    return 0;
}

static int ask_predecessor(struct app *a, char *err)
{
    char path[CONTROL_PATH_MAX];

    a->takeover.before.fd = -1;
    if (!a->origin.takeover)
        return 0;
    int r = app_control_path(a, path);
    if (r < 0 || !path[0]) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--takeover: needs a control socket; name it with --control");
        return r < 0 ? r : -EINVAL;
    }
    return predecessor_ask(&a->takeover.before, path, err);
}

int app_take_over(struct app *a, char *err)
{
    int r = ask_predecessor(a, err);

    if (r < 0 || a->takeover.before.fd >= 0)
        return r;
    r = activation_take(&a->takeover.before.handed);
    if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX,
                       "LISTEN_FDS: a socket of the service manager cannot be used: %s", strerror(-r));
    return r;
}

int app_check_activated(const struct app *a, char *err)
{
    const struct handed_set *s = &a->takeover.before.handed;

    for (size_t i = 0; i < s->n; i++) {
        const struct handed *h = &s->items[i];
        if (h->fd < 0 || strcmp(h->use, HANDED_ANY_USE) != 0)
            continue;
        (void)snprintf(err, CONFIG_ERROR_MAX, "LISTEN_FDS: the config has no listener for %s at %.100s",
                       h->kind == HANDED_DATAGRAMS ? "datagrams" : "connections", h->place);
        return -EINVAL;
    }
    return 0;
}

void app_take_ports(struct app *a)
{
    int fd;

    while ((fd = handed_take(&a->takeover.before.handed, HANDED_UDP_PORT, NULL, NULL)) >= 0)
        (void)!udp_take_fixed(&a->proxy.udp, fd); /* one that this config does not want is closed */
}

bool app_take_capture(struct app *a)
{
    struct handed_set *handed = &a->takeover.before.handed;
    const json_t *told = json_object_get(a->takeover.before.answer, "capture");
    int in = handed_take(handed, HANDED_NFT_IN, NULL, NULL),
        out = handed_take(handed, HANDED_NFT_OUT, NULL, NULL);
    struct capture_request *request = calloc(1, sizeof *request);
    char why[CAPTURE_ERROR_MAX];
    bool is_there = request && in >= 0 && out >= 0 &&
                    capture_request_parse(request, json_object_get(told, "request"), why) == 0;

    if (is_there) {
        capture_keeper_take_over(&a->capture, request, json_is_true(json_object_get(told, "six")), in, out,
                                 (pid_t)json_integer_value(json_object_get(told, "pid")));
    } else {
        if (in >= 0)
            (void)close(in);
        if (out >= 0)
            (void)close(out);
    }
    free(request);
    return is_there;
}

bool app_take_record(struct app *a, const char *path)
{
    struct predecessor *p = &a->takeover.before;
    const char *file = json_string_value(json_object_get(p->answer, "record"));
    int fd = file ? handed_take(&p->handed, HANDED_RECORD, path, NULL) : -1;

    if (fd < 0)
        return false;
    return recorder_continue(&a->proxy.outbounds.recorder, a->loop, file, fd,
                             json_number_value(json_object_get(p->answer, "record_began"))) == 0;
}

void app_relieve(struct app *a)
{
    struct log_sink *sink;
    char why[CONFIG_ERROR_MAX];

    if (a->origin.takeover && successor_use_stderr() && app_log_open(&sink, a->config, why) == 0)
        log_use(sink);
    predecessor_relieve(&a->takeover.before);
    predecessor_done(&a->takeover.before);
    service_say("READY=1\nSTATUS=serving, policy %s", policy_name(a->policy));
    service_watch(&a->takeover.service, a->loop);
}
