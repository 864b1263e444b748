/* The SOCKS front: versions 4, 4a and 5. */
#include "socks/socks.h"

#include "inbound/login.h"
#include "inbound/reply.h"
#include "proto/socks4.h"
#include "proto/socks5.h"
#include "socks/associate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Store the client's name. @return false when the session was closed */
static bool set_user(struct session *s, struct slice user)
{
    free(s->user);
    s->user = user.len ? strndup(user.data, user.len) : NULL;
    if (user.len && !s->user) {
        session_close(s, NULL);
        return false;
    }
    return true;
}

/* The address in the reply: our own of the connection to the destination, or that of the peer which BIND has
 * awaited. Without a connection there is none. */
static struct addr reply_address(const struct session *s)
{
    struct addr a = {0};
    struct sockaddr_storage name;
    socklen_t len = sizeof name;

    if (s->dest_fd >= 0 && s->state == SESSION_AWAITING)
        return s->outbound->peer;
    if (s->dest_fd < 0 || getsockname(s->dest_fd, (struct sockaddr *)&name, &len) < 0 ||
        addr_from_sockaddr(&a, (struct sockaddr *)&name, len) < 0)
        return (struct addr){0};
    return a;
}

/* @return whether this client may let peers connect; if not, it is logged */
static bool may_bind(struct session *s)
{
    const struct cidr_set *from = s->proxy->settings.bind_from;
    bool may = from && cidr_set_contains(from, &s->peer);

    if (!may)
        session_rejected(s, "bind-not-allowed");
    return may;
}

/* --- version 4 ------------------------------------------------------------------------------------------ */

static bool send4_with(struct session *s, uint8_t code, const struct addr *a)
{
    char reply[SOCKS4_REPLY_LEN];
    size_t ip_len;
    const uint8_t *ip = addr_ip(a, &ip_len);

    socks4_reply(reply, code, ip_len == 4 ? ip : NULL, ip_len == 4 ? addr_port(a) : 0);
    return session_send(s, reply, sizeof reply);
}

static bool send4(struct session *s, uint8_t code)
{
    struct addr a = reply_address(s);

    return send4_with(s, code, &a);
}

static void refuse4(struct session *s, uint8_t code)
{
    if (send4(s, code))
        session_end(s);
}

static void socks4_advance(struct session *s)
{
    struct socks4_request r;
    struct slice in = buf_slice(&s->in);

    switch (socks4_parse(&r, in.data, in.len)) {
    case PARSE_NEED_MORE:
        return;
    case PARSE_BAD:
        session_rejected(s, "malformed");
        return refuse4(s, SOCKS4_REJECTED);
    case PARSE_OK:
        break;
    }
    /* SOCKS4 has no password, so it cannot be used when one is needed. */
    bool denied = access_needs_user(s->proxy->settings.access);
    if (denied) {
        session_rejected(s, "bad-credentials"); /* the name may be its secret */
        return refuse4(s, SOCKS4_BAD_USER);
    }
    if (!set_user(s, r.user))
        return;
    buf_consume(&s->in, r.consumed);
    if (r.command == SOCKS4_CONNECT)
        return session_connect(s, &r.target, POLICY_SOCKS4, &s->in);
    if (!may_bind(s))
        return refuse4(s, SOCKS4_REJECTED);
    session_await(s, &r.target, POLICY_SOCKS4);
}

static void socks4_listening(struct session *s, const struct addr *at)
{
    (void)send4_with(s, SOCKS4_GRANTED, at);
}

static void socks4_connected(struct session *s, enum fault fault, const char *refusal)
{
    (void)refusal;
    if (!send4(s, reply_socks4(fault)))
        return;
    if (fault != FAULT_NONE)
        return session_end(s);
    session_tunnel(s);
}

/* --- version 5 ------------------------------------------------------------------------------------------ */

enum step5 { STEP_GREETING, STEP_AUTH, STEP_REQUEST };

static bool send5_with(struct session *s, enum socks5_reply_code code, const struct addr *a)
{
    char reply[SOCKS5_REPLY_MAX];
    size_t ip_len;
    const uint8_t *ip = addr_ip(a, &ip_len);

    return session_send(s, reply, socks5_reply(reply, code, ip, ip_len, ip_len ? addr_port(a) : 0));
}

static bool send5(struct session *s, enum socks5_reply_code code)
{
    struct addr a = reply_address(s);

    return send5_with(s, code, &a);
}

static void refuse5(struct session *s, enum socks5_reply_code code)
{
    if (send5(s, code))
        session_end(s);
}

/* Each step returns PARSE_OK when it is done and the next may follow; the session may have ended
 * meanwhile. */
static enum parse greeting(struct session *s, struct slice in)
{
    struct socks5_greeting g;
    enum parse p = socks5_parse_greeting(&g, in.data, in.len);
    if (p != PARSE_OK)
        return p;
    bool demand = access_needs_user(s->proxy->settings.access);
    /* Without users every login is accepted, also one that offers only a name: the policy may use it. */
    char answer[2] = {SOCKS5_VERSION, SOCKS5_NO_AUTH};
    if (demand ? g.user_pass : !g.no_auth && g.user_pass)
        answer[1] = SOCKS5_USER_PASS;
    else if (demand || !g.no_auth)
        answer[1] = (char)SOCKS5_NO_METHOD;
    buf_consume(&s->in, g.consumed);
    if (!session_send(s, answer, sizeof answer))
        return PARSE_OK;
    if (answer[1] == (char)SOCKS5_NO_METHOD) {
        session_rejected(s, demand ? "no-credentials" : "unsupported");
        session_end(s);
    }
    s->step = answer[1] == SOCKS5_USER_PASS ? STEP_AUTH : STEP_REQUEST;
    return PARSE_OK;
}

