#include "captured/transparent.h"

#include "base/clock.h"
#include "net/original.h"
#include "peek/peek.h"
#include "udp/udp_learned.h"

#include <errno.h>
#include <string.h>

static const struct transparent *setting_of(const struct session *s)
{
    return s->listener->use.setting;
}

/* --- refusals ------------------------------------------------------------------------------------------- */

/* Reset the client: it knows no proxy that could answer. */
static void reset_client(struct session *s)
{
    session_reset_on_close(s);
    session_close(s, NULL);
}

/* @param to  AF_UNSPEC: unknown */
static void refuse_captured(struct session *s, const struct addr *to, const char *why)
{
    char client[ADDR_TEXT_MAX], destination[ADDR_TEXT_MAX];
    struct proxy *p = s->proxy;
    struct log_line l;
    uint32_t hidden;

    if (log_limit_pass(&p->capture_limit, clock_now_s(), PROXY_LINES_IN_WINDOW, &hidden)) {
        log_begin(&l, EVENT_CAPTURE_REFUSED);
        log_str(&l, "client", addr_format(&s->peer, client));
        log_str(&l, "destination", addr_format(to, destination));
        log_str(&l, "listener", s->listener->text);
        log_str(&l, "why", why);
        log_hidden(&l, hidden);
        log_end(&l);
    }
    reset_client(s);
}

/* --- the destination ------------------------------------------------------------------------------------ */

static int find_original(const struct session *s, struct addr *ret)
{
    return setting_of(s)->tproxy ? original_tproxied(s->fd, ret) : original_redirected(s->fd, ret);
}

/* @return why the connection must not go on; NULL: it may */
static const char *find_destination(const struct session *s, struct addr *ret)
{
    const struct outbounds *shared = &s->proxy->outbounds;
    int r = find_original(s, ret);

    if (r < 0) {
        *ret = (struct addr){.in6 = {.sin6_family = AF_UNSPEC}};
        return r == -ENOENT
                   ? "the kernel knows no destination: the connection was not redirected to this port"
                   : strerror(-r);
    }
    if (shared->own_ends && own_ends_have(shared->own_ends, &s->peer, ret))
        return "it was sent by this proxy itself: the rules must leave out its packets (--own-mark)";
    if (loops_hear(&shared->loops, ret, false))
        return "its destination is this proxy itself: nothing was captured, or the rules capture too much";
    return NULL;
}

/* @param name  "" for none */
static void go_on(struct session *s, const struct addr *to, const char *name)
{
    struct target target;
    size_t len;
    const uint8_t *ip = addr_ip(to, &len);

    if (target_set_ip(&target, ip, len, addr_port(to)) != PARSE_OK)
        return refuse_captured(s, to, "its destination has no port");
    const char *learned =
        *name ? NULL : udp_learned_name(&s->proxy->udp.learned, &s->peer, to, clock_coarse_s());
    if (learned)
        name = learned;
    if (!*name)
        return session_connect(s, &target, POLICY_TRANSPARENT, &s->in);
    if (setting_of(s)->resolve && target_set(&target, slice_str(name), addr_port(to)) == PARSE_OK)
        return session_connect(s, &target, POLICY_TRANSPARENT, &s->in);
    session_connect_named(s, &target, name, POLICY_TRANSPARENT, &s->in);
}

/* --- the name ------------------------------------------------------------------------------------------- */

/* @param last  no more bytes are awaited */
static void look(struct session *s, bool last)
{
    char name[TARGET_HOST_MAX + 1];
    struct addr to;
    enum parse p = peek_name(buf_slice(&s->in), name);

    if (p == PARSE_NEED_MORE && !last)
        return session_rearm(s);
    const char *why = find_destination(s, &to);
    if (why)
        return refuse_captured(s, &to, why);
    go_on(s, &to, p == PARSE_OK ? name : "");
}

static void transparent_begin(struct session *s)
{
    struct addr to;
    const char *why = find_destination(s, &to);

    if (why)
        return refuse_captured(s, &to, why);
    if (!(setting_of(s)->peek_s > 0))
        return go_on(s, &to, "");
    if (s->in.len > 0)
        return look(s, false);
    session_rearm(s); /* by look_s */
}

static void transparent_advance(struct session *s)
{
    look(s, false);
}

static double transparent_look_s(const struct session *s)
{
    return setting_of(s)->peek_s;
}

static void transparent_look_over(struct session *s)
{
    look(s, true);
}

static void transparent_connected(struct session *s, enum fault fault, const char *refusal)
{
    (void)refusal;
    if (fault == FAULT_NONE)
        return session_tunnel(s);
    reset_client(s);
}

const struct front FRONT_TRANSPARENT = {
    .name = "transparent",
    .first_byte = FRONT_NO_BYTE,
    .begin = transparent_begin,
    .advance = transparent_advance,
    .look_s = transparent_look_s,
    .look_over = transparent_look_over,
    .connected = transparent_connected,
};
