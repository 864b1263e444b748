#include "inbound/login.h"

#include "base/clock.h"

static void log_slowed(struct session *s)
{
    char client[ADDR_TEXT_MAX];
    struct log_line l;
    uint32_t hidden;

    if (!log_limit_pass(&s->proxy->guess_limit, clock_now_s(), PROXY_LINES_IN_WINDOW, &hidden))
        return;
    log_begin(&l, EVENT_LOGINS_SLOWED);
    log_str(&l, "client", addr_format_ip(&s->peer, client));
    log_hidden(&l, hidden);
    log_end(&l);
}

static enum login count_login(struct session *s, bool right, struct slice user)
{
    struct guesses *g = &s->proxy->guesses;

    if (right)
        guesses_note_right(g, &s->peer, user);
    else if (guesses_note_wrong(g, &s->peer, clock_now_s()))
        log_slowed(s);
    return right ? LOGIN_RIGHT : LOGIN_WRONG;
}

enum login session_login(struct session *s, bool given, struct slice user, struct slice pass)
{
    const struct access *access = s->proxy->settings.access;
    struct guesses *g = &s->proxy->guesses;

    if (!access_needs_user(access))
        return LOGIN_RIGHT;
    if (!given)
        return LOGIN_WRONG;
    bool right = access_check_user(access, user, pass);
    if (right && guesses_know(g, &s->peer, user))
        return LOGIN_RIGHT;
    if (s->waited)
        return count_login(s, right, user);
    double wait_s = guesses_wait(g, &s->peer, clock_now_s());
    if (wait_s < 0)
        return LOGIN_WRONG; /* the same answer for a right and a wrong password */
    if (wait_s == 0)
        return count_login(s, right, user);
    s->waited = true;
    session_slow_down(s, wait_s);
    return LOGIN_WAITS;
}
