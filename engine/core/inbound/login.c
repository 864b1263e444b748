#include "inbound/login.h"

#include "base/clock.h"
#include "inbound/front.h"
#include "inbound/gate.h"

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

/* --- hashed passwords ----------------------------------------------------------------------------------- */

/* Checks of one client that are under way: those that follow wait, until the results are counted. */
enum { CHECKS_MAX = 4 };
static const double BUSY_S = 0.25;

static void on_checked(void *arg, bool right)
{
    struct session *s = arg;

    s->check = NULL;
    if (s->client)
        s->client->checks--;
    s->checked = true;
    s->was_right = right;
    s->front->hold_over(s);
}

static struct check *ask(struct session *s, const char *hash, bool counts, struct slice user,
                         struct slice pass)
{
    struct proxy *p = s->proxy;

    if (s->client && s->client->checks >= CHECKS_MAX)
        return NULL;
    if (!p->verifier && verifier_new(&p->verifier, p->loop) < 0)
        return NULL;
    return verifier_ask(p->verifier, hash, counts, user, pass, on_checked, s);
}

/* The front continues with the same message when the result is there, or after BUSY_S. */
static enum login begin_check(struct session *s, const char *hash, bool counts, struct slice user,
                              struct slice pass)
{
    bool late = s->check != NULL || (!s->admitted && clock_coarse_s() >= s->admit_by_s);

    gate_end_check(s);
    if (late)
        return LOGIN_WRONG; /* the client's time is over */
    s->check = ask(s, hash, counts, user, pass);
    if (s->check && s->client)
        s->client->checks++;
    session_slow_down(s, s->check ? s->proxy->settings.handshake_timeout_s : BUSY_S);
    return LOGIN_WAITS;
}

/* --- logins --------------------------------------------------------------------------------------------- */

/* @return LOGIN_RIGHT: it may be checked now */
static enum login await_turn(struct session *s)
{
    if (s->waited || s->checked)
        return LOGIN_RIGHT;
    double wait_s = guesses_wait(&s->proxy->guesses, &s->peer, clock_now_s());
    if (wait_s < 0)
        return LOGIN_WRONG; /* the same answer for a right and a wrong password */
    if (wait_s == 0)
        return LOGIN_RIGHT;
    s->waited = true;
    session_slow_down(s, wait_s);
    return LOGIN_WAITS;
}

enum login session_login(struct session *s, bool given, struct slice user, struct slice pass)
{
    const struct access *access = s->proxy->settings.access;
    bool counts;

    if (!access_needs_user(access))
        return LOGIN_RIGHT;
    if (!given)
        return LOGIN_WRONG;
    const char *hash = access_hash_for(access, user, &counts);
    bool right = access_check_user(access, user, pass) ||
                 (hash && counts && verifier_knows(s->proxy->verifier, user, pass));
    if (right && guesses_know(&s->proxy->guesses, &s->peer, user)) {
        s->checked = false;
        return LOGIN_RIGHT;
    }
    enum login turn = s->check ? LOGIN_RIGHT : await_turn(s);
    if (turn != LOGIN_RIGHT)
        return turn;
    if (!right && hash && !s->checked)
        return begin_check(s, hash, counts, user, pass);
    right = right || (s->checked && s->was_right);
    s->checked = false;
    return count_login(s, right, user);
}
