#include "main/commands.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include "cli/cli.h"
#include "config/startup.h"
#include "confine/confine.h"
#include "follow/policy_loading.h"
#include "log/log_to.h"
#include "options/config_changes.h"
#include "serve/app.h"
#include "serve/app_confine.h"
#include "serve/app_log.h"
#include "serve/app_settings.h"
#include "show/show.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Most names fit. Longer ones, such as IPv6 addresses, widen the column. */
enum { NAME_COLUMNS = 12 };
enum { LARGE_BLOCK = 1 << 20 }; /* bytes */

/* The address by which a client on this machine reaches the listener: loopback if it listens on every
 * address. */
static struct addr reachable(const struct addr *listening)
{
    struct addr a = *listening;

    if (addr_family(&a) == AF_INET && a.in4.sin_addr.s_addr == htonl(INADDR_ANY))
        a.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (addr_family(&a) == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a.in6.sin6_addr))
        a.in6.sin6_addr = in6addr_loopback;
    return a;
}

static void print_usage(const struct addr *listening, bool needs_user)
{
    const struct addr here = reachable(listening);
    char at[ADDR_TEXT_MAX];

    (void)addr_format(&here, at);
    printf("\nTry it:   curl -x socks5h://%s%s https://example.org/\n"
           "Browser:  set %s as SOCKS v5 host, or as HTTP and HTTPS proxy; one port speaks all of them.\n"
           "Stop:     Ctrl-C\n\n",
           needs_user ? "USER:PASS@" : "", at, at);
}

/* One to try, if there is one already. @return NULL if clients come by balancers only */
static const struct addr *first_listener(const struct proxy *p)
{
    const struct proxy_listener *first = NULL;

    for (size_t i = 0; i < p->n_listeners; i++) {
        const struct proxy_listener *l = p->listeners[i];
        if (!l->use.proxy_header && !l->use.front &&
            (!first || (first->listener.absent && !l->listener.absent)))
            first = l;
    }
    return first ? &first->listener.addr : NULL;
}

static void print_listener(const struct proxy_listener *l, const char *protocol)
{
    const char *later = l->listener.absent ? " (once this machine has the address)" : "";

    printf("  %s on %s%s%s%s\n", l->use.name ? l->use.name : "listening", l->text,
           l->use.proxy_header ? " for balancers (PROXY protocol)" : "", later, protocol);
}

/* Tell a new user where the proxy listens, which uplinks it uses, and how to try it. */
static void print_welcome(const struct app *a)
{
    const struct proxy *p = &a->proxy;

    int width = NAME_COLUMNS;

    for (size_t i = 0; i < a->uplinks->n; i++) {
        int len = (int)strlen(a->uplinks->items[i]->name);
        width = len > width ? len : width;
    }
    printf("Steerway %s, policy %s\n", STEERWAY_VERSION, policy_name(a->policy));
    for (size_t i = 0; i < p->n_listeners; i++)
        print_listener(p->listeners[i], "");
    for (size_t i = 0; i < p->n_udp_listeners; i++)
        print_listener(p->udp_listeners[i], " (UDP)");
    for (size_t i = 0; i < a->uplinks->n; i++) {
        const struct uplink *u = a->uplinks->items[i];
        char v4[ADDR_TEXT_MAX] = "", v6[ADDR_TEXT_MAX] = "";
        if (u->view.ipv4 && addr_family(&u->egress.source4) != AF_UNSPEC)
            (void)addr_format_ip(&u->egress.source4, v4);
        if (u->view.ipv6 && addr_family(&u->egress.source6) != AF_UNSPEC)
            (void)addr_format_ip(&u->egress.source6, v6);
        printf("  uplink ");
        printf("%*s weight %-5g %s%s%s%s\n", width - show_print(u->name), "", u->view.weight, v4,
               v4[0] && v6[0] ? ", " : "", v6,
               u->view.up                          ? ""
               : uplink_bar(u) == UPLINK_BAR_SPENT ? " (quota used up)"
                                                   : "(down)");
    }
    const struct addr *first = first_listener(p);
    if (first)
        print_usage(first, access_needs_user(&a->config->access));
    else
        printf("\nStop:     Ctrl-C\n\n");
    (void)fflush(stdout);
}

