#include "serve/app_settings.h"

#include "health/checks.h"
#include "http/http.h"
#include "serve/app.h"
#include "socks/socks.h"

#include <string.h>
#include <sys/resource.h>

/* The front that accepts any first byte comes last. */
static const struct front *const FRONTS[] = {&FRONT_SOCKS4, &FRONT_SOCKS5, &FRONT_HTTP, NULL};

/* Clients without a request take at most half of the descriptors, which leaves the rest to those with one. */
static size_t most_strangers(void)
{
    struct rlimit files = {.rlim_cur = 1024};

    (void)getrlimit(RLIMIT_NOFILE, &files);
    return (size_t)files.rlim_cur / 2;
}

/* What the control socket, the resolver, lists and a reload of the policy need beside clients. */
static size_t reserved(size_t files)
{
    size_t share = files / 8;

    return share < 8 ? 8 : share > 64 ? 64 : share;
}

size_t app_most_sessions(const struct app *a)
{
    struct rlimit files = {.rlim_cur = 1024};

    (void)getrlimit(RLIMIT_NOFILE, &files);
    size_t taken = reserved((size_t)files.rlim_cur) + a->own_files;
    return files.rlim_cur > taken + 2 ? ((size_t)files.rlim_cur - taken) / 2 : 1;
}

struct outbound_settings app_outbound_settings(const struct app *a)
{
    const struct config *c = a->config;
    const struct surroundings *s = &a->surroundings;

    return (struct outbound_settings){
        .reach = {.deny = &c->deny, .own = &s->own, .allow_own = c->own_addresses},
        .bypass = &c->bypass,
        .local = &s->local,
        .dial_timeout_s = c->dial_timeout_s,
        .bind_timeout_s = c->bind_timeout_s,
        .hedge_s = c->hedge_s,
        .fast_open = c->fast_open,
    };
}

struct proxy_settings app_proxy_settings(const struct app *a)
{
    const struct config *c = a->config;

    return (struct proxy_settings){
        .fronts = FRONTS,
        .access = &c->access,
        .unasked = config_unasked(c),
        .balancers = &c->balancers,
        .pac = &c->pac,
        .bind_from = &c->bind_from,
        .handshake_timeout_s = c->handshake_timeout_s,
        .ack_timeout_s = c->ack_timeout_s,
        .cut_after_s = c->cut_after_s,
        .idle_timeout_s = c->idle_timeout_s,
        .strangers_max = most_strangers(),
        .sessions_max = app_most_sessions(a),
    };
}

static void on_check_ended(void *arg)
{
    struct app *a = arg;

    dead_lines_look(&a->proxy.dead_lines);
}

void app_check(struct app *a)
{
    const struct checks_options checks = {
        .loop = a->loop,
        .uplinks = a->uplinks,
        .loops = &a->proxy.outbounds.loops,
        .targets = config_check(a->config),
        .interval_s = a->config->check_interval_s,
        .ended = on_check_ended,
        .arg = a,
    };

    checks_free(a->proxy.outbounds.checks);
    a->proxy.outbounds.checks = NULL;
    if (checks_new(&a->proxy.outbounds.checks, &checks) < 0)
        log_plain(EVENT_NO_CHECKS);
}

/* Others begin anew with each change. */
static bool same_checks(const struct config *a, const struct config *b)
{
    return strcmp(config_check(a), config_check(b)) == 0 && !(a->check_interval_s < b->check_interval_s) &&
           !(a->check_interval_s > b->check_interval_s);
}

void app_warn_of_users(const struct app *a)
{
    struct log_line l;

    if (!a->config->access.readable)
        return;
    log_begin(&l, EVENT_USERS_FILE_READABLE);
    log_str(&l, "file", a->config->access.readable);
    log_end(&l);
}

void app_settle(struct app *a, const struct config *before)
{
    struct proxy *p = &a->proxy;

    if (a->config->log_level != before->log_level)
        log_set_level(a->config->log_level);
    p->outbounds.settings = app_outbound_settings(a);
    p->settings = app_proxy_settings(a);
    const struct limits_settings limits = config_limits(a->config);
    limits_set(&p->limits, &limits);
    verifier_forget(p->verifier);
    app_warn_of_users(a);
    workers_set_times(&p->workers, p->settings.idle_timeout_s, p->settings.ack_timeout_s);
    udp_settle(&p->udp, &a->config->udp);
    if (!same_checks(a->config, before))
        app_check(a);
}