static enum parse auth(struct session *s, struct slice in)
{
    struct socks5_auth a;
    enum parse p = socks5_parse_auth(&a, in.data, in.len);
    if (p != PARSE_OK)
        return p;
    enum login login = session_login(s, true, a.user, a.pass);
    if (login == LOGIN_WAITS)
        return PARSE_OK;
    bool good = login == LOGIN_RIGHT;
    if (good && !set_user(s, a.user))
        return PARSE_OK;
    if (!good)
        session_rejected_user(s, "bad-credentials", a.user);
    buf_consume(&s->in, a.consumed);
    const char answer[2] = {SOCKS5_AUTH_VERSION, good ? 0 : 1};
    if (session_send(s, answer, sizeof answer) && !good)
        session_end(s);
    s->step = STEP_REQUEST;
    return PARSE_OK;
}

static void connect5(struct session *s, const struct socks5_request *r)
{
    session_connect(s, &r->target, POLICY_SOCKS5, &s->in);
}

static void associate5(struct session *s, const struct socks5_request *r)
{
    struct addr at;
    enum socks5_reply_code code = associate(s, r, &at);

    if (code != SOCKS5_SUCCEEDED)
        return refuse5(s, code);
    (void)send5_with(s, code, &at);
}

static void bind5(struct session *s, const struct socks5_request *r)
{
    if (!may_bind(s))
        return refuse5(s, SOCKS5_NOT_ALLOWED);
    session_await(s, &r->target, POLICY_SOCKS5);
}

/* Begin a well-formed request. The session has left SESSION_READING afterwards. NULL: not supported. */
typedef void command5(struct session *s, const struct socks5_request *r);
static command5 *const commands5[] = {
    [SOCKS5_CONNECT] = connect5, [SOCKS5_BIND] = bind5, [SOCKS5_UDP_ASSOCIATE] = associate5};

/* The address of an association's request is a hint, so a wrong one is accepted. */
static bool is_served(const struct socks5_request *r)
{
    return r->objection == SOCKS5_SUCCEEDED ||
           (r->command == SOCKS5_UDP_ASSOCIATE && r->objection == SOCKS5_GENERAL_FAILURE);
}

static enum parse request(struct session *s, struct slice in)
{
    struct socks5_request r;
    enum parse p = socks5_parse_request(&r, in.data, in.len);
    if (p != PARSE_OK)
        return p;
    buf_consume(&s->in, r.consumed);
    command5 *begin = r.command < ARRAY_LEN(commands5) ? commands5[r.command] : NULL;
    if (begin && is_served(&r)) {
        begin(s, &r);
        return PARSE_OK;
    }
    bool unsupported = !begin || r.objection == SOCKS5_ADDRESS_UNSUPPORTED;
    session_rejected(s, unsupported ? "unsupported" : "malformed");
    refuse5(s, begin ? r.objection : SOCKS5_COMMAND_UNSUPPORTED);
    return PARSE_OK;
}

/* Send the refusal in the form of the current step. */
static void refuse_step5(struct session *s)
{
    const char no_method[2] = {SOCKS5_VERSION, (char)SOCKS5_NO_METHOD}, no_auth[2] = {SOCKS5_AUTH_VERSION, 1};

    if (s->step == STEP_REQUEST)
        return refuse5(s, SOCKS5_GENERAL_FAILURE);
    if (session_send(s, s->step == STEP_GREETING ? no_method : no_auth, 2))
        session_end(s);
}

static void socks5_advance(struct session *s)
{
    static enum parse (*const steps[])(struct session *, struct slice) = {
        [STEP_GREETING] = greeting,
        [STEP_AUTH] = auth,
        [STEP_REQUEST] = request,
    };

    while (s->state == SESSION_READING && s->in.len > 0) {
        switch (steps[s->step](s, buf_slice(&s->in))) {
        case PARSE_OK:
            continue;
        case PARSE_NEED_MORE:
            return;
        case PARSE_BAD:
            session_rejected(s, "malformed");
            return refuse_step5(s);
        }
    }
}

static void socks5_hold_over(struct session *s)
{
    session_enter(s, SESSION_READING);
    socks5_advance(s);
}

static void socks5_listening(struct session *s, const struct addr *at)
{
    (void)send5_with(s, SOCKS5_SUCCEEDED, at);
}

static void socks5_connected(struct session *s, enum fault fault, const char *refusal)
{
    (void)refusal;
    if (fault != FAULT_NONE)
        return refuse5(s, reply_socks5(fault));
    if (send5(s, SOCKS5_SUCCEEDED))
        session_tunnel(s);
}

static void socks4_timed_out(struct session *s)
{
    refuse4(s, SOCKS4_REJECTED);
}

const struct front FRONT_SOCKS4 = {
    .name = "socks4",
    .first_byte = 4, /* the version number */
    .advance = socks4_advance,
    .listening = socks4_listening,
    .connected = socks4_connected,
    .timed_out = socks4_timed_out,
};

const struct front FRONT_SOCKS5 = {
    .name = "socks5",
    .first_byte = 5,
    .advance = socks5_advance,
    .listening = socks5_listening,
    .connected = socks5_connected,
    .timed_out = refuse_step5,
    .hold_over = socks5_hold_over,
};