static void log_place(const struct proxy_listener *pl, bool udp)
{
    struct log_line l;

    log_begin(&l, EVENT_LISTENING);
    log_str(&l, "address", pl->text);
    if (pl->use.name)
        log_str(&l, "use", pl->use.name);
    if (udp)
        log_str(&l, "protocol", "udp");
    log_end(&l);
}

static void log_places(const struct app *a)
{
    for (size_t i = 0; i < a->proxy.n_listeners; i++)
        if (!a->proxy.listeners[i]->listener.absent) /* a warning tells of the others */
            log_place(a->proxy.listeners[i], false);
    for (size_t i = 0; i < a->proxy.n_udp_listeners; i++)
        if (!a->proxy.udp_listeners[i]->listener.absent)
            log_place(a->proxy.udp_listeners[i], true);
    for (size_t i = 0; i < a->uplinks->n; i++) {
        const struct uplink *u = a->uplinks->items[i];
        struct log_line l;
        log_begin(&l, EVENT_UPLINK);
        log_str(&l, "uplink", u->name);
        log_str(&l, "kind", uplink_kind_name(u->kind));
        log_num(&l, "weight", u->view.weight);
        log_str(&l, "state", uplink_state_name(u));
        log_end(&l);
    }
}

/* The last line of a start: a program that waits for it has all warnings. */
static void log_started(const struct app *a)
{
    struct log_line l;

    log_begin(&l, EVENT_STARTED);
    log_str(&l, "version", STEERWAY_VERSION);
    log_str(&l, "policy", policy_name(a->policy));
    log_end(&l);
}

static void warn_of_absent(const struct uplink_set *uplinks, const struct machine *m)
{
    for (size_t i = 0; i < uplinks->n; i++) {
        const struct uplink *u = uplinks->items[i];
        struct log_line l;
        char why[COMMAND_ABSENCE_MAX];
        if (u->view.up || uplink_bar(u) == UPLINK_BAR_SPENT) /* reported elsewhere */
            continue;
        log_begin(&l, EVENT_UPLINK_UNUSABLE);
        log_str(&l, "uplink", u->name);
        log_str(&l, "why", command_absence(u, m, why));
        log_end(&l);
    }
}

static void warn_of_listener(const struct proxy_listener *pl)
{
    struct log_line l;

    if (!pl->listener.absent)
        return;
    log_begin(&l, EVENT_WAITING_FOR_ADDRESS);
    log_str(&l, "address", pl->text);
    log_end(&l);
}

static void warn_of_listeners(const struct proxy *p)
{
    for (size_t i = 0; i < p->n_listeners; i++)
        warn_of_listener(p->listeners[i]);
    for (size_t i = 0; i < p->n_udp_listeners; i++)
        warn_of_listener(p->udp_listeners[i]);
}

/* Whether the log says what the greeting says: where it is for programs, or is kept. */
static bool is_told_by_log(const struct config *c)
{
    return c->log_format == LOG_JSON || !log_to_is_stderr(c->log_to);
}

/* The output of a service that logs elsewhere is not read. */
static bool is_greeted(const struct config *c)
{
    return c->log_format != LOG_JSON && c->log_level > LOG_WARN &&
           (log_to_is_stderr(c->log_to) || isatty(STDOUT_FILENO));
}

/* --- from config to running ----------------------------------------------------------------------------- */

/* --- reading the config again --------------------------------------------------------------------------- */

static int read_again(void *arg, struct config *ret, char *err)
{
    int code;

    return cli_configure(arg, ret, &code, err);
}

static json_t *changes(void *arg, const json_t *before, const json_t *now)
{
    const struct cli *cli = arg;

    return config_changes(before, now, cli->values, cli->n_values, cli->n_words > 0);
}

/* --- starting it again ---------------------------------------------------------------------------------- */

/* The command line for a process that takes over. Its texts are borrowed. @return NULL without memory */
static char **successor_line(const struct cli *cli)
{
    static char takeover[] = "--takeover";
    char **line = calloc(cli->n_line + 2, sizeof *line);

    if (!line)
        return NULL;
    line[0] = cli->line[0];
    line[1] = cli->line[1]; /* the command */
    line[2] = takeover;
    for (size_t i = 2; i < cli->n_line; i++)
        line[i + 1] = cli->line[i];
    return line;
}

/* A package may replace the file later: then its path names the new program. @return NULL: unknown */
static const char *find_program(char ret[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

    if (n <= 0)
        return NULL;
    ret[n] = '\0';
    return ret;
}

static int serve(const struct cli *cli, struct config *config, const struct app_confine *confine,
                 const struct paths *paths, const struct machine *m, struct uplink_set *uplinks,
                 struct policy *policy, char *err)
{
    const struct app_source source = {.read = read_again, .changes = changes, .arg = (void *)(uintptr_t)cli};
    char program[PATH_MAX], **line = successor_line(cli);
    const struct app_origin origin = {
        .program = find_program(program), .line = line, .takeover = cli_value(cli, "takeover") != NULL};
    struct app app;
    int r = app_init(&app, config, &source, &origin, paths, m, uplinks, policy, err);

    if (r == 0)
        r = app_confine_end(confine, config, cli->config_file, err);
    if (r == 0) {
        app_start(&app);
        if (is_told_by_log(config))
            log_places(&app);
        if (is_greeted(config))
            print_welcome(&app);
        warn_of_listeners(&app.proxy);
        warn_of_absent(uplinks, m);
        app_warn_of_routes(&app, m);
        app_warn_of_users(&app);
        policy_loading_warn(policy);
        if (is_told_by_log(config))
            log_started(&app);
        app_run(&app);
    }
    app_done(&app);
    free(line);
    return r;
}

static void log_no_links(const char *why)
{
    struct log_line l;

    log_begin(&l, EVENT_WAITING_FOR_LINK);
    log_str(&l, "why", why);
    log_end(&l);
}

/* A thread builds a long list, and the loop frees it when the next one replaces it. By default, glibc then
 * raises its limit for separate mappings up to 32 MiB and keeps such blocks in the thread's arena. After
 * some reloads of a million names, that held twice the memory of the list. */
static void keep_large_blocks_apart(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
}

static int open_log(const struct config *c, char *err)
{
    struct log_sink *sink;
    int r = app_log_open(&sink, c, err);

    if (r == 0)
        log_use(sink);
    log_set_level(c->log_level);
    return r;
}

static int start(const struct cli *cli, struct config *config, const struct paths *paths,
                 const struct machine *m, char *err)
{
    struct uplink_set uplinks = {.n = 0};
    struct policy *policy = NULL;

    struct app_confine confine;

    confine_process();
    keep_large_blocks_apart();
    int r = app_confine_begin(&confine, config, err);
    if (r == 0)
        r = open_log(config, err);
    if (r < 0)
        return r;
    r = startup_uplinks(config, m, &uplinks, err);
    if (r == -ENOENT) { /* links may appear later */
        log_no_links(err);
        r = 0;
    }
    if (r == 0)
        r = command_load_policy(config, paths, &uplinks, &policy, err);
    if (r == 0)
        r = serve(cli, config, &confine, paths, m, &uplinks, policy, err);
    policy_free(policy);
    uplink_set_done(&uplinks);
    return r;
}

int cmd_start(const struct cli *cli)
{
    return command_configured(cli, start);
}
